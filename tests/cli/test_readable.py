"""What every command owes to whoever reads it: 80 columns, colours on terminals only, examples that
are true, hostile text that drives nothing, silence when nobody reads on."""

import asyncio
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from typer.main import get_command

from service.cli import app
from tests import sample_lines as lines
from tests.cli.on_terminal import on_terminal
from tests.cli.run import assert_quiet_unread, run
from tests.cli.test_tail import envelopes, publish
from tests.nats_server import client_of, real_nats

COMMANDS = [
    ["serve"], ["parse"], ["replay"], ["explain"], ["tail"], ["board"], ["schema"], ["demo"],
    ["check-config"], ["spool", "status"], ["spool", "export"], ["spool", "requeue"],
]  # fmt: skip
ESCAPE = "\x1b"
HOSTILE = (
    lines.HEADER.replace(b" mx1 ", b" a-host-with-a-long-name.of-many-labels.example.org ")
    + b"smtp[9]: 4ABCDE12F: to=<\x1b[2J\x07\xe2\x80\xae" + b"w" * 100 + "ナ".encode() * 60
    + b"@example.net>, relay=mx.example.net[192.0.2.1]:25, delay=1, delays=0/0/1/0, dsn=5.1.1, "
    + b"status=bounced (host mx.example.net[192.0.2.1] said: 550 [red]" + b"x" * 200 + b")"
)  # fmt: skip


def too_wide(shown: str, columns: int = 80) -> list[str]:
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    return [line for line in plain.splitlines() if cell_len(line) > columns]


def command(words: list[str]) -> Any:
    """Of click, which newer typers bring along and older ones require."""
    found: Any = get_command(app)
    for word in words:
        found = found.commands[word]
    return found


def test_all_commands_are_tested() -> None:
    assert {*command([]).commands} == {words[0] for words in COMMANDS}
    assert {*command(["spool"]).commands} == {words[1] for words in COMMANDS if words[1:]}


@pytest.mark.parametrize("words", [[], ["spool"], *COMMANDS], ids=" ".join)
def test_help_fits_and_has_no_colours_of_its_own(words: list[str]) -> None:
    shown = run(*words, "--help", COLUMNS="80").stdout.decode()
    assert too_wide(shown) == []
    assert ESCAPE not in shown


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_examples_are_whole_and_the_command_takes_them(words: list[str]) -> None:
    shown = [
        line.strip() for line in run(*words, "--help", COLUMNS="80").stdout.decode().split("\n")
    ]
    begin = shown.index("Examples:") + 2
    examples = shown[begin : shown.index("", begin)]
    assert examples
    for example in examples:
        of_it = re.search(r"\b(mailfault [^|>]*)", example)
        assert of_it, example
        _, *given = shlex.split(of_it[1])
        assert given[: len(words)] == words
        # Raises for what it does not know; files need not be there.
        command(words).make_context("example", given[len(words) :])


@pytest.mark.parametrize("name", ["parse", "explain"])
def test_80_columns_and_colours(tmp_path: Path, name: str) -> None:
    log = tmp_path / "mail.log"
    log.write_bytes(b"\n".join([HOSTILE, lines.REJECT, lines.DEFERRED, b"\x1b[2J status=bounced"]))
    arguments = ["parse", "--summary", log] if name == "parse" else ["explain", HOSTILE.decode()]
    bright = on_terminal(*arguments).stdout.decode()
    assert too_wide(bright) == []
    assert ESCAPE + "[1m" in bright, "headings are bold"
    assert ESCAPE + "[2J" not in bright
    assert "\u202e" not in bright
    assert "\x07" not in bright
    # Through a pipe, with nothing said of colours; and on a terminal with that.
    for done in (run(*arguments, COLUMNS="80", NO_COLOR=""), on_terminal(*arguments, NO_COLOR="1")):
        sober = done.stdout.decode()
        assert len(sober.splitlines()) > 5
        assert too_wide(sober) == []
        assert ESCAPE not in sober


async def test_tail_on_a_terminal(tmp_path: Path) -> None:
    """Long rows are folded, and what follows stands to the right."""
    async with real_nats(tmp_path) as server, client_of(server) as client:
        await client.jetstream().add_stream(name="POSTFIX", subjects=["postfix.>"])
        await publish(client, *envelopes(HOSTILE, lines.REJECT))

        def tail(**variables: Any) -> str:
            done = on_terminal(
                "tail", "--nats", server.url, "--since", "1h",
                until=lambda shown: b"Relay access denied" in shown.replace(b"\r\n    ", b" "),
                **variables,
            )  # fmt: skip
            assert done.returncode == 0
            return done.stdout.decode()

        bright = await asyncio.to_thread(tail)
        sober = await asyncio.to_thread(tail, NO_COLOR="1")
    assert ESCAPE + "[3" in bright
    assert ESCAPE not in sober.replace("^C", "")
    for shown in (bright, sober):
        assert too_wide(shown) == []
        assert ESCAPE + "[2J" not in shown
        assert "\u202e" not in shown
    rows = [row for row in sober.splitlines() if row.startswith("2026-")]
    assert [row.split()[2] for row in rows] == ["bounced", "reject"]
    assert all(row.startswith("    ") for row in sober.splitlines() if row not in rows)


@pytest.mark.parametrize(
    "arguments",
    [["schema"], ["schema", "--asyncapi"], ["check-config"], ["explain", "x" * 9]],
    ids=" ".join,
)
def test_a_reader_that_has_seen_enough(arguments: list[str]) -> None:
    assert_quiet_unread(*arguments)


def test_names_of_files_do_not_drive_the_terminal() -> None:
    for name in ("parse", "replay"):
        done = run(name, "\x1b[2J\u202e.log")
        assert done.returncode == 1
        assert done.stderr.decode().removesuffix("\n").isprintable()
