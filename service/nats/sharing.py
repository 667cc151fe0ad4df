"""What the receivers of a fleet tell each other of deferred messages.

In: news of a message, and questions. Out: a key of a JetStream key-value bucket for each message
that has deferred recipients; what others wrote, taken over by the correlator; and an answer to each
question. No event waits for a write, and a line waits for an answer no longer than `ask_timeout`,
which is under a second: whatever is wrong with NATS, it goes on with what is known here.

- **Written** is when a recipient was deferred or has ended, a moment later and once for all that
  happened to a message in that moment; a mark of deletion when none waits any more. Nobody waits
  for an acknowledgement; now and then one is asked for, so that a refusal does not go unnoticed.
- **Heard** are the others' writes at once, by a plain subscription to the bucket's subjects. That
  needs no consumer, and is not reliable: after each new connection what is known here counts as
  doubtful, and is asked for anew when it is next needed (`Correlator.doubt`).
- **Asked** is where a message goes on here that did not begin here. What was heard of it just
  before is put on top: a write is heard before it can be read.

Nothing here relies on an order: to take over what another tells is the same whether it comes twice,
late, or behind what came after it (`Correlator.learn`).
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from time import time
from typing import Any

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from service.core.correlate.correlator import Correlator
from service.core.correlate.shared import GONE, LONGEST_VALUE, decode
from service.core.correlate.trace import Queue, prefix_of
from service.nats.bucket import BucketReport, look_at_bucket, read_subject, subject_of
from service.nats.client import BROKEN, obey_cancellation
from service.nats.inbox import Inbox
from service.nats.recent import Recent
from service.nats.sharing_config import SharingConfig

log = structlog.get_logger(__name__)

_PAUSE_SECONDS = 0.05
"""Between writes, so that all recipients of a message that fail together are one."""
_BYTES_A_SECOND = 8 * 1024 * 1024
_BYTES_AT_ONCE = 512 * 1024
"""Written in one go; a message with hundreds of recipients is written anew for each."""
_UNSENT_BYTES = 1024 * 1024
"""With this much waiting in nats-py the server does not read: nothing more is written."""
_LOOK_SECONDS = 1.0
"""Between two looks at the bucket, at least."""
_LOOK_AGAIN_SECONDS = 10.0
"""After which one that could not be used is looked at again."""
_SILENT_MAX = 8
"""Questions in a row without an answer after which nobody is asked for a while."""
_PROOF_SECONDS = 10.0
"""Between two writes of which an acknowledgement is asked."""
_PROOF_TIMEOUT = 2.0
_REST_SECONDS = 1.0
"""How long stopping waits for the last news to be read by the server."""
_MARK_SECONDS = 3600
"""How long a mark of deletion stays, where the server can forget it: those that were away for
longer have other things to do."""
_PROOF = "w"
"""Token of an acknowledgement; those of questions are numbers."""
_ADDRESSES = 4096


class Answered(StrEnum):
    """How a question ended."""

    FOUND = "found"
    MISSING = "missing"
    """Nobody wrote of this message: the common case, as few are deferred."""
    TIMEOUT = "timeout"
    OVERLOAD = "overload"
    """More questions at once than `max_asked`, or a server that does not read."""
    UNAVAILABLE = "unavailable"
    """No connection, or no bucket that can be read."""


class Heard(StrEnum):
    """What became of what another receiver wrote."""

    APPLIED = "applied"
    NOT_HELD = "not_held"
    """It tells of a message that was not seen here."""
    REFUSED = "refused"
    """It cannot be read: another version wrote it, or no receiver."""


class Written(StrEnum):
    PUT = "put"
    DELETE = "delete"
    DROPPED = "dropped"
    """More news than `max_unwritten`, or no right to write any."""


@dataclass(slots=True)
class _Question:
    key: bytes
    name: str
    deadline: float
    """Loop time."""


class BucketSharing:
    """Implements `service.correlation.Sharing`. `bind` before anything else; `attach` for each new
    connection, `detach` when it is lost, `run` meanwhile."""

    def __init__(self, config: SharingConfig, look_timeout: float) -> None:
        self._config = config
        self._look_timeout = look_timeout
        self._loop = asyncio.get_running_loop()
        self._client: Client | None = None
        self._inbox = ""
        self._report: BucketReport | None = None
        self._said: tuple[Any, ...] | None = None
        self._is_stopping = False
        self._is_readable = False
        self._is_writable = True
        self._is_muted = False
        """We may not write there, so nobody hears us; without a bucket others do all the same."""
        self._look_wanted = asyncio.Event()
        self._is_looked_at = False
        """On this connection: before that the bucket may not exist, and what is written is lost."""
        self._to_ask: dict[bytes, str] = {}
        """Keys of the bucket by those of the correlator."""
        self._has_to_ask = asyncio.Event()
        self._asked: dict[int, _Question] = {}
        self._last_token = 0
        self._silent = 0
        self._sweep: asyncio.TimerHandle | None = None
        self._unwritten: dict[bytes, str] = {}
        self._has_unwritten = asyncio.Event()
        self._proof_due = 0.0
        self._proof_deadline: float | None = None
        self._stem = subject_of(config.bucket, "").lower()
        self._recent = Recent()
        self._prefixes: dict[str, bytes] = {}
        self.answered: dict[str, float] = dict.fromkeys(Answered, 0)
        self.heard: dict[str, float] = dict.fromkeys(Heard, 0)
        self.written: dict[str, float] = dict.fromkeys(Written, 0)

    def bind(self, correlator: Correlator, on_learned: Callable[[bytes], None]) -> None:
        """`on_learned` is called once for each question, never from within `ask`."""
        self._correlator = correlator
        self._on_learned = on_learned

    @property
    def client(self) -> Client | None:
        """The connection, while there is one."""
        return self._client

    @property
    def asked_now(self) -> int:
        return len(self._asked) + len(self._to_ask)

    @property
    def unwritten(self) -> int:
        return len(self._unwritten)

    @property
    def is_readable(self) -> bool:
        return self._is_readable

    @property
    def state(self) -> dict[str, Any]:
        """For health."""
        return {
            "bucket": self._config.bucket,
            "readable": self._is_readable,
            "writable": self._is_writable and self._client is not None,
            "findings": list(self._report.findings) if self._report else [],
        }

    # What the correlation says

    def ask(self, queue: Queue, key: bytes) -> None:
        self._to_ask[key] = _name(queue, key)
        self._has_to_ask.set()

    def changed(self, queue: Queue, key: bytes) -> None:
        self._tell(key, _name(queue, key))

    # The connection

    async def attach(self, client: Client) -> None:
        self._inbox = client.new_inbox() + "."
        await client.subscribe(self._inbox + "*", future=Inbox(self._take_answer))
        everything = subject_of(self._config.bucket, ">")
        await client.subscribe(everything, future=Inbox(self._hear))
        self._client = client
        self._is_looked_at = False
        self._correlator.doubt(int(time()))
        self._proof_due, self._proof_deadline = 0.0, None
        self._look_wanted.set()

    def detach(self) -> None:
        self._client = None
        self._is_readable = False
        questions = list(self._asked.values())
        self._asked.clear()
        for question in questions:
            self._answer(question, Answered.UNAVAILABLE)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look())
            group.create_task(self._ask())
            group.create_task(self._write())

    def stop_looking(self) -> None:
        """The receiver stops: whether the bucket can be used is of no interest any more."""
        self._is_stopping = True

    async def tell_the_rest(self) -> None:
        """What is not yet told, before the connection goes."""
        client = self._client
        while self._unwritten and client is not None and client is self._client:
            if await self._write_some() == 0:
                break
        if client is not None:
            with contextlib.suppress(*BROKEN):
                async with asyncio.timeout(_REST_SECONDS):
                    await client.flush()

    async def _look(self) -> None:
        """At the bucket: on each connection, and while it cannot be used."""
        while not self._is_stopping:
            await self._look_wanted.wait()
            self._look_wanted.clear()
            client = self._client
            if client is not None:
                report = await look_at_bucket(client, self._config, self._look_timeout)
                obey_cancellation()
                if client is self._client:
                    self._report = report
                    self._is_looked_at = True
                    self._has_unwritten.set()
                    self._is_readable = report.is_readable
                    self._silent = 0
                    self._proof_due = 0.0  # the next write shows whether it takes any
                    self._say()
                    if not report.is_readable:
                        self._loop.call_later(_LOOK_AGAIN_SECONDS, self._look_wanted.set)
            await asyncio.sleep(_LOOK_SECONDS)

    def _say(self) -> None:
        """Once for each change."""
        report = self._report
        if report is None or self._is_stopping:
            return
        now = (self._is_readable, self._is_writable, report.findings)
        if now == self._said:
            return
        self._said = now
        is_good = self._is_readable and self._is_writable
        (log.info if is_good else log.warning)(
            "sharing_checked",
            bucket=self._config.bucket,
            readable=self._is_readable,
            writable=self._is_writable,
            created=report.created,
            findings=list(report.findings),
        )

    # Questions

    async def _ask(self) -> None:
        while True:
            await self._has_to_ask.wait()
            self._has_to_ask.clear()
            wanted, self._to_ask = self._to_ask, {}
            deadline = self._loop.time() + self._config.ask_timeout
            for key, name in wanted.items():
                refusal = await self._put_question(name, key, deadline)
                if refusal is not None:
                    self._answer(_Question(key, name, deadline), refusal)
            obey_cancellation()
            self._sweep_later()

    async def _put_question(self, name: str, key: bytes, deadline: float) -> Answered | None:
        """None: the answer comes later."""
        client = self._client
        if client is None or not self._is_readable:
            return Answered.UNAVAILABLE
        is_full = len(self._asked) >= self._config.max_asked
        if is_full or client.pending_data_size > _UNSENT_BYTES:
            return Answered.OVERLOAD
        token = self._last_token = self._last_token + 1
        self._asked[token] = _Question(key, name, deadline)
        try:
            subject = read_subject(self._config.bucket, name)
            await client.publish(subject, reply=f"{self._inbox}{token}")
        except BROKEN:
            return None if self._asked.pop(token, None) is None else Answered.UNAVAILABLE
        return None

    def _take_answer(self, message: Msg) -> None:
        token = message.subject[len(self._inbox) :]
        status = (message.headers or {}).get("Status")
        if token == _PROOF:
            self._take_proof(message, status)
            return
        question = self._asked.pop(int(token), None) if token.isdecimal() else None
        if question is None:
            return  # too late
        self._silent = 0
        if status == "503":  # nobody answers for this bucket: it is gone
            self._close_reading()
            self._answer(question, Answered.UNAVAILABLE)
        elif status is not None or not message.data:
            self._answer(question, Answered.MISSING)
        else:
            # It may come when its lines wait no longer: it is good for the next ones.
            self._learn(question.key, question.name, message.data)
            self._answer(question, Answered.FOUND)

    def _answer(self, question: _Question, how: Answered) -> None:
        self.answered[how] += 1
        for value in self._recent.take(question.key):
            self._learn(question.key, question.name, value)
        try:
            self._on_learned(question.key)
        except Exception:  # nats-py's reading task must not end with it
            log.exception("learning_failed")

    def _sweep_later(self) -> None:
        if self._sweep is None and self._asked:
            oldest = next(iter(self._asked.values()))
            self._sweep = self._loop.call_at(oldest.deadline, self._sweep_now)

    def _sweep_now(self) -> None:
        self._sweep = None
        now = self._loop.time()
        late = []
        for token, question in self._asked.items():  # in order of their deadlines
            if question.deadline > now:
                break
            late.append(token)
        self._silent += len(late)
        if self._silent >= _SILENT_MAX:
            self._close_reading()
        for token in late:
            self._answer(self._asked.pop(token), Answered.TIMEOUT)
        self._sweep_later()

    def _close_reading(self) -> None:
        """Nobody is asked until a look at the bucket has shown that somebody answers."""
        if self._is_readable:
            self._is_readable = False
            self._say()
            self._look_wanted.set()

    # What others write

    def _hear(self, message: Msg) -> None:
        value = message.data
        if not value or len(value) > LONGEST_VALUE:
            return  # an operator's hand
        name = message.subject[len(self._stem) :]
        queue, _, queue_id = name.rpartition(".")
        key = self._prefix(queue) + queue_id.encode()
        if not self._correlator.holds(key):
            if value != GONE and self._correlator.has_left(key):
                self._tell(key, name)  # it was written when that was not known there
            self._recent.add(key, value, self._loop.time())
            self.heard[Heard.NOT_HELD] += 1
        elif self._learn(key, name, value):
            self.heard[Heard.APPLIED] += 1

    def _learn(self, key: bytes, name: str, value: bytes) -> bool:
        try:
            knows_more = self._correlator.learn(key, decode(value), int(time()))
        except Exception as error:  # noqa: BLE001  # whatever somebody wrote there
            self.heard[Heard.REFUSED] += 1
            log.debug("sharing_refused", error=type(error).__name__)
            return False
        if knows_more:
            self._tell(key, name)
        return True

    def _prefix(self, name: str) -> bytes:
        prefix = self._prefixes.get(name)
        if prefix is None:
            if len(self._prefixes) >= _ADDRESSES:
                self._prefixes.clear()
            prefix = self._prefixes[name] = prefix_of(name)
        return prefix

    # News

    def _tell(self, key: bytes, name: str) -> None:
        if key not in self._unwritten and len(self._unwritten) >= self._config.max_unwritten:
            self.written[Written.DROPPED] += 1
            return
        self._unwritten[key] = name
        self._has_unwritten.set()

    async def _write(self) -> None:
        while True:
            await self._has_unwritten.wait()
            self._has_unwritten.clear()
            size = await self._write_some()
            obey_cancellation()
            await asyncio.sleep(max(_PAUSE_SECONDS, size / _BYTES_A_SECOND))

    async def _write_some(self) -> int:
        """Returns how many bytes were written."""
        size = 0
        while self._unwritten and size < _BYTES_AT_ONCE:
            client = self._client
            if client is None or not self._is_looked_at:
                return size  # `_look` goes on, on this connection or the next
            if client.pending_data_size > _UNSENT_BYTES:
                break
            key = next(iter(self._unwritten))
            name = self._unwritten.pop(key)
            reply = self._proof_wanted()
            if self._is_muted and not reply:
                self.written[Written.DROPPED] += 1
                continue
            try:
                size += await self._write_one(client, name, key, reply)
            except BROKEN:
                self._tell(key, name)  # on the next connection
                return size
        if self._unwritten:
            self._has_unwritten.set()
        return size

    async def _write_one(self, client: Client, name: str, key: bytes, reply: str) -> int:
        value = self._correlator.export(key)
        if len(value) > client.max_payload:
            self.written[Written.DROPPED] += 1
            return 0
        headers = None
        if not self._correlator.is_awaited(key):
            headers = {"KV-Operation": "DEL"}
            if self._report is not None and self._report.marks_expire:
                headers["Nats-TTL"] = str(_MARK_SECONDS)
        subject = subject_of(self._config.bucket, name)
        await client.publish(subject, value, reply, headers)
        self.written[Written.PUT if headers is None else Written.DELETE] += 1
        return len(value)

    def _proof_wanted(self) -> str:
        """The subject for an acknowledgement, where it is time to ask for one."""
        now = self._loop.time()
        if self._proof_deadline is not None and now >= self._proof_deadline:
            self._proof_deadline = None
            self._is_muted = self._is_forbidden()
            self._set_writable(False)
        if self._proof_deadline is not None or now < self._proof_due:
            return ""
        self._proof_due = now + _PROOF_SECONDS
        self._proof_deadline = now + _PROOF_TIMEOUT
        return self._inbox + _PROOF

    def _is_forbidden(self) -> bool:
        """The server names the subject of what it refused; nothing else tells."""
        said = "" if self._client is None else str(self._client.last_error).lower()
        return "permissions violation" in said and self._stem in said

    def _take_proof(self, message: Msg, status: str | None) -> None:
        self._proof_deadline = None
        self._is_muted = False
        self._set_writable(status is None and b'"error"' not in message.data)

    def _set_writable(self, is_writable: bool) -> None:
        if is_writable is not self._is_writable:
            self._is_writable = is_writable
            self._say()
            if not is_writable:
                self._look_wanted.set()


def _name(queue: Queue, key: bytes) -> str:
    """A key of the bucket: host, instance and queue id, each one token."""
    return f"{queue.name}.{key[len(queue.prefix) :].decode('ascii', 'replace')}"
