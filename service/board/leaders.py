"""Which causes, domains, providers and MTAs fail most: counts of names, in slices of time.

In: failures. Out: the first few of each kind over the last hours. The names come from log lines, so
a stranger can make up as many as he likes: a slice takes so many different ones of a kind, and what
comes after is counted without a name. Names that matter come early in a slice, as they come often.
"""

from dataclasses import dataclass

from service.board.summary import FAILURES, Summary

SLICES = 144
"""Of the whole history: ten minutes each of a day."""
GROUPS = ("category", "domain", "provider", "mta")
_PLACE = {kind: place for place, kind in enumerate(FAILURES)}

Counts = list[int]
"""By kind of failure."""


@dataclass(frozen=True, slots=True)
class Leaders:
    first: list[tuple[str, Counts]]
    """The most frequent names, most first."""
    others: int
    """Failures of all other names, and of those that were not kept."""


class LeaderBoard:
    def __init__(self, seconds: float, names: int) -> None:
        self._slice_seconds = seconds / SLICES
        self._names = names
        self._slices: dict[int, _Slice] = {}

    @property
    def names(self) -> int:
        """Kept now, over all slices and groups."""
        return sum(len(group) for part in self._slices.values() for group in part.groups.values())

    def add(self, event: Summary, at: float) -> None:
        number = int(at // self._slice_seconds)
        part = self._slices.get(number)
        if part is None:
            part = self._slices[number] = _Slice(self._names)
        part.add(event)

    def forget(self, now: float) -> None:
        oldest = int(now // self._slice_seconds) - SLICES
        for number in [number for number in self._slices if number < oldest]:
            del self._slices[number]

    def leaders(self, group: str, seconds: float, now: float, limit: int) -> Leaders:
        """Over that long up to now, to the slice."""
        oldest = int((now - seconds) // self._slice_seconds)
        sums: dict[str, Counts] = {}
        unnamed = 0
        for number, part in self._slices.items():
            if number < oldest:
                continue
            unnamed += part.unnamed[group]
            for name, counts in part.groups[group].items():
                known = sums.get(name)
                if known is None:
                    sums[name] = counts.copy()
                else:
                    for place, count in enumerate(counts):
                        known[place] += count
        ranked = sorted(sums.items(), key=lambda item: (-sum(item[1]), item[0]))
        others = unnamed + sum(sum(counts) for _, counts in ranked[limit:])
        return Leaders(ranked[:limit], others)


class _Slice:
    def __init__(self, names: int) -> None:
        self._names = names
        self.groups: dict[str, dict[str, Counts]] = {group: {} for group in GROUPS}
        self.unnamed = dict.fromkeys(GROUPS, 0)

    def add(self, event: Summary) -> None:
        place = _PLACE[event.kind]
        for group, names in self.groups.items():
            name: str | None = getattr(event, group)
            if not name:
                continue
            counts = names.get(name)
            if counts is None:
                if len(names) >= self._names:
                    self.unnamed[group] += 1
                    continue
                counts = names[name] = [0] * len(FAILURES)
            counts[place] += 1
