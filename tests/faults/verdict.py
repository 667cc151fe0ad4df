"""What is in the stream of a fleet's traffic, beside what its lines told.

In: hosts with their lines, and who took what. Out: an outcome, exact by the line: each failure line
has one event. Where no death touched a message (`knowledge.py`) its events must say all that its
lines told, with the right number of the attempt, and each recipient that was deferred must have its
one end; elsewhere only that the events exist.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import schemas
from benchmarks.stream import Stream
from schemas import BouncedEvent, DeferredEvent, ResolvedEvent
from tests.faults.case import Outcome, compare
from tests.faults.knowledge import Taken, known
from tests.faults.scene import Scene
from tests.mail_traffic import Host, Mail, Recipient

_SHOWN = 5
_ByLine = Mapping[str, list[DeferredEvent | BouncedEvent]]
_Ends = Mapping[tuple[str, str, str], list[ResolvedEvent]]


@dataclass
class Sending:
    """One host: where it sends to, and who took what."""

    host: Host
    order: list[int]
    """Receivers, the first first."""
    taken: dict[str, list[Taken]] = field(default_factory=dict)
    """By queue id: each attempt."""


async def judge(scene: Scene, sendings: list[Sending]) -> Outcome:
    async with Stream(scene.server.url) as stream:
        events = [schemas.decode(message.data) async for message in stream.read_back()]
    told = [event for event in events if isinstance(event, DeferredEvent | BouncedEvent)]
    by_line: dict[str, list[DeferredEvent | BouncedEvent]] = defaultdict(list)
    for failed in told:
        by_line[failed.raw or ""].append(failed)
    ends: dict[tuple[str, str, str], list[ResolvedEvent]] = defaultdict(list)
    for event in events:
        if isinstance(event, ResolvedEvent):
            ends[event.mta.host, event.queue_id or "", event.recipient or ""].append(event)
    verdict = _Verdict()
    for one in sendings:
        for mail in one.host.mails:
            verdict.judge(one, mail, by_line, ends)
    found = Counter(event.raw or "" for event in told if "status=expired" not in (event.raw or ""))
    outcome = compare(verdict.expected, found)
    ids = {event.event_id for event in events}
    outcome.check(len(ids) == len(events), "an event id is there twice")
    for failure in verdict.failures[:_SHOWN]:
        outcome.check(False, failure)
    outcome.check(verdict.due > outcome.sent / 2, f"only {verdict.due} had to be complete")
    outcome.check(verdict.due_from_bucket > 0, "nothing had to come from the bucket")
    outcome.notes["complete"] = verdict.complete / outcome.sent
    outcome.notes["had to be"] = verdict.due / outcome.sent
    outcome.notes["by the bucket"] = verdict.due_from_bucket
    return outcome


@dataclass
class _Verdict:
    expected: Counter[str] = field(default_factory=Counter)
    """Lines that tell of a failure."""
    complete: int = 0
    """Of their events."""
    due: int = 0
    """Events that must be complete."""
    due_from_bucket: int = 0
    """Of them: where a receiver goes on with what another, or one that died, has told."""
    failures: list[str] = field(default_factory=list)

    def judge(self, one: Sending, mail: Mail, by_line: _ByLine, ends: _Ends) -> None:
        taken = one.taken[mail.queue_id]
        must_know = known(taken)
        for number, lines in enumerate(mail.rounds):
            is_moved = number > 0 and taken[number].by != taken[number - 1].by
            for line in map(bytes.decode, lines):
                if "status=deferred" in line or "status=bounced" in line:
                    self.expected[line] += 1
                    self._judge_event(by_line[line], number + 1, must_know[number], is_moved)
                elif "status=expired" in line:
                    waiting = sum(r.outcome == "expired" for r in mail.recipients)
                    events = by_line[line]
                    if not events or (must_know[number] and len(events) != waiting):
                        self.failures.append(f"{len(events)} of {waiting} expired: {line}")
        if all(must_know):
            for recipient in mail.recipients:
                if recipient.deferrals:
                    found = ends[one.host.name, mail.queue_id, recipient.address]
                    self._judge_end(found, recipient)

    def _judge_event(
        self, events: list[DeferredEvent | BouncedEvent], attempt: int, must: bool, is_moved: bool
    ) -> None:
        for event in events:
            is_complete = event.message is not None and event.message.context == "complete"
            self.complete += is_complete
            if must:
                self.due += 1
                self.due_from_bucket += is_moved
                if not is_complete or event.attempt != attempt:
                    context = event.message and event.message.context
                    self.failures.append(f"{context}, {event.attempt} not {attempt}: {event.raw}")

    def _judge_end(self, found: list[ResolvedEvent], true: Recipient) -> None:
        last = 1 if true.outcome in ("delivered", "bounced") else 0
        told = [(event.outcome, event.attempts) for event in found]
        if told != [(true.outcome, true.deferrals + last)]:
            self.failures.append(f"{true} was told as {told}")
