"""Reads one text as the service would, for the tests of the line shapes."""

from datetime import UTC, datetime

from service.core.postfix import parse
from service.core.postfix.facts import Delivery, Reject
from service.core.postfix.result import Failure, Parsed
from service.core.syslog.message import SyslogMessage

_TIME = datetime(2026, 8, 1, 10, 20, 30, tzinfo=UTC)


def read(text: str, tag: str = "postfix/smtpd", *, truncated: bool = False) -> Parsed:
    message = SyslogMessage("Aug  1 10:20:30", _TIME, "inferred", "mx1", tag, 2101, text)
    return parse(message, truncated=truncated)


def failure(text: str, tag: str = "postfix/smtpd", *, truncated: bool = False) -> Failure:
    parsed = read(text, tag, truncated=truncated)
    assert isinstance(parsed, Failure), f"{parsed} of {text}"
    return parsed


def reject(text: str, tag: str = "postfix/smtpd", *, truncated: bool = False) -> Reject:
    facts = failure(text, tag, truncated=truncated).facts
    assert isinstance(facts, Reject), f"{facts} of {text}"
    return facts


def delivery(text: str, tag: str = "postfix/smtp", *, truncated: bool = False) -> Delivery:
    facts = failure(text, tag, truncated=truncated).facts
    assert isinstance(facts, Delivery), f"{facts} of {text}"
    return facts
