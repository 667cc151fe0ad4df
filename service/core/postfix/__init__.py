"""Postfix log lines to facts.

In: a `SyslogMessage`. Out: `Failure`, `Unparsed` or `Skip`; for any text, and without an exception.

    tag ── record ──▶ instance, daemon          not Postfix: skip
    text ─ record ──▶ without severity word and folded repeats
         ─ shape ───▶ queue id, opening word
         ─ shapes/ ─▶ facts by the rows of the daemons; context, reply and dnsbl read the parts
"""

from typing import Final

from service.core.outcomes import Malformed, Skip
from service.core.postfix.facts import Delivery, Record, Reject
from service.core.postfix.markers import LONG_LINE
from service.core.postfix.record import (
    MAX_TEXT,
    Identity,
    identify,
    is_cut,
    split_severity,
    unfold,
)
from service.core.postfix.result import Failure, Parsed, Success, Unparsed
from service.core.postfix.shape import Reading, divide
from service.core.postfix.shapes import delivery, postscreen, read, smtpd
from service.core.syslog.message import SyslogMessage

__all__ = ["LONG_LINE", "parse", "parse_success", "record_of"]

_DELIVERY: Final = ": to=<"
_REFUSAL = "reject: "
_POSTSCREEN: Final = "postscreen"
_TO = "to="


def parse(message: SyslogMessage, *, truncated: bool = False) -> Parsed:
    """`truncated`: the frame was cut on its way here."""
    tag = message.tag
    identity = identify(tag)
    if identity is None:
        return Skip.NOT_POSTFIX
    text = message.text
    if not truncated and not is_cut(text):
        # The hot path: what is unusual in any way goes the long one, to the same result.
        instance, daemon = identity
        if text.find(_DELIVERY, 5, 40) > 0:
            plain = delivery.read_plain(text)
        elif daemon == _POSTSCREEN:
            plain = postscreen.read_plain(text)
        else:
            plain = smtpd.read_plain(text)
        if plain is not None:
            queue_id, reading = plain
            if type(reading) is Reject or (
                type(reading) is Delivery and reading.kind != delivery.SENT
            ):
                return Failure(Record(tag, instance, daemon, queue_id), reading, 1)
            return _result(tag, identity, queue_id, reading, 1)
    return _parse_with_care(tag, identity, text, truncated)


def parse_success(message: SyslogMessage) -> Success | None:
    """A `to=` line whose status is `sent`; None for every other one."""
    plain = delivery.read_plain(message.text)
    if plain is not None and not is_cut(message.text):
        identity = identify(message.tag)
        queue_id, found = plain
        if identity is None or not isinstance(found, Delivery) or found.kind != delivery.SENT:
            return None
        return Success(Record(message.tag, *identity, queue_id), found)
    record = record_of(message)
    if record is None:
        return None
    text = message.text[:MAX_TEXT]
    line = divide(text, is_cut(text))
    reading = read(line) if line.opening == _TO else None
    if not isinstance(reading, Delivery) or reading.kind != delivery.SENT:
        return None
    return Success(record, reading)


def record_of(message: SyslogMessage) -> Record | None:
    """Who logged a line, and of which message; None where it is not Postfix."""
    tag = message.tag
    identity = identify(tag)
    if identity is None:
        return None
    queue_id = divide(message.text[:MAX_TEXT], False).queue_id
    return Record(tag, identity.instance, identity.daemon, queue_id)


def _parse_with_care(tag: str, identity: Identity, text: str, truncated: bool) -> Parsed:
    if len(text) > MAX_TEXT:
        text, truncated = text[:MAX_TEXT], True
    text, repeats = unfold(text.rstrip())
    truncated = truncated or is_cut(text)
    severity, text = split_severity(text)
    if severity is None:
        line = divide(text, truncated)
        return _result(tag, identity, line.queue_id, read(line), repeats)
    if severity == "warning" and text.startswith(_REFUSAL):
        warned = smtpd.read_warning(text[len(_REFUSAL) :], truncated)
        if warned is not None:
            return _result(tag, identity, None, warned, repeats)
    # Whatever a warning mentions, Postfix reports no other failure of mail as one.
    return Skip.NOT_A_FAILURE


def _result(
    tag: str, identity: Identity, queue_id: str | None, reading: Reading, repeats: int
) -> Parsed:
    if isinstance(reading, Skip):
        return reading
    if isinstance(reading, Delivery) and reading.kind == delivery.SENT:
        return Skip.NOT_A_FAILURE
    record = Record(tag, identity.instance, identity.daemon, queue_id)
    if isinstance(reading, Malformed):
        return Unparsed(record, reading)
    return Failure(record, reading, repeats)
