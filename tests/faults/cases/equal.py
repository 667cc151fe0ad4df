"""Equal lines of one second: logged twice they are two events, sent twice they are one."""

import asyncio

from benchmarks.relp import RelpSender, answer, frame, opening
from tests.faults.case import Outcome, Size, compare
from tests.faults.lines import times, whole_second_line
from tests.faults.scene import Scene


async def equal_lines(scene: Scene, size: Size) -> Outcome:
    """The first connection breaks before an answer is read; the next one brings all of it again."""
    place = await scene.receive()
    twice = [whole_second_line(n) for n in range(size.lines // 2) for _ in range(2)]
    for end in range(1, size.ends + 1):
        reader, writer = await asyncio.open_connection(*place.relp)
        writer.write(opening())
        await answer(reader)
        some = twice[: len(twice) * end // size.ends]
        writer.writelines(frame(n, b"syslog", said) for n, said in enumerate(some, 2))
        await writer.drain()
        await reader.readuntil(b" 200 OK\n")  # it has begun to take them
        writer.transport.abort()
    feed = scene.feed_from(RelpSender([place.relp], twice))
    await feed.finished()
    return compare(times(range(size.lines // 2), 2), await scene.stored(len(twice)))
