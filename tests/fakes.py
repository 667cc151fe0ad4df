"""Stand-ins for the house around a component; the peers in tests are real."""

import asyncio
from collections.abc import Callable
from datetime import datetime

from service.core.framing.base import Block, Fault, Frame, Piece
from service.received import Origin


class FakeIntake:
    """Keeps what listeners hand over; its room is a switch."""

    def __init__(self) -> None:
        self.has_room = True
        self.frames: list[bytes] = []
        self.truncated: list[bytes] = []
        self.faults: list[Fault] = []
        self.origins: list[Origin] = []
        self._resumes: list[Callable[[], None]] = []
        self._changed = asyncio.Event()

    @property
    def should_hold_back(self) -> bool:
        return not self.has_room

    def take(self, pieces: list[Piece], origin: Origin, received_at: datetime) -> None:
        assert received_at.tzinfo is not None
        for piece in pieces:
            self.origins.append(origin)
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
