"""What a generated line is, and the exact count of each kind: the ground truth of a run."""

from dataclasses import asdict, dataclass, field
from enum import IntEnum


class Kind(IntEnum):
    OTHER = 0
    SENT = 1
    WARNING = 2
    """Severity warning: priority `<20>` instead of `<22>`."""
    DECOY = 3
    """Looks like a failure to a careless search and is none."""
    REJECT = 4
    DEFERRED = 5
    BOUNCED = 6


FAILURES = (Kind.REJECT, Kind.DEFERRED, Kind.BOUNCED)

Item = tuple[str, str, int]
"""Header (host and tag), text, kind. A plain tuple: a million of them are made in seconds."""
Round = list[Item]
"""Lines that follow each other closely: a session, one attempt of delivery."""


@dataclass
class Truth:
    """What a receiver must find in the lines."""

    lines: int = 0
    bytes: int = 0
    """The LF at the end of each line included."""
    kinds: list[int] = field(default_factory=lambda: [0] * len(Kind))

    @property
    def by_type(self) -> dict[str, int]:
        """Events that must come out, by event type."""
        return {kind.name.lower(): self.kinds[kind] for kind in FAILURES}

    @property
    def failures(self) -> int:
        return sum(self.kinds[kind] for kind in FAILURES)

    def as_dict(self) -> dict[str, object]:
        named = {kind.name.lower(): self.kinds[kind] for kind in Kind}
        return {**asdict(self), "kinds": named, "failures": self.failures}
