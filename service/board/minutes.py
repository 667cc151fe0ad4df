"""Events per minute by kind, for as long as the page looks back."""

from collections.abc import Iterator

from service.board.summary import KINDS

_PLACE = {kind: place for place, kind in enumerate(KINDS)}
_POINTS = 120
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120)
"""Minutes that one bar of the chart may stand for."""


class Minutes:
    """Bounded by `seconds`: one row of counts for each minute of it."""

    def __init__(self, seconds: float) -> None:
        self._kept = int(seconds) // 60
        self._rows: dict[int, list[int]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, kind: str, at: float) -> None:
        """`at` must not be in the future, nor before what is kept."""
        row = self._rows.setdefault(int(at) // 60, [0] * len(KINDS))
        row[_PLACE[kind]] += 1

    def forget(self, now: float) -> None:
        oldest = int(now) // 60 - self._kept
        for minute in [minute for minute in self._rows if minute < oldest]:
            del self._rows[minute]

    def chart(self, seconds: float, now: float) -> tuple[int, int, list[list[int]]]:
        """When the first bar begins, how many seconds each is, and the bars, oldest first. The last
        one is not over yet."""
        step = next((s for s in _STEPS if seconds / 60 / s <= _POINTS), _STEPS[-1])
        last = int(now) // 60 // step
        first = last - int(seconds) // 60 // step + 1
        bars = [[0] * len(KINDS) for _ in range(first, last + 1)]
        for bar, row in self._within(first * step, first, step):
            for place, count in enumerate(row):
                bars[bar][place] += count
        return first * step * 60, step * 60, bars

    def totals(self, seconds: float, now: float) -> list[int]:
        """By kind, over that long up to now."""
        first = int(now) // 60 - int(seconds) // 60 + 1
        totals = [0] * len(KINDS)
        for _, row in self._within(first, first, 1):
            for place, count in enumerate(row):
                totals[place] += count
        return totals

    def _within(self, minute: int, first: int, step: int) -> Iterator[tuple[int, list[int]]]:
        for at, row in self._rows.items():
            if at >= minute:
                yield at // step - first, row
