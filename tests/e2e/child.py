"""A child process whose output can be waited on, line by line, and whose end is always seen.

stdout and stderr are one stream here: what a program says is kept for the assertion that fails.
"""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Self, TypeVar

T = TypeVar("T")

_LINE_LIMIT = 1024 * 1024
_STOP_SECONDS = 20.0


class ChildEnded(AssertionError):
    """The process closed its output before it said what was waited for."""


class Child:
    def __init__(self, name: str, process: Process, output: asyncio.StreamReader) -> None:
        self.name = name
        self.lines: list[str] = []
        self._process = process
        self._said = asyncio.Condition()
        self._is_over = False
        self._reader = asyncio.create_task(self._read(output), name=f"{name} output")

    @classmethod
    async def start(
        cls, *command: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Self:
        # A pipe of our own: uvloop would give it a socket pair, and a program that opens
        # /dev/stdout, as Postfix does, cannot open a socket.
        read_end, write_end = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=DEVNULL,
                stdout=write_end,
                stderr=STDOUT,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                # A group of its own: Ctrl-C is for pytest, which stops its children in order.
                start_new_session=True,
            )
        except BaseException:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        output = asyncio.StreamReader(_LINE_LIMIT)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(output), os.fdopen(read_end, "rb")
        )
        child = cls(Path(command[0]).name, process, output)
        child._reader.add_done_callback(lambda _: transport.close())
        return child

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    async def until(self, read: Callable[[str], T | None]) -> T:
        """What `read` makes of the first line, old or new, of which it makes something."""
        seen = 0
        async with self._said:
            while True:
                for line in self.lines[seen:]:
                    found = read(line)
                    if found is not None:
                        return found
                seen = len(self.lines)
                if self._is_over:
                    raise ChildEnded(f"{self.name} ended; it said:\n{self.output}")
                await self._said.wait()

    async def follow(self) -> AsyncIterator[str]:
        """Every line from the first on, up to the end of the output."""
        seen = 0
        while True:
            async with self._said:
                while seen == len(self.lines) and not self._is_over:
                    await self._said.wait()
                news = self.lines[seen:]
            if not news:
                return
            for line in news:
                yield line
            seen += len(news)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end and wait; kill it, and fail, where it does not. Returns its status."""
        if self._process.returncode is None:
            self._process.send_signal(number)
        return await self.ended()

    async def ended(self) -> int:
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                status = await self._process.wait()
                await self._reader
        except TimeoutError:
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()
            self._reader.cancel()
            raise AssertionError(
                f"{self.name} did not end within {_STOP_SECONDS:g} s; it said:\n{self.output}"
            ) from None
        return status

    async def _read(self, output: asyncio.StreamReader) -> None:
        async for line in output:
            await self._heard(line.decode("utf-8", "replace").rstrip("\n"))
        await self._heard(None)

    async def _heard(self, line: str | None) -> None:
        async with self._said:
            if line is None:
                self._is_over = True
            else:
                self.lines.append(line)
            self._said.notify_all()
