"""Processes that die by SIGKILL in the midst of the lines, over RELP, TCP and UDP."""

import asyncio
import socket
from collections.abc import Mapping

from tests.faults.case import Outcome, Size, compare
from tests.faults.lines import line, times
from tests.faults.scene import Scene

_UDP_RATE = 1000.0
_ON_OUTAGE: Mapping[str, str] = {}
_WRITE_AHEAD = {"SPOOL__DURABILITY": "write-ahead"}


async def relp_receiver_killed(scene: Scene, size: Size) -> Outcome:
    return await _relp(scene, size, kills_receiver=True)


async def relp_nats_killed(scene: Scene, size: Size) -> Outcome:
    return await _relp(scene, size, kills_nats=True)


async def relp_both_killed(scene: Scene, size: Size) -> Outcome:
    return await _relp(scene, size, kills_receiver=True, kills_nats=True)


async def write_ahead_both_killed(scene: Scene, size: Size) -> Outcome:
    return await _relp(scene, size, kills_receiver=True, kills_nats=True, settings=_WRITE_AHEAD)


async def _relp(
    scene: Scene,
    size: Size,
    *,
    kills_receiver: bool = False,
    kills_nats: bool = False,
    settings: Mapping[str, str] = _ON_OUTAGE,
) -> Outcome:
    place = await scene.receive(settings)
    feed = scene.feed(place, count=size.lines)
    for end in range(1, size.ends + 1):
        await feed.reached(size.lines * end // (size.ends + 1))
        if kills_nats:
            await scene.server.kill()
        if kills_receiver:
            await place.kill()
        if kills_nats:
            await scene.server.start()
        if kills_receiver:
            await place.start()
    await feed.finished()
    outcome = compare(times(range(size.lines)), await scene.stored(size.lines))
    outcome.notes["resent"] = feed.sender.sent - size.lines
    if kills_receiver:
        outcome.check(feed.sender.connections > size.ends, "not each kill met a connection")
    return outcome


async def relp_killed_during_outage(scene: Scene, size: Size) -> Outcome:
    return await _killed_during_outage(scene, size, _ON_OUTAGE)


async def write_ahead_killed_during_outage(scene: Scene, size: Size) -> Outcome:
    return await _killed_during_outage(scene, size, _WRITE_AHEAD)


async def _killed_during_outage(scene: Scene, size: Size, settings: Mapping[str, str]) -> Outcome:
    """The sender has its acknowledgements and is gone: only the disk has the lines."""
    place = await scene.receive(settings)
    await scene.server.kill()
    feed = scene.feed(place, count=size.lines)
    await feed.finished()
    await place.kill()
    await scene.server.start()
    await place.start()
    return compare(times(range(size.lines)), await scene.stored(size.lines))


async def tcp_receiver_killed(scene: Scene, size: Size) -> Outcome:
    """What lies in socket buffers, or in memory, is gone; nothing comes twice."""
    place = await scene.receive()
    number = 0
    for end in range(1, size.ends + 2):
        _, writer = await asyncio.open_connection(*place.tcp)
        stop = size.lines * end // (size.ends + 1)
        try:
            while number < stop:
                writer.write(line(number) + b"\n")
                number += 1
                await writer.drain()
            if end <= size.ends:
                await place.kill()
                await place.start()
        finally:
            writer.close()
    async with asyncio.timeout(30):
        found = await scene.stored(size.lines // (size.ends + 1) // 2)
    outcome = compare(times(range(size.lines)), found)
    outcome.may_lose = True
    outcome.check(outcome.stored > 0, "nothing came")
    return outcome


async def tcp_nats_killed(scene: Scene, size: Size) -> Outcome:
    kills = _lines_of_kills(size)
    place = await scene.receive()
    _, writer = await asyncio.open_connection(*place.tcp)
    for number in range(size.lines):
        writer.write(line(number) + b"\n")
        await writer.drain()
        if number in kills:
            await scene.restart_nats()
    writer.close()
    return compare(times(range(size.lines)), await scene.stored(size.lines))


async def udp_nats_killed(scene: Scene, size: Size) -> Outcome:
    """Paced, so that the kernel's buffer drops nothing."""
    kills = _lines_of_kills(size)
    place = await scene.receive()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(place.udp)
        for number in range(size.lines):
            sock.send(line(number))
            if number in kills:
                await scene.restart_nats()
            await asyncio.sleep(1 / _UDP_RATE)
    return compare(times(range(size.lines)), await scene.stored(size.lines))


def _lines_of_kills(size: Size) -> set[int]:
    return {size.lines * end // (size.ends + 1) for end in range(1, size.ends + 1)}
