"""`deploy/Dockerfile`, `.dockerignore`, `deploy/mailfault.toml` and `docker-compose.yml` agree with
each other and with the tree. Building them needs an engine; disagreeing does not."""

import re
from pathlib import Path

import pytest

from service import settings
from service.address import split_address

TOP = Path(__file__).parents[2]
CONFIG = TOP / "deploy" / "mailfault.toml"

_COPY = re.compile(r"^COPY (?!--from)(?:--\S+ )*(.+) \S+$", re.MULTILINE)


def read(name: str) -> str:
    return (TOP / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("dockerfile", "context"), [("deploy/Dockerfile", "."), ("deploy/postfix/Dockerfile", "deploy")]
)
def test_what_is_copied_is_there(dockerfile: str, context: str) -> None:
    copied = " ".join(_COPY.findall(read(dockerfile))).split()
    assert len(copied) >= 5
    missing = [source for source in copied if not (TOP / context / source).exists()]
    assert not missing


def test_what_is_copied_is_let_into_the_build_and_nothing_else() -> None:
    copied = set(" ".join(_COPY.findall(read("deploy/Dockerfile"))).split())
    let_in = {line[1:] for line in read(".dockerignore").splitlines() if line.startswith("!")}
    assert copied == let_in


def test_the_image_listens_where_it_is_exposed_and_asked_for_its_health() -> None:
    loaded = settings.load(CONFIG)
    http_port = split_address(loaded.http.listen)[1]
    dockerfile = read("deploy/Dockerfile")
    exposed = re.search(r"^EXPOSE (.+)$", dockerfile, re.MULTILINE)
    assert exposed is not None
    assert set(exposed[1].split()) == {
        *(f"{split_address(address)[1]}/udp" for address in loaded.udp.listen),
        *(f"{split_address(address)[1]}/tcp" for address in loaded.tcp.listen),
        *(f"{split_address(address)[1]}/tcp" for address in loaded.relp.listen),
        f"{http_port}/tcp",
    }
    assert f"http://127.0.0.1:{http_port}/livez" in dockerfile
    assert f"install -d -o mailfault -g mailfault -m 0750 {loaded.data_dir}" in dockerfile


def test_compose_publishes_these_ports_on_loopback_only() -> None:
    published = re.findall(r'^ +- "(\S+):(\d+):(\d+)(?:/\w+)?"$', read("docker-compose.yml"), re.M)
    assert {inside for _, _, inside in published} == {"4222", "8222", "5514", "2514", "9514"}
    assert {address for address, _, _ in published} == {"127.0.0.1"}


def test_compose_names_files_that_are_there() -> None:
    compose = read("docker-compose.yml")
    assert "dockerfile: deploy/Dockerfile" in compose
    (mounted,) = re.findall(r"- \./(\S+?):\S+:ro", compose)
    assert (TOP / mounted).is_file()
