"""From what became of a line to its events.

In: a `Job`. Out: one event or several, all valid; what cannot be made valid is a dead letter.
"""

from dataclasses import replace
from datetime import datetime

from pydantic import ValidationError

from service.core.assemble import Event, assemble
from service.core.classify import Verdict
from service.core.context import utc
from service.core.correlate.waiting import Waiting
from service.core.identity import derived_id
from service.core.invalid import assemble_invalid
from service.core.line import event_id
from service.core.outcomes import Malformed
from service.core.postfix.facts import Delivery, Record
from service.core.postfix.result import Failure, Unparsed
from service.core.resolved import assemble_resolved
from service.core.syslog.message import SyslogMessage
from service.jobs import Job


def make(job: Job) -> list[Event]:
    """Never raises: what cannot be made into an event is one of type `invalid`."""
    line, parsed = job.line, job.parsed
    try:
        if isinstance(parsed, Exception):
            raise parsed
        return _events(job, parsed)
    except Exception as error:  # noqa: BLE001
        line.message = unread(line.raw, line.received_at)
        line.id = ""
        detail = type(error).__name__
        return [assemble_invalid(line, None, Malformed.PARSER_FAILED, detail)]


def _events(job: Job, parsed: Failure | Unparsed | None) -> list[Event]:
    line = job.line
    if isinstance(parsed, Unparsed):
        return [assemble_invalid(line, parsed.record, parsed.reason)]
    try:
        events: list[Event] = [] if parsed is None else _failures(job, parsed)
        record = job.record if parsed is None else parsed.record
        if record is not None and job.endings:
            events += [
                assemble_resolved(line, record, ending, job.context) for ending in job.endings
            ]
        return events
    except ValidationError as error:
        return [assemble_invalid(line, None, Malformed.INVALID_EVENT, _explain(error))]


def _failures(job: Job, failure: Failure) -> list[Event]:
    line, record, facts, verdict = job.line, failure.record, failure.facts, job.verdict
    assert verdict is not None  # noqa: S101
    if job.expired and isinstance(facts, Delivery):
        return [_expired(job, record, facts, verdict, waiting) for waiting in job.expired]
    if failure.repeats == 1:
        return [assemble(line, record, facts, verdict, job.context)]
    return [
        assemble(line, record, facts, verdict, job.context, event_id(line, repeat))
        for repeat in range(failure.repeats)
    ]


def _expired(
    job: Job, record: Record, facts: Delivery, verdict: Verdict, waiting: Waiting
) -> Event:
    """The line names no recipient: each that waited has one event of its own."""
    line = job.line
    original_recipient = None if waiting.is_several else waiting.original_recipient
    own = replace(facts, recipient=waiting.recipient, original_recipient=original_recipient)
    context = replace(
        job.context,
        attempt=waiting.attempt,
        first_deferred_at=utc(waiting.since),
    )
    name = derived_id(event_id(line), "bounced", waiting.recipient)
    return assemble(line, record, own, verdict, context, name)


def _explain(error: ValidationError) -> str:
    """Fields and rules, without the values: they are personal data and may be hostile."""
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()
    )


def unread(raw: bytes, received_at: datetime) -> SyslogMessage:
    """What stands for a message that could not be read."""
    # The whole line as its text, so that different lines have different ids.
    text = raw.decode("utf-8", "replace")
    return SyslogMessage("", received_at, "received", None, "", None, text)
