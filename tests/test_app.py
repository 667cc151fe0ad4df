"""The whole receiver: `mailfault serve` as a process, with a real nats-server."""

import asyncio
import json
import os
import signal
import socket
import ssl
import sys
import time
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client

import schemas
from service.receiver import Receiver
from service.settings import fixed
from tests import sample_lines as lines
from tests.cli.run import environment
from tests.listeners.certificates import Identity, Site
from tests.metric_values import assert_balanced, value
from tests.nats_server import RealNats, client_of, real_nats, stream_messages
from tests.serve import serve

MIX = [lines.HARMLESS, lines.REJECT, lines.SENT, lines.BOUNCED, lines.UNKNOWN_SHAPE, b"\xff\x00x"]
"""Three failures, four lines that are none: the NUL ends a line on TCP."""


def block(*some: bytes) -> bytes:
    return b"".join(line + b"\n" for line in some)


def numbered(start: int, count: int) -> list[bytes]:
    return [lines.numbered(number) for number in range(start, start + count)]


async def recipients(client: Client, number: int) -> list[str | None]:
    subscription = await client.jetstream().pull_subscribe("postfix.>", stream="POSTFIX")
    found: list[str | None] = []
    while len(found) < number:
        for message in await subscription.fetch(min(500, number - len(found)), timeout=10):
            found.append(schemas.decode(message.data).recipient)
            await message.ack()  # no more than 1,000 are given out unacknowledged
    return found


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class TestEmbedded:
    async def test_starts_and_stops_a_server_of_its_own(self, tmp_path: Path) -> None:
        async with serve(tmp_path, MAILFAULT_NATS__EMBEDDED_PORT="0") as receiver:
            started = receiver.events("embedded_nats_started")[0]
            (child,) = children(receiver.process.pid)
            await receiver.send_tcp(block(*MIX))
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
                await receiver.send_tcp(block(*numbered(number, 1)))
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
            MAILFAULT_NATS__SERVERS="nats://127.0.0.1:1",
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


class TestStopping:
    async def test_drains_what_was_sent_before(self, tmp_path: Path) -> None:
        """Over TCP and UDP, still in the kernel's buffers and in flight."""
        async with real_nats(tmp_path) as server:
            async with serve(tmp_path, "--nats", server.url) as receiver:
                await receiver.said("nats_connected")
                _, writer = await asyncio.open_connection(*receiver.address("tcp"))
                writer.write(block(*numbered(0, 2000)))
                await writer.drain()
                receiver.send_udp(*numbered(10_000, 50))
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
        # A cap of one event, and a second one that nobody takes: it waits for the disk.
        async with serve(
            tmp_path, "--nats", "nats://127.0.0.1:1", MAILFAULT_SPOOL__MAX_EVENTS="1"
        ) as receiver:
            await receiver.send_tcp(block(lines.REJECT))
            await receiver.until("spool_events", 1)
            await receiver.send_tcp(block(lines.BOUNCED))
            await receiver.until("unsaved_events", 1)
            receiver.process.send_signal(first)
            await receiver.said("stopping")
            receiver.process.send_signal(signal.SIGTERM)
            assert await receiver.ended() == -signal.SIGTERM

    async def test_what_nats_does_not_take_stays_on_disk(self, tmp_path: Path) -> None:
        async with serve(tmp_path, "--nats", "nats://127.0.0.1:1") as receiver:
            await receiver.send_tcp(block(*numbered(0, 7)))
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
            "nats://127.0.0.1:1",
            MAILFAULT_SHUTDOWN_TIMEOUT="0.2",
            MAILFAULT_SPOOL__MAX_EVENTS="1",
        ) as receiver:
            await receiver.send_tcp(block(*numbered(0, 1)))
            await receiver.until("spool_events", 1)
            await receiver.send_tcp(block(*numbered(1, 7)))
            await receiver.until("unsaved_events", 7)
            assert await receiver.stop() == 1
        assert receiver.events("events_lost")[0]["events"] == 7

    async def test_is_not_ready_while_it_stops(self, tmp_path: Path) -> None:
        # A cap of one event, and a second one that nobody takes: it waits for the disk.
        async with serve(
            tmp_path, "--nats", "nats://127.0.0.1:1", MAILFAULT_SPOOL__MAX_EVENTS="1"
        ) as receiver:
            await receiver.send_tcp(block(lines.REJECT))
            await receiver.until("spool_events", 1)
            await receiver.send_tcp(block(lines.BOUNCED))
            await receiver.until("unsaved_events", 1)
            receiver.process.send_signal(signal.SIGTERM)
            await receiver.said("stopping")
            status, body = await receiver.get("/readyz")
            assert status == 503
            assert json.loads(body)["listening"] is False
            assert (await receiver.get("/livez"))[0] == 200


class TestLimits:
    async def test_what_they_cost_is_counted_and_balances(self, tmp_path: Path) -> None:
        limits: dict[str, Any] = {
            "MAILFAULT_TCP__HALF_FRAME_TIMEOUT": "0.05",
            "MAILFAULT_UDP__RATE_LIMIT": "0.001",
            "MAILFAULT_UDP__RATE_LIMIT_BURST": "3",
            "MAILFAULT_UDP__ALLOW": "127.0.0.0/30",
        }
        async with serve(tmp_path, "--nats", "nats://127.0.0.1:1", **limits) as receiver:
            reader, writer = await asyncio.open_connection(*receiver.address("tcp"))
            writer.write(block(lines.REJECT) + lines.BOUNCED)
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


class TestReloading:
    CONFIG = '[log]\nlevel = "{level}"\n[queue]\nmax_events = {room}\n'

    async def test_certificates_are_taken_over(self, tmp_path: Path) -> None:
        site = Site.build(tmp_path / "certificates")
        config = tmp_path / "c.toml"

        def write(server: Identity, peer: str, ca_file: Path, frames: int = 65536) -> None:
            config.write_text(
                f'[tls]\nlisten = ["127.0.0.1:0"]\nca_file = "{ca_file}"\n'
                f'cert_file = "{server.cert_file}"\nkey_file = "{server.key_file}"\n'
                f'auth_mode = "x509/name"\npermitted_peers = ["{peer}"]\n'
                f"max_frame_bytes = {frames}\n"
            )

        async def shown() -> bytes:
            _, writer = await asyncio.open_connection(
                *receiver.address("tls"), ssl=context, server_hostname="receiver.example.net"
            )
            writer.write(lines.BOUNCED + b"\n")
            certificate: bytes = writer.get_extra_info("ssl_object").getpeercert(True)
            writers.append(writer)
            return certificate

        authority = site.authority.cert_file
        context = ssl.create_default_context(cafile=str(authority))
        context.load_cert_chain(site.client.cert_file, site.client.key_file)
        writers: list[asyncio.StreamWriter] = []
        write(site.server, "mx1.example.net", authority)
        nats_options = ("--nats", "nats://127.0.0.1:1", "--config", str(config))
        async with serve(tmp_path, *nats_options) as receiver:
            assert await shown() == site.server.der
            await receiver.until("frames_received_total", 1, transport="tls")

            renewed = site.issue("receiver.example.net")
            write(renewed, "mx*.example.net", authority)
            receiver.process.send_signal(signal.SIGHUP)
            assert (await receiver.said("reloaded"))["needs_restart"] == []
            assert await shown() == renewed.der

            write(site.server, "mx1.example.net", tmp_path / "gone.pem")
            receiver.process.send_signal(signal.SIGHUP)
            [problem] = (await receiver.said("reload_refused"))["problems"]
            assert problem.startswith("tls.ca_file: ")
            assert await shown() == renewed.der

            write(renewed, "mx*.example.net", authority, frames=1000)
            receiver.process.send_signal(signal.SIGHUP)
            assert (await receiver.said("reloaded", 2))["needs_restart"] == ["tls"]

            writers[0].write(lines.REJECT + b"\n")
            text = await receiver.until("frames_received_total", 4, transport="tls")
            assert value(text, "connections", transport="tls") == 3
            assert value(text, "tls_certificate_expiry_timestamp_seconds") > time.time()
            assert_balanced(text)
            for writer in writers:
                writer.close()

    async def test_good_and_bad(self, tmp_path: Path) -> None:
        config = tmp_path / "c.toml"
        config.write_text(self.CONFIG.format(level="info", room=10))
        nats_options = ("--nats", "nats://127.0.0.1:1", "--config", str(config))
        async with serve(tmp_path, *nats_options) as receiver:
            config.write_text(self.CONFIG.format(level="info", room=20))
            receiver.process.send_signal(signal.SIGHUP)
            assert (await receiver.said("reloaded"))["needs_restart"] == ["queue"]

            config.write_text(self.CONFIG.format(level="loud", room=0))
            receiver.process.send_signal(signal.SIGHUP)
            refused = await receiver.said("reload_refused")
            assert [problem.partition(":")[0] for problem in refused["problems"]] == [
                "queue.max_events",
                "log.level",
            ]

            config.write_text(self.CONFIG.format(level="info", room=10))
            receiver.process.send_signal(signal.SIGHUP)
            assert (await receiver.said("reloaded", 2))["needs_restart"] == []

            # The level is taken over: stopping in good order is no error, and not told.
            config.write_text(self.CONFIG.format(level="error", room=10))
            receiver.process.send_signal(signal.SIGHUP)
            # An answer takes several turns of the loop, which has seen the signal by then.
            assert (await receiver.get("/livez"))[0] == 200
            assert await receiver.stop() == 0
        assert "stopping" not in [event["event"] for event in receiver.log]

    async def test_rules_are_taken_over(self, tmp_path: Path) -> None:
        rules = tmp_path / "rules.toml"
        rule = (
            '[[rule]]\nid = "ours.zork"\nany = "zork"\ncategory = "timeout"\nscope = "local"\n'
            'source = "us"\n[[provider]]\nname = "ours"\nhosts = ["example.net"]\n'
        )
        config = tmp_path / "c.toml"
        config.write_text("")
        sent = iter(range(100))

        async def classified() -> tuple[str | None, ...]:
            number = next(sent)
            line = lines.UNCLASSIFIED.replace(b"gone@", b"gone%d@" % number)
            await receiver.send_tcp(line + b"\n")
            event = schemas.decode((await events.next_msg(timeout=20)).data)
            assert event.recipient == f"gone{number}@Example.NET"
            return event.category, event.scope, event.provider

        async with real_nats(tmp_path / "nats") as server, client_of(server) as client:
            options = ("--nats", server.url, "--config", str(config))
            events = await client.subscribe("postfix.>")
            async with serve(tmp_path, *options) as receiver:
                assert await classified() == ("other", "unknown", None)

                rules.write_text(rule)
                config.write_text(f'[classify]\nrules = ["{rules}"]\n')
                receiver.process.send_signal(signal.SIGHUP)
                assert (await receiver.said("reloaded"))["needs_restart"] == []
                assert await classified() == ("timeout", "local", "ours")

                rules.write_text(rule.replace("timeout", "timeuot"))
                receiver.process.send_signal(signal.SIGHUP)
                (problem,) = (await receiver.said("reload_refused"))["problems"]
                assert problem == (
                    f"{rules}: rule ours.zork: category: 'timeuot' is not known; "
                    "did you mean timeout?"
                )
                assert await classified() == ("timeout", "local", "ours")

                rules.write_text(rule.replace('"zork"', '"never said"'))
                receiver.process.send_signal(signal.SIGHUP)
                await receiver.said("reloaded", 2)
                assert await classified() == ("other", "unknown", "ours")
                text = await receiver.metrics()
                assert value(text, "unclassified_total", provider="none") == 1
                assert value(text, "unclassified_total", provider="ours") == 1
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
                "nats://127.0.0.1:1",
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
        options = ("--nats", "nats://127.0.0.1:1", option, "a..b:5514")
        async with serve(tmp_path, *options, started=False) as receiver:
            assert await receiver.ended() == 1
        assert "a..b:5514" in receiver.events("start_failed")[0]["error"]


class TestWithoutNats:
    async def test_events_wait_until_it_appears(self, tmp_path: Path) -> None:
        server = RealNats(tmp_path)
        await server.start()
        await server.stop()  # only its port is wanted
        async with serve(tmp_path, "--nats", server.url) as receiver:
            await receiver.send_tcp(block(*numbered(0, 100)))
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
            memory = _memory(receiver.process.pid)
            _, writer = await asyncio.open_connection(*receiver.address("tcp"))
            sending = asyncio.create_task(_send(writer, numbered(0, sent)))
            await receiver.until("reads_paused_total", 1, transport="tcp")
            # Both rooms full at once: from then on nothing moves until NATS is back.
            text = await receiver.until_all(spool_events=500, unsaved_events=500)
            waiting = value(text, "spool_events") + value(text, "unsaved_events")
            assert 1000 <= waiting < sent / 2
            status, body = await receiver.get("/readyz")
            assert status == 503
            assert json.loads(body)["waiting"]["has_room"] is False
            receiver.send_udp(*numbered(sent, 20))
            text = await receiver.until(
                "frames_dropped_total", 20, transport="udp", reason="queue_full"
            )
            assert_balanced(text)
            assert value(text, "spool_events") + value(text, "unsaved_events") == waiting, (
                "the sender is held back"
            )
            assert not sending.done()
            assert _memory(receiver.process.pid) < memory + 64 * 1024 * 1024
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
        writer.write(block(*some[start : start + 100]))
        await writer.drain()
    writer.close()
    await writer.wait_closed()


def _memory(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def test_the_way_of_every_line(tmp_path: Path) -> None:
    """Both transports, all kinds of lines, any bytes: counted, and the failures in the stream."""
    async with real_nats(tmp_path) as server:
        async with serve(tmp_path, "--nats", server.url) as receiver:
            await receiver.send_tcp(block(*MIX) + b"99999999 <22>")
            await receiver.send_tcp(os.urandom(200_000))
            receiver.send_udp(*MIX, b"", b"zx\x9cjunk", os.urandom(1000))
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
            writer.write(block(*MIX))
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
