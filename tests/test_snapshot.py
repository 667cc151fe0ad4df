"""What is remembered outlives the process; a file that is broken costs nothing but itself."""

import asyncio
import os
import signal
import struct
import subprocess
import sys
import textwrap
from hashlib import blake2b
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from service import snapshot
from service.core.correlate.correlator import Correlator, Kept
from service.core.correlate.memory import Bounds, stamp_of
from service.snapshot import FILE, SnapshotError, SnapshotKeeper, read, write

ZONE = ZoneInfo("UTC")
KEPT: Kept = (
    {b"k1": stamp_of(5) + b"\nmx", b"k2": stamp_of(6) + b"\nc" + b"y" * 600},
    {b"k1": stamp_of(5) + b"1\na@b.example"},
    {b"k1\0a@b.example": stamp_of(5) + b"[]"},
)


def correlator() -> Correlator:
    return Correlator(Bounds(100, 1 << 20, 86_400), ZONE)


def keeper(folder: Path, interval: float = 0) -> SnapshotKeeper:
    return SnapshotKeeper(folder, correlator(), interval)


def names(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


async def loaded(folder: Path) -> tuple[Kept, list[str]]:
    """What a new life begins with, and what it says."""
    known = correlator()
    with capture_logs() as logs:
        await SnapshotKeeper(folder, known, 0).load()
    return known.kept(), [entry["event"] for entry in logs]


_MEMORY = st.dictionaries(st.binary(max_size=40), st.binary(max_size=300), max_size=8)


@given(st.tuples(_MEMORY, _MEMORY, _MEMORY))
def test_round_trip(kept: Kept) -> None:
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"mailfault-snapshot-{os.getpid()}"
    try:
        write(path, kept)
        assert read(path) == kept
        assert [list(part) for part in read(path)] == [list(part) for part in kept], "in order"
    finally:
        path.unlink()


async def test_saved_and_loaded(tmp_path: Path) -> None:
    known = correlator()
    known.restore(KEPT)
    folder = tmp_path / "data"
    await SnapshotKeeper(folder, known, 0).save()
    assert await loaded(folder) == (KEPT, ["snapshot_loaded"])
    assert (folder / FILE).stat().st_mode & 0o777 == 0o600
    assert names(folder) == [FILE]


async def test_without_a_file_nothing_is_said(tmp_path: Path) -> None:
    assert await loaded(tmp_path) == (({}, {}, {}), [])


def broken_files() -> dict[str, bytes]:
    whole = b"".join(snapshot._chunks(KEPT))
    digest = blake2b(whole, digest_size=32).digest()
    entry = struct.Struct(">BHI")

    def signed(body: bytes) -> bytes:
        return body + blake2b(body, digest_size=32).digest()

    magic = b"mailfault correlation 1\n"
    return {
        "empty": b"",
        "another version": signed(whole.replace(b" 1\n", b" 9\n", 1)),
        "something else": b"SQLite format 3\0" + bytes(100),
        "one bit": (whole[:40] + bytes([whole[40] ^ 1]) + whole[41:]) + digest,
        "no digest": whole,
        "half a digest": whole + digest[:16],
        "more behind it": whole + digest + b"x",
        "no end": signed(whole[: -entry.size]),
        "no such memory": signed(magic + entry.pack(3, 1, 1) + b"kv" + entry.pack(0xFF, 0, 0)),
        "endless value": magic + entry.pack(0, 1, 0xFFFFFFFF) + b"k",
    }


@pytest.mark.parametrize("name", broken_files())
async def test_a_broken_file_is_named_and_ignored(tmp_path: Path, name: str) -> None:
    (tmp_path / FILE).write_bytes(broken_files()[name])
    assert await loaded(tmp_path) == (({}, {}, {}), ["snapshot_ignored"])


async def test_cut_anywhere_it_is_ignored(tmp_path: Path) -> None:
    write(tmp_path / FILE, KEPT)
    whole = (tmp_path / FILE).read_bytes()
    for size in range(len(whole)):
        (tmp_path / FILE).write_bytes(whole[:size])
        with pytest.raises(SnapshotError):
            read(tmp_path / FILE)
    (tmp_path / FILE).write_bytes(whole)
    assert read(tmp_path / FILE) == KEPT


async def test_a_directory_in_its_place(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    assert await loaded(tmp_path) == (({}, {}, {}), ["snapshot_ignored"])
    with capture_logs() as logs:
        await keeper(tmp_path).save()
    assert [entry["event"] for entry in logs] == ["snapshot_failed"]
    assert names(tmp_path) == [FILE], "and no half of one"


async def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    write(tmp_path / FILE, KEPT)
    blocked = (tmp_path / FILE).with_suffix(".new")
    blocked.symlink_to("/dev/full")
    with capture_logs() as logs:
        await keeper(tmp_path).save()
    assert [entry["event"] for entry in logs] == ["snapshot_failed"]
    assert read(tmp_path / FILE) == KEPT


def test_killed_while_writing_leaves_the_old_one(tmp_path: Path) -> None:
    """The process ends between the first bytes and the last, wherever that is."""
    write(tmp_path / FILE, KEPT)
    script = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        from service import snapshot
        kept = ({b"k%d" % n: b"00000005" + b"x" * 4000 for n in range(2000)}, {}, {})
        chunks = snapshot._chunks
        def dying(kept):
            for number, chunk in enumerate(chunks(kept)):
                if number == 3:
                    os.kill(os.getpid(), signal.SIGKILL)
                yield chunk
        snapshot._chunks = dying
        snapshot.write(Path(sys.argv[1]), kept)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / FILE)], check=False, timeout=50
    )
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / FILE).with_suffix(".new").stat().st_size > 0
    assert read(tmp_path / FILE) == KEPT
    write(tmp_path / FILE, ({}, {}, {}))
    assert read(tmp_path / FILE) == ({}, {}, {})


class Asked(Correlator):
    """Says when it is asked what it knows, for the second time: then the first is written."""

    def __init__(self) -> None:
        super().__init__(Bounds(100, 1 << 20, 86_400), ZONE)
        self.times = 0
        self.twice = asyncio.Event()

    def kept(self) -> Kept:
        self.times += 1
        if self.times == 2:
            self.twice.set()
        return super().kept()


async def test_saved_again_and_again_while_running(tmp_path: Path) -> None:
    known = Asked()
    task = asyncio.create_task(SnapshotKeeper(tmp_path, known, 0.001).run())
    async with asyncio.timeout(20):
        await known.twice.wait()
    task.cancel()
    assert read(tmp_path / FILE) == ({}, {}, {})
    async with asyncio.timeout(20):
        await SnapshotKeeper(tmp_path, known, 0).run()  # only when stopping: nothing to wait for


def test_entries_that_cannot_be_its_own_are_left_out() -> None:
    known = correlator()
    known.restore(({b"k": b"not a stamp", b"l": stamp_of(5)}, {}, {}))
    assert known.kept() == ({}, {}, {})
    known.restore(KEPT)
    known.restore(({b"k1": stamp_of(9) + b"\nother"}, {}, {}))
    assert known.kept() == KEPT, "what is known now is newer"
