"""The parent of the workers: builds what they share, starts them, and answers for all of them.

In: settings, signals, requests for metrics and health. Out: one exit status of all, and their
answers as one.
"""

import asyncio
import signal
import socket
from collections.abc import Callable
from typing import Any

import structlog
import uvloop
from prometheus_client import CollectorRegistry, Counter, Gauge

from service import __version__, hangup, logs, supervision
from service.config_problems import ConfigError
from service.listeners.inherited import InheritedSockets
from service.nats.embedded import EmbeddedServer, EmbeddedServerError
from service.prepared import prepare
from service.settings import Settings
from service.signals import stop_signal
from service.systemd.manager import ServiceManager
from service.web import Health, WebServer
from service.workers import merging, sockets
from service.workers.assignment import Assignment, left_behind
from service.workers.sockets import Place
from service.workers.worker import Worker, WorkerFailed

log = structlog.get_logger(__name__)


def run(settings: Settings, reload: Callable[[], Settings], inherited: InheritedSockets) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit status. `reload` may raise `ConfigError`."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(settings, reload, inherited))


async def _serve(
    settings: Settings, reload: Callable[[], Settings], inherited: InheritedSockets
) -> int:
    parent = Parent(settings, inherited)
    manager = ServiceManager()
    # A second signal ends the workers as well: they do not outlive their parent.
    stop = stop_signal()

    def on_reload_signal() -> None:
        manager.reloading()
        parent.reload(reload)
        manager.ready()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, hangup.note)
    starting = asyncio.create_task(parent.start())
    either: list[asyncio.Future[Any]] = [starting, stop]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    status = 0
    if starting.done():
        status = _started(starting, manager)
        loop.add_signal_handler(signal.SIGHUP, on_reload_signal)
        if status == 0 and hangup.has_come():
            on_reload_signal()
    telling = supervision.start(manager.run(parent.status), "service-manager")
    if status == 0:
        await stop
    manager.stopping()
    for task in (starting, telling):
        task.cancel()
    await asyncio.wait({starting, telling})
    is_clean = await parent.stop()
    return status or (0 if is_clean and not supervision.has_failed() else 1)


def _started(starting: "asyncio.Task[None]", manager: ServiceManager) -> int:
    """0, or the status to end with."""
    try:
        starting.result()
    except (OSError, EmbeddedServerError, WorkerFailed) as error:
        log.error("start_failed", error=str(error))
        manager.status(f"start failed: {error}")
        # A worker that was killed has no status of its own.
        return max(error.status, 1) if isinstance(error, WorkerFailed) else 1
    manager.ready()
    return 0


class Parent:
    """`start` once, `stop` once."""

    def __init__(self, settings: Settings, inherited: InheritedSockets) -> None:
        self._settings = settings
        self._inherited = inherited
        self._embedded = (
            None
            if settings.nats.servers
            else EmbeddedServer(
                settings.data_dir, settings.nats.embedded_port, settings.nats.embedded_binary
            )
        )
        self._places: list[Place] = []
        self._loopbacks: list[socket.socket] = []
        self._workers: list[Worker] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._before = ""
        self._registry = CollectorRegistry()
        self._is_listening = False
        Gauge("mailfault_workers", "Workers that run", registry=self._registry).set_function(
            lambda: sum(worker.is_running for worker in self._workers)
        )
        self._restarts = Counter(
            "mailfault_worker_restarts", "Workers started anew", registry=self._registry
        )
        self._restarts_counted = 0
        self.web = WebServer(settings.http, self._render, self._health)

    async def start(self) -> None:
        """Raises `OSError`, `EmbeddedServerError` or `WorkerFailed` where it cannot run."""
        settings, count = self._settings, self._settings.workers
        self.web.start()
        _log_listening("http", self.web.address)
        if self._embedded is not None:
            await self._embedded.start()
        self._places = sockets.bind(settings, self._inherited, count)
        left = left_behind(settings.data_dir, count)
        if left:
            # Nothing is sent to them; they deliver what waits on their disks.
            log.info("workers_left_behind", numbers=left)
        self._workers = [self._worker(number) for number in (*range(count), *left)]
        await asyncio.gather(*(worker.start() for worker in self._workers))
        for worker in self._workers:
            self._tasks.append(supervision.start(worker.watch(), f"worker-{worker.number}"))
        for place in self._places:
            _log_listening(place.transport, place.address)
        self._is_listening = True
        log.info("started", version=__version__, workers=len(self._workers))

    async def stop(self) -> bool:
        """Workers first, each in its own flow order, all at once. Whether all ended well."""
        self._is_listening = False
        log.info("stopping")
        statuses = await asyncio.gather(*(worker.stop() for worker in self._workers))
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        sockets.close(self._places)
        for sock in self._loopbacks:
            sock.close()
        if self._embedded is not None:
            await self._embedded.stop()
        await self.web.stop()
        log.info("stopped")
        return not any(statuses)

    def reload(self, load: Callable[[], Settings]) -> None:
        """Each worker validates and takes over for itself, if it is valid at all."""
        try:
            wanted = load()
            prepare(wanted)
        except ConfigError as error:
            log.error("reload_refused", problems=error.problems)
            return
        logs.set_level(wanted.log.level)
        for worker in self._workers:
            worker.reload()

    def status(self) -> str:
        """In one line, for `systemctl status`."""
        running = sum(worker.is_running for worker in self._workers)
        return f"{running} of {len(self._workers)} workers run"

    def _worker(self, number: int) -> Worker:
        http = sockets.loopback()
        listen: dict[str, list[str]] = {}
        held = []
        for place in self._places:
            if (sock := place.of(number)) is not None:
                listen.setdefault(place.table, []).append(place.listen)
                held.append((place.transport, sock.fileno()))
        self._loopbacks.append(http)
        assignment = Assignment(
            number,
            listen,
            held,
            http.fileno(),
            None if self._embedded is None else self._embedded.url,
        )
        return Worker(assignment, http.getsockname()[:2], self._settings.shutdown_timeout)

    async def _render(self) -> bytes:
        await asyncio.gather(*(worker.ask_metrics() for worker in self._workers))
        for worker in self._workers:
            while worker.lost:
                self._before = merging.keep(self._before, worker.lost.pop())
        restarts = sum(worker.restarts for worker in self._workers)
        self._restarts.inc(restarts - self._restarts_counted)
        self._restarts_counted = restarts
        texts = [worker.metrics for worker in self._workers if worker.metrics]
        return merging.merge(texts, self._before, self._registry)

    async def _health(self) -> Health:
        """Ready when all of them are."""
        answers = await asyncio.gather(*(worker.health() for worker in self._workers))
        told = [
            {"worker": worker.number, "pid": worker.pid, **answer}
            for worker, answer in zip(self._workers, answers, strict=True)
        ]
        is_ready = self._is_listening and all(one.get("status") == "ready" for one in told)
        return Health(ready=is_ready, detail={"listening": self._is_listening, "workers": told})


def _log_listening(transport: str, address: tuple[str, int]) -> None:
    log.info("listening", transport=transport, host=address[0], port=address[1])
