"""`mailfault serve` as a process: its log, its ports, its metrics."""

import asyncio
import json
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.cli.run import MAILFAULT, environment
from tests.metric_values import value

Event = dict[str, Any]

NOWHERE = "nats://127.0.0.1:1"
"""Where no NATS is."""


class Serve:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.log: list[Event] = []
        self._changed = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            async with self._changed:
                self.log.append(json.loads(line))
                self._changed.notify_all()
        async with self._changed:
            self._changed.notify_all()

    def events(self, name: str) -> list[Event]:
        return [event for event in self.log if event["event"] == name]

    async def said(self, name: str, number: int = 1, seconds: float = 40) -> Event:
        """The nth log line with that event, as soon as there is one."""
        async with asyncio.timeout(seconds), self._changed:
            while len(self.events(name)) < number:
                assert not self._reader.done(), f"it ended without {name}: {self.log}"
                await self._changed.wait()
        return self.events(name)[number - 1]

    def address(self, transport: str) -> tuple[str, int]:
        for event in self.events("listening"):
            if event["transport"] == transport:
                return event["host"], event["port"]
        raise AssertionError(self.log)

    async def get(self, path: str) -> tuple[int, str]:
        reader, writer = await asyncio.open_connection(*self.address("http"))
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        async with asyncio.timeout(20):
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        return int(head.split()[1]), body.decode()

    async def metrics(self) -> str:
        return (await self.get("/metrics"))[1]

    async def until(self, name: str, wanted: float, seconds: float = 40, **labels: str) -> str:
        """The metrics once one of them has got that far; asked again and again, as scrapers do."""
        async with asyncio.timeout(seconds):
            while True:
                text = await self.metrics()
                if value(text, name, **labels) >= wanted:
                    return text
                await asyncio.sleep(0.02)

    async def until_all(self, seconds: float = 40, **wanted: float) -> str:
        """The metrics once all of them have got that far, in one answer."""
        async with asyncio.timeout(seconds):
            while True:
                text = await self.metrics()
                if all(value(text, name) >= number for name, number in wanted.items()):
                    return text
                await asyncio.sleep(0.02)

    async def until_at_most(self, name: str, wanted: float, seconds: float = 40) -> None:
        async with asyncio.timeout(seconds):
            while True:
                if value(await self.metrics(), name) <= wanted:
                    return
                await asyncio.sleep(0.02)

    async def send_tcp(self, data: bytes) -> None:
        _, writer = await asyncio.open_connection(*self.address("tcp"))
        writer.write(data)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    def send_udp(self, *datagrams: bytes) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for datagram in datagrams:
                sock.sendto(datagram, self.address("udp"))

    async def ended(self, seconds: float = 40) -> int:
        async with asyncio.timeout(seconds):
            status = await self.process.wait()
            await self._reader
        return status

    async def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return await self.ended()


@asynccontextmanager
async def serve(
    home: Path, *arguments: str, started: bool = True, **variables: str
) -> AsyncIterator[Serve]:
    """On free ports, with its data under `home`."""
    process = await asyncio.create_subprocess_exec(
        *MAILFAULT,
        "serve",
        *("--udp", "127.0.0.1:0", "--tcp", "127.0.0.1:0", "--http", "127.0.0.1:0"),
        *arguments,
        stderr=asyncio.subprocess.PIPE,
        cwd=home,
        # They come by the clock: who counts what is published, has to ask for them.
        env=environment(**{"MAILFAULT_ROLLUP__ENABLED": "false", **variables}),
    )
    made = Serve(process)
    try:
        if started:
            await made.said("started")
        yield made
    finally:
        if process.returncode is None:
            process.kill()
        await made.ended()
