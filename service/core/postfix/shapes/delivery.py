"""Delivery attempts, one line a recipient.

    <QID>: to=<r>[, orig_to=<o>], relay=<relay>[, conn_use=n], delay=t, delays=a/b/c/d[, tls=s],
    dsn=x.y.z, status=<word> (<reason>)

Written by every delivery agent, qmgr and cleanup (Postfix `global/log_adhoc.c`). Before 2.3 there
was no `conn_use`, `delays` and `dsn`; `tls` is of 3.11. The reason is free text to the end of the
line, a remote server's as often as not; the recipient is a client's. So the head is read from the
left, quotes heeded, by fields that hold no free text.
"""

import re
from typing import Literal

from service.core.outcomes import Malformed, Skip
from service.core.postfix.addresses import ADDRESS, may_be_address, opens_a_quote
from service.core.postfix.facts import Delivery, Relay
from service.core.postfix.fragments import (
    DSN,
    QUEUE_ID,
    SECONDS,
    SPACE,
    optional,
    pattern,
    port,
)
from service.core.postfix.markers import LONG_LINE
from service.core.postfix.reply import remote_reply
from service.core.postfix.shape import Line, Reading, Shape

KINDS: dict[str, Literal["deferred", "bounced"]] = {
    "deferred": "deferred",
    "SOFTBOUNCE": "deferred",
    "bounced": "bounced",
}
_NO_FAILURES = {
    "sent": Skip.NOT_A_FAILURE,
    "deliverable": Skip.PROBE,
    "undeliverable": Skip.PROBE,
    "undeliverable-but-not-cached": Skip.PROBE,
}

# Groups: relay host, what its brackets hold, port; conn_use; delay; delays; tls; dsn; status.
_DELAYS = rf"({SECONDS})/({SECONDS})/({SECONDS})/({SECONDS})"
_RELAY = rf"relay=([^,\[{SPACE}]{{0,255}})" + optional(
    r"\[([^\],]{0,255})\]" + optional(":([0-9]{1,5})")
)
_USES = optional(", conn_use=([0-9]{1,9})")
_TIMES = rf", delay=({SECONDS})" + optional(f", delays={_DELAYS}")
_REST = (
    optional(rf", tls=([^,{SPACE}]{{1,255}})")
    + optional(rf", dsn=({DSN})")
    + r", status=([A-Za-z-]{1,64})(?: \(|\Z)"
)
_TAIL = _RELAY + _USES + optional(_TIMES) + _REST

_HEAD = pattern(
    rf"(?!NOQUEUE:)({QUEUE_ID}): to=<({ADDRESS})>, " + optional(rf"orig_to=<({ADDRESS})>, ") + _TAIL
)
# As a few agents of old wrote them.
_BARE_HEAD = pattern(
    rf"({QUEUE_ID}): to=([^\s<>\",]{{1,320}}), (?:orig_to=([^\s<>\",]{{1,320}}), )?{_TAIL}"
)
# Addresses without quotes that need some: behind them, all the fields that have no free text.
_LOOSE_TAIL = pattern(rf">, {_RELAY}{_USES}{_TIMES}{_REST}")
_LOOSE_HEAD = pattern(rf"({QUEUE_ID}): to=<")
_ORIGINAL = ">, orig_to=<"
_FAILED = pattern(r" status=(?:deferred|bounced|SOFTBOUNCE|expired|force-expired)")
_HEADER_BYTES = 200
"""What a syslog header may take of a line: `LONG_LINE` counts it, a text does not have it."""

_Groups = tuple[str | None, ...]


def read_plain(text: str) -> tuple[str | None, Reading] | None:
    """The hot path: queue id and reading of a well-formed line that is not cut, else None."""
    match = _HEAD.match(text)
    if match is None or text[-1] != ")":
        return None
    return _reading(match.groups(), text, match.end(), len(text) - 1, False)


def _reading(
    groups: _Groups, text: str, start: int, end: int, truncated: bool
) -> tuple[str | None, Reading]:
    """`start`, `end`: the reason without its parentheses."""
    queue_id, to, original, host, inside, digits, uses, total, a, b, c, d, tls, dsn, status = groups
    kind = KINDS.get(status)  # type: ignore[arg-type]  # never None: the group is not optional
    if kind is None:
        return queue_id, _no_failure(status or "", text, start)
    relay = None
    if inside:
        if "/" in inside:
            relay = Relay(host or "", None, None, inside)
        else:
            relay = Relay(host or "", inside, port(digits) if digits else None, None)
    elif host and host != "none":
        relay = Relay(host, None, None, None)
    return queue_id, Delivery(
        kind,
        status or "",
        text[start:end],
        to,
        original,
        None,
        relay,
        int(uses) if uses else None,
        float(total) if total else None,
        (float(a), float(b), float(c), float(d)) if a and b and c and d else None,
        tls,
        dsn if dsn and dsn[0] in "245" else None,
        remote_reply(text, start, end),
        truncated,
    )


def _careful_reading(groups: _Groups, line: Line, start: int) -> Reading:
    """The line may end inside its reason, or before it."""
    text, truncated = line.text, line.truncated
    end = len(text)
    if end == start or text[-1] != ")":
        truncated = True
    elif not truncated or text.count("(", start) < text.count(")", start):
        end -= 1  # else it is cut behind a parenthesis of the reason's own
    return _reading(groups, text, start, end, truncated)[1]


def _no_failure(status: str, text: str, start: int) -> Reading:
    if status in _NO_FAILURES:
        return _NO_FAILURES[status]
    return Malformed.UNKNOWN_SHAPE if start < len(text) else Malformed.CUT_BEFORE_STATUS


def _read(line: Line) -> Reading:
    text = line.text
    match = _HEAD.match(text) or _BARE_HEAD.match(text)
    if match:
        return _careful_reading(match.groups(), line, match.end())
    head = _LOOSE_HEAD.match(text)
    if head and (found := _loose(text, head.end())):
        (to, original), tail = found
        if text[-1] != ")" and opens_a_quote(to):
            return Malformed.CUT_BEFORE_STATUS  # the tail may be part of the quoted address
        return _careful_reading((head[1], to, original, *tail.groups()), line, tail.end())
    return _without_status(line)


def _loose(text: str, start: int) -> tuple[tuple[str, str | None], re.Match[str]] | None:
    """The leftmost tail behind what may be an address: the reason may imitate a tail too."""
    for tail in _LOOSE_TAIL.finditer(text, start):
        addresses = text[start : tail.start()]
        to, separator, original = addresses.rpartition(_ORIGINAL)
        if separator and may_be_address(to) and may_be_address(original):
            return (to, original), tail
        if may_be_address(addresses):
            return (addresses, None), tail
    return None


def _without_status(line: Line) -> Reading:
    """Postfix writes no `to=` line without a status: it was cut before it, or is of a new form."""
    text = line.text
    long = line.truncated or len(text.encode("utf-8", "replace")) >= LONG_LINE - _HEADER_BYTES
    if _FAILED.search(text, line.rest):
        # The only one may be part of an address.
        return Malformed.CUT_BEFORE_STATUS if long and text[-1:] != ")" else Malformed.UNKNOWN_SHAPE
    if long and "status=" not in text:
        return Malformed.CUT_BEFORE_STATUS
    return Skip.NOT_A_FAILURE


SHAPES = (Shape("to=", _read),)
