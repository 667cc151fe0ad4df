"""Real nats-servers as one JetStream cluster on the loopback, any of them killed and restarted."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import nats
import nats.errors
from nats.aio.client import Client

from tests.nats_server import RealNats
from tests.ports import free_ports

_LOOK_SECONDS = 0.05
_PATIENCE_SECONDS = 40.0
_QUIET_SECONDS = 0.3


class RealCluster:
    """Its nodes know each other's ports from the start: JetStream takes the number of routes for
    the size of the cluster (`server/jetstream_cluster.go`, meta group)."""

    def __init__(self, home: Path, size: int) -> None:
        routes = free_ports(size)
        self.nodes = [
            RealNats(
                home / f"node{number}",
                server_name=f"node{number}",
                cluster={
                    "name": "mailfault-test",
                    "listen": f"127.0.0.1:{route}",
                    "routes": [f"nats://127.0.0.1:{other}" for other in routes if other != route],
                },
            )
            for number, route in enumerate(routes)
        ]

    @property
    def urls(self) -> list[str]:
        return [node.url for node in self.nodes]

    async def start(self) -> None:
        """Returns when JetStream has its leader."""
        await asyncio.gather(*(node.start() for node in self.nodes))
        async with self.client() as client:
            await _until(client, "$JS.API.INFO", lambda answer: "error" not in answer)

    async def kill(self) -> None:
        for node in self.nodes:
            await node.kill()

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        client = await nats.connect(self.urls, max_reconnect_attempts=-1, error_cb=_ignore)
        try:
            yield client
        finally:
            await client.close()

    async def leader(self, stream: str) -> RealNats:
        """Of the stream: it answers for all that is published."""
        async with self.client() as client:
            answer = await _until(client, _info(stream), lambda found: bool(_leader(found)))
        return next(node for number, node in enumerate(self.nodes) if _is(number, _leader(answer)))

    async def whole(self, *streams: str) -> None:
        """Wait until every node has all of these streams, as an operator does before the next one
        is stopped."""
        async with self.client() as client:
            for stream in streams:
                await _until(client, _info(stream), self._is_whole)

    async def quiet(self, stream: str) -> None:
        """Wait until nothing more is written to the stream."""
        async with self.client() as client:
            last, since = -1, time.monotonic()
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while time.monotonic() - since < _QUIET_SECONDS:
                    answer = await _until(client, _info(stream), lambda found: "state" in found)
                    if answer["state"]["last_seq"] != last:
                        last, since = answer["state"]["last_seq"], time.monotonic()
                    await asyncio.sleep(_LOOK_SECONDS)

    def _is_whole(self, answer: dict[str, Any]) -> bool:
        replicas = answer.get("cluster", {}).get("replicas") or []
        is_current = all(one["current"] and not one.get("offline") for one in replicas)
        return bool(_leader(answer)) and is_current and len(replicas) == len(self.nodes) - 1


@asynccontextmanager
async def real_cluster(home: Path, size: int = 3) -> AsyncIterator[RealCluster]:
    cluster = RealCluster(home, size)
    try:
        await cluster.start()
        yield cluster
    finally:
        await cluster.kill()


def _info(stream: str) -> str:
    return f"$JS.API.STREAM.INFO.{stream}"


def _leader(answer: dict[str, Any]) -> str:
    name: str = answer.get("cluster", {}).get("leader") or ""
    return name


def _is(number: int, name: str) -> bool:
    return name == f"node{number}"


async def _until(client: Client, subject: str, is_so: Any) -> dict[str, Any]:
    """Asked again and again: a cluster that elects answers nobody, or that it cannot."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            with suppress(nats.errors.Error):
                answer: dict[str, Any] = json.loads((await client.request(subject)).data)
                if is_so(answer):
                    return answer
            await asyncio.sleep(_LOOK_SECONDS)


async def _ignore(_: Exception) -> None:
    """Kills are part of the play."""
