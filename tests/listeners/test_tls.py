"""The TLS listener on real sockets: who is let in, who is refused and how the log names them."""

import asyncio
import os
import random
import shutil
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL
from pydantic import ValidationError
from structlog.testing import capture_logs

from service.core.outcomes import Drop, Refusal
from service.listeners.tls import TlsConfig, TlsListener
from service.listeners.tls_context import ServerTls, TlsError
from service.metrics import Metrics
from tests.core.framing.test_proxy_v2 import tcp4
from tests.fakes import FakeIntake
from tests.listeners.certificates import Identity, Site, make
from tests.metric_values import value


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site.build(tmp_path_factory.mktemp("certificates"))


def configured(site: Site, **config: Any) -> TlsConfig:
    given: dict[str, Any] = {
        "listen": ["127.0.0.1:0"],
        "cert_file": site.server.cert_file,
        "key_file": site.server.key_file,
    }
    if config.get("auth_mode", "x509/certvalid") in ("x509/certvalid", "x509/name"):
        given["ca_file"] = site.authority.cert_file
    return TlsConfig(**{**given, **config})


@asynccontextmanager
async def listening(
    site: Site, intake: FakeIntake, metrics: Metrics, tls: ServerTls | None = None, **config: Any
) -> AsyncIterator[TlsListener]:
    made = configured(site, **config)
    listener = TlsListener("127.0.0.1:0", made, intake, metrics, tls or ServerTls(made))
    await listener.start()
    try:
        yield listener
    finally:
        await listener.stop(timeout=5)


def client_context(
    site: Site, identity: Identity | None, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(site.authority.cert_file))
    context.minimum_version = context.maximum_version = version
    if identity is not None:
        context.load_cert_chain(identity.cert_file, identity.key_file)
    return context


async def connect(
    listener: TlsListener, context: ssl.SSLContext
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(
        *listener.address, ssl=context, server_hostname="receiver.example.net"
    )


async def send(listener: TlsListener, context: ssl.SSLContext, data: bytes) -> None:
    _, writer = await connect(listener, context)
    writer.write(data)
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def is_refused(listener: TlsListener, context: ssl.SSLContext) -> None:
    """In TLS 1.3 a client learns after its own handshake that the server did not want it."""
    try:
        reader, writer = await connect(listener, context)
        writer.write(b"<22>never\n")
        answer = await reader.read()
    except OSError:  # ssl.SSLError and resets alike
        answer = b""
    assert answer == b""


def refused(metrics: Metrics, reason: Refusal) -> float:
    return value(metrics, "connections_refused_total", transport="tls", reason=reason.value)


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


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


ACCEPTED: list[tuple[str, dict[str, Any]]] = [
    ("mx1.example.net", {"auth_mode": "x509/name", "permitted_peers": ["mx1.example.net"]}),
    ("mx1.example.net", {"auth_mode": "x509/name", "permitted_peers": ["*.example.net"]}),
    ("mx1.example.net", {"auth_mode": "x509/name", "permitted_peers": ["a", "mx*.EXAMPLE.net"]}),
    ("mx1.example.net", {"auth_mode": "anon"}),
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("name", "config"), ACCEPTED)
async def test_who_is_permitted(
    site: Site, name: str, config: dict[str, Any], version: ssl.TLSVersion
) -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(site, intake, metrics, **config) as listener:
        await send(listener, client_context(site, site.client, version), b"<22>line\n")
        await intake.until(lambda seen: seen.frames == [b"<22>line"])


async def test_anon_asks_for_no_certificate(site: Site) -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(site, intake, metrics, auth_mode="anon") as listener:
        await send(listener, client_context(site, None), b"<22>line\n")
        await intake.until(lambda seen: seen.frames == [b"<22>line"])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("expired", [False, True])
async def test_a_self_signed_certificate_by_its_fingerprint(
    site: Site, version: ssl.TLSVersion, expired: bool
) -> None:
    """As rsyslog does it: the certificate is known, so neither chain nor dates are asked."""
    client = make(site.home, "lonely.example.org", expired=expired)
    peers: dict[str, Any] = {
        "auth_mode": "x509/fingerprint",
        "permitted_peers": [client.fingerprint.lower()],
    }
    intake, metrics = FakeIntake(), Metrics()
    async with listening(site, intake, metrics, **peers) as listener:
        await send(listener, client_context(site, client, version), b"<22>line\n")
        await intake.until(lambda seen: seen.frames == [b"<22>line"])


async def test_a_name_in_the_cn_counts_where_there_is_no_other(site: Site) -> None:
    intake, metrics = FakeIntake(), Metrics()
    peers: dict[str, Any] = {"auth_mode": "x509/name", "permitted_peers": ["old.example.net"]}
    old = site.issue("old.example.net", names=[])
    newer = site.issue("old.example.net", names=["other.example.net"])
    async with listening(site, intake, metrics, **peers) as listener:
        await send(listener, client_context(site, old), b"<22>line\n")
        await intake.until(lambda seen: seen.frames == [b"<22>line"])
        await is_refused(listener, client_context(site, newer))


NAMES: dict[str, Any] = {"auth_mode": "x509/name", "permitted_peers": ["mx1.example.net"]}
PRINTS: dict[str, Any] = {
    "auth_mode": "x509/fingerprint",
    "permitted_peers": ["SHA256:" + "AB:" * 31 + "AB"],
}

REFUSED: list[tuple[str, dict[str, Any], Refusal, str]] = [
    ("expired", {}, Refusal.BAD_CERTIFICATE, "expired"),
    ("unknown", {}, Refusal.BAD_CERTIFICATE, "issuer not in ca_file"),
    ("self-signed", {}, Refusal.BAD_CERTIFICATE, "self-signed"),
    ("server-only", {}, Refusal.BAD_CERTIFICATE, "not for TLS clients (extended key usage)"),
    ("wrong-name", NAMES, Refusal.PEER_NOT_PERMITTED, "name not permitted"),
    ("unknown", NAMES, Refusal.BAD_CERTIFICATE, "issuer not in ca_file"),
    ("wrong-name", PRINTS, Refusal.PEER_NOT_PERMITTED, "fingerprint not permitted"),
    ("self-signed", PRINTS, Refusal.PEER_NOT_PERMITTED, "fingerprint not permitted"),
]


def badly(site: Site, kind: str) -> Identity:
    if kind == "unknown":
        other = make(site.home, "other-authority", is_authority=True)
        return make(site.home, "unknown.example.net", issuer=other)
    if kind == "self-signed":
        return make(site.home, "self-signed.example.net")
    how = {"expired": {"expired": True}, "server-only": {"server_only": True}}.get(kind, {})
    return site.issue(f"{kind}.example.net", **how)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("kind", "config", "reason", "detail"), REFUSED)
async def test_who_is_refused_is_named(
    site: Site,
    kind: str,
    config: dict[str, Any],
    reason: Refusal,
    detail: str,
    version: ssl.TLSVersion,
) -> None:
    intake, metrics = FakeIntake(), Metrics()
    identity = badly(site, kind)
    with capture_logs() as logs:
        async with listening(site, intake, metrics, **config) as listener:
            await is_refused(listener, client_context(site, identity, version))
            assert refused(metrics, reason) == 1
    [line] = [entry for entry in logs if entry["event"] == "connection_refused"]
    assert line["peer"] == "127.0.0.1"
    assert line["reason"] == reason.value
    assert line["detail"] == detail
    assert line["subject"] == f"CN={kind}.example.net"
    assert line["names"] == [f"{kind}.example.net"]
    assert line["fingerprint"] == identity.fingerprint
    assert intake.frames == []
    assert value(metrics, "connections_refused_total") == 1
    assert value(metrics, "connections") == 0


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("config", [{}, NAMES, PRINTS])
async def test_no_certificate(site: Site, config: dict[str, Any], version: ssl.TLSVersion) -> None:
    intake, metrics = FakeIntake(), Metrics()
    with capture_logs() as logs:
        async with listening(site, intake, metrics, **config) as listener:
            await is_refused(listener, client_context(site, None, version))
            assert refused(metrics, Refusal.NO_CERTIFICATE) == 1
    [line] = [entry for entry in logs if entry["event"] == "connection_refused"]
    assert (line["peer"], line["reason"]) == ("127.0.0.1", "no_certificate")


async def test_a_client_that_refuses_us_is_told_of(site: Site) -> None:
    intake, metrics = FakeIntake(), Metrics()
    with capture_logs() as logs:
        async with listening(site, intake, metrics) as listener:
            with pytest.raises(ssl.SSLCertVerificationError):
                await connect(listener, ssl.create_default_context())
            await listener.closed(timeout=10)
        assert refused(metrics, Refusal.HANDSHAKE_FAILED) == 1
    [line] = [entry for entry in logs if entry["event"] == "connection_refused"]
    assert line["peer"] == "127.0.0.1"


@pytest.mark.parametrize(
    "garbage",
    [b"<22>plain syslog to a TLS port\n" * 10, b"GET / HTTP/1.1\r\n\r\n", bytes(range(256)) * 8],
    ids=["syslog", "http", "bytes"],
)
async def test_what_is_no_tls_is_refused(site: Site, garbage: bytes) -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(site, intake, metrics) as listener:
        reader, writer = await asyncio.open_connection(*listener.address)
        writer.write(garbage)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(10_000)
        writer.close()
        await listener.closed(timeout=10)
        assert refused(metrics, Refusal.HANDSHAKE_FAILED) == 1
    assert intake.frames == []
    assert intake.faults == []


async def test_hellos_that_something_happened_to(site: Site) -> None:
    """Random bytes find nothing: what comes is a real ClientHello with a few bytes changed."""
    made = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
    made.set_connect_state()
    with pytest.raises(SSL.WantReadError):
        made.do_handshake()
    hello = made.bio_read(10_000)
    luck = random.Random(6514)
    intake, metrics = FakeIntake(), Metrics()
    async with listening(site, intake, metrics, handshake_timeout=2) as listener:
        for _ in range(100):
            data = bytearray(hello)
            for _ in range(luck.randint(1, 4)):
                data[luck.randrange(len(data))] = luck.randrange(256)
            reader, writer = await asyncio.open_connection(*listener.address)
            writer.write(bytes(data) + luck.randbytes(luck.choice((0, 5, 300))))
            writer.write_eof()
            try:
                await reader.read()
            except ConnectionResetError:
                pass
            writer.close()
        await listener.closed(timeout=10)
        await send(listener, client_context(site, site.client), b"<22>line\n")
        await intake.until(lambda seen: seen.frames == [b"<22>line"])
    assert value(metrics, "connections_refused_total") == 100
    assert value(metrics, "connections") == 0


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
    async with listening(site, intake, metrics, handshake_timeout=1) as listener:
        reader, writer = await asyncio.open_connection(*listener.address)
        writer.write(b"\x16\x03\x01")  # the first bytes of a ClientHello
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()
        await listener.closed(timeout=10)
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


async def test_reload_under_an_open_connection(site: Site) -> None:
    intake, metrics = FakeIntake(), Metrics()
    tls = ServerTls(configured(site))
    async with listening(site, intake, metrics, tls) as listener:
        context = client_context(site, site.client)
        _, before = await connect(listener, context)
        before.write(b"<22>one\n")
        await intake.until(lambda seen: len(seen.frames) == 1)

        renewed = site.issue("receiver.example.net")
        new = {"cert_file": renewed.cert_file, "key_file": renewed.key_file}
        tls.reload(configured(site, **new, **NAMES))
        _, after = await connect(listener, context)
        shown = after.get_extra_info("ssl_object").getpeercert(binary_form=True)
        assert shown == renewed.der
        await is_refused(listener, client_context(site, site.issue("mx2.example.net")))

        before.write(b"<22>two\n")
        after.write(b"<22>three\n")
        await intake.until(lambda seen: len(seen.frames) == 3)
        for writer in (before, after):
            writer.close()
            await writer.wait_closed()


async def test_a_bad_reload_changes_nothing(site: Site) -> None:
    intake, metrics = FakeIntake(), Metrics()
    tls = ServerTls(configured(site))
    async with listening(site, intake, metrics, tls) as listener:
        with pytest.raises(TlsError, match="no key of"):
            tls.reload(configured(site, key_file=site.client.key_file, ca_file=site.home / "gone"))
        await send(listener, client_context(site, site.client), b"<22>line\n")
        await intake.until(lambda seen: len(seen.frames) == 1)


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


BAD_SETTINGS: list[tuple[dict[str, Any], str]] = [
    ({"cert_file": None}, "cert_file and key_file are needed"),
    ({"ca_file": None}, "ca_file is needed with auth_mode x509/certvalid"),
    ({"auth_mode": "anon", "ca_file": "ca.pem"}, "ca_file means nothing with auth_mode anon"),
    ({"auth_mode": "x509/name"}, "permitted_peers is needed with auth_mode x509/name"),
    ({"permitted_peers": ["a.b"]}, "permitted_peers means nothing with auth_mode x509/certvalid"),
    ({"auth_mode": "x509/fingerprint"}, "permitted_peers is needed"),
    ({**PRINTS, "permitted_peers": "SHA1:" + "AB:" * 19 + "AB"}, "SHA1 can be forged"),
    ({**PRINTS, "permitted_peers": "mx1.example.net"}, "a name needs auth_mode x509/name"),
    ({**NAMES, **{"permitted_peers": PRINTS["permitted_peers"]}}, "x509/fingerprint"),
    ({**NAMES, "permitted_peers": "a*b.example.net"}, "is no host name"),
    ({"key_password": "a", "key_password_file": "b"}, "not both"),
]


@pytest.mark.parametrize(("config", "told"), BAD_SETTINGS)
def test_settings_that_do_not_fit_together(site: Site, config: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        configured(site, **config)


@pytest.mark.parametrize("setting", ["cert_file", "key_file", "ca_file"])
@pytest.mark.parametrize("content", [None, b"", b"no PEM", b"-----BEGIN CERTIFICATE-----\nAAAA"])
def test_files_that_cannot_be_used_are_named(
    site: Site, tmp_path: Path, setting: str, content: bytes | None
) -> None:
    file = tmp_path / "file.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(TlsError, match=f"{setting}: {file}: "):
        ServerTls(configured(site, **{setting: file}))


def test_an_encrypted_key(site: Site, tmp_path: Path) -> None:
    server = make(tmp_path, "receiver.example.net", issuer=site.authority, password="hush")
    files = {"cert_file": server.cert_file, "key_file": server.key_file}
    ServerTls(configured(site, **files, key_password="hush"))
    password_file = tmp_path / "password"
    password_file.write_text("hush\n")
    ServerTls(configured(site, **files, key_password_file=password_file))
    for password in ({}, {"key_password": "wrong"}):
        with pytest.raises(TlsError, match="key_file"):
            ServerTls(configured(site, **files, **password))
