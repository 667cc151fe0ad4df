"""Received frames to envelopes, counting every outcome. Synchronous, no IO, no clock.

In: the pieces a framer gave, and where they came from. Out: envelopes. Every frame ends as
event(s), a skip with a reason or a drop with a reason, and is counted as exactly one of them.
"""

from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from service.core.assemble import Event, Line, assemble, assemble_invalid
from service.core.envelope import Envelope, SubjectTemplate, seal
from service.core.framing.base import Block, Frame, Piece
from service.core.outcomes import Malformed, Skip
from service.core.postfix import parse
from service.core.postfix.markers import candidates, is_candidate
from service.core.postfix.result import Failure, Unparsed
from service.core.syslog import parse_message
from service.core.syslog.message import SyslogMessage
from service.metrics import Metrics, Tally
from service.received import Origin, Receipts


class PipelineConfig(BaseModel):
    """How lines are read."""

    model_config = ConfigDict(extra="forbid")

    default_timezone: str = Field(
        "UTC", description="Zone of stamps that name none, as `Europe/Berlin`."
    )
    keep_raw: bool = Field(True, description="Put the line as received into each event (`raw`).")

    @field_validator("default_timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, OSError, ValueError) as error:  # ZoneInfoNotFoundError is a KeyError
            raise ValueError(f"no time zone {value!r}; use a name as 'Europe/Berlin'") from error
        return value


@dataclass(slots=True)
class _Batch:
    """What one call of `process` is given and gathers."""

    origin: Origin
    received_at: datetime
    received: float
    """The same in Unix time, once and not for each event."""
    receipts: Receipts | None = None
    piece: int = 0
    """The index of the piece at hand, for `receipts`."""
    tally: Tally = field(default_factory=Tally)
    envelopes: list[Envelope] = field(default_factory=list)


class Pipeline:
    def __init__(self, config: PipelineConfig, template: SubjectTemplate, metrics: Metrics) -> None:
        self._zone = ZoneInfo(config.default_timezone)
        self._keep_raw = config.keep_raw
        self._template = template
        self._metrics = metrics

    def process(
        self,
        pieces: list[Piece],
        origin: Origin,
        received_at: datetime,
        receipts: Receipts | None = None,
    ) -> list[Envelope]:
        """`received_at`: aware, UTC. Envelopes come in the order of their lines. `receipts` is told
        what to expect of which piece, and each envelope knows whom to tell when it is durable."""
        batch = _Batch(origin, received_at, received_at.timestamp(), receipts)
        for batch.piece, piece in enumerate(pieces):
            if isinstance(piece, Block):
                self._block(piece, batch)
            elif isinstance(piece, Frame):
                self._frame(piece, batch)
            else:
                self._metrics.dropped(origin.transport, piece.kind)
        self._metrics.processed(origin.transport, batch.tally)
        return batch.envelopes

    def frame(self, frame: Frame, origin: Origin, received_at: datetime) -> list[Envelope]:
        return self.process([frame], origin, received_at)

    def block(self, block: Block, origin: Origin, received_at: datetime) -> list[Envelope]:
        return self.process([block], origin, received_at)

    def _block(self, block: Block, batch: _Batch) -> None:
        data = block.data
        looked_at = 0
        for start, end in candidates(data):
            line = data[start:end]
            if line.endswith(b"\r"):
                line = line[:-1]
                if not is_candidate(line):  # it was long enough only with its CR
                    continue
            looked_at += 1
            self._line(line, False, batch)
        batch.tally.frames += block.count
        batch.tally.skip(Skip.NOT_A_FAILURE, block.count - looked_at)

    def _frame(self, frame: Frame, batch: _Batch) -> None:
        batch.tally.frames += 1
        if frame.truncated:
            self._metrics.truncated(batch.origin.transport)
        if is_candidate(frame.data):
            self._line(frame.data, frame.truncated, batch)
        else:
            batch.tally.skip(Skip.NOT_A_FAILURE)

    def read_line(
        self,
        raw: bytes,
        truncated: bool,
        origin: Origin,
        received_at: datetime,
        written_at: datetime | None = None,
    ) -> list[Event] | Skip:
        """What one candidate line means; nothing is counted. Never raises. `written_at`: the time
        that stamps without a year are near to, where it is not that of receipt."""
        try:
            message = parse_message(raw, received_at=written_at or received_at, zone=self._zone)
            if message is None:
                return Skip.NOT_SYSLOG
            parsed = parse(message, truncated=truncated)
            if isinstance(parsed, Skip):
                return parsed
            line = Line(
                raw,
                message,
                received_at,
                origin.transport,
                origin.source_ip,
                truncated,
                self._keep_raw,
            )
            return _events(line, parsed)
        except Exception as error:  # noqa: BLE001  # one bad line must not take others with it
            return [self._after_defect(raw, truncated, origin, received_at, error)]

    def _line(self, raw: bytes, truncated: bool, batch: _Batch) -> None:
        read = self.read_line(raw, truncated, batch.origin, batch.received_at)
        tally = batch.tally
        if isinstance(read, Skip):
            tally.skip(read)
            return
        tally.frames_with_events += 1
        for event in read:
            tally.event(event.event_type)
            envelope = seal(event, self._template, batch.received)
            if batch.receipts is not None:
                batch.receipts.expect(batch.piece)
                envelope.on_durable = partial(batch.receipts.durable, batch.piece)
            batch.envelopes.append(envelope)

    def _after_defect(
        self,
        raw: bytes,
        truncated: bool,
        origin: Origin,
        received_at: datetime,
        error: Exception,
    ) -> Event:
        # The whole line as its text, so that different lines have different ids.
        text = raw.decode("utf-8", "replace")
        message = SyslogMessage("", received_at, "received", None, "", None, text)
        line = Line(
            raw, message, received_at, origin.transport, origin.source_ip, truncated, self._keep_raw
        )
        return assemble_invalid(line, None, Malformed.PARSER_FAILED, type(error).__name__)


def _events(line: Line, parsed: Failure | Unparsed) -> list[Event]:
    if isinstance(parsed, Unparsed):
        return [assemble_invalid(line, parsed.record, parsed.reason)]
    try:
        if parsed.repeats == 1:
            return [assemble(line, parsed.record, parsed.facts)]
        return [
            assemble(line, parsed.record, parsed.facts, ordinal)
            for ordinal in range(parsed.repeats)
        ]
    except ValidationError as error:
        return [assemble_invalid(line, None, Malformed.INVALID_EVENT, _explain(error))]


def _explain(error: ValidationError) -> str:
    """Fields and rules, without the values: they are personal data and may be hostile."""
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()
    )
