"""`mailfault schema`: what it prints is what the package publishes."""

import json

import pytest

from schemas import EventType, export
from tests.cli.run import run


def schema(*arguments: str) -> str:
    done = run("schema", *arguments)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


def test_all_events() -> None:
    assert json.loads(schema()) == export.json_schema()


@pytest.mark.parametrize("event_type", list(EventType))
def test_one_event(event_type: EventType) -> None:
    assert json.loads(schema("--type", event_type)) == export.json_schema(event_type)


def test_asyncapi() -> None:
    assert schema("--asyncapi").rstrip("\n") == export.asyncapi().rstrip("\n")


@pytest.mark.parametrize(
    "arguments", [["--type", "rejected"], ["--asyncapi", "--type", "reject"], ["--yaml"], ["x"]]
)
def test_usage(arguments: list[str]) -> None:
    done = run("schema", *arguments)
    assert done.returncode == 2
    assert done.stdout == b""
