"""`mailfault spool`: on a spool at rest and on one in use."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from structlog.testing import capture_logs

import schemas.samples
from service.core.envelope import Envelope
from service.spool.store import SpoolStore
from tests.cli.run import objects, run, run_process
from tests.nats.waiting import until
from tests.spool.stores import envelope, envelopes, file_of, numbers, opened, set_aside

BOUNCED = schemas.samples.example_bytes("bounced")


def event(number: int, body: bytes = BOUNCED) -> Envelope:
    return Envelope("postfix.bounced.mx1", f"{number:032x}", "bounced", body, "", 1.7e9 + number)


async def count(store: SpoolStore) -> int:
    return len(await store.read(0, 10_000))


def spool(data_dir: Path, *arguments: str) -> CompletedProcess[bytes]:
    return run("spool", *arguments, "--data-dir", data_dir)


def beside(data_dir: Path, *arguments: str) -> CompletedProcess[bytes]:
    """As a process of its own, while another one has the spool open: what locks are between."""
    return run_process("spool", *arguments, "--data-dir", data_dir)


def status(
    data_dir: Path, spool: Callable[..., CompletedProcess[bytes]] = spool
) -> dict[str, object]:
    done = spool(data_dir, "status", "--json")
    assert done.returncode == 0, done.stderr
    [shown] = objects(done.stdout)
    return shown


async def with_letters(data_dir: Path) -> None:
    async with opened(data_dir) as store:
        await store.append([event(1), event(2)])
        await store.bury(event(3), "too_large", "1 MB is the most")
        await store.bury(event(4), "no_stream", "")
        await store.bury(event(5), "no_stream", "")


class TestStatus:
    async def test_at_rest(self, tmp_path: Path) -> None:
        await with_letters(tmp_path)
        before = {path: path.read_bytes() for path in file_of(tmp_path).parent.iterdir()}
        shown = status(tmp_path)
        assert shown["events"] == 2
        assert shown["bytes"] == 2 * (len(BOUNCED) + len("postfix.bounced.mx1") + 32)
        assert shown["oldest"] == "2023-11-14T22:13:21Z"
        assert shown["dead_letters"] == {"no_stream": 2, "too_large": 1}
        assert shown["set_aside"] == []
        assert {path: path.read_bytes() for path in before} == before
        left = {path.name for path in file_of(tmp_path).parent.iterdir()} - {
            path.name for path in before
        }
        assert left <= {"spool.sqlite3-wal", "spool.sqlite3-shm"}
        async with opened(tmp_path) as store:
            assert store.events == 2

    async def test_for_people(self, tmp_path: Path) -> None:
        await with_letters(tmp_path)
        done = spool(tmp_path, "status")
        assert done.returncode == 0
        shown = [line.split() for line in done.stdout.decode().splitlines()]
        assert ["events", "2"] in shown
        assert ["dead", "letters", "3"] in shown
        assert ["no_stream", "2"] in shown
        assert shown[2][:2] == ["oldest", "2023-11-14T22:13:21Z,"]

    async def test_an_empty_one(self, tmp_path: Path) -> None:
        async with opened(tmp_path):
            pass
        shown = status(tmp_path)
        assert (shown["events"], shown["oldest"], shown["dead_letters"]) == (0, None, {})

    async def test_while_a_receiver_writes(self, tmp_path: Path) -> None:
        async with opened(tmp_path) as store:
            await store.append(envelopes(range(10)))
            assert status(tmp_path, beside)["events"] == 10
            await store.append(envelopes(range(10, 15)))
            assert status(tmp_path, beside)["events"] == 15

    async def test_what_was_set_aside(self, tmp_path: Path) -> None:
        async with opened(tmp_path):
            pass
        file_of(tmp_path).write_bytes(b"x" * 9000)
        async with opened(tmp_path):
            pass
        assert status(tmp_path)["set_aside"] == [str(set_aside(tmp_path)[0])]

    async def test_what_was_set_aside_is_told_until_it_is_taken_away(self, tmp_path: Path) -> None:
        async with opened(tmp_path):
            pass
        file_of(tmp_path).write_bytes(b"x" * 9000)
        with capture_logs() as logs:
            async with opened(tmp_path) as store:
                assert (store.set_aside.files, store.set_aside.bytes) == (1, 9000)
        assert "spool_set_aside" in [entry["event"] for entry in logs]
        with capture_logs() as logs:
            async with opened(tmp_path) as store:
                assert (store.set_aside.files, store.set_aside.bytes) == (1, 9000)
                [file] = set_aside(tmp_path)
                file.unlink()
                await until(lambda: store.set_aside.files == store.set_aside.bytes == 0)
        [told] = [entry for entry in logs if entry["event"] == "spool_files_set_aside"]
        assert (told["files"], told["bytes"]) == (1, 9000)


class TestExport:
    async def test_events_as_they_are(self, tmp_path: Path) -> None:
        async with opened(tmp_path) as store:
            await store.append([event(n, b'{"n":%d}' % n) for n in range(450)])
            done = beside(tmp_path, "export")
            assert await count(store) == 450, "nothing is removed"
        assert done.returncode == 0
        assert objects(done.stdout) == [{"n": n} for n in range(450)]
        assert done.stderr == b""

    async def test_dead_letters_with_the_reason(self, tmp_path: Path) -> None:
        await with_letters(tmp_path)
        done = spool(tmp_path, "export", "--dead")
        first, second, third = objects(done.stdout)
        assert first == {
            "id": first["id"],
            "buried": first["buried"],
            "reason": "too_large",
            "detail": "1 MB is the most",
            "subject": "postfix.bounced.mx1",
            "event_id": f"{3:032x}",
            "event": json.loads(BOUNCED),
        }
        assert first["id"] < second["id"] < third["id"]
        assert first["buried"] <= third["buried"]

    async def test_a_damaged_event(self, tmp_path: Path) -> None:
        async with opened(tmp_path) as store:
            await store.append([event(n, b'{"n":%d}' % n) for n in range(3)])
        path = file_of(tmp_path)
        path.write_bytes(path.read_bytes().replace(b'{"n":1}', b'{"n"\xff1}'))
        done = spool(tmp_path, "export")
        assert done.returncode == 1
        assert objects(done.stdout) == [{"n": 0}, {"n": 2}]
        assert b"1 damaged events left out" in done.stderr
        async with opened(tmp_path) as store:
            assert await count(store) == 2
        [shown] = objects(spool(tmp_path, "export", "--dead").stdout)
        assert shown["reason"] == "damaged"
        assert shown["event"] is None
        assert shown["body_base64"] == "eyJuIv8xfQ=="

    async def test_nothing_drives_the_terminal(self, tmp_path: Path) -> None:
        async with opened(tmp_path) as store:
            await store.append([event(1, '{"n":"\x9b31m"}'.encode())])
            await store.bury(event(1), "odd", "\x1b[31m\x9b")
        for arguments in (["export"], ["export", "--dead"]):
            done = spool(tmp_path, *arguments)
            assert done.stdout.strip(b"\n").decode().isprintable()
            assert len(objects(done.stdout)) == 1


class TestRequeue:
    async def test_all(self, tmp_path: Path) -> None:
        await with_letters(tmp_path)
        done = spool(tmp_path, "requeue", "--all")
        assert (done.returncode, done.stdout) == (0, b"3 put back\n")
        async with opened(tmp_path) as store:
            found = [int(event.message_id, 16) for _, event in await store.read(0, 10)]
            assert found == [1, 2, 3, 4, 5]
            assert (store.events, store.dead_letters) == (5, 0)

    async def test_by_reason(self, tmp_path: Path) -> None:
        await with_letters(tmp_path)
        assert spool(tmp_path, "requeue", "--reason", "no_stream").stdout == b"2 put back\n"
        assert spool(tmp_path, "requeue", "--reason", "nonesuch").stdout == b"0 put back\n"
        assert status(tmp_path)["dead_letters"] == {"too_large": 1}

    async def test_by_id(self, tmp_path: Path) -> None:
        await with_letters(tmp_path)
        ids = [shown["id"] for shown in objects(spool(tmp_path, "export", "--dead").stdout)]
        assert spool(tmp_path, "requeue", str(ids[0]), str(ids[2])).stdout == b"2 put back\n"
        again = spool(tmp_path, "requeue", str(ids[0]), str(ids[1]))
        assert (again.returncode, again.stdout) == (1, b"1 put back\n")
        assert b"1 of them are not there, or damaged" in again.stderr

    async def test_a_running_receiver_finds_them(self, tmp_path: Path) -> None:
        async with opened(tmp_path) as store:
            ids = await store.append([envelope(1)])
            await store.remove(ids)
            await store.bury(envelope(2), "no_stream", "")
            assert beside(tmp_path, "requeue", "--all").returncode == 0
            await store.until(lambda: store.events == 1)
            [(id, found)] = await store.read(ids[-1], 10)
            assert found.message_id == envelope(2).message_id
            assert store.dead_letters == 0
            assert (await store.append([envelope(3)]))[0] > id
            assert await numbers(store) == [2, 3]

    async def test_damaged_ones_stay(self, tmp_path: Path) -> None:
        async with opened(tmp_path) as store:
            await store.bury(event(1), "damaged", "")
        assert spool(tmp_path, "requeue", "--all").stdout == b"0 put back\n"
        assert spool(tmp_path, "requeue", "1").returncode == 1
        assert status(tmp_path)["dead_letters"] == {"damaged": 1}

    @pytest.mark.parametrize(
        "arguments", [[], ["--all", "1"], ["--all", "--reason", "x"], ["x"], ["1", "--reason", "x"]]
    )
    def test_usage(self, tmp_path: Path, arguments: list[str]) -> None:
        done = spool(tmp_path, "requeue", *arguments)
        assert (done.returncode, done.stdout) == (2, b"")


COMMANDS = [["status"], ["export"], ["export", "--dead"], ["requeue", "--all"]]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
class TestTrouble:
    def test_no_spool_here(self, tmp_path: Path, arguments: list[str]) -> None:
        done = spool(tmp_path, *arguments)
        assert (done.returncode, done.stdout) == (1, b"")
        assert done.stderr.decode() == f"spool: no spool here: {file_of(tmp_path)}\n"
        assert list(tmp_path.iterdir()) == []

    def test_no_database(self, tmp_path: Path, arguments: list[str]) -> None:
        file_of(tmp_path).parent.mkdir()
        file_of(tmp_path).write_bytes(b"mailfault" * 1000)
        done = spool(tmp_path, *arguments)
        assert (done.returncode, done.stdout) == (1, b"")
        assert done.stderr.decode() == (
            f"spool: {file_of(tmp_path)}: file is not a database; "
            "the next receiver to start here sets it aside\n"
        )
        assert file_of(tmp_path).read_bytes() == b"mailfault" * 1000

    async def test_a_newer_version(self, tmp_path: Path, arguments: list[str]) -> None:
        await with_letters(tmp_path)
        with sqlite3.connect(file_of(tmp_path)) as db:
            db.execute("PRAGMA user_version = 7")
        db.close()
        done = spool(tmp_path, *arguments)
        assert (done.returncode, done.stdout) == (1, b"")
        assert b"has version 7; this mailfault knows version 1" in done.stderr

    def test_bad_configuration(self, tmp_path: Path, arguments: list[str]) -> None:
        done = run("spool", *arguments, "--config", tmp_path / "none.toml")
        assert (done.returncode, done.stdout) == (78, b"")


async def test_the_data_directory_may_come_from_the_configuration(tmp_path: Path) -> None:
    await with_letters(tmp_path / "there")
    file = tmp_path / "c.toml"
    file.write_text(f'data_dir = "{tmp_path}/there"\n')
    assert run("spool", "status", "--config", file).returncode == 0


class TestWorkers:
    """Each has a spool of its own."""

    async def test_all_are_looked_at(self, tmp_path: Path) -> None:
        other = tmp_path / "workers" / "1"
        await with_letters(tmp_path)
        await with_letters(other)
        (tmp_path / "workers" / "2").mkdir()  # it has none yet
        shown = status(tmp_path)
        assert shown["events"] == 4
        assert shown["dead_letters"] == {"no_stream": 4, "too_large": 2}
        assert shown["oldest"] == status(other)["oldest"]
        assert len(objects(spool(tmp_path, "export").stdout)) == 4
        assert len(objects(spool(tmp_path, "export", "--dead").stdout)) == 6
        done = spool(tmp_path, "requeue", "--reason", "no_stream")
        assert done.stdout == b"4 put back\n"
        assert status(other)["events"] == 4

    async def test_ids_are_those_of_one(self, tmp_path: Path) -> None:
        other = tmp_path / "workers" / "1"
        await with_letters(tmp_path)
        await with_letters(other)
        done = spool(tmp_path, "requeue", "1")
        assert done.returncode == 2
        assert str(other).encode() in b"".join(done.stderr.split()).replace(b"\xe2\x94\x82", b"")
        assert spool(other, "requeue", "1").stdout == b"1 put back\n"
