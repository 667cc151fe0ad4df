"""The one thread that writes: group commits.

In: requests. Out: their answers, once the commit that holds them is on disk. All requests that
wait when a commit begins share it: under load the disk sets the pace, and nobody waits for more
than two commits.
"""

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from service.spool import operations
from service.spool.config import SpoolConfig
from service.spool.database import Totals
from service.spool.errors import SpoolError, SpoolRefused, SpoolUnavailable
from service.spool.holder import Holder
from service.spool.requests import Remove, Request

log = structlog.get_logger(__name__)

_BATCH_ROWS = 2000
"""Rows after which a transaction takes no further request."""
_LOOK_SECONDS = 1.0
"""How often the thread looks, unasked: is the disk back, did an operator change something?"""


class Writer:
    """`start` once, then `submit` from the event loop, then `stop` once."""

    def __init__(self, path: Path, config: SpoolConfig, on_change: Callable[[], None]) -> None:
        self._config = config
        self._loop: asyncio.AbstractEventLoop | None = None
        self._requests: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="spool-writer", daemon=True)
        self._ended = asyncio.Event()
        self._batch: list[Request] = []
        self._unremoved: set[int] = set()
        """Events that are done, which the disk did not let us remove."""
        self._next_look = 0.0
        self._next_commit = 0.0
        self.commits = 0
        self.holder = Holder(path, lambda: self._tell(on_change))

    async def start(self) -> None:
        """Raises `SpoolRefused`."""
        self._loop = asyncio.get_running_loop()
        self._started: asyncio.Future[None] = self._loop.create_future()
        self._thread.start()
        await self._started

    async def stop(self) -> None:
        """After what was asked before. The thread is gone then."""
        if self._loop is not None:
            self._requests.put(None)
            await self._ended.wait()
            self._thread.join()  # at once: to say so was the last it did

    def submit(self, request: Request) -> None:
        """Raises `SpoolUnavailable` after the end."""
        if self._ended.is_set():
            raise SpoolUnavailable("the spool is closed")
        self._requests.put(request)

    def look_now(self) -> None:
        """Do not wait for the time to look."""
        self._next_look = 0.0
        self._requests.put(Remove((), None))

    def _run(self) -> None:
        try:
            try:
                self.holder.open_first()
            except SpoolRefused as error:
                self._tell(_resolve, [(self._started, error)])
                return
            self._tell(_resolve, [(self._started, None)])
            while self._turn():
                pass
        except BaseException as error:
            # A defect. Who has handed something over must not wait for ever.
            self.holder.last_error = repr(error)
            log.critical("spool_writer_failed", exc_info=error)
            raise
        finally:
            self.holder.close()
            if self._unremoved:
                log.warning("spool_events_not_removed", events=len(self._unremoved))
            self._tell(self._end)

    def _end(self) -> None:
        self._ended.set()
        batch = self._batch
        while not self._requests.empty():  # after `stop`, or after a defect has ended the thread
            request = self._requests.get()
            if request is not None:
                batch.append(request)
        self._answer((request, SpoolUnavailable("the spool is closed")) for request in batch)

    def _turn(self) -> bool:
        """False: that was the last one."""
        self._batch = []
        goes_on = self._collect(self._batch)
        if self._batch:
            self._commit(self._batch)
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + _LOOK_SECONDS
            if self._unremoved:
                self._commit(())  # before the look: it makes room
            self.holder.look()
        return goes_on

    def _collect(self, batch: list[Request]) -> bool:
        """One request, or none until it is time to look, and with it all that wait."""
        try:
            request = self._requests.get(timeout=max(0.0, self._next_look - time.monotonic()))
            if self._config.commit_interval:
                time.sleep(max(0.0, self._next_commit - time.monotonic()))
                self._next_commit = time.monotonic() + self._config.commit_interval
            weight = 0
            while request is not None:
                batch.append(request)
                weight += request.weight
                if weight >= _BATCH_ROWS:
                    return True
                request = self._requests.get_nowait()
        except queue.Empty:
            return True
        return False

    def _commit(self, batch: Sequence[Request]) -> None:
        if (why := self.holder.last_error) is not None:
            self._answer(
                (request, SpoolUnavailable(why)) for request in batch if request.needs_room
            )
            batch = [request for request in batch if not request.needs_room]
            if not batch and not self._unremoved:
                return
        try:
            answers = self.holder.transact(partial(self._work, batch))
        except SpoolUnavailable as error:
            for request in batch:
                if isinstance(request, Remove):
                    self._unremoved.update(request.ids)
            self._answer((request, error if request.needs_room else None) for request in batch)
        else:
            self.commits += 1
            self._unremoved.clear()
            self._answer(zip(batch, answers, strict=True))

    def _work(self, batch: Sequence[Request], db: sqlite3.Connection, totals: Totals) -> list[Any]:
        if self._unremoved:
            operations.remove(db, totals, self._unremoved)
        return [request.apply(db, totals, self._config) for request in batch]

    def _answer(self, answers: Iterable[tuple[Request, Any]]) -> None:
        waited_for = [
            (request.answer, answer) for request, answer in answers if request.answer is not None
        ]
        if waited_for:
            self._tell(_resolve, waited_for)

    def _tell(self, function: Callable[..., None], *arguments: Any) -> None:
        if self._loop is None:  # nobody has opened us
            return
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # the loop is closed: nobody is there to be told
            pass


def _resolve(answers: Sequence[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, answer in answers:
        if future.done():  # its waiter was cancelled
            continue
        if isinstance(answer, SpoolError):
            # A copy for each: an exception that is raised twice collects both tracebacks.
            future.set_exception(type(answer)(*answer.args))
        else:
            future.set_result(answer)
