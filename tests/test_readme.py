"""The README is what the software does."""

import asyncio
import json
import re
import sys
from pathlib import Path

import schemas
from service.cli import app
from service.core.classify import rule
from service.core.classify.compiling import MAX_PROVIDERS, MAX_RULES, MAX_SIZE
from service.core.classify.conditions import MAX_PHRASE
from service.core.classify.values import MAX_LISTED
from service.rules_files import MAX_BYTES, MAX_FILES
from tests.cli.run import objects, run
from tests.nats_server import client_of, real_nats
from tests.settings_table import README, rows, with_table

TEXT = README.read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def test_the_table_of_settings_is_generated_and_fresh() -> None:
    assert with_table(TEXT) == TEXT


def test_every_setting_is_described() -> None:
    assert [path for path, _, description in rows() if not description] == []


def test_events_are_shown_with_fields_that_exist() -> None:
    shown = [json.loads(block) for block in blocks("json")]
    assert {event["event_type"] for event in shown} == {"reject", "deferred", "bounced"}
    for event in shown:
        model = schemas.codec.MODELS[event["event_type"]]
        assert event.keys() <= model.model_fields.keys()
        example = json.loads(schemas.samples.example_bytes(event["event_type"]))
        for name, value in event.items():
            if isinstance(value, dict):
                assert value.keys() <= example[name].keys(), name


def test_the_rule_of_ones_own_does_what_is_said_of_it(tmp_path: Path) -> None:
    [rules] = [block for block in blocks("toml") if "[[rule]]" in block]
    [config] = [block for block in blocks("toml") if "[classify]" in block]
    [line] = blocks("log")
    file, named = tmp_path / "rules.toml", "/etc/mailfault/rules.toml"
    assert named in rules
    assert named in config
    file.write_text(rules)
    (tmp_path / "c.toml").write_text(config.replace(named, str(file)))

    def event(*options: str | Path) -> tuple[str | None, ...]:
        (found,) = objects(run("parse", *options, data=line.encode()).stdout)
        return found["category"], found["scope"], found["provider"], found["provider_code"]

    own = ("mailbox_full", "recipient", "example-net", "EX-017")
    assert event("--config", tmp_path / "c.toml") == own
    assert event()[2:] == (None, None), "without it"
    assert event() != own


def test_keys_and_bounds_of_rules_are_those_of_the_code() -> None:
    section = TEXT.partition("### Rules of your own")[2].partition("\n### ")[0]
    named = set(re.findall(r"`([a-z]+)`", section))
    named |= set(re.findall(r"^([a-z]+) = ", section, re.MULTILINE))
    assert set(rule.parsers([])) <= named
    for bound in (
        f"{MAX_FILES}\nfiles",
        f"{MAX_BYTES // 1024} KiB",
        f"{MAX_RULES:,} rules",
        f"{MAX_PROVIDERS} providers",
        f"{MAX_SIZE:,} phrases and codes",
        f"{MAX_LISTED} values in a list",
        f"{MAX_PHRASE}\ncharacters in a phrase",
    ):
        assert bound in section, bound


def test_every_command_is_in_the_reference() -> None:
    names = {command.name for command in app.registered_commands}
    names |= {group.name for group in app.registered_groups}
    assert names == set(re.findall(r"^\| `mailfault ([a-z-]+)", TEXT, re.MULTILINE))


async def test_the_python_subscriber_gets_an_event(tmp_path: Path) -> None:
    [source] = blocks("python")
    source = source.replace("mailfault_schemas", "schemas")
    async with real_nats(tmp_path) as server, client_of(server) as client:
        source = source.replace("nats://127.0.0.1:4222", server.url)
        script = tmp_path / "subscriber.py"
        script.write_text(source)
        jetstream = client.jetstream()
        await jetstream.add_stream(name="POSTFIX", subjects=["postfix.>"])
        await jetstream.publish("postfix.bounced.mx1", schemas.samples.example_bytes("bounced"))
        event = schemas.decode(schemas.samples.example_bytes("bounced"))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-u",
            str(script),
            cwd=README.parent,
            env={"PYTHONPATH": str(README.parent)},
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        try:
            line = await asyncio.wait_for(process.stdout.readline(), 40)
        finally:
            process.kill()
            await process.wait()
    assert event.queue_id is not None
    assert event.queue_id in line.decode()
