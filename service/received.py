"""Where a frame came from: what the listener knows and the line does not say."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """Made once a connection, or cached per sending address for UDP."""

    transport: str
    """A member of `schemas.vocabulary.Transport`."""
    source_ip: str | None
    """None for files."""
