"""News of messages to the other receivers: what is written into the bucket, and when.

In: keys of messages of which something changed. Out: what is known of each by then, a moment later
and once for all that happened in that moment; a mark of deletion where no recipient waits any
more. Nobody waits for an acknowledgement; now and then one is asked for, as a proof that writes are
taken.
"""

import asyncio
from enum import StrEnum

from nats.aio.client import Client
from nats.aio.msg import Msg

from service.core.correlate.correlator import Correlator
from service.nats.bucket import subject_of
from service.nats.bucket_watch import UNSENT_BYTES, BucketWatch
from service.nats.client import BROKEN, obey_cancellation
from service.nats.sharing_config import SharingConfig

_PAUSE_SECONDS = 0.05
"""Between writes, so that all recipients of a message that fail together are one."""
_BYTES_A_SECOND = 8 * 1024 * 1024
_BYTES_AT_ONCE = 512 * 1024
"""Written in one go; a message with hundreds of recipients is written anew for each."""
_PROOF_SECONDS = 10.0
"""Between two writes of which an acknowledgement is asked."""
_PROOF_TIMEOUT = 2.0
_MARK_SECONDS = 3600
"""How long a mark of deletion stays, where the server can forget it: those that were away for
longer have other things to do."""
PROOF = "w"
"""Token of an acknowledgement; those of questions are numbers."""


class Written(StrEnum):
    PUT = "put"
    DELETE = "delete"
    DROPPED = "dropped"
    """More news than `max_unwritten`, or no right to write any."""


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
            key = next(iter(self._unwritten))
            name = self._unwritten.pop(key)
            reply = self._proof_wanted()
            if self._is_muted and not reply:
                self.written[Written.DROPPED] += 1
                continue
            try:
                size += await self._write_one(client, name, key, reply)
            except BROKEN:
                self.tell(key, name)  # on the next connection
                return size
        if self._unwritten:
            self._has_unwritten.set()
        return size

    async def _write_one(self, client: Client, name: str, key: bytes, reply: str) -> int:
        value = self._correlator.exchange.export(key)
        if len(value) > client.max_payload:
            self.written[Written.DROPPED] += 1
            return 0
        headers = None
        if not self._correlator.attempts.is_awaited(key):
            headers = {"KV-Operation": "DEL"}
            if self._bucket.report is not None and self._bucket.report.marks_expire:
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
