"""What is kept of a message with deferred recipients: how often qmgr took it up, and their names.

One value of a `Memory`: behind its stamp the activations in decimal, a line feed, and the names
with a NUL between them. Of each name its recipient's own value has the rest (`waiting`).
"""

from typing import Final

from service.core.correlate.memory import STAMP_BYTES

NAME: Final = b"\0"
"""Stands before the name of a recipient in his key, and between names."""
_LF: Final = ord("\n")
_ZERO: Final = ord("0")


def name_of(recipient: str) -> bytes:
    return recipient.replace("\0", "?").encode("utf-8", "replace")


def key_of(key: bytes, recipient: str) -> bytes:
    """Of a recipient of a message."""
    return key + NAME + name_of(recipient)


def activations(queued: bytes) -> int:
    # Digit by digit: it is nearly always one, and costs a tenth of finding its end for `int`.
    number, place = 0, STAMP_BYTES
    while queued[place] != _LF:
        number = number * 10 + queued[place] - _ZERO
        place += 1
    return number


def activated(queued: bytes) -> bytes:
    """Once more."""
    before, newline, names = queued[STAMP_BYTES:].partition(b"\n")
    return b"%b%d%b%b" % (queued[:STAMP_BYTES], int(before) + 1, newline, names)


def names_of(queued: bytes) -> list[bytes]:
    return queued[names_start(queued) :].split(NAME)


def names_start(queued: bytes) -> int:
    return queued.index(b"\n", STAMP_BYTES) + 1


def name_end(queued: bytes, place: int) -> int:
    """Of the name that begins there. Where all were asked for, and nearly always the first will do,
    a message with thousands of them cost as much at each of its lines."""
    end = queued.find(NAME, place)
    return len(queued) if end < 0 else end


def rotated(queued: bytes, place: int) -> bytes:
    """The names from `place` on, then those before them."""
    first = names_start(queued)
    return queued[:first] + queued[place:] + NAME + queued[first : place - len(NAME)]
