"""A receiver whose NATS is away: where events wait, and what happens when there is no more room."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests import sample_lines as lines
from tests.metric_values import assert_balanced, value
from tests.nats_server import RealNats, client_of, real_nats, stream_messages
from tests.processes import memory_of
from tests.serve import Serve, serve


class TestWithoutNats:
    async def test_events_wait_until_it_appears(self, tmp_path: Path) -> None:
        server = RealNats(tmp_path)
        await server.start()
        await server.stop()  # only its port is wanted
        async with serve(tmp_path, "--nats", server.url) as receiver:
            await receiver.send_tcp(lines.block(*lines.several(0, 100)))
            text = await receiver.until("spool_events", 100)
            assert value(text, "nats_connected") == 0
            status, body = await receiver.get("/readyz")
            assert status == 200, "there is room to wait in"
            assert json.loads(body)["nats"]["connected"] is False
            assert (await receiver.get("/livez"))[0] == 200
            await server.start()
            try:
                text = await receiver.until("published_total", 100, result="ok")
                assert_balanced(text)
                assert value(text, "nats_connected") == 1
                async with client_of(server) as client:
                    assert await stream_messages(client) == 100
                await receiver.until_at_most("spool_events", 0)
                assert await receiver.stop() == 0
            finally:
                await server.kill()

    @pytest.mark.timeout(180)
    async def test_a_small_room_holds_tcp_back_and_drops_udp(self, tmp_path: Path) -> None:
        """Nothing else is lost, and memory stays what it was."""
        server = RealNats(tmp_path)
        await server.start()
        await server.stop()
        sent = 100_000  # more than sockets hold
        async with serve(
            tmp_path,
            "--nats",
            server.url,
            MAILFAULT_QUEUE__MAX_EVENTS="500",
            MAILFAULT_SPOOL__MAX_EVENTS="500",
        ) as receiver:
            memory = memory_of(receiver.process.pid)
            _, writer = await asyncio.open_connection(*receiver.address("tcp"))
            sending = asyncio.create_task(_send(writer, lines.several(0, sent)))
            await receiver.until("reads_paused_total", 1, transport="tcp")
            # Both rooms full at once: from then on nothing moves until NATS is back.
            text = await receiver.until_all(spool_events=500, unsaved_events=500)
            waiting = value(text, "spool_events") + value(text, "unsaved_events")
            assert 1000 <= waiting < sent / 2
            status, body = await receiver.get("/readyz")
            assert status == 503
            assert json.loads(body)["waiting"]["has_room"] is False
            receiver.send_udp(*lines.several(sent, 20))
            text = await receiver.until(
                "frames_dropped_total", 20, transport="udp", reason="queue_full"
            )
            assert_balanced(text)
            assert value(text, "spool_events") + value(text, "unsaved_events") == waiting, (
                "the sender is held back"
            )
            assert not sending.done()
            assert memory_of(receiver.process.pid) < memory + 64 * 1024 * 1024
            await server.start()
            try:
                await sending
                text = await receiver.until("published_total", sent, seconds=100, result="ok")
                assert_balanced(text)
                assert value(text, "frames_dropped_total") == 20
                async with client_of(server) as client:
                    assert await stream_messages(client) == sent
                assert await receiver.stop() == 0
            finally:
                await server.kill()


async def _send(writer: asyncio.StreamWriter, some: list[bytes]) -> None:
    for start in range(0, len(some), 100):
        writer.write(lines.block(*some[start : start + 100]))
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def test_a_full_stream_is_named_and_beside_a_full_spool_nothing_is_ready(
    tmp_path: Path,
) -> None:
    """It was ready with nowhere to go, and no word in its log said that the stream was full."""
    async with real_nats(tmp_path) as server, client_of(server) as client:
        jetstream = client.jetstream()
        stream = await jetstream.add_stream(
            name="POSTFIX", subjects=["postfix.>"], max_msgs=10, discard="new"
        )
        async with serve(
            tmp_path, "--nats", server.url, MAILFAULT_SPOOL__MAX_EVENTS="20"
        ) as receiver:
            await receiver.send_tcp(lines.block(*lines.several(0, 100)))
            refusal = await receiver.said("stream_refuses")
            assert refusal["reason"] == "maximum messages exceeded (503/10077)"
            detail = await _ready(receiver, 503)
            assert detail["nats"]["refusal"] == refusal["reason"]
            assert detail["spool"]["has_room"] is False
            stream.config.max_msgs = -1
            await jetstream.update_stream(stream.config)
            await receiver.until("published_total", 100, result="ok")
            await _ready(receiver, 200)
            assert len(receiver.events("stream_refuses")) == 1
            assert await receiver.stop() == 0


async def _ready(receiver: Serve, wanted: int) -> dict[str, Any]:
    """What `/readyz` tells as soon as that is its status."""
    async with asyncio.timeout(40):
        while True:
            status, body = await receiver.get("/readyz")
            if status == wanted:
                detail: dict[str, Any] = json.loads(body)
                return detail
            await asyncio.sleep(0.02)
