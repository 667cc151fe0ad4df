"""Senders that can wait are held back in time, and let go again."""

import asyncio
from pathlib import Path

from tests.nats.waiting import until
from tests.nats_server import real_nats
from tests.outlet_way import way
from tests.sample_lines import envelope


async def test_while_neither_nats_nor_the_disk_takes_events_the_whole_room_is_used(
    tmp_path: Path,
) -> None:
    made = way(tmp_path, max_events=10, max_waiting=1)
    async with made.running():
        made.outlet.put([envelope(0)])
        await until(lambda: made.store.events == 1 and not made.outlet.spooler.unsaved)
        made.outlet.put(envelope(number) for number in range(1, 10))
        assert not made.outlet.should_hold_back
        assert made.outlet.has_room
        made.outlet.put([envelope(10)])
        assert made.outlet.should_hold_back
        assert not made.outlet.has_room


async def test_while_the_disk_takes_events_most_of_it_is_kept(tmp_path: Path) -> None:
    made = way(tmp_path, max_events=40)
    async with made.running():
        made.outlet.put(envelope(number) for number in range(8))
        assert made.outlet.should_hold_back
        assert made.outlet.has_room
        resumed = asyncio.Event()
        made.outlet.when_room(resumed.set)
        async with asyncio.timeout(20):
            await resumed.wait()
        assert not made.outlet.should_hold_back


async def test_while_nats_takes_events_most_of_it_is_kept(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server:
        made = way(tmp_path, server.url, max_events=40)
        async with made.running():
            async with asyncio.timeout(20):
                await made.connected.wait()
            made.outlet.put(envelope(number) for number in range(3))
            assert not made.outlet.should_hold_back
            made.outlet.put(envelope(number) for number in range(3, 8))
            assert made.outlet.should_hold_back
            assert made.outlet.has_room, "UDP, which cannot wait, still gets in"
            resumed = asyncio.Event()
            made.outlet.when_room(resumed.set)
            assert not resumed.is_set()
            async with asyncio.timeout(20):
                await resumed.wait()
            assert not made.outlet.should_hold_back


async def test_in_front_of_a_publisher_that_takes_them_few_events_wait(tmp_path: Path) -> None:
    """Five thousand were a third of a second for each window of a sender that waits for its
    acknowledgements, beside a flood of one that does not."""
    async with real_nats(tmp_path) as server:
        made = way(tmp_path, server.url, max_events=50_000)
        async with made.running():
            await made.flowing()
            made.outlet.put(envelope(number) for number in range(499))
            assert not made.outlet.should_hold_back
            made.outlet.put([envelope(499)])
            assert made.outlet.should_hold_back
            left: list[int] = []
            made.outlet.when_room(lambda: left.append(len(made.queue)))
            await until(lambda: bool(left))
            assert left[0] < 250
            made.outlet.spooler.fall_behind()
            made.queue.extend(envelope(number) for number in range(500, 2000))
            assert not made.outlet.should_hold_back, "from the disk they come by thousands"


async def test_held_back_senders_go_on_when_nats_goes_away(tmp_path: Path) -> None:
    """What was kept free is for now; and they go on only once."""
    async with real_nats(tmp_path) as server:
        made = way(tmp_path, server.url, max_events=40)
        async with made.running():
            async with asyncio.timeout(20):
                await made.connected.wait()
            made.publisher.window = 0  # a server that answers nothing any more
            made.outlet.put(envelope(number) for number in range(8))
            assert made.outlet.should_hold_back
            resumes: list[int] = []
            made.outlet.when_room(lambda: resumes.append(1))
            await server.kill()
            async with asyncio.timeout(20):
                await made.disconnected.wait()
            await until(lambda: bool(resumes))  # as soon as the disk has what waited
            made.outlet.flow_stopped()
            assert resumes == [1]


async def test_with_a_full_room_they_wait_on(tmp_path: Path) -> None:
    made = way(tmp_path, max_events=10)
    made.outlet.put(envelope(number) for number in range(8))
    resumes: list[int] = []
    made.outlet.when_room(lambda: resumes.append(1))
    made.outlet.flow_stopped()
    assert resumes == []


async def test_a_full_room_lets_go_once_it_is_half_empty(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server:
        made = way(tmp_path, server.url, max_events=10)
        made.outlet.put(envelope(number) for number in range(10))
        resumed = asyncio.Event()
        made.outlet.when_room(resumed.set)
        async with made.running(), asyncio.timeout(20):
            await resumed.wait()
            assert len(made.queue) <= 5
