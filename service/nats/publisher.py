"""The publish window: bounded in flight, each message ends in exactly one result.

In: envelopes. Out: `Published` or `Rejected` for each, through a callback, those of one read
together. Built on core publishing
with a reply subject of our own and one subscription for all acknowledgements: nats-py's
`publish_async` costs several times as much, and its futures hang for ever on an error
acknowledgement.

Until JetStream answers, a message stays in the table of what is in flight, and is sent again

- when no answer came in time (it may be stored all the same: it goes out with the same
  `Nats-Msg-Id`, and JetStream tells us `duplicate`),
- when the answer was an error that time can heal (stream full, no leader, no stream yet),
- when the connection was lost, on the new one.

What time cannot heal is `Rejected` and holds nobody up.
"""

import asyncio
from collections.abc import Callable, Sequence

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from service.core.envelope import Envelope
from service.nats.answer import Published, Result, good_start, read_refusal, read_words
from service.nats.client import BROKEN, obey_cancellation
from service.nats.flight import Flight, Pending, written
from service.nats.inbox import Inbox
from service.nats.lines import Stored
from service.nats.wire import Wire

log = structlog.get_logger(__name__)

_SWEEP_SECONDS = 0.1
_RETRY_FIRST = 0.25
_RETRY_MAX = 5.0
_DOUBLINGS_MAX = 8
"""Two to the power of some thousand sendings is no number to calculate with."""
_AT_ONCE = 256
"""Messages in one write, at most."""
_PROMPT_SECONDS = 0.25
"""Of the answers of a server that keeps pace, to a loop that reads senders for a tenth of a second.
While they are, it may have the whole window, so that it has work while this process reads. More
than a part of it would be late from a slow one: it would go to disk, or be sent twice."""
_UNPROVED = 4
"""That part of the window is for any server."""
_UNSENT_BYTES = 1024 * 1024
"""With this much waiting in nats-py the loop gets a turn to write it to the socket."""


class Publisher:
    """`attach` for each new connection, `detach` when it is lost, `run` the sweep meanwhile."""

    def __init__(
        self,
        window: int,
        window_bytes: int,
        ack_timeout: float,
        stream: str,
        on_results: Callable[[Sequence[tuple[Envelope, Result]]], None],
        on_resend: Callable[[int], None],
        on_no_stream: Callable[[], None],
        on_trouble: Callable[[str], None],
    ) -> None:
        self.window = window
        self.window_bytes = window_bytes
        self._ack_timeout = ack_timeout
        self._good_start = good_start(stream)
        self._on_results = on_results
        self._on_resend = on_resend
        self._on_no_stream = on_no_stream
        self._on_trouble = on_trouble
        self._clock = asyncio.get_running_loop().time
        self._least = -(-window // _UNPROVED)
        self._most = self._least
        """Messages that may be in flight now."""
        self._flight = Flight()
        self._wire: Wire | None = None
        self._may_send = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def in_flight(self) -> int:
        return len(self._flight)

    @property
    def in_flight_bytes(self) -> int:
        return self._flight.bytes

    @property
    def unsaved(self) -> int:
        """How many in flight are in memory only."""
        return sum(pending.envelope.row is None for pending in self._flight.all())

    @property
    def oldest_seconds(self) -> float:
        """How long the oldest unacknowledged message has waited."""
        oldest = self._flight.oldest()
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
        room = self.window_bytes - self._flight.bytes
        envelopes = take(min(self._most - len(self._flight), _AT_ONCE), room)
        data = self._begin(wire, envelopes)
        if data:
            await self._write(wire, data)

    def publish_now(self, envelopes: list[Envelope]) -> bool:
        """Sends them on the spot, where there is a connection with nothing unsent before them, and
        room for all. False: nothing has happened."""
        wire = self._wire
        if (
            wire is None
            or len(self._flight) + len(envelopes) > self._most
            or self._flight.bytes + sum(len(e.body) for e in envelopes) > self.window_bytes
            or not wire.is_prompt
        ):
            return False
        data = self._begin(wire, envelopes)
        if data:
            try:
                wire.write_now(data)
            except BROKEN:
                pass  # as in `_write`
        return True

    def _begin(self, wire: Wire, envelopes: list[Envelope]) -> bytes:
        """They are in flight from now on; what to write for it."""
        now = self._clock()
        begun = self._flight.begin(envelopes, now, now + self._ack_timeout)
        if begun:
            self._idle.clear()
        return self._written(wire, begun)

    def all_unsaved(self) -> list[Envelope]:
        """All that are in memory only; they stay in flight."""
        in_flight = [pending.envelope for pending in self._flight.all()]
        return [envelope for envelope in in_flight if envelope.row is None]

    def withdraw_unsaved(self) -> list[Envelope]:
        """Takes back what is not acknowledged and in memory only, oldest first. Whatever is still
        answered to it is nobody's: it may be stored, and then what is published of it later is a
        duplicate."""
        unsaved = [pending for pending in self._flight.all() if pending.envelope.row is None]
        for pending in unsaved:
            self._flight.end(pending.token)
        self._room_again()
        return [pending.envelope for pending in unsaved]

    async def attach(self, client: Client) -> None:
        """Send everything pending on a new connection, then let `publish` go on. Where this raises,
        `publish` waits on for the next connection."""
        inbox = client.new_inbox() + "."
        await client.subscribe(inbox + "*", future=Inbox(self._take_answer))
        wire = Wire(client, inbox, self._good_start, self._take_stored)
        resent = self._flight.all()
        for pending in resent:
            if pending in self._flight:  # its answer may have come meanwhile
                pending.sendings = 1  # what the old connection lost says nothing of the new one
                await self._send_again(wire, pending)
        self._most = self._least  # it may be another server
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
            for pending in self._flight.due(now):
                wire = self._wire
                # A server that reads no more gets nothing more to read: it would pile up here.
                if wire is None or wire.unsent_bytes > _UNSENT_BYTES:
                    break
                if pending in self._flight:
                    await self._send_again(wire, pending)
                    obey_cancellation()

    async def idle(self) -> None:
        """Wait until nothing is in flight."""
        await self._idle.wait()

    @property
    def _has_room(self) -> bool:
        return len(self._flight) < self._most and self._flight.bytes < self.window_bytes

    async def _send_again(self, wire: Wire, pending: Pending) -> None:
        pending.sendings += 1
        patience = min(_doubled(self._ack_timeout, pending.sendings), 12 * self._ack_timeout)
        pending.due = self._clock() + patience
        self._on_resend(1)
        data = self._written(wire, [pending])
        if data:
            await self._write(wire, data)

    def _written(self, wire: Wire, messages: list[Pending]) -> bytes:
        """What can never be sent is answered here."""
        data, refused = written(messages, wire.lines, wire.client.max_payload)
        for token, refusal in refused:
            self._end(token, refusal)
        return data

    async def _write(self, wire: Wire, data: bytes) -> None:
        try:
            await wire.write(data)
        except BROKEN:
            pass  # the connection is gone: they stay pending for the next one
        if wire.unsent_bytes > _UNSENT_BYTES:
            await asyncio.sleep(0)

    def _take_stored(self, stored: Stored) -> None:
        ended = self._flight.stored(stored, self._clock())
        if ended:
            self._trust(ended)
        self._room_again()
        self._tell(ended)

    def _trust(self, ended: list[tuple[Envelope, Published]]) -> None:
        """As much more as it has stored promptly."""
        _, last = ended[-1]
        is_prompt = last.seconds < _PROMPT_SECONDS
        self._most = min(self.window, self._most + len(ended)) if is_prompt else self._least

    def _take_answer(self, message: Msg) -> None:
        token = message.subject.rpartition(".")[2]
        pending = self._flight.get(token)
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
        else:
            self._on_trouble(read_words(data))

    def _end(self, token: str, result: Result) -> None:
        pending = self._flight.end(token)
        if pending is None:
            return
        self._room_again()
        self._tell([(pending.envelope, result)])

    def _tell(self, results: Sequence[tuple[Envelope, Result]]) -> None:
        try:
            self._on_results(results)
        except Exception:  # other answers, and nats-py's reading task, must not end with it
            log.exception("results_failed")

    def _room_again(self) -> None:
        if not self._flight:
            self._idle.set()
        if self._wire is not None:
            self._may_send.set()


def _doubled(first: float, sendings: int) -> float:
    return first * 2.0 ** min(sendings - 1, _DOUBLINGS_MAX)
