"""How one process serves: a receiver from its start to a signal, what `reload` takes over, and what
the service manager is told meanwhile.

In: settings, and how to read them anew. Out: the exit status.
"""

import asyncio
import signal
from collections.abc import Callable
from typing import Any

import structlog
import uvloop

from service import hangup, logs, supervision
from service.config_problems import ConfigError
from service.listeners.inherited import InheritedSockets
from service.nats.embedded import EmbeddedServerError
from service.receiver import Receiver
from service.settings import Settings
from service.signals import stop_signal
from service.spool.errors import SpoolRefused
from service.systemd.manager import ServiceManager
from service.web import Health

log = structlog.get_logger(__name__)


def run(
    settings: Settings,
    reload: Callable[[], Settings],
    inherited: InheritedSockets | None = None,
    *,
    is_worker: bool = False,
) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit status. `reload` may raise `ConfigError`.
    `inherited`: sockets that `settings` have joined. `is_worker`: its parent speaks for it."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(serve(settings, reload, inherited, is_worker=is_worker))


async def serve(
    settings: Settings,
    reload: Callable[[], Settings],
    inherited: InheritedSockets | None = None,
    *,
    is_worker: bool = False,
) -> int:
    """`run`, in a loop that is there already."""
    receiver = Receiver(settings, inherited, is_worker=is_worker)
    manager = ServiceManager()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_log_unhandled)
    stop = stop_signal()
    loop.add_signal_handler(signal.SIGHUP, hangup.note)
    try:
        await receiver.start()
    except (OSError, EmbeddedServerError, SpoolRefused) as error:
        log.error("start_failed", error=str(error))
        manager.status(f"start failed: {error}")
        await receiver.stop()
        return 1
    manager.ready()
    loop.add_signal_handler(signal.SIGHUP, _reload, receiver, settings, reload, manager)
    if hangup.has_come():
        _reload(receiver, settings, reload, manager)
    telling = supervision.start(manager.run(lambda: _status(receiver.health())), "service-manager")
    await stop
    manager.stopping()
    left = await receiver.stop()
    telling.cancel()
    await asyncio.wait([telling])
    return 0 if left == 0 and not supervision.has_failed() else 1


def _reload(
    receiver: Receiver,
    running: Settings,
    load: Callable[[], Settings],
    manager: ServiceManager,
) -> None:
    """SIGHUP: validate first; take over certificates, rules and log level, name what needs a
    restart."""
    manager.reloading()
    try:
        wanted = load()
        receiver.reload(wanted)
    except ConfigError as error:
        log.error("reload_refused", problems=error.problems)
        return
    finally:
        manager.ready()  # whatever became of it, it is over
    logs.set_level(wanted.log.level)
    running.log = wanted.log
    changed = [
        name
        for name in type(running).model_fields
        if getattr(running, name) != getattr(wanted, name)
    ]
    log.info("reloaded", needs_restart=changed)


def _status(health: Health) -> str:
    """In one line, for `systemctl status`."""
    waiting = health.detail["waiting"]["events"] + health.detail["spool"]["events"]
    nats = "NATS connected" if health.detail["nats"]["connected"] else "NATS away"
    return f"{'ready' if health.ready else 'not ready'}; {nats}; {waiting} events wait"


def _log_unhandled(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What no task asked for. nats-py's own tasks fail like this when their socket breaks, which
    `nats_trouble` has said already."""
    task = context.get("task") or context.get("future")
    is_nats = "nats" in repr(task)
    (log.debug if is_nats else log.error)(
        "unhandled_error", message=context.get("message"), error=repr(context.get("exception"))
    )
