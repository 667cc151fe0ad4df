"""One nats-py client: connected with care, let go of completely.

In: settings, server URLs. Out: a connected `Client`, or what nats-py raises.

What nats-py 2.16 does otherwise, each with a test of ours:

- takes `tls://` for a wish: with a server that does not ask for TLS it goes on in the clear and
  sends the password; a server that leaves the choice gets none either,
- repeats the first attempt to connect 60 times, two seconds apart, with the credentials of the
  first time,
- leaves the socket open when an attempt to connect fails,
- fails in the middle of closing when it had something left to write to a socket that uvloop has
  closed, or waits for ever for a server that reads no more: tasks and socket stay behind.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from nats.aio.client import Client
from nats.errors import ConnectionClosedError, SecureConnWantedError
from nats.errors import Error as NatsError

from service import __version__
from service.nats.config import NatsConfig

BROKEN = (NatsError, OSError, TimeoutError, RuntimeError)
"""What nats-py raises when a connection breaks; `RuntimeError` is uvloop's closed socket."""

_CLOSE_SECONDS = 2.0


def words(error: Exception) -> str:
    """Some of nats-py's exceptions say nothing but their name."""
    return str(error) or type(error).__name__


def obey_cancellation() -> None:
    """Raises `CancelledError` where this task was cancelled and somebody kept it to himself:
    Python 3.11's `wait_for` does when its time is up or its result there in the same turn, and
    nats-py waits with it everywhere; its flush does always. To be called in loops that are ended by
    cancellation."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def new_client(config: NatsConfig) -> Client:
    """Not yet connected; where TLS is configured it takes no connection without."""
    return _Client(config)


async def connect(
    config: NatsConfig,
    servers: list[str],
    on_error: Callable[[Exception], Awaitable[None]],
    on_closed: Callable[[], Awaitable[None]],
) -> Client:
    """One round over the servers. `on_error` is told of each failure, then the last one is raised:
    one of `BROKEN`, `CredentialsError` or `ValueError`."""
    client = new_client(config)
    try:
        await client.connect(
            servers,
            name=f"mailfault/{__version__}",
            # The connection is renewed by us, with a new client each time.
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=config.connect_timeout,  # type: ignore[arg-type]  # any number will do
            ping_interval=config.ping_interval,  # type: ignore[arg-type]
            inbox_prefix=config.inbox_prefix,
            # Nothing is kept for later while the connection is gone, and `publish` never waits in
            # nats-py: a wait there outlasts the connection, and swallows a cancellation.
            pending_size=0,
            # What receivers tell each other is not for the one who tells it.
            no_echo=True,
            error_cb=on_error,
            closed_cb=on_closed,
            **config.credentials(),
        )
        if not client.is_connected:  # the server closed it in place of an answer
            raise client.last_error or ConnectionClosedError()
    except BaseException:
        await let_go(client)
        raise
    return client


async def let_go(client: Client) -> None:
    """Close it, and whatever its closing leaves behind."""
    # A task of its own: nats-py swallows the cancellation that a timeout would send it.
    closing = asyncio.ensure_future(client.close())
    await asyncio.wait([closing], timeout=_CLOSE_SECONDS)
    # Private names, as nats-py has no public ones for this; missing, they are let alone.
    writer = getattr(getattr(client, "_transport", None), "_bare_io_writer", None)
    if writer is not None:
        writer.transport.abort()
    tasks = [getattr(client, f"_{name}_task", None) for name in ("reading", "ping_interval")]
    tasks.append(getattr(client, "_flusher_task", None))
    tasks += [
        getattr(subscription, "_wait_for_msgs_task", None)
        for subscription in getattr(client, "_subs", {}).values()
    ]
    left = [closing, *(task for task in tasks if isinstance(task, asyncio.Task))]
    for task in left:
        task.cancel()
    await asyncio.wait(left, timeout=_CLOSE_SECONDS)
    for task in left:
        if task.done() and not task.cancelled():
            task.exception()  # seen: nobody else would retrieve it


class _Client(Client):
    """Insists on TLS where TLS is configured, before anything of ours is sent; and remembers why
    the server threw us out, which nats-py overwrites with the end of file that follows."""

    def __init__(self, config: NatsConfig) -> None:
        super().__init__()
        self._thrown_out: Exception | None = None
        self._wants_upgrade = config.insists_on_tls and not config.tls_handshake_first

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        if self._wants_upgrade and initial_connection and not info.get("tls_required"):
            if not info.get("tls_available"):
                raise SecureConnWantedError
            info["tls_required"] = True  # nats-py upgrades for this only
        await super()._process_info(info, initial_connection)

    async def _process_err(self, err_msg: str) -> None:
        await super()._process_err(err_msg)
        if "permissions violation" not in err_msg:  # after this the connection goes on
            self._thrown_out = super().last_error

    @property
    def last_error(self) -> Exception | None:
        return self._thrown_out or super().last_error
