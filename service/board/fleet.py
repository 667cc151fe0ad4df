"""The MTAs: when each was heard of last, and whether its silence is unusual.

The board sees failures, not every line. An MTA that fails little is quiet for long and all is well,
so each is measured by itself: it is silent when it was quiet for `silent_after`, and for many times
its own usual pause between two events.

Bounded: beyond `capacity` the one that was heard of longest ago is forgotten, and counted.
"""

from collections import OrderedDict
from dataclasses import dataclass

_PAUSES = 8
"""How many usual pauses are unusual."""
_ENOUGH = 10
"""With fewer events nobody knows what is usual."""
_MEMORY = 100
"""The usual pause is a mean over about so many of the last ones."""


@dataclass(slots=True)
class Mta:
    name: str
    heard: float
    events: int = 1
    pause: float = 0.0

    def hear(self, at: float) -> None:
        if at > self.heard:  # clocks and ways differ: an older one says nothing of pauses
            weight = min(self.events, _MEMORY)
            self.pause += (at - self.heard - self.pause) / weight
            self.heard = at
        self.events += 1

    def is_silent(self, now: float, after: float) -> bool:
        quiet = now - self.heard
        return self.events >= _ENOUGH and quiet > after and quiet > _PAUSES * self.pause


class Fleet:
    def __init__(self, capacity: int, silent_after: float) -> None:
        self._capacity = capacity
        self._silent_after = silent_after
        self._mtas: OrderedDict[str, Mta] = OrderedDict()
        """The one heard of longest ago first."""
        self.forgotten = 0
        """Given up to stay within the bound."""

    def __len__(self) -> int:
        return len(self._mtas)

    def take(self, name: str, at: float) -> None:
        mta = self._mtas.get(name)
        if mta is not None:
            mta.hear(at)
            self._mtas.move_to_end(name)
            return
        self._mtas[name] = Mta(name, at)
        if len(self._mtas) > self._capacity:
            self._mtas.popitem(last=False)
            self.forgotten += 1

    def names(self) -> list[str]:
        return sorted(self._mtas)

    def silent(self, now: float) -> list[Mta]:
        """Those silent longest first."""
        silent = [m for m in self._mtas.values() if m.is_silent(now, self._silent_after)]
        return sorted(silent, key=lambda mta: mta.heard)
