"""The real `mailfault serve` in a process of its own, on free ports."""

import asyncio
import json
import sys
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from tests.e2e.child import Child
from tests.metric_values import value

_TRANSPORTS = ("udp", "tcp", "relp", "http")
_ON_THE_WAY = ("in_flight", "queue_events", "unsaved_events", "spool_events")
_PATIENCE_SECONDS = 30.0
_LOOK_SECONDS = 0.02


class Receiver:
    def __init__(self, child: Child, ports: dict[str, int]) -> None:
        self.child = child
        self.ports = ports
        """By transport: `udp`, `tcp`, `relp`, `http`."""

    @classmethod
    async def start(
        cls,
        data_dir: Path,
        nats_url: str | Sequence[str],
        ports: Mapping[str, int] = MappingProxyType({}),
        env: Mapping[str, str] | None = None,
    ) -> Self:
        """`nats_url`: one, or those of a cluster. `ports`: those that are to be the same as before;
        for the others, any."""
        tcp, relp = (f"127.0.0.1:{ports.get(name, 0)}" for name in ("tcp", "relp"))
        servers = [nats_url] if isinstance(nats_url, str) else nats_url
        child = await Child.start(
            sys.executable, "-m", "service", "serve",
            "--udp", "127.0.0.1:0", "--tcp", tcp, "--relp", relp, "--http", "127.0.0.1:0",
            *(word for url in servers for word in ("--nats", url)), "--data-dir", data_dir,
            # They come by the clock: who counts what is published, has to ask for them.
            env={"MAILFAULT_ROLLUP__ENABLED": "false", **(env or {})},
        )  # fmt: skip
        bound = {name: await child.until(partial(_port, name)) for name in _TRANSPORTS}
        return cls(child, bound)

    async def port(self, transport: str) -> int:
        """Of a listener that the environment asked for."""
        return await self.child.until(partial(_port, transport))

    async def get(self, path: str) -> str:
        return await asyncio.to_thread(self._get, path)

    def _get(self, path: str) -> str:
        url = f"http://127.0.0.1:{self.ports['http']}{path}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            body: bytes = answer.read()
        return body.decode()

    async def metrics(self) -> str:
        """Once nothing is on its way any more: NATS may have an event before the receiver has its
        acknowledgement."""
        return await self.until(lambda text: not any(value(text, name) for name in _ON_THE_WAY))

    async def until(self, is_so: Callable[[str], bool]) -> str:
        """The metrics, once they are as wanted; asked again and again, as scrapers do."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                text = await self.get("/metrics")
                if is_so(text):
                    return text
                await asyncio.sleep(_LOOK_SECONDS)

    async def stop(self) -> None:
        """SIGTERM: it delivers what it has and ends well, with nothing to complain of."""
        assert await self.child.stop() == 0, self.child.output
        complaints = [line for line in self.child.lines if _level(line) not in ("info", "debug")]
        assert not complaints, complaints


def _record(line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def _port(transport: str, line: str) -> int | None:
    record = _record(line)
    if record.get("event") == "listening" and record.get("transport") == transport:
        return int(record["port"])
    return None


def _level(line: str) -> str:
    """What is not a log record (a traceback, a Python warning) is a complaint too."""
    return str(_record(line).get("level", "not a log record"))
