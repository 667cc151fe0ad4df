"""Received frames to envelopes, counting every outcome. Synchronous, no IO, no clock.

In: the pieces a framer gave, and where they came from. Out: envelopes. Every frame ends as
event(s), a skip with a reason or a drop with a reason, and is counted as exactly one of them.
"""

from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from service.core.assemble import Event, Line, assemble, assemble_invalid
from service.core.envelope import Envelope, SubjectTemplate, seal
from service.core.framing.base import Block, Frame, Piece
from service.core.occurrences import Occurrences, is_told_apart
from service.core.outcomes import Malformed, Skip
from service.core.postfix import parse
from service.core.postfix.markers import candidates, is_candidate
from service.core.postfix.result import Failure, Parsed, Unparsed
from service.core.privacy import Privacy
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
    remembered_lines: int = Field(
        65_536,
        ge=1,
        le=10_000_000,
        description="Failure lines with stamps of whole seconds of which is remembered how often "
        "each came in, so that equal ones stay events of their own; some 200 bytes each.",
    )

    @field_validator("default_timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, OSError, ValueError) as error:  # ZoneInfoNotFoundError is a KeyError
            raise ValueError(f"no time zone {value!r}; use a name as 'Europe/Berlin'") from error
        return value


_Candidate = tuple[bytes, bool, int]
"""A line that may be a failure, whether it was cut, and the index of its piece."""
_Read = tuple[Line, Failure | Unparsed | Exception]
"""An exception is a defect of ours: it costs its line a dead letter, and no other line anything."""


class Pipeline:
    """Takes all candidates of a call through one stage, then all through the next: the code and
    data of a stage stay in the processor's caches, which makes the whole a quarter faster."""

    def __init__(
        self,
        config: PipelineConfig,
        template: SubjectTemplate,
        metrics: Metrics,
        privacy: Privacy | None = None,
    ) -> None:
        """`privacy`: None where everything is kept."""
        self._privacy = privacy
        self._zone = ZoneInfo(config.default_timezone)
        self._keep_raw = config.keep_raw
        self._template = template
        self._metrics = metrics
        self.occurrences = Occurrences(config.remembered_lines)

    def process(
        self,
        pieces: list[Piece],
        origin: Origin,
        received_at: datetime,
        receipts: Receipts | None = None,
    ) -> list[Envelope]:
        """`received_at`: aware, UTC. Envelopes come in the order of their lines. `receipts` is told
        what to expect of which piece, and each envelope knows whom to tell when it is durable."""
        tally = Tally()
        found = self._find(pieces, origin, tally)
        read = [
            self._read(raw, truncated, origin, received_at, received_at)
            for raw, truncated, _ in found
        ]
        made = [_make(*outcome) if isinstance(outcome, tuple) else outcome for outcome in read]
        if self._privacy is not None:
            made = [self._privacy.treat(events) for events in made]
        received = received_at.timestamp()  # once and not for each event
        envelopes: list[Envelope] = []
        for (_, _, index), events in zip(found, made, strict=True):
            if not isinstance(events, list):
                tally.skip(events)
                continue
            tally.frames_with_events += 1
            for event in events:
                tally.event(event.event_type)
                envelope = seal(event, self._template, received)
                if receipts is not None:
                    receipts.expect(index)
                    envelope.on_durable = partial(receipts.durable, index)
                envelopes.append(envelope)
        self._metrics.processed(origin.transport, tally)
        return envelopes

    def frame(self, frame: Frame, origin: Origin, received_at: datetime) -> list[Envelope]:
        return self.process([frame], origin, received_at)

    def block(self, block: Block, origin: Origin, received_at: datetime) -> list[Envelope]:
        return self.process([block], origin, received_at)

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
        outcome = self._read(raw, truncated, origin, received_at, written_at or received_at)
        made = _make(*outcome) if isinstance(outcome, tuple) else outcome
        return made if self._privacy is None else self._privacy.treat(made)

    def _find(self, pieces: list[Piece], origin: Origin, tally: Tally) -> list[_Candidate]:
        found: list[_Candidate] = []
        frames = 0
        for index, piece in enumerate(pieces):
            if isinstance(piece, Frame):
                frames += 1
                if piece.truncated:
                    self._metrics.truncated(origin.transport)
                if piece.is_candidate or is_candidate(piece.data):
                    found.append((piece.data, piece.truncated, index))
            elif isinstance(piece, Block):
                frames += piece.count
                if not piece.has_no_candidate:
                    found += [(line, False, index) for line in _candidate_lines(piece.data)]
            else:
                self._metrics.dropped(origin.transport, piece.kind)
        tally.frames = frames
        tally.skip(Skip.NOT_A_FAILURE, frames - len(found))
        return found

    def _read(
        self,
        raw: bytes,
        truncated: bool,
        origin: Origin,
        received_at: datetime,
        written_at: datetime,
    ) -> _Read | Skip:
        parsed: Parsed | Exception
        try:
            message = parse_message(raw, received_at=written_at, zone=self._zone)
            if message is None:
                return Skip.NOT_SYSLOG
            parsed = parse(message, truncated=truncated)
            if isinstance(parsed, Skip):
                return parsed
        except Exception as error:  # noqa: BLE001  # one bad line must not take others with it
            message, parsed = _unread(raw, received_at), error
        line = Line(
            raw,
            message,
            received_at,
            origin.transport,
            origin.source_ip,
            truncated,
            self._keep_raw,
        )
        if origin.stream is not None and not is_told_apart(message.stamp):
            line.before = partial(self.occurrences.before, origin.stream)
        return line, parsed


def _candidate_lines(data: bytes) -> list[bytes]:
    lines = candidates(data)
    if b"\r" not in data:
        return lines
    bare = [line.removesuffix(b"\r") for line in lines]
    # Some were long enough to be looked at only with their CR.
    return [line for line in bare if is_candidate(line)]


def _unread(raw: bytes, received_at: datetime) -> SyslogMessage:
    # The whole line as its text, so that different lines have different ids.
    text = raw.decode("utf-8", "replace")
    return SyslogMessage("", received_at, "received", None, "", None, text)


def _make(line: Line, parsed: Failure | Unparsed | Exception) -> list[Event]:
    try:
        if isinstance(parsed, Exception):
            raise parsed
        return _events(line, parsed)
    except Exception as error:  # noqa: BLE001
        line.message = _unread(line.raw, line.received_at)
        detail = type(error).__name__
        return [assemble_invalid(line, None, Malformed.PARSER_FAILED, detail)]


def _events(line: Line, parsed: Failure | Unparsed) -> list[Event]:
    if isinstance(parsed, Unparsed):
        return [assemble_invalid(line, parsed.record, parsed.reason)]
    try:
        if parsed.repeats == 1:
            return [assemble(line, parsed.record, parsed.facts)]
        return [
            assemble(line, parsed.record, parsed.facts, repeat) for repeat in range(parsed.repeats)
        ]
    except ValidationError as error:
        return [assemble_invalid(line, None, Malformed.INVALID_EVENT, _explain(error))]


def _explain(error: ValidationError) -> str:
    """Fields and rules, without the values: they are personal data and may be hostile."""
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()
    )
