"""The receiver, the only file that knows all its parts: builds them, starts them, and stops them in
flow order."""

import asyncio
import gc
from collections.abc import Coroutine
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from nats.aio.client import Client

from service import __version__, supervision
from service.core.envelope import SubjectTemplate
from service.correlation import Correlation
from service.gauges import (
    export_correlation,
    export_flow,
    export_listeners,
    export_relp,
    export_rollups,
    export_sharing,
    export_sources,
)
from service.intake import PipelineIntake
from service.listeners.base import Listener
from service.listeners.inherited import InheritedSockets
from service.listening import Listeners, bind
from service.metrics import Metrics
from service.nats.connection import Connection
from service.nats.embedded import EmbeddedServer
from service.nats.publisher import Publisher
from service.nats.sharing import BucketSharing
from service.nats.stream import StreamKeeper, StreamState
from service.outlet import Outlet
from service.pipeline import Pipeline
from service.prepared import prepare, prepare_privacy, prepare_rules
from service.rollup import RollupKeeper
from service.settings import Settings
from service.snapshot import SnapshotKeeper
from service.sources import Sources
from service.spool.store import SpoolStore
from service.web import Health, WebServer

log = structlog.get_logger(__name__)

_GARBAGE_THRESHOLD = 50_000
"""New objects until the collector looks for cycles. The hot path makes none; at the default of 700
each batch of lines is looked through several times for nothing, a twentieth of all work."""
_LISTENERS_STOP_SECONDS = 5.0
_RELP_CLOSE_SECONDS = 2.0
_TASKS_STOP_SECONDS = 5.0
_STREAM_CHECK_SECONDS = 0.5


class Receiver:
    """A whole receiver in the running event loop. `start` once, then `stop` once."""

    def __init__(
        self,
        settings: Settings,
        inherited: InheritedSockets | None = None,
        *,
        is_worker: bool = False,
    ) -> None:
        self._settings = settings
        self._say = log.debug if is_worker else log.info
        inherited = inherited or InheritedSockets()
        self._http = inherited.http
        nats = settings.nats
        self.metrics = Metrics()
        template = SubjectTemplate(nats.subject_template, nats.subject_prefix)
        self._store = SpoolStore(
            settings.data_dir, settings.spool, on_change=lambda: self._outlet.spooler.changed()
        )
        self._outlet = Outlet(settings.queue, settings.spool, self._store, template, self.metrics)
        self._stream = StreamKeeper(nats)
        self._publisher = Publisher(
            nats.window,
            nats.window_bytes,
            nats.ack_timeout,
            nats.stream.name,
            on_results=self._outlet.done,
            on_resend=self.metrics.resent,
            on_no_stream=self._stream.look_again,
            on_trouble=self._stream.refuses,
        )
        self._connection = Connection(nats, self._servers, self._connected, self._disconnected)
        self._embedded = (
            None
            if nats.servers
            else EmbeddedServer(settings.data_dir, nats.embedded_port, nats.embedded_binary)
        )
        self.sharing = (
            BucketSharing(settings.sharing, nats.connect_timeout)
            if settings.sharing.is_on(bool(nats.servers))
            else None
        )
        correlation = Correlation(
            settings.correlation, ZoneInfo(settings.pipeline.default_timezone), self.sharing
        )
        self._pipeline = pipeline = Pipeline(
            settings.pipeline,
            template,
            self.metrics,
            prepare_rules(settings),
            correlation,
            prepare_privacy(settings),
        )
        self._rollup = (
            RollupKeeper(
                settings.rollup,
                template,
                self._outlet.put,
                lambda: self._stream.report is None or self._stream.report.takes_rollups,
                self.metrics,
            )
            if settings.rollup.enabled
            else None
        )
        if self._rollup is not None:
            pipeline.on_event = self._rollup.rollups.count
            export_rollups(self.metrics, self._rollup)
        sources = Sources(settings.metrics.max_sources)
        export_sources(self.metrics, settings.metrics, sources)
        self._intake = intake = PipelineIntake(pipeline, self._outlet, sources)
        self._snapshots = SnapshotKeeper(
            settings.data_dir,
            correlation.correlator,
            settings.correlation.snapshot_interval,
            intake.durable,
        )
        if self.sharing is not None:
            self.sharing.bind(correlation.correlator, intake.learned)
            export_sharing(self.metrics, settings.sharing, self.sharing)
        self._listeners = listeners = Listeners(settings, intake, self.metrics, inherited)
        self.web = WebServer(settings.http, self._render, self._tell_health)
        self._is_listening = False
        self._tasks: list[asyncio.Task[None]] = []
        self._stream_check: asyncio.Task[None] | None = None
        export_flow(self.metrics, settings, pipeline, self._outlet, self._store, self._publisher)
        export_correlation(self.metrics, settings.correlation, correlation)
        export_listeners(self.metrics, listeners.udp, listeners.streams, listeners.server_tls)
        export_relp(self.metrics, listeners.relp)

    async def start(self) -> None:
        """Raises `OSError`, `EmbeddedServerError` or `SpoolRefused` where it cannot run."""
        self.web.start(self._http)
        self._say_listening("http", self.web.address)
        await self._store.open()
        await self._snapshots.load()
        if self._embedded is not None:
            await self._embedded.start()
        self._run(self._connection.run(), "nats-connection")
        self._run(self._stream.run(), "stream-keeper")
        self._run(self._publisher.run(), "publish-sweep")
        self._run(self._outlet.run(self._publisher), "outlet")
        if self.sharing is not None:
            self._run(self.sharing.run(), "sharing")
        self._run(self._snapshots.run(), "snapshots")
        if self._rollup is not None:
            self._run(self._rollup.run(), "rollups")
        for listener in self.listeners:
            await bind(listener)
            self._say_listening(listener.transport, listener.address)
        self._is_listening = True
        self._say("started", version=__version__)
        # What lives now lives for ever; the garbage collector need not look at it again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GARBAGE_THRESHOLD, *gc.get_threshold()[1:])

    async def stop(self) -> int:
        """In flow order. Returns the number of events that could not be delivered in time."""
        self._is_listening = False
        log.info("stopping")
        if self.sharing is not None:
            self.sharing.stop_looking()
        deadline = asyncio.get_running_loop().time() + self._settings.shutdown_timeout
        for listener in self.listeners:
            await listener.stop(_LISTENERS_STOP_SECONDS)
        self._intake.release_all()
        if self._rollup is not None:
            self._rollup.end()
        left = await self._outlet.drain(self._publisher, deadline)
        if self.sharing is not None:
            await self.sharing.tell_the_rest()
        for relp in self._listeners.relp:
            await relp.close(_RELP_CLOSE_SECONDS)
        if left:
            log.error("events_lost", events=left, reason="neither NATS nor the disk took them")
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_TASKS_STOP_SECONDS)
        if not left:
            await self._snapshots.save()
        await self._store.close()
        if self._embedded is not None:
            await self._embedded.stop()
        await self.web.stop()
        log.info("stopped")
        return left

    def reload(self, wanted: Settings) -> None:
        """New connections get the certificates of `wanted`, and its terms for clients; those that
        are open keep theirs. Lines from now on get its rules. Raises `ConfigError`, and then
        nothing has changed."""
        prepared = prepare(wanted)
        self._pipeline.use(prepared.classifier)
        self._settings.classify = wanted.classify
        self._listeners.take_certificates(wanted, prepared.tls)

    @property
    def listeners(self) -> list[Listener]:
        return self._listeners.all

    @property
    def nats_url(self) -> str:
        return self._servers()[0]

    async def settled(self) -> None:
        """Wait until every event made so far is acknowledged."""
        await self._outlet.settled(self._publisher)

    def health(self) -> Health:
        report = self._stream.report
        store, outlet = self._store, self._outlet
        # What is published then ends as dead letters, of which only so many are kept.
        is_foreign = report is not None and report.state is StreamState.FOREIGN
        return Health(
            ready=self._is_listening and outlet.is_safe and not is_foreign,
            detail={
                "listening": self._is_listening,
                "nats": {
                    "connected": self._connection.is_connected,
                    "last_error": self._connection.last_error,
                    "stream": report.state.value if report else None,
                    "findings": list(report.findings) if report else [],
                    "refusal": self._stream.refusal,
                    "in_flight": self._publisher.in_flight,
                    "oldest_unacknowledged_seconds": round(self._publisher.oldest_seconds, 3),
                },
                "sharing": self.sharing.state if self.sharing is not None else None,
                "waiting": {"events": outlet.waiting, "has_room": outlet.has_room},
                "spool": {
                    "events": store.events,
                    "bytes": store.bytes,
                    "dead_letters": store.dead_letters,
                    "has_room": store.has_room,
                    "last_error": store.last_error,
                },
            },
        )

    def _run(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        self._tasks.append(supervision.start(coroutine, name))

    def _servers(self) -> list[str]:
        return [self._embedded.url] if self._embedded is not None else self._settings.nats.servers

    async def _connected(self, client: Client) -> None:
        # The check may be slow where we have no right to ask: publishing does not wait for it.
        self._stream_check = asyncio.create_task(self._stream.check(client), name="stream-check")
        await asyncio.wait([self._stream_check], timeout=_STREAM_CHECK_SECONDS)
        await self._publisher.attach(client)
        self._outlet.flow_started()
        self.metrics.nats_connected()
        if self.sharing is not None:
            await self.sharing.attach(client)

    def _disconnected(self) -> None:
        self._publisher.detach()
        self._outlet.flow_stopped()
        if self.sharing is not None:
            self.sharing.detach()
        self.metrics.nats_disconnected()

    async def _render(self) -> bytes:
        for listener in self._listeners.udp:
            listener.count_kernel_drops()
        return self.metrics.render()

    async def _tell_health(self) -> Health:
        return self.health()

    def _say_listening(self, transport: str, address: tuple[str, int]) -> None:
        self._say("listening", transport=transport, host=address[0], port=address[1])
