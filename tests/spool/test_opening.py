"""Opening: what is there is used, set aside with a loud error, or refused with a clear one."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from structlog.typing import EventDict

from service.spool.config import SpoolConfig
from service.spool.errors import SpoolRefused
from service.spool.store import SpoolStore
from tests.spool.stores import envelopes, file_of, numbers, opened, set_aside


@pytest.fixture
def said() -> Iterator[list[EventDict]]:
    with structlog.testing.capture_logs() as entries:
        yield entries


def errors(said: list[EventDict]) -> list[str]:
    return [entry["event"] for entry in said if entry["log_level"] == "error"]


async def filled(data_dir: Path, count: int = 2000) -> None:
    async with opened(data_dir) as store:
        await store.append(envelopes(range(count), size=1500))


def flip(path: Path, at: int, length: int = 64) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        data = file.read(length)
        file.seek(at)
        file.write(bytes(byte ^ 0xFF for byte in data))


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def cut_within_a_page(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1000)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def garbage(path: Path) -> None:
    path.write_bytes(os.urandom(50_000))


def text(path: Path) -> None:
    path.write_text("mailfault was here\n" * 1000)


def broken_header(path: Path) -> None:
    flip(path, 0, 16)


def broken_schema(path: Path) -> None:
    flip(path, 100, 8)


def broken_inner_page(path: Path) -> None:
    flip(path, path.stat().st_size // 2 // 8192 * 8192, 12)


@pytest.mark.parametrize(
    ("harm", "is_salvaged"),
    [
        (truncate, True),
        (cut_within_a_page, True),
        (broken_inner_page, True),
        (empty, False),
        (garbage, False),
        (text, False),
        (broken_header, False),
        (broken_schema, False),
    ],
)
async def test_a_damaged_file_is_set_aside(
    tmp_path: Path, said: list[EventDict], harm: Callable[[Path], None], is_salvaged: bool
) -> None:
    await filled(tmp_path)
    harm(file_of(tmp_path))
    damaged = file_of(tmp_path).read_bytes()
    async with opened(tmp_path) as store:
        found = await numbers(store)
        assert len(found) == store.events
        assert len(found) == len(set(found))
        assert set(found) <= set(range(2000))
        assert bool(found) == is_salvaged
        assert not store.is_failing
        await store.append(envelopes(range(5000, 5001)))
        assert await numbers(store) == [*found, 5000]
    assert "spool_set_aside" in errors(said)
    [kept] = set_aside(tmp_path)
    assert kept.read_bytes() == damaged, "for a person to look at"
    async with opened(tmp_path) as store:
        assert await numbers(store) == [*found, 5000]
    assert set_aside(tmp_path) == [kept]


async def test_a_second_damaged_file_does_not_take_the_place_of_the_first(tmp_path: Path) -> None:
    for _ in range(3):
        await filled(tmp_path, 1)
        garbage(file_of(tmp_path))
    async with opened(tmp_path):
        pass
    assert len(set_aside(tmp_path)) == 3


async def test_flipped_bytes_in_an_event_make_it_a_dead_letter(
    tmp_path: Path, said: list[EventDict]
) -> None:
    """SQLite cannot know; the checksum does."""
    await filled(tmp_path, 100)
    path = file_of(tmp_path)
    at = path.read_bytes().index(b'{"n":42}')
    flip(path, at + 20, 1)
    async with opened(tmp_path) as store:
        assert await numbers(store) == [n for n in range(100) if n != 42]
        await store.remove([12345])  # is done after what reading found
        assert (store.events, store.dead_letters) == (99, 1)
        assert await store.read(0, 1) != []
    assert errors(said) == ["spool_rows_damaged"]
    assert set_aside(tmp_path) == []


async def test_only_damaged_events_left(tmp_path: Path) -> None:
    await filled(tmp_path, 3)
    path = file_of(tmp_path)
    data = path.read_bytes()
    for number in range(3):
        flip(path, data.index(b'{"n":%d}' % number) + 20, 1)
    async with opened(tmp_path) as store:
        assert await store.read(0, 1) == []
        await store.remove([12345])
        assert (store.events, store.bytes, store.dead_letters) == (0, 0, 3)


async def test_damage_that_shows_while_it_runs(tmp_path: Path, said: list[EventDict]) -> None:
    async with opened(tmp_path) as store:
        await store.append(envelopes(range(2000), size=1500))
    async with opened(tmp_path) as store:
        broken_inner_page(file_of(tmp_path))
        found = []
        after = 0
        while "spool_set_aside" not in errors(said):
            try:
                events = await store.read(after, 50)
            except Exception as error:  # noqa: BLE001
                assert type(error).__name__ == "SpoolUnavailable"  # noqa: PT017
                await store.until(lambda: store.events < 2000)
            else:
                found += [int(event.message_id, 16) for _, event in events]
                after = events[-1][0]
        while events := await store.read(after, 500):
            found += [int(event.message_id, 16) for _, event in events]
            after = events[-1][0]
        assert found == sorted(set(found)), "the reader's place is still good"
        assert 1990 <= len(found) < 2000
        await store.append(envelopes(range(1)))
        assert (await store.read(after, 10))[0][1].message_id == f"{0:032x}"


async def test_a_log_without_its_database(tmp_path: Path, said: list[EventDict]) -> None:
    """SQLite would replay it into the new one."""
    async with opened(tmp_path) as store:
        await store.append(envelopes(range(5)))
        wal = file_of(tmp_path).with_name("spool.sqlite3-wal")
        log = wal.read_bytes()
    file_of(tmp_path).unlink()
    wal.write_bytes(log)
    async with opened(tmp_path) as store:
        assert await numbers(store) == []
    assert "spool_set_aside" in errors(said)
    [kept] = file_of(tmp_path).parent.glob("*.damaged-*-wal")
    assert kept.read_bytes() == log


async def test_a_draft_that_was_left_half_made(tmp_path: Path) -> None:
    file_of(tmp_path).parent.mkdir()
    draft = file_of(tmp_path).with_name("spool.sqlite3.new")
    draft.write_bytes(b"SQLite format 3\0")
    async with opened(tmp_path) as store:
        await store.append(envelopes(range(1)))
        assert await numbers(store) == [0]
    draft.write_bytes(b"SQLite format 3\0")
    async with opened(tmp_path) as store:
        assert await numbers(store) == [0]
        assert not draft.exists(), "it may be as large as a spool"


async def refused(data_dir: Path) -> str:
    with pytest.raises(SpoolRefused) as caught:
        await SpoolStore(data_dir, SpoolConfig()).open()
    return str(caught.value)


async def test_a_second_receiver(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        assert "is in use by another receiver; give each its own --data-dir" in await refused(
            tmp_path
        )
        await store.append(envelopes(range(1)))
    async with opened(tmp_path) as store:
        assert await numbers(store) == [0]


async def test_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    await filled(tmp_path, 3)
    with sqlite3.connect(file_of(tmp_path)) as db:
        db.execute("PRAGMA user_version = 2")
    db.close()
    before = file_of(tmp_path).read_bytes()
    assert "has version 2; this mailfault knows version 1" in await refused(tmp_path)
    assert file_of(tmp_path).read_bytes() == before
    assert set_aside(tmp_path) == []


async def test_somebody_elses_database_is_left_alone(tmp_path: Path) -> None:
    file_of(tmp_path).parent.mkdir()
    with sqlite3.connect(file_of(tmp_path)) as db:
        db.execute("CREATE TABLE photographs (id)")
    db.close()
    assert "not a spool of mailfault" in await refused(tmp_path)
    assert set_aside(tmp_path) == []


async def test_a_directory_in_its_place(tmp_path: Path) -> None:
    file_of(tmp_path).mkdir(parents=True)
    assert "spool.sqlite3 is not a file" in await refused(tmp_path)


async def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    file_of(tmp_path).parent.write_text("")
    assert "File exists" in await refused(tmp_path)


async def test_a_data_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    assert "Not a directory" in await refused(tmp_path / "data")


@pytest.fixture
def as_nobody(tmp_path: Path) -> Iterator[None]:
    """Root may read and write whatever the modes say. A folder of pytest's is its owner's only."""
    if os.geteuid() != 0:
        yield
        return
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    os.setresuid(65534, 65534, 0)
    yield
    os.setresuid(0, 0, 0)


@pytest.mark.usefixtures("as_nobody")
async def test_a_folder_without_the_right_to_write(tmp_path: Path) -> None:
    if os.getuid() != 65534:  # else it is root's
        os.chmod(tmp_path, 0o555)
    assert "Permission denied" in await refused(tmp_path)
    assert os.listdir(tmp_path) == []


async def test_a_file_without_the_right_to_read(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    await filled(tmp_path, 1)
    for path in file_of(tmp_path).parent.iterdir():
        path.chmod(0 if path == file_of(tmp_path) else 0o666)
    file_of(tmp_path).parent.chmod(0o777)
    request.getfixturevalue("as_nobody")
    assert "spool.sqlite3: no right to read and write it" in await refused(tmp_path)
    assert set_aside(tmp_path) == []
