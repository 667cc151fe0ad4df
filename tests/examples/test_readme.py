"""The examples are what their README says: small, alone, and run by the commands it shows."""

import ast
import asyncio
import json
import os
import re
import shlex
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from mailfault_schemas import EventType, stream_subjects, subject_for
from mailfault_schemas.samples import example_bytes
from tests.examples.subscriber import ROOT, running
from tests.examples.webhook import webhook
from tests.nats_server import client_of, real_nats

EXAMPLES = [
    path for path in sorted((ROOT / "examples").glob("[a-z]*.py")) if path.stem != "webhook"
]
RULES = ROOT / "examples" / "alerts.toml"
README = (ROOT / "examples" / "README.md").read_text()
COMMANDS = [
    shlex.split(line)[1:]
    for block in re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_ready_made_subscriber_is_small_and_stands_alone(path: Path) -> None:
    source = path.read_text()
    assert len(source.splitlines()) < 150
    imported = {
        module.partition(".")[0]
        for node in ast.walk(ast.parse(source))
        for module in (
            [node.module or "."]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }
    assert imported <= {"mailfault_schemas", *sys.stdlib_module_names}
    assert "mailfault_schemas" in imported
    assert f"`{path.name}`" in README


@pytest.mark.timeout(120)
async def test_the_commands_work(tmp_path: Path) -> None:
    tickets, alerts, follow, report, sql = COMMANDS
    programs = [Path(command[0]).name for command in (tickets, alerts, follow, report)]
    assert programs == ["tickets.py", "alerts.py", "store.py", "store.py"]
    async with (
        real_nats(tmp_path / "nats") as server,
        client_of(server) as client,
        webhook() as hook,
    ):
        jetstream = client.jetstream()
        await jetstream.add_stream(name="POSTFIX", subjects=stream_subjects())
        for kind in EventType:
            await jetstream.publish(subject_for(kind, "mx1"), example_bytes(kind))

        def ours(command: list[str]) -> list[str]:
            places = {"http://127.0.0.1:8080/hook": hook.url, "examples/alerts.toml": str(RULES)}
            return [places.get(word, word) for word in command[1:]] + ["--nats", server.url]

        async with (
            running("tickets.py", *ours(tickets), home=tmp_path) as opening,
            running("alerts.py", *ours(alerts), home=tmp_path) as alerting,
            running("store.py", *ours(follow), home=tmp_path) as storing,
        ):
            await hook.until(lambda: len(hook.accepted) > 0)
            await storing.said("stored=")
            async with asyncio.timeout(40):
                while (await jetstream.stream_info("POSTFIX")).state.consumer_count < 3:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)  # nobody is told of a new consumer
            for subscriber in (opening, alerting, storing):
                assert await subscriber.stop() == 0
    printed = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / report[0]), *report[1:]),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await printed.communicate()
    assert said.startswith(b"by domain\n")
    with closing(sqlite3.connect(tmp_path / sql[0])) as db:
        assert db.execute(sql[1]).description is not None


def test_the_commands_of_the_front_page_are_among_them() -> None:
    section = (ROOT / "README.md").read_text().partition("### Ready-made subscribers")[2]
    [block, *_] = re.findall(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    shown = [shlex.split(line) for line in block.splitlines()]
    assert len(shown) == 4
    for (python, *words), tested in zip(shown, COMMANDS, strict=False):
        assert python == ".venv/bin/python"
        assert words[0] == tested[0]
        assert {*words} <= {*tested}


def test_a_post_has_the_keys_that_are_shown() -> None:
    [shown, *_] = re.findall(r"^```json\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    post = json.loads(shown)
    assert post.keys() == {"ticket", "action", "state", "event"}
    golden = json.loads(example_bytes(EventType.DEFERRED))
    assert post["ticket"] == golden["event_id"]
    assert post["event"].items() <= golden.items()
