"""`mailfault tail` as a process, on a real nats-server."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from nats.aio.client import Client

import schemas
from service.cli.tail import Troubles, row
from service.cli.terminal import json_line, printable
from service.core.envelope import Envelope
from service.core.framing.base import Frame
from tests import sample_lines as lines
from tests.cli.run import MAILFAULT, environment, run
from tests.nats_server import RealNats, client_of, real_nats
from tests.sample_lines import NOW, ORIGIN, pipeline

HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m\x7f\u202e\u2028[bold]x[/nope]"


def envelopes(*some: bytes) -> list[Envelope]:
    made, _ = pipeline()
    return [e for line in some for e in made.frame(Frame(line), ORIGIN, NOW)]


def resolved() -> Envelope:
    event = schemas.samples.example(schemas.ResolvedEvent)
    return Envelope("postfix.resolved.mx1", event.event_id, "resolved", schemas.encode(event))


ALL = envelopes(
    lines.REJECT,
    lines.DEFERRED,
    lines.BOUNCED,
    lines.UNKNOWN_SHAPE,
    lines.REJECT.replace(b" mx1 ", b" Mx2.example.org "),
)
ALL.append(resolved())


@asynccontextmanager
async def stream(home: Path, subject: str = "postfix.>") -> AsyncIterator[tuple[RealNats, Client]]:
    async with real_nats(home) as server, client_of(server) as client:
        await client.jetstream().add_stream(name="POSTFIX", subjects=[subject])
        yield server, client


async def publish(client: Client, *some: Envelope) -> None:
    for envelope in some:
        await client.jetstream().publish(envelope.subject, envelope.body)


async def consumed(client: Client) -> None:
    """Wait until the stream has a consumer: what is published from now on, it gets."""
    async with asyncio.timeout(40):
        while (  # noqa: ASYNC110  # the server does not tell
            not (await client.jetstream().stream_info("POSTFIX")).state.consumer_count
        ):
            await asyncio.sleep(0.02)


class Tail:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self, seconds: float = 40) -> str:
        assert self.process.stdout is not None
        async with asyncio.timeout(seconds):
            return (await self.process.stdout.readline()).decode()

    async def lines(self, number: int) -> list[str]:
        return [await self.line() for _ in range(number)]

    async def interrupt(self) -> tuple[int, str, str]:
        """Exit status, what was still printed, and what was said."""
        self.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(20):
            output, said = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, output.decode(), said.decode()


@asynccontextmanager
async def tail(server: RealNats, *arguments: str) -> AsyncIterator[Tail]:
    process = await asyncio.create_subprocess_exec(
        *MAILFAULT,
        "tail",
        "--nats",
        server.url,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(),
    )
    try:
        yield Tail(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_shows_what_was_published_and_what_comes(tmp_path: Path) -> None:
    async with stream(tmp_path) as (server, client):
        await publish(client, *ALL[:3])
        async with tail(server, "--since", "1h") as tailing:
            before = await tailing.lines(3)
            await publish(client, ALL[3])
            live = await tailing.line()
            status, rest, said = await tailing.interrupt()
    assert (status, rest, said) == (0, "", "")
    reject, deferred, bounced = before
    for part in ("2026-08-22 10:00:00", "mx1", "NOQUEUE", "v@other.example", "5.7.1",
                 "relay_denied", "Relay access denied"):  # fmt: skip
        assert part in reject
    assert deferred.split()[2:5] == ["deferred", "mx1", "4ABCDE12F"]
    assert bounced.split()[2:7] == ["bounced", "mx1", "4ABCDE12F", "gone@Example.NET", "5.1.1"]
    assert live.split()[2] == "invalid"


async def test_without_since_only_new_events(tmp_path: Path) -> None:
    async with stream(tmp_path) as (server, client):
        await publish(client, ALL[2])
        async with tail(server, "--json") as tailing:
            await consumed(client)
            await publish(client, ALL[0])
            shown = await tailing.line()
            status, rest, said = await tailing.interrupt()
    assert schemas.decode(shown).event_type == "reject"
    assert (status, rest, said) == (0, "", "")


async def test_ctrl_c_while_there_is_nothing_to_show(tmp_path: Path) -> None:
    async with stream(tmp_path) as (server, client), tail(server) as tailing:
        await consumed(client)
        assert await tailing.interrupt() == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--type", "bounced"], [2]),
        (["--type", "reject", "--type", "deferred"], [0, 1, 4]),
        (["--type", "resolved"], [5]),
        (["--mta", "MX2.example.ORG"], [4]),
        (["--mta", "mx2_example_org"], [4]),
        (["--category", "unknown_user"], [2]),
        (["--domain", "EXAMPLE.net"], [1, 2]),
        (["--domain", "example.net", "--type", "bounced"], [2]),
    ],
    ids=str,
)
async def test_filters(tmp_path: Path, arguments: list[str], expected: list[int]) -> None:
    async with stream(tmp_path) as (server, client):
        # The last one is to be shown again: with it, all before have been looked at.
        await publish(client, *ALL, ALL[expected[0]])
        async with tail(server, "--since", "1m", "--json", *arguments) as tailing:
            shown = [schemas.decode(await tailing.line()) for _ in range(len(expected) + 1)]
            status, rest, said = await tailing.interrupt()
    assert [event.event_id for event in shown] == [
        ALL[n].message_id for n in (*expected, expected[0])
    ]
    assert (status, rest, said) == (0, "", "")


async def test_rollups_are_for_those_who_ask(tmp_path: Path) -> None:
    event = schemas.samples.example(schemas.RollupEvent)
    rollup = Envelope("postfix.rollup.mx1", event.event_id, "rollup", schemas.encode(event))
    async with stream(tmp_path) as (server, client):
        await publish(client, rollup, ALL[0])
        async with tail(server, "--since", "1h") as tailing:
            assert " reject " in await tailing.line()
        async with tail(server, "--since", "1h", "--type", "rollup") as tailing:
            numbers = await tailing.line()
    assert numbers == "2026-11-23 19:34:00 rollup   mx1.example.org  reject 14, deferred 4\n"


async def test_hostile_text_does_not_drive_the_terminal(tmp_path: Path) -> None:
    """Rows nor JSON; what a stranger publishes neither."""
    line = lines.REJECT.replace(b"Relay access denied", HOSTILE.encode()).replace(
        b"v@other", HOSTILE.replace("[", "").encode() + b"v@other"
    )
    (hostile,) = envelopes(line)
    async with stream(tmp_path) as (server, client):
        await publish(client, hostile)
        spread = json.dumps(json.loads(hostile.body), indent=1, ensure_ascii=False).encode()
        await client.jetstream().publish("postfix.reject.x\x1b[2J", spread)
        await client.jetstream().publish("postfix.reject.y\x1b[2J", b"\x1b[2J")
        for option in ([], ["--json"]):
            async with tail(server, "--since", "1h", *option) as tailing:
                shown = await tailing.lines(2)
                await publish(client, ALL[2])
                shown.append(await tailing.line())
                status, _, said = await tailing.interrupt()
            assert status == 0
            assert said == "tail: postfix.reject.y?[2J: not_json\n"
            assert all(text.removesuffix("\n").isprintable() for text in shown)
            if option:
                for text in shown[:2]:
                    assert schemas.decode(text) == schemas.decode(hostile.body)
            else:
                assert "[bold]x[/nope]" in shown[0]


async def test_the_subjects_of_the_configuration(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(
        '[nats]\nsubject_template = "mail.{type}.{mta}"\n[nats.stream]\nname = "MAIL"'
    )
    async with real_nats(tmp_path) as server, client_of(server) as client:
        await client.jetstream().add_stream(name="MAIL", subjects=["mail.>"])
        await publish(client, replace(ALL[0], subject="mail.reject.mx1"))
        async with tail(server, "--since", "1h", "--config", str(config)) as tailing:
            assert "reject" in await tailing.line()


async def test_no_stream(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server, tail(server) as tailing:
        async with asyncio.timeout(40):
            output, said = await tailing.process.communicate()
    assert tailing.process.returncode == 1
    assert output == b""
    assert said.decode() == "tail: no stream POSTFIX: has a receiver run here?\n"


async def test_it_says_that_nats_is_away_and_waits_for_it(tmp_path: Path) -> None:
    server = RealNats(tmp_path)
    await server.start()
    await server.stop()  # only its port is wanted
    async with tail(server, "--since", "1h") as tailing:
        assert tailing.process.stderr is not None
        async with asyncio.timeout(40):
            said = await tailing.process.stderr.readline()
        assert said.startswith(b"tail: NATS cannot be reached, trying again: ")
        assert b"Connect" in said
        await server.start()
        try:
            async with client_of(server) as client:
                await client.jetstream().add_stream(name="POSTFIX", subjects=["postfix.>"])
                await publish(client, ALL[0])
                assert "reject" in await tailing.line()
                assert (await tailing.interrupt())[0] == 0
        finally:
            await server.kill()


async def test_what_fails_at_each_attempt_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A screen full of the same line stood there until NATS came."""
    troubles = Troubles(Client())
    for error in ("refused", "refused", "no route", "refused"):
        await troubles.tell(OSError(error))
    await troubles.over()
    await troubles.tell(OSError("refused"))
    told = ["refused", "no route", "refused", "refused"]
    assert capsys.readouterr().err == "".join(
        f"tail: NATS cannot be reached, trying again: {error}\n" for error in told
    )


async def test_a_reader_that_has_seen_enough(tmp_path: Path) -> None:
    async with stream(tmp_path) as (server, client):
        await publish(client, *ALL)
        for option in ("", " --json"):
            process = await asyncio.create_subprocess_shell(
                f"{' '.join(MAILFAULT)} tail --nats {server.url} --since 1h{option}"
                " | { head -n 1; exec <&-; }",
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=environment(),
            )
            try:
                # It learns of it when it writes again.
                while process.returncode is None:
                    await publish(client, ALL[0])
                    try:
                        await asyncio.wait_for(process.wait(), 0.1)
                    except TimeoutError:
                        continue
                assert process.stderr is not None
                assert await process.stderr.read() == b""
            finally:
                if process.returncode is None:
                    process.kill()
                await process.communicate()


@pytest.mark.parametrize("since", ["1", "h", "1w", "-1h", "1.5h", "\u0661h", "9999999s", "999999d"])
def test_a_since_that_is_none(since: str) -> None:
    done = run("tail", f"--since={since}")
    assert done.returncode == 2
    assert b"--since" in done.stderr
    assert b"Traceback" not in done.stderr


def test_usage() -> None:
    assert run("tail", "--type", "rejected").returncode == 2
    done = run("tail", "--nats", "http://h:1")
    assert done.returncode == 2
    assert b"nats.servers.0" in done.stderr


def test_credentials_that_cannot_be_read(tmp_path: Path) -> None:
    done = run(
        "tail",
        MAILFAULT_NATS__CREDS_FILE=str(tmp_path / "absent.creds"),
        MAILFAULT_NATS__SERVERS="nats://127.0.0.1:1",
    )
    assert done.returncode == 1
    assert b"absent.creds" in done.stderr


class TestRow:
    def test_what_is_unknown(self) -> None:
        (invalid,) = envelopes(lines.UNKNOWN_SHAPE)
        text = row(schemas.decode(invalid.body)).plain
        assert text == "2026-08-22 10:00:00 invalid  mx1  NOQUEUE  -  -  -  "

    def test_a_code_without_an_enhanced_one(self) -> None:
        (made,) = envelopes(lines.REJECT.replace(b"554 5.7.1 ", b"554 "))
        assert "  554  " in row(schemas.decode(made.body)).plain

    def test_fields_are_bounded(self) -> None:
        (made,) = envelopes(lines.REJECT.replace(b"v@other", b"v" * 900 + b"@other"))
        event = schemas.decode(made.body).model_copy(update={"response": ""})
        assert len(row(event).plain) < 300


@pytest.mark.parametrize("show", [printable, json_line])
def test_what_is_printable_stays(show: Callable[[str], str]) -> None:
    assert show('{"a": "é 😀 \\u001b"}') == '{"a": "é 😀 \\u001b"}'


def test_json_keeps_its_meaning() -> None:
    value = {HOSTILE: [HOSTILE, "\U000e0001"]}
    for text in (json.dumps(value, ensure_ascii=False, indent=2), json.dumps(value)):
        shown = json_line(text)
        assert shown.isprintable()
        assert json.loads(shown) == value
