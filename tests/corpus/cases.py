"""The black-box corpus: one log line in, the contract's fields out.

In: `<family>/<what-happened>.toml`, each a list of `[[case]]` tables. Out: `Case`s, checked, so
that a misspelt field name is an error and not a comparison that never happens.

`name`        what is special about the line; unique in the whole corpus
`line`        the line as it arrives, header and all; or `line_bytes`, in hexadecimal digits
`expect`      `reject`, `deferred`, `bounced`, `invalid` or `skip`
`reason`      for skips: the one reason allowed; any where it is absent
`events`      how many events the line gives (1)
`now`         when it is received (2026-08-01T12:00:00Z)
`timezone`    the zone configured for stamps that name none (UTC)
`[case.event]` fields of the event as subscribers read it. A field that is not named is not
              compared; `"@null"` is the null that TOML does not have.

Expectations come from the Postfix source, never from what the parser happens to say.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from schemas.base import Client, Mta
from schemas.delivery import BouncedEvent, DeferredEvent, Delays, Relay, RemoteReply
from schemas.invalid import InvalidEvent
from schemas.reject import RejectEvent
from service.core.outcomes import Malformed, Skip

CORPUS = Path(__file__).parent

FAMILIES = frozenset(
    {
        "smtpd_reject",
        "smtpd_odd",
        "milter",
        "proxy",
        "cleanup_content",
        "cleanup_milter",
        "postscreen",
        "no_event",
        "delivery",
        "traps",
        "versions",
        "correlation",
        "headers",
    }
)

MODELS: Mapping[str, type[BaseModel]] = {
    "reject": RejectEvent,
    "deferred": DeferredEvent,
    "bounced": BouncedEvent,
    "invalid": InvalidEvent,
}
_PARTS: Mapping[str, type[BaseModel]] = {
    "mta": Mta,
    "client": Client,
    "relay": Relay,
    "delays": Delays,
    "remote_reply": RemoteReply,
}
_KEYS = {
    "name",
    "line",
    "line_bytes",
    "expect",
    "reason",
    "events",
    "now",
    "timezone",
    "event",
}
_NULL = "@null"
_NOW = "2026-08-01T12:00:00+00:00"


@dataclass(frozen=True)
class Case:
    family: str
    file: str
    name: str
    line: bytes
    expect: str
    reason: Skip | None
    events: int
    now: datetime
    timezone: str
    event: Mapping[str, Any]

    @property
    def id(self) -> str:
        return f"{self.family}/{self.file}: {self.name}"


@cache
def corpus() -> tuple[Case, ...]:
    return tuple(_load(CORPUS))


def _load(root: Path) -> Iterator[Case]:
    for path in sorted(root.glob("*/*.toml")):
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        if document.keys() != {"case"}:
            raise ValueError(f"{path}: only [[case]] tables")
        for table in document["case"]:
            try:
                yield _case(path, table)
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{path}: {table.get('name')}: {error!r}") from error


def _case(path: Path, table: dict[str, Any]) -> Case:
    if unknown := table.keys() - _KEYS:
        raise ValueError(f"unknown keys {sorted(unknown)}")
    if ("line" in table) == ("line_bytes" in table):
        raise ValueError("one of `line` and `line_bytes`")
    line = table["line"].encode() if "line" in table else bytes.fromhex(table["line_bytes"])
    if b"\n" in line or b"\0" in line:
        raise ValueError("one frame a case: no LF, no NUL")
    expect = table["expect"]
    event = table.get("event", {})
    if expect == "skip":
        if event or "events" in table:
            raise ValueError("a skip has no event")
    elif "reason" in table:
        raise ValueError("only a skip has a reason")
    elif not event.keys() - {"mta"}:
        raise ValueError("an event without expected fields proves nothing")
    else:
        _check_fields(MODELS[expect], event)
        if expect == "invalid":
            Malformed(event["reason"])
    return Case(
        family=path.parent.name,
        file=path.stem,
        name=table["name"],
        line=line,
        expect=expect,
        reason=Skip(table["reason"]) if "reason" in table else None,
        events=table.get("events", 0 if expect == "skip" else 1),
        now=datetime.fromisoformat(table.get("now", _NOW)),
        timezone=table.get("timezone", "UTC"),
        event=_nulls(event),
    )


def _check_fields(model: type[BaseModel], expected: Mapping[str, Any]) -> None:
    if unknown := expected.keys() - model.model_fields.keys():
        raise ValueError(f"{model.__name__} has no {sorted(unknown)}")
    for key, value in expected.items():
        if isinstance(value, dict):
            _check_fields(_PARTS[key], value)


def _nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _nulls(inner) for key, inner in value.items()}
    return None if value == _NULL else value
