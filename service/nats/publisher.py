"""The publish window: bounded in flight, each message ends in exactly one result.

In: envelopes. Out: `Published` or `Rejected` for each, through a callback. Built on nats-py's core
`publish` with a reply subject of our own and one subscription for all acknowledgements: a third of
the cost of its `publish_async`, whose futures hang for ever on an error acknowledgement.

Until JetStream answers, a message stays in the table of what is pending, and is sent again

- when no answer came in time (it may be stored all the same: it goes out with the same
  `Nats-Msg-Id`, and JetStream tells us `duplicate`),
- when the answer was an error that time can heal (stream full, no leader, no stream yet),
- when the connection was lost, on the new one.

What time cannot heal is `Rejected` at once and holds nobody up.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import BadSubjectError, MaxPayloadError
from nats.errors import Error as NatsError

from service.core.envelope import Envelope
from service.nats.headers import with_message_id

log = structlog.get_logger(__name__)

_SWEEP_SECONDS = 0.1
_RETRY_FIRST = 0.25
_RETRY_MAX = 5.0

_HOPELESS = frozenset({10054, 10060, 10166})
"""JetStream `err_code`s that stay: message larger than the stream takes, wrong expected stream,
TTL not allowed. Other client errors (code 400) are hopeless too, but for the ones below."""
_HEALING = frozenset({10025, 10052, 10076, 10077})


class Refusal(StrEnum):
    """Why JetStream will never take a message."""

    TOO_LARGE = "too_large"
    WRONG_STREAM = "wrong_stream"
    BAD_SUBJECT = "bad_subject"
    REFUSED = "refused"


@dataclass(slots=True)
class Published:
    """Durable. `duplicate`: JetStream had it already, from an earlier sending."""

    duplicate: bool
    seconds: float
    """From the first sending to this answer."""


@dataclass(slots=True)
class Rejected:
    """Never to be stored as it is: publish a dead letter."""

    reason: Refusal
    description: str


Result = Published | Rejected


@dataclass(slots=True)
class _Pending:
    envelope: Envelope
    first_sent: float
    due: float
    """When to send it again, loop time."""
    sendings: int = 1


class Publisher:
    """`attach` for each new connection, `detach` when it is lost, `run` the sweep meanwhile."""

    def __init__(
        self,
        window: int,
        ack_timeout: float,
        stream: str,
        on_result: Callable[[Envelope, Result], None],
        on_resend: Callable[[int], None],
        on_no_stream: Callable[[], None],
    ) -> None:
        self.window = window
        self._ack_timeout = ack_timeout
        self._good_ack = b'{"stream":' + json.dumps(stream).encode() + b","
        self._on_result = on_result
        self._on_resend = on_resend
        self._on_no_stream = on_no_stream
        self._clock = asyncio.get_running_loop().time
        self._pending: dict[int, _Pending] = {}
        self._next_token = 0
        self._client: Client | None = None
        self._inbox = ""
        self._answering: asyncio.Task[Any] | None = None
        self._may_send = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def in_flight(self) -> int:
        return len(self._pending)

    @property
    def oldest_seconds(self) -> float:
        """How long the oldest unacknowledged message has waited."""
        oldest = next(iter(self._pending.values()), None)
        return 0.0 if oldest is None else self._clock() - oldest.first_sent

    @property
    def is_attached(self) -> bool:
        return self._client is not None

    async def publish(self, envelope: Envelope) -> None:
        """Returns once the message is sent and pending; waits for a connection and for room."""
        while self._client is None or len(self._pending) >= self.window:
            self._may_send.clear()
            await self._may_send.wait()
        token = self._next_token
        self._next_token += 1
        now = self._clock()
        self._pending[token] = pending = _Pending(envelope, now, now + self._ack_timeout)
        self._idle.clear()
        await self._send(self._client, token, pending)

    async def attach(self, client: Client) -> None:
        """Send everything pending on a new connection, then let `publish` go on."""
        self._inbox = client.new_inbox() + "."
        # No bound of its own: there are never more answers than messages sent, and a slow-consumer
        # drop of an acknowledgement would cost a resend.
        await client.subscribe(
            self._inbox + "*", cb=self._on_ack, pending_msgs_limit=0, pending_bytes_limit=0
        )
        resent = list(self._pending.items())
        for token, pending in resent:
            await self._send_again(client, token, pending)
        if resent:
            log.info("unacknowledged_sent_again", messages=len(resent))
        self._client = client
        self._may_send.set()

    def detach(self) -> None:
        self._client = None
        # nats-py leaves its task for our subscription behind when a connection breaks.
        if self._answering is not None:
            self._answering.cancel()
            self._answering = None

    async def run(self) -> None:
        """The sweep: sends again what is due. Until cancelled."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            if self._client is None:
                continue
            now = self._clock()
            for token, pending in [item for item in self._pending.items() if item[1].due <= now]:
                client = self._client
                if client is None:
                    break
                if token in self._pending:
                    await self._send_again(client, token, pending)

    async def idle(self) -> None:
        """Wait until nothing is in flight."""
        await self._idle.wait()

    async def _send_again(self, client: Client, token: int, pending: _Pending) -> None:
        pending.sendings += 1
        patience = min(self._ack_timeout * 2 ** (pending.sendings - 1), 12 * self._ack_timeout)
        pending.due = self._clock() + patience
        self._on_resend(1)
        await self._send(client, token, pending)

    async def _send(self, client: Client, token: int, pending: _Pending) -> None:
        envelope = pending.envelope
        try:
            await client.publish(
                envelope.subject,
                envelope.body,
                reply=self._inbox + str(token),
                headers=with_message_id(envelope.message_id, envelope.header_lines),
            )
        except MaxPayloadError:
            limit = f"{len(envelope.body)} bytes, server takes {client.max_payload}"
            self._end(token, pending, Rejected(Refusal.TOO_LARGE, limit))
        except BadSubjectError:
            self._end(token, pending, Rejected(Refusal.BAD_SUBJECT, envelope.subject))
        except (NatsError, OSError):
            pass  # the connection is gone: it stays pending for the next one

    async def _on_ack(self, message: Msg) -> None:
        if self._answering is None:
            self._answering = asyncio.current_task()
        token = int(message.subject[len(self._inbox) :])
        pending = self._pending.get(token)
        if pending is None:
            return  # the answer to an earlier sending has been here
        data = message.data
        if data.startswith(self._good_ack):
            duplicate = b'"duplicate"' in data  # stands there only when true
            seconds = self._clock() - pending.first_sent
            self._end(token, pending, Published(duplicate, seconds))
        else:
            self._trouble(token, pending, message)

    def _trouble(self, token: int, pending: _Pending, message: Msg) -> None:
        refusal = _read_refusal(message)
        if refusal is not None:
            self._end(token, pending, refusal)
            return
        wait = min(_RETRY_FIRST * 2 ** (pending.sendings - 1), _RETRY_MAX)
        pending.due = self._clock() + wait
        if not message.data:
            self._on_no_stream()

    def _end(self, token: int, pending: _Pending, result: Result) -> None:
        if self._pending.pop(token, None) is None:
            return
        self._on_result(pending.envelope, result)
        if len(self._pending) == 0:
            self._idle.set()
        if self._client is not None:
            self._may_send.set()


def _read_refusal(message: Msg) -> Rejected | None:
    """None: worth another try."""
    if not message.data:  # status 503, no responders: no stream takes this subject yet
        return None
    try:
        answer = json.loads(message.data)
    except ValueError:
        return None
    if not isinstance(answer, dict):
        return None
    error = answer.get("error")
    if not isinstance(error, dict):
        stream = answer.get("stream")
        if isinstance(stream, str):  # stored, but where our subscribers do not look
            return Rejected(Refusal.WRONG_STREAM, f"stored in stream {stream}")
        return None
    code, err_code = error.get("code"), error.get("err_code")
    description = f"{error.get('description')} ({code}/{err_code})"
    if err_code == 10054:
        return Rejected(Refusal.TOO_LARGE, description)
    if err_code in _HOPELESS or (code == 400 and err_code not in _HEALING):
        return Rejected(Refusal.REFUSED, description)
    return None
