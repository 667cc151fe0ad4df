"""`mailfault spool`: what waits on disk for NATS, and what nobody would take."""

import base64
import json
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from service.cli.configuration import ConfigFile, load, nested
from service.cli.terminal import console, end_quietly, json_line, printable
from service.spool import inspection
from service.spool.errors import SpoolError
from service.spool.inspection import DeadLetter, Status
from service.spool.opening import database_path
from service.workers.assignment import directories

app = typer.Typer(
    help="The disk spool: what waits there, and its dead letters. Also while a receiver runs.",
    no_args_is_help=True,
)

DataDir = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Where state lives.", show_default="./data")
]


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Show how much waits and since when, and the dead letters by reason.

    Examples:

      mailfault spool status --data-dir /var/lib/mailfault
      mailfault spool status --json | jq .oldest
    """
    with _told():
        found = inspection.together([inspection.status(path) for path in _paths(data_dir, config)])
        if as_json:
            typer.echo(json.dumps(_status_object(found)))
        else:
            _show(found)


@app.command()
def export(
    dead: Annotated[
        bool, typer.Option("--dead", help="The dead letters, each with the reason, instead.")
    ] = False,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Write what waits, oldest first, one JSON object a line. Nothing is removed.

    Examples:

      mailfault spool export | jq -r .recipient | sort | uniq -c
      mailfault spool export --dead | jq .reason
    """
    damaged = 0
    with _told():
        for path in _paths(data_dir, config):
            damaged += _export_dead(path) if dead else _export_events(path)
        sys.stdout.flush()
    if damaged:
        typer.echo(f"spool: {damaged} damaged events left out", err=True)
        raise typer.Exit(1)


@app.command()
def requeue(
    ids: Annotated[
        list[int] | None,
        typer.Argument(metavar="ID", help="Of dead letters, as `export --dead` shows them."),
    ] = None,
    reason: Annotated[
        str | None, typer.Option(metavar="REASON", help="All with this reason.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All dead letters that can be read.")
    ] = False,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Put dead letters back among the events, to be published once more.

    Do this once their cause is mended: what is refused again becomes a dead
    letter again. A receiver that runs begins within a second, else the next one
    does.

    Examples:

      mailfault spool requeue --reason too_large
      mailfault spool requeue 17 18
    """
    if sum((bool(ids), reason is not None, everything)) != 1:
        raise typer.BadParameter("give one of: ids, --reason, --all")
    with _told():
        paths = _paths(data_dir, config)
        if ids and len(paths) > 1:
            raise typer.BadParameter(
                f"workers have spools of their own, with ids of their own: name the directory of "
                f"one with --data-dir, as {paths[-1].parent.parent}"
            )
        done = sum(inspection.put_back(path, ids or None, reason) for path in paths)
        typer.echo(f"{done} put back")
    if ids and done < len(set(ids)):
        typer.echo(f"spool: {len(set(ids)) - done} of them are not there, or damaged", err=True)
        raise typer.Exit(1)


def _paths(data_dir: Path | None, config: Path | None) -> list[Path]:
    """Of the receiver, or of all its workers: those that have one."""
    home = load(config, nested(data_dir=data_dir)).data_dir
    own = database_path(home)
    others = [database_path(directory) for directory in directories(home)]
    found = [path for path in (own, *others) if path.exists()]
    return found or [own]


def _export_dead(path: Path) -> int:
    for letter in inspection.dead_letters(path):
        _write(_letter_json(letter))
    return 0


def _export_events(path: Path) -> int:
    """How many are damaged."""
    damaged = 0
    for event in inspection.events(path):
        if event is None:
            damaged += 1
        else:
            _write(event.body.decode(errors="replace"))
    return damaged


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        end_quietly()
    except (SpoolError, sqlite3.Error, OSError) as error:
        typer.echo(f"spool: {printable(str(error))}", err=True)
        raise typer.Exit(1) from None


def _show(found: Status) -> None:
    table = Table(show_header=False, box=None)
    table.add_row("events", str(found.events))
    table.add_row("bytes", str(found.bytes))
    if found.oldest is not None:
        age = timedelta(seconds=max(0, int(time.time() - found.oldest)))
        table.add_row("oldest", f"{_time(found.oldest)}, {age} ago")
    table.add_row("dead letters", str(sum(found.dead_letters.values())))
    for reason, count in found.dead_letters.items():
        table.add_row(Text(f"  {printable(reason)}"), str(count))
    table.add_row("file bytes", str(found.file_bytes))
    for path in found.set_aside:
        table.add_row("set aside", Text(printable(str(path))))
    console(soft_wrap=True).print(table)


def _status_object(found: Status) -> dict[str, Any]:
    return {
        **asdict(found),
        "oldest": None if found.oldest is None else _time(found.oldest),
        "set_aside": [str(path) for path in found.set_aside],
    }


def _letter_json(letter: DeadLetter) -> str:
    shown: dict[str, Any] = {**asdict(letter), "buried": _time(letter.buried)}
    body = shown.pop("body")
    try:
        shown["event"] = json.loads(body)
    except ValueError:
        shown["event"] = None
        shown["body_base64"] = base64.b64encode(body).decode()
    return json.dumps(shown, ensure_ascii=False)


def _write(text: str) -> None:
    sys.stdout.buffer.write(json_line(text).encode(errors="replace") + b"\n")


def _time(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
