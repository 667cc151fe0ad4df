"""A loop that stands still in the middle of reading, while something else comes in."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def standing_still(seconds: float, read: Callable[[], None]) -> Iterator[None]:
    """The loop's next read takes that long. What came in meanwhile, `read` is called for: behind
    the timers that are due by then, in uvloop."""
    loop = asyncio.get_running_loop()
    busy, busier = socket.socketpair()
    ours, theirs = socket.socketpair()

    def read_for_long() -> None:
        loop.remove_reader(busy)
        time.sleep(seconds)
        theirs.send(b"x")

    def read_once() -> None:
        loop.remove_reader(ours)
        read()

    loop.add_reader(busy, read_for_long)
    loop.add_reader(ours, read_once)
    busier.send(b"x")
    try:
        yield
    finally:
        for sock in (busy, busier, ours, theirs):
            loop.remove_reader(sock)
            sock.close()
