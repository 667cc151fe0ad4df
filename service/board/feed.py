"""From the picture to the open pages: at most two looks a second, for all of them together.

A page is told the numbers, and the newest events it wants since the last look. Nothing is kept for
a page but the number of the last event it was told: one that reads slowly is told less often, and
where more came than it is told at once, it is told that there are more. A page that was away begins
again with a whole view.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterator
from time import time
from typing import Any

import orjson

from service.board.picture import Picture
from service.board.wanted import Wanted

LOOK_SECONDS = 0.5
_STILL_SECONDS = 5.0
"""Ages grow and MTAs fall silent without an event; it also tells proxies that we are there."""
ROWS = 100
"""Events a page is told at once, at most."""
_RETRY_MS = 2000


class FullError(Exception):
    """As many pages are open as are allowed: answer 503."""


class Feed:
    """`run` until cancelled, then `close`."""

    def __init__(self, picture: Picture, state: Callable[[], dict[str, Any]], clients: int) -> None:
        """`state`: of NATS and the reading, which changes without an event."""
        self._picture = picture
        self._state = state
        self._seats = clients
        self._turn = asyncio.Event()
        self._is_closing = False
        self._views: dict[float, bytes] = {}
        """Of this look, by seconds looked back."""

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        told: object = None
        told_at = 0.0
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = (self._picture.changes, self._state())
            if now != told or loop.time() - told_at >= _STILL_SECONDS:
                told, told_at = now, loop.time()
                self._next_turn()

    def close(self) -> None:
        """The pages are told to come again later."""
        self._is_closing = True
        self._next_turn()

    def _next_turn(self) -> None:
        self._views.clear()
        self._turn.set()
        self._turn = asyncio.Event()

    @contextlib.contextmanager
    def seat(self) -> Iterator[None]:
        """For one page. Raises `FullError`."""
        if not self._seats:
            raise FullError
        self._seats -= 1
        try:
            yield
        finally:
            self._seats += 1

    async def frames(self, wanted: Wanted, seconds: float) -> AsyncGenerator[bytes, None]:
        """Server-sent events (HTML standard, 9.2): `snapshot`, then `update` for ever."""
        yield b"retry: %d\n\n" % _RETRY_MS
        recent = self._picture.recent
        last = recent.last
        yield self._frame("snapshot", seconds, wanted, 0, self._picture.names())
        while True:
            await self._turn.wait()
            if self._is_closing:
                return
            if self._picture.recent is not recent:  # another stream: its numbers begin anew
                recent, last = self._picture.recent, self._picture.recent.last
                yield self._frame("snapshot", seconds, wanted, 0, self._picture.names())
                continue
            after, last = last, recent.last
            yield self._frame("update", seconds, wanted, after)

    def _frame(
        self,
        kind: str,
        seconds: float,
        wanted: Wanted,
        after: int,
        mtas: list[str] | None = None,
    ) -> bytes:
        events, more = self._picture.recent.newest(wanted, ROWS, after)
        rows = orjson.dumps([event.row() for event in events])
        return b'event: %s\ndata: {"picture":%s,"events":%s,"more":%s,"mtas":%s}\n\n' % (
            kind.encode(),
            self._view(seconds),
            rows,
            orjson.dumps(more),
            orjson.dumps(mtas),
        )

    def _view(self, seconds: float) -> bytes:
        view = self._views.get(seconds)
        if view is None:
            made = {**self._picture.view(seconds, time()), **self._state()}
            view = self._views[seconds] = orjson.dumps(made)
        return view
