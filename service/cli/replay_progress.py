"""How far a replay is, on stderr: a bar on a terminal, else a line now and then.

In: bytes and lines read. Out: text for people, no column over the terminal's width.
"""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from service.cli.terminal import console

_SAY_SECONDS = 10.0
_MINUTE = 60


class Shown(Protocol):
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
    def show(self, position: int, lines: int, is_connected: bool) -> None: ...


def progress(total: int | None) -> Shown:
    """`total`: bytes; None where nobody knows."""
    out = console(stderr=True)
    return Bar(total) if out.is_terminal else Said(total)


class Bar:
    def __init__(self, total: int | None) -> None:
        self._began = time.monotonic()
        self._progress = Progress(
            TextColumn("{task.fields[state]}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%" if total is not None else ""),
            TextColumn("{task.fields[lines]:,} lines"),
            TextColumn("{task.fields[rate]:,.0f}/s"),
            TimeRemainingColumn(compact=True),
            console=console(stderr=True),
            transient=True,
            expand=True,
        )
        self._task = self._progress.add_task("", total=total, state="replay", lines=0, rate=0.0)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def show(self, position: int, lines: int, is_connected: bool) -> None:
        self._progress.update(
            self._task,
            completed=position,
            state="replay" if is_connected else "waits for NATS",
            lines=lines,
            rate=lines / max(time.monotonic() - self._began, 0.001),
        )


class Said:
    """A line every ten seconds."""

    def __init__(self, total: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._clock = clock
        self._began = self._said = clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def show(self, position: int, lines: int, is_connected: bool) -> None:
        now = self._clock()
        if now - self._said < _SAY_SECONDS:
            return
        self._said = now
        words = self._words(position, lines, now - self._began)
        waits = "" if is_connected else "; waits for NATS"
        typer.echo(f"replay: {words}{waits}", err=True)

    def _words(self, position: int, lines: int, seconds: float) -> str:
        words = f"{lines:,} lines, {lines / seconds:,.0f}/s"
        if not self._total or not position:
            return words
        left = int(seconds * (self._total - position) / position)
        return (
            f"{100 * position / self._total:.0f}%, {words}, "
            f"{left // _MINUTE}:{left % _MINUTE:02} left"
        )
