"""The disk-assisted queue of `deploy/rsyslog/`: an absent receiver costs no line over TCP."""

from pathlib import Path

import pytest

from schemas import BouncedEvent, DeferredEvent, ResolvedEvent
from tests import mail_traffic
from tests.e2e.house import House
from tests.e2e.rsyslog import Form
from tests.metric_values import assert_balanced, value

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

FORMS = [
    Form("tcp", "50-mailfault-tcp.conf"),
    Form("octet", "50-mailfault-tcp-octet.conf"),
    Form("rfc5424", "50-mailfault-rfc5424.conf"),
    Form("relp", "50-mailfault-relp.conf"),
]
_SERVED = ("delivered", "bounced")


def bounce(number: int) -> bytes:
    text = (
        f"4ABC{number:05d}: to=<user{number}@example.net>, relay=none, delay=1, delays=1/0/0/0,"
        " dsn=5.4.4, status=bounced (Host or domain name not found)"
    )
    return f"<22>Nov 23 10:00:00 postfix/smtp[99]: {text}".encode()


def bounces(first: int, end: int) -> list[bytes]:
    return [bounce(number) for number in range(first, end)]


def queue_files(directory: Path) -> list[str]:
    return [path.name for path in directory.glob("mailfault_*")]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
async def test_lines_wait_for_the_receiver(house: House, form: Form) -> None:
    port = house.receiver.ports["relp" if form.is_relp else "tcp"]
    rsyslogd = await house.rsyslogd(form, port)
    await rsyslogd.log(bounces(0, 10))
    await house.subscriber.until(lambda event: True, count=10)
    await house.receiver.stop()

    await rsyslogd.log(bounces(10, 60))
    await house.restart_receiver()
    await _assert_all_come(house, 60, of_this_receiver=50)


async def test_lines_survive_a_restart_of_rsyslog_without_a_receiver(house: House) -> None:
    port = await _stopped(house)
    first = await house.rsyslogd(FORMS[0], port)
    await first.log(bounces(0, 50))
    await first.until_queued("4ABC00049")
    await first.stop()
    assert queue_files(house.directory)

    second = await house.rsyslogd(FORMS[0], port)
    await second.log(bounces(50, 60))
    await house.restart_receiver()
    await _assert_all_come(house, 60, of_this_receiver=60)


async def test_more_lines_than_memory_may_hold_go_to_disk(house: House) -> None:
    """Not more than a queue holds as a whole: rsyslog 8.2302 now and then drops the line that finds
    it full, however long it may wait."""
    small = Form(
        "tcp",
        "50-mailfault-tcp.conf",
        (
            ('queue.size="100000"', 'queue.size="4000"'),
            ('queue.highWatermark="90000"', 'queue.highWatermark="100"'),
            ('queue.lowWatermark="70000"', 'queue.lowWatermark="20"'),
        ),
    )
    port = await _stopped(house)
    rsyslogd = await house.rsyslogd(small, port)
    await rsyslogd.log(bounces(0, 2000))
    await rsyslogd.until_queued("4ABC01999")
    await house.restart_receiver()
    await _assert_all_come(house, 2000, of_this_receiver=2000)
    metrics = await house.receiver.metrics()
    connections = value(metrics, "connections_opened_total", transport="tcp")
    assert connections == 2, "what went to disk comes over one of its own"


@pytest.mark.parametrize("form", [FORMS[0], FORMS[3]], ids=lambda form: form.name)
async def test_after_an_outage_each_message_is_told_from_its_beginning(
    house: House, form: Form
) -> None:
    """rsyslog sends what it has on disk beside what it has in memory, in no order. When that began
    with 5000 lines, deferrals came behind their `removed`, and were never resolved."""
    host = mail_traffic.host("mx1.example.org", seed=7, mails=700)
    lines = [line for some in host.rounds for line in some]
    assert len(lines) > 6000, "more than would be in memory with a mark of 5000"
    port = await _stopped(house, form)
    rsyslogd = await house.rsyslogd(form, port)
    await rsyslogd.relay(lines)
    await rsyslogd.until_queued(lines[-1].decode().partition(": ")[2])
    await house.restart_receiver()
    ended = {
        name: (recipient.outcome, recipient.deferrals + (recipient.outcome in _SERVED))
        for name, recipient in host.expected.items()
    }
    await house.subscriber.until(lambda event: isinstance(event, ResolvedEvent), len(ended))
    events = [arrival.event for arrival in house.subscriber.arrivals]
    resolved = [event for event in events if isinstance(event, ResolvedEvent)]
    assert len(resolved) == len(ended)
    assert {
        (str(event.queue_id), str(event.recipient)): (event.outcome, event.attempts)
        for event in resolved
    } == ended
    told = [event for event in events if isinstance(event, DeferredEvent | BouncedEvent)]
    assert len(told) > 1000
    assert {event.message.context for event in told if event.message is not None} == {"complete"}


async def _stopped(house: House, form: Form = FORMS[0]) -> int:
    """Stopped at once, perhaps before it has reached NATS, about which it may complain. Returns the
    port it had."""
    assert await house.receiver.child.stop() == 0
    return house.receiver.ports["relp" if form.is_relp else "tcp"]


async def _assert_all_come(house: House, count: int, of_this_receiver: int) -> None:
    """Each line is one event. rsyslog may send the line it stopped at twice: it has the same event
    id then, and JetStream stores it once."""
    await house.subscriber.until(lambda event: True, count)
    arrived = [arrival.event.queue_id for arrival in house.subscriber.arrivals]
    assert sorted(map(str, arrived)) == [f"4ABC{number:05d}" for number in range(count)]
    await house.subscriber.assert_all_stored()
    metrics = await house.receiver.metrics()
    assert_balanced(metrics)
    copies = len(house.subscriber.copies)
    assert value(metrics, "frames_received_total") == of_this_receiver + copies
    assert value(metrics, "frames_dropped_total") == 0
    assert value(metrics, "published_total", result="ok") == of_this_receiver
    assert value(metrics, "published_total", result="duplicate") == copies
