"""One worker, as its parent sees it: a process that is started, asked, started anew and stopped."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from functools import partial
from typing import Any

import structlog

from service import lifeline
from service.workers.assignment import Assignment

log = structlog.get_logger(__name__)

_RESTART_WAITS = (0.1, 0.5, 1.0, 2.0, 5.0)
_STEADY_SECONDS = 10.0
"""One that ran so long was a good one: its successor comes after the first wait."""
_ANSWER_SECONDS = 5.0
_LOOK_SECONDS = 2.0
_POLL_SECONDS = 0.05
_GRACE_SECONDS = 15.0
"""Beyond `shutdown_timeout`: listeners, last acknowledgements and the snapshot take theirs."""


class WorkerFailed(Exception):
    """It ended before it listened: say so, and stop."""

    def __init__(self, number: int, status: int) -> None:
        super().__init__(f"worker {number} ended with status {status}")
        self.status = status


class Worker:
    """`start` once, `watch` until cancelled, `stop` once."""

    def __init__(self, assignment: Assignment, http: tuple[str, int], stop_seconds: float) -> None:
        self.number = assignment.number
        self.restarts = 0
        self.metrics = ""
        """As last told."""
        self.lost: list[str] = []
        """What those told last that are no more; whoever takes it empties it."""
        self._assignment = assignment
        self._http = http
        self._stop_seconds = stop_seconds
        self._process: asyncio.subprocess.Process | None = None
        self._is_stopping = False
        self._hears = False
        """Whether it has answered: until then a reload would kill it."""
        self._owes_reload = False
        self._launching = asyncio.Lock()

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self.is_running else None

    async def start(self) -> None:
        """Returns when it listens. Raises `WorkerFailed`."""
        await self._launch()
        assert self._process is not None  # noqa: S101
        while not (await self.health()).get("listening"):
            if self._process.returncode is not None:
                raise WorkerFailed(self.number, self._process.returncode)
            await asyncio.sleep(_POLL_SECONDS)
        self._has_answered()

    async def watch(self) -> None:
        clock = asyncio.get_running_loop().time
        began, in_a_row = clock(), 0
        while True:
            assert self._process is not None  # noqa: S101
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    status = await self._process.wait()
            except TimeoutError:
                await self.ask_metrics()
                continue
            if self._is_stopping:
                return
            log.error("worker_died", worker=self.number, status=status)
            if self.metrics:
                self.lost.append(self.metrics)
                self.metrics = ""
            in_a_row = 0 if clock() - began > _STEADY_SECONDS else in_a_row
            await asyncio.sleep(_RESTART_WAITS[min(in_a_row, len(_RESTART_WAITS) - 1)])
            in_a_row += 1
            async with self._launching:
                if self._is_stopping:
                    return
                self.restarts += 1
                began = clock()
                await self._launch()

    async def ask_metrics(self) -> None:
        """Renews `metrics` if it answers."""
        with contextlib.suppress(OSError, ValueError, TimeoutError, EOFError):
            self.metrics = (await self._get("/metrics")).decode()
            self._has_answered()

    async def health(self) -> dict[str, Any]:
        """What it says of itself; of one that does not answer, that."""
        try:
            answer = json.loads(await self._get("/readyz"))
        except (OSError, ValueError, TimeoutError, EOFError) as error:
            return {"status": "not ready", "error": type(error).__name__}
        return answer if isinstance(answer, dict) else {"status": "not ready"}

    def tell(self, number: signal.Signals) -> None:
        if self._process is not None and self.is_running:
            self._process.send_signal(number)

    def reload(self) -> None:
        """One that is being started does it once it answers: it may have read its configuration."""
        if self._hears:
            self.tell(signal.SIGHUP)
        else:
            self._owes_reload = True

    def _has_answered(self) -> None:
        self._hears = True
        if self._owes_reload:
            self._owes_reload = False
            self.reload()

    async def stop(self) -> int:
        """Its exit status; 0 where it was never started."""
        self._is_stopping = True
        async with self._launching:
            pass  # one that is just being started is stopped, too
        if self._process is None:
            return 0
        self.tell(signal.SIGTERM)
        try:
            async with asyncio.timeout(self._stop_seconds + _GRACE_SECONDS):
                return await self._process.wait()
        except TimeoutError:
            log.error("worker_killed", worker=self.number)
            self._process.kill()
            return await self._process.wait()

    async def _launch(self) -> None:
        self._hears = False
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "service", *sys.argv[1:]),
            env={**os.environ, **self._assignment.variables()},
            pass_fds=tuple(set(self._assignment.descriptors)),
            start_new_session=True,  # a terminal's Ctrl-C is for us, we stop it in order
            preexec_fn=partial(lifeline.bind_to, os.getpid(), signal.SIGTERM),
        )
        log.info("worker_started", worker=self.number, pid=self._process.pid)

    async def _get(self, path: str) -> bytes:
        async with asyncio.timeout(_ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection(*self._http)
            try:
                writer.write(f"GET {path} HTTP/1.0\r\nHost: worker\r\n\r\n".encode())
                head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            finally:
                writer.close()
        if not head:
            raise EOFError("no answer")
        return body
