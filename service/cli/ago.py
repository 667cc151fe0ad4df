"""A length of time as users write it: `30m`, `1h`."""

import re
from datetime import timedelta

import typer

_SINCE = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def ago(value: str) -> timedelta:
    """Ends the command where it is none: wrong usage."""
    match = _SINCE.fullmatch(value)
    if match is None:
        raise typer.BadParameter("--since takes a number and s, m, h or d, as 30m or 1h")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
