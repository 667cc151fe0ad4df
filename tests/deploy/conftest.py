"""Images and the engine that runs them, made once for all tests of a session."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.engine import Engine
from tests.e2e.packages import require_program, require_root

_PROGRAMS = {
    "podman": "podman",
    "crun": "crun",
    "mmdebstrap": "mmdebstrap",
    "catatonit": "catatonit",  # init of containers
    "ip": "iproute2",
    "nsenter": "util-linux",
}


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """With the base image."""
    require_root("containers and a base image of Debian packages are made by root")
    for program, package in _PROGRAMS.items():
        require_program(program, package)
    made = Engine(Path(tmp_path_factory.mktemp("engine")))
    try:
        made.make_base()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="session")
def receiver_image(engine: Engine) -> str:
    engine.build("deploy/Dockerfile", ".", "mailfault:test")
    return "localhost/mailfault:test"


@pytest.fixture(scope="session")
def postfix_image(engine: Engine) -> str:
    engine.build("deploy/postfix/Dockerfile", "deploy", "failing-postfix:test")
    return "localhost/failing-postfix:test"
