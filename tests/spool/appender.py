"""A process that appends until it is killed: `python -m tests.spool.appender DATA_DIR FIRST`.

It writes a line for each number once the event with that number is durable. Every third batch it
removes the oldest events and says that too, before and after.
"""

import asyncio
import os
import sys
from pathlib import Path

from service.spool.config import SpoolConfig
from service.spool.store import SpoolStore
from tests.spool.stores import envelopes


async def main(data_dir: Path, first: int) -> None:
    store = SpoolStore(data_dir, SpoolConfig())
    await store.open()
    say("open")
    await asyncio.gather(*(append(store, first + lane * 100_000) for lane in range(3)))


async def append(store: SpoolStore, number: int) -> None:
    for turn in range(1_000_000):
        batch = range(number, number + 1 + turn % 7)
        number = batch.stop
        ids = await store.append(envelopes(batch, size=300 + 700 * (turn % 5)))
        say(*(f"durable {n}" for n in batch))
        if turn % 3 == 2:
            say(*(f"removing {n}" for n in batch))
            await store.remove(ids)
            say(*(f"removed {n}" for n in batch))


def say(*lines: str) -> None:
    # One write: what is in the pipe survives us.
    os.write(1, "".join(f"{line}\n" for line in lines).encode())


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
