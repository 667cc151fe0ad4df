"""What a case plays in: a real nats-server or a cluster of them, real receivers, senders. All of
it ends with the case.

A process is killed with SIGKILL and comes back on the same ports with the same data.
"""

import asyncio
import os
import signal
import tempfile
import urllib.error
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import MappingProxyType

from benchmarks.relp import WINDOW, RelpSender
from benchmarks.stream import Stream
from tests.e2e.packages import require_program, require_rsyslog_module
from tests.e2e.receiver import Receiver
from tests.e2e.rsyslog import Form, Rsyslogd
from tests.faults import lines
from tests.nats_cluster import RealCluster, real_cluster
from tests.nats_server import RealNats, real_nats

HOST = "127.0.0.1"
_LOOK_SECONDS = 0.05
_IDLE_SECONDS = 3.0


class Feed:
    """A RELP sender at work."""

    def __init__(self, sender: RelpSender) -> None:
        self.sender = sender
        self._task = asyncio.create_task(sender.run())

    async def reached(self, count: int) -> None:
        """Wait until so many lines are acknowledged."""
        reached = asyncio.create_task(self.sender.reached(count))
        await asyncio.wait([reached, self._task], return_when=asyncio.FIRST_COMPLETED)
        if not reached.done():
            reached.cancel()
            await self._task  # it failed: say how
        await reached

    async def finished(self) -> None:
        await self._task

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


class Place:
    """A receiver that may be killed, and its ports, data and settings."""

    def __init__(self, data_dir: Path, nats_urls: Sequence[str], env: Mapping[str, str]) -> None:
        self._data_dir = data_dir
        self._nats_urls = nats_urls
        self._env = env
        self._receiver: Receiver | None = None
        self.ports: dict[str, int] = {}

    @property
    def receiver(self) -> Receiver:
        assert self._receiver is not None
        return self._receiver

    @property
    def relp(self) -> tuple[str, int]:
        return HOST, self.ports["relp"]

    @property
    def tcp(self) -> tuple[str, int]:
        return HOST, self.ports["tcp"]

    @property
    def udp(self) -> tuple[str, int]:
        return HOST, self.receiver.ports["udp"]

    async def start(self) -> None:
        self._receiver = await Receiver.start(
            self._data_dir, self._nats_urls, self.ports, self._env
        )
        self.ports = self._receiver.ports

    async def kill(self) -> None:
        if self._receiver is not None and self._receiver.child.returncode is None:
            await self._receiver.child.stop(signal.SIGKILL)

    async def terminate(self) -> int:
        """SIGTERM. Returns the exit status."""
        return await self.receiver.child.stop()

    async def is_ready(self) -> bool:
        try:
            await self.receiver.get("/readyz")
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
            return False
        return True


class Scene:
    def __init__(
        self, home: Path, server: RealNats, cluster: RealCluster | None, cleanup: AsyncExitStack
    ) -> None:
        self.home = home
        """Short enough for UNIX sockets."""
        self.server = server
        """Of a cluster: its first node."""
        self._cluster = cluster
        self.cleanup = cleanup
        self._places: list[Place] = []

    @property
    def cluster(self) -> RealCluster:
        assert self._cluster is not None
        return self._cluster

    async def receive(
        self, settings: Mapping[str, str] = MappingProxyType({}), data_dir: Path | None = None
    ) -> Place:
        """`settings`: as environment variables, without their prefix."""
        data = data_dir or self.home / f"data{len(self._places)}"
        env = {f"MAILFAULT_{name}": text for name, text in settings.items()}
        urls = [self.server.url] if self._cluster is None else self._cluster.urls
        place = Place(data, urls, env)
        self.cleanup.push_async_callback(place.kill)
        await place.start()
        self._places.append(place)
        return place

    def feed(
        self, *places: Place, count: int, rate: float | None = None, window: int = WINDOW
    ) -> Feed:
        sender = RelpSender([p.relp for p in places], lines.lines(0, count), window, rate)
        return self.feed_from(sender)

    def feed_from(self, sender: RelpSender) -> Feed:
        feed = Feed(sender)
        self.cleanup.push_async_callback(feed.stop)
        return feed

    async def rsyslogd(self, form: Form, port: int) -> Rsyslogd:
        program = require_program("rsyslogd", "rsyslog")
        if form.is_relp:
            require_rsyslog_module("omrelp", "rsyslog-relp")
        rsyslogd = await Rsyslogd.start(program, self.home, form, port)
        self.cleanup.push_async_callback(rsyslogd.child.stop, signal.SIGKILL)
        return rsyslogd

    async def restart_nats(self) -> None:
        await self.server.kill()
        await self.server.start()

    async def wait_for(self, messages: int) -> None:
        """Until the stream holds that many, or no more come for a while."""
        async with Stream(self.server.url) as stream:
            await stream.wait_for(messages, idle=_IDLE_SECONDS)

    async def stored(self, at_least: int) -> Counter[int]:
        """By number, once the stream holds that many, or no more come, and nothing is on its
        way."""
        async with Stream(self.server.url) as stream:
            await stream.wait_for(at_least)
            for place in self._places:
                if place.receiver.child.returncode is None:
                    await place.receiver.metrics()
            return await lines.stored(stream)


async def until(is_so: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    """Asked again and again, as probes do."""
    async with asyncio.timeout(seconds):
        while True:
            if await is_so():
                return
            await asyncio.sleep(_LOOK_SECONDS)


@asynccontextmanager
async def scene(nodes: int = 1) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as cleanup:
        made = tempfile.TemporaryDirectory(prefix="mf-", ignore_cleanup_errors=True)
        home = Path(cleanup.enter_context(made))
        os.chmod(home, 0o755)
        if nodes == 1:
            server = await cleanup.enter_async_context(real_nats(home))
            yield Scene(home, server, None, cleanup)
        else:
            cluster = await cleanup.enter_async_context(real_cluster(home, nodes))
            yield Scene(home, cluster.nodes[0], cluster, cleanup)
