"""`mailfault replay`: log files to NATS, as if their lines had been received."""

import asyncio
import json
from dataclasses import dataclass
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
import uvloop
from rich.table import Table
from rich.text import Text

from service import logs
from service.cli.configuration import (
    ConfigFile,
    NatsServers,
    TimeZone,
    load,
    nested,
    pipeline_of,
    privacy_of,
)
from service.cli.log_files import LogFile, log_file, oldest_first
from service.cli.replay_progress import Shown, progress
from service.cli.replaying import Counts, Replay, ReplayError
from service.cli.terminal import console, printable, quiet_pipe
from service.nats.config import CredentialsError, NatsConfig
from service.pipeline import Pipeline
from service.signals import stop_signal

_KILLED = 128
"""As shells have it: this and the number of the signal."""


def replay(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE", help="Log files; .gz, .xz and .zst too; - for standard input."
        ),
    ],
    as_given: Annotated[
        bool, typer.Option("--as-given", help="Read the files in this order, not by age.")
    ] = False,
    skip_lines: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="NUMBER",
            help="Read so many lines only for what they tell of later ones.",
        ),
    ] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="The summary as one JSON object.")
    ] = False,
    server: NatsServers = None,
    timezone: TimeZone = None,
    config: ConfigFile = None,
) -> None:
    """Publish the events of log files to NATS, as if their lines had been received.

    Rotated files are read from the oldest to the newest, whatever their order
    here. A stamp without a year is of the last year that fits its file's time
    of modification and the next file.

    Events have the ids they had when they were received: within the stream's
    duplicate window nothing is stored twice. Ctrl-C stops, and says how to go on.

    Examples:

      mailfault replay /var/log/mail.log*
      mailfault replay --nats nats://nats:4222 --timezone Europe/Berlin maillog-*
      ssh mx1 cat /var/log/mail.log | mailfault replay --json -
    """
    settings = load(config, nested(nats__servers=server, pipeline__default_timezone=timezone))
    pipeline = pipeline_of(settings, privacy_of(settings))
    zone = ZoneInfo(settings.pipeline.default_timezone)
    try:
        logs_of = [log_file(path) for path in files] if as_given else oldest_first(files, zone)
        done = _run(settings.nats, pipeline, logs_of, skip_lines)
    except (ReplayError, CredentialsError, OSError) as error:
        typer.echo(f"replay: {printable(str(error))}", err=True)
        raise typer.Exit(1) from None
    _tell(done)
    with quiet_pipe():
        _show(done.counts, as_json)
    if done.signal is not None:
        raise typer.Exit(_KILLED + done.signal)
    if done.counts.errors or done.counts.lost:
        raise typer.Exit(1)


@dataclass
class _Done:
    counts: Counts
    lines: int
    """From the first on."""
    signal: int | None
    """What stopped it before its end."""


def _run(settings: NatsConfig, pipeline: Pipeline, files: list[LogFile], skip: int) -> _Done:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_replay(settings, pipeline, files, skip))


async def _replay(
    settings: NatsConfig, pipeline: Pipeline, files: list[LogFile], skip: int
) -> _Done:
    stop = stop_signal()
    sizes = [file.size for file in files]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    with progress(total) as shown:
        logs.configure("warning")  # after the bar, which moves out of its way
        replay = Replay(settings, pipeline, files, skip)
        work = asyncio.create_task(_work(replay, shown), name="replay")
        either: list[asyncio.Future[Any]] = [work, stop]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                await work
                return _Done(replay.counts, replay.done, None)
            work.cancel()
            await asyncio.wait([work])
            await replay.settle_soon()
            return _Done(replay.counts, replay.done, stop.result())
        finally:
            await replay.stop()


async def _work(replay: Replay, shown: Shown) -> None:
    await replay.start(shown)
    await replay.run()


def _tell(done: _Done) -> None:
    for error in done.counts.errors:
        typer.echo(f"replay: {printable(error)}", err=True)
    if done.counts.lost:
        typer.echo(f"replay: {done.counts.lost} events refused, and as dead letters too", err=True)
    if done.signal is not None:
        typer.echo(
            f"replay: stopped; all events of the first {done.lines} lines are published.\n"
            f"To go on, give the same command with --skip-lines {done.lines}.",
            err=True,
        )


def _show(counts: Counts, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(_object(counts)))
        return
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(justify="right")
    for name, number in _rows(counts):
        table.add_row(Text(name), f"{number:,}")
    console().print(table)


def _rows(counts: Counts) -> list[tuple[str, int]]:
    rows = [("lines", counts.lines)]
    if counts.passed_over:
        rows.append(("  passed over", counts.passed_over))
    rows.append(("skipped", counts.skipped.total()))
    rows += [(f"  {reason}", number) for reason, number in counts.skipped.most_common()]
    rows.append(("events", counts.events.total()))
    rows += [(f"  {kind}", number) for kind, number in counts.events.most_common()]
    rows += [("published", counts.published), ("duplicates", counts.duplicates)]
    rows += [("dead letters", counts.dead)] if counts.dead else []
    return rows


def _object(counts: Counts) -> dict[str, Any]:
    return {
        "lines": counts.lines,
        "passed_over": counts.passed_over,
        "skipped": dict(counts.skipped),
        "events": dict(counts.events),
        "published": counts.published,
        "duplicates": counts.duplicates,
        "dead_letters": counts.dead,
        "lost": counts.lost,
        "errors": counts.errors,
    }
