"""What is kept of a message: a record for each kind of line that told of it.

A record set is one value of a `Memory`: behind its stamp each record is a line, a letter for its
kind, then the line's own text. It is read only once the message fails (`story`).
"""

from typing import Final

from service.core.correlate.memory import STAMP_BYTES, Memory

# `Final`: the compiled core then looks no name up.
SEPARATOR: Final = b"\x1f"
"""Stands between the stamp of a line and its text in records of the kinds `c`, `u` and `b`. Postfix
prints no control characters."""

CLIENT_RECORD: Final = b"\nc"
UID_RECORD: Final = b"\nu"
BEGUN_RECORD: Final = b"\nb"
"""The first line seen is cleanup's: a message that Postfix made itself, or a line was lost."""
MESSAGE_ID_RECORD: Final = b"\nm"
ACTIVE_RECORD: Final = b"\nf"
PARENT_RECORD: Final = b"\np"
"""The `c` or `u` record of the message this one was made from."""
ORIGIN_RECORD: Final = b"\nl"
"""The queue id of that message, where none of the lines of this one names it."""
NOTICE_RECORD: Final = b"\nn"
"""It is a notice that Postfix made of another message."""
ASKED_RECORD: Final = b"\na"
"""The other receivers were asked what they know of it."""

LONGEST_RECORD: Final = 1024
"""Bytes that are kept of a line's text: all of a header line of 998, and of any address that mail
servers know. Of one that is cut nothing is believed that stands at its end: whoever chose a long
address may have placed there what looks like one."""
NEIGHBOUR_SECONDS: Final = 60
"""How far apart the beginnings of one message may be that two sources tell of."""


def add_record(messages: Memory, key: bytes, record: bytes, stamp: bytes) -> None:
    """Once. `stamp` is for a message of which nothing is known yet."""
    known = messages.entries.get(key)
    if known is None:
        messages.add(key, stamp + record)
    elif record not in known:
        messages.put(key, known + record)


def records_of(value: bytes) -> list[bytes]:
    """Without the line feeds before them."""
    return value[STAMP_BYTES + 1 :].split(b"\n")


def kind_of(record: bytes) -> bytes:
    return b"\n" + record[:1]


def has_begun(value: bytes) -> bool:
    """Whether the first line that Postfix writes of a message was seen."""
    # Asked at every message-id, so in the order in which they are likely. (`in` costs CPython an
    # exception.)
    return _comes_first(value, CLIENT_RECORD) or value.find(BEGUN_RECORD) >= 0 or has_source(value)


def has_source(value: bytes) -> bool:
    """Whether it tells of a client or a user."""
    return (
        _comes_first(value, CLIENT_RECORD)
        or value.find(CLIENT_RECORD) >= 0
        or value.find(UID_RECORD) >= 0
    )


def _comes_first(value: bytes, kind: bytes) -> bool:
    """Of a client's record it is nearly always so; to look for it costs several times as much."""
    return value[STAMP_BYTES : STAMP_BYTES + len(kind)] == kind
