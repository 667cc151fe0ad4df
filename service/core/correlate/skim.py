"""Lines with the header that nearly all of a log have, taken apart by where things stand in them.

In: a text of whole lines. Out: those that may tell of a message, with what they tell; where one has
another header than those before, `trace.Traces.read` has to say. What it tells is what that would
say, for fewer instructions where this is compiled: a pattern goes through a line character by
character, and a search for one character through many at once.

What stands before the fraction of a second, and what behind it, is remembered of earlier lines, and
so are host and program; between them only digits are let through. So whatever a line holds, its
header is one that a pattern has seen.
"""

import re
from typing import Final

from service.core.correlate.trace import (
    CLIENT,
    FROM,
    LONGEST_TEXT,
    MESSAGE_ID,
    NOQUEUE,
    POSTMASTER,
    REMOVED,
    SENDER,
    TO,
    TRAILING,
    UID,
    Queue,
    Skimmed,
    Traces,
)

_HEAD: Final = re.compile(
    r"(<[0-9]{1,3}>|)(?:"
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,9}|)((?:Z|[-+][0-9:]{5}) )"
    r"|([A-Z][a-z]{2} [ 0-3][0-9] [0-9:]{8})( ))"
)
_MOST_HEADS: Final = 64
"""Of hosts whose clocks do not agree, and severities."""
_MOST_LOOKS: Final = 8
"""In one text, for another form of header: where forms take turns, patterns are the quicker way."""
_LONGEST_NAMES: Final = 128
_MOST_PROGRAMS: Final = 8192
_PID_DIGITS: Final = 7
_LEAST_ID: Final = 5
_MOST_ID: Final = 32
_MOST_HEADER: Final = 256
"""Bytes that are looked at in search of its parts."""

# Characters as bytes.
_0: Final = ord("0")
_9: Final = ord("9")
_UPPER_A: Final = ord("A")
_UPPER_Z: Final = ord("Z")
_LOWER_A: Final = ord("a")
_LOWER_Z: Final = ord("z")
_SPACE: Final = ord(" ")
_COLON: Final = ord(":")
_BRACKET: Final = ord("]")
_CR: Final = ord("\r")
_BOM: Final = 0xEF
_LOWER_C: Final = ord("c")
_LOWER_F: Final = ord("f")
_LOWER_M: Final = ord("m")
_LOWER_P: Final = ord("p")
_LOWER_R: Final = ord("r")
_LOWER_S: Final = ord("s")
_LOWER_T: Final = ord("t")
_LOWER_U: Final = ord("u")
_NONE: Final = b""

_STRANGER: Final = Queue("", "", "", b"")
"""Of a program that is not Postfix."""


class Skimmer:
    def __init__(self, traces: Traces) -> None:
        """`traces`: knows whose line it is by host and tag."""
        self._traces = traces
        self._heads: set[str] = set()
        """Priority and stamp up to its point, of lines that have these:"""
        self._priority_size = 0
        self._head_size = 0
        self._digits = 0
        self._tail = ""
        """The zone, if any, and a space."""
        self._programs: dict[str, Queue] = {}
        """By host and program, as they stand there."""

    def lines(self, data: bytes) -> list[Skimmed]:
        """Of a text that ends with LF. Never raises."""
        # Searched as text, a character a byte: the compiled core asks a text without the
        # interpreter, and bytes not.
        text = data.decode("latin-1")
        skimmed: list[Skimmed] = []
        looks = _MOST_LOOKS
        size = text.rfind("\n") + 1
        after = 0
        while after < size:
            start = after
            end = text.find("\n", start)
            after = end + 1
            head_end = start + self._head_size
            if text[start:head_end] not in self._heads or not self._is_stamp(data, text, head_end):
                if looks == 0 or not self._learn(text[start : min(end, start + _MOST_HEADER)]):
                    looks = 0
                    skimmed.append((data[start:end], None))
                    continue
                looks -= 1
                head_end = start + self._head_size
            names = head_end + self._digits + len(self._tail)
            names_end = text.find("[", names, end)
            queue = self._programs.get(text[names:names_end]) if names_end > 0 else None
            if queue is None:
                queue = self._learn_program(text[names : min(end, names + _MOST_HEADER)])
                if queue is None:
                    skimmed.append((data[start:end], None))
                    continue
            at = names_end + 1
            pid_end = at + _PID_DIGITS
            while at < pid_end and _0 <= data[at] <= _9:
                at += 1
            if (
                at == names_end + 1
                or data[at] != _BRACKET
                or data[at + 1] != _COLON
                or data[at + 2] != _SPACE
            ):
                skimmed.append((data[start:end], None))
                continue
            at += 3
            first = data[at]
            if not (_0 <= first <= _9 or _UPPER_A <= first <= _UPPER_Z):
                if first in (_SPACE, _BOM):
                    skimmed.append((data[start:end], None))
                continue
            id_start = at
            at += 1
            id_end = id_start + _MOST_ID + 1
            while at < id_end:
                byte = data[at]
                if not (
                    _0 <= byte <= _9 or _UPPER_A <= byte <= _UPPER_Z or _LOWER_A <= byte <= _LOWER_Z
                ):
                    break
                at += 1
            if (
                queue is _STRANGER
                or not _LEAST_ID <= at - id_start <= _MOST_ID
                or data[at] != _COLON
                or data[at + 1] != _SPACE
            ):
                continue
            queue_id = data[id_start:at]
            at += 2
            opening = _opening(data, at)
            if not opening:
                continue
            if queue_id[: len(NOQUEUE)] == NOQUEUE:
                skimmed.append((data[start:end], None))
                continue
            at += len(opening)
            said = data[at : min(end, at + LONGEST_TEXT)]
            if said and said[-1] <= _CR:
                said = said.rstrip(TRAILING)
            stamp = data[start + self._priority_size : names - 1]
            trace = (queue, queue.prefix + queue_id, stamp, opening, said)
            skimmed.append((data[start:end], trace))
        return skimmed

    def _is_stamp(self, data: bytes, text: str, at: int) -> bool:
        """Whether its digits and the tail follow."""
        digits_end = at + self._digits
        while at < digits_end:
            if not _0 <= data[at] <= _9:
                return False
            at += 1
        return text[at : at + len(self._tail)] == self._tail

    def _learn(self, line: str) -> bool:
        """How the header of this line begins, and from now on is expected to."""
        found = _HEAD.match(line)
        if found is None:
            return False
        priority, whole, fraction, zone, traditional, space = found.groups()
        if traditional is not None:
            head, digits, tail = priority + traditional, 0, space
        elif fraction:
            head, digits, tail = priority + whole + ".", len(fraction) - 1, zone
        else:
            head, digits, tail = priority + whole, 0, zone
        if (
            len(self._heads) >= _MOST_HEADS
            or len(head) != self._head_size
            or len(priority) != self._priority_size
            or digits != self._digits
            or tail != self._tail
        ):
            self._heads.clear()
        self._heads.add(head)
        self._priority_size, self._head_size = len(priority), len(head)
        self._digits, self._tail = digits, tail
        return True

    def _learn_program(self, names: str) -> Queue | None:
        """Whose line it is; None where that is in no common form."""
        bracket = names.find("[")
        end = names.find("]: ", bracket)
        if not 0 < bracket < end or bracket > _LONGEST_NAMES:
            return None
        found = self._traces.known(names[: end + 1].encode("latin-1"))
        if found is None:
            return None
        (queue,) = found
        if len(self._programs) >= _MOST_PROGRAMS:
            self._programs.clear()
        known = _STRANGER if queue is None else queue
        self._programs[names[:bracket]] = known
        return known


def _opening(data: bytes, at: int) -> bytes:
    """Of what a line tells of a message, behind its queue id; empty where it tells nothing."""
    first = data[at]
    opening = _NONE
    if first == _LOWER_T:
        opening = TO
    elif first == _LOWER_F:
        opening = FROM
    elif first == _LOWER_M:
        opening = MESSAGE_ID
    elif first == _LOWER_R:
        opening = REMOVED
    elif first == _LOWER_C:
        opening = CLIENT
    elif first == _LOWER_U:
        opening = UID
    elif first == _LOWER_S:
        opening = SENDER
    elif first == _LOWER_P:
        opening = POSTMASTER
    return opening if data[at : at + len(opening)] == opening else _NONE
