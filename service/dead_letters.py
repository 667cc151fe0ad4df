"""What JetStream refuses for good, so that it blocks nobody behind it.

In: an envelope that was refused. Out: a dead letter in its place, which says why and goes the same
way; where that is refused, too, the envelope goes to the spool's dead-letter table. The log names
each refusal, up to a bound: a stream that is wrong refuses every event, and the log must not fill
the disk. Metrics count all.
"""

import time
from collections.abc import Callable, Iterable

import structlog

from service.core.envelope import Envelope, SubjectTemplate, seal
from service.core.invalid import dead_letter
from service.metrics import Metrics
from service.nats.answer import Published, Rejected, Result
from service.spool.spooler import Spooler

log = structlog.get_logger(__name__)

_SAID_A_SECOND = 20


class DeadLetters:
    def __init__(
        self,
        template: SubjectTemplate,
        metrics: Metrics,
        spooler: Spooler,
        send: Callable[[Iterable[Envelope]], None],
        durable: Callable[[Envelope], None],
    ) -> None:
        """`send`: to be published; `durable`: is told of a letter that was."""
        self._template = template
        self._metrics = metrics
        self._spooler = spooler
        self._send = send
        self._durable = durable
        self.on_their_way: dict[Envelope, tuple[Envelope, Rejected]] = {}
        """With what they stand for."""
        self._said_since = 0.0
        self._said = self._unsaid = 0

    def refused(self, envelope: Envelope, result: Rejected) -> None:
        self._metrics.event_dead()
        self._say(
            "event_refused",
            event_id=envelope.message_id,
            event_type=envelope.event_type,
            reason=result.reason,
            description=result.description,
        )
        letter = seal(
            dead_letter(envelope.body, result.reason, result.description),
            self._template,
            envelope.received,
        )
        letter.on_durable, letter.row = envelope.on_durable, envelope.row
        self.on_their_way[letter] = (envelope, result)
        self._send([letter])

    def done(self, letter: Envelope, result: Result) -> None:
        """The answer to one of them."""
        envelope, refusal = self.on_their_way.pop(letter)
        if isinstance(result, Published):
            self._metrics.dead_letter(stored=True)
            self._durable(letter)
            return
        self._metrics.dead_letter(stored=False)
        self._say(
            "dead_letter_buried",
            event_id=letter.message_id,
            remedy="mailfault spool export --dead",
        )
        # The letter may have been on disk meanwhile, and its sender told.
        envelope.row, envelope.on_durable = letter.row, letter.on_durable
        self._spooler.bury(envelope, refusal.reason, refusal.description)

    def _say(self, event: str, **facts: str) -> None:
        now = time.monotonic()
        if now - self._said_since >= 1:
            self._said_since, self._said = now, 0
        if self._said >= _SAID_A_SECOND:
            self._unsaid += 1
            return
        self._said += 1
        log.error(event, **facts, unsaid=self._unsaid)
        self._unsaid = 0
