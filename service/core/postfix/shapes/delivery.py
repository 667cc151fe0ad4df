"""Delivery attempts, one line a recipient.

    <QID>: to=<r>[, orig_to=<o>], relay=<relay>[, conn_use=n], delay=t, delays=a/b/c/d[, tls=s],
    dsn=x.y.z, status=<word> (<reason>)

Written by every delivery agent, qmgr and cleanup (Postfix `global/log_adhoc.c`). Before 2.3 there
was no `conn_use`, `delays` and `dsn`; `tls` is of 3.11. The reason is free text to the end of the
line, a remote server's as often as not; the recipient is a client's. So the head is read from the
left, quotes heeded, by fields that hold no free text.
"""

import re
from functools import lru_cache
from typing import Any, Literal

from service.core.outcomes import Malformed, Skip
from service.core.postfix.addresses import ADDRESS, may_be_address, opens_a_quote
from service.core.postfix.facts import Delivery, DeliveryKind, Relay
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

KINDS: dict[str, DeliveryKind] = {
    "deferred": "deferred",
    "SOFTBOUNCE": "deferred",
    "bounced": "bounced",
}
SENT: Literal["sent"] = "sent"
_NO_FAILURES = {
    "deliverable": Skip.PROBE,
    "undeliverable": Skip.PROBE,
    "undeliverable-but-not-cached": Skip.PROBE,
}

# Groups: relay; conn_use; delay; delays; tls; dsn; status.
_DELAYS = rf"({SECONDS}/{SECONDS}/{SECONDS}/{SECONDS})"
_PEER = r"\[[^\],]{0,255}\]" + optional(":[0-9]{1,5}")
_RELAY = rf"relay=([^,\[{SPACE}]{{0,255}}{optional(_PEER)})"
_USES = optional(", conn_use=([0-9]{1,9})")
_TIMES = rf", delay=({SECONDS})" + optional(f", delays={_DELAYS}")
_REST = (
    optional(rf", tls=([^,{SPACE}]{{1,255}})")
    + optional(rf", dsn=({DSN})")
    + ", status=([A-Za-z-]{1,64})"
)
_REASON = r"(?: \(|\Z)"
_FIELDS = _RELAY + _USES + optional(_TIMES) + _REST
_TAIL = _FIELDS + _REASON

_TO = rf"(?!NOQUEUE:)({QUEUE_ID}): to=<({ADDRESS})>, " + optional(rf"orig_to=<({ADDRESS})>, ")
_HEAD = pattern(_TO + _TAIL)
_PLAIN = pattern(_TO + _FIELDS + r" \((.*)\)\Z")
# As a few agents of old wrote them.
_BARE_HEAD = pattern(
    rf"({QUEUE_ID}): to=([^\s<>\",]{{1,320}}), (?:orig_to=([^\s<>\",]{{1,320}}), )?{_TAIL}"
)
# Addresses without quotes that need some: behind them, all the fields that have no free text.
_LOOSE_TAIL = pattern(rf">, {_RELAY}{_USES}{_TIMES}{_REST}{_REASON}")
_LOOSE_HEAD = pattern(rf"({QUEUE_ID}): to=<")
_ORIGINAL = ">, orig_to=<"
_FAILED = pattern(r" status=(?:deferred|bounced|SOFTBOUNCE|expired|force-expired)")
_HEADER_BYTES = 200
"""What a syslog header may take of a line: `LONG_LINE` counts it, a text does not have it."""

_Groups = tuple[str | Any, ...]
"""Of `_PLAIN`; those of the other patterns lack the reason."""


def read_plain(text: str) -> tuple[str | None, Reading] | None:
    """The hot path: queue id and reading of a well-formed line that is not cut, else None."""
    match = _PLAIN.match(text)
    return None if match is None else _reading(match.groups(), False)


def _reading(groups: _Groups, truncated: bool) -> tuple[str, Reading]:
    """What the groups of a pattern mean; the last is the reason without its parentheses."""
    queue_id, to, original, relay, uses, total, delays, tls, dsn, status, reason = groups
    kind = KINDS.get(status)
    if kind is None:
        if status != SENT:
            return queue_id, _NO_FAILURES.get(status, Malformed.UNKNOWN_SHAPE)
        kind = SENT
    return queue_id, Delivery(
        kind,
        status,
        reason,
        to,
        original,
        None,
        _relay(relay),
        int(uses) if uses else None,
        float(total) if total else None,
        tuple(map(float, delays.split("/"))) if delays else None,
        tls,
        dsn if dsn and dsn[0] in "245" else None,
        remote_reply(reason),
        truncated,
    )


@lru_cache(maxsize=4096)
def _relay(text: str) -> Relay | None:
    """`host[address]:port`, `local`, `host[private/socket]`, `none`. Remembered: mail goes to the
    same few again and again."""
    host, _, rest = text.partition("[")
    inside, _, digits = rest.partition("]")
    if inside:
        if "/" in inside:
            return Relay(host, None, None, inside)
        return Relay(host, inside, port(digits[1:]), None)
    return Relay(host, None, None, None) if host and host != "none" else None


def _careful_reading(groups: _Groups, line: Line, start: int) -> Reading:
    """The line may end inside its reason, or before it."""
    text, truncated = line.text, line.truncated
    end = len(text)
    if end == start or text[-1] != ")":
        truncated = True
    elif not truncated or text.count("(", start) < text.count(")", start):
        end -= 1  # else it is cut behind a parenthesis of the reason's own
    reading = _reading((*groups, text[start:end]), truncated)[1]
    if reading is Malformed.UNKNOWN_SHAPE and start == len(text):
        return Malformed.CUT_BEFORE_STATUS  # the status itself may be cut
    return reading


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


SHAPES: tuple[Shape, ...] = (Shape("to=", _read),)
"""They read successes, too: of kind `sent`."""
