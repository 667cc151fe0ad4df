"""The files in `deploy/syslog-ng/`, in a real syslog-ng: every line with its microseconds and its
whole program name, over TCP and TLS; an absent receiver costs no line."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.e2e.expected import said
from tests.e2e.house import House
from tests.e2e.samples import SAMPLES
from tests.e2e.syslog_ng import SNIPPETS, SyslogNg, command, configure, environment
from tests.e2e.test_rsyslog_queue import bounces
from tests.listeners.certificates import Site, make
from tests.metric_values import assert_balanced, value

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(360)]

FILES = sorted(SNIPPETS.glob("*.conf"))
HOST = "localhost"
"""A name that its certificate can have: syslog-ng compares it with the one it connects to."""

Edits = list[tuple[str, str]]


def tcp(house: House, port: int) -> Edits:
    buffer = f"reliable(yes)\n            dir({house.directory})"
    return [("port(5514)", f"port({port})"), ("reliable(yes)", buffer)]


def tls(house: House, site: Site, port: int) -> Edits:
    buffer = f"reliable(yes)\n            dir({house.directory})"
    return [
        ("mailfault.example.net", HOST),
        ("port(6514)", f"port({port})"),
        ("/etc/syslog-ng/tls/ca.pem", str(site.authority.cert_file)),
        ("/etc/syslog-ng/tls/cert.pem", str(site.client.cert_file)),
        ("/etc/syslog-ng/tls/key.pem", str(site.client.key_file)),
        ("reliable(yes)", buffer),
    ]


async def start(house: House, snippet: str, edits: Edits) -> SyslogNg:
    syslog_ng = await SyslogNg.start(house.directory, configure(house.directory, snippet, edits))
    house.cleanup.push_async_callback(syslog_ng.stop)
    return syslog_ng


@pytest.fixture
def house(empty_house: House) -> House:
    """Each test starts the receiver itself."""
    return empty_house


async def receiver_with_tls(house: House, site: Site) -> int:
    receiver = await house.start_receiver(
        {
            "MAILFAULT_TLS__LISTEN": "127.0.0.1:0",
            "MAILFAULT_TLS__CERT_FILE": str(site.server.cert_file),
            "MAILFAULT_TLS__KEY_FILE": str(site.server.key_file),
            "MAILFAULT_TLS__CA_FILE": str(site.authority.cert_file),
            "MAILFAULT_TLS__AUTH_MODE": "x509/name",
            "MAILFAULT_TLS__PERMITTED_PEERS": "mx1.example.net",
        }
    )
    return await receiver.port("tls")


@pytest.mark.parametrize("transport", ["tcp", "tls"])
async def test_every_line(house: House, transport: str) -> None:
    if transport == "tcp":
        port = (await house.start_receiver()).ports["tcp"]
        edits = tcp(house, port)
    else:
        site = Site.build(house.directory / "tls")
        site.server = make(site.home, HOST, issuer=site.authority)
        edits = tls(house, site, await receiver_with_tls(house, site))
    syslog_ng = await start(house, f"mailfault-{transport}.conf", edits)
    began = datetime.now(UTC).replace(microsecond=123_457) - timedelta(minutes=5)
    stamps = [began + timedelta(seconds=number) for number in range(len(SAMPLES))]
    pairs = list(zip(SAMPLES, stamps, strict=True))
    await syslog_ng.relay(
        [
            f"<22>1 {stamp.isoformat()} mx1.example.net {sample.tag} {sample.pid} - -"
            f" {sample.text}".encode("utf-8", "surrogateescape")
            for sample, stamp in pairs
        ]
    )
    wanted = [pair for pair in pairs if pair[0].wanted is not None]
    await house.subscriber.until(lambda event: True, count=len(wanted))
    arrivals = sorted(house.subscriber.arrivals, key=lambda arrival: arrival.event.event_time)
    for arrival, (sample, stamp) in zip(arrivals, wanted, strict=True):
        event = arrival.event
        assert sample.wanted is not None
        assert said(event, sample.wanted) == sample.wanted
        assert (event.mta.service, event.mta.pid) == (sample.tag, sample.pid)
        assert event.mta.transport == transport
        assert (event.event_time, event.time_quality) == (stamp, "exact")
    await house.subscriber.assert_all_stored()
    metrics = await house.receiver.metrics()
    assert_balanced(metrics)
    assert value(metrics, "frames_received_total", transport=transport) == len(SAMPLES)
    assert value(metrics, "frames_dropped_total") == 0
    await house.receiver.stop()


async def test_lines_wait_for_the_receiver(house: House) -> None:
    """On disk, over a restart of syslog-ng."""
    receiver = await house.start_receiver()
    edits = tcp(house, receiver.ports["tcp"])
    syslog_ng = await start(house, "mailfault-tcp.conf", edits)
    await syslog_ng.log(bounces(0, 10))
    await house.subscriber.until(lambda event: True, count=10)
    await receiver.stop()
    await syslog_ng.log(bounces(10, 510))
    await syslog_ng.until_read("user509@")
    await syslog_ng.stop()
    await start(house, "mailfault-tcp.conf", edits)
    await house.restart_receiver()
    await house.subscriber.until(lambda event: True, count=510)
    assert {arrival.event.queue_id for arrival in house.subscriber.arrivals} == {
        f"4ABC{number:05d}" for number in range(510)
    }
    await house.subscriber.assert_all_stored()


async def test_equal_lines_of_one_second_are_each_an_event(house: House) -> None:
    """As they come from /dev/log: without fractions."""
    receiver = await house.start_receiver()
    syslog_ng = await start(house, "mailfault-tcp.conf", tcp(house, receiver.ports["tcp"]))
    await syslog_ng.log([bounces(0, 1)[0]] * 3)
    events = await house.subscriber.until(lambda event: True, count=3)
    assert {event.event_time.microsecond for event in events} == {0}
    assert {(event.mta.service, event.mta.pid) for event in events} == {("postfix/smtp", 99)}


async def test_a_receiver_of_another_name_gets_nothing(house: House) -> None:
    site = Site.build(house.directory / "tls")
    syslog_ng = await start(
        house, "mailfault-tls.conf", tls(house, site, await receiver_with_tls(house, site))
    )
    await syslog_ng.log(bounces(0, 1))
    await syslog_ng.child.until(lambda line: "does not match" in line or None)
    assert value(await house.receiver.metrics(), "frames_received_total") == 0


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_nothing_is_given_up(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    for setting in ("frac-digits(6)", "reliable(yes)", "disk-buf-size(1073741824)"):
        assert text.count(setting) == 1


def test_syslog_ng_would_refuse_a_misspelt_word(tmp_path: Path) -> None:
    for edits, status in (([], 0), ([("frac-digits", "frac-digitz")], 1)):
        config = configure(tmp_path, "mailfault-tcp.conf", edits)
        done = subprocess.run(
            [*command(tmp_path, config), "--syntax-only"],
            capture_output=True, text=True, check=False, env=environment(),
        )  # fmt: skip
        assert done.returncode == status, done.stderr
