"""`mailfault parse`: log lines to event JSON, no network."""

import json
import os
import sys
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas.vocabulary import Transport
from service.cli.configuration import load, nested, pipeline_of, privacy_of
from service.cli.input_lines import open_log, read_lines
from service.cli.terminal import end_quietly, json_line, printable
from service.core.assemble import Event
from service.core.framing.base import MAX_FRAME_BYTES
from service.core.outcomes import Skip
from service.received import Origin, new_stream


def parse(
    files: Annotated[
        list[str] | None,
        typer.Argument(help="Log files; .gz, .xz and .zst too; - or nothing for standard input."),
    ] = None,
    every_line: Annotated[
        bool,
        typer.Option("--every-line", help="Account for each input line, events and others."),
    ] = False,
    summary: Annotated[
        bool, typer.Option("--summary", help="A table of counts instead of events.")
    ] = False,
    timezone: Annotated[
        str | None, typer.Option(help="Zone of stamps without one, as Europe/Berlin.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML configuration file.")] = None,
) -> None:
    """Read log lines, write one event as JSON a line.

    Example: mailfault parse /var/log/mail.log /var/log/mail.log.2.gz | jq .category
    """
    settings = load(config, nested(pipeline__default_timezone=timezone))
    pipeline = pipeline_of(settings, privacy_of(settings))
    counts = _Counts()
    output = _Output(counts.add if summary else partial(_write, is_numbered=every_line))
    number = 0
    failed = False
    for path in files or ["-"]:
        try:
            with open_log(path) as file:
                written_at = _written_at(path)
                for frame in read_lines(file, MAX_FRAME_BYTES):
                    number += 1
                    now = datetime.now(UTC)
                    done = output.place(number)
                    pipeline.read_line(frame, _ORIGIN, now, written_at or now, done)
                    pipeline.overdue(now)
                    if output.is_long:
                        pipeline.release_all(now)
                    output.flush()
        except BrokenPipeError:  # the reader of our output has seen enough
            end_quietly()
        except OSError as error:
            typer.echo(f"parse: {error}", err=True)
            failed = True
    try:
        pipeline.release_all(datetime.now(UTC))
        output.flush()
        if summary:
            counts.show()
        sys.stdout.flush()  # little output is written only here
    except BrokenPipeError:
        end_quietly()
    if failed:
        raise typer.Exit(1)


_LOOK_AHEAD = 2000
"""Lines that wait for one before them at most."""
_ORIGIN = Origin(Transport.FILE.value, None, new_stream())


def _written_at(path: str) -> datetime | None:
    """When a file was written last: near that lie its stamps, which may name no year. None: now."""
    return None if path == "-" else datetime.fromtimestamp(os.stat(path).st_mtime, UTC)


Outcome = list[Event] | Skip


class _Output:
    """What became of each line, in the order of the lines: a later line may complete an earlier
    one, so some wait."""

    def __init__(self, write: Callable[[int, Outcome], None]) -> None:
        self._write = write
        self._places: deque[_Place] = deque()

    @property
    def is_long(self) -> bool:
        return len(self._places) > _LOOK_AHEAD

    def place(self, number: int) -> Callable[[Outcome], None]:
        place = _Place(number)
        self._places.append(place)
        return place.fill

    def flush(self) -> None:
        places = self._places
        while places and (outcome := places[0].outcome) is not None:
            self._write(places.popleft().number, outcome)


@dataclass(slots=True, eq=False)
class _Place:
    number: int
    outcome: Outcome | None = None

    def fill(self, outcome: Outcome) -> None:
        self.outcome = outcome


def _write(number: int, outcome: Outcome, is_numbered: bool) -> None:
    out = sys.stdout.buffer
    if isinstance(outcome, Skip):
        if is_numbered:
            skipped = {"line": number, "event_type": None, "skipped": outcome.value}
            out.write(json.dumps(skipped).encode() + b"\n")
        return
    for event in outcome:
        body = json_line(event.model_dump_json()).encode()
        out.write(b'{"line":%d,' % number + body[1:] + b"\n" if is_numbered else body + b"\n")


class _Counts:
    """Lines and events of a whole run, for `--summary`."""

    def __init__(self) -> None:
        self._lines = 0
        self._skipped: Counter[str] = Counter()
        self._events: dict[str, Counter[str]] = {
            name: Counter() for name in ("type", "category", "host")
        }

    def add(self, number: int, outcome: Outcome) -> None:
        self._lines += 1
        if isinstance(outcome, Skip):
            self._skipped[outcome.value] += 1
            return
        for event in outcome:
            self._events["type"][event.event_type] += 1
            self._events["category"][event.category or "-"] += 1
            self._events["host"][event.mta.host] += 1

    def show(self) -> None:
        console = Console()
        sections: list[tuple[str, Any]] = [*self._events.items(), ("skipped", self._skipped)]
        for name, counter in sections:
            table = Table(name, "count", title_justify="left", width=60)
            for value, count in counter.most_common(20):
                table.add_row(Text(printable(value)), str(count))  # not a str: markup is one
            console.print(table)
        console.print(f"{self._lines} lines")
