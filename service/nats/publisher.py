"""The publish window: bounded in flight, each message ends in exactly one result.

In: envelopes. Out: `Published` or `Rejected` for each, through a callback. Built on core publishing
with a reply subject of our own and one subscription for all acknowledgements: nats-py's
`publish_async` costs several times as much, and its futures hang for ever on an error
acknowledgement.

Until JetStream answers, a message stays in the table of what is pending, and is sent again

- when no answer came in time (it may be stored all the same: it goes out with the same
  `Nats-Msg-Id`, and JetStream tells us `duplicate`),
- when the answer was an error that time can heal (stream full, no leader, no stream yet),
- when the connection was lost, on the new one.

What time cannot heal is `Rejected` and holds nobody up.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from service.core.envelope import Envelope
from service.nats.answer import Published, Refusal, Rejected, Result, good_start, read_refusal
from service.nats.client import BROKEN
from service.nats.inbox import Inbox
from service.nats.wire import Stored, Wire, head

log = structlog.get_logger(__name__)

_SWEEP_SECONDS = 0.1
_RETRY_FIRST = 0.25
_RETRY_MAX = 5.0
_DOUBLINGS_MAX = 8
"""Two to the power of some thousand sendings is no number to calculate with."""
_AT_ONCE = 256
"""Messages in one write, at most."""
_UNSENT_BYTES = 1024 * 1024
"""With this much waiting in nats-py the loop gets a turn to write it to the socket."""
_HEADER_OVERHEAD = len(head("", "x")) - len("x")
"""The server counts headers as part of the payload."""
_SUBJECT_MAX = 2048
"""With the reply subject still below the server's `max_control_line` of 4096."""


@dataclass(slots=True)
class _Pending:
    envelope: Envelope
    size: int
    first_sent: float
    due: float
    """When to send it again, loop time."""
    sendings: int = 1


class Publisher:
    """`attach` for each new connection, `detach` when it is lost, `run` the sweep meanwhile."""

    def __init__(
        self,
        window: int,
        window_bytes: int,
        ack_timeout: float,
        stream: str,
        on_result: Callable[[Envelope, Result], None],
        on_resend: Callable[[int], None],
        on_no_stream: Callable[[], None],
    ) -> None:
        self.window = window
        self._window_bytes = window_bytes
        self._ack_timeout = ack_timeout
        self._good_start = good_start(stream)
        self._on_result = on_result
        self._on_resend = on_resend
        self._on_no_stream = on_no_stream
        self._clock = asyncio.get_running_loop().time
        self._pending: dict[int, _Pending] = {}
        self._pending_bytes = 0
        self._next_token = 0
        self._wire: Wire | None = None
        self._may_send = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def in_flight(self) -> int:
        return len(self._pending)

    @property
    def in_flight_bytes(self) -> int:
        return self._pending_bytes

    @property
    def unsaved(self) -> int:
        """How many in flight are in memory only."""
        return sum(pending.envelope.row is None for pending in self._pending.values())

    @property
    def oldest_seconds(self) -> float:
        """How long the oldest unacknowledged message has waited."""
        oldest = next(iter(self._pending.values()), None)
        return 0.0 if oldest is None else self._clock() - oldest.first_sent

    @property
    def is_attached(self) -> bool:
        return self._wire is not None

    async def publish(self, envelope: Envelope) -> None:
        """Returns once the message is sent and pending; waits for a connection and for room."""
        await self.publish_from(lambda max_events, max_bytes: [envelope])

    async def publish_from(self, take: Callable[[int, int], list[Envelope]]) -> None:
        """Waits for a connection and for room, then sends what `take(max_events, max_bytes)` gives
        in one go. Does not wait for the socket: what is written and not acknowledged is bounded by
        the window, which one message may pass in bytes."""
        while (wire := self._wire) is None or not self._has_room:
            self._may_send.clear()
            await self._may_send.wait()
        room = self._window_bytes - self._pending_bytes
        envelopes = take(min(self.window - len(self._pending), _AT_ONCE), room)
        commands = self._begin(wire, envelopes)
        if commands:
            await self._write(wire, commands)

    def publish_now(self, envelopes: list[Envelope]) -> bool:
        """Sends them on the spot, where there is a connection with nothing unsent before them, and
        room for all. False: nothing has happened."""
        wire = self._wire
        if (
            wire is None
            or len(self._pending) + len(envelopes) > self.window
            or self._pending_bytes + sum(len(e.body) for e in envelopes) > self._window_bytes
            or not wire.is_prompt
        ):
            return False
        commands = self._begin(wire, envelopes)
        if commands:
            try:
                wire.write_now(commands)
            except BROKEN:
                pass  # as in `_write`
        return True

    def _begin(self, wire: Wire, envelopes: list[Envelope]) -> list[bytes]:
        """They are pending from now on; what to write for it."""
        now = self._clock()
        due = now + self._ack_timeout
        commands = []
        for envelope in envelopes:
            size = (
                len(envelope.body)
                + len(envelope.header_lines)
                + len(envelope.message_id)
                + _HEADER_OVERHEAD
            )
            token = self._next_token
            self._next_token += 1
            pending = self._pending[token] = _Pending(envelope, size, now, due)
            self._pending_bytes += size
            command = self._command(wire, token, pending)
            if command is not None:
                commands.append(command)
        if commands:
            self._idle.clear()
        return commands

    def withdraw_unsaved(self) -> list[Envelope]:
        """Takes back what is not acknowledged and in memory only, oldest first. Whatever is still
        answered to it is nobody's: it may be stored, and then what is published of it later is a
        duplicate."""
        unsaved = [item for item in self._pending.items() if item[1].envelope.row is None]
        for token, pending in unsaved:
            del self._pending[token]
            self._pending_bytes -= pending.size
        self._room_again()
        return [pending.envelope for _, pending in unsaved]

    async def attach(self, client: Client) -> None:
        """Send everything pending on a new connection, then let `publish` go on. Where this raises,
        `publish` waits on for the next connection."""
        inbox = client.new_inbox() + "."
        await client.subscribe(inbox + "*", future=Inbox(self._take_answer))
        wire = Wire(client, inbox, self._good_start, self._take_stored)
        resent = list(self._pending.items())
        for token, pending in resent:
            if token in self._pending:  # its answer may have come meanwhile
                pending.sendings = 1  # what the old connection lost says nothing of the new one
                await self._send_again(wire, token, pending)
        if resent:
            log.info("unacknowledged_sent_again", messages=len(resent))
        self._wire = wire
        self._may_send.set()

    def detach(self) -> None:
        self._wire = None

    async def run(self) -> None:
        """The sweep: sends again what is due. Until cancelled."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = self._clock()
            for token, pending in [item for item in self._pending.items() if item[1].due <= now]:
                wire = self._wire
                # A server that reads no more gets nothing more to read: it would pile up here.
                if wire is None or wire.unsent_bytes > _UNSENT_BYTES:
                    break
                if token in self._pending:
                    await self._send_again(wire, token, pending)

    async def idle(self) -> None:
        """Wait until nothing is in flight."""
        await self._idle.wait()

    @property
    def _has_room(self) -> bool:
        return len(self._pending) < self.window and self._pending_bytes < self._window_bytes

    async def _send_again(self, wire: Wire, token: int, pending: _Pending) -> None:
        pending.sendings += 1
        patience = min(_doubled(self._ack_timeout, pending.sendings), 12 * self._ack_timeout)
        pending.due = self._clock() + patience
        self._on_resend(1)
        command = self._command(wire, token, pending)
        if command is not None:
            await self._write(wire, [command])

    def _command(self, wire: Wire, token: int, pending: _Pending) -> bytes | None:
        """None: it can never be sent, and has been answered."""
        envelope = pending.envelope
        subject = envelope.subject
        if pending.size > wire.client.max_payload:
            limit = f"server takes {wire.client.max_payload}"
            self._end(token, Rejected(Refusal.TOO_LARGE, limit))
            return None
        if len(subject) > _SUBJECT_MAX:
            self._end(token, Rejected(Refusal.BAD_SUBJECT, f"over {_SUBJECT_MAX} characters"))
            return None
        try:
            block = head(envelope.message_id, envelope.header_lines)
        except UnicodeError as error:
            self._end(token, Rejected(Refusal.REFUSED, str(error)))
            return None
        try:
            return wire.command(subject, token, block, envelope.body)
        except ValueError as error:
            self._end(token, Rejected(Refusal.BAD_SUBJECT, str(error)))
            return None

    async def _write(self, wire: Wire, commands: list[bytes]) -> None:
        try:
            await wire.write(commands)
        except BROKEN:
            pass  # the connection is gone: they stay pending for the next one
        if wire.unsent_bytes > _UNSENT_BYTES:
            await asyncio.sleep(0)

    def _take_stored(self, stored: Stored) -> None:
        now = self._clock()
        ended: list[tuple[Envelope, Published]] = []
        for token, duplicate in stored:
            pending = self._pending.pop(token, None)
            if pending is not None:  # else the answer to an earlier sending has been here
                self._pending_bytes -= pending.size
                ended.append((pending.envelope, Published(duplicate, now - pending.first_sent)))
        self._room_again()
        for envelope, result in ended:
            self._tell(envelope, result)

    def _take_answer(self, message: Msg) -> None:
        try:
            token = int(message.subject.rpartition(".")[2])
        except ValueError:
            return  # nobody of ours
        pending = self._pending.get(token)
        if pending is None:
            return  # the answer to an earlier sending has been here
        data = message.data
        if data.startswith(self._good_start):
            duplicate = b'"duplicate"' in data  # stands there only when true
            self._end(token, Published(duplicate, self._clock() - pending.first_sent))
            return
        refusal = read_refusal(data, pending.sendings)
        if refusal is not None:
            self._end(token, refusal)
            return
        wait = min(_doubled(_RETRY_FIRST, pending.sendings), _RETRY_MAX)
        pending.due = self._clock() + wait
        if not data:  # status 503, no responders: no stream takes this subject yet
            self._on_no_stream()

    def _end(self, token: int, result: Result) -> None:
        pending = self._pending.pop(token, None)
        if pending is None:
            return
        self._pending_bytes -= pending.size
        self._room_again()
        self._tell(pending.envelope, result)

    def _tell(self, envelope: Envelope, result: Result) -> None:
        try:
            self._on_result(envelope, result)
        except Exception:  # other answers, and nats-py's reading task, must not end with it
            log.exception("result_failed")

    def _room_again(self) -> None:
        if not self._pending:
            self._idle.set()
        if self._wire is not None:
            self._may_send.set()


def _doubled(first: float, sendings: int) -> float:
    return first * 2.0 ** min(sendings - 1, _DOUBLINGS_MAX)
