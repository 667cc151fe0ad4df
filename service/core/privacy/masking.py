"""The line of a dead letter, reduced to its shape.

In: a line that nobody could read. Out: the line with every word as `x` and every number as `0`, but
for the words that Postfix's own lines are made of. What such a line holds is not known, so nothing
that may be a name is left of it; its shape is what whoever adds the new line to the parser needs,
and queue id, host, process and time tell where the line itself can be found.
"""

import re
from collections.abc import Container

from service.core.postfix.record import PROGRAMS
from service.core.postfix.shapes import OPENINGS

_TOKEN = re.compile(r"[\w@.%+~^$&!?*'`-]+")
_RUN = re.compile(r"[0-9]+|[^\W_0-9]+")
_FIELDS = (
    "from to orig_to relay conn_use delay delays tls dsn status proto helo size nrcpt queue active "
    "sasl_method sasl_username sasl_sender CONNECT HELO EHLO MAIL RCPT DATA BDAT END-OF-MESSAGE "
    "ETRN VRFY STARTTLS AUTH SMTP ESMTP LMTP NOQUEUE header body content mime-error unknown none "
    "deferred bounced sent expired force-expired SOFTBOUNCE returned sender local said in reply "
    "command message repeated times host connect lost connection timed out refused postfix"
)
_CODE = re.compile(r"[2-5][0-9]{2}|[245]\.[0-9]{1,3}\.[0-9]{1,3}")

VOCABULARY = frozenset(
    [*_FIELDS.split(), *PROGRAMS, *(opening.rstrip("=:") for opening in OPENINGS)]
)


def masked(line: str, also: Container[str] = ()) -> str:
    """`also`: words that may stay, as the event shows them anyway."""

    def mask(match: re.Match[str]) -> str:
        token = match[0]
        if token in VOCABULARY or token in also or _CODE.fullmatch(token):
            return token
        return _RUN.sub(_placeholder, token)

    return _TOKEN.sub(mask, line)


def _placeholder(match: re.Match[str]) -> str:
    return "0" if match[0].isdigit() and match[0].isascii() else "x"
