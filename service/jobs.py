"""What goes from stage to stage of the pipeline: lines of one read, and what becomes of each.

Batch   what the lines of one read have in common
Entry   one line that says something
Job     what the events of one line are made of
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from service.core.assemble import Event
from service.core.classify import Verdict
from service.core.context import NO_CONTEXT, Context
from service.core.correlate.correlator import News
from service.core.correlate.trace import Trace
from service.core.correlate.waiting import Waiting
from service.core.line import Line
from service.core.outcomes import Skip
from service.core.postfix.facts import Record
from service.core.postfix.result import Failure, Unparsed
from service.core.resolved import Ending
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


@dataclass(slots=True, eq=False, init=False)
class Entry:
    """One line that says something."""

    raw: bytes
    truncated: bool
    piece: int
    batch: Batch
    heard: "Heard | None"
    """Of a line that told of a message."""
    line: Line | None
    parsed: Failure | Unparsed | Exception | Skip | None
    """Of a line that may be a failure."""
    verdict: Verdict | None
    done: Callable[[list[Event] | Skip], None] | None
    """Who waits for what became of it, where it is no listener."""
    is_counted: bool
    """False: its frame is counted with what became of it at first, and this is what comes later."""

    # Written out as in `core.postfix.facts`: for the compiled core.
    def __init__(
        self,
        raw: bytes,
        truncated: bool,
        piece: int,
        batch: Batch,
        heard: "Heard | None" = None,
        parsed: Failure | Unparsed | Exception | Skip | None = None,
        done: Callable[[list[Event] | Skip], None] | None = None,
    ) -> None:
        self.raw = raw
        self.truncated = truncated
        self.piece = piece
        self.batch = batch
        self.heard = heard
        self.line = None
        self.parsed = parsed
        self.verdict = None
        self.done = done
        self.is_counted = True

    def rest(self) -> "Entry":
        """The same line, for what comes of it later: one event or none, which whoever sent it is
        told of as of the first."""
        rest = Entry(self.raw, self.truncated, self.piece, self.batch, parsed=self.parsed)
        rest.line, rest.verdict, rest.is_counted = self.line, self.verdict, False
        if self.batch.receipts is not None:
            self.batch.receipts.expect(self.piece)
        return rest

    def answered(self) -> "Entry":
        """The same line, for what may come of it once its sender has been answered."""
        batch = replace(self.batch, receipts=None)
        later = Entry(self.raw, self.truncated, self.piece, batch, parsed=self.parsed)
        later.line, later.verdict, later.is_counted = self.line, self.verdict, False
        return later


@dataclass(slots=True, init=False)
class Job:
    """What the events of one line are made of."""

    line: Line
    parsed: Failure | Unparsed | Exception | None
    """None: the line is no failure; it ends the waiting of recipients."""
    verdict: Verdict | None
    context: Context
    record: Record | None
    """Of a line that is no failure."""
    expired: Sequence[Waiting]
    """The recipients of a message that expired: one `bounced` event each."""
    endings: Sequence[Ending]

    def __init__(
        self,
        line: Line,
        parsed: Failure | Unparsed | Exception | None,
        verdict: Verdict | None = None,
        context: Context = NO_CONTEXT,
        record: Record | None = None,
        expired: Sequence[Waiting] = (),
        endings: Sequence[Ending] = (),
    ) -> None:
        self.line = line
        self.parsed = parsed
        self.verdict = verdict
        self.context = context
        self.record = record
        self.expired = expired
        self.endings = endings

    @property
    def count(self) -> int:
        """Of its events."""
        if self.endings:
            return len(self.endings) + max(1, len(self.expired))
        return self.parsed.repeats if isinstance(self.parsed, Failure) else 1

    def parts(self, most: int) -> "list[Job]":
        """The same in several, each with the ends of at most so many recipients."""
        if len(self.endings) <= most:
            return [self]
        return [
            Job(
                self.line,
                self.parsed,
                self.verdict,
                self.context,
                self.record,
                self.expired[start : start + most],
                self.endings[start : start + most],
            )
            for start in range(0, len(self.endings), most)
        ]


Outcome = Job | Skip
Heard = tuple[Trace, News]


Released = tuple[Entry, Outcome]
