"""The way over the disk: in order, each once, whatever the disk and the next room do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from service.core.envelope import Envelope
from service.spool import inspection
from service.spool.config import SpoolConfig
from service.spool.memory_config import MemoryQueueConfig
from service.spool.opening import database_path
from service.spool.spooler import Spooler
from service.spool.store import SpoolStore
from tests.nats.waiting import until


class Way:
    """A spooler with a real store, and a next room whose appetite is a switch."""

    def __init__(self, home: Path, max_events: int = 10_000, max_waiting: int = 10_000) -> None:
        """`max_events`: on disk; `max_waiting`: in memory."""
        self.home = home
        self.steps = 0
        """How often there may have been more room than before."""
        self.appetite = 1000
        self.may_bypass = False
        self.got: list[Envelope] = []
        self.store = SpoolStore(home, SpoolConfig(max_events=max_events), self._changed)
        self.spooler = Spooler(
            self.store,
            MemoryQueueConfig(max_events=max_waiting),
            self.got.extend,
            wants_more=lambda: self.appetite,
            may_bypass=lambda: self.may_bypass,
            on_progress=self._step,
        )

    def _changed(self) -> None:
        self.spooler.changed()

    def _step(self) -> None:
        self.steps += 1

    @property
    def numbers(self) -> list[int]:
        return [int(envelope.message_id) for envelope in self.got]

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Way"]:
        await self.store.open()
        spooler = self.spooler
        tasks = [
            asyncio.create_task(work)
            for work in (spooler.append(), spooler.drain(), spooler.remove())
        ]
        try:
            yield self
            assert not any(task.done() for task in tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await self.store.close()


def numbered(number: int) -> Envelope:
    return Envelope("postfix.bounced.mx1", str(number), "bounced", b"{}")


async def test_in_order_and_told_once_on_disk(tmp_path: Path) -> None:
    durable: list[int] = []
    async with Way(tmp_path).running() as way:
        for number in range(500):
            one = numbered(number)
            one.on_durable = partial(durable.append, number)
            way.spooler.put([one])
        await way.spooler.saved()
        assert durable == list(range(500))
        await until(lambda: len(way.got) == 500)
        assert way.numbers == list(range(500))
        assert all(envelope.row is not None for envelope in way.got)
        assert len({envelope.row for envelope in way.got}) == 500


async def test_a_room_without_appetite_gets_nothing_until_it_has_some(tmp_path: Path) -> None:
    async with Way(tmp_path).running() as way:
        way.appetite = 0
        way.spooler.put([numbered(number) for number in range(10)])
        await way.spooler.saved()
        assert way.got == []
        assert way.spooler.is_behind
        way.appetite = 4
        way.spooler.look_again()
        await until(lambda: len(way.got) >= 8)
        await way.spooler.caught_up()
        assert way.numbers == list(range(10))


async def test_once_caught_up_events_are_handed_on_without_reading_them_again(
    tmp_path: Path,
) -> None:
    async with Way(tmp_path).running() as way:
        way.spooler.put([numbered(0)])
        await way.spooler.saved()
        await way.spooler.caught_up()
        one = numbered(1)
        way.spooler.put([one])
        await way.spooler.saved()
        assert way.got[-1] is one
        assert not way.spooler.is_behind


async def test_what_an_operator_puts_back_is_published_between(tmp_path: Path) -> None:
    async with Way(tmp_path).running() as way:
        way.spooler.put([numbered(0)])
        await way.spooler.saved()
        await way.spooler.caught_up()
        way.spooler.bury(numbered(1), "too_large", "server takes 10")
        await way.spooler.saved()
        assert way.store.dead_letters == 1
        await asyncio.to_thread(inspection.put_back, database_path(tmp_path), None, "too_large")
        await until(lambda: len(way.got) == 2)
        way.spooler.put([numbered(2)])
        await way.spooler.saved()
        await way.spooler.caught_up()
        await until(lambda: len(way.got) == 3)
        assert sorted(way.numbers) == [0, 1, 2]


async def test_published_events_leave_the_disk(tmp_path: Path) -> None:
    async with Way(tmp_path).running() as way:
        way.spooler.put([numbered(number) for number in range(20)])
        await until(lambda: len(way.got) == 20)
        for envelope in way.got[:15]:
            assert envelope.row is not None
            way.spooler.published(envelope.row)
        await until(lambda: way.store.events == 5)
    async with Way(tmp_path).running() as again:
        await until(lambda: len(again.got) == 5)
        assert again.numbers == list(range(15, 20))


async def test_a_full_spool_keeps_them_waiting_and_acknowledges_nothing(tmp_path: Path) -> None:
    durable: list[int] = []
    async with Way(tmp_path, max_events=3).running() as way:
        way.appetite = 0
        way.spooler.put([numbered(number) for number in range(3)])
        await way.spooler.saved()
        late = numbered(3)
        late.on_durable = partial(durable.append, 3)
        way.spooler.put([late])
        await until(lambda: not way.store.has_room)
        assert way.spooler.unsaved == 1
        way.appetite = 1000
        way.spooler.look_again()
        await until(lambda: len(way.got) == 3)
        assert durable == []
        for envelope in list(way.got):
            assert envelope.row is not None
            way.spooler.published(envelope.row)
        await way.spooler.saved()
        assert durable == [3]
        await until(lambda: way.numbers == [0, 1, 2, 3])


async def test_what_comes_at_once_does_not_pass_the_bound(tmp_path: Path) -> None:
    """Up to two thousand events of one read got in beyond a small `spool.max_events`."""
    async with Way(tmp_path, max_events=3).running() as way:
        way.appetite = 0
        way.spooler.put([numbered(number) for number in range(10)])
        await until(lambda: way.spooler.unsaved == 7)
        assert way.store.events == 3
        way.appetite = 1000
        way.spooler.look_again()
        numbers: list[int] = []
        while len(numbers) < 10:
            await until(lambda: way.got)
            assert way.store.events <= 3
            numbers.append(way.numbers[0])
            row = way.got.pop(0).row
            assert row is not None
            way.spooler.published(row)
        assert numbers == list(range(10))


async def test_a_full_spool_that_is_tried_again_is_no_room(tmp_path: Path) -> None:
    """Each try took the events out of the waiting room, which looked empty until they were back:
    datagrams got in beyond its bound, and the gauge and `/readyz` fluttered."""
    async with Way(tmp_path, max_events=3, max_waiting=5).running() as way:
        way.appetite = 0
        way.spooler.put([numbered(number) for number in range(3)])
        await way.spooler.saved()
        way.spooler.put([numbered(number) for number in range(3, 8)])
        steps = way.steps
        while way.steps < steps + 3:
            await asyncio.sleep(0)
            assert not way.spooler.incoming.has_room
            assert way.spooler.unsaved == len(way.spooler.incoming) == 5


async def test_where_the_way_round_is_open_a_full_spool_holds_nobody_up(tmp_path: Path) -> None:
    async with Way(tmp_path, max_events=1).running() as way:
        way.appetite = 0
        way.spooler.put([numbered(0)])
        await way.spooler.saved()
        way.may_bypass = True
        way.spooler.put([numbered(1), numbered(2)])
        await until(lambda: way.numbers == [1, 2])
        assert [envelope.row for envelope in way.got] == [None, None]
        await way.spooler.saved()
