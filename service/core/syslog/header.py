"""A frame, or a line of a log file, to a `SyslogMessage`: the forms, in the order they are tried.

Takes any bytes and never raises. The bytes may be no UTF-8: rsyslog and journald pass them on as
they came. Escapes added on the way (`#011`) are left as they are.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from typing import Final

from service.core.syslog.container import Wrapped, unwrap
from service.core.syslog.journal import parse_journal_json, parse_short_full
from service.core.syslog.message import SyslogMessage
from service.core.syslog.rfc3164 import parse_common, parse_stamped, parse_unstamped
from service.core.syslog.rfc5424 import parse_rfc5424
from service.core.syslog.timestamp import iso_time

Recognised = tuple[SyslogMessage, str]
"""With the name of the form, which is for `explain`."""

_Form = Callable[[str, datetime, tzinfo], SyslogMessage | None]

_OTHER_FORMS: tuple[tuple[str, _Form], ...] = (
    ("rfc5424", parse_rfc5424),
    ("journal-json", parse_journal_json),
    ("journal-short-full", parse_short_full),
    ("rfc3164-irregular", parse_stamped),
    ("no-stamp", parse_unstamped),
)

_TRAILING: Final = "\r\n\0"

MAX_LAYERS: Final = 3
"""Container runtimes around a line: `docker compose logs -t` makes two, a collector one more."""


def parse_message(line: bytes, *, received_at: datetime, zone: tzinfo) -> SyslogMessage | None:
    """None: there is no header to recognise. `zone` is for stamps that tell none.

    The hot path: most lines have the common form, and nobody asks for its name.
    """
    if received_at.tzinfo is not UTC:
        received_at = received_at.astimezone(UTC)
    try:
        text = line.decode()
    except UnicodeDecodeError:
        text = line.decode("utf-8", "replace")
    if text and text[-1] in _TRAILING:
        text = text.rstrip(_TRAILING)
    message = parse_common(text, received_at, zone)
    if message is not None:
        return message
    found = _recognise(text, received_at, zone, MAX_LAYERS)
    return None if found is None else found[0]


def recognise(line: bytes, *, received_at: datetime, zone: tzinfo) -> Recognised | None:
    """`parse_message`, and which form it was: `rfc5424`, `cri > rfc3164`."""
    if received_at.tzinfo is not UTC:
        received_at = received_at.astimezone(UTC)
    return _recognise(_decoded(line), received_at, zone, MAX_LAYERS)


def _decoded(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip(_TRAILING)


def _recognise(text: str, received_at: datetime, zone: tzinfo, layers: int) -> Recognised | None:
    message = parse_common(text, received_at, zone)
    if message is not None:
        return message, "rfc3164"
    # Before the irregular forms, which would take a runtime's stamp for the line's.
    if layers and (wrapped := unwrap(text)) is not None:
        found = _recognise_inner(wrapped, received_at, zone, layers - 1)
        if found is not None:
            return found
    for name, form in _OTHER_FORMS:
        message = form(text, received_at, zone)
        if message is not None:
            return message, name
    return None


def _recognise_inner(
    wrapped: Wrapped, received_at: datetime, zone: tzinfo, layers: int
) -> Recognised | None:
    """The inner header wins; the runtime's stamp stands in for one that is missing or unusable."""
    found = _recognise(wrapped.inner, received_at, zone, layers)
    if not wrapped.stamp:
        return None if found is None else (found[0], f"{wrapped.runtime} > {found[1]}")
    time, quality = iso_time(wrapped.stamp, received_at, zone)
    if found is None:
        message = SyslogMessage(wrapped.stamp, time, quality, None, "", None, wrapped.inner)
        return message, wrapped.runtime
    message, name = found
    if message.time_quality == "received":
        message = replace(message, stamp=wrapped.stamp, time=time, time_quality=quality)
    return message, f"{wrapped.runtime} > {name}"
