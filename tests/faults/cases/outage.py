"""NATS is away for long, or the disk is full meanwhile."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.stream import Stream
from benchmarks.usage import MemoryWatch
from tests.e2e.packages import require_root
from tests.faults.case import Outcome, Size, compare
from tests.faults.lines import times
from tests.faults.scene import Place, Scene, until
from tests.faults.small_disk import small_disk
from tests.metric_values import value

_MEMORY_MIB = 300
_BACK_SECONDS = 30.0
"""For everything to be in the stream after the server's return."""
_LOOK_SECONDS = 0.05
_LOOKS = 50
"""The spool looks at its disk once a second: more than two of its looks."""
_DISK_MIB = 40
"""Of which the spool keeps 16 in reserve, and up to 8 are SQLite's log."""


async def nats_away(scene: Scene, size: Size) -> Outcome:
    """All lines come while it is away; the time to catch up runs from its being up again."""
    place = await scene.receive()
    await until(place.is_ready)
    await scene.server.kill()
    async with MemoryWatch(place.receiver.child.pid) as memory:
        feed = scene.feed(place, count=size.lines, rate=size.rate)
        await feed.finished()
        spooled = value(await place.receiver.get("/metrics"), "spool_events")
        await scene.server.start()
        back = time.monotonic()
        async with Stream(scene.server.url) as stream:
            await stream.wait_for(size.lines)
        caught_up = time.monotonic() - back
    outcome = compare(times(range(size.lines)), await scene.stored(size.lines))
    peak = memory.peak / 2**20
    outcome.notes |= {"on disk": spooled, "all back after s": caught_up, "peak MiB": peak}
    outcome.check(spooled > 0, "nothing was on disk")
    outcome.check(caught_up < _BACK_SECONDS, f"{caught_up:.1f} s to catch up")
    outcome.check(peak < _MEMORY_MIB, f"{peak:.0f} MiB")
    return outcome


async def disk_full_then_room(scene: Scene, size: Size) -> Outcome:
    """Somebody else fills the disk, and makes room again; NATS comes back only afterwards."""
    async with _full_disk(scene, size) as (place, ballast, outcome):
        feed = scene.feed(place, count=size.lines)
        await _hold(place, ballast, outcome, size)
        outcome.check(feed.sender.acknowledged == 0, "acknowledged with nothing durable")
        ballast.unlink()
        await feed.finished()
        await until(place.is_ready)
        await scene.server.start()
        return _add(outcome, compare(times(range(size.lines)), await scene.stored(size.lines)))


async def disk_full_then_nats(scene: Scene, size: Size) -> Outcome:
    """The disk stays full; NATS is back."""
    async with _full_disk(scene, size) as (place, ballast, outcome):
        feed = scene.feed(place, count=size.lines)
        await _hold(place, ballast, outcome, size)
        outcome.check(feed.sender.acknowledged == 0, "acknowledged with nothing durable")
        await scene.server.start()
        await feed.finished()
        await until(place.is_ready)
        return _add(outcome, compare(times(range(size.lines)), await scene.stored(size.lines)))


async def disk_filled_by_the_spool(scene: Scene, size: Size) -> Outcome:
    """What fills it are the events themselves; its reserve lets them be removed."""
    require_root("it mounts a small file system")
    with small_disk(scene.home / "disk", _DISK_MIB) as disk:
        place = await scene.receive(data_dir=disk / "data")
        await until(place.is_ready)
        await scene.server.kill()
        feed = scene.feed(place, count=size.lines)
        await until(lambda: _is_refused(place), seconds=120)
        was_ready = [await _is_ready_in_a_while(place) for _ in range(_LOOKS)]
        spooled = value(await place.receiver.get("/metrics"), "spool_events")
        await scene.server.start()
        await feed.finished()
        await until(place.is_ready)
        outcome = compare(times(range(size.lines)), await scene.stored(size.lines))
        outcome.notes["on disk when full"] = spooled
        outcome.check(not any(was_ready), "called itself ready with a full disk")
        outcome.check(0 < spooled < size.lines, "the disk was not filled")
        await place.kill()  # before its disk goes
        return outcome


@asynccontextmanager
async def _full_disk(scene: Scene, size: Size) -> AsyncIterator[tuple[Place, Path, Outcome]]:
    """A receiver that was well, whose disk is full and whose NATS is away."""
    require_root("it mounts a small file system")
    with small_disk(scene.home / "disk", _DISK_MIB) as disk:
        place = await scene.receive(data_dir=disk / "data")
        await until(place.is_ready)
        ballast = disk / "ballast"
        fill(ballast)
        await scene.server.kill()
        try:
            yield place, ballast, Outcome(0, 0, 0, 0, 0)
        finally:
            await place.kill()


async def _hold(place: Place, ballast: Path, outcome: Outcome, size: Size) -> None:
    """Until the receiver has looked at the full disk a few times. What it gives up of its reserve,
    others take as well."""
    looks = 0

    async def has_looked() -> bool:
        nonlocal looks
        is_filled = fill(ballast) == 0
        looks = looks + 1 if is_filled and not await place.is_ready() else 0
        return looks >= _LOOKS

    await until(has_looked)
    unanswered = value(await place.receiver.get("/metrics"), "relp_unanswered_frames")
    outcome.notes["held back"] = unanswered
    outcome.check(unanswered > 0, "no line had come")
    outcome.check(size.lines > unanswered, "too few lines to be held back")


async def _is_ready_in_a_while(place: Place) -> bool:
    await asyncio.sleep(_LOOK_SECONDS)
    return await place.is_ready()


async def _is_refused(place: Place) -> bool:
    return not await place.is_ready()


def _add(before: Outcome, after: Outcome) -> Outcome:
    after.notes = before.notes | after.notes
    after.failures = before.failures + after.failures
    return after


def fill(path: Path) -> int:
    """Append until nothing more fits. Returns how many bytes did."""
    written = 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    block = bytes(64 * 1024)
    try:
        while True:
            written += os.write(descriptor, block)
    except OSError:
        return written
    finally:
        os.close(descriptor)
