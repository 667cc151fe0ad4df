"""`mailfault explain`: what is made of a line, and where each field of its event came from."""

import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from typing import IO, Annotated
from zoneinfo import ZoneInfo

import typer

from schemas.vocabulary import Transport
from service.cli.configuration import ConfigFile, TimeZone, load, nested, pipeline_of, privacy_of
from service.cli.explained import Explained, show
from service.cli.terminal import end_quietly, json_line
from service.core.assemble import Event
from service.core.explain import frame_end, trace, unframed
from service.core.framing.base import MAX_FRAME_BYTES, Frame
from service.core.framing.compression import is_compressed
from service.core.framing.octet_counting import MAX_COUNT
from service.core.outcomes import Skip
from service.core.privacy import Privacy
from service.pipeline import Pipeline
from service.received import Origin

_ORIGIN = Origin(Transport.FILE.value, None)


def explain(
    line: Annotated[
        str | None,
        typer.Argument(metavar="LINE", help="One log line; - or nothing for standard input."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    timezone: TimeZone = None,
    config: ConfigFile = None,
) -> None:
    """Show how a line is read: framing, header, line shape, rule, and the event field by field.

    A line that is no failure is told why. Exit status 1: there was one that is
    not understood.

    Examples:

      grep 4ABCDE12F /var/log/mail.log | mailfault explain
      mailfault explain --json "$(tail -1 /var/log/mail.log)" | jq .rule
    """
    settings = load(config, nested(pipeline__default_timezone=timezone))
    privacy = privacy_of(settings)
    pipeline = pipeline_of(settings, privacy=None)
    zone = ZoneInfo(settings.pipeline.default_timezone)
    given = sys.stdin.buffer if line in (None, "-") else BytesIO(os.fsencode(line))
    is_understood = True
    try:
        for number, data in enumerate(_messages(given), 1):
            found = _explain(number, data, pipeline, privacy, zone)
            is_understood = is_understood and found.is_understood
            if as_json:
                typer.echo(json_line(json.dumps(found.as_dict(), ensure_ascii=False)))
            else:
                show(found)
        sys.stdout.flush()
    except BrokenPipeError:
        end_quietly()
    if not is_understood:
        raise typer.Exit(1)


def _explain(
    number: int, data: bytes, pipeline: Pipeline, privacy: Privacy | None, zone: ZoneInfo
) -> Explained:
    now = datetime.now(UTC)
    wire = unframed(data, MAX_FRAME_BYTES)
    if wire.is_unreadable:
        return Explained(number, wire, None, [], [])
    steps = trace(wire.data, wire.truncated, now, zone, pipeline.classifier)
    events: list[Event] = []

    def done(outcome: list[Event] | Skip) -> None:
        if not isinstance(outcome, Skip):
            events.extend(outcome)

    frame = Frame(wire.data, wire.truncated)
    pipeline.read_line(frame, _ORIGIN, now, now, done)
    pipeline.release_all(now)  # it is shown before the next line is read
    shown = events if privacy is None else privacy.treat(events)
    return Explained(number, wire, steps, events, shown)


def _messages(file: IO[bytes]) -> Iterator[bytes]:
    """Lines, but for frames with a count: these may hold line ends. A compressed message without a
    count is all that comes."""
    rest = b""
    while data := rest or file.readline(MAX_FRAME_BYTES + 2):
        rest = b""
        if is_compressed(data):
            yield data + file.read(MAX_FRAME_BYTES - min(len(data), MAX_FRAME_BYTES))
            continue
        end = frame_end(data)
        if end is None:
            yield data.removesuffix(b"\n").removesuffix(b"\r")
            while not data.endswith(b"\n") and len(data) > MAX_FRAME_BYTES:
                data = file.readline(MAX_FRAME_BYTES + 2)  # what was cut off
            continue
        if end > len(data) and end <= MAX_COUNT:
            data += file.read(end - len(data))
        yield data[:end]
        rest = data[end:].lstrip(b"\r\n")
