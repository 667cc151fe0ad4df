"""Events of a fleet over some hours, as its receivers would have published them: the same for the
same seed, but for the time they end at."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Any, TypeVar

import schemas
from schemas import BouncedEvent, DeferredEvent, EventBase, RejectEvent, ResolvedEvent
from schemas.samples import example

MTAS = {"mx1.example.org": 8, "mx2.example.org": 7, "out1.example.org": 9, "out2.example.org": 5,
        "lists.example.org": 2, "relay-fra.example.net": 1}  # fmt: skip
DOMAINS = {"gmail.example": 11, "outlook.example": 9, "yahoo.example": 5, "web.example": 4,
           "icloud.example": 2, "example.net": 3, "uni-beispiel.example": 2, "corp.example": 2,
           "shop.example": 1, "verein.example": 1, "mail.example.jp": 1}  # fmt: skip
PROVIDERS = {"gmail.example": "google", "outlook.example": "microsoft", "yahoo.example": "yahoo",
             "icloud.example": "apple"}  # fmt: skip
PEOPLE = ("anna", "jonas", "marie.keller", "p.novak", "info", "office", "sales", "yuki", "o.brien",
          "team", "karim", "lena.vogt", "service", "t.larsen", "newsletter")  # fmt: skip
DEFERRALS = (
    ("greylisted", "recipient", 6, "450", "4.7.1",
     "450 4.7.1 Greylisted, see http://postgrey.example/help"),
    ("rate_limited", "reputation", 7, "421", "4.7.28",
     ("421-4.7.28 Our system has detected an unusual rate of unsolicited mail originating "
     "from your IP address. To protect our users, mail has been temporarily rate limited.")),
    ("mailbox_full", "recipient", 5, "452", "4.2.2",
     "452 4.2.2 The recipient's inbox is out of storage space."),
    ("timeout", "network", 4, None, "4.4.1",
     "connect to mx.example.net[192.0.2.25]:25: Connection timed out"),
    ("dns", "network", 2, None, "4.4.3",
     ("Host or domain name not found. Name service error for name=shop.example type=MX: "
     "Host not found, try again")),
    ("server_busy", "remote", 2, "451", "4.3.2",
     "451 4.3.2 Please try again later, system load too high"),
)  # fmt: skip
BOUNCES = (
    ("unknown_user", "recipient", 9, "550", "5.1.1",
     ("550 5.1.1 The email account that you tried to reach does not exist. Please try "
     "double-checking the recipient's email address for typos.")),
    ("blocklisted_ip", "reputation", 4, "550", "5.7.1",
     ("550 5.7.1 Unfortunately, messages from [198.51.100.5] weren't sent. Please contact "
     "your Internet service provider since part of their network is on our block list "
     "(S3140).")),
    ("spam_content", "message", 2, "550", "5.7.1",
     "550 5.7.1 This message was not accepted due to its content"),
    ("auth_failed", "sender", 2, "550", "5.7.26",
     ("550-5.7.26 This mail has been blocked because the sender is unauthenticated. SPF and"
     " DKIM did not pass.")),
    ("domain_not_found", "recipient", 1, None, "5.4.4",
     ("Host or domain name not found. Name service error for name=exampel.net type=AAAA: "
     "Host not found")),
)  # fmt: skip
REJECTS = (
    ("blocklisted_ip", "reputation", 9, 554, "5.7.1",
     ("554 5.7.1 Service unavailable; Client host [203.0.113.66] blocked using "
     "zen.dnsbl.example")),
    ("unknown_user", "recipient", 5, 550, "5.1.1",
     "550 5.1.1 <{}>: Recipient address rejected: User unknown in virtual mailbox table"),
    ("relay_denied", "policy", 3, 554, "5.7.1",
     "554 5.7.1 <{}>: Relay access denied"),
    ("helo_rejected", "sender", 3, 450, "4.7.1",
     "450 4.7.1 <dsl-pool-17>: Helo command rejected: Host not found"),
    ("client_dns", "sender", 3, 450, "4.7.25",
     "450 4.7.25 Client host rejected: cannot find your hostname, [203.0.113.9]"),
)  # fmt: skip

_EXAMPLES: dict[type[EventBase], dict[str, Any]] = {
    model: dict(example(model))
    for model in (RejectEvent, BouncedEvent, DeferredEvent, ResolvedEvent)
}
_MTA = example(BouncedEvent).mta.model_dump()

E = TypeVar("E", bound=EventBase)


class Traffic:
    """`events(number, hours)`: in the order of time, the last ones just now."""

    def __init__(self, seed: int = 5, now: datetime | None = None) -> None:
        self._random = Random(seed)
        self._now = now or datetime.now(UTC)
        self._made = 0

    def events(self, number: int, hours: float = 24) -> list[EventBase]:
        events: list[EventBase] = []
        while len(events) < number:
            events += self._message(hours)
        events.sort(key=lambda event: event.event_time)
        return events[-number:]

    def _message(self, hours: float) -> Iterator[EventBase]:
        random = self._random
        host = self._of(MTAS)
        # One host of the fleet fell silent a while ago.
        end = self._now - timedelta(minutes=55 if host == "lists.example.org" else 0)
        at = min(self._moment(hours), end)
        if random.random() < 0.42:
            yield self._reject(at, host)
            return
        domain = self._of(DOMAINS)
        base = self._base(host, f"{random.choice(PEOPLE)}@{domain}")
        base["provider"] = PROVIDERS.get(domain)
        if random.random() < 0.45:
            yield self._bounce(at, base)
            return
        first, attempt = at, 1
        wait = timedelta(minutes=5)
        cause = self._row(DEFERRALS)
        while True:
            if at > end:
                return
            yield self._deferral(at, base, cause, attempt, first)
            at += wait * random.uniform(0.9, 1.1)
            attempt += 1
            wait = min(wait * 2, timedelta(minutes=66))
            if random.random() < 0.55 or attempt > 9:
                break
        if at <= end:
            done = "delivered" if random.random() < 0.8 else "bounced"
            if done == "bounced":
                yield self._bounce(at, base)
            yield self._resolved(at + timedelta(seconds=1), base, done, attempt, first)

    def _moment(self, hours: float) -> datetime:
        """More by day, with a flood three hours ago."""
        while True:
            back = self._random.uniform(0, hours)
            if self._random.random() < 0.12:
                back = abs(self._random.gauss(3, 0.25))
            at = self._now - timedelta(hours=min(back, hours))
            day = 0.55 + 0.45 * math.sin((at.hour + at.minute / 60 - 7) / 24 * 2 * math.pi)
            if self._random.random() < day:
                return at

    def _base(self, host: str, recipient: str) -> dict[str, Any]:
        self._made += 1
        return {
            "mta": {**_MTA, "host": host},
            "queue_id": f"4d{self._made:06X}z9tQ3",
            "recipient": recipient,
            "recipient_domain": recipient.rpartition("@")[2],
            "sender": f"{self._random.choice(PEOPLE)}@example.org",
            "message": {"message_id": f"{self._made:08x}@mail.example.org", "context": "complete"},
            "provider_code": None,
        }

    def _stamp(self, at: datetime) -> dict[str, Any]:
        self._made += 1
        return {"event_id": f"{self._made:032x}", "event_time": at, "received_at": at}

    def _reject(self, at: datetime, host: str) -> EventBase:
        category, scope, _, code, enhanced, response = self._row(REJECTS)
        recipient = f"{self._random.choice(PEOPLE)}@example.org"
        base = self._base(host, recipient)
        base |= {"queue_id": None, "message": None, "smtp_code": code, "enhanced_code": enhanced}
        base |= {"category": category, "scope": scope, "response": response.format(recipient)}
        return self._event(RejectEvent, {**base, **self._stamp(at), "provider": None})

    def _bounce(self, at: datetime, base: dict[str, Any]) -> EventBase:
        said = self._said(self._row(BOUNCES), base)
        return self._event(BouncedEvent, {**base, **self._stamp(at), **said, "notice": None})

    def _deferral(
        self, at: datetime, base: dict[str, Any], cause: Any, attempt: int, first: datetime
    ) -> EventBase:
        said = self._said(cause, base)
        more = {"attempt": attempt, "first_deferred_at": first}
        return self._event(DeferredEvent, {**base, **self._stamp(at), **said, **more})

    def _resolved(
        self, at: datetime, base: dict[str, Any], outcome: str, attempts: int, first: datetime
    ) -> EventBase:
        more = {"attempts": attempts, "first_deferred_at": first, "outcome": outcome}
        more |= {"smtp_code": 250, "enhanced_code": "2.0.0", "response": "250 2.0.0 Ok: queued"}
        return self._event(ResolvedEvent, {**base, **self._stamp(at), **more})

    def _said(self, row: Any, base: dict[str, Any]) -> dict[str, Any]:
        category, scope, _, code, enhanced, text = row
        domain = base["recipient_domain"]
        response = f"host mx.{domain}[192.0.2.25] said: {text} (in reply to RCPT TO command)"
        return {
            "category": category,
            "scope": scope,
            "smtp_code": int(code) if code else None,
            "enhanced_code": enhanced,
            "response": response if code else text,
            "raw": f"<22>mx postfix/smtp[24120]: {base['queue_id']}: to=<{base['recipient']}>, "
            f"dsn={enhanced}, status=... ({response if code else text})",
        }

    def _event(self, model: type[E], changes: dict[str, Any]) -> E:
        return model.model_validate({**_EXAMPLES[model], **changes})

    def _of(self, weights: dict[str, int]) -> str:
        return self._random.choices(list(weights), list(weights.values()))[0]

    def _row(self, rows: Any) -> Any:
        return self._random.choices(rows, [row[2] for row in rows])[0]


def mta(host: str) -> schemas.Mta:
    return example(BouncedEvent).mta.model_copy(update={"host": host})


def subject(event: EventBase) -> str:
    return schemas.subject_for(event.event_type, event.mta.host)


_ids = count(1)


def now(model: type[EventBase] = BouncedEvent, **changes: Any) -> EventBase:
    """An example as an event of just now, unlike all others."""
    at = datetime.now(UTC)
    stamp = {"event_id": f"{next(_ids):032x}", "event_time": at, "received_at": at}
    return example(model, **{**stamp, **changes})
