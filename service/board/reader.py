"""The stream, from some time ago up to now and on, by an ephemeral consumer that asks for batches.

In: connections, as they come and go. Out: each message once and in order, by its number in the
stream; a new connection goes on after the last one. A batch is asked for when the one before has
been taken, so nothing piles up here.

JetStream's answers: nats-architecture-and-design, ADR-13 (pull), ADR-31 (direct get).
"""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import nats.js.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, ConsumerInfo, DeliverPolicy
from nats.js.client import JetStreamContext

from service.nats.client import BROKEN, obey_cancellation, words
from service.nats.config import NatsConfig
from service.nats.inbox import Inbox

log = structlog.get_logger(__name__)

_BATCH = 1000
_EXPIRES_SECONDS = 30
_HEARTBEAT_SECONDS = 5.0
_HEARTBEATS_MISSED = 3
"""Then nobody is there who would answer any more."""
_AGAIN_SECONDS = 1.0
_NANO = 10**9
_ASK_AGAIN = ("404", "408")
"""No messages, or the time of the request is up."""


def _place(reply: str) -> tuple[int, int]:
    """Number in the stream, and how many are still to come (ADR-15: from the fourth token on, and
    in the newer form two tokens later). nats-py's `metadata` makes three objects of it."""
    tokens = reply.split(".")
    at = 5 if len(tokens) == 9 else 7
    return int(tokens[at]), int(tokens[at + 3])


class AwayError(Exception):
    """NATS is not there or does not answer: try again later."""


class GoneError(Exception):
    """The stream has no such message, or no longer."""


class _ConsumerLost(Exception):
    """Make another one."""


class StreamReader:
    """`attach` to each new connection, `detach` from one that is gone."""

    def __init__(
        self,
        config: NatsConfig,
        history: float,
        limit: int,
        take: Callable[[int, bytes], None],
        start_anew: Callable[[], None],
        heartbeat: float = _HEARTBEAT_SECONDS,
    ) -> None:
        """`take` is called with number and body, and must not raise; `start_anew` when the stream
        is another one of the same name."""
        self._config = config
        self._history = timedelta(seconds=history)
        self._limit = limit
        self._take = take
        self._start_anew = start_anew
        self._heartbeat = heartbeat
        self._request = json.dumps(
            {
                "batch": _BATCH,
                "expires": _EXPIRES_SECONDS * _NANO,
                "idle_heartbeat": int(heartbeat * _NANO),
            }
        ).encode()
        self._client: Client | None = None
        self._task: asyncio.Task[None] | None = None
        self._created: datetime | None = None
        self._last = 0
        self._left = 0
        self._turn = asyncio.Event()
        self._fault: str | None = None
        self._heard = 0.0
        self._is_direct = True
        self.trouble: str | None = None
        """Why nothing is read although NATS is there."""
        self.to_read: int | None = None
        """So many events of the history are still to come; None before it is known."""
        self.is_cut = False
        """The history had more events than are read at the start."""

    def attach(self, client: Client) -> None:
        self._client = client
        self._task = asyncio.create_task(self._run(client, self._task), name="board-reader")

    def detach(self) -> None:
        self._client = None
        if self._task is not None:
            self._task.cancel()

    async def event(self, seq: int) -> bytes:
        """One message's body. Raises `AwayError` or `GoneError`."""
        client = self._client
        if client is None:
            raise AwayError
        jetstream = client.jetstream(timeout=self._config.connect_timeout)
        try:
            found = await jetstream.get_msg(self._config.stream.name, seq, direct=self._is_direct)
        except nats.js.errors.NotFoundError:
            raise GoneError from None
        except (nats.js.errors.Error, *BROKEN) as error:
            raise AwayError from error
        return found.data or b""

    async def _run(self, client: Client, before: asyncio.Task[None] | None) -> None:
        if before is not None:  # nats-py may keep a cancellation to itself for a while
            await asyncio.wait([before])
        name = self._config.stream.name
        while True:
            try:
                await self._consume(client)
            except nats.js.errors.NotFoundError:
                self._say(f"no stream {name}: has a receiver run here?")
            except _ConsumerLost as lost:
                log.info("consumer_lost", reason=str(lost))
            except (nats.js.errors.Error, *BROKEN) as error:
                self._say(words(error))
            obey_cancellation()
            await asyncio.sleep(_AGAIN_SECONDS)

    def _say(self, trouble: str) -> None:
        if trouble != self.trouble:
            log.warning("stream_not_read", reason=trouble)
        self.trouble = trouble

    async def _consume(self, client: Client) -> None:
        name = self._config.stream.name
        jetstream = client.jetstream(timeout=self._config.connect_timeout)
        stream = await jetstream.stream_info(name)
        if stream.created != self._created:
            if self._created is not None:
                self._start_anew()
            self._created, self._last = stream.created, 0
        self._is_direct = bool(stream.config.allow_direct)
        consumer = await self._consumer(jetstream, stream.state.last_seq)
        self.trouble = None
        if not consumer.num_pending:
            self.to_read = 0
        inbox = client.new_inbox()
        subscription = await client.subscribe(inbox, future=Inbox(self._hear))
        try:
            while True:
                self._left, self._fault = _BATCH, None
                self._turn.clear()
                await client.publish(
                    f"$JS.API.CONSUMER.MSG.NEXT.{name}.{consumer.name}", self._request, reply=inbox
                )
                await self._until_turn()
        finally:
            if client.is_connected:
                await subscription.unsubscribe()

    async def _consumer(self, jetstream: JetStreamContext, last_seq: int) -> ConsumerInfo:
        """From after the last one read, else from as far back as is wished and allowed."""
        name = self._config.stream.name

        async def add(**start: Any) -> ConsumerInfo:
            return await jetstream.add_consumer(
                name,
                ConsumerConfig(
                    description="mailfault board",
                    ack_policy=AckPolicy.NONE,
                    filter_subject=self._config.stream_subject,
                    inactive_threshold=4 * _EXPIRES_SECONDS,
                    mem_storage=True,
                    num_replicas=1,
                    **start,
                ),
            )

        def at(seq: int) -> dict[str, Any]:
            return {"deliver_policy": DeliverPolicy.BY_START_SEQUENCE, "opt_start_seq": seq}

        if self._last:
            return await add(**at(self._last + 1))
        since = datetime.now(UTC) - self._history
        made = await add(deliver_policy=DeliverPolicy.BY_START_TIME, opt_start_time=since)
        self.is_cut = (made.num_pending or 0) > self._limit
        if self.is_cut:  # the first one ends by itself; not every reader may delete it
            made = await add(**at(max(1, last_seq - self._limit + 1)))
        return made

    def _hear(self, message: Msg) -> None:
        """In nats-py's reading task."""
        self._heard = asyncio.get_running_loop().time()
        if not message.reply.startswith("$JS.ACK."):
            self._hear_status(message)
            return
        self._last, self.to_read = _place(message.reply)
        self._take(self._last, message.data)
        self._left -= 1
        if not self._left:
            self._turn.set()

    def _hear_status(self, message: Msg) -> None:
        headers = message.headers or {}
        status = headers.get("Status", "")
        if status == "100":  # the heartbeat
            return
        if status not in _ASK_AGAIN:
            self._fault = f"{status} {headers.get('Description', '')}".strip()
        self._turn.set()

    async def _until_turn(self) -> None:
        """Until the batch is done. Raises `_ConsumerLost` where it never will be."""
        loop = asyncio.get_running_loop()
        self._heard = loop.time()
        while True:
            try:
                async with asyncio.timeout(self._heartbeat):
                    await self._turn.wait()
                break
            except TimeoutError:
                if loop.time() - self._heard > _HEARTBEATS_MISSED * self._heartbeat:
                    raise _ConsumerLost("silence") from None
        if self._fault is not None:
            raise _ConsumerLost(self._fault)
