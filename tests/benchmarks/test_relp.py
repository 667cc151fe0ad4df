"""The RELP client against a peer that answers late, breaks, or answers nonsense."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from benchmarks.relp import Refused, RelpSender, frame

LINES = [b"<22>line %d" % number for number in range(20)]
_OPENED = b"200 OK\nrelp_version=0\ncommands=syslog"


class Peer:
    """One connection, after `open` was answered."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def open(self) -> None:
        assert (await self.frame())[:2] == (1, b"open")
        self.writer.write(frame(1, b"rsp", _OPENED))

    async def frame(self) -> tuple[int, bytes, bytes]:
        txnr = int(await self._reader.readuntil(b" "))
        command = (await self._reader.readuntil(b" "))[:-1]
        head = await self._reader.readexactly(1)
        while not head.endswith((b" ", b"\n")):
            head += await self._reader.readexactly(1)
        length = int(head)
        data = await self._reader.readexactly(length)
        if head.endswith(b" "):
            assert await self._reader.readexactly(1) == b"\n"
        return txnr, command, data

    def acknowledge(self, txnr: int) -> None:
        self.writer.write(b"%d rsp 6 200 OK\n" % txnr)

    async def take_all(self) -> list[bytes]:
        """Acknowledge each line until `close`, and end."""
        taken: list[bytes] = []
        while True:
            txnr, command, data = await self.frame()
            self.acknowledge(txnr)
            if command == b"close":
                return taken
            taken.append(data)


@asynccontextmanager
async def listening(play: Callable[[Peer], Awaitable[None]]) -> AsyncIterator[tuple[str, int]]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        try:
            await peer.open()
            await play(peer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()


async def test_what_was_not_acknowledged_is_sent_again() -> None:
    taken: list[list[bytes]] = []

    async def play(peer: Peer) -> None:
        if not taken:
            taken.append([(await peer.frame())[2] for _ in range(6)])
            for txnr in range(2, 5):
                peer.acknowledge(txnr)
        else:
            taken.append(await peer.take_all())

    async with listening(play) as address:
        sender = RelpSender([address], LINES, window=6)
        await sender.run()
    assert taken == [LINES[:6], LINES[3:]]
    assert (sender.acknowledged, sender.connections) == (20, 2)
    assert sender.sent >= 23


async def test_it_keeps_to_its_window() -> None:
    unanswered: list[int] = []

    async def play(peer: Peer) -> None:
        for answered in range(len(LINES)):
            while len(unanswered) < min(5, len(LINES) - answered):
                unanswered.append((await peer.frame())[0])
            with pytest.raises(TimeoutError):  # the sixth does not come
                async with asyncio.timeout(0.01):
                    await peer.frame()
            peer.acknowledge(unanswered.pop(0))
        await peer.take_all()

    async with listening(play) as address:
        sender = RelpSender([address], LINES, window=5)
        await sender.run()
    assert (sender.sent, sender.connections) == (20, 1)


async def test_the_next_connection_goes_to_the_next_address() -> None:
    taken: list[bytes] = []

    async def leave(peer: Peer) -> None:
        await peer.frame()

    async def take(peer: Peer) -> None:
        taken.extend(await peer.take_all())

    async with listening(leave) as first, listening(take) as second:
        await RelpSender([first, second], LINES).run()
    assert taken == LINES


@pytest.mark.parametrize(
    "said", [b"3 rsp 6 200 OK\n", b"2 rsp 9 500 error\n", b"hello\n", b"2 rsp 6 200 KO\n"]
)
async def test_a_strange_answer_is_the_end(said: bytes) -> None:
    async def play(peer: Peer) -> None:
        await peer.frame()
        peer.writer.write(said)

    async with listening(play) as address:
        sender = RelpSender([address], LINES)
        with pytest.raises(Refused):
            await sender.run()
    assert sender.acknowledged == 0


async def test_paced_lines_take_their_time() -> None:
    async def play(peer: Peer) -> None:
        await peer.take_all()

    clock = asyncio.get_running_loop().time
    async with listening(play) as address:
        began = clock()
        await RelpSender([address], LINES, rate=100).run()
    assert clock() - began > 0.15
