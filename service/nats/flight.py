"""What is in flight: sent, and not yet answered by JetStream.

In: envelopes as they are sent, tokens of what JetStream has stored. Out: entries with a token each,
which is the last part of the reply subject, oldest first. No connection and no clock.
"""

from collections.abc import Iterable

from service.core.envelope import Envelope
from service.nats.answer import Published, Refusal, Rejected
from service.nats.lines import Lines, Stored, header_size


class Pending:
    """One message until its answer."""

    __slots__ = ("due", "envelope", "first_sent", "sendings", "size", "token")

    def __init__(self, token: str, envelope: Envelope, now: float, due: float) -> None:
        """`now`: loop time. `due`: when to send it again."""
        self.token = token
        self.envelope = envelope
        self.size = header_size(envelope) + len(envelope.body)
        """The server counts headers as part of the payload."""
        self.first_sent = now
        self.due = due
        self.sendings = 1


class Flight:
    """First sent, first in its order."""

    def __init__(self) -> None:
        self._pending: dict[str, Pending] = {}
        self._bytes = 0
        self._next_token = 0

    def __len__(self) -> int:
        return len(self._pending)

    def __contains__(self, pending: object) -> bool:
        return isinstance(pending, Pending) and pending.token in self._pending

    @property
    def bytes(self) -> int:
        return self._bytes

    def all(self) -> list[Pending]:
        return list(self._pending.values())

    def oldest(self) -> Pending | None:
        return next(iter(self._pending.values()), None)

    def due(self, now: float) -> list[Pending]:
        return [pending for pending in self._pending.values() if pending.due <= now]

    def get(self, token: str) -> Pending | None:
        return self._pending.get(token)

    def begin(self, envelopes: Iterable[Envelope], now: float, due: float) -> list[Pending]:
        """They are in flight from now on."""
        begun: list[Pending] = []
        for envelope in envelopes:
            pending = Pending(str(self._next_token), envelope, now, due)
            self._pending[pending.token] = pending
            self._next_token += 1
            self._bytes += pending.size
            begun.append(pending)
        return begun

    def end(self, token: str) -> Pending | None:
        """It is in flight no more. None: it had ended before."""
        pending = self._pending.pop(token, None)
        if pending is not None:
            self._bytes -= pending.size
        return pending

    def stored(self, stored: Stored, now: float) -> list[tuple[Envelope, Published]]:
        """The same for many, with what became of them; those that had ended before are passed over.
        Messages that were sent together and are answered together share one result."""
        ended: list[tuple[Envelope, Published]] = []
        result = Published(False, 0.0)
        first_sent = -1.0
        for token, duplicate in stored:
            pending = self._pending.pop(token, None)
            if pending is None:
                continue
            self._bytes -= pending.size
            if pending.first_sent != first_sent or duplicate is not result.duplicate:
                first_sent = pending.first_sent
                result = Published(duplicate, now - first_sent)
            ended.append((pending.envelope, result))
        return ended


def written(
    messages: list[Pending], lines: Lines, max_payload: int
) -> tuple[bytes, list[tuple[str, Rejected]]]:
    """What to write for them; and the tokens of those that can never be sent."""
    parts: list[bytes] = []
    refused: list[tuple[str, Rejected]] = []
    for message in messages:
        envelope = message.envelope
        if message.size > max_payload:
            refusal = Rejected(Refusal.TOO_LARGE, f"server takes {max_payload}")
            refused.append((message.token, refusal))
            continue
        try:
            line = lines.publish(envelope, message.token)
        except UnicodeError as error:
            refused.append((message.token, Rejected(Refusal.REFUSED, str(error))))
        except ValueError as error:
            refused.append((message.token, Rejected(Refusal.BAD_SUBJECT, str(error))))
        else:
            parts.append(line)
            parts.append(envelope.body)
            parts.append(b"\r\n")
    return b"".join(parts), refused
