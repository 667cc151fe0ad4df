"""What nats-py leaves behind or waits for when connections break and servers freeze: nothing."""

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from service.nats.answer import Published
from service.nats.config import NatsConfig
from tests.nats.identities import ADMIN, only
from tests.nats.proxy import Proxy
from tests.nats.waiting import until
from tests.nats.world import World, attached, envelope, world
from tests.nats_server import real_nats


async def test_a_cancellation_that_nats_py_kept_to_itself_hung_the_shutdown(
    tmp_path: Path,
) -> None:
    """Python 3.11's `wait_for`, with which nats-py waits, does so in the turn of its result."""
    async with real_nats(tmp_path) as server:
        config = NatsConfig(servers=[server.url])
        for turns in range(60):
            made = World(config)
            running = [
                asyncio.create_task(made.connection.run()),
                asyncio.create_task(made.stream.run()),
            ]
            for _ in range(turns):
                await asyncio.sleep(0)
            for task in running:
                task.cancel()
            _, left = await asyncio.wait(running, timeout=20)
            assert not left, f"after {turns} turns"


@pytest.mark.parametrize("unsent", [0, 300], ids=["idle", "with data to write"])
async def test_each_reconnect_left_a_task_behind(tmp_path: Path, unsent: int) -> None:
    """nats-py's `close` fails on uvloop when it has something to write to a closed socket."""
    async with real_nats(tmp_path) as server, Proxy(server.port) as proxy:
        config = NatsConfig(servers=[proxy.url], reconnect_wait_max=0.02)
        async with attached(config) as here:
            await here.publish(envelope(0))
            tasks, files = asyncio.all_tasks(), _open_files()
            number = 0
            for _ in range(30):
                publishing = asyncio.create_task(_publish(here, number, unsent))
                number += unsent
                await asyncio.sleep(0)  # written, on its way to the socket
                proxy.reset()
                await here.until(lambda world: not world.publisher.is_attached)
                await here.until(lambda world: world.publisher.is_attached)
                await publishing
            await here.publisher.idle()
            await until(lambda: len(asyncio.all_tasks()) <= len(tasks))
            await until(lambda: _open_files() <= files)


async def test_a_failed_attempt_left_its_socket_open(tmp_path: Path) -> None:
    async with real_nats(tmp_path, authorization=only(ADMIN)) as server:
        config = NatsConfig(servers=[server.url], reconnect_wait_max=0.01)
        async with world(config) as here:
            await until(lambda: here.connection.last_error is not None)
            files, tasks = _open_files(), len(asyncio.all_tasks())
            with capture_logs() as logs:
                await asyncio.sleep(0.5)  # some twenty attempts
            assert _open_files() <= files + 2
            assert len(asyncio.all_tasks()) <= tasks + 2
            assert len(logs) <= 1


async def test_the_end_waits_for_no_frozen_server(tmp_path: Path) -> None:
    """`close` of nats-py waited for ever to write what the server no longer reads."""
    async with real_nats(tmp_path) as server:
        before = asyncio.all_tasks()
        files = _open_files()
        async with asyncio.timeout(20):
            async with attached(NatsConfig(servers=[server.url], window=100_000)) as here:
                server.freeze()
                for number in range(700):
                    await here.publisher.publish(envelope(number, size=10_000))
        await until(lambda: _open_files() <= files)  # what it has not read is not kept for it
        server.thaw()
        await until(lambda: asyncio.all_tasks() <= before)


async def test_a_frozen_server_is_given_up(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server:
        config = NatsConfig(servers=[server.url], ping_interval=0.1, connect_timeout=0.3)
        async with attached(config) as here:
            server.freeze()
            await here.until(lambda world: not world.publisher.is_attached)
            server.thaw()
            [result] = await here.publish(envelope(1))
            assert isinstance(result, Published)


async def _publish(here: World, first: int, count: int) -> None:
    for number in range(first + 1, first + count + 1):
        await here.publisher.publish(envelope(number, size=20_000))


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
