"""What a case of the fault suite is, and what comes out of it."""

from collections import Counter
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import TypeVar

from tests.faults.scene import Scene

T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True)
class Size:
    lines: int
    ends: int = 1
    """How often something is killed, cut or stopped."""
    rate: float | None = None
    """Lines a second; else as fast as they are taken."""


@dataclass
class Outcome:
    """Exact: by the number in each recipient, or by the line itself."""

    sent: int
    stored: int
    lost: int
    doubled: int
    strange: int
    """Events of lines that nobody sent."""
    may_lose: bool = False
    """The transport allows it; what was lost is reported."""
    notes: dict[str, float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    """What else went wrong."""

    def check(self, is_so: bool, failure: str) -> None:
        if not is_so:
            self.failures.append(failure)

    @property
    def problems(self) -> list[str]:
        wrong = list(self.failures)
        if self.lost and not self.may_lose:
            wrong.append(f"{self.lost} lost")
        if self.doubled:
            wrong.append(f"{self.doubled} doubled")
        if self.strange:
            wrong.append(f"{self.strange} that nobody sent")
        return wrong


@dataclass(frozen=True)
class Case:
    name: str
    play: Callable[[Scene, Size], Awaitable[Outcome]]
    short: Size
    long: Size
    nodes: int = 1
    """nats-servers; several are a cluster."""


def compare(expected: Counter[T], found: Counter[T]) -> Outcome:
    strange = sum(count for one, count in found.items() if one not in expected)
    return Outcome(
        sent=expected.total(),
        stored=found.total(),
        lost=(expected - found).total(),
        doubled=(found - expected).total() - strange,
        strange=strange,
    )
