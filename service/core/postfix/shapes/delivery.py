"""Delivery attempts, one line a recipient.

    <QID>: to=<r>[, orig_to=<o>], relay=<relay>[, conn_use=n], delay=t, delays=a/b/c/d[, tls=s],
    dsn=x.y.z, status=<word> (<reason>)

Written by every delivery agent, qmgr and cleanup (Postfix `global/log_adhoc.c`). Before 2.3 there
was no `conn_use`, `delays` and `dsn`; `tls` is of 3.11. The reason is free text to the end of the
line, a remote server's as often as not; the recipient is a client's. So the head is read from the
left, quotes heeded, by fields that hold no free text.
"""

import re
from typing import Any, Final

from service.core.outcomes import Malformed, Skip
from service.core.postfix.addresses import ADDRESS, may_be_address, opens_a_quote
from service.core.postfix.facts import Delivery, DeliveryKind, Relay
from service.core.postfix.fragments import (
    DSN,
    LONGEST_QUEUE_ID,
    SECONDS,
    SPACE,
    is_queue_id,
    optional,
    pattern,
    port,
)
from service.core.postfix.remembered import remember
from service.core.postfix.reply import remote_reply
from service.core.postfix.shape import Line, Reading, Shape

KINDS: Final[dict[str, DeliveryKind]] = {
    "deferred": "deferred",
    "SOFTBOUNCE": "deferred",
    "bounced": "bounced",
}
SENT: Final = "sent"
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
_TAIL = f", {_RELAY}" + _USES + optional(_TIMES) + _REST + _REASON

_ADDRESSES = rf"<({ADDRESS})>" + optional(rf", orig_to=<({ADDRESS})>")
# As a few agents of old wrote them.
_BARE_ADDRESSES = r"([^\s<>\",]{0,320})(?:, orig_to=([^\s<>\",]{1,320}))?"
_HEADS = (pattern(_ADDRESSES + _TAIL), pattern(_BARE_ADDRESSES + _TAIL))

# Lines as they are published: with fields left out, with no comma behind `conn_use`, no space in
# front of `delays`, without the parentheses. What an address imitates may look like that.
_EDITED_TIMES = rf",? delay=({SECONDS})" + optional(f", ?delays={_DELAYS}")
_EDITED_TAIL = optional(f", {_RELAY}") + _USES + optional(_EDITED_TIMES) + _REST + r"(?: \(| |\Z)"
_EDITED_HEADS = (pattern(_ADDRESSES + _EDITED_TAIL), pattern(_BARE_ADDRESSES + _EDITED_TAIL))
# Addresses without quotes that need some: behind them, all the fields that have no free text.
_LOOSE_TAIL = pattern(rf">, {_RELAY}{_USES}{_TIMES}{_REST}{_REASON}")
_ORIGINAL: Final = ">, orig_to=<"
_FAILED = pattern(r"[ ,]status=(?:deferred|bounced|SOFTBOUNCE|expired|force-expired)")

# What cuts a well-formed line into pieces, each of which is read once and remembered.
_AT_TO: Final = ": to=<"
_AT_RELAY: Final = ">, relay="
_AT_DELAY: Final = ", delay="
_AT_DELAYS: Final = ", delays="
_AT_REST: Final = ", "
_AT_REASON: Final = " ("

_Route = tuple[Relay | None, int | None]
"""And which use of its connection it was."""
_End = tuple[str | None, str | None, str]
"""TLS summary, enhanced code, status."""
_ROUTE: Final = pattern(_RELAY + _USES)
_SECONDS: Final = pattern(SECONDS)
_END: Final = pattern(_REST)
_ROUTES: Final[dict[str, _Route]] = {}
_NUMBERS: Final[dict[str, float]] = {}
_ENDS: Final[dict[str, _End]] = {}


def read_plain(text: str) -> tuple[str | None, Reading] | None:
    """The hot path: queue id and reading of a well-formed line that is not cut, else None."""
    to = text.find(_AT_TO, 0, LONGEST_QUEUE_ID + len(_AT_TO))
    relay = text.find(_AT_RELAY, to)
    delay = text.find(_AT_DELAY, relay)
    delays = text.find(_AT_DELAYS, delay)
    rest = text.find(_AT_REST, delays + 1)
    reason = text.find(_AT_REASON, rest)
    # In order, or one is missing.
    if not 0 < to < relay < delay < delays < rest < reason or text[-1] != ")":
        return None
    queue_id, recipient, original = text[:to], text[to + len(_AT_TO) : relay], None
    cut = recipient.find(_ORIGINAL)
    if cut >= 0:
        recipient, original = recipient[:cut], recipient[cut + len(_ORIGINAL) :]
        if not _is_clear(original):
            return None
    if not is_queue_id(queue_id) or not _is_clear(recipient):
        return None
    route = _route(text[relay + len(">, ") : delay])
    end = _end(text[rest:reason])
    total = _number(text[delay + len(_AT_DELAY) : delays])
    times = text[delays + len(_AT_DELAYS) : rest].split("/")
    if route is None or end is None or total < 0 or len(times) != 4:
        return None
    a, b, c, d = _number(times[0]), _number(times[1]), _number(times[2]), _number(times[3])
    if a < 0 or b < 0 or c < 0 or d < 0:
        return None
    return queue_id, _reading(
        recipient, original, route, total, (a, b, c, d), end, text[reason + 2 : -1], False
    )


def _is_clear(address: str) -> bool:
    """Whether it ends where its bracket does, for any way to read it."""
    return " " not in address and not ("<" in address or ">" in address or '"' in address)


def _route(field: str) -> _Route | None:
    known = _ROUTES.get(field)
    if known is not None:
        return known
    match = _ROUTE.fullmatch(field)
    if match is None:
        return None
    relay, uses = match.groups()
    return remember(_ROUTES, field, (_relay(relay), int(uses) if uses else None))


def _end(fields: str) -> _End | None:
    known = _ENDS.get(fields)
    if known is not None:
        return known
    match = _END.fullmatch(fields)
    if match is None:
        return None
    tls, dsn, status = match.groups()
    return remember(_ENDS, fields, (tls, _enhanced(dsn), status))


def _number(text: str) -> float:
    """Seconds as Postfix rounds them, to two digits as a rule; negative for what is no number."""
    known = _NUMBERS.get(text)
    if known is not None:
        return known
    return remember(_NUMBERS, text, float(text)) if _SECONDS.fullmatch(text) else -1.0


def _reading(
    recipient: str,
    original: str | None,
    route: _Route,
    delay: float | None,
    delays: tuple[float, ...] | None,
    end: _End,
    reason: str,
    truncated: bool,
) -> Reading:
    tls, enhanced, status = end
    kind = KINDS.get(status)
    if kind is None:
        if status != SENT:
            return _NO_FAILURES.get(status, Malformed.UNKNOWN_SHAPE)
        kind = SENT
    relay, uses = route
    return Delivery(
        kind,
        status,
        reason,
        recipient,
        original,
        None,
        relay,
        uses,
        delay,
        delays,
        tls,
        enhanced,
        remote_reply(reason),
        truncated,
    )


def _enhanced(dsn: str | None) -> str | None:
    return dsn if dsn and dsn[0] in "245" else None


def _relay(text: str) -> Relay | None:
    """`host[address]:port`, `local`, `host[private/socket]`, `none`; `host:port` is of others."""
    host, _, rest = text.partition("[")
    inside, _, digits = rest.partition("]")
    if inside:
        if "/" in inside:
            return Relay(host, None, None, inside)
        return Relay(host, inside, port(digits[1:]), None)
    name, _, digits = host.rpartition(":")
    if name and ":" not in name and (number := port(digits if digits.isdecimal() else None)):
        return Relay(name, None, number, None)
    return Relay(host, None, None, None) if host and host != "none" else None


def _careful_reading(groups: tuple[str | Any, ...], line: Line, start: int) -> Reading:
    """`groups`: behind the queue id. The line may end inside its reason, or before it."""
    recipient, original, relay, uses, delay, delays, tls, dsn, status = groups
    text, truncated = line.text, line.truncated
    end = len(text)
    if end > start and text[start - 1] == " ":
        pass  # a reason without parentheses
    elif end == start or text[-1] != ")":
        truncated = True
    elif not truncated or text.count("(", start) < text.count(")", start):
        end -= 1  # else it is cut behind a parenthesis of the reason's own
    reading = _reading(
        recipient,
        original,
        (_relay(relay or ""), int(uses) if uses else None),
        float(delay) if delay else None,
        tuple(map(float, delays.split("/"))) if delays else None,
        (tls, _enhanced(dsn), status),
        text[start:end],
        truncated,
    )
    if reading is Malformed.UNKNOWN_SHAPE and start == len(text):
        return Malformed.CUT_BEFORE_STATUS  # the status itself may be cut
    return reading


def _read(line: Line) -> Reading:
    text = line.text
    if line.queue_id is not None and (head := _head(_HEADS, line)):
        return _careful_reading(head.groups(), line, head.end())
    if text.startswith("<", line.rest) and (found := _loose(text, line.rest + 1)):
        (to, original), tail = found
        if text[-1] != ")" and (opens_a_quote(to) or opens_a_quote(original or "")):
            return Malformed.CUT_BEFORE_STATUS  # the tail may be part of the quoted address
        return _careful_reading((to, original, *tail.groups()), line, tail.end())
    if (
        line.queue_id is not None
        and not line.may_be_cut
        and _LOOSE_TAIL.search(text, line.rest) is None
        and (head := _head(_EDITED_HEADS, line))
    ):
        return _careful_reading(head.groups(), line, head.end())
    return _without_status(line)


def _head(heads: tuple[re.Pattern[str], ...], line: Line) -> re.Match[str] | None:
    for head in heads:
        if match := head.match(line.text, line.rest):
            return match
    return None


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
    text, may_be_cut = line.text, line.may_be_cut
    if _FAILED.search(text, line.rest):
        # The only one may be part of an address.
        is_cut = may_be_cut and text[-1:] != ")"
        return Malformed.CUT_BEFORE_STATUS if is_cut else Malformed.UNKNOWN_SHAPE
    if may_be_cut and "status=" not in text:
        return Malformed.CUT_BEFORE_STATUS
    return Skip.NOT_A_FAILURE


SHAPES: tuple[Shape, ...] = (Shape("to=", _read),)
"""They read successes, too: of kind `sent`."""
