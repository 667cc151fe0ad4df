"""Bytes that give many times more than they are, or more work than others, heard a few at a time.

In: what was read of one connection. Out: the same bytes, to the session that hears them: as they
are, nearly always. Where a few of them may become much, they come in portions, and what is left of
them waits as long as there is no room for more, or for the next turn of the loop: a compressed
frame may be a thousandth of its line, and a line that a relay has folded gives an event for each
time it happened. So do those of a sender whose last read was much work, as a quarter of a million
empty lines are.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from service.core.framing.compression import STARTS
from service.listeners.base import Intake
from service.listeners.session import Wire

PORTION_BYTES: Final = 4096
"""Of such bytes; they give some thousand events, or some megabytes, at most."""
LABORIOUS_BYTES: Final = 16_384
"""Of a sender whose last read took longer than a turn may."""
TURN_SECONDS: Final = 0.1

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
        self._seconds = 0.0
        """That the last read took, so far; of a small one it does not matter."""

    @property
    def waiting_bytes(self) -> int:
        """While there are any, `Wire.pause` is in force."""
        return len(self._waiting)

    def take(self, data: bytes) -> None:
        if self._waiting:
            self._waiting += data
        elif len(data) <= PORTION_BYTES:
            self._hear(data)
        elif self._seconds >= TURN_SECONDS or may_grow(data):
            self._seconds = 0.0
            self._hear_while_room(data)
            if self._waiting:
                self._wire.pause()
                self._wait()
        else:
            began = time.monotonic()
            self._hear(data)
            self._seconds = time.monotonic() - began

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
            self._wait()
        else:
            self._heard()

    def _hear_while_room(self, data: bytes) -> None:
        """And while the turn lasts."""
        began = time.monotonic()
        size = PORTION_BYTES if may_grow(data) else LABORIOUS_BYTES
        for start in range(0, len(data), size):
            self._hear(data[start : start + size])
            seconds = time.monotonic() - began
            if self._intake.should_hold_back or seconds >= TURN_SECONDS:
                self._waiting = data[start + size :]
                break
        self._seconds += seconds

    def _wait(self) -> None:
        if self._intake.should_hold_back:
            self._intake.when_room(self._go_on)
        else:
            asyncio.get_running_loop().call_soon(self._go_on)

    def _heard(self) -> None:
        self._wire.resume()
        self._on_heard()
