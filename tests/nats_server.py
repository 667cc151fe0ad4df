"""A real nats-server for tests: on a free port, with its own store, killed and restarted."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nats
from nats.aio.client import Client

import schemas
from service.nats.embedded import find_binary
from tests.ports import free_port

_START_SECONDS = 20


class RealNats:
    """`start`, then `kill`, `stop` and `start` again on the same port and store."""

    def __init__(self, home: Path, **config: Any) -> None:
        """`config`: further top-level settings of nats-server's configuration."""
        self._home = home
        self._extra = config
        self._process: asyncio.subprocess.Process | None = None
        self.port = free_port()  # which nobody else gets while the server is away

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def url_of(self, service: str) -> str:
        """Where it listens for `cluster` or `monitoring`, where it was told to."""
        [file] = (self._home / "ports").glob("*.ports")
        return str(json.loads(file.read_text())[service][0])

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self, **config: Any) -> None:
        self._extra.update(config)
        ports_dir = self._home / "ports"
        ports_dir.mkdir(parents=True, exist_ok=True)
        for stale in ports_dir.iterdir():
            stale.unlink()
        path = self._home / "nats.conf"
        settings = {
            "listen": f"127.0.0.1:{self.port}",
            "ports_file_dir": str(ports_dir),
            "jetstream": {"store_dir": str(self._home / "js")},
            "log_file": str(self._home / "nats.log"),
            **self._extra,
        }
        path.write_text(json.dumps({k: v for k, v in settings.items() if v is not None}))
        self._process = await asyncio.create_subprocess_exec(str(find_binary()), "-c", str(path))
        async with asyncio.timeout(_START_SECONDS):
            self.port = await self._bound_port(ports_dir)
            await self._until_greeting()

    def freeze(self) -> None:
        """SIGSTOP; returns once it has stopped."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    async def kill(self) -> None:
        """SIGKILL: what was not written is gone."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        await self._end(signal.SIGTERM)

    async def _end(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)
            await self._process.wait()

    async def _bound_port(self, ports_dir: Path) -> int:
        while True:
            for file in ports_dir.glob("*.ports"):  # noqa: ASYNC240  # a local directory
                with contextlib.suppress(ValueError):
                    url: str = json.loads(file.read_text())["nats"][0]
                    return int(url.rpartition(":")[2])
            assert self._process is not None
            if self._process.returncode is not None:
                raise RuntimeError((self._home / "nats.log").read_text())
            await asyncio.sleep(0.01)

    async def _until_greeting(self) -> None:
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                greeting = await reader.readline()
                writer.close()
                if greeting.startswith(b"INFO "):
                    return
            await asyncio.sleep(0.01)


@asynccontextmanager
async def real_nats(home: Path, **config: Any) -> AsyncIterator[RealNats]:
    server = RealNats(home, **config)
    await server.start()
    try:
        yield server
    finally:
        await server.kill()


@asynccontextmanager
async def client_of(server: RealNats, **options: Any) -> AsyncIterator[Client]:
    client = await nats.connect(server.url, **options)
    try:
        yield client
    finally:
        await client.close()


async def all_heard(client: Client) -> None:
    """Until the server has heard everything said before. nats-py's `flush` does not tell: its PING
    overtakes what waits for the flusher, a subscription for instance."""
    echo = await client.subscribe(client.new_inbox())
    await client.publish(echo.subject)
    await echo.next_msg(timeout=20)
    await echo.unsubscribe()


async def stream_messages(client: Client, stream: str = "POSTFIX") -> int:
    info = await client.jetstream().stream_info(stream)
    return info.state.messages


async def recipients(client: Client, number: int) -> list[str | None]:
    """Of the first so many events of the stream."""
    subscription = await client.jetstream().pull_subscribe("postfix.>", stream="POSTFIX")
    found: list[str | None] = []
    while len(found) < number:
        for message in await subscription.fetch(min(500, number - len(found)), timeout=10):
            found.append(schemas.decode(message.data).recipient)
            await message.ack()  # no more than 1,000 are given out unacknowledged
    return found
