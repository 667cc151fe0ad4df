"""`invalid`: the dead letter, a Postfix failure line that could not become an event."""

from base64 import b64decode
from typing import Literal

from .base import EventBase
from .fields import Base64


class InvalidEvent(EventBase):
    """Kept so that nothing is lost when Postfix learns a new line shape."""

    event_type: Literal["invalid"] = "invalid"
    """Always `invalid`."""
    reason: str
    """Why, from a short list that may grow: `unknown_shape`, `cut_before_status`,
    `invalid_event` ..."""
    detail: str | None = None
    """The field and the rule it broke, where a value was refused."""
    raw_base64: Base64
    """The bytes as received."""

    @property
    def raw_bytes(self) -> bytes:
        """The bytes as received, decoded. Hostile input."""
        return b64decode(self.raw_base64)
