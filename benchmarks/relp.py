"""A RELP client: a window of unacknowledged lines, and what is unacknowledged is sent again.

In: lines, one or more addresses. Out: `run` returns once each line is acknowledged, over as many
connections as that takes. Its acknowledgements come in order, as librelp and we give them, so one
number says which lines are safe (librelp `doc/relp.md`).
"""

import asyncio
import time
from collections.abc import Sequence

WINDOW = 128
"""omrelp's `windowSize`."""

_OFFERS = b"relp_version=0\nrelp_software=mailfault-benchmarks\ncommands=syslog"
_ACKNOWLEDGED = b" rsp 6 200 OK"
_RETRY_SECONDS = 0.05
_TICK_SECONDS = 0.005
_GOODBYE_SECONDS = 5.0
_READ_BYTES = 64 * 1024


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
        self._lines = lines
        self._window = window
        self._rate = rate
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
        while self.acknowledged < len(self._lines):
            try:
                await self._session(self._addresses[tries % len(self._addresses)])
            except (OSError, EOFError):
                await asyncio.sleep(_RETRY_SECONDS)
            tries += 1

    async def reached(self, lines: int) -> None:
        """Wait until so many are acknowledged."""
        while self.acknowledged < lines:
            await self._moved.wait()

    async def _session(self, address: tuple[str, int]) -> None:
        reader, writer = await asyncio.open_connection(*address)
        try:
            writer.write(opening())
            await answer(reader)
            self.connections += 1
            first = self.acknowledged
            hearing = asyncio.create_task(self._hear(reader, first))
            try:
                await self._speak(writer, first, hearing)
            finally:
                hearing.cancel()
                await asyncio.wait([hearing])
            writer.write(frame(len(self._lines) - first + 2, b"close"))
            async with asyncio.timeout(_GOODBYE_SECONDS):
                while await reader.read(_READ_BYTES):
                    pass
        finally:
            writer.transport.abort()

    async def _speak(
        self, writer: asyncio.StreamWriter, first: int, hearing: "asyncio.Task[None]"
    ) -> None:
        lines, due = self._lines, first
        tick = None if self._rate is None else _TICK_SECONDS
        while self.acknowledged < len(lines):
            end = min(self.acknowledged + self._window, self._due())
            if due < end:
                if writer.transport.is_closing():  # uvloop does not take a write then
                    raise EOFError
                numbers = range(due, end)
                writer.write(b"".join(frame(n - first + 2, b"syslog", lines[n]) for n in numbers))
                self.sent += end - due
                due = end
                await writer.drain()
                continue
            moved = asyncio.create_task(self._moved.wait())
            await asyncio.wait([moved, hearing], timeout=tick, return_when=asyncio.FIRST_COMPLETED)
            moved.cancel()
            if hearing.done():
                hearing.result()

    def _due(self) -> int:
        if self._rate is None:
            return len(self._lines)
        return min(len(self._lines), int((time.monotonic() - self._began) * self._rate) + 1)

    async def _hear(self, reader: asyncio.StreamReader, first: int) -> None:
        """Raises `EOFError` at the end of the connection, `Refused` for a strange answer."""
        rest = b""
        while True:
            data = await reader.read(_READ_BYTES)
            if not data:
                raise EOFError
            *answers, rest = (rest + data).split(b"\n")
            for said in answers:
                if said == b"0 serverclose 0":
                    continue  # the end follows
                if said != b"%d%b" % (self.acknowledged - first + 2, _ACKNOWLEDGED):
                    raise Refused(repr(said))
                self.acknowledged += 1
            self._moved.set()
            self._moved = asyncio.Event()
