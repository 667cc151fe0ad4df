"""Bytes that give many times more than they are, heard a few at a time.

In: what was read of one connection. Out: the same bytes, to the session that hears them: as they
are, nearly always. Where a few of them may become much, they come in portions, and what is left of
them waits as long as there is no room for more: a compressed frame may be a thousandth of its line,
and a line that a relay has folded gives an event for each time it happened.
"""

from collections.abc import Callable
from typing import Final

from service.core.framing.compression import STARTS
from service.listeners.base import Intake
from service.listeners.session import Wire

PORTION_BYTES: Final = 4096
"""Of such bytes; they give some thousand events, or some megabytes, at most."""

_COMPRESSED: Final = b" zx"
"""In front of a compressed payload stands its count (`core.framing.compression`)."""
_FLAGS: Final = tuple(bytes([start[-1]]) for start in STARTS)
"""One of these bytes stands behind that. Looked for first: to find a byte costs CPython a twentieth
of what two or three do, and most logs hold none of them."""
_FOLDED: Final = b"message repeated "
"""`core.postfix.record`."""


def may_grow(data: bytes) -> bool:
    return _may_inflate(data) or data.find(_FOLDED) >= 0


def _may_inflate(data: bytes) -> bool:
    return any(data.find(flag) >= 0 for flag in _FLAGS) and data.find(_COMPRESSED) >= 0


class Portions:
    def __init__(
        self,
        wire: Wire,
        intake: Intake,
        hear: Callable[[bytes], None],
        on_heard: Callable[[], None],
    ) -> None:
        """`on_heard` is called when something had to wait and has been heard."""
        self._wire = wire
        self._intake = intake
        self._hear = hear
        self._on_heard = on_heard
        self._waiting = b""

    @property
    def waiting_bytes(self) -> int:
        """While there are any, `Wire.pause` is in force."""
        return len(self._waiting)

    def take(self, data: bytes) -> None:
        if self._waiting:
            self._waiting += data
        elif len(data) <= PORTION_BYTES or not may_grow(data):
            self._hear(data)
        else:
            self._hear_while_room(data)
            if self._waiting:
                self._wire.pause()
                self._intake.when_room(self._go_on)

    def take_the_rest(self) -> None:
        """Room or not."""
        data, self._waiting = self._waiting, b""
        if data:
            self._hear(data)
            self._heard()

    def forget(self) -> None:
        """The connection is over, and the peer sends it again."""
        self._waiting = b""

    def _go_on(self) -> None:
        if not self._waiting:
            return
        if not self._intake.should_hold_back:
            data, self._waiting = self._waiting, b""
            self._hear_while_room(data)
        if self._waiting:
            self._intake.when_room(self._go_on)
        else:
            self._heard()

    def _hear_while_room(self, data: bytes) -> None:
        self._hear(data[:PORTION_BYTES])
        for start in range(PORTION_BYTES, len(data), PORTION_BYTES):
            if self._intake.should_hold_back:
                self._waiting = data[start:]
                return
            self._hear(data[start : start + PORTION_BYTES])

    def _heard(self) -> None:
        self._wire.resume()
        self._on_heard()
