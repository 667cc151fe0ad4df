"""The end of a deferred recipient to a `resolved` event.

In: how the waiting ended, and the line that tells it. Out: the event, or
`pydantic.ValidationError`, which becomes a dead letter (`core.invalid`).
"""

from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter

from schemas.resolved import ResolvedEvent
from service.core.classify import Verdict
from service.core.context import Context, utc
from service.core.correlate.waiting import Waiting
from service.core.identity import derived_id
from service.core.line import Line, event_id, raw_of
from service.core.mta import mta_of
from service.core.postfix.addresses import domain_of
from service.core.postfix.facts import Delivery, Record

# The validator itself, as in `core.assemble`.
_RESOLVED: Final = TypeAdapter(ResolvedEvent).validator
_SEVERITIES: Final = {"bounced": "permanent", "expired": "permanent"}


@dataclass(slots=True, init=False)
class Ending:
    """How the waiting of a deferred recipient ended."""

    waiting: Waiting
    outcome: str
    """A word of `schemas.vocabulary.Outcome`."""
    status: str | None
    facts: Delivery | None
    """The last attempt; None where there was none: what was said last is then in `waiting`."""
    verdict: Verdict | None
    """Why, where a last attempt failed."""
    is_dated: bool
    """Whether it ended with the line that tells it; else some time before."""

    # Written out as in `core.postfix.facts`: for the compiled core.
    def __init__(
        self,
        waiting: Waiting,
        outcome: str,
        status: str | None,
        facts: Delivery | None,
        verdict: Verdict | None,
        is_dated: bool = True,
    ) -> None:
        self.waiting = waiting
        self.outcome = outcome
        self.status = status
        self.facts = facts
        self.verdict = verdict
        self.is_dated = is_dated


def assemble_resolved(
    line: Line, record: Record, ending: Ending, context: Context
) -> ResolvedEvent:
    """The end of a deferred recipient, told by `line`. Raises as `assemble`."""
    message = line.message
    waiting, facts, verdict = ending.waiting, ending.facts, ending.verdict
    name = derived_id(event_id(line), "resolved", waiting.recipient)
    reply = facts.remote_reply if facts is not None else None
    at = message.time.timestamp()
    queued_at = context.message.queued_at
    since = waiting.arrived if queued_at is None else queued_at.timestamp()
    age = facts.delay if facts is not None else None
    if age is None and since is not None and at >= since and ending.is_dated:
        age = round(at - since, 6)
    event: ResolvedEvent = _RESOLVED.validate_python(
        {
            "event_id": name,
            "event_time": message.time,
            "received_at": line.received_at,
            "time_quality": message.time_quality,
            "mta": mta_of(line, record),
            "queue_id": record.queue_id,
            "sender": context.sender,
            "recipient": waiting.recipient,
            "recipient_domain": domain_of(waiting.recipient),
            "smtp_code": waiting.smtp_code if facts is None else reply and reply.smtp_code,
            "enhanced_code": waiting.enhanced_code if facts is None else facts.enhanced_code,
            "severity": _SEVERITIES.get(ending.outcome),
            "response": waiting.response if facts is None else facts.response,
            "category": waiting.category if verdict is None else verdict.category,
            "scope": waiting.scope if verdict is None else verdict.scope,
            "provider": waiting.provider if verdict is None else verdict.provider,
            "provider_code": waiting.provider_code if verdict is None else verdict.provider_code,
            "message": context.message,
            "truncated": line.truncated,
            "raw": raw_of(line),
            "outcome": ending.outcome,
            "status": ending.status,
            "attempt": waiting.attempt,
            "attempts": waiting.attempts,
            "first_deferred_at": utc(waiting.since),
            "age": age,
        }
    )
    return event
