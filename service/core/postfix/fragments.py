"""Named pieces of the patterns: how Postfix writes a queue id, a host, a HELO name, a number.

In: nothing. Out: pattern text, and the two conversions that belong to it. Sources: Postfix
`global/mail_queue.h` (queue ids), `smtpd/smtpd.c` (HELO), `global/log_adhoc.c` (numbers).
Addresses are in `addresses`.
"""

import re

QUEUE_ID = r"[0-9A-Z][0-9A-Za-z]{4,31}"
"""Looser than Postfix writes them (upper-case hex, or base 52 that begins with a digit until the
year 2100): logs are published with made-up ids. `NOQUEUE` matches too."""

HELO = r'[^\s<>()\\";@]*'
"""What smtpd keeps of a HELO name once the command is accepted: `NEUTER_CHARACTERS` become `?`."""

PROTOCOL = r"[A-Za-z0-9-]{1,16}"
HOST = r"[^\s\[\]]{1,255}"
CLIENT = rf"({HOST})\[([^\]\s]{{1,255}})\](?::([0-9]{{1,5}}))?"
"""`name[address]` or, with `smtpd_client_port_logging`, `name[address]:port`; three groups."""
SECONDS = r"[0-9]{1,10}(?:\.[0-9]{1,6})?"
DSN = r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}"

UNKNOWN = "unknown"
_HIGHEST_PORT = 65_535


def pattern(text: str) -> re.Pattern[str]:
    """ASCII, because Postfix means bytes; DOTALL, because a frame may hold a line feed."""
    return re.compile(text, re.ASCII | re.DOTALL)


def known(value: str) -> str | None:
    """Postfix logs `unknown` for what it does not know."""
    return None if value == UNKNOWN else value


def port(digits: str | None) -> int | None:
    if not digits:
        return None
    number = int(digits)
    return number if number <= _HIGHEST_PORT else None
