"""A few log lines, one of each outcome, and envelopes made of them."""

from datetime import UTC, datetime

from service.core.assemble import Event, assemble
from service.core.classify import builtin_classifier
from service.core.envelope import Envelope, SubjectTemplate
from service.core.framing.base import Frame
from service.core.line import Line
from service.core.outcomes import Skip
from service.core.postfix.facts import Facts, Record
from service.metrics import Metrics
from service.pipeline import Pipeline
from service.pipeline_config import PipelineConfig
from service.received import Origin

NOW = datetime(2026, 8, 22, 10, 0, 5, tzinfo=UTC)
ORIGIN = Origin("tcp", "192.0.2.250")

HEADER = b"<22>Aug 22 10:00:00 mx1 postfix/"
REJECT = (
    HEADER + b"smtpd[7]: NOQUEUE: reject: RCPT from unknown[192.0.2.66]: 554 5.7.1 "
    b"<v@other.example>: Relay access denied; from=<s@bad.example> to=<v@other.example> "
    b"proto=ESMTP helo=<bad.example>"
)
DEFERRED = (
    HEADER + b"smtp[8]: 4ABCDE12F: to=<later@example.net>, relay=none, delay=30, "
    b"delays=0.1/0/30/0, dsn=4.4.1, status=deferred (connect to mx.example.net[192.0.2.1]:25: "
    b"Connection timed out)"
)
BOUNCED = (
    HEADER + b"smtp[9]: 4ABCDE12F: to=<gone@Example.NET>, orig_to=<old@example.org>, "
    b"relay=mx.example.net[192.0.2.1]:25, delay=1.4, delays=0.05/0.01/0.6/0.7, dsn=5.1.1, "
    b"status=bounced (host mx.example.net[192.0.2.1] said: 550 5.1.1 <gone@example.net>: "
    b"User unknown (in reply to RCPT TO command))"
)
UNCLASSIFIED = BOUNCED.replace(b"550 5.1.1 <gone@example.net>: User unknown", b"550 zork")
REPEATED = HEADER + b"smtp[9]: message repeated 3 times: [ " + BOUNCED.split(b": ", 1)[1] + b"]"
UNKNOWN_SHAPE = HEADER + b"smtpd[7]: NOQUEUE: reject: a shape that no Postfix writes"
SENT = (
    HEADER + b"smtp[8]: 4ABCDE12F: to=<ok@example.net>, relay=mx.example.net[192.0.2.1]:25, "
    b"delay=1.2, delays=0.05/0.01/0.6/0.52, dsn=2.0.0, status=sent (250 2.0.0 Ok)"
)
PROBE = SENT.replace(b"status=sent", b"status=undeliverable")
HARMLESS = HEADER + b"smtpd[7]: connect from mail.example.net[192.0.2.10]"
NOT_POSTFIX = b"<22>Aug 22 10:00:00 mx1 dovecot[7]: login: user=<a>, status=bounced (no)"
NOT_SYSLOG = b"status=bounced (and nothing around it)"

MIX = [HARMLESS, REJECT, SENT, BOUNCED, UNKNOWN_SHAPE, b"\xff\x00x"]
"""Three failures, four lines that are none: the NUL ends a line on TCP."""

TEMPLATE = SubjectTemplate("{prefix}.{type}.{mta}", "postfix")


def pipeline(
    template: SubjectTemplate = TEMPLATE, config: PipelineConfig | None = None
) -> tuple[Pipeline, Metrics]:
    metrics = Metrics()
    return Pipeline(config or PipelineConfig(), template, metrics, builtin_classifier()), metrics


def with_notices(count: int) -> list[bytes]:
    """Messages that bounce; the line that names the notice of each comes two lines later."""
    made = []
    for number in range(count):
        queue_id = b"4AB%05dF" % number
        made += [
            HEADER + b"qmgr[1]: %b: from=<a@x>, size=9, nrcpt=1 (queue active)" % queue_id,
            BOUNCED.replace(b"4ABCDE12F", queue_id),
            HARMLESS,
            HEADER
            + b"bounce[1]: %b: sender non-delivery notification: 5F%07d" % (queue_id, number),
            HEADER + b"qmgr[1]: %b: removed" % queue_id,
        ]
    return made


def numbered(number: int) -> bytes:
    """A reject that differs from others."""
    return REJECT.replace(b"v@other", b"v%d@other" % number)


def several(start: int, count: int) -> list[bytes]:
    return [numbered(number) for number in range(start, start + count)]


def block(*some: bytes) -> bytes:
    """Each ended by LF."""
    return b"".join(line + b"\n" for line in some)


def envelope(number: int, template: SubjectTemplate = TEMPLATE) -> Envelope:
    (made,) = pipeline(template)[0].frame(Frame(numbered(number)), ORIGIN, NOW)
    return made


def assembled(line: Line, record: Record, facts: Facts) -> Event:
    """With the verdict of the built-in rules, and without anything that other lines told."""
    return assemble(line, record, facts, builtin_classifier().classify(facts))


def read_line(made: Pipeline, raw: bytes, written_at: datetime = NOW) -> list[Event] | Skip:
    """What becomes of a line that need not wait."""
    outcomes: list[list[Event] | Skip] = []
    made.read_line(Frame(raw), ORIGIN, NOW, written_at, outcomes.append)
    (outcome,) = outcomes
    return outcome
