"""`docker-compose.yml` against the Compose Specification, and its names against each other."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.compose import FILE, services

SCHEMA = "vendor.compose-spec"


def check(file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", SCHEMA, file],
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_is_what_the_specification_says() -> None:
    done = check(FILE)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("right", "wrong"), [("read_only: true", "readonly: true"), ("interval: 5s", "interval: [5s]")]
)
def test_what_it_does_not_say_is_found(tmp_path: Path, right: str, wrong: str) -> None:
    text = FILE.read_text(encoding="utf-8")
    assert right in text
    file = tmp_path / "compose.yml"
    file.write_text(text.replace(right, wrong), encoding="utf-8")
    assert check(file).returncode == 1


def test_services_and_volumes_that_are_named_are_there() -> None:
    whole = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    for service in services().values():
        assert service.get("depends_on", {}).keys() <= services().keys()
        named = {volume.partition(":")[0] for volume in service.get("volumes", [])}
        assert {name for name in named if not name.startswith(".")} <= whole["volumes"].keys()
    assert services()["postfix"]["environment"]["MAILFAULT_HOST"] in services()
    (server,) = (word for word in services()["receiver"]["command"] if "//" in word)
    assert server.removeprefix("nats://").partition(":")[0] in services()


def test_who_must_be_healthy_has_a_health_check() -> None:
    """In the compose file or in the image."""
    for service in services().values():
        for name, wait in service.get("depends_on", {}).items():
            assert wait == {"condition": "service_healthy"}
            assert has_health_check(services()[name]), name


def has_health_check(service: dict[str, Any]) -> bool:
    if "build" not in service:
        return "healthcheck" in service
    build = service["build"]
    dockerfile = FILE.parent / build["context"] / build["dockerfile"]
    return "HEALTHCHECK" in dockerfile.read_text(encoding="utf-8")
