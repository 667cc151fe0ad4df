"""A real omrelp over TLS, with each of its TLS libraries, both sides proving who they are: the
receiver by name or fingerprint, the sender by name, fingerprint or chain."""

import pytest
from cryptography.hazmat.primitives import hashes

from tests.e2e.house import House
from tests.e2e.rsyslog import Form
from tests.e2e.test_rsyslog_queue import bounces
from tests.listeners.certificates import Identity, Site, make
from tests.metric_values import assert_balanced, value

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


@pytest.fixture
def house(empty_house: House) -> House:
    """Each test starts the receiver itself, with certificates of its own."""
    return empty_house


SHIPPED = 'module(load="omrelp")'
GNUTLS = 'module(load="omrelp" tls.tlslib="gnutls")'
OPENSSL = 'module(load="omrelp" tls.tlslib="openssl")'
LINES = 300


def form(site: Site, sender: Identity, library: str, auth_mode: str, permitted: str) -> Form:
    """The shipped file with the certificates of a test."""
    edits = (
        (SHIPPED, library),
        ("/etc/rsyslog.d/tls/ca.pem", str(site.authority.cert_file)),
        ("/etc/rsyslog.d/tls/cert.pem", str(sender.cert_file)),
        ("/etc/rsyslog.d/tls/key.pem", str(sender.key_file)),
        ('tls.authMode="name"', f'tls.authMode="{auth_mode}"'),
        ("mailfault.example.net", permitted),
    )
    return Form("relp-tls", "50-mailfault-relp-tls.conf", edits)


def settings(site: Site, auth_mode: str, permitted: str) -> dict[str, str]:
    table = {
        "LISTEN": "127.0.0.1:0",
        "CERT_FILE": str(site.server.cert_file),
        "KEY_FILE": str(site.server.key_file),
        "AUTH_MODE": auth_mode,
        "PERMITTED_PEERS": permitted,
        "CA_FILE": str(site.authority.cert_file),
    }
    if auth_mode == "x509/fingerprint":
        del table["CA_FILE"]
    if not permitted:
        del table["PERMITTED_PEERS"]
    return {f"MAILFAULT_RELP_TLS__{name}": text for name, text in table.items()}


def sha1(identity: Identity) -> str:
    """As librelp writes fingerprints."""
    return "SHA1:" + identity.certificate.fingerprint(hashes.SHA1()).hex(":").upper()


@pytest.mark.parametrize(
    "library", [SHIPPED, GNUTLS, OPENSSL], ids=["shipped", "gnutls", "openssl"]
)
@pytest.mark.parametrize("auth_mode", ["x509/name", "x509/fingerprint", "x509/certvalid"])
async def test_lines_are_acknowledged_over_tls(house: House, library: str, auth_mode: str) -> None:
    site = Site.build(house.directory / "tls")
    permitted = {
        "x509/name": "*.example.net",
        "x509/fingerprint": site.client.fingerprint,
        "x509/certvalid": "",
    }[auth_mode]
    receiver = await house.start_receiver(settings(site, auth_mode, permitted))
    wanted = form(site, site.client, library, "name", "receiver.example.net")
    rsyslogd = await house.rsyslogd(wanted, await receiver.port("relp-tls"))
    await rsyslogd.log(bounces(0, LINES))
    await house.subscriber.until(lambda event: True, count=LINES)
    assert {arrival.event.mta.transport for arrival in house.subscriber.arrivals} == {"relp-tls"}
    await house.subscriber.assert_all_stored()
    metrics = await receiver.metrics()
    assert_balanced(metrics)
    assert value(metrics, "frames_received_total", transport="relp-tls") == LINES
    assert value(metrics, "relp_unanswered_frames") == 0
    await receiver.stop()


async def test_the_receiver_is_known_by_its_fingerprint(house: House) -> None:
    site = Site.build(house.directory / "tls")
    permitted = site.client.fingerprint
    receiver = await house.start_receiver(settings(site, "x509/fingerprint", permitted))
    wanted = form(site, site.client, GNUTLS, "fingerprint", sha1(site.server))
    rsyslogd = await house.rsyslogd(wanted, await receiver.port("relp-tls"))
    await rsyslogd.log(bounces(0, LINES))
    await house.subscriber.until(lambda event: True, count=LINES)
    await receiver.stop()


async def test_a_sender_that_is_not_permitted_is_refused_and_named(house: House) -> None:
    site = Site.build(house.directory / "tls")
    receiver = await house.start_receiver(settings(site, "x509/name", "mx1.example.net"))
    stranger = make(site.home, "mx9.example.org", issuer=site.authority)
    wanted = form(site, stranger, GNUTLS, "name", "receiver.example.net")
    rsyslogd = await house.rsyslogd(wanted, await receiver.port("relp-tls"))
    await rsyslogd.log(bounces(0, 1))
    await receiver.child.until(
        lambda line: ("peer_not_permitted" in line and "mx9.example.org" in line) or None
    )
    assert value(await receiver.metrics(), "frames_received_total") == 0
