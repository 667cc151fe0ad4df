"""`mailfault parse`: log lines to event JSON, no network."""

import json
import sys
from collections import Counter
from functools import partial
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from service.cli.configuration import ConfigFile, TimeZone, load, nested, pipeline_of, privacy_of
from service.cli.in_order import InOrder, Outcome
from service.cli.input_lines import open_log, read_lines
from service.cli.log_files import log_file
from service.cli.terminal import console, end_quietly, json_line, printable
from service.core.framing.base import MAX_FRAME_BYTES
from service.core.outcomes import Skip


def parse(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE",
            help="Log files; .gz, .xz and .zst too; - or nothing for standard input.",
        ),
    ] = None,
    every_line: Annotated[
        bool,
        typer.Option("--every-line", help="Account for each input line, events and others."),
    ] = False,
    summary: Annotated[
        bool, typer.Option("--summary", help="A table of counts instead of events.")
    ] = False,
    timezone: TimeZone = None,
    config: ConfigFile = None,
) -> None:
    """Read log lines and write their events, one JSON object a line.

    Examples:

      mailfault parse /var/log/mail.log | jq -r .category
      mailfault parse --summary /var/log/mail.log.2.gz /var/log/mail.log.1
      journalctl -t postfix/smtp -o short-iso | mailfault parse --every-line
    """
    settings = load(config, nested(pipeline__default_timezone=timezone))
    pipeline = pipeline_of(settings, privacy_of(settings))
    counts = _Counts()
    lines = InOrder(pipeline, counts.add if summary else partial(_write, is_numbered=every_line))
    failed = False
    for path in files or ["-"]:
        try:
            file = log_file(path)
            with open_log(path) as log:
                for frame in read_lines(log.text, MAX_FRAME_BYTES):
                    lines.read(frame, file.near, file.newest)
        except BrokenPipeError:  # the reader of our output has seen enough
            end_quietly()
        except OSError as error:
            typer.echo(f"parse: {printable(str(error))}", err=True)
            failed = True
    try:
        lines.finish()
        if summary:
            counts.show()
        sys.stdout.flush()  # little output is written only here
    except BrokenPipeError:
        end_quietly()
    if failed:
        raise typer.Exit(1)


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
        out = console()
        sections: list[tuple[str, Any]] = [*self._events.items(), ("skipped", self._skipped)]
        for name, counter in sections:
            table = Table(name, "count", title_justify="left", width=60)
            for value, count in counter.most_common(20):
                table.add_row(Text(printable(value)), str(count))  # not a str: markup is one
            out.print(table)
        out.print(f"{self._lines} lines")
