"""Lines with the header that nearly all of a log have, taken apart by where things stand in them.

In: a text of whole lines. Out: those that may tell of a message, with what they tell; where one has
another header than those before, `trace.Traces.read` has to say. What it tells is what that would
say, at half the cost: a pattern goes through a line character by character, and a search for one
character through thirty-two at once.

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
    Trace,
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

_OPENINGS: Final = {
    opening.decode()[0]: (opening.decode(), opening)
    for opening in (FROM, TO, MESSAGE_ID, REMOVED, CLIENT, UID, SENDER, POSTMASTER)
}
"""By their first letters, which are all different."""
_NOQUEUE: Final = NOQUEUE.decode()
_TAG_END: Final = "]: "
_ID_END: Final = ": "
_CR: Final = "\r"
_BEFORE_ID: Final = " \xef"
"""A space, or a byte order mark: a queue id may come behind it."""

_STRANGER: Final = Queue("", "", "", b"")
"""Of a program that is not Postfix."""

Skimmed = tuple[bytes, Trace | None]
"""A line without its LF, and what it tells; None where that is not known here."""


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
        heads, programs = self._heads, self._programs
        head_size, digits, tail = self._head_size, self._digits, self._tail
        looks = _MOST_LOOKS
        size = text.rfind("\n") + 1
        after = 0
        while after < size:
            start = after
            end = text.find("\n", start)
            after = end + 1
            digits_start = start + head_size
            names = digits_start + digits + len(tail)
            if (
                text[start:digits_start] not in heads
                or (digits and not text[digits_start : digits_start + digits].isdecimal())
                or text[digits_start + digits : names] != tail
            ):
                if looks == 0 or not self._learn(text[start : min(end, start + _MOST_HEADER)]):
                    looks = 0
                    skimmed.append((data[start:end], None))
                    continue
                looks -= 1
                head_size, digits, tail = self._head_size, self._digits, self._tail
                names = start + head_size + digits + len(tail)
            names_end = text.find("[", names, end)
            queue = programs.get(text[names:names_end]) if names_end > 0 else None
            if queue is None:
                queue = self._learn_program(text[names : min(end, names + _MOST_HEADER)])
                if queue is None:
                    skimmed.append((data[start:end], None))
                    continue
            tag_end = text.find(_TAG_END, names_end, names_end + _PID_DIGITS + 4)
            if tag_end < 0 or not text[names_end + 1 : tag_end].isdecimal():
                skimmed.append((data[start:end], None))
                continue
            at = tag_end + len(_TAG_END)
            id_end = text.find(_ID_END, at, min(end, at + _MOST_ID + len(_ID_END)))
            if id_end < at + _LEAST_ID or not _is_queue_id(text[at:id_end]):
                if text[at] in _BEFORE_ID:
                    skimmed.append((data[start:end], None))
                continue
            said_at = id_end + len(_ID_END)
            opened = _OPENINGS.get(text[said_at])
            if opened is None or queue is _STRANGER:
                continue
            letters, opening = opened
            said_at += len(letters)
            if text[said_at - len(letters) : said_at] != letters:
                continue
            if text[at : at + len(_NOQUEUE)] == _NOQUEUE:
                skimmed.append((data[start:end], None))
                continue
            said_end = min(end, said_at + LONGEST_TEXT)
            said = data[said_at:said_end]
            if said and text[said_end - 1] <= _CR:
                said = said.rstrip(TRAILING)
            stamp = data[start + self._priority_size : names - 1]
            trace = (queue, queue.prefix + data[at:id_end], stamp, opening, said)
            skimmed.append((data[start:end], trace))
        return skimmed

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


def _is_queue_id(word: str) -> bool:
    return word.isalnum() and word.isascii() and not "a" <= word[0] <= "z"
