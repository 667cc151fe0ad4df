"""What befell a whole message: expiry, and a bounce that could not be written.

    <QID>: from=<sender>, status=expired|force-expired, returned to sender
    <QID>: status=deferred (bounce failed)

Writers: Postfix `qmgr/qmgr_active.c`, `global/bounce.c:bounce_flush`. The recipients of an expiry
are those whose last line was deferred.
"""

from service.core.outcomes import Malformed, Skip
from service.core.postfix.addresses import ADDRESS
from service.core.postfix.facts import Delivery
from service.core.postfix.fragments import pattern
from service.core.postfix.shape import Line, Reading, Shape
from service.core.postfix.shapes.delivery import KINDS

_RETURNED = "returned to sender"
# From the right: whatever the sender holds, it ends before this.
_EXPIRED = pattern(rf">, status=((?:force-)?expired), {_RETURNED}\Z")
_LONGEST_EXPIRY = len(f">, status=force-expired, {_RETURNED}")
_ACTIVE = " (queue active)"
_OTHER = pattern(rf"<({ADDRESS})>, status=([A-Za-z-]{{1,64}})(.*)\Z")
_EXPIRIES = frozenset({"expired", "force-expired"})
_STATUS = pattern(r"([A-Za-z-]{1,64}) \((.*)\)\Z")


def _read_sender(line: Line) -> Reading:
    text = line.text
    expired = _EXPIRED.search(text, max(line.rest, len(text) - _LONGEST_EXPIRY))
    if expired and text.startswith("<", line.rest):
        # An unbalanced bracket has been seen.
        sender = text[line.rest + 1 : expired.start()].rstrip(">")
        return _expiry(sender, expired[1], line.truncated)
    other = None if text.endswith(_ACTIVE) else _OTHER.match(text, line.rest)
    if other is None:
        # `from=<sender>, size=n, nrcpt=n (queue active)`
        return Skip.NOT_A_FAILURE
    sender, status, rest = other.groups()
    if status in _EXPIRIES and f", {_RETURNED}".startswith(rest):
        return _expiry(sender, status, truncated=True)
    return Malformed.UNKNOWN_SHAPE


def _expiry(sender: str, status: str, truncated: bool) -> Delivery:
    return Delivery(
        kind="bounced", status=status, response=_RETURNED, sender=sender, truncated=truncated
    )


def _read_status(line: Line) -> Reading:
    match = _STATUS.match(line.text, line.rest)
    if match is None or match[1] not in KINDS:
        return Malformed.UNKNOWN_SHAPE
    status, reason = match.groups()
    return Delivery(kind=KINDS[status], status=status, response=reason, truncated=line.truncated)


SHAPES: tuple[Shape, ...] = (
    Shape("from=", _read_sender),
    Shape("status=", _read_status),
)
