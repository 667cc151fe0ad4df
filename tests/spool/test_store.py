"""The store: what goes in comes out, oldest first, once; gauges; the cap; the dead letters."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from service.core.envelope import Envelope
from service.spool.config import SpoolConfig
from service.spool.errors import SpoolFull, SpoolUnavailable
from tests.spool.stores import envelope, envelopes, fields, file_of, numbers, opened


async def test_what_goes_in_comes_out_oldest_first(tmp_path: Path) -> None:
    given = [
        *envelopes(range(20)),
        Envelope("postfix.invalid.unknown", "id", "invalid", bytes(range(256)), "", 0.0),
        Envelope("a", "", "", b"", "", -1.5),
    ]
    async with opened(tmp_path) as store:
        ids = list(await store.append(given[:5])) + list(await store.append(given[5:]))
        assert ids == sorted(set(ids))
        found = await store.read(0, 100)
        assert [id for id, _ in found] == ids
        assert [fields(event) for _, event in found] == [fields(event) for event in given]
        assert await store.read(ids[-1], 100) == []


async def test_on_durable_is_the_callers(tmp_path: Path) -> None:
    """It is a function of this process: no file can hold it."""
    called: list[str] = []
    event = envelope(1)
    event.on_durable = lambda: called.append("durable")
    async with opened(tmp_path) as store:
        await store.append([event])
        [(_, found)] = await store.read(0, 1)
        assert found.on_durable is None
    assert called == []


async def test_nothing_needs_no_commit(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        before = store.commits
        assert list(await store.append([])) == []
        await store.remove([])
        assert store.commits == before


async def test_reading_goes_on_after_an_id_in_bounded_pieces(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        ids = await store.append(envelopes(range(10), size=1000))
        assert [id for id, _ in await store.read(0, 3)] == list(ids[:3])
        assert [id for id, _ in await store.read(ids[2], 3)] == list(ids[3:6])
        two = await store.read(0, 100, max_bytes=2300)
        assert [id for id, _ in two] == list(ids[:2])
        assert len(await store.read(0, 100, max_bytes=1)) == 1, "an event too large goes alone"


async def test_removed_events_do_not_come_back(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        ids = await store.append(envelopes(range(10)))
        await store.remove([ids[0], ids[1], ids[5], ids[9]])
        assert await numbers(store) == [2, 3, 4, 6, 7, 8]
        await store.remove([ids[1], ids[2], 12345])
        assert await numbers(store) == [3, 4, 6, 7, 8]
    async with opened(tmp_path) as store:
        assert await numbers(store) == [3, 4, 6, 7, 8]


async def test_an_id_is_never_given_twice(tmp_path: Path) -> None:
    """A reader's place stays good, however empty the spool was in between."""
    async with opened(tmp_path) as store:
        first = await store.append(envelopes(range(3)))
        await store.remove(first)
        second = await store.append(envelopes(range(3, 5)))
        assert second[0] > first[-1]
        assert len(await store.read(first[-1], 10)) == 2
        await store.remove(second)
    async with opened(tmp_path) as store:
        assert (await store.append([envelope(6)]))[0] > second[-1]


async def test_the_same_event_may_wait_twice(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.append([envelope(1)])
        await store.append([envelope(1)])
        assert await numbers(store) == [1, 1]


async def test_what_it_holds_is_counted_and_known_after_a_restart(tmp_path: Path) -> None:
    event = envelope(1, size=500)
    size = len(event.body) + len(event.header_lines) + len(event.subject) + len(event.message_id)
    async with opened(tmp_path) as store:
        assert (store.events, store.bytes, store.dead_letters) == (0, 0, 0)
        ids = await store.append([event] * 3)
        assert (store.events, store.bytes) == (3, 3 * size)
        await store.remove(ids[:1])
        await store.bury(event, "too_large", "")
        assert (store.events, store.bytes, store.dead_letters) == (2, 2 * size, 1)
    async with opened(tmp_path) as store:
        assert (store.events, store.bytes, store.dead_letters) == (2, 2 * size, 1)
        await store.remove(ids)
        assert (store.events, store.bytes, store.dead_letters) == (0, 0, 1)


@pytest.mark.parametrize(
    "config", [SpoolConfig(max_events=3), SpoolConfig(max_bytes=3000)], ids=str
)
async def test_beyond_its_bound_it_takes_no_events_until_some_are_removed(
    tmp_path: Path, config: SpoolConfig
) -> None:
    async with opened(tmp_path, config) as store:
        ids = await store.append(envelopes(range(2), size=900))
        assert store.has_room
        await store.append(envelopes(range(2, 6), size=900))
        assert not store.has_room, "one call may pass the cap"
        with pytest.raises(SpoolFull):
            await store.append([envelope(6)])
        assert await numbers(store) == [0, 1, 2, 3, 4, 5]
        assert not store.is_failing, "a full spool is no failing disk"
        await store.bury(envelope(7), "no_stream", "")
        await store.remove([*ids, 3, 4, 5])
        assert store.has_room
        await store.append([envelope(8)])
        assert await numbers(store) == [5, 8]


async def test_the_cap_counts_what_shares_a_commit(tmp_path: Path) -> None:
    async with opened(tmp_path, SpoolConfig(max_events=10)) as store:
        answers = await asyncio.gather(
            *(store.append([envelope(n)]) for n in range(30)), return_exceptions=True
        )
        assert [isinstance(answer, range) for answer in answers] == [True] * 10 + [False] * 20
        assert all(isinstance(answer, SpoolFull) for answer in answers[10:])
        assert await numbers(store) == list(range(10))


async def test_a_dead_letter_takes_the_place_of_its_event(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        ids = await store.append(envelopes(range(3)))
        before = store.commits
        await store.bury(envelope(1), "too_large", "1 MB is the most", ids[1])
        assert store.commits == before + 1
        assert await numbers(store) == [0, 2]
        assert store.dead_letters == 1
    with sqlite3.connect(file_of(tmp_path)) as db:
        found = db.execute("SELECT reason, detail, message_id, body FROM dead").fetchall()
    db.close()
    assert found == [("too_large", "1 MB is the most", envelope(1).message_id, envelope(1).body)]


async def test_dead_letters_are_bounded(tmp_path: Path) -> None:
    async with opened(tmp_path, SpoolConfig(max_dead_letters=3)) as store:
        for number in range(5):
            await store.bury(envelope(number), "no_stream", "")
        assert store.dead_letters == 3
    with sqlite3.connect(file_of(tmp_path)) as db:
        left = [int(id, 16) for (id,) in db.execute("SELECT message_id FROM dead ORDER BY id")]
    db.close()
    assert left == [2, 3, 4]


async def test_what_cannot_be_sent_harms_nobody_else(tmp_path: Path) -> None:
    bad = Envelope("postfix.bounced.mx\ud800", "id", "bounced", b"{}")
    async with opened(tmp_path) as store:
        good = asyncio.create_task(store.append([envelope(1)]))
        with pytest.raises(UnicodeEncodeError):
            await store.append([bad])
        assert len(await good) == 1


async def test_a_cancelled_caller_harms_nobody_else(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        tasks = [asyncio.create_task(store.append([envelope(n)])) for n in range(10)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(answer, range) for answer in answers[1::2])
        assert set(await numbers(store)) >= {1, 3, 5, 7, 9}


async def test_closing_does_first_what_was_asked_before(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        tasks = [asyncio.create_task(store.append([envelope(n)])) for n in range(50)]
        await asyncio.sleep(0)
    assert [len(ids) for ids in await asyncio.gather(*tasks)] == [1] * 50
    async with opened(tmp_path) as store:
        assert await numbers(store) == list(range(50))


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        pass
    with pytest.raises(SpoolUnavailable):
        await store.append([envelope(1)])


async def test_a_closed_store_leaves_no_log(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.append([envelope(1)])
    names = {path.name for path in file_of(tmp_path).parent.iterdir()}
    assert names == {"spool.sqlite3", "lock", "reserve"}
    assert file_of(tmp_path).stat().st_mode & 0o077 == 0, "addresses are personal data"
