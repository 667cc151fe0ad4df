"""What an entry says of itself: its line, when that was written, and what becomes of it when a step
fails."""

from collections.abc import Callable
from datetime import tzinfo
from math import inf

from service.core.line import Line
from service.core.syslog import parse_message
from service.core.syslog.message import SyslogMessage
from service.jobs import Entry, Job, Outcome


def line_of(entry: Entry, zone: tzinfo) -> Line:
    """Of an entry that was not read as a failure, too."""
    if entry.line is None:
        batch = entry.batch
        message = parse_message(entry.raw, received_at=batch.written_at, zone=zone)
        if message is None:  # not so, or it would not have told of a message
            message = SyslogMessage("", batch.received_at, "received", None, "", None, "")
        entry.line = line_with(entry, message)
    return entry.line


def line_with(entry: Entry, message: SyslogMessage) -> Line:
    """`message`: what its bytes say."""
    batch = entry.batch
    return Line(
        entry.raw,
        message,
        batch.received_at,
        batch.origin.transport,
        batch.origin.source_ip,
        entry.truncated,
        batch.keep_raw,
    )


def written(line: Line) -> float:
    """When, in Unix time. A stamp without its zone tells one hour of the year twice, so it is not
    said by it that a line is the older one."""
    message = line.message
    return message.time.timestamp() if message.time_quality == "exact" else inf


def safely(
    entry: Entry, zone: tzinfo, step: Callable[..., Outcome | None], *arguments: object
) -> Outcome | None:
    """One bad line must not take others with it that waited, too."""
    try:
        return step(*arguments)
    except Exception as error:  # noqa: BLE001
        return Job(line_of(entry, zone), error)
