"""RELP inside TLS on real sockets: the same answers, and the same end in two steps."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from service.listeners.relp import RelpTlsListener
from service.listeners.relp_config import RelpTlsConfig
from service.listeners.tls_context import ServerTls
from service.metrics import Metrics
from tests.fakes import FakeIntake
from tests.listeners.certificates import Site
from tests.listeners.test_relp import EVENT, PLAIN, SERVERCLOSE, Peer
from tests.metric_values import value
from tests.relp_wires import ok, syslog


@asynccontextmanager
async def listening(
    site: Site, intake: FakeIntake, metrics: Metrics, **config: Any
) -> AsyncIterator[RelpTlsListener]:
    made = RelpTlsConfig(
        listen=["127.0.0.1:0"],
        cert_file=site.server.cert_file,
        key_file=site.server.key_file,
        ca_file=site.authority.cert_file,
        auth_mode="x509/name",
        permitted_peers=["mx1.example.net"],
        **config,
    )
    listener = RelpTlsListener("127.0.0.1:0", made, intake, metrics, ServerTls(made))
    await listener.start()
    try:
        yield listener
    finally:
        await listener.stop(timeout=5)
        await listener.close(timeout=5)


def as_client(site: Site) -> dict[str, Any]:
    context = ssl.create_default_context(cafile=str(site.authority.cert_file))
    context.load_cert_chain(site.client.cert_file, site.client.key_file)
    return {"ssl": context, "server_hostname": "receiver.example.net"}


async def test_answers_and_the_end(site: Site) -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(site, intake, metrics) as listener:
        peer = await Peer.open(listener, **as_client(site))
        peer.send(syslog(2, PLAIN), syslog(3, EVENT), syslog(4, EVENT))
        await peer.hears(ok(2))
        await listener.stop(timeout=5)
        intake.make_durable(1)
        await peer.hears(ok(3))
        intake.make_durable()
        await listener.close(timeout=5)
        assert await peer.reader.read() == ok(4) + SERVERCLOSE
        await peer.close()
    assert {origin.transport for origin in intake.origins} == {"relp-tls"}
    assert value(metrics, "connections", transport="relp-tls") == 0


async def test_a_peer_that_never_reads_its_answers_is_dropped(site: Site) -> None:
    intake, metrics = FakeIntake(), Metrics()

    def refused() -> float:
        name = "relp_sessions_refused_total"
        return value(metrics, name, transport="relp-tls", reason="answers_unread")

    async with listening(site, intake, metrics, max_answer_bytes=4096) as listener:
        deaf = await Peer.deaf(listener, **as_client(site))
        number = 2

        def is_answered(seen: FakeIntake) -> bool:
            return len(seen.frames) == number - 2 or refused() > 0

        while not refused():
            deaf.send(*(syslog(n, b"") for n in range(number, number + 1000)))
            number += 1000
            await intake.until(is_answered)
        deaf.writer.transport.abort()
    assert refused() == 1
