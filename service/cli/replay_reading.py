"""Log files read ahead by a thread of its own, a bounded number of lines.

The event loop must go on while a pipe says nothing or a disk is slow: acknowledgements come in,
NATS asks whether we live, and Ctrl-C is to be obeyed at once.
"""

import asyncio
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, field

from service.cli.input_lines import OpenLog, open_log, read_lines
from service.cli.log_files import STANDARD_INPUT, LogFile
from service.core.framing.base import MAX_FRAME_BYTES, Frame

_LINES = 500
_BYTES = 1024 * 1024
_AHEAD = 4
"""Batches."""


@dataclass(slots=True)
class Batch:
    file: LogFile
    frames: list[Frame] = field(default_factory=list)
    position: int = 0
    """Bytes of all files, as stored, that have been read."""
    error: str | None = None
    """Why no more of this file comes."""


class ReadAhead:
    def __init__(self, files: Sequence[LogFile]) -> None:
        self._files = files
        self._loop = asyncio.get_running_loop()
        self._batches: asyncio.Queue[Batch | None] = asyncio.Queue(_AHEAD)
        # A daemon: a read from a pipe cannot be called off.
        threading.Thread(target=self._read, name="read-ahead", daemon=True).start()

    async def next(self) -> Batch | None:
        """None: there are no more."""
        return await self._batches.get()

    def _read(self) -> None:
        try:
            before = 0
            for file in self._files:
                for batch in _batches(file, before):
                    self._put(batch)
                before += file.size or 0
            self._put(None)
        except (RuntimeError, CancelledError):
            pass  # the loop is gone: nobody wants more

    def _put(self, batch: Batch | None) -> None:
        put = self._batches.put(batch)
        try:
            asyncio.run_coroutine_threadsafe(put, self._loop).result()
        finally:
            put.close()


def _batches(file: LogFile, before: int) -> Iterator[Batch]:
    batch = Batch(file)
    size = 0
    try:
        with _opened(file.path) as log:
            for frame in read_lines(log.text, MAX_FRAME_BYTES):
                batch.frames.append(frame)
                size += len(frame.data)
                if len(batch.frames) >= _LINES or size >= _BYTES:
                    batch.position = before + (log.stored.tell() if file.size else 0)
                    yield batch
                    batch, size = Batch(file), 0
    except OSError as error:
        batch.error = str(error)
    batch.position = before + (file.size or 0)
    yield batch


@contextmanager
def _opened(path: str) -> Iterator[OpenLog]:
    if path == STANDARD_INPUT:
        # Not the interpreter's own: at its end it wants to close that, which may be in use here.
        with open(os.dup(0), "rb") as own:
            yield OpenLog(own, own)
    else:
        with open_log(path) as log:
            yield log
