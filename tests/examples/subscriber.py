"""An example as a process of its own, started as its readers start it, from the checkout."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
_SECONDS = 30.0
_WITHOUT_CTRL_C = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")
"""A shell that starts a job in the background has it ignore SIGINT."""


class Subscriber:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.log = ""
        self._changed = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            async with self._changed:
                self.log += line.decode()
                self._changed.notify_all()
        async with self._changed:
            self._changed.notify_all()

    async def said(self, text: str) -> None:
        async with asyncio.timeout(_SECONDS), self._changed:
            while text not in self.log:
                assert not self._reader.done(), f"it ended without {text!r}:\n{self.log}"
                await self._changed.wait()

    async def kill(self) -> None:
        """SIGKILL: it has no say in what happens next."""
        self.process.kill()
        await self._ended()

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return await self._ended()

    async def _ended(self) -> int:
        async with asyncio.timeout(_SECONDS):
            await self._reader
            return await self.process.wait()


@asynccontextmanager
async def running(
    example: str, *arguments: str | Path, home: Path, **variables: str
) -> AsyncIterator[Subscriber]:
    """`home`: where it keeps its state."""
    process = await asyncio.create_subprocess_exec(
        *_WITHOUT_CTRL_C,
        *(sys.executable, str(ROOT / "examples" / example), *map(str, arguments)),
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        stderr=asyncio.subprocess.PIPE,
    )
    made = Subscriber(process)
    try:
        yield made
    finally:
        if process.returncode is None:
            await made.kill()
        await made._reader
