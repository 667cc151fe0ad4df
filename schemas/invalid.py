"""`invalid`: the dead letter, a Postfix failure line that could not become an event."""

from typing import Literal

from .base import EventBase


class InvalidEvent(EventBase):
    """Kept so that nothing is lost when Postfix learns a new line shape."""

    event_type: Literal["invalid"] = "invalid"
    reason: str
    """Why, from a short fixed list: `unknown_shape`, `cut_before_status`, `invalid_event` ..."""
    detail: str | None = None
    """The field and the rule it broke, where a value was refused."""
    raw_base64: str
    """The bytes as received."""
