"""A RELP client: a window of unacknowledged lines, and what is unacknowledged is sent again.

In: lines, one or more addresses. Out: `run` returns once each line is acknowledged, over as many
connections as that takes. Its acknowledgements come in order, as librelp and we give them, so one
number says which lines are safe (librelp `doc/relp.md`).
"""

import asyncio
import re
import time
from collections.abc import Sequence
from typing import cast

WINDOW = 128
"""omrelp's `windowSize`."""

_FIRST = 2
"""Transaction number of the first line of a connection: 1 is `open`."""

_OFFERS = b"relp_version=0\nrelp_software=mailfault-benchmarks\ncommands=syslog"
_OPENED = re.compile(rb"1 rsp ([0-9]{1,4}) 200 ")
_OPENED_BYTES = 15
"""The longest start of an answer to `open`."""
_RETRY_SECONDS = 0.05
_TICK_SECONDS = 0.005
_GOODBYE_SECONDS = 5.0


class Refused(Exception):
    """The receiver does not answer as RELP demands: give up, a new connection would not help."""


def frame(txnr: int, command: bytes, data: bytes = b"") -> bytes:
    """Without data there is no space before the LF."""
    return b"%d %b %d%b\n" % (txnr, command, len(data), b" " + data if data else b"")


def opening() -> bytes:
    return frame(1, b"open", _OFFERS)


async def answer(reader: asyncio.StreamReader) -> bytes:
    """The data of one `rsp`; its data may have LFs in it."""
    head = [await reader.readuntil(b" ") for _ in range(3)]
    data = await reader.readexactly(int(head[2]) + 1)
    if head[1] != b"rsp " or not data.startswith(b"200 "):
        raise Refused(f"{head!r} {data!r}")
    return data


class RelpSender:
    """`run` once. Where there are several addresses each connection goes to the next one."""

    def __init__(
        self,
        addresses: Sequence[tuple[str, int]],
        lines: Sequence[bytes],
        window: int = WINDOW,
        rate: float | None = None,
    ) -> None:
        """`lines` without LF. `rate`: lines a second; else as fast as they are acknowledged."""
        self._addresses = addresses
        self.tails = [frame(0, b"syslog", line)[1:] for line in lines]
        """Frames without their numbers: those depend on the connection."""
        self.window = window
        self.rate = rate
        self._began = 0.0
        self._moved = asyncio.Event()
        self.acknowledged = 0
        """Lines, from the first on."""
        self.sent = 0
        """Frames, those that were sent again included."""
        self.connections = 0

    async def run(self) -> None:
        """Raises `Refused`."""
        self._began = time.monotonic()
        tries = 0
        while self.acknowledged < len(self.tails):
            try:
                await self._session(self._addresses[tries % len(self._addresses)])
            except (OSError, EOFError):
                await asyncio.sleep(_RETRY_SECONDS)
            tries += 1

    async def reached(self, lines: int) -> None:
        """Wait until so many are acknowledged."""
        while self.acknowledged < lines:
            await self._moved.wait()

    def moved(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    @property
    def due(self) -> int:
        """Lines that may be sent by now."""
        if self.rate is None:
            return len(self.tails)
        return min(len(self.tails), int((time.monotonic() - self._began) * self.rate) + 1)

    async def _session(self, address: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        transport, session = await loop.create_connection(lambda: _Session(self), *address)
        try:
            await session.all_acknowledged
            if transport.is_closing():
                return
            transport.write(frame(len(self.tails) - session.first + _FIRST, b"close"))
            await asyncio.wait([session.closed], timeout=_GOODBYE_SECONDS)
        finally:
            transport.abort()


class _Session(asyncio.Protocol):
    """One connection. Written for speed: the receiver is to be the slow one. Answers are compared
    with those that are due as a whole."""

    def __init__(self, sender: RelpSender) -> None:
        self._loop = loop = asyncio.get_running_loop()
        self._sender = sender
        self.first = self._due = sender.acknowledged
        """Its first line."""
        self._heard = b""
        self._is_open = False
        self._transport: asyncio.Transport | None = None
        self.all_acknowledged: asyncio.Future[None] = loop.create_future()
        """Or `EOFError`, at the end of the connection; or `Refused`."""
        self.closed: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(opening())

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._end(EOFError())
        self.closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        if self.all_acknowledged.done():
            return
        self._heard += data
        try:
            if self._is_open or self._opened():
                self._hear()
        except Refused as error:
            self._end(error)

    def _opened(self) -> bool:
        """Its data may have LFs in it."""
        answer = _OPENED.match(self._heard)
        if answer is None:
            if len(self._heard) >= _OPENED_BYTES:
                raise Refused(repr(self._heard[:100]))
            return False
        end = answer.start(1) + len(answer[1]) + 1 + int(answer[1]) + 1
        if len(self._heard) < end:
            return False
        self._heard = self._heard[end:]
        self._is_open = True
        self._sender.connections += 1
        self._speak()
        if self._sender.rate is not None:
            self._loop.call_later(_TICK_SECONDS, self._tick)
        return True

    def _hear(self) -> None:
        end = self._heard.rfind(b"\n") + 1
        if not end:
            return
        heard, self._heard = self._heard[:end], self._heard[end:]
        sender = self._sender
        number = sender.acknowledged - self.first + _FIRST
        last = self._due - self.first + _FIRST
        count = min(heard.count(b"\n"), last - number)
        if heard == b"".join([_answer(n) for n in range(number, number + count)]):
            sender.acknowledged += count
        else:
            self._hear_each(heard, number, last)
        sender.moved()
        if sender.acknowledged == len(sender.tails):
            if not self.all_acknowledged.done():
                self.all_acknowledged.set_result(None)
        else:
            self._speak()

    def _hear_each(self, heard: bytes, number: int, last: int) -> None:
        for said in heard.splitlines(keepends=True):
            if said == b"0 serverclose 0\n":
                continue  # the end follows
            if said != _answer(number) or number == last:
                raise Refused(repr(said))
            self._sender.acknowledged += 1
            number += 1

    def _speak(self) -> None:
        sender = self._sender
        transport = self._transport
        if transport is None or transport.is_closing():
            return  # uvloop does not take a write then
        end = min(sender.acknowledged + sender.window, sender.due)
        if self._due < end:
            number = self._due - self.first + _FIRST
            tails = sender.tails[self._due : end]
            transport.write(b"".join([b"%d%b" % row for row in enumerate(tails, number)]))
            sender.sent += end - self._due
            self._due = end

    def _tick(self) -> None:
        if self._transport is not None and self._due < len(self._sender.tails):
            self._speak()
            self._loop.call_later(_TICK_SECONDS, self._tick)

    def _end(self, error: Exception) -> None:
        if not self.all_acknowledged.done():
            self.all_acknowledged.set_exception(error)


def _answer(number: int) -> bytes:
    return b"%d rsp 6 200 OK\n" % number
