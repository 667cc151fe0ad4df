"""One worker as its parent sees it, with processes that end at once."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from service.workers.assignment import Assignment
from service.workers.worker import Worker, WorkerFailed
from tests.nats.waiting import until


@asynccontextmanager
async def one_that_dies(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Worker]:
    """Its options are no options: each of its processes ends with 2."""
    monkeypatch.setattr("sys.argv", ["mailfault", "serve", "--no-such-option"])
    with socket.socket() as http:
        http.bind(("127.0.0.1", 0))  # and nobody listens
        worker = Worker(Assignment(0, {}, [], http.fileno()), http.getsockname(), 1.0)
        with pytest.raises(WorkerFailed, match="status 2"):
            await worker.start()
        yield worker


async def test_one_that_died_just_before_the_stop_is_not_started_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A receiver with nobody to stop it was left, until its parent had ended."""
    async with one_that_dies(monkeypatch) as worker:
        with capture_logs() as logs:
            watching = asyncio.create_task(worker.watch())
            await until(lambda: "worker_died" in [entry["event"] for entry in logs])
            assert await worker.stop() == 2
            await asyncio.wait_for(watching, 20)
        assert (worker.restarts, worker.is_running) == (0, False)
        assert "worker_started" not in [entry["event"] for entry in logs]


async def test_one_that_is_just_started_anew_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    async with one_that_dies(monkeypatch) as worker:
        watching = asyncio.create_task(worker.watch())
        await until(lambda: worker.restarts == 1)
        await worker.stop()
        assert not worker.is_running
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
