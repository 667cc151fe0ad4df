"""Lines written on the host itself: `logger` to rsyslog's local socket, and `mailfault tail` at the
other end."""

import asyncio
import re
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.child import Child
from tests.e2e.expected import bounced, client, delays, reject, said
from tests.e2e.house import House
from tests.e2e.packages import require_program
from tests.e2e.rsyslog import LOCAL_HOST, Form

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

FORMS = [
    Form("udp", "50-mailfault-udp.conf"),
    Form("tcp", "50-mailfault-tcp.conf"),
    Form("octet", "50-mailfault-tcp-octet.conf"),
    Form("rfc5424", "50-mailfault-rfc5424.conf"),
]

REFUSED = (
    "NOQUEUE: reject: RCPT from unknown[192.0.2.66]: 554 5.7.1 <v@other.example>: Relay access"
    " denied; from=<spam@bad.example> to=<v@other.example> proto=ESMTP helo=<bad.example>"
)
BOUNCED = (
    "4ABCDE15C: to=<nosuch@example.org>, relay=none, delay=2.5, delays=2.1/0.1/0.2/0.1, dsn=5.4.6,"
    " status=bounced (mail for example.org loops back to myself)"
)


async def logger(socket: Path, tag: str, text: str, priority: str = "mail.info") -> None:
    process = await asyncio.create_subprocess_exec(
        require_program("logger", "bsdutils"),
        "--socket", socket, "--tag", tag, "--id=4711", "--priority", priority, "--", text,
        stdout=PIPE, stderr=STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode == 0, output


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
async def test_logger_to_event(house: House, form: Form) -> None:
    transport = "udp" if form.name == "udp" else "tcp"
    rsyslogd = await house.rsyslogd(form, house.receiver.ports[transport])
    started = datetime.now(UTC)
    # Another facility never leaves the host.
    await logger(rsyslogd.local_socket, "postfix/smtp", BOUNCED, priority="daemon.info")
    await logger(rsyslogd.local_socket, "postfix/smtpd", REFUSED)
    await logger(rsyslogd.local_socket, "postfix/smtp", BOUNCED)
    events = await house.subscriber.until(lambda event: True, count=2)
    assert len(events) == 2

    first, second = (
        reject(
            sender="spam@bad.example",
            recipient="v@other.example",
            smtp_code=554,
            enhanced_code="5.7.1",
            response="554 5.7.1 <v@other.example>: Relay access denied",
            client=client(None, "192.0.2.66"),
            helo="bad.example",
            protocol="ESMTP",
        ),
        bounced(
            queue_id="4ABCDE15C",
            recipient="nosuch@example.org",
            enhanced_code="5.4.6",
            response="mail for example.org loops back to myself",
            delay=2.5,
            delays=delays(2.1, 0.1, 0.2, 0.1),
            category="loop",
        ),
    )
    assert said(events[0], first) == first
    assert said(events[1], second) == second
    await house.subscriber.assert_all_stored()
    for event, daemon in zip(events, ("smtpd", "smtp"), strict=True):
        assert event.mta.model_dump(mode="json") == {
            "host": LOCAL_HOST,
            "instance": "postfix",
            "service": f"postfix/{daemon}",
            "daemon": daemon,
            "pid": 4711,
            "source_ip": "127.0.0.1",
            "transport": transport,
        }
        assert event.time_quality == "exact"
        assert started <= event.event_time <= event.received_at < started + timedelta(minutes=1)
        assert re.match(r"<22>", event.raw or "")
    await _assert_tail_shows(house)


async def _assert_tail_shows(house: House) -> None:
    tail = await Child.start(
        sys.executable, "-m", "service", "tail", "--since", "1h", "--nats", house.nats_url
    )
    for words in (
        ("reject", LOCAL_HOST, "NOQUEUE", "v@other.example", "5.7.1", "relay_denied"),
        ("bounced", LOCAL_HOST, "4ABCDE15C", "nosuch@example.org", "5.4.6", "loop"),
    ):
        await tail.until(partial(_has_all, words))
    assert len(tail.lines) == 2
    assert await tail.stop(signal.SIGINT) == 0


def _has_all(words: tuple[str, ...], line: str) -> bool | None:
    return all(word in line for word in words) or None
