"""The durable consumer in the server: made where it is absent, checked where it exists.

In: what the program wants. Out: a consumer that delivers exactly that, or an error that says what
is in the way. An existing consumer is never changed: another program may read from it.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, ConsumerInfo, DeliverPolicy
from nats.js.errors import NotFoundError

_log = logging.getLogger(__name__)

Start = Literal["all", "new"] | datetime

_MAX_ACK_PENDING = 10_000
"""How many events may be out at once, those that wait for their next try included; with all of
them waiting nothing new comes. The server's 1000 is what one bad hour of a fleet fills."""


class ConsumerError(Exception):
    """Consuming is not possible as asked. Stop: trying again changes nothing."""


class StreamNotFoundError(ConsumerError):
    """There is no such stream. Has a receiver run here? Check `stream` and the account."""


class ConsumerMismatchError(ConsumerError):
    """A consumer of that name exists and delivers something else. Take another `durable`, or
    delete that consumer if nobody needs it any more."""


@dataclass(frozen=True)
class Progress:
    """How far a consumer has got: all up to `settled` was settled, by whoever shares it."""

    stream_created: datetime | None
    settled: int


@dataclass(frozen=True)
class Durable:
    stream: str
    name: str
    subjects: Sequence[str]
    start: Start
    ack_wait: float
    backoff: Sequence[float]

    async def ensure(
        self, jetstream: JetStreamContext, before: Progress | None
    ) -> tuple[ConsumerInfo, Progress]:
        """Raises `ConsumerError`, or one of nats-py's errors where nobody answers.

        `before`: where to go on when it was there and has to be made anew."""
        try:
            stream = await jetstream.stream_info(self.stream)
        except NotFoundError:
            raise StreamNotFoundError(
                f"no stream {self.stream}: a mailfault receiver makes it when it first connects"
            ) from None
        try:
            info: ConsumerInfo = await jetstream.consumer_info(self.stream, self.name)
        except NotFoundError:
            resume = None
            if before is not None:
                # In another stream of that name everything is new.
                same = before.stream_created == stream.created
                resume = before.settled + 1 if same else 1
            info = await jetstream.add_consumer(self.stream, self._config(resume))
            _log.info("made consumer %s of stream %s", self.name, self.stream)
        self._check(info)
        return info, Progress(stream.created, settled_by(info))

    def _config(self, resume: int | None) -> ConsumerConfig:
        config = ConsumerConfig(
            name=self.name,
            durable_name=self.name,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=self.ack_wait,
            # The client counts: the server would give up in silence.
            max_deliver=-1,
            max_ack_pending=_MAX_ACK_PENDING,
        )
        waits = [max(self.ack_wait, delay) for delay in self.backoff]
        if any(wait > self.ack_wait for wait in waits):
            config.backoff = waits  # a program that dies is no reason to hurry either
        if len(self.subjects) == 1:
            config.filter_subject = self.subjects[0]
        else:
            config.filter_subjects = list(self.subjects)
        if resume is not None:
            config.deliver_policy = DeliverPolicy.BY_START_SEQUENCE
            config.opt_start_seq = resume
        elif isinstance(self.start, datetime):
            config.deliver_policy = DeliverPolicy.BY_START_TIME
            config.opt_start_time = self.start
        else:
            config.deliver_policy = DeliverPolicy(self.start)
        return config

    def _check(self, info: ConsumerInfo) -> None:
        found = info.config
        faults = []
        theirs = found.filter_subjects or [found.filter_subject or ">"]
        if {*theirs} != {*self.subjects}:
            faults.append(f"delivers {', '.join(theirs)} and not {', '.join(self.subjects)}")
        if found.deliver_subject:
            faults.append("pushes, and has to be pulled from")
        if found.ack_policy != AckPolicy.EXPLICIT:
            faults.append(f"has ack_policy {found.ack_policy} and not explicit")
        if faults:
            raise ConsumerMismatchError(
                f"the consumer {self.name} of stream {self.stream} {'; '.join(faults)}: "
                "choose another durable, or delete it"
            )
        if found.max_deliver is not None and found.max_deliver > 0:
            _log.warning(
                "consumer %s gives up after %d deliveries by itself, uncounted",
                self.name,
                found.max_deliver,
            )


def settled_by(info: ConsumerInfo) -> int:
    """The stream sequence up to which everything was settled, or lies before its start."""
    return 0 if info.ack_floor is None else info.ack_floor.stream_seq


def ack_wait_of(info: ConsumerInfo) -> float:
    """Seconds in which the server hears of a message, or delivers it again."""
    waits = info.config.backoff or [info.config.ack_wait or 30.0]
    return min(waits)
