"""Bytes to typed event and back: `decode` and `encode`.

In: the payload of one message. Out: one of the six event models, or `DecodeError`, the only
exception a caller has to expect. What a later 1.x may bring is accepted: fields this version does
not know are ignored, words it does not know stay plain strings.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from .base import EventBase
from .delivery import BouncedEvent, DeferredEvent
from .invalid import InvalidEvent
from .reject import RejectEvent
from .resolved import ResolvedEvent
from .rollup import RollupEvent
from .vocabulary import EventType

Event = Annotated[
    RejectEvent | DeferredEvent | BouncedEvent | ResolvedEvent | InvalidEvent | RollupEvent,
    Field(discriminator="event_type"),
]
"""What a message can hold. Tell them apart with `match` or `isinstance`."""

EVENT_ADAPTER: TypeAdapter[Event] = TypeAdapter(Event)
"""Validates anything that should be an event; for input that is not JSON."""

MODELS: dict[EventType, type[EventBase]] = {
    EventType.REJECT: RejectEvent,
    EventType.DEFERRED: DeferredEvent,
    EventType.BOUNCED: BouncedEvent,
    EventType.RESOLVED: ResolvedEvent,
    EventType.INVALID: InvalidEvent,
    EventType.ROLLUP: RollupEvent,
}

_NAMED_FAULTS = 5


class DecodeFailure(StrEnum):
    """Why a payload is no event: fit for a metric label."""

    NOT_JSON = "not_json"
    """Not one JSON object in UTF-8: another publisher writes to these subjects."""
    UNSUPPORTED_VERSION = "unsupported_version"
    """`schema_version` is not 1.x: install the package's version of that major."""
    UNKNOWN_EVENT_TYPE = "unknown_event_type"
    """An event type that a later 1.x added: update the package if it is wanted."""
    INVALID = "invalid"
    """A field is missing or holds what the contract excludes: a fault of the publisher."""


class DecodeError(ValueError):
    """The payload is no event this version can read.

    The same bytes fail again, so do not ask for redelivery: end the message (`await msg.term()`),
    count `reason`, and go on with the next. With `unsupported_version` and `unknown_event_type`
    the event itself is sound: set it aside, update the package and replay it.

    `detail` names fields and rules. Of values it holds at most the version and the event type:
    all others may be personal data.
    """

    def __init__(self, reason: DecodeFailure, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


def decode(data: bytes | str) -> Event:
    """The typed event in a message's payload; raises `DecodeError`."""
    try:
        return EVENT_ADAPTER.validate_json(data)
    except ValidationError as error:
        raise _explain(data, error) from None


def encode(event: EventBase) -> bytes:
    """The payload that carries an event: UTF-8 JSON.

    Raises `ValueError` for text with lone surrogates: decode log lines with `errors="replace"`.
    """
    # `model_dump_json` gives text, and encoding that is a copy for nothing.
    return event.__pydantic_serializer__.to_json(event)


def _explain(data: bytes | str, error: ValidationError) -> DecodeError:
    """Reads the payload once more without a schema: an old version may have any shape."""
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogatepass")  # a lone surrogate is a fault like others
    try:
        payload = from_json(data)
    except ValueError as fault:
        return DecodeError(DecodeFailure.NOT_JSON, str(fault))
    if not isinstance(payload, dict):
        return DecodeError(DecodeFailure.NOT_JSON, f"JSON {type(payload).__name__}, not an object")
    version = str(payload.get("schema_version"))[:16]
    major = version.partition(".")[0]
    if major.isdecimal() and major != "1":
        return DecodeError(
            DecodeFailure.UNSUPPORTED_VERSION, f"schema_version {version!r}, known is 1.x"
        )
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    if faults[0]["type"] == "union_tag_invalid":
        kind = payload["event_type"]
        if isinstance(kind, str):
            return DecodeError(DecodeFailure.UNKNOWN_EVENT_TYPE, f"event_type {kind[:64]!r}")
        return DecodeError(DecodeFailure.INVALID, "event_type: Input should be a valid string")
    named = [f"{_path(fault['loc'])}: {fault['msg']}" for fault in faults[:_NAMED_FAULTS]]
    if len(faults) > _NAMED_FAULTS:
        named.append(f"and {len(faults) - _NAMED_FAULTS} more")
    return DecodeError(DecodeFailure.INVALID, "; ".join(named))


def _path(loc: tuple[int | str, ...]) -> str:
    """`mta.pid`; pydantic puts the event type in front."""
    return ".".join(str(part) for part in loc[1:]) or "event_type"
