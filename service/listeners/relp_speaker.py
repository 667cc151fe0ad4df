"""One RELP connection: its socket on one side, the intake on the other, its session between them.

What is answered, and when, is decided in `service.core.framing.relp_session`. Writing never waits:
omrelp reads its answers only when it next sends, so they may lie in the socket for hours; a peer
that leaves more than a bound of them is closed.
"""

import asyncio
from typing import Final

from service import __version__
from service.core.framing.base import Block, Fault, Frame, Piece
from service.core.framing.hints import looks_like
from service.core.framing.newline import count_lines
from service.core.framing.relp_session import SERVERCLOSE, Batch, RelpSession
from service.core.outcomes import Drop, RelpRefusal
from service.core.postfix.markers import candidates
from service.listeners.base import Intake, now
from service.listeners.portions import Portions
from service.listeners.relp_config import RelpConfig
from service.listeners.session import Wire
from service.metrics import Metrics
from service.received import Origin

_SOFTWARE: Final = b"mailfault,%s" % __version__.encode()

_LINGER_SECONDS: Final = 5.0
"""A peer that has shut down its side may still read answers; one that is gone does not."""


class RelpSpeaker:
    """Implements `service.listeners.session.Session`."""

    def __init__(
        self,
        wire: Wire,
        origin: Origin,
        config: RelpConfig,
        intake: Intake,
        metrics: Metrics,
        speakers: "set[RelpSpeaker]",
    ) -> None:
        self._wire = wire
        self._origin = origin
        self._config = config
        self._intake = intake
        self._metrics = metrics
        self._speakers = speakers
        self._loop = asyncio.get_running_loop()
        self._session = RelpSession(
            config.max_frame_bytes, _SOFTWARE, split, self._became_answerable
        )
        self._portions = Portions(wire, intake, self._hear, self._heard_the_rest)
        self._is_fresh = True
        self._is_paused = False
        self._is_finishing = False
        self._has_ended = False
        self._has_hung_up = False
        self._is_closing = False
        self._answers_due: asyncio.Handle | None = None
        self._linger: asyncio.TimerHandle | None = None
        self.heard: asyncio.Future[None] = self._loop.create_future()
        """Done when nothing more will be read."""
        speakers.add(self)

    @property
    def unanswered(self) -> int:
        return self._session.unanswered

    @property
    def answer_bytes(self) -> int:
        return self._wire.unsent_bytes

    @property
    def buffered_bytes(self) -> int:
        return self._session.buffered_bytes + self._portions.waiting_bytes

    @property
    def unfinished(self) -> int | None:
        return self._session.unfinished

    def data_received(self, data: bytes) -> None:
        if self._session.is_over or self._is_closing:
            return  # nothing of it is answered: who sent it sends it again
        if self._is_fresh:
            self._is_fresh = False
            self._hint(data)
        self._portions.take(data)

    def eof(self) -> bool:
        if self._portions.waiting_bytes:  # said goodbye inside TLS
            self._has_ended = True
            return True
        self._hear_no_more()
        if self._is_finishing:
            return True
        self._has_hung_up = True
        self._take(self._session.end())
        if not self._session.unanswered:
            return False
        self._linger_on()
        return True

    def lost(self, reason: Drop) -> None:
        """What is unanswered the sender sends again, to whoever listens then."""
        self._portions.forget()
        self._hear_no_more()
        batch = self._session.end()
        for piece in batch.pieces:
            if isinstance(piece, Fault):
                piece.kind = reason
        self._take(batch)
        self._is_closing = True
        for timer in (self._linger, self._answers_due):
            if timer is not None:
                timer.cancel()
        self._speakers.discard(self)

    def finish(self) -> None:
        self._is_finishing = True
        self._read_on()

    def say_goodbye(self) -> None:
        self._answer()
        if not self._is_closing:
            self._wire.write(SERVERCLOSE)
            self._close()

    def _hear(self, data: bytes) -> None:
        self._take(self._session.feed(data))
        self._answer()
        self._pause_if_full()

    def _heard_the_rest(self) -> None:
        self._is_paused = False
        self._pause_if_full()
        if self._has_ended and not self.eof():
            self._close()

    def _pause_if_full(self) -> None:
        if self._session.unanswered >= self._config.max_unanswered and not self._is_finishing:
            self._is_paused = True
            self._wire.pause()

    def _take(self, batch: Batch) -> None:
        if batch.pieces:
            self._intake.take(batch.pieces, self._origin, now(), batch)
            if self._wire.is_rated:
                self._wire.spent(batch.frames)

    def _became_answerable(self) -> None:
        # Acknowledgements of NATS come many at a time: one write for all of them.
        if self._answers_due is None and not self._is_closing:
            self._answers_due = self._loop.call_soon(self._answer_later)

    def _answer_later(self) -> None:
        self._answers_due = None
        self._answer()
        if self._session.unanswered <= self._config.max_unanswered // 2:
            self._read_on()

    def _answer(self) -> None:
        if self._is_closing:
            return
        answers = self._session.answers()
        if answers:
            self._wire.write(answers)
            if self._wire.unsent_bytes > self._config.max_answer_bytes:
                self._is_closing = True
                self._refused(RelpRefusal.ANSWERS_UNREAD)
                self._wire.abort()
                return
        if self._session.is_done:
            if self._session.refusal is not None:
                self._refused(self._session.refusal, detail=self._session.detail)
            self._close()
        elif self._has_hung_up and not self._session.unanswered:
            self._close()

    def _close(self) -> None:
        """Once what was written is sent, or the peer has had time to read it."""
        self._is_closing = True
        self._portions.forget()
        self._wire.close()
        self._linger_on()

    def _linger_on(self) -> None:
        if self._linger is None:
            self._linger = self._loop.call_later(_LINGER_SECONDS, self._wire.abort)

    def _refused(self, reason: RelpRefusal, **facts: str) -> None:
        self._metrics.relp_session_refused(self._origin.transport, reason)
        self._wire.warn("relp_session_refused", reason=reason.value, **facts)

    def _read_on(self) -> None:
        if self._is_paused:
            self._is_paused = False
            if not self._portions.waiting_bytes:
                self._wire.resume()

    def _hear_no_more(self) -> None:
        if not self.heard.done():
            self.heard.set_result(None)

    def _hint(self, data: bytes) -> None:
        hint = looks_like(data)
        if hint is not None:
            self._wire.warn("not_plain_relp", looks_like=hint)


def split(block: Block) -> list[Piece]:
    """Each line that may give events alone, so that no other waits for it; what lies between, which
    gives none, in blocks."""
    data = block.data
    pieces: list[Piece] = []
    start = 0
    for begins, ends in candidates(data):
        if start < begins:
            lines = data[start:begins]
            pieces.append(Block(lines, count_lines(lines), has_no_candidate=True))
        pieces.append(Frame(data[begins:ends], is_candidate=True))
        start = ends + 1
    if start < len(data):
        lines = data[start:]
        pieces.append(Block(lines, count_lines(lines), has_no_candidate=True))
    return pieces
