"""Every form in which rsyslog can send Postfix's lines: a real rsyslogd, the real receiver, a real
nats-server, and a subscriber that checks each field of each event."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.expected import said
from tests.e2e.house import House
from tests.e2e.rsyslog import Form
from tests.e2e.samples import SAMPLES, Sample
from tests.metric_values import assert_balanced, value

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

HOST = "mx1.example.net"
TRADITIONAL = ('template="RSYSLOG_ForwardFormat"', 'template="RSYSLOG_TraditionalForwardFormat"')
COMPRESSED = ('type="omfwd"', 'type="omfwd" compression.mode="single"')
RFC5424 = (
    'template="RSYSLOG_ForwardFormat"',
    # A trailing LF is part of this template, and so of the frame.
    'template="RSYSLOG_SyslogProtocol23Format"',
)
SLASH = (
    'module(load="omrelp")',
    'global(parser.permitSlashInProgramName="on") module(load="omrelp")',
)
NO_SLASH = ('global(parser.permitSlashInProgramName="on")', "")

FORMS = [
    Form("udp", "50-mailfault-udp.conf"),
    Form("udp-traditional", "50-mailfault-udp.conf", (TRADITIONAL,)),
    Form("udp-compressed", "50-mailfault-udp.conf", (COMPRESSED,)),
    Form("tcp", "50-mailfault-tcp.conf"),
    Form("tcp-traditional", "50-mailfault-tcp.conf", (TRADITIONAL,)),
    # Short messages stay plain and LF-framed, compressed ones are octet-counted: both framings in
    # one connection.
    Form("tcp-compressed", "50-mailfault-tcp.conf", (COMPRESSED,)),
    Form("octet", "50-mailfault-tcp-octet.conf"),
    Form("octet-traditional", "50-mailfault-tcp-octet.conf", (TRADITIONAL,)),
    Form("rfc5424", "50-mailfault-rfc5424.conf"),
    Form("relp", "50-mailfault-relp.conf"),
    Form("relp-traditional", "50-mailfault-relp.conf", (TRADITIONAL,)),
    Form("relp-rfc5424", "50-mailfault-relp.conf", (RFC5424, SLASH)),
    # As rsyslog is set by default: `postfix/smtp` arrives as `postfix`.
    Form("rfc5424-no-slash", "50-mailfault-rfc5424.conf", (NO_SLASH,)),
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
async def test_every_line_through_every_form(house: House, form: Form) -> None:
    known = ("udp", "relp")
    transport = next((name for name in known if form.name.startswith(name)), "tcp")
    rsyslogd = await house.rsyslogd(form, house.receiver.ports[transport])
    stamps = [_stamp(number) for number in range(len(SAMPLES))]
    await rsyslogd.relay([_line(*pair) for pair in zip(SAMPLES, stamps, strict=True)])

    wanted = [pair for pair in zip(SAMPLES, stamps, strict=True) if pair[0].wanted is not None]
    await house.subscriber.until(lambda event: True, count=len(wanted))
    # Lines keep their order on the way, but a bounce may wait for its notice.
    arrivals = sorted(house.subscriber.arrivals, key=lambda arrival: arrival.event.event_time)
    for arrival, (sample, stamp) in zip(arrivals, wanted, strict=True):
        event = arrival.event
        assert sample.wanted is not None
        assert said(event, sample.wanted) == sample.wanted
        assert arrival.subject == f"postfix.{event.event_type}.mx1_example_net"
        assert arrival.headers["Nats-Msg-Id"] == event.event_id
        assert event.mta.model_dump(mode="json") == {
            "host": HOST,
            "source_ip": "127.0.0.1",
            "transport": transport,
            **_origin(sample, form),
        }
        assert (event.event_time, event.time_quality) == _time(stamp, form)
        assert abs(event.received_at - datetime.now(UTC)) < timedelta(minutes=2)
        assert _readable(sample.text) in (event.raw or "")
    assert not house.subscriber.copies
    await house.subscriber.assert_all_stored()
    await _assert_counts(house, transport, frames=len(SAMPLES), events=len(wanted))
    await house.receiver.stop()


async def test_equal_lines_are_each_sent(house: House) -> None:
    """Against Ubuntu's `$RepeatedMsgReduction on`, which the shipped files turn off."""
    rsyslogd = await house.rsyslogd(FORMS[3], house.receiver.ports["tcp"])
    stamps = [_stamp(number) for number in range(5)]
    await rsyslogd.relay([_line(SAMPLES[0], stamp) for stamp in stamps])
    events = await house.subscriber.until(lambda event: event.event_type == "reject", count=5)
    assert [event.event_time for event in events] == stamps
    await _assert_counts(house, "tcp", frames=5, events=5)


def _stamp(number: int) -> datetime:
    """Some time in the last hour, no two alike, microseconds that end in no zero."""
    now = datetime.now(UTC).replace(microsecond=0)
    return now - timedelta(minutes=50) + timedelta(seconds=number, microseconds=100_001 + number)


def _line(sample: Sample, stamp: datetime) -> bytes:
    line = f"<22>{stamp.isoformat()} {HOST} {sample.tag}[{sample.pid}]: {sample.text}"
    return line.encode("utf-8", "surrogateescape")


def _readable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _origin(sample: Sample, form: Form) -> dict[str, object]:
    instance, _, daemon = sample.tag.partition("/")
    daemon = daemon.rpartition("/")[2]
    if form.name == "rfc5424-no-slash":
        return {"instance": instance, "service": instance, "daemon": None, "pid": sample.pid}
    is_cut = "5424" not in form.name and len(f"{sample.tag}[{sample.pid}]:") > 32
    pid = None if is_cut else sample.pid
    return {"instance": instance, "service": sample.tag, "daemon": daemon, "pid": pid}


def _time(stamp: datetime, form: Form) -> tuple[datetime, str]:
    if "traditional" in form.name:
        return stamp.replace(microsecond=0), "inferred"
    return stamp, "exact"


async def _assert_counts(house: House, transport: str, frames: int, events: int) -> None:
    metrics = await house.receiver.metrics()
    assert_balanced(metrics)
    assert value(metrics, "frames_received_total") == frames
    assert value(metrics, "frames_received_total", transport=transport) == frames
    assert value(metrics, "frames_with_events_total") == events
    assert value(metrics, "events_total", type="invalid") == 0
    assert value(metrics, "frames_dropped_total") == 0
    assert value(metrics, "lines_skipped_total") == frames - events
    assert value(metrics, "published_total", result="ok") == events
    assert value(metrics, "published_total") == events
