"""Lines over TLS on real sockets: all that was sent whole comes in, and nobody is waited for."""

import asyncio
import os
import shutil
import socket
import ssl
from typing import Any

import pytest

from service.core.outcomes import Drop, Refusal
from service.metrics import Metrics
from tests.core.framing.test_proxy_v2 import tcp4
from tests.fakes import FakeIntake, NarrowIntake
from tests.listeners.certificates import Site, make
from tests.listeners.tls_senders import (
    VERSIONS,
    client_context,
    connect,
    listening,
    refused,
    send,
)
from tests.metric_values import value


@pytest.mark.parametrize("version", VERSIONS)
async def test_both_framings_in_one_connection(site: Site, version: ssl.TLSVersion) -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(site, intake, metrics) as listener:
        context = client_context(site, site.client, version)
        await send(listener, context, b"<22>one\n5 <22>t<22>three\n8 <22>four<22>tail")
        await intake.until(lambda seen: len(seen.frames) == 5)
    assert intake.frames == [b"<22>one", b"<22>t", b"<22>three", b"<22>four", b"<22>tail"]
    assert intake.origins[0].transport == "tls"
    assert intake.origins[0].source_ip == "127.0.0.1"
    assert value(metrics, "connections", transport="tls") == 0
    assert value(metrics, "connections_refused_total") == 0


async def test_garbage_inside_the_connection_ends_it(site: Site) -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(site, intake, metrics) as listener:
        _, writer = await connect(listener, client_context(site, site.client))
        writer.write(b"<22>whole\n<22>half")
        await intake.until(lambda seen: len(seen.frames) == 1)
        sock = writer.get_extra_info("socket")
        await asyncio.get_running_loop().run_in_executor(None, _raw_send, sock.fileno())
        await intake.until(lambda seen: len(seen.faults) == 1)
        writer.transport.abort()
    assert intake.frames == [b"<22>whole"], "and the half one is not taken for a whole line"
    assert intake.faults[0].kind is Drop.CUT_SHORT


def _raw_send(number: int) -> None:
    os.write(number, b"\x17\x03\x03\x00\x20" + b"x" * 32)


async def test_cut_off_without_a_close_notify_the_last_line_is_not_whole(site: Site) -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(site, intake, metrics) as listener:
        _, writer = await connect(listener, client_context(site, site.client))
        writer.write(b"<22>whole\n<22>half")
        await intake.until(lambda seen: len(seen.frames) == 1)
        writer.transport.abort()
        await intake.until(lambda seen: len(seen.faults) == 1)
    assert intake.frames == [b"<22>whole"]
    assert intake.faults[0].kind is Drop.CUT_SHORT


async def test_a_silent_peer_is_not_waited_for(site: Site) -> None:
    intake, metrics = FakeIntake(), Metrics()
    # Long enough for the one who does speak on a machine that stands still for a while.
    async with listening(site, intake, metrics, handshake_timeout=5) as listener:
        reader, writer = await asyncio.open_connection(*listener.address)
        writer.write(b"\x16\x03\x01")  # the first bytes of a ClientHello
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()
        await listener.closed(timeout=20)
        assert refused(metrics, Refusal.HANDSHAKE_TIMEOUT) == 1
        _, quiet = await connect(listener, client_context(site, site.client))
        quiet.write(b"<22>one\n")
        await intake.until(lambda seen: len(seen.frames) == 1)
        quiet.close()
    assert value(metrics, "connections_refused_total") == 1


async def test_a_full_intake_holds_the_sender_back_and_loses_nothing(site: Site) -> None:
    intake, metrics = FakeIntake(), Metrics()
    intake.has_room = False
    line = b"<22>" + b"x" * 1000 + b"\n"
    lines = 10_000
    async with listening(site, intake, metrics) as listener:
        _, writer = await connect(listener, client_context(site, site.client))
        writer.write(line)
        await intake.until(lambda seen: seen.held_back == 1)
        writer.write(line * (lines - 1))
        intake.make_room()
        await intake.until(lambda seen: len(seen.frames) == lines)
        writer.close()
        await writer.wait_closed()
    assert set(intake.frames) == {line[:-1]}


async def test_a_handshake_is_not_made_to_wait_for_room(site: Site) -> None:
    intake, metrics = FakeIntake(), Metrics()
    intake.has_room = False
    async with listening(site, intake, metrics) as listener:
        _, writer = await connect(listener, client_context(site, site.client))
        writer.write(b"<22>line\n")
        await intake.until(lambda seen: seen.held_back == 1)
        intake.make_room()
        await intake.until(lambda seen: seen.frames == [b"<22>line"])
        writer.close()
        await writer.wait_closed()
    assert value(metrics, "connections_refused_total") == 0


async def test_who_says_goodbye_while_its_lines_wait_is_heard_to_the_end(site: Site) -> None:
    intake, metrics = NarrowIntake(), Metrics()
    folded = b"<22>mx postfix/smtp[1]: message repeated 9 times: [ status=bounced]"
    lines = 500
    async with listening(site, intake, metrics) as listener:
        reader, writer = await connect(listener, client_context(site, site.client))
        writer.write((folded + b"\n") * lines + b"<22>without its end")
        writer.close()
        while len(intake.frames) <= lines:
            await intake.until(lambda seen: seen.held_back > 0 or len(seen.frames) > lines)
            intake.make_room()
        assert await reader.read() == b""
    assert intake.frames == [folded] * lines + [b"<22>without its end"]
    assert intake.faults == []


async def test_stop_reads_what_the_kernel_already_holds(site: Site) -> None:
    intake, metrics = FakeIntake(), Metrics()
    lines = 2_000
    async with listening(site, intake, metrics) as listener:
        _, writer = await connect(listener, client_context(site, site.client))
        intake.has_room = False
        writer.write(b"<22>first\n")
        await intake.until(lambda seen: seen.held_back == 1)
        writer.write(b"<22>line\n" * lines + b"<22>unfinished")
        await writer.drain()
        intake.make_room()
        await listener.stop(timeout=5)
        writer.close()
    assert len(intake.frames) == lines + 1
    assert [fault.kind for fault in intake.faults] == [Drop.CUT_SHORT]
    assert value(metrics, "connections", transport="tls") == 0


async def test_the_openssl_command_is_let_in_by_its_fingerprint(site: Site) -> None:
    openssl = shutil.which("openssl")
    assert openssl is not None
    client = make(site.home, "cli.example.org")
    peers: dict[str, Any] = {
        "auth_mode": "x509/fingerprint",
        "permitted_peers": [client.fingerprint],
    }
    intake, metrics = FakeIntake(), Metrics()
    async with listening(site, intake, metrics, **peers) as listener:
        host, port = listener.address
        process = await asyncio.create_subprocess_exec(
            openssl, "s_client", "-quiet", "-no_ign_eof", "-connect", f"{host}:{port}",
            "-cert", client.cert_file, "-key", client.key_file,
            "-CAfile", site.authority.cert_file, "-verify_return_error",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        await process.communicate(b"<22>from the command\n")
        await intake.until(lambda seen: seen.frames == [b"<22>from the command"])


async def test_a_proxy_header_comes_in_clear_before_tls(site: Site) -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(site, intake, metrics, proxy_protocol_from="127.0.0.5") as listener:
        with socket.create_connection(listener.address, source_address=("127.0.0.5", 0)) as sock:
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_sendall(sock, tcp4("203.0.113.7"))
            context = client_context(site, site.client)
            _, writer = await asyncio.open_connection(
                sock=sock, ssl=context, server_hostname="receiver.example.net"
            )
            writer.write(b"<22>line\n")
            await intake.until(lambda seen: seen.frames == [b"<22>line"])
            writer.close()
            await writer.wait_closed()
    assert intake.origins[0].source_ip == "203.0.113.7"


async def test_half_a_frame_inside_tls_is_given_up(site: Site) -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(site, intake, metrics, half_frame_timeout=0.05) as listener:
        reader, writer = await connect(listener, client_context(site, site.client))
        writer.write(b"<22>whole\n9 <22>")
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()
        await listener.closed(timeout=10)
    assert [fault.kind for fault in intake.faults] == [Drop.STALLED]
