"""One explained line, as text for a terminal and as JSON."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from schemas.invalid import InvalidEvent
from service.cli.terminal import console, printable
from service.core.assemble import Event
from service.core.explain import Trace, Wire, flat, origins
from service.core.outcomes import Drop, Malformed, Skip
from service.core.postfix.result import Unparsed

_SKIPPED = {
    Skip.NOT_A_FAILURE: "a Postfix line that mentions a failure and reports none",
    Skip.NOT_SYSLOG: "a failure is mentioned, but there is no syslog header to tell whose",
    Skip.NOT_POSTFIX: "a failure is mentioned, but its tag is that of another program",
    Skip.PROBE: "an address verification probe or sendmail -bv: no user's mail",
}
_NO_MARKER = "it has no 'reject: ', no 'abort: TLS' and no 'status=' but sent"
_DROPPED = {
    Drop.CUT_SHORT: "a receiver drops a frame that does not come whole",
    Drop.BAD_COMPRESSION: "a receiver drops what does not inflate",
}
_INVALID = {
    Malformed.UNKNOWN_SHAPE: "it stands where failures stand, in a form that is not known",
    Malformed.CUT_BEFORE_STATUS: "a delivery that was cut before its status",
}
_LONGEST_VALUE = 160
_LONGEST_LINE = 60
"""Of what was put in anyway."""
_PRIVACY = ", by [privacy]"


@dataclass(slots=True)
class Explained:
    number: int
    """Of the line in the input, from 1."""
    wire: Wire
    steps: Trace | None
    """None: it got no further than its framing."""
    events: list[Event]
    """As assembled, to tell what was treated."""
    shown: list[Event]

    @property
    def is_understood(self) -> bool:
        if self.wire.drop is not None or self.steps is None:
            return False
        return not any(isinstance(event, InvalidEvent) for event in self.events)

    def steps_in_words(self) -> Iterator[tuple[str, str]]:
        yield "framing", self.wire.framing
        if self.wire.priority is not None:
            yield "priority", self.wire.priority
        if self.steps is not None:
            yield from _steps(self.steps)
        if (outcome := self._outcome()) is not None:
            yield outcome
        for event in self.shown[:1]:
            if event.category is not None:
                yield "category", f"{event.category}, scope {event.scope}"
            more = f", and {len(self.shown) - 1} more" if len(self.shown) > 1 else ""
            yield "event", f"{event.event_type} {event.event_id}{more}"

    def _outcome(self) -> tuple[str, str] | None:
        """Why there is no event, or a dead letter."""
        if self.wire.drop is not None:
            return "dropped", f"{self.wire.drop}: {_DROPPED[self.wire.drop]}"
        if self.steps is None:
            return "dropped", "no syslog"
        if (skip := self.steps.skip) is not None and not self.events:
            has_marker = self.steps.is_candidate
            return "skipped", f"{skip}: {_SKIPPED[skip] if has_marker else _NO_MARKER}"
        if isinstance(self.steps.parsed, Unparsed):
            reason = self.steps.parsed.reason
            return "invalid", f"{reason}: {_INVALID[reason]}"
        return None

    def fields(self) -> Iterator[tuple[str, Any, str]]:
        """Of the first event: name, value, where it came from."""
        for before, event in zip(self.events[:1], self.shown[:1], strict=True):
            assembled, shown = flat(before), flat(event)
            come_from = origins(before) | origins(event)
            for name in come_from:
                value = shown.get(name)
                is_treated = assembled.get(name) != value
                yield name, value, come_from[name] + (_PRIVACY if is_treated else "")

    def as_dict(self) -> dict[str, Any]:
        steps = self.steps
        rule = steps.rule if steps is not None else None
        return {
            "line": self.number,
            "framing": self.wire.framing,
            "priority": self.wire.priority,
            "header": steps.header if steps is not None else None,
            "tag": steps.message.tag if steps is not None and steps.message is not None else None,
            "shape": steps.shape if steps is not None else None,
            "rule": rule._asdict() if rule is not None else None,
            "event_type": self.shown[0].event_type if self.shown else None,
            "skipped": steps.skip if steps is not None and not self.shown else None,
            "dropped": self.wire.drop,
            "events": [event.model_dump(mode="json") for event in self.shown],
            "origins": {name: origin for name, _, origin in self.fields()},
        }


def _steps(steps: Trace) -> Iterator[tuple[str, str]]:
    message = steps.message
    if message is None:
        yield "header", "none that is known"
        return
    stamp = f"stamp {message.stamp!r}" if message.stamp else "no stamp"
    host = f"host {message.host}" if message.host else "no host"
    time = message.time.isoformat().replace("+00:00", "Z")
    yield "header", f"{steps.header}: {stamp}, {host}; {time}, {message.time_quality}"
    tag = message.tag + (f"[{message.pid}]" if message.pid is not None else "") or "none"
    if steps.identity is None:
        yield "tag", f"{tag}: not Postfix"
    else:
        instance, daemon = steps.identity
        yield "tag", f"{tag}: instance {instance}, daemon {daemon or 'cut off'}"
    if steps.shape is not None:
        yield "shape", steps.shape
    if (rule := steps.rule) is not None:
        yield "rule", f"{rule.id} in {rule.file}: {rule.source}" if rule.file else rule.source


def show(found: Explained) -> None:
    out = console()
    steps = Table.grid(padding=(0, 2, 0, 0))
    steps.add_column(style="bold", no_wrap=True)
    steps.add_column(overflow="fold")
    steps.add_row("line", str(found.number))
    for name, words in found.steps_in_words():
        steps.add_row(name, Text(printable(words)))  # not a str: markup is one
    out.print(steps)
    fields = Table("field", "value", "from", box=None, padding=(0, 2, 0, 0))
    fields.columns[0].no_wrap = True
    fields.columns[1].overflow = "fold"
    for name, value, origin in found.fields():
        fields.add_row(name, Text(_short(name, value)), Text(origin, style="dim"))
    if fields.row_count:
        out.print()
        out.print(fields)
    out.print()


def _short(name: str, value: Any) -> str:
    longest = _LONGEST_LINE if name.startswith("raw") else _LONGEST_VALUE
    text = printable(str(value)) if value is not None else "(dropped)"
    return text if len(text) <= longest else f"{text[:longest]}..."
