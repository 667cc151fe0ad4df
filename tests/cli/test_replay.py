"""`mailfault replay` as a process, on a real nats-server."""

import asyncio
import gzip
import json
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from nats.js.errors import NotFoundError

import schemas
from tests import mail_traffic
from tests import sample_lines as lines
from tests.cli.on_terminal import on_terminal
from tests.cli.run import MAILFAULT, environment, run
from tests.nats_server import RealNats, client_of, real_nats, stream_messages
from tests.serve import serve

SLOW = {"MAILFAULT_NATS__WINDOW": "20"}
"""Each twenty events wait for an answer."""
OF_THE_WAY = {"received_at", "transport", "source_ip"}
"""What differs between lines that were received and lines that were read."""


@asynccontextmanager
async def replaying(
    server: RealNats, *arguments: str | Path, **variables: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *MAILFAULT, "replay", "--json", "--nats", server.url, *map(str, arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(**variables),
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def replay(
    server: RealNats, *arguments: str | Path, **variables: str
) -> tuple[int, dict[str, Any], str]:
    """Status, summary, and what was said."""
    async with replaying(server, *arguments, **variables) as process:
        return await ended(process)


async def ended(process: asyncio.subprocess.Process) -> tuple[int, dict[str, Any], str]:
    async with asyncio.timeout(40):
        output, said = await process.communicate()
    assert process.returncode is not None
    return process.returncode, json.loads(output or b"{}"), said.decode()


async def stored(client: Client) -> list[dict[str, Any]]:
    """Everything in the stream, in order, but for how it came here."""
    wanted = await stream_messages(client)
    subscription = await client.jetstream().pull_subscribe("postfix.>", stream="POSTFIX")
    found: list[dict[str, Any]] = []
    while len(found) < wanted:
        for message in await subscription.fetch(min(500, wanted - len(found)), timeout=10):
            event = schemas.decode(message.data).model_dump(mode="json")
            for name in OF_THE_WAY:
                event.pop(name, None)
                event["mta"].pop(name, None)
            found.append({"subject": message.subject, **event})
            await message.ack()
    return found


def by_id(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(events, key=lambda event: str(event["event_id"]))


async def test_its_events_are_those_of_the_receiver(tmp_path: Path) -> None:
    """Of messages with retries and ends, bounces with notices, dead letters, and lines that are
    equal within their second. Replayed where they are stored already, nothing is added."""
    traffic = [line for some in mail_traffic.host("mx2", 7, 60).rounds for line in some]
    several = [lines.REJECT, lines.UNKNOWN_SHAPE, lines.REJECT, lines.REJECT, lines.REPEATED]
    wire = b"".join(line + b"\n" for line in [*traffic, *several, *lines.with_notices(5)])
    file = tmp_path / "mail.log.gz"
    file.write_bytes(gzip.compress(wire))
    async with real_nats(tmp_path / "a") as server, client_of(server) as client:
        # At the pace of a test the receiver would not wait for notices.
        async with serve(
            tmp_path,
            MAILFAULT_NATS__SERVERS=server.url,
            MAILFAULT_CORRELATION__NOTICE_RATE="1000000",
        ) as receiver:
            await receiver.send_tcp(wire)
            await receiver.until("frames_received_total", wire.count(b"\n"))
            assert await receiver.stop() == 0
        received = await stored(client)
        kinds = {event["event_type"] for event in received}
        assert kinds == {"reject", "deferred", "bounced", "resolved", "invalid"}
        status, counts, _ = await replay(server, file)
        assert (status, counts["published"], counts["duplicates"]) == (0, 0, len(received))
        assert await stream_messages(client) == len(received)
    async with real_nats(tmp_path / "b") as server, client_of(server) as client:
        status, counts, said = await replay(server, file)
        assert (status, said) == (0, "")
        assert by_id(await stored(client)) == by_id(received)
    assert counts["lines"] == wire.count(b"\n")
    assert sum(counts["events"].values()) == counts["published"] == len(received)
    assert counts["events"]["invalid"] == 1
    assert counts["errors"] == []


async def test_rotated_files_in_the_order_of_their_lines(tmp_path: Path) -> None:
    """A message that is deferred in one file and delivered in the next, across New Year."""

    def at(stamp: bytes, line: bytes) -> bytes:
        return line.replace(b"<22>Aug 22 10:00:00", stamp) + b"\n"

    sent = lines.SENT.replace(b"ok@example.net", b"later@example.net")
    active = lines.HEADER + b"qmgr[1]: 4ABCDE12F: from=<a@x>, size=9, nrcpt=1 (queue active)"
    oldest = tmp_path / "mail.log.2.gz"
    oldest.write_bytes(
        gzip.compress(at(b"Dec 31 23:50:00", active) + at(b"Dec 31 23:59:59", lines.DEFERRED))
    )
    (tmp_path / "mail.log.1").write_bytes(at(b"Jan  1 00:10:00", sent))
    (tmp_path / "mail.log").write_bytes(at(b"Jan  2 08:00:00", lines.REJECT))
    for number, name in enumerate(["mail.log.2.gz", "mail.log.1", "mail.log"]):
        written = 1_546_300_800 + number * 86_400  # 2019-01-01 and the days after
        os.utime(tmp_path / name, (written, written))
    async with real_nats(tmp_path / "nats") as server, client_of(server) as client:
        given = [tmp_path / name for name in ("mail.log", "mail.log.1", "mail.log.2.gz")]
        status, counts, _ = await replay(server, *given)
        found = await stored(client)
    assert (status, counts["events"]) == (0, {"deferred": 1, "resolved": 1, "reject": 1})
    assert [(event["event_type"], event["event_time"]) for event in found] == [
        ("deferred", "2018-12-31T23:59:59Z"),
        ("resolved", "2019-01-01T00:10:00Z"),
        ("reject", "2019-01-02T08:00:00Z"),
    ]
    assert found[1]["outcome"] == "delivered"


async def test_files_in_the_order_given(tmp_path: Path) -> None:
    for number, name in enumerate(["mail.log.1", "mail.log"]):
        (tmp_path / name).write_bytes(lines.numbered(number) + b"\n")
    async with real_nats(tmp_path / "nats") as server, client_of(server) as client:
        await replay(server, "--as-given", tmp_path / "mail.log", tmp_path / "mail.log.1")
        found = [event["recipient"] for event in await stored(client)]
    assert found == ["v1@other.example", "v0@other.example"]


def many(folder: Path, number: int) -> Path:
    file = folder / "mail.log"
    file.write_bytes(b"".join(lines.numbered(n) + b"\n" for n in range(number)))
    return file


async def some_stored(client: Client, number: int) -> None:
    async with asyncio.timeout(40):
        while True:
            try:
                if await stream_messages(client) >= number:
                    return
            except NotFoundError:
                pass
            await asyncio.sleep(0.01)


async def test_nats_may_be_restarted_meanwhile(tmp_path: Path) -> None:
    file = many(tmp_path, 6000)
    async with real_nats(tmp_path / "nats") as server:
        async with client_of(server) as client, replaying(server, file, **SLOW) as process:
            await some_stored(client, 100)
            await server.kill()
            await server.start()
            status, counts, _ = await ended(process)
        async with client_of(server) as client:
            found = {event["recipient"] for event in await stored(client)}
    assert status == 0
    assert counts["published"] + counts["duplicates"] == 6000
    assert found == {f"v{n}@other.example" for n in range(6000)}


async def test_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    """While NATS does not answer: what is not acknowledged is not done."""
    file = many(tmp_path, 6000)
    async with real_nats(tmp_path / "nats") as server, client_of(server) as client:
        async with replaying(server, file, **SLOW) as process:
            await some_stored(client, 100)
            server.freeze()
            process.send_signal(signal.SIGINT)
            status, counts, said = await ended(process)
            server.thaw()
        assert status == 130
        stopped, on = said.splitlines()[-2:]
        done = int(stopped.split("first ")[1].split()[0])
        assert 0 < done <= counts["published"] < 6000
        assert on == f"To go on, give the same command with --skip-lines {done}."
        recipients = [event["recipient"] for event in await stored(client)]
        assert {f"v{n}@other.example" for n in range(done)} <= set(recipients)
        status, rest, _ = await replay(server, "--skip-lines", str(done), file)
        assert (status, rest["passed_over"]) == (0, done)
        assert rest["published"] + rest["duplicates"] == 6000 - done
        assert await stream_messages(client) == 6000


async def test_what_was_passed_over_is_known_to_later_lines(tmp_path: Path) -> None:
    """And counted among the equal ones: the events are those of the whole replay."""
    file = tmp_path / "mail.log"
    file.write_bytes(b"".join(line + b"\n" for line in [lines.REJECT, lines.DEFERRED, lines.REJECT,
                     lines.SENT.replace(b"ok@example.net", b"later@example.net")]))  # fmt: skip
    async with real_nats(tmp_path / "nats") as server, client_of(server) as client:
        await replay(server, "--skip-lines", "2", file)
        rest = await stored(client)
        status, counts, _ = await replay(server, file)
        assert (status, counts["published"], counts["duplicates"]) == (0, 2, 2)
    assert [event["event_type"] for event in rest] == ["reject", "resolved"]


async def test_a_pipe_that_says_nothing_can_be_left(tmp_path: Path) -> None:
    async with (
        real_nats(tmp_path / "nats") as server,
        client_of(server) as client,
        replaying(server, "-") as process,
    ):
        assert process.stdin is not None
        process.stdin.write(b"".join(lines.numbered(n) + b"\n" for n in range(700)))
        await process.stdin.drain()
        await some_stored(client, 1)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            assert await process.wait() == 143
        assert process.stderr is not None
        said = (await process.stderr.read()).decode()
    assert said.startswith("replay: stopped; all events of the first ")


async def test_what_jetstream_refuses_becomes_a_dead_letter(tmp_path: Path) -> None:
    file = tmp_path / "mail.log"
    long = lines.REJECT.replace(b"Relay access denied", b"x" * 20_000)
    file.write_bytes(lines.numbered(1) + b"\n" + long + b"\n" + lines.numbered(2) + b"\n")
    async with real_nats(tmp_path / "nats") as server, client_of(server) as client:
        await client.jetstream().add_stream(
            name="POSTFIX", subjects=["postfix.>"], max_msg_size=9000
        )
        status, counts, _ = await replay(server, file)
        found = await stored(client)
    assert (status, counts["published"], counts["dead_letters"], counts["lost"]) == (0, 2, 1, 0)
    assert sorted(event["event_type"] for event in found) == ["invalid", "reject", "reject"]


async def test_what_nobody_takes_is_said(tmp_path: Path) -> None:
    file = tmp_path / "mail.log"
    file.write_bytes(lines.numbered(1) + b"\n")
    async with real_nats(tmp_path / "nats") as server, client_of(server) as client:
        await client.jetstream().add_stream(
            name="POSTFIX", subjects=["postfix.>"], max_msg_size=100
        )
        status, counts, said = await replay(server, file)
    assert (status, counts["lost"]) == (1, 1)
    assert said == "replay: 1 events refused, and as dead letters too\n"


async def test_a_damaged_file_is_said_and_the_others_are_read(tmp_path: Path) -> None:
    packed = gzip.compress(b"".join(lines.numbered(n) + b"\n" for n in range(2000)))
    (tmp_path / "mail.log.1.gz").write_bytes(packed[: len(packed) // 2])
    (tmp_path / "mail.log").write_bytes(lines.numbered(5000) + b"\n")
    async with real_nats(tmp_path / "nats") as server, client_of(server) as client:
        status, counts, said = await replay(
            server, tmp_path / "mail.log.1.gz", tmp_path / "mail.log"
        )
        assert await stream_messages(client) == counts["published"] > 2
    assert status == 1
    assert len(counts["errors"]) == 1
    assert said.startswith("replay: ")
    assert "mail.log.1.gz: cannot be decompressed" in said


@pytest.mark.parametrize("variables", [{"MAILFAULT_NATS__STREAM__CREATE": "false"}])
async def test_without_a_stream(tmp_path: Path, variables: dict[str, str]) -> None:
    async with real_nats(tmp_path / "nats") as server:
        status, _, said = await replay(server, many(tmp_path, 1), **variables)
    assert (status, said.splitlines()[-1]) == (1, "replay: stream POSTFIX: it does not exist")


def test_without_a_server(tmp_path: Path) -> None:
    done = run("replay", "--nats", "nats://127.0.0.1:1", many(tmp_path, 1),
               MAILFAULT_NATS__CONNECT_TIMEOUT="0.2")  # fmt: skip
    assert done.returncode == 1
    assert b"replay: NATS cannot be reached: " in done.stderr


def test_without_a_file(tmp_path: Path) -> None:
    done = run("replay", tmp_path / "absent")
    assert done.returncode == 1
    assert done.stderr.startswith(b"replay: [Errno 2] No such file or directory")
    assert run("replay").returncode == 2


async def test_a_bar_on_a_terminal_of_80_columns(tmp_path: Path) -> None:
    file = many(tmp_path, 3000)
    async with real_nats(tmp_path / "nats") as server:
        done = await asyncio.to_thread(
            on_terminal, "replay", "--nats", server.url, file, NO_COLOR="1"
        )
    assert done.returncode == 0
    shown = done.stdout.decode()
    bars = re.findall(r"replay [^\r\n]*% [0-9,]+ lines [0-9,]+/s[^\r\n]*", shown)
    assert bars
    assert max(map(len, bars)) <= 80
    assert not re.search(r"\x1b\[[0-9;]*m", shown), "NO_COLOR is set"
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    summary = [row.split() for row in text.replace("\r", "\n").splitlines()]
    assert ["lines", "3,000"] in summary
    assert ["published", "3,000"] in summary
