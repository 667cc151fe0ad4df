"""Postfix' lines of messages that are deferred, retried and end, and what is true of each.

In: a seed. Out: for each host its lines in order, and for each recipient how often it was deferred
and how it ended. Words as Postfix 3.9 writes them.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

_FAILED = (
    "relay=none, delay={delay}, delays=0.1/0/30/0, dsn=4.4.1, status=deferred "
    "(connect to mx.example.net[192.0.2.1]:25: Connection timed out)"
)
_SENT = (
    "relay=mx.example.net[192.0.2.1]:25, delay={delay}, delays=0.05/0.01/0.6/0.52, dsn=2.0.0, "
    "status=sent (250 2.0.0 Ok)"
)
_BOUNCED = (
    "relay=mx.example.net[192.0.2.1]:25, delay={delay}, delays=0.05/0.01/0.6/0.7, dsn=5.1.1, "
    "status=bounced (host mx.example.net[192.0.2.1] said: 550 5.1.1 User unknown (in reply to RCPT "
    "TO command))"
)
_RETRY = timedelta(seconds=300)
"""minimal_backoff_time(5)."""


@dataclass(slots=True)
class Recipient:
    address: str
    deferrals: int = 0
    outcome: str | None = None
    """None while it waits."""


@dataclass(slots=True)
class Mail:
    queue_id: str
    sender: str
    recipients: list[Recipient]
    rounds: list[list[bytes]] = field(default_factory=lambda: [[]])
    """Its lines, by attempt: minutes lie between them."""


@dataclass(slots=True)
class Host:
    name: str
    mails: list[Mail]
    rounds: list[list[bytes]]
    """The lines of all messages, mixed as they would be, by attempt."""

    @property
    def expected(self) -> dict[tuple[str, str], Recipient]:
        """Recipients that were ever deferred, by queue id and address."""
        return {
            (mail.queue_id, recipient.address): recipient
            for mail in self.mails
            for recipient in mail.recipients
            if recipient.deferrals
        }


class _Writer:
    def __init__(self, host: str, mail: Mail, now: datetime) -> None:
        self._host = host
        self._mail = mail
        self.now = now
        self._arrived = now

    def write(self, daemon: str, text: str) -> None:
        self.now += timedelta(milliseconds=137)
        stamp = self.now.isoformat()
        line = f"<22>{stamp} {self._host} postfix/{daemon}[77]: {self._mail.queue_id}: {text}"
        self._mail.rounds[-1].append(line.encode())

    def rest(self, time: timedelta) -> None:
        self.now += time
        self._mail.rounds.append([])

    def attempt(self, recipient: Recipient, said: str) -> None:
        delay = round((self.now - self._arrived).total_seconds(), 2)
        self.write("smtp", f"to=<{recipient.address}>, {said.format(delay=delay)}")


def host(name: str, seed: int, mails: int) -> Host:
    rng = Random(seed)
    start = datetime.now(UTC) - timedelta(hours=20)
    made = [_mail(rng, name, number, start) for number in range(mails)]
    attempts = max(len(mail.rounds) for mail in made)
    rounds = [
        _mixed(rng, [mail.rounds[number] for mail in made if number < len(mail.rounds)])
        for number in range(attempts)
    ]
    return Host(name, made, rounds)


def _mail(rng: Random, name: str, number: int, now: datetime) -> Mail:
    sender = f"sender{number}@{name}"
    recipients = [
        Recipient(f"r{place}.{number}@example.net") for place in range(rng.choice((1, 1, 2, 3, 5)))
    ]
    # Short and long ids, each once (`global/mail_queue.h`).
    queue_id = f"{rng.randrange(16):X}{number:05X}F" if number % 2 else f"4bXy{number:06d}zKlm"
    mail = Mail(queue_id, sender, recipients)
    writer = _Writer(name, mail, now + timedelta(seconds=number))
    writer.write("smtpd", "client=client.example.org[192.0.2.77]")
    writer.write("cleanup", f"message-id=<{number}.{name}@client.example.org>")
    active = f"from=<{sender}>, size=2345, nrcpt={len(recipients)} (queue active)"
    writer.write("qmgr", active)
    attempts = rng.choice((1, 2, 2, 3, 4, 6))
    expires = rng.random() < 0.15
    is_deleted = not expires and rng.random() < 0.1
    for attempt in range(attempts):
        if all(recipient.outcome for recipient in recipients):
            break
        if attempt:
            writer.rest(_RETRY * attempt)
            writer.write("qmgr", active)
        is_last = attempt == attempts - 1 and not expires and not is_deleted
        for recipient in recipients:
            if recipient.outcome is None:
                _try(rng, writer, recipient, is_last)
    waiting = [recipient for recipient in recipients if recipient.outcome is None]
    if expires and waiting:
        writer.rest(_RETRY)
        writer.write("qmgr", f"from=<{sender}>, status=expired, returned to sender")
    if is_deleted and waiting:
        writer.rest(_RETRY)
    for recipient in waiting:
        recipient.outcome = "expired" if expires else "removed"
    writer.write("postsuper" if is_deleted and waiting else "qmgr", "removed")
    return mail


def _try(rng: Random, writer: _Writer, recipient: Recipient, is_last: bool) -> None:
    chance = rng.random()
    if is_last or chance < 0.2:
        recipient.outcome = "bounced" if chance < 0.1 else "delivered"
        writer.attempt(recipient, _BOUNCED if recipient.outcome == "bounced" else _SENT)
    else:
        recipient.deferrals += 1
        writer.attempt(recipient, _FAILED)


def _mixed(rng: Random, threads: list[list[bytes]]) -> list[bytes]:
    """Each in its own order, up to twenty at once."""
    lines: list[bytes] = []
    waiting = [list(reversed(thread)) for thread in reversed(threads)]
    running: list[list[bytes]] = []
    while running or waiting:
        while waiting and len(running) < 20:
            running.append(waiting.pop())
        thread = rng.choice(running)
        number = min(len(thread), rng.choice((1, 2, 4)))
        lines.extend(thread.pop() for _ in range(number))
        if not thread:
            running.remove(thread)
    return lines
