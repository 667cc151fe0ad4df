"""What goes from stage to stage of the pipeline: lines of one read, and what becomes of each.

Batch   what the lines of one read have in common
Entry   one line that says something
Job     what the events of one line are made of
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from service.core.assemble import Ending, Event, Line
from service.core.classify import Verdict
from service.core.context import NO_CONTEXT, Context
from service.core.correlate.correlator import News
from service.core.correlate.trace import Trace
from service.core.correlate.waiting import Waiting
from service.core.outcomes import Skip
from service.core.postfix.facts import Record
from service.core.postfix.result import Failure, Unparsed
from service.received import Origin, Receipts


@dataclass(slots=True)
class Batch:
    """What the lines of one read have in common."""

    origin: Origin
    received_at: datetime
    written_at: datetime
    """The time that stamps without a year are near to."""
    receipts: Receipts | None
    now: float
    """`received_at`."""
    seconds: int
    """`written_at`."""
    stamp: bytes
    """The same, as it is kept."""
    sender: str
    """Who is taken for the host where a line names none."""
    keep_raw: bool


@dataclass(slots=True, eq=False)
class Entry:
    """One line that says something."""

    raw: bytes
    truncated: bool
    piece: int
    batch: Batch
    heard: "Heard | None" = None
    """Of a line that told of a message."""
    line: Line | None = None
    parsed: Failure | Unparsed | Exception | Skip | None = None
    """Of a line that may be a failure."""
    verdict: Verdict | None = None
    done: Callable[[list[Event] | Skip], None] | None = None
    """Who waits for what became of it, where it is no listener."""


@dataclass(slots=True)
class Job:
    """What the events of one line are made of."""

    line: Line
    parsed: Failure | Unparsed | Exception | None
    """None: the line is no failure; it ends the waiting of recipients."""
    verdict: Verdict | None = None
    context: Context = NO_CONTEXT
    record: Record | None = None
    """Of a line that is no failure."""
    expired: Sequence[Waiting] = ()
    """The recipients of a message that expired: one `bounced` event each."""
    endings: Sequence[Ending] = ()


Outcome = Job | Skip
Heard = tuple[Trace, News]


Released = tuple[Entry, Outcome]
