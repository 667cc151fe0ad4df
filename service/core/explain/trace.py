"""What the steps of the pipeline make of one message: header, tag, shape, rule.

In: a message without its framing. Out: a `Trace`, with each step as far as the message got.
"""

from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import NamedTuple

from service.core.classify import Classifier
from service.core.outcomes import Skip
from service.core.postfix import parse
from service.core.postfix.markers import is_candidate
from service.core.postfix.record import MAX_TAG, Identity, identify, is_cut, split_severity, unfold
from service.core.postfix.result import Failure, Parsed
from service.core.postfix.shape import divide
from service.core.postfix.shapes import OPENINGS, row_of
from service.core.syslog.header import recognise
from service.core.syslog.message import SyslogMessage


class RuleFound(NamedTuple):
    id: str
    file: str
    source: str


@dataclass(slots=True)
class Trace:
    is_candidate: bool
    header: str | None = None
    """Name of the form, as `rfc5424`; None where there is none."""
    message: SyslogMessage | None = None
    identity: Identity | None = None
    """None: not Postfix."""
    shape: str | None = None
    parsed: Parsed | None = None
    rule: RuleFound | None = None

    @property
    def skip(self) -> Skip | None:
        if self.message is None:
            return Skip.NOT_SYSLOG if self.is_candidate else Skip.NOT_A_FAILURE
        if not self.is_candidate:
            return Skip.NOT_A_FAILURE
        return self.parsed if isinstance(self.parsed, Skip) else None


def trace(
    data: bytes, truncated: bool, received_at: datetime, zone: tzinfo, classifier: Classifier
) -> Trace:
    found = Trace(is_candidate(data))
    recognised = recognise(data, received_at=received_at, zone=zone)
    if recognised is None:
        return found
    message, found.header = recognised
    found.message = message
    found.identity = identify(message.tag) if len(message.tag) <= MAX_TAG else None
    found.parsed = parse(message, truncated=truncated)
    if found.identity is not None:
        found.shape = _shape(message.text, truncated, isinstance(found.parsed, Failure))
    if isinstance(found.parsed, Failure):
        found.rule = _rule(classifier, classifier.classify(found.parsed.facts).rule)
    return found


def _shape(text: str, truncated: bool, is_failure: bool) -> str:
    """In words: the row of the shapes' tables, and what was around it."""
    text, repeats = unfold(text.rstrip())
    truncated = truncated or is_cut(text)
    severity, text = split_severity(text)
    folded = f", folded {repeats} times" if repeats > 1 else ""
    if severity is not None:
        if is_failure:
            return f"smtpd warning: reject: (a refused ETRN){folded}"
        return f"'{severity}:', with which Postfix reports no failure of mail{folded}"
    line = divide(text, truncated)
    row = row_of(line)
    if row is None:
        row = f"opening {line.opening!r}, " if line.opening else "no opening word, "
        row += "known to be no failure" if line.opening in OPENINGS else "which no row reads"
    named = f"queue id {line.queue_id}" if line.queue_id else "NOQUEUE" if line.named else "no id"
    return f"{row} ({named}{', cut' if truncated else ''}){folded}"


def _rule(classifier: Classifier, name: str) -> RuleFound:
    for rule in classifier.rules:
        if rule.id == name:
            return RuleFound(name, rule.file, rule.source)
    return RuleFound(name, "", "no rule knows these words and codes")
