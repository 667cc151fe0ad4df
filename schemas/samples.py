"""The golden examples: for documentation, and for the tests of subscribers.

In: an event type or a model. Out: `examples/<event_type>.json` as a message body, or as a typed
event with some fields changed.
"""

from pathlib import Path
from typing import Any, TypeVar

from .base import EventBase
from .vocabulary import EventType

E = TypeVar("E", bound=EventBase)

_EXAMPLES = Path(__file__).with_name("examples")


def example_bytes(event_type: EventType | str) -> bytes:
    """A whole message body, as a subscriber receives it."""
    return (_EXAMPLES / f"{EventType(event_type)}.json").read_bytes()


def example(model: type[E], **changes: Any) -> E:
    """`example(BouncedEvent, recipient="anna@example.org")`: the changes are validated."""
    event_type = model.model_fields["event_type"].default
    event = model.model_validate_json(example_bytes(event_type))
    if not changes:
        return event
    unknown = changes.keys() - model.model_fields.keys()
    if unknown:
        raise TypeError(f"{model.__name__} has no {', '.join(sorted(unknown))}")
    return model.model_validate({**dict(event), **changes})
