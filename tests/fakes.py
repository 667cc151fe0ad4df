"""Stand-ins for the house around a component; the peers in tests are real."""

import asyncio
from collections.abc import Callable
from datetime import datetime

from service.core.framing.base import Block, Fault, Frame, Piece
from service.received import Origin, Receipts


class FakeIntake:
    """Keeps what listeners hand over; its room is a switch. Frames that hold `EVENT` give one event
    each, which is durable when a test says so."""

    EVENT = b"status=bounced"

    def __init__(self) -> None:
        self.has_room = True
        self.frames: list[bytes] = []
        self.truncated: list[bytes] = []
        self.faults: list[Fault] = []
        self.origins: list[Origin] = []
        self._resumes: list[Callable[[], None]] = []
        self.undurable: list[tuple[Receipts, int]] = []
        self._changed = asyncio.Event()

    @property
    def should_hold_back(self) -> bool:
        return not self.has_room

    def take(
        self,
        pieces: list[Piece],
        origin: Origin,
        received_at: datetime,
        receipts: Receipts | None = None,
    ) -> None:
        assert received_at.tzinfo is not None
        for index, piece in enumerate(pieces):
            self.origins += [origin] * (piece.count if isinstance(piece, Block) else 1)
            if receipts is not None and isinstance(piece, Frame) and self.EVENT in piece.data:
                receipts.expect(index)
                self.undurable.append((receipts, index))
            if isinstance(piece, Block):
                lines = piece.data.split(b"\n")[:-1]
                assert len(lines) == piece.count
                self.frames += lines
            elif isinstance(piece, Frame):
                self.frames.append(piece.data)
                if piece.truncated:
                    self.truncated.append(piece.data)
            else:
                self.faults.append(piece)
        self._changed.set()

    def make_durable(self, count: int | None = None) -> None:
        """The oldest `count` events, or all of them."""
        count = len(self.undurable) if count is None else count
        done, self.undurable = self.undurable[:count], self.undurable[count:]
        for receipts, index in done:
            receipts.durable(index)

    def when_room(self, resume: Callable[[], None]) -> None:
        self._resumes.append(resume)
        self._changed.set()

    @property
    def held_back(self) -> int:
        return len(self._resumes)

    def make_room(self) -> None:
        self.has_room = True
        resumes, self._resumes = self._resumes, []
        for resume in resumes:
            resume()

    async def until(self, is_reached: Callable[["FakeIntake"], bool]) -> None:
        while not is_reached(self):
            self._changed.clear()
            await self._changed.wait()


class NarrowIntake(FakeIntake):
    """Each time it takes something it is full, until a test makes room again."""

    def take(
        self,
        pieces: list[Piece],
        origin: Origin,
        received_at: datetime,
        receipts: Receipts | None = None,
    ) -> None:
        super().take(pieces, origin, received_at, receipts)
        self.has_room = False
