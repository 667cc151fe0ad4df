"""Once a minute, how many events there were of each reporting host: to the outlet, as all events.

Minutes are those of the clock, so that the parts of several receivers can be added up.
"""

import asyncio
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field

from service.core.envelope import Envelope, SubjectTemplate, seal
from service.core.rollup import Rollups
from service.metrics import Metrics

_EPOCH = datetime.fromtimestamp(0, UTC)
_NAME_MAX = 200
"""The schema has 255: a worker puts its number behind the name of its receiver."""


class RollupConfig(BaseModel):
    """Roll-ups: counts of events by host, for those who want numbers."""

    model_config = ConfigDict(extra="forbid")

    enabled: bool = Field(True, description="Publish roll-ups, on `postfix.rollup.<mta>`.")
    interval: int = Field(
        60,
        ge=1,
        le=3600,
        description="Seconds that each roll-up covers; 60 is what subscribers expect.",
    )
    max_mtas: int = Field(
        1000,
        ge=1,
        le=100_000,
        description="Hosts with a roll-up in one interval; events of further hosts are in none.",
    )
    receiver: str | None = Field(
        None,
        min_length=1,
        max_length=_NAME_MAX,
        description="Name of this receiver in its roll-ups. Empty: the name of its host.",
    )


class RollupKeeper:
    """`run` until cancelled, and `end` once, when no more events are made."""

    def __init__(
        self,
        config: RollupConfig,
        template: SubjectTemplate,
        put: Callable[[list[Envelope]], None],
        is_wanted: Callable[[], bool],
        metrics: Metrics,
    ) -> None:
        """`is_wanted`: whether the stream takes any. One that it does not take would wait for ever,
        and events behind it."""
        self._interval = timedelta(seconds=config.interval)
        self._template = template
        self._put = put
        self._is_wanted = is_wanted
        self._metrics = metrics
        name = config.receiver or socket.gethostname()[:_NAME_MAX] or "unknown"
        self.rollups = Rollups(name, _now(), config.max_mtas)

    async def run(self) -> None:
        while True:
            now = _now()
            await asyncio.sleep((self._begin_of(now) + self._interval - now).total_seconds())
            self.tick(_now())

    def tick(self, now: datetime) -> None:
        """At `now`: what ended before it is published. Of a process that was stopped for longer
        than an interval that is several intervals in one, as nobody counted at their borders."""
        end = self._begin_of(now)
        if now < self.rollups.start:  # the clock was set back
            self._publish(now, now)
        elif end > self.rollups.start:
            self._publish(end, now)

    def end(self) -> None:
        """The running interval ends here."""
        now = _now()
        self._publish(now, now)

    def _publish(self, end: datetime, now: datetime) -> None:
        made = self.rollups.end(end, now)
        is_wanted = self._is_wanted()
        self._metrics.rolled_up(len(made), wanted=is_wanted)
        if made and is_wanted:
            self._put([seal(each, self._template, now.timestamp()) for each in made])

    def _begin_of(self, time: datetime) -> datetime:
        """Of its interval."""
        return time - (time - _EPOCH) % self._interval


def _now() -> datetime:
    return datetime.now(UTC)
