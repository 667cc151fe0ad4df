"""Messages as Postfix tells of them, line by line, and what must be made of that: the lines of
several messages in any order, and a reference that follows each message for itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from tests.sample_lines import NOW

QUEUE_IDS = ("4ABCDE12F", "5F00112233", "1E2401C0002")
"""Few, so that they are used again."""
_ADDRESSES = ("a@x.example", "b@x.example", 'odd, "to=<c>"@x.example')


@dataclass(slots=True)
class Recipient:
    address: str
    deferrals: int = 0
    first_deferred: datetime | None = None
    is_open: bool = True


@dataclass(slots=True)
class Mail:
    number: int
    queue_id: str
    origin: str
    """How it came: `client`, `login`, `uid`, `own` (Postfix made it) or `unseen`."""
    sender: str
    recipients: list[Recipient]
    has_begun: bool = True
    attempts: int = 0
    vanishes: bool = False
    """No line tells that it left the queue."""

    @property
    def message_id(self) -> str:
        return f"{self.number}.{self.queue_id}@x.example"

    @property
    def is_seen(self) -> bool:
        return self.origin != "unseen"


@dataclass(slots=True)
class Step:
    """One line: what it says, of which message."""

    mail: Mail
    kind: str
    recipient: int = 0
    at: datetime = NOW
    text: str = ""


@st.composite
def mails(draw: st.DrawFn, number: int, queue_id: str, may_be_unseen: bool) -> list[Step]:
    """The life of one message. Only of the first under an id the beginning may not be seen."""
    origins = ["client", "login", "uid", "own", *(["unseen"] if may_be_unseen else [])]
    origin = draw(st.sampled_from(origins))
    sender = "" if origin == "own" else draw(st.sampled_from([f"s{number}@y.example", ""]))
    count = draw(st.integers(1, 3))
    mail = Mail(number, queue_id, origin, sender, [Recipient(a) for a in _ADDRESSES[:count]])
    steps: list[Step] = []
    if origin != "unseen":
        if origin != "own":
            steps.append(Step(mail, "begin"))
        steps.append(Step(mail, "message-id"))
    left = list(range(count))
    is_told = False
    for attempt in range(1, draw(st.integers(1, 4)) + 1):
        if not left:
            break
        if not (origin == "unseen" and attempt == 1):
            steps.append(Step(mail, "active"))
        for recipient in draw(st.permutations(left)):
            end = draw(st.sampled_from(["deferred", "deferred", "sent", "bounced"]))
            steps.append(Step(mail, end, recipient))
            if end == "bounced":
                is_told = True
            if end != "deferred":
                left.remove(recipient)
        if is_told and draw(st.booleans()):
            steps.append(Step(mail, "notice"))
            is_told = False
    if len(left) > 0 and draw(st.booleans()):
        steps.append(Step(mail, "expired"))
        if draw(st.booleans()):
            steps.append(Step(mail, "notice"))
        left = []
    steps.append(Step(mail, "deleted" if len(left) > 0 and draw(st.booleans()) else "removed"))
    return steps


@st.composite
def logs(draw: st.DrawFn, may_vanish: bool = True) -> list[Step]:
    """Lives of messages one after the other under each queue id, side by side across these."""
    number = 0
    queues = []
    for queue_id in QUEUE_IDS[: draw(st.integers(1, 3))]:
        lives: list[Step] = []
        for _ in range(draw(st.integers(1, 3))):
            if may_vanish and _may_vanish(lives) and draw(st.booleans()):
                lives.pop().mail.vanishes = True
            lives += draw(mails(number, queue_id, may_be_unseen=not lives))
            number += 1
        queues.append(lives)
    steps: list[Step] = []
    while queues:
        queue = draw(st.sampled_from(queues)) if len(queues) > 1 else queues[0]
        steps.append(queue.pop(0))
        queues = [each for each in queues if each]
    return steps


def _may_vanish(lives: list[Step]) -> bool:
    """Whether lines of the next message are surely not of the last one of these. Of one without a
    client or a user they may be, within a minute; and a bounce would take the next one's notice."""
    if not lives:
        return False
    mail = lives[-1].mail
    kinds = {step.kind for step in lives if step.mail is mail}
    return mail.origin in ("client", "login", "uid") and not kinds & {"bounced", "expired"}


def stamped(steps: list[Step], gap: timedelta, is_exact: bool) -> list[Step]:
    """With times and the lines themselves."""
    at = datetime(2026, 8, 22, 8, 0, 0, 250_000 if is_exact else 0, tzinfo=UTC)
    for step in steps:
        at += gap
        step.at = at
        stamp = at.isoformat() if is_exact else f"{at:%b %d %H:%M:%S}"
        step.text = f"<22>{stamp} mx1 {_said(step)}"
    return steps


def _said(step: Step) -> str:
    mail, queue_id = step.mail, step.mail.queue_id
    if step.kind == "begin":
        if mail.origin == "uid":
            return f"postfix/pickup[3]: {queue_id}: uid=1000 from=<{mail.sender}>"
        login = ", sasl_method=PLAIN, sasl_username=anna" if mail.origin == "login" else ""
        service = "submission/smtpd" if login else "smtpd"
        return f"postfix/{service}[1]: {queue_id}: client=c{mail.number}.example[192.0.2.9]{login}"
    if step.kind == "message-id":
        return f"postfix/cleanup[2]: {queue_id}: message-id=<{mail.message_id}>"
    if step.kind == "active":
        open_ones = len(mail.recipients)
        size = 1000 + mail.number
        return (
            f"postfix/qmgr[4]: {queue_id}: from=<{mail.sender}>, size={size}, nrcpt={open_ones} "
            "(queue active)"
        )
    if step.kind == "notice":
        return f"postfix/bounce[6]: {queue_id}: sender non-delivery notification: {notice_of(mail)}"
    if step.kind == "expired":
        return (
            f"postfix/qmgr[4]: {queue_id}: from=<{mail.sender}>, status=expired, returned to sender"
        )
    if step.kind in ("removed", "deleted"):
        daemon = "qmgr" if step.kind == "removed" else "postsuper"
        return f"postfix/{daemon}[4]: {queue_id}: removed"
    dsn = {"deferred": "4.4.1", "sent": "2.0.0", "bounced": "5.1.1"}[step.kind]
    address = mail.recipients[step.recipient].address
    return (
        f"postfix/smtp[5]: {queue_id}: to=<{address}>, relay=mx.example.net[192.0.2.1]:25, "
        f"delay=5, delays=1/1/1/2, dsn={dsn}, status={step.kind} (host mx.example.net[192.0.2.1] "
        f"said: {dsn[0]}50 {dsn} line {step.at.timestamp()})"
    )


def notice_of(mail: Mail) -> str:
    return f"7E{mail.number:07}"


def expected(steps: list[Step]) -> list[dict[str, Any]]:
    """The events, followed message by message."""
    events: list[dict[str, Any]] = []
    bounces: dict[int, list[dict[str, Any]]] = {}
    """That may yet hear of their notice, by message."""
    active: set[int] = set()
    last: dict[str, Mail] = {}
    """By queue id."""
    for step in steps:
        mail = step.mail
        before = last.get(mail.queue_id, mail)
        last[mail.queue_id] = mail
        if before is not mail and before.vanishes:
            events += _left(step, before, before.number in active)
            bounces.pop(before.number, None)
        if step.kind == "active":
            mail.attempts += 1
            active.add(mail.number)
        elif step.kind == "notice":
            for bounce in bounces.pop(mail.number, []):
                bounce["notice"] = notice_of(mail)
        elif step.kind in ("deferred", "bounced", "sent"):
            recipient = mail.recipients[step.recipient]
            made = list(_attempted(step, recipient, mail, mail.number in active))
            events += made
            if mail.number in active:
                bounces.setdefault(mail.number, []).extend(
                    event for event in made if event["event_type"] == "bounced"
                )
        elif step.kind in ("expired", "removed", "deleted"):
            made = list(_left(step, mail, mail.number in active))
            events += made
            if step.kind == "expired":
                bounces.setdefault(mail.number, []).extend(
                    event for event in made if event["event_type"] == "bounced"
                )
            elif step.kind != "expired":
                bounces.pop(mail.number, None)
    return events


def _common(step: Step, mail: Mail, is_active: bool) -> dict[str, Any]:
    is_client = mail.origin in ("client", "login")
    knows_sender = is_active or mail.origin == "uid"
    is_whole = mail.is_seen and knows_sender
    return {
        "queue_id": mail.queue_id,
        "event_time": step.at,
        "message_id": mail.message_id if mail.is_seen else None,
        "message_sender": mail.sender if knows_sender else None,
        "client": f"c{mail.number}.example" if is_client else None,
        "login": "anna" if mail.origin == "login" else None,
        "context": "complete" if is_whole else "partial" if mail.is_seen or is_active else "none",
        "notice": None,
    }


def _attempted(
    step: Step, recipient: Recipient, mail: Mail, is_active: bool
) -> Iterator[dict[str, Any]]:
    common = _common(step, mail, is_active)
    was_waiting = recipient.deferrals > 0
    number = recipient.deferrals + 1
    attempt = number if mail.is_seen else None
    if step.kind == "deferred":
        recipient.deferrals = number
        recipient.first_deferred = recipient.first_deferred or step.at
    else:
        recipient.is_open = False
    since = recipient.first_deferred if mail.is_seen else None
    of_this = {"recipient": recipient.address, "first_deferred_at": since}
    if step.kind != "sent":
        yield {**common, **of_this, "event_type": step.kind, "attempt": attempt}
    if step.kind != "deferred" and was_waiting:
        outcome = "delivered" if step.kind == "sent" else "bounced"
        yield _resolved(common, of_this, outcome, number, attempt)


def _left(step: Step, mail: Mail, is_active: bool) -> Iterator[dict[str, Any]]:
    common = _common(step, mail, is_active)
    waiting = [r for r in mail.recipients if r.is_open and r.deferrals]
    if step.kind == "expired" and not waiting:
        nobody = {"recipient": None, "first_deferred_at": None}
        yield {**common, **nobody, "event_type": "bounced", "attempt": None}
    for recipient in waiting:
        recipient.is_open = False
        attempt = recipient.deferrals if mail.is_seen else None
        since = recipient.first_deferred if mail.is_seen else None
        of_this = {"recipient": recipient.address, "first_deferred_at": since}
        if step.kind == "expired":
            yield {**common, **of_this, "event_type": "bounced", "attempt": attempt}
        outcome = "expired" if step.kind == "expired" else "removed"
        yield _resolved(common, of_this, outcome, recipient.deferrals, attempt)


def _resolved(
    common: dict[str, Any],
    of_this: dict[str, Any],
    outcome: str,
    attempts: int,
    attempt: int | None,
) -> dict[str, Any]:
    more = {"event_type": "resolved", "outcome": outcome, "attempts": attempts, "attempt": attempt}
    return {**common, **of_this, **more}
