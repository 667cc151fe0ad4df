"""The stream: created where it is absent, checked where it exists, never changed.

In: a connection, and what the settings want. Out: a `StreamReport` for health and the log: whether
our events can go there, and what does not fit.
"""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import nats.js.errors
import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import (
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StoreCompression,
    StreamConfig,
    StreamInfo,
)

from schemas.vocabulary import MAIL_EVENTS, EventType
from service.nats.client import obey_cancellation, words
from service.nats.config import NatsConfig

log = structlog.get_logger(__name__)

_LOOK_AGAIN_SECONDS = 1.0
_UNFIT_LOOK_SECONDS = 5.0
"""Between looks whether it is mended. Nothing else may tell: who is not ready is sent nothing."""
_REFUSAL_SECONDS = 12.0
"""A refused event is sent again within five seconds: without a word for so long that is over."""
_NO_JETSTREAM = "JetStream does not answer: enable it, on the server and for this account"
_REMEDY = "look at the stream and the limits of its account; events wait here until it takes them"
_SUBJECTS_OVERLAP = 10065
"""nats-server `server/errors.json`."""


class StreamState(StrEnum):
    READY = "ready"
    """It exists and takes our subjects."""
    ABSENT = "absent"
    """It does not exist, and we were told not to make it."""
    UNSUITABLE = "unsuitable"
    """It exists, but does not take our events."""
    FOREIGN = "foreign"
    """Another stream takes our subjects: ours cannot be made, and what is published goes there."""
    UNVERIFIED = "unverified"
    """We may not ask, or nobody answered: publishing will show."""


_UNFIT = frozenset({StreamState.ABSENT, StreamState.UNSUITABLE, StreamState.FOREIGN})


@dataclass(frozen=True, slots=True)
class StreamReport:
    state: StreamState
    created: bool = False
    findings: tuple[str, ...] = ()
    """What is not as recommended, for the log."""
    takes_rollups: bool = True


async def ensure_stream(client: Client, config: NatsConfig) -> StreamReport:
    """Never raises for what the server answers or does not answer."""
    try:
        return await _ensure_stream(client, config)
    except nats.js.errors.ServiceUnavailableError as error:
        # nats-py has no words for an answer that nobody gave.
        finding = words(error) if error.description else _NO_JETSTREAM
        return StreamReport(StreamState.UNVERIFIED, findings=(finding,))
    except Exception as error:  # noqa: BLE001  # nats-py lets pass whatever it cannot read
        return StreamReport(StreamState.UNVERIFIED, findings=(words(error),))


async def _ensure_stream(client: Client, config: NatsConfig) -> StreamReport:
    jetstream = client.jetstream(timeout=config.connect_timeout)
    wanted = config.stream
    try:
        info = await jetstream.stream_info(wanted.name)
    except nats.js.errors.NotFoundError:
        if not wanted.create:
            return StreamReport(StreamState.ABSENT)
    else:
        return _check(info, config)
    ours = StreamConfig(
        name=wanted.name,
        description="Failed mail, published by mailfault",
        subjects=[config.stream_subject],
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.OLD,
        storage=StorageType(wanted.storage),
        num_replicas=wanted.replicas,
        max_age=wanted.max_age,
        max_bytes=wanted.max_bytes,
        duplicate_window=wanted.duplicate_window,
        compression=StoreCompression.S2,
        allow_direct=True,
    )
    try:
        await jetstream.add_stream(ours)
    except nats.js.errors.BadRequestError as error:
        if error.err_code != _SUBJECTS_OVERLAP:
            raise
        return await _foreign(jetstream, config)
    return StreamReport(StreamState.READY, created=True)


async def _foreign(jetstream: JetStreamContext, config: NatsConfig) -> StreamReport:
    subject = config.stream_subject
    try:
        name = f"stream {await jetstream.find_stream_name_by_subject(subject)}"
    except nats.js.errors.Error:
        name = "another stream"
    remedy = "name it in nats.stream.name, or choose another nats.subject_prefix"
    return StreamReport(
        StreamState.FOREIGN, findings=(f"{name} takes {subject} already: {remedy}",)
    )


def _check(info: StreamInfo, config: NatsConfig) -> StreamReport:
    found = info.config
    findings = []
    state = StreamState.READY
    subjects = found.subjects or ()
    takes_rollups = _takes(subjects, config, [EventType.ROLLUP])
    if not _takes(subjects, config, MAIL_EVENTS):
        state = StreamState.UNSUITABLE
        findings.append(
            f"takes {', '.join(subjects) or 'no subjects'}, not all of {config.stream_subject}"
        )
    elif not takes_rollups:
        findings.append("takes events, and no roll-ups: these are not published")
    if found.sealed:
        state = StreamState.UNSUITABLE
        findings.append("is sealed: it takes no more events")
    if found.no_ack:
        state = StreamState.UNSUITABLE
        findings.append("acknowledges nothing (no_ack): each event would be sent for ever")
    window = found.duplicate_window or 0
    if window < config.stream.duplicate_window:
        findings.append(f"duplicate window is {window:g} s, shorter than our resends may take")
    if found.discard == DiscardPolicy.NEW:
        findings.append("discards new events when full: they wait here until there is room")
    if found.retention != RetentionPolicy.LIMITS:
        findings.append(f"retention is {found.retention}: each event is not kept for all readers")
    if found.max_msgs_per_subject > 0:
        findings.append(f"keeps {found.max_msgs_per_subject} events of a subject, not all")
    if found.storage == StorageType.MEMORY:
        findings.append("memory storage: acknowledged events do not survive a server restart")
    return StreamReport(state, findings=tuple(findings), takes_rollups=takes_rollups)


def _takes(subjects: Iterable[str], config: NatsConfig, event_types: Iterable[EventType]) -> bool:
    """Every subject the template can give, of these event types."""
    fields = {"prefix": config.subject_prefix, "instance": "*", "category": "*"}
    fields |= {"mta": "*", "recipient_domain": "*"}
    wanted = [
        config.subject_template.format(type=event_type, **fields) for event_type in event_types
    ]
    return all(any(_covers(subject, want) for subject in subjects) for want in wanted)


def _covers(subject: str, wanted: str) -> bool:
    """Both may hold `*`; a field within a token (`mx-{mta}`) counts as any token."""
    ours = wanted.split(".")
    theirs = subject.split(".")
    for place, part in enumerate(theirs):
        if part == ">":
            return len(ours) > place
        if place >= len(ours) or part not in ("*", ours[place]):
            return False
    return len(ours) == len(theirs)


class StreamKeeper:
    """Looks after the stream: on each new connection, and when JetStream says that no stream takes
    our subjects (it may have been deleted, or JetStream may not have been up)."""

    def __init__(self, config: NatsConfig) -> None:
        self._config = config
        self._client: Client | None = None
        self._wanted = asyncio.Event()
        self._next_look: asyncio.TimerHandle | None = None
        self._refusal = ""
        self._refused_at = -_REFUSAL_SECONDS
        self.report: StreamReport | None = None

    async def check(self, client: Client) -> None:
        self._client = client
        report = await ensure_stream(client, self._config)
        if report != self.report:
            level = log.info if report.state is StreamState.READY else log.warning
            level(
                "stream_checked",
                stream=self._config.stream.name,
                state=report.state.value,
                created=report.created,
                findings=list(report.findings),
            )
        self.report = report
        if self._next_look is not None:
            self._next_look.cancel()
            self._next_look = None
        if report.state in _UNFIT:
            loop = asyncio.get_running_loop()
            self._next_look = loop.call_later(_UNFIT_LOOK_SECONDS, self.look_again)

    @property
    def refusal(self) -> str | None:
        """Why it takes nothing at the moment, in its own words."""
        is_over = time.monotonic() - self._refused_at >= _REFUSAL_SECONDS
        return None if is_over else self._refusal

    def refuses(self, why: str) -> None:
        """It will not have an event now, which waits. Said once, until it is over or another."""
        if why != self.refusal:
            log.warning(
                "stream_refuses", stream=self._config.stream.name, reason=why, remedy=_REMEDY
            )
            self.look_again()  # it may have been sealed
        self._refusal, self._refused_at = why, time.monotonic()

    def look_again(self) -> None:
        self._wanted.set()

    async def run(self) -> None:
        """Until cancelled; at most one look a second."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            if self._client is not None and self._client.is_connected:
                await self.check(self._client)
                obey_cancellation()
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
