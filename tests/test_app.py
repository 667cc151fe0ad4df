"""How a process serves: it ends in good order, at once when told twice, and says how it went."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from service.snapshot import FILE
from tests import sample_lines as lines
from tests.cli.run import environment
from tests.nats_server import client_of, real_nats, recipients, stream_messages
from tests.serve import NOWHERE, Serve, serve


@asynccontextmanager
async def unable_to_end(home: Path) -> AsyncIterator[Serve]:
    """It has room for one event on disk, and a second one waits, as long as stopping may take."""
    async with serve(home, "--nats", NOWHERE, MAILFAULT_SPOOL__MAX_EVENTS="1") as receiver:
        await receiver.send_tcp(lines.block(lines.REJECT))
        await receiver.until("spool_events", 1)
        await receiver.send_tcp(lines.block(lines.BOUNCED))
        await receiver.until("unsaved_events", 1)
        yield receiver


class TestStopping:
    async def test_drains_what_was_sent_before(self, tmp_path: Path) -> None:
        """Over TCP and UDP, still in the kernel's buffers and in flight."""
        async with real_nats(tmp_path) as server:
            async with serve(tmp_path, "--nats", server.url) as receiver:
                await receiver.said("nats_connected")
                _, writer = await asyncio.open_connection(*receiver.address("tcp"))
                writer.write(lines.block(*lines.several(0, 2000)))
                await writer.drain()
                receiver.send_udp(*lines.several(10_000, 50))
                writer.write(b"<22>the sender is inside a frame")
                await writer.drain()
                assert await receiver.stop() == 0
                writer.close()
            async with client_of(server) as client:
                found = await recipients(client, 2050)
        assert sorted(str(address) for address in found) == sorted(
            f"v{number}@other.example" for number in [*range(2000), *range(10_000, 10_050)]
        )
        names = [event["event"] for event in receiver.log]
        assert names[-2:] == ["stopping", "stopped"]

    @pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
    async def test_a_second_signal_exits_at_once(
        self, tmp_path: Path, first: signal.Signals
    ) -> None:
        async with unable_to_end(tmp_path) as receiver:
            receiver.process.send_signal(first)
            await receiver.said("stopping")
            receiver.process.send_signal(signal.SIGTERM)
            assert await receiver.ended() == -signal.SIGTERM

    async def test_what_nats_does_not_take_stays_on_disk(self, tmp_path: Path) -> None:
        async with serve(tmp_path, "--nats", NOWHERE) as receiver:
            await receiver.send_tcp(lines.block(*lines.several(0, 7)))
            await receiver.until("frames_with_events_total", 7)
            assert await receiver.stop() == 0
        async with real_nats(tmp_path) as server:
            async with serve(tmp_path, "--nats", server.url) as receiver:
                await receiver.until("published_total", 7, result="ok")
                assert await receiver.stop() == 0
            async with client_of(server) as client:
                assert await stream_messages(client) == 7

    async def test_events_that_neither_nats_nor_the_disk_takes_are_told(
        self, tmp_path: Path
    ) -> None:
        async with serve(
            tmp_path,
            "--nats",
            NOWHERE,
            MAILFAULT_SHUTDOWN_TIMEOUT="0.2",
            MAILFAULT_SPOOL__MAX_EVENTS="1",
        ) as receiver:
            await receiver.send_tcp(lines.block(*lines.several(0, 1)))
            await receiver.until("spool_events", 1)
            await receiver.send_tcp(lines.block(*lines.several(1, 7)))
            await receiver.until("unsaved_events", 7)
            assert await receiver.stop() == 1
        assert receiver.events("events_lost")[0]["events"] == 7
        # What it holds must not be ahead of the events: they may be sent again.
        assert not (tmp_path / "data" / FILE).exists()

    async def test_is_not_ready_while_it_stops(self, tmp_path: Path) -> None:
        async with unable_to_end(tmp_path) as receiver:
            receiver.process.send_signal(signal.SIGTERM)
            await receiver.said("stopping")
            status, body = await receiver.get("/readyz")
            assert status == 503
            assert json.loads(body)["listening"] is False
            assert (await receiver.get("/livez"))[0] == 200


async def test_a_task_that_fails_ends_the_process_with_1(tmp_path: Path) -> None:
    """Its supervisor is to start it anew: status 0 would tell it that all is well."""
    program = """
import asyncio, sys
from service import app, logs, supervision
from service.settings import fixed

async def main():
    async def fails():
        raise RuntimeError("a defect")
    asyncio.get_running_loop().call_later(0.2, lambda: supervision.start(fails(), "the-task"))
    return await app.serve(settings, lambda: settings)

logs.configure()
settings = fixed({"data_dir": sys.argv[1],
                  "tcp": {"listen": ["127.0.0.1:0"]}, "http": {"listen": "127.0.0.1:0"},
                  "nats": {"servers": ["nats://127.0.0.1:1"]}})
sys.exit(asyncio.run(main()))
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        str(tmp_path),
        stderr=asyncio.subprocess.PIPE,
        env=environment(),
    )
    async with asyncio.timeout(30):
        _, said = await process.communicate()
    log = [json.loads(line) for line in said.splitlines()]
    assert process.returncode == 1, log
    (failure,) = (event for event in log if event["event"] == "task_failed")
    assert failure["task"] == "the-task"
    assert failure["level"] == "critical"
    assert log[-1]["event"] == "stopped", "in good order all the same"
