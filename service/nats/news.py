"""News of messages to the other receivers: what is written into the bucket, and when.

In: keys of messages of which something changed. Out: what is known of each by then, a moment later
and once for all that happened in that moment; a mark of deletion where no recipient waits any
more. Nobody waits for an acknowledgement; now and then one is asked for, as a proof that writes are
taken.
"""

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from nats.aio.msg import Msg

from service.core.correlate.correlator import Correlator
from service.nats.bucket import subject_of
from service.nats.bucket_watch import UNSENT_BYTES, BucketWatch
from service.nats.client import BROKEN, obey_cancellation
from service.nats.lines import SUBJECT
from service.nats.sharing_config import SharingConfig
from service.nats.wire import send

_PAUSE_SECONDS = 0.05
"""Between writes, so that all recipients of a message that fail together are one."""
_BYTES_A_SECOND = 8 * 1024 * 1024
_BYTES_AT_ONCE = 512 * 1024
"""Written in one go; a message with hundreds of recipients is written anew for each."""
_BYTES_A_WRITE = 32 * 1024
"""Put together before anything else gets its turn."""
_PROOF_SECONDS = 10.0
"""Between two writes of which an acknowledgement is asked."""
_PROOF_TIMEOUT = 2.0
_MARK_SECONDS = 3600
"""How long a mark of deletion stays, where the server can forget it: those that were away for
longer have other things to do."""
PROOF = "w"
"""Token of an acknowledgement; those of questions are numbers."""
_MARK: Final = "NATS/1.0\r\nKV-Operation: DEL\r\n\r\n"
_MARK_FOR_NOW: Final = f"NATS/1.0\r\nKV-Operation: DEL\r\nNats-TTL: {_MARK_SECONDS}\r\n\r\n"


class Written(StrEnum):
    PUT = "put"
    DELETE = "delete"
    DROPPED = "dropped"
    """More news than `max_unwritten`, or no right to write any."""


@dataclass(slots=True)
class _News:
    """To be written at once."""

    lines: bytes
    told: dict[bytes, str]
    """Of these messages, with their names."""
    gone: int
    """Of so many of them nobody waits."""


class News:
    """`attach` for each new connection, `run` meanwhile."""

    def __init__(self, config: SharingConfig, bucket: BucketWatch, correlator: Correlator) -> None:
        self._config = config
        self._bucket = bucket
        self._correlator = correlator
        self._loop = asyncio.get_running_loop()
        self._inbox = ""
        self._stem = subject_of(config.bucket, "").lower()
        self._unwritten: dict[bytes, str] = {}
        """Keys of the bucket by those of the correlator."""
        self._has_unwritten = asyncio.Event()
        self._is_muted = False
        """We may not write there, so nobody hears us; without a bucket others do all the same."""
        self._proof_due = 0.0
        self._proof_deadline: float | None = None
        self.written: dict[str, float] = dict.fromkeys(Written, 0)

    @property
    def unwritten(self) -> int:
        return len(self._unwritten)

    def attach(self, inbox: str) -> None:
        """`inbox`: what the subjects of acknowledgements begin with."""
        self._inbox = inbox
        self._proof_due, self._proof_deadline = 0.0, None

    def looked(self) -> None:
        """The bucket has just been looked at: what waited for it is written."""
        self._proof_due = 0.0  # the next write shows whether it takes any
        self._has_unwritten.set()

    def tell(self, key: bytes, name: str) -> None:
        if key not in self._unwritten and len(self._unwritten) >= self._config.max_unwritten:
            self.written[Written.DROPPED] += 1
            return
        self._unwritten[key] = name
        self._has_unwritten.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._has_unwritten.wait()
            self._has_unwritten.clear()
            size = await self.write_some()
            obey_cancellation()
            await asyncio.sleep(max(_PAUSE_SECONDS, size / _BYTES_A_SECOND))

    async def write_some(self) -> int:
        """Returns how many bytes were written."""
        size = 0
        while self._unwritten and size < _BYTES_AT_ONCE:
            client = self._bucket.client
            if client is None or not self._bucket.is_looked_at:
                return size  # `looked` goes on, on this connection or the next
            if client.pending_data_size > UNSENT_BYTES:
                break
            news = self._next(client.max_payload)
            try:
                if news.told:
                    await send(client, news.lines)
            except BROKEN:
                for key, name in news.told.items():
                    self.tell(key, name)  # on the next connection
                return size
            self.written[Written.PUT] += len(news.told) - news.gone
            self.written[Written.DELETE] += news.gone
            size += len(news.lines)
        if self._unwritten:
            self._has_unwritten.set()
        return size

    def _next(self, max_payload: int) -> "_News":
        """Many in one: nats-py's `publish` takes several times as long for each as all the rest.
        Protocol: docs.nats.io, "Client Protocol"."""
        told: dict[bytes, str] = {}
        lines: list[bytes] = []
        gone = size = 0
        reply = self._proof_wanted()
        while self._unwritten and size < _BYTES_A_WRITE:
            key = next(iter(self._unwritten))
            name = self._unwritten.pop(key)
            if self._is_muted and not reply:
                self.written[Written.DROPPED] += 1
                continue
            value = self._correlator.exchange.export(key)
            headers = "" if self._correlator.attempts.is_awaited(key) else self._mark
            total = len(headers) + len(value)
            if total > max_payload or not SUBJECT.fullmatch(name):
                self.written[Written.DROPPED] += 1
                continue
            to = f"{subject_of(self._config.bucket, name)} {reply}".rstrip()
            if headers:
                gone += 1
                line = f"HPUB {to} {len(headers)} {total}\r\n{headers}"
            else:
                line = f"PUB {to} {total}\r\n"
            lines += (line.encode(), value, b"\r\n")
            told[key] = name
            size += total
            reply = ""
        return _News(b"".join(lines), told, gone)

    @property
    def _mark(self) -> str:
        """Headers of a value in whose message nobody waits."""
        report = self._bucket.report
        return _MARK_FOR_NOW if report is not None and report.marks_expire else _MARK

    def _proof_wanted(self) -> str:
        """The subject for an acknowledgement, where it is time to ask for one."""
        now = self._loop.time()
        if self._proof_deadline is not None and now >= self._proof_deadline:
            self._proof_deadline = None
            self._is_muted = self._is_forbidden()
            self._bucket.set_writable(False)
        if self._proof_deadline is not None or now < self._proof_due:
            return ""
        self._proof_due = now + _PROOF_SECONDS
        self._proof_deadline = now + _PROOF_TIMEOUT
        return self._inbox + PROOF

    def _is_forbidden(self) -> bool:
        """The server names the subject of what it refused; nothing else tells."""
        said = "" if self._bucket.client is None else str(self._bucket.client.last_error).lower()
        return "permissions violation" in said and self._stem in said

    def take_proof(self, message: Msg, status: str | None) -> None:
        self._proof_deadline = None
        self._is_muted = False
        self._bucket.set_writable(status is None and b'"error"' not in message.data)
