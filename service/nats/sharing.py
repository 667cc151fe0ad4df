"""What the receivers of a fleet tell each other of deferred messages.

In: news of a message, and questions. Out: a key of a JetStream key-value bucket for each message
that has deferred recipients; what others wrote, taken over by the correlator; and an answer to each
question. No event waits for a write, and a line waits for an answer no longer than `ask_timeout`,
which is under a second: whatever is wrong with NATS, it goes on with what is known here.

- **Written** (`news`) is when a recipient was deferred or has ended, a moment later.
- **Heard** are the others' writes at once, by a plain subscription to the bucket's subjects. That
  needs no consumer, and is not reliable: after each new connection what is known here counts as
  doubtful, and is asked for anew when it is next needed (`Exchange.doubt`).
- **Asked** (`questions`) is where a message goes on here that did not begin here. What was heard of
  it just before (`recent`) is put on top: a write is heard before it can be read.
- **Looked at** (`bucket_watch`) is the bucket on each connection: it may be absent, or not for us.

Nothing here relies on an order: to take over what another tells is the same whether it comes twice,
late, or behind what came after it (`Exchange.learn`).
"""

import asyncio
import contextlib
from collections.abc import Callable
from enum import StrEnum
from time import time
from typing import Any

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from service.core.correlate.correlator import Correlator
from service.core.correlate.shared import LONGEST_VALUE, decode, tells_gone
from service.core.correlate.trace import Queue, prefix_of
from service.nats.bucket import subject_of
from service.nats.bucket_watch import BucketWatch
from service.nats.client import BROKEN
from service.nats.inbox import Inbox
from service.nats.news import PROOF, News
from service.nats.questions import Questions
from service.nats.recent import Recent
from service.nats.sharing_config import SharingConfig

log = structlog.get_logger(__name__)

_REST_SECONDS = 1.0
"""How long stopping waits for the last news to be read by the server."""
_ADDRESSES = 4096


class Heard(StrEnum):
    """What became of what another receiver wrote."""

    APPLIED = "applied"
    NOT_HELD = "not_held"
    """It tells of a message that was not seen here."""
    REFUSED = "refused"
    """It cannot be read: another version wrote it, or no receiver."""


class BucketSharing:
    """Implements `service.correlation.Sharing`. `bind` before anything else; `attach` for each new
    connection, `detach` when it is lost, `run` meanwhile."""

    def __init__(self, config: SharingConfig, look_timeout: float) -> None:
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._bucket = BucketWatch(config, look_timeout, self._looked)
        self._questions = Questions(config, self._bucket, self._learn, self._answered)
        self._inbox = ""
        self._stem = subject_of(config.bucket, "")
        self._recent = Recent()
        self._prefixes: dict[str, bytes] = {}
        self.heard: dict[str, float] = dict.fromkeys(Heard, 0)

    def bind(self, correlator: Correlator, on_learned: Callable[[bytes], None]) -> None:
        """`on_learned` is called once for each question, never from within `ask`."""
        self._exchange = correlator.exchange
        self._news = News(self._config, self._bucket, correlator)
        self._on_learned = on_learned

    @property
    def client(self) -> Client | None:
        """The connection, while there is one."""
        return self._bucket.client

    @property
    def asked_now(self) -> int:
        return self._questions.asked_now

    @property
    def answered(self) -> dict[str, float]:
        return self._questions.answered

    @property
    def unwritten(self) -> int:
        return self._news.unwritten

    @property
    def written(self) -> dict[str, float]:
        return self._news.written

    @property
    def is_readable(self) -> bool:
        return self._bucket.is_readable

    @property
    def state(self) -> dict[str, Any]:
        """For health."""
        return self._bucket.state

    # What the correlation says

    def ask(self, queue: Queue, key: bytes) -> None:
        self._questions.ask(key, _name(queue, key))

    def changed(self, queue: Queue, key: bytes) -> None:
        self._news.tell(key, _name(queue, key))

    # The connection

    async def attach(self, client: Client) -> None:
        self._inbox = client.new_inbox() + "."
        await client.subscribe(self._inbox + "*", future=Inbox(self._take_reply))
        everything = subject_of(self._config.bucket, ">")
        await client.subscribe(everything, future=Inbox(self._hear))
        self._exchange.doubt(int(time()))
        self._questions.attach(self._inbox)
        self._news.attach(self._inbox)
        self._bucket.attach(client)

    def detach(self) -> None:
        self._bucket.detach()
        self._questions.detach()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._bucket.run())
            group.create_task(self._questions.run())
            group.create_task(self._news.run())

    def stop_looking(self) -> None:
        """The receiver stops."""
        self._bucket.stop()

    async def tell_the_rest(self) -> None:
        """What is not yet told, before the connection goes."""
        client = self.client
        while self.unwritten and client is not None and client is self.client:
            if await self._news.write_some() == 0:
                break
        if client is not None:
            with contextlib.suppress(*BROKEN):
                async with asyncio.timeout(_REST_SECONDS):
                    await client.flush()

    def _looked(self) -> None:
        self._questions.looked()
        self._news.looked()

    # What comes back

    def _take_reply(self, message: Msg) -> None:
        token = message.subject[len(self._inbox) :]
        status = (message.headers or {}).get("Status")
        if token == PROOF:
            self._news.take_proof(message, status)
        else:
            self._questions.take_answer(token, message, status)

    def _answered(self, key: bytes, name: str) -> None:
        for value in self._recent.take(key):
            self._learn(key, name, value)
        try:
            self._on_learned(key)
        except Exception:  # nats-py's reading task must not end with it
            log.exception("learning_failed")

    # What others write

    def _hear(self, message: Msg) -> None:
        value = message.data
        if not value or len(value) > LONGEST_VALUE:
            return  # an operator's hand
        name = message.subject[len(self._stem) :]
        queue, _, queue_id = name.rpartition(".")
        key = self._prefix(queue) + queue_id.encode()
        if not self._exchange.holds(key):
            if not tells_gone(value) and self._exchange.has_left(key):
                self._news.tell(key, name)  # it was written when that was not known there
            self._recent.add(key, value, self._loop.time())
            self.heard[Heard.NOT_HELD] += 1
        elif self._learn(key, name, value):
            self.heard[Heard.APPLIED] += 1

    def _learn(self, key: bytes, name: str, value: bytes) -> bool:
        try:
            knows_more = self._exchange.learn(key, decode(value), int(time()))
        except Exception as error:  # noqa: BLE001  # whatever somebody wrote there
            self.heard[Heard.REFUSED] += 1
            log.debug("sharing_refused", error=type(error).__name__)
            return False
        if knows_more:
            self._news.tell(key, name)
        return True

    def _prefix(self, name: str) -> bytes:
        prefix = self._prefixes.get(name)
        if prefix is None:
            if len(self._prefixes) >= _ADDRESSES:
                self._prefixes.clear()
            prefix = self._prefixes[name] = prefix_of(name)
        return prefix


def _name(queue: Queue, key: bytes) -> str:
    """A key of the bucket: host, instance and queue id, each one token."""
    return f"{queue.name}.{key[len(queue.prefix) :].decode('ascii', 'replace')}"
