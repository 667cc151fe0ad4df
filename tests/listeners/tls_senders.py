"""A TLS listener, and senders to it with certificates of every kind."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from service.core.outcomes import Refusal
from service.listeners.tls import TlsConfig, TlsListener
from service.listeners.tls_context import ServerTls
from service.metrics import Metrics
from tests.fakes import FakeIntake
from tests.listeners.certificates import Identity, Site
from tests.metric_values import value


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

NAMES: dict[str, Any] = {"auth_mode": "x509/name", "permitted_peers": ["mx1.example.net"]}
PRINTS: dict[str, Any] = {
    "auth_mode": "x509/fingerprint",
    "permitted_peers": ["SHA256:" + "AB:" * 31 + "AB"],
}
