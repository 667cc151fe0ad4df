"""The receiver under a service manager: its sockets outlive it, and it tells how it is."""

import asyncio
import signal
import socket
from contextlib import ExitStack
from pathlib import Path

from tests import sample_lines as lines
from tests.nats_server import client_of, real_nats, recipients
from tests.processes import children
from tests.relp_wires import ok, opening, syslog
from tests.systemd.manager import activated, bound, launch, listening_to, refused

STREAM, DATAGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM


def environ(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def all_of(count: int) -> list[str]:
    return sorted(f"v{number}@other.example" for number in range(count))


async def test_a_restart_keeps_what_the_kernel_has(tmp_path: Path) -> None:
    """Datagrams sent and connections made while nobody is there."""
    async with real_nats(tmp_path) as server:
        with ExitStack() as kept:
            udp, tcp, relp = (
                kept.enter_context(bound(kind)) for kind in (DATAGRAM, STREAM, STREAM)
            )
            sockets = [("udp", udp), ("tcp", tcp), ("relp", relp)]
            sender = kept.enter_context(socket.socket(socket.AF_INET, DATAGRAM))
            sender.connect(udp.getsockname())
            async with activated(tmp_path, "--nats", server.url, sockets=sockets) as first:
                assert first.address("udp") == udp.getsockname()
                for number in range(50):
                    sender.send(lines.numbered(number))
                first.process.send_signal(signal.SIGTERM)
                for number in range(50, 100):  # while it stops, and after
                    sender.send(lines.numbered(number))
                assert await first.ended() == 0
            for number in range(100, 140):
                sender.send(lines.numbered(number))
            _, stream = await asyncio.open_connection(*tcp.getsockname())
            stream.write(lines.numbered(140) + b"\n")
            answers, frames = await asyncio.open_connection(*relp.getsockname())
            frames.write(opening() + syslog(2, lines.numbered(141)))
            await asyncio.gather(stream.drain(), frames.drain())

            async with activated(tmp_path, "--nats", server.url, sockets=sockets) as second:
                sender.send(lines.numbered(142))
                assert (await answers.readuntil(ok(2))).endswith(ok(2))
                await second.said("nats_connected")  # the answer may be for what is on its disk
                async with client_of(server) as client:
                    found = await recipients(client, 143)
                for writer in (stream, frames):
                    writer.close()
                assert await second.stop() == 0
    assert sorted(str(address) for address in found) == all_of(143)


async def test_what_the_manager_hears(tmp_path: Path) -> None:
    async with listening_to() as (told, path):
        with bound(STREAM) as tcp:
            async with activated(
                tmp_path,
                *("--embedded-nats", "--data-dir", tmp_path / "data"),
                sockets=[("tcp", tcp)],
                env={
                    "NOTIFY_SOCKET": path,
                    "WATCHDOG_USEC": "200000",
                    "MAILFAULT_NATS__EMBEDDED_PORT": "0",
                },
            ) as receiver:
                await told.next("READY=1")
                assert tcp.getsockname() == receiver.address("tcp")
                await told.next("WATCHDOG=1")
                await told.next("STATUS=ready; NATS connected; 0 events wait")
                (child,) = children(receiver.process.pid)
                its = environ(child)
                assert b"HOME=" in its
                for variable in (b"LISTEN_", b"NOTIFY_SOCKET", b"WATCHDOG_"):
                    assert variable not in its

                receiver.process.send_signal(signal.SIGHUP)
                await told.next("RELOADING=1\nMONOTONIC_USEC=")
                await told.next("READY=1")
                assert (await receiver.said("reloaded"))["needs_restart"] == []
                await told.next("WATCHDOG=1")
                receiver.process.send_signal(signal.SIGTERM)
                await told.next("STOPPING=1")
                assert await receiver.ended() == 0
        assert not receiver.events("service_manager_not_told")


async def test_a_start_that_fails_is_told(tmp_path: Path) -> None:
    async with listening_to() as (told, path):
        with bound(STREAM) as taken:
            host, port = taken.getsockname()
            process = await launch(
                tmp_path,
                *("--tcp", f"{host}:{port}", "--nats", "nats://127.0.0.1:1"),
                env={"NOTIFY_SOCKET": path},
            )
            said = await told.next("STATUS=")
            await process.communicate()
    assert process.returncode == 1
    assert said.startswith(f"STATUS=start failed: tcp {host}:{port}: ")
    assert not any(message.startswith("READY") for message in told.messages)


async def test_sockets_that_nothing_is_configured_for(tmp_path: Path) -> None:
    with bound(STREAM) as plain, bound(STREAM) as tls:
        said = await refused(tmp_path, sockets=[("mailfault.socket", plain), ("udp", tls)])
    assert [line.partition(": ")[0] for line in said] == [
        "descriptor 3, named 'mailfault.socket'",
        "descriptor 4, named 'udp'",
    ]


async def test_a_tls_socket_without_certificates(tmp_path: Path) -> None:
    with bound(STREAM) as tls:
        (said,) = await refused(tmp_path, sockets=[("tls", tls)])
    assert said == "tls: cert_file and key_file are needed to listen"
