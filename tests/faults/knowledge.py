"""What a fleet must know of a message, by who took its lines and what died meanwhile.

In: for each attempt of a message, how its lines were taken. Out: for each attempt, whether its
events must say all that earlier lines told. Elsewhere they may say less (`docs/guarantees.md`),
and nothing is asserted of that.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Life:
    """One process of a receiver, from its start to its end."""

    place: int
    number: int


@dataclass(frozen=True)
class Taken:
    """The lines of one attempt."""

    by: Life | None
    """None: not all by the same, or that is not known."""
    died: bool
    """It was killed before it had certainly told the others."""
    node_died: bool
    """What is written to the bucket, or asked of it, may be lost meanwhile."""


def known(attempts: Sequence[Taken]) -> list[bool]:
    """A receiver knows what it has heard itself, and of a message that was deferred before what the
    bucket tells."""
    result: list[bool] = []
    for number, taken in enumerate(attempts):
        if taken.by is None or (number and not result[-1]):
            result.append(False)
        elif number == 0 or taken.by == attempts[number - 1].by:
            result.append(True)
        else:
            before = attempts[number - 1]
            was_told = not before.died and not before.node_died
            result.append(was_told and not taken.node_died)
    return result
