"""Syslog on one connection, plain or inside TLS: frames go to the intake, nothing is answered."""

from service.core.framing.base import Block, Fault, Piece
from service.core.framing.hints import looks_like
from service.core.framing.sniffing import StreamFramer
from service.core.outcomes import Drop
from service.listeners.base import Intake, now
from service.listeners.portions import Portions
from service.listeners.session import Wire
from service.received import Origin


class SyslogSession:
    """Implements `session.Session`."""

    def __init__(self, wire: Wire, origin: Origin, intake: Intake, max_frame_bytes: int) -> None:
        self._wire = wire
        self._origin = origin
        self._intake = intake
        self._framer = StreamFramer(max_frame_bytes)
        self._portions = Portions(wire, intake, self._hear, self._heard_the_rest)
        self._is_rated = wire.is_rated
        self._is_fresh = True
        self._is_finishing = False
        self._has_ended = False
        self._takes = 0

    @property
    def buffered_bytes(self) -> int:
        return self._framer.buffered_bytes + self._portions.waiting_bytes

    @property
    def unfinished(self) -> int | None:
        return self._takes if self._framer.is_inside_frame else None

    def data_received(self, data: bytes) -> None:
        if self._is_fresh:
            self._is_fresh = False
            self._hint(data)
        self._portions.take(data)

    def eof(self) -> bool:
        if self._portions.waiting_bytes:  # said goodbye inside TLS
            self._has_ended = True
            return True
        if not self._is_finishing:  # else the end is our doing; the sender was inside a frame
            self._take(self._framer.end())
        return False

    def lost(self, reason: Drop) -> None:
        self._portions.take_the_rest()
        pieces = self._framer.abort()
        for piece in pieces:
            if isinstance(piece, Fault):
                piece.kind = reason
        self._take(pieces)

    def finish(self) -> None:
        self._portions.take_the_rest()
        self._is_finishing = True

    def _hear(self, data: bytes) -> None:
        self._take(self._framer.feed(data))

    def _heard_the_rest(self) -> None:
        if self._has_ended:
            self.eof()
            self._wire.close()

    def _take(self, pieces: list[Piece]) -> None:
        if not pieces:
            return
        self._takes += 1
        self._intake.take(pieces, self._origin, now())
        if self._is_rated:
            self._wire.spent(sum(p.count if isinstance(p, Block) else 1 for p in pieces))
        last = pieces[-1]
        if isinstance(last, Fault) and last.fatal:
            self._wire.warn("connection_closed", reason=last.kind.value, detail=last.detail)
            self._wire.abort()

    def _hint(self, data: bytes) -> None:
        hint = looks_like(data)
        if hint is not None:
            self._wire.warn("not_plain_syslog", looks_like=hint)
