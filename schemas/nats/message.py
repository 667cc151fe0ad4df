"""One event in hand, the ways to settle it, and the counts of what became of all.

In: what JetStream delivered. Out: one answer to its reply subject (ADR-13): ack, nak with a delay,
or term with a reason.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from nats.aio.msg import Msg

from ..codec import Event

_REASON_MAX = 256
_NANOSECONDS = 10**9

ACK = b"+ACK"
IN_PROGRESS = b"+WPI"


class Terminate(Exception):
    """Raised by a handler: this event can never be dealt with, do not deliver it again.

    The consumer terminates it with the text as the reason, counts it, and goes on with the next.
    """


@dataclass(slots=True)
class Counts:
    """What became of what was delivered: each delivery ends in exactly one of the others, or is in
    hand, or was neither settled nor kept by the program and comes again after `ack_wait`."""

    delivered: int = 0
    """By JetStream, redeliveries included."""
    acked: int = 0
    """Dealt with."""
    filtered: int = 0
    """Acknowledged unseen: another category or domain."""
    naked: int = 0
    """Failed, to be delivered again after a while."""
    returned: int = 0
    """Fetched, and given back untouched: on stopping, or because another one is handled alone."""
    terminated: int = 0
    """The program's own decision: `term` or `Terminate`."""
    poison: int = 0
    """The consumer's decision: not decodable, or delivered too often."""


Publish = Callable[[str, bytes], Awaitable[None]]


def nak(delay: float) -> bytes:
    """Redeliver in `delay` seconds."""
    if delay <= 0:
        return b"-NAK"
    return b"-NAK " + json.dumps({"delay": int(delay * _NANOSECONDS)}).encode()


def term(reason: str) -> bytes:
    """Never redeliver. The reason is in the server's advisory `...MSG_TERMINATED...`."""
    words = " ".join(reason.split())[:_REASON_MAX]
    return f"+TERM {words}".rstrip().encode("utf-8", "replace")


class Message:
    """A typed event, and what JetStream says of its delivery. Settle it once: `ack`, `nak` or
    `term`. While it is neither settled nor let go of, JetStream is told that work goes on."""

    __slots__ = ("__weakref__", "_counts", "_delay_after", "_publish", "event", "raw", "settled")

    def __init__(
        self,
        event: Event,
        raw: Msg,
        publish: Publish,
        counts: Counts,
        delay_after: Callable[[int], float],
    ) -> None:
        self.event = event
        self.settled = False
        self.raw = raw
        """As nats-py delivered it."""
        self._publish = publish
        self._counts = counts
        self._delay_after = delay_after

    def __repr__(self) -> str:
        return f"<Message {self.event.event_id} delivery {self.deliveries} of {self.subject}>"

    @property
    def subject(self) -> str:
        return self.raw.subject

    @property
    def data(self) -> bytes:
        """The payload as published."""
        return self.raw.data

    @property
    def headers(self) -> Mapping[str, str]:
        """`Nats-Msg-Id` and those of CloudEvents."""
        return self.raw.headers or {}

    @property
    def metadata(self) -> Msg.Metadata:
        """Sequence numbers, time of publication, how many events wait behind this one."""
        return self.raw.metadata

    @property
    def deliveries(self) -> int:
        """How often it was delivered, this time included: above 1 it may have been dealt with."""
        return self.metadata.num_delivered

    async def ack(self) -> None:
        """Dealt with."""
        await self._settle(ACK)
        self._counts.acked += 1

    async def nak(self, delay: float | None = None) -> None:
        """Failed for now: deliver it again in `delay` seconds; without, after the consumer's
        `backoff` for so many deliveries."""
        await self._settle(nak(self._delay_after(self.deliveries) if delay is None else delay))
        self._counts.naked += 1

    async def term(self, reason: str = "") -> None:
        """Failed for good: never deliver it again."""
        await self._settle(term(reason))
        self._counts.terminated += 1

    async def in_progress(self) -> None:
        """Still at it: `ack_wait` begins anew. The consumer says so by itself while the program
        keeps the message and the event loop turns."""
        await self._publish(self.raw.reply, IN_PROGRESS)

    async def _settle(self, answer: bytes) -> None:
        if self.settled:
            raise RuntimeError(f"{self!r} has been settled already")
        await self._publish(self.raw.reply, answer)
        self.settled = True
