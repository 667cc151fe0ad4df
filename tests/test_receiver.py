"""The receiver as a whole, with a real nats-server: what goes in comes out, and where it cannot
run it says so."""

import asyncio
import os
import socket
from pathlib import Path
from typing import Any

import nats
import pytest

from service.receiver import Receiver
from service.settings import fixed
from tests import sample_lines as lines
from tests.metric_values import assert_balanced, value
from tests.nats_server import client_of, real_nats, stream_messages
from tests.processes import children, is_running
from tests.serve import NOWHERE, serve


class TestEmbedded:
    async def test_starts_and_stops_a_server_of_its_own(self, tmp_path: Path) -> None:
        async with serve(tmp_path, MAILFAULT_NATS__EMBEDDED_PORT="0") as receiver:
            started = receiver.events("embedded_nats_started")[0]
            (child,) = children(receiver.process.pid)
            await receiver.send_tcp(lines.block(*lines.MIX))
            await receiver.until("published_total", 3, result="ok")
            client = await nats.connect(started["url"])
            info = await client.jetstream().stream_info("POSTFIX")
            await client.close()
            assert info.state.messages == 3
            assert await receiver.stop() == 0
        assert not is_running(child)
        assert (tmp_path / "data" / "nats").is_dir()
        assert receiver.log[-1]["event"] == "stopped"

    async def test_does_not_outlive_a_receiver_that_is_killed(self, tmp_path: Path) -> None:
        async with serve(tmp_path, MAILFAULT_NATS__EMBEDDED_PORT="0") as receiver:
            (child,) = children(receiver.process.pid)
            receiver.process.kill()
            await receiver.ended()
            async with asyncio.timeout(30):
                while is_running(child):  # noqa: ASYNC110  # it is not ours to wait for
                    await asyncio.sleep(0.01)

    async def test_events_outlive_a_restart(self, tmp_path: Path) -> None:
        for number in (1, 2):
            async with serve(tmp_path, MAILFAULT_NATS__EMBEDDED_PORT="0") as receiver:
                await receiver.send_tcp(lines.block(*lines.several(number, 1)))
                await receiver.until("published_total", 1, result="ok")
                url = receiver.events("embedded_nats_started")[0]["url"]
                client = await nats.connect(url)
                assert await stream_messages(client) == number
                await client.close()
                assert await receiver.stop() == 0

    async def test_can_be_asked_for_against_the_configuration(self, tmp_path: Path) -> None:
        async with serve(
            tmp_path,
            "--embedded-nats",
            MAILFAULT_NATS__SERVERS=NOWHERE,
            MAILFAULT_NATS__EMBEDDED_PORT="0",
        ) as receiver:
            await receiver.said("nats_connected")
            assert len(receiver.events("embedded_nats_started")) == 1
            assert await receiver.stop() == 0

    async def test_no_binary(self, tmp_path: Path) -> None:
        """It must say so and end, not hang."""
        nowhere = str(tmp_path / "nowhere")
        async with serve(
            tmp_path, started=False, MAILFAULT_NATS__EMBEDDED_BINARY=nowhere
        ) as receiver:
            assert await receiver.ended() == 1
        assert receiver.events("start_failed")[0]["error"] == (
            f"nats.embedded_binary {nowhere}: not an executable file"
        )


class TestLimits:
    async def test_what_they_cost_is_counted_and_balances(self, tmp_path: Path) -> None:
        limits: dict[str, Any] = {
            "MAILFAULT_TCP__HALF_FRAME_TIMEOUT": "0.05",
            "MAILFAULT_UDP__RATE_LIMIT": "0.001",
            "MAILFAULT_UDP__RATE_LIMIT_BURST": "3",
            "MAILFAULT_UDP__ALLOW": "127.0.0.0/30",
        }
        async with serve(tmp_path, "--nats", NOWHERE, **limits) as receiver:
            reader, writer = await asyncio.open_connection(*receiver.address("tcp"))
            writer.write(lines.block(lines.REJECT) + lines.BOUNCED)
            assert await reader.read() == b""
            writer.close()
            receiver.send_udp(*[lines.SENT] * 10)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                stranger.bind(("127.0.0.9", 0))
                stranger.sendto(lines.REJECT, receiver.address("udp"))
            text = await receiver.until("frames_received_total", 13)
            assert value(text, "events_total", type="reject") == 1
            assert value(text, "frames_dropped_total", transport="tcp", reason="stalled") == 1
            assert value(text, "frames_dropped_total", transport="udp", reason="rate_limited") == 7
            assert value(text, "frames_dropped_total", transport="udp", reason="not_allowed") == 1
            assert value(text, "rate_limit_sources") == 1
            assert_balanced(text)


class TestWhereItCannotListen:
    @pytest.mark.parametrize(
        ("transport", "kind"),
        [("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM), ("http", socket.SOCK_STREAM)],
    )
    async def test_a_port_that_is_taken(
        self, tmp_path: Path, transport: str, kind: socket.SocketKind
    ) -> None:
        with socket.socket(socket.AF_INET, kind) as taken:
            taken.bind(("127.0.0.1", 0))
            if kind is socket.SOCK_STREAM:
                taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            async with serve(
                tmp_path,
                "--nats",
                NOWHERE,
                f"--{transport}",
                address,
                started=False,
            ) as receiver:
                assert await receiver.ended() == 1
        error = receiver.events("start_failed")[0]["error"]
        assert error.startswith(f"{transport} {address}: ")
        assert "ddress already in use" in error

    @pytest.mark.parametrize("option", ["--udp", "--http"])
    async def test_a_name_that_no_host_can_have(self, tmp_path: Path, option: str) -> None:
        options = ("--nats", NOWHERE, option, "a..b:5514")
        async with serve(tmp_path, *options, started=False) as receiver:
            assert await receiver.ended() == 1
        assert "a..b:5514" in receiver.events("start_failed")[0]["error"]


async def test_the_way_of_every_line(tmp_path: Path) -> None:
    """Both transports, all kinds of lines, any bytes: counted, and the failures in the stream."""
    async with real_nats(tmp_path) as server:
        async with serve(tmp_path, "--nats", server.url) as receiver:
            await receiver.send_tcp(lines.block(*lines.MIX) + b"99999999 <22>")
            await receiver.send_tcp(os.urandom(200_000))
            receiver.send_udp(*lines.MIX, b"", b"zx\x9cjunk", os.urandom(1000))
            # The same failures: their ids know nothing of the transport.
            text = await receiver.until("published_total", 6)
            assert value(text, "published_total", result="duplicate") == 3
            await receiver.until("frames_received_total", 9, transport="udp")
            await receiver.until("frames_dropped_total", 1, reason="bad_count")
            async with client_of(server) as client:
                assert await stream_messages(client) == 3
            assert await receiver.stop() == 0
        assert "connection_closed" in [event["event"] for event in receiver.log]


async def test_a_receiver_in_this_process(tmp_path: Path) -> None:
    """As `demo` uses it; and what health says of NATS."""
    async with real_nats(tmp_path) as server:
        receiver = Receiver(
            fixed(
                {
                    "data_dir": tmp_path / "data",
                    "udp": {"listen": ["127.0.0.1:0"]},
                    "tcp": {"listen": ["127.0.0.1:0"]},
                    "http": {"listen": "127.0.0.1:0"},
                    "nats": {"servers": [server.url]},
                    "rollup": {"enabled": False},
                }
            )
        )
        assert not receiver.health().ready
        await receiver.start()
        try:
            assert receiver.nats_url == server.url
            (tcp,) = (each for each in receiver.listeners if each.transport == "tcp")
            _, writer = await asyncio.open_connection(*tcp.address)
            writer.write(lines.block(*lines.MIX))
            writer.close()
            await writer.wait_closed()
            async with asyncio.timeout(20):
                while receiver.metrics.balance()["frames received"] < 7:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                await receiver.settled()
            health = receiver.health()
            assert health.ready
            assert health.detail["nats"]["connected"]
            assert health.detail["nats"]["stream"] == "ready"
            assert health.detail["waiting"] == {"events": 0, "has_room": True}
            assert health.detail["spool"]["has_room"]
        finally:
            assert await receiver.stop() == 0
        assert not receiver.health().ready
        assert_balanced(receiver.metrics)


async def test_a_receiver_whose_subjects_go_to_another_stream_is_not_ready(tmp_path: Path) -> None:
    """Its events would end as dead letters, of which only so many are kept."""
    async with real_nats(tmp_path) as server, client_of(server) as client:
        await client.jetstream().add_stream(name="OTHER", subjects=["postfix.>"])
        receiver = Receiver(
            fixed({"data_dir": tmp_path / "data", "nats": {"servers": [server.url]}})
        )
        await receiver.start()
        try:
            async with asyncio.timeout(20):
                while receiver.health().detail["nats"]["stream"] != "foreign":  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            health = receiver.health()
            assert not health.ready
            assert "stream OTHER takes postfix.> already" in health.detail["nats"]["findings"][0]
        finally:
            await receiver.stop()
