"""Where a frame came from, and who waits for what it gives to be durable: what the listener knows
and the line does not say.
"""

from dataclasses import dataclass
from itertools import count
from typing import Protocol

new_stream = count(1).__next__
"""A number for `Origin.stream`, never given before."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Made once a connection, or cached per sending address for UDP."""

    transport: str
    """A member of `schemas.vocabulary.Transport`."""
    source_ip: str | None
    """None for files."""
    stream: int | None = None
    """Number of the connection, or of the sending address for UDP: within it equal lines are
    counted, see `core.occurrences`. None where lines are not to be told apart."""


class Receipts(Protocol):
    """Of the pieces that one `Intake.take` was given, by their index: made by a listener whose
    sender is told when its frames are safe. A piece of which nothing is expected by the time
    `take` returns carries no event and needs no waiting for."""

    @property
    def is_pressed(self) -> bool:
        """Whether so much waits to be told safe that nothing should be made to wait longer."""
        ...

    def expect(self, piece: int) -> None:
        """One event of this piece is on its way: called inside `take`, or while another event of
        this piece is still expected."""
        ...

    def durable(self, piece: int) -> None:
        """One expected event is durable: acknowledged by JetStream, or committed to the spool."""
        ...
