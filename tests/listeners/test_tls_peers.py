"""Whom the TLS listener lets in, whom it refuses, and how the log names them."""

import asyncio
import random
import ssl
from typing import Any

import pytest
from OpenSSL import SSL
from structlog.testing import capture_logs

from service.core.outcomes import Refusal
from service.metrics import Metrics
from tests.fakes import FakeIntake
from tests.listeners.certificates import Identity, Site, make
from tests.listeners.tls_senders import (
    NAMES,
    PRINTS,
    VERSIONS,
    client_context,
    connect,
    is_refused,
    listening,
    refused,
    send,
)
from tests.metric_values import value

ACCEPTED: list[dict[str, Any]] = [
    {"auth_mode": "x509/name", "permitted_peers": ["mx1.example.net"]},
    {"auth_mode": "x509/name", "permitted_peers": ["*.example.net"]},
    {"auth_mode": "x509/name", "permitted_peers": ["a", "mx*.EXAMPLE.net"]},
    {"auth_mode": "anon"},
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("config", ACCEPTED)
async def test_who_is_permitted(
    site: Site, config: dict[str, Any], version: ssl.TLSVersion
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


REFUSED: list[tuple[str, dict[str, Any], Refusal, str]] = [
    ("expired", {}, Refusal.BAD_CERTIFICATE, "expired"),
    ("unknown", {}, Refusal.BAD_CERTIFICATE, "issuer not in ca_file"),
    (
        "namesake",
        {},
        Refusal.BAD_CERTIFICATE,
        "not signed by the issuer of that name in ca_file",
    ),
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
    if kind == "namesake":
        other = make(site.home, "authority", is_authority=True)
        return make(site.home, "namesake.example.net", issuer=other, names_issuer_key=False)
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
    async with listening(site, intake, metrics, handshake_timeout=10) as listener:
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
        await listener.closed(timeout=20)
        await send(listener, client_context(site, site.client), b"<22>line\n")
        await intake.until(lambda seen: seen.frames == [b"<22>line"])
    assert value(metrics, "connections_refused_total") == 100
    assert value(metrics, "connections") == 0
