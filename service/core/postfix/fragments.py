"""Named pieces of the patterns: how Postfix writes a queue id, a host, a HELO name, a number.

In: nothing. Out: pattern text, and the two conversions that belong to it. Sources: Postfix
`global/mail_queue.h` (queue ids), `smtpd/smtpd.c` (HELO), `global/log_adhoc.c` (numbers).
Addresses are in `addresses`.

Two habits halve what the patterns cost, and change nothing of what they match: a class of
characters names the white space it means, as with `\\s` in it the engine cannot make it one look
into a table; and what may be missing is an alternative to nothing (`optional`), as `(...)?` around
more than one character is a general loop.
"""

import re
from typing import Final

SPACE = r" \t\n\r\f\v"
"""`\\s` in ASCII, for use inside a class."""

LONGEST_QUEUE_ID: Final = 32
_SHORTEST_QUEUE_ID: Final = 5
QUEUE_ID = rf"[0-9A-Z][0-9A-Za-z]{{{_SHORTEST_QUEUE_ID - 1},{LONGEST_QUEUE_ID - 1}}}"
"""Looser than Postfix writes them (upper-case hex, or base 52 that begins with a digit until the
year 2100): logs are published with made-up ids. `NOQUEUE` matches too."""

HELO = rf'[^{SPACE}<>()\\";@]*'
"""What smtpd keeps of a HELO name once the command is accepted: `NEUTER_CHARACTERS` become `?`."""


def optional(text: str) -> str:
    return f"(?:{text}|)"


PROTOCOL = r"[A-Za-z0-9-]{1,16}"
HOST = rf"[^{SPACE}\[\]]{{1,255}}"
CLIENT = rf"({HOST})\[([^\]{SPACE}]{{1,255}})\]" + optional(r":([0-9]{1,5})")
"""`name[address]` or, with `smtpd_client_port_logging`, `name[address]:port`; three groups."""
SECONDS = r"[0-9]{1,10}" + optional(r"\.[0-9]{1,6}") + optional(r"e[+-]0[0-9]")
"""With the exponent of a `%g`, as some builds round: `1.2e+05`."""
DSN = r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}"

NOQUEUE: Final = "NOQUEUE"
UNKNOWN = "unknown"
_HIGHEST_PORT = 65_535


def pattern(text: str) -> re.Pattern[str]:
    """ASCII, because Postfix means bytes; DOTALL, because a frame may hold a line feed."""
    return re.compile(text, re.ASCII | re.DOTALL)


def is_queue_id(text: str) -> bool:
    """Whether `QUEUE_ID` fits all of it, and it is not `NOQUEUE`."""
    return (
        _SHORTEST_QUEUE_ID <= len(text) <= LONGEST_QUEUE_ID
        and text.isalnum()
        and text.isascii()
        and text[0] <= "Z"
        and text != NOQUEUE
    )


def known(value: str) -> str | None:
    """Postfix logs `unknown` for what it does not know."""
    return None if value == UNKNOWN else value


def port(digits: str | None) -> int | None:
    if not digits:
        return None
    number = int(digits)
    return number if number <= _HIGHEST_PORT else None
