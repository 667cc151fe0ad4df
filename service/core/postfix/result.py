"""How reading one syslog message as a Postfix record can end."""

from dataclasses import dataclass

from service.core.outcomes import Malformed, Skip
from service.core.postfix.facts import Delivery, Facts, Record


@dataclass(slots=True, init=False)
class Failure:
    """A failure of mail."""

    record: Record
    facts: Facts
    repeats: int = 1
    """How often the line happened: a relay may have folded repeats into one
    (`message repeated 2 times: [ ... ]`)."""

    # Written out as in `core.postfix.facts`: for the compiled core.
    def __init__(
        self,
        record: Record,
        facts: Facts,
        repeats: int = 1,
    ) -> None:
        self.record = record
        self.facts = facts
        self.repeats = repeats


@dataclass(slots=True)
class Success:
    """A delivery that succeeded: of interest where an earlier attempt did not."""

    record: Record
    facts: Delivery


@dataclass(slots=True)
class Unparsed:
    """It stands where failures stand, but could not be read: a dead letter."""

    record: Record | None
    reason: Malformed


Parsed = Failure | Unparsed | Skip
