"""Which of several equal lines this is: so that a line logged twice is two events, and a line sent
twice is one.

In: the stream a line came in and the id it has as the only one of its kind. Out: how many equal
ones came before it in that stream. A stream is one connection, or one sending address of UDP.

Only lines whose stamp does not tell them apart are asked about: with whole seconds, or none. A
sender that resends does so on a new connection, where counting begins anew, so that the first of
two equal lines is the first there too. What this cannot tell is stated in the README.

Bounded: of at least the last `bound` lines that were asked about, in all streams together, is known
how often each was seen; what is older is forgotten, and the next equal line is a first one.
"""

import re

_FRACTION = re.compile(r"[.,](\d*)")
_Key = tuple[int, str]


class Occurrences:
    def __init__(self, bound: int) -> None:
        self.bound = bound
        self.forgotten = 0
        """Entries given up to stay within the bound."""
        # Two generations: the older is let go of as a whole, which costs nothing per line.
        self._young: dict[_Key, int] = {}
        self._old: dict[_Key, int] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def before(self, stream: int, event_id: str) -> int:
        """How many equal ones came before; counts this one."""
        key = (stream, event_id)
        seen = self._young.get(key)
        if seen is None:
            seen = self._old.pop(key, 0)
            if len(self._young) >= self.bound:
                self.forgotten += len(self._old)
                self._old, self._young = self._young, {}
        self._young[key] = seen + 1
        return seen


def is_told_apart(stamp: str) -> bool:
    """Whether a stamp is so fine that equal lines with it are one line, sent again: fractions of a
    second, or journald's microseconds. A fraction of zeros tells nothing: syslog-ng writes it where
    it was given whole seconds."""
    point = stamp.find(".")
    if "0" < stamp[point + 1 : point + 2] <= "9" and point > 0 and "," not in stamp:
        return True  # as most do
    fraction = _FRACTION.search(stamp)
    if fraction is None:
        return len(stamp) > 10 and stamp.isdecimal()
    return bool(fraction[1].strip("0"))
