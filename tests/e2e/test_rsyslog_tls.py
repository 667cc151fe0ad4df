"""A real rsyslogd that sends over TLS: both framings, each way to say who may send, both of its TLS
libraries; and one that may not send."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.expected import said
from tests.e2e.house import House
from tests.e2e.packages import require_rsyslog_module
from tests.e2e.receiver import Receiver
from tests.e2e.rsyslog import SNIPPETS, Form
from tests.e2e.samples import SAMPLES
from tests.listeners.certificates import Identity, Site, make
from tests.metric_values import assert_balanced, value

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


@pytest.fixture
def house(empty_house: House) -> House:
    """Each test starts the receiver itself, with certificates of its own."""
    return empty_house


SERVER = "receiver.example.net"
OCTET = 'TCP_Framing="octet-counted"'
LINES = 'TCP_Framing="traditional"'
GNUTLS = ("lmnsd_gtls", "rsyslog-gnutls")
OPENSSL = ("lmnsd_ossl", "rsyslog-openssl")


@dataclass(frozen=True)
class TlsForm(Form):
    """The shipped file with the certificates of a test."""

    framing: str = OCTET
    driver: str = "gtls"
    authority: Identity | None = field(default=None, repr=False)
    client: Identity | None = field(default=None, repr=False)

    def render(self, host: str, port: int) -> str:
        assert self.authority is not None
        assert self.client is not None
        text = (SNIPPETS / self.snippet).read_text(encoding="utf-8")
        for old, new in (
            ('target="127.0.0.1"', f'target="{host}"'),
            ('port="6514"', f'port="{port}"'),
            ('action.resumeInterval="5"', 'action.resumeInterval="1"'),
            (OCTET, self.framing),
            ('StreamDriver="gtls"', f'StreamDriver="{self.driver}"'),
            ("mailfault.example.net", SERVER),
            ("/etc/rsyslog.d/tls/ca.pem", str(self.authority.cert_file)),
            ("/etc/rsyslog.d/tls/cert.pem", str(self.client.cert_file)),
            ("/etc/rsyslog.d/tls/key.pem", str(self.client.key_file)),
        ):
            assert text.count(old) == 1, f"{self.snippet}: not once in it: {old}"
            text = text.replace(old, new)
        return text


def form(site: Site, client: Identity, framing: str = OCTET, driver: str = "gtls") -> TlsForm:
    return TlsForm("tls", "50-mailfault-tls.conf", (), framing, driver, site.authority, client)


async def receiver_of(
    house: House, site: Site, settings: Mapping[str, str]
) -> tuple[Receiver, int]:
    env = {
        "MAILFAULT_TLS__LISTEN": "127.0.0.1:0",
        "MAILFAULT_TLS__CERT_FILE": str(site.server.cert_file),
        "MAILFAULT_TLS__KEY_FILE": str(site.server.key_file),
        **{f"MAILFAULT_TLS__{name.upper()}": text for name, text in settings.items()},
    }
    receiver = await house.start_receiver(env)
    port: int = await receiver.child.until(tls_port)
    return receiver, port


def tls_port(line: str) -> int | None:
    found = record(line)
    is_it = found.get("event") == "listening" and found.get("transport") == "tls"
    return found["port"] if is_it else None


def record(line: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(line) if line.startswith("{") else {}
    return found


def modes(site: Site) -> dict[str, dict[str, str]]:
    ca_file = str(site.authority.cert_file)
    return {
        "anon": {"auth_mode": "anon"},
        "certvalid": {"auth_mode": "x509/certvalid", "ca_file": ca_file},
        "name": {
            "auth_mode": "x509/name",
            "ca_file": ca_file,
            "permitted_peers": "other.example.net,mx*.example.net",
        },
        "fingerprint": {
            "auth_mode": "x509/fingerprint",
            "permitted_peers": site.client.fingerprint,
        },
    }


CASES = [
    ("certvalid", OCTET, "gtls", GNUTLS),
    ("certvalid", LINES, "gtls", GNUTLS),
    ("name", OCTET, "gtls", GNUTLS),
    ("name", LINES, "gtls", GNUTLS),
    ("fingerprint", OCTET, "gtls", GNUTLS),
    ("fingerprint", LINES, "gtls", GNUTLS),
    ("anon", LINES, "gtls", GNUTLS),
    ("name", OCTET, "ossl", OPENSSL),
    ("fingerprint", LINES, "ossl", OPENSSL),
]


@pytest.mark.parametrize(("mode", "framing", "driver", "module"), CASES)
async def test_every_line_over_tls(
    house: House, mode: str, framing: str, driver: str, module: tuple[str, str]
) -> None:
    require_rsyslog_module(*module)
    site = Site.build(house.directory / "certificates")
    if mode == "fingerprint":  # whom no authority knows
        site.client = make(site.home, "mx1.example.net")
    receiver, port = await receiver_of(house, site, modes(site)[mode])
    rsyslogd = await house.rsyslogd(form(site, site.client, framing, driver), port)
    began = datetime.now(UTC).replace(microsecond=123_457) - timedelta(minutes=5)
    stamps = [(began + timedelta(seconds=number)).isoformat() for number in range(len(SAMPLES))]
    await rsyslogd.relay(
        [
            f"<22>{stamp} mx1.example.net {sample.tag}[{sample.pid}]: {sample.text}".encode(
                "utf-8", "surrogateescape"
            )
            for sample, stamp in zip(SAMPLES, stamps, strict=True)
        ]
    )
    wanted = [sample.wanted for sample in SAMPLES if sample.wanted is not None]
    await house.subscriber.until(lambda event: True, count=len(wanted))
    # In the order of their lines: a bounce may have waited for its notice.
    arrivals = sorted(house.subscriber.arrivals, key=lambda arrival: arrival.event.event_time)
    for arrival, fields in zip(arrivals, wanted, strict=True):
        assert said(arrival.event, fields) == fields
        assert arrival.event.mta.transport == "tls"
        assert arrival.event.mta.source_ip == "127.0.0.1"
    text = await receiver.metrics()
    assert_balanced(text)
    assert value(text, "frames_received_total", transport="tls") == len(SAMPLES)
    assert value(text, "frames_dropped_total") == 0
    assert value(text, "connections_refused_total") == 0
    await receiver.stop()


async def test_one_that_may_not_send_is_named(house: House) -> None:
    require_rsyslog_module(*GNUTLS)
    site = Site.build(house.directory / "certificates")
    stranger = site.issue("stranger.example.org")
    receiver, port = await receiver_of(house, site, modes(site)["name"])
    rsyslogd = await house.rsyslogd(form(site, stranger), port)
    await rsyslogd.relay([b"<22>2026-08-22T10:00:00+00:00 mx1 postfix/smtp[1]: x"])

    def refused(line: str) -> dict[str, Any] | None:
        found = record(line)
        return found if found.get("event") == "connection_refused" else None

    line = await receiver.child.until(refused)
    assert line["peer"] == "127.0.0.1"
    assert line["reason"] == "peer_not_permitted"
    assert line["subject"] == "CN=stranger.example.org"
    assert line["names"] == ["stranger.example.org"]
    assert line["fingerprint"] == stranger.fingerprint
