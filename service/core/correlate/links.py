"""What ties one message to another: where it came from, and what became of it.

In: lines that name two queue ids. Out: a record of the one in the record set of the other; the
recipients of a message that was given a new id wait on under that.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from service.core.correlate.attempts import Attempts
from service.core.correlate.memory import Memory, begun
from service.core.correlate.records import (
    CLIENT_RECORD,
    LONGEST_RECORD,
    NOTICE_RECORD,
    ORIGIN_RECORD,
    PARENT_RECORD,
    UID_RECORD,
    add_record,
    kind_of,
    records_of,
)
from service.core.correlate.trace import Trace, Traces
from service.core.postfix.facts import Delivery
from service.core.postfix.fragments import QUEUE_ID, pattern
from service.core.postfix.shapes.delivery import read_plain

_NOTIFICATION = b" notification: "
_NON_DELIVERY = b"non-delivery"
_FORWARDED: Final = b" (forwarded as "
_FORWARDING = pattern(rf"forwarded as ({QUEUE_ID})\Z")
_LOGIN = b", sasl_username="
_ORIGINAL_QUEUE_ID: Final = b", orig_queue_id="
_ORIGINAL_ID = b" orig_id="


@dataclass(frozen=True, slots=True)
class Notice:
    """A non-delivery notice was queued."""

    queue_id: str
    kind: str
    """`sender` or `postmaster`."""


class Links:
    def __init__(self, messages: Memory, attempts: Attempts, traces: Traces) -> None:
        """`messages`: the record sets."""
        self._messages = messages
        self._attempts = attempts
        self._traces = traces
        self.on_forwarded: Callable[[bytes], None] | None = None
        """Is told of a message, by its key, of which is known now what it was forwarded from."""

    def given_back(self, trace: Trace) -> None:
        """smtpd(8): `client=..., orig_queue_id=`: a content filter gave it back."""
        if trace[4].find(_ORIGINAL_QUEUE_ID) > 0:
            # A login is the client's to choose: what follows it is not believed.
            text = trace[4][:LONGEST_RECORD].partition(_LOGIN)[0]
            origin = text.partition(_ORIGINAL_QUEUE_ID)[2].partition(b",")[0]
            if origin:
                self._inherit(trace, origin)

    def requeued(self, trace: Trace) -> None:
        """pickup(8): `uid=... orig_id=`: `postsuper -r` gave a message a new id."""
        text = trace[4]
        origin = text.rpartition(_ORIGINAL_ID)[2]
        # Where the line was cut, the sender may end like this.
        if origin != text and len(text) < LONGEST_RECORD:
            self._inherit(trace, origin)
            self._take_over(trace, origin)

    def forwarded(self, trace: Trace, stamp: bytes) -> None:
        """local(8): `(forwarded as ...)`: it lives on under another id, whose first line came
        before this one."""
        if trace[4].find(_FORWARDED) < 0:
            return
        queue, origin, _, _, text = trace
        queue_id = origin[len(queue.prefix) :]
        # The whole line is read: a server that took a message may answer in these words, too.
        read = read_plain((queue_id + b": to=<" + text).decode("utf-8", "replace"))
        facts = None if read is None else read[1]
        match = _FORWARDING.match(facts.response) if isinstance(facts, Delivery) else None
        if match is None:
            return
        key = queue.prefix + match[1].encode()
        ended = None if key in self._messages.entries else self._messages.left(key)
        if ended is not None:  # before it was told what it came from; its events may wait for that
            self._messages.add(key, ended)
        self._link(key, ORIGIN_RECORD + queue_id, stamp)
        parent = self._messages.get(origin)
        if parent is not None:
            self._add_parent(key, parent)
        if ended is not None:
            self._messages.close(key, begun(stamp))
        if self.on_forwarded is not None:
            self.on_forwarded(key)

    def notified(self, trace: Trace, stamp: bytes) -> Notice | None:
        """bounce(8) made a message of its own; before 3.11 that message's lines come first."""
        queue, origin, _, opening, text = trace
        said, _, queue_id = text.rpartition(_NOTIFICATION)
        if not queue_id.isalnum():
            return None
        self._link(queue.prefix + queue_id, NOTICE_RECORD + origin[len(queue.prefix) :], stamp)
        if said != _NON_DELIVERY:
            return None  # a delay is no failure, and success is none either
        return Notice(queue_id.decode("ascii"), opening.rstrip().decode("ascii"))

    def _inherit(self, trace: Trace, origin: bytes) -> None:
        """A message that was made from another came to this host as that one did."""
        queue, key, _, _, _ = trace
        for candidate in (queue, *self._traces.siblings(queue)):
            parent = self._messages.get(candidate.prefix + origin)
            if parent is not None:
                self._add_parent(key, parent)
                return

    def _add_parent(self, key: bytes, parent: bytes) -> None:
        known = self._messages.entries.get(key)
        if known is None or PARENT_RECORD in known:
            return
        records = {kind_of(record): record for record in reversed(records_of(parent))}
        # What that one had inherited itself comes first: it was the same mail before.
        inherited = records.get(PARENT_RECORD, b"")[1:]
        record = inherited or records.get(CLIENT_RECORD) or records.get(UID_RECORD)
        if record is not None:
            self._messages.put(key, known + PARENT_RECORD + record)

    def _take_over(self, trace: Trace, origin: bytes) -> None:
        queue, key, _, _, _ = trace
        old = queue.prefix + origin
        self._attempts.take_over(key, old)
        self._attempts.drop(old)
        self._messages.discard(old)

    def _link(self, key: bytes, record: bytes, stamp: bytes) -> None:
        """To where it comes from; it comes from one."""
        known = self._messages.entries.get(key)
        if known is None or record[: len(ORIGIN_RECORD)] not in known:
            add_record(self._messages, key, record, stamp)
