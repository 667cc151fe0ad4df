"""What the page shows, kept up to date event by event.

In: messages of the stream, one after the other, and the time. Out: the numbers of the page for the
last hour, six hours, or the whole history.
"""

from typing import Any

import schemas
from schemas.codec import DecodeFailure
from service.board.config import BoardConfig
from service.board.fleet import Fleet
from service.board.leaders import GROUPS, LeaderBoard
from service.board.minutes import Minutes
from service.board.recent import Recent
from service.board.summary import FAILURES, KINDS, Summary, summarise
from service.board.waiting import AGES, Open, Waiting

_LEADERS = 8
_OLDEST = 6
_SILENT = 50
_NAMES = 500
_RATE_SECONDS = 300
_FORGET_SECONDS = 30


class Picture:
    def __init__(self, config: BoardConfig) -> None:
        self._config = config
        self.changes = 0
        """Grows with everything taken: a page is stale when it differs."""
        self.start_anew()

    def start_anew(self) -> None:
        """As if nothing had been read: the stream is another one."""
        config = self._config
        self.recent = Recent(config.events)
        self.waiting = Waiting(config.waiting, config.waiting_quiet)
        self._minutes = Minutes(config.history)
        self._leaders = LeaderBoard(config.history, config.names)
        self._fleet = Fleet(config.mtas, config.silent_after)
        self._forgot_at = 0.0
        self.read = 0
        self.unreadable = 0
        """Messages that are no event of ours."""
        self.outside = 0
        """Events of a time before the history: listed, not counted."""
        self.changes += 1

    def take(self, seq: int, data: bytes, now: float) -> None:
        self.read += 1
        self.changes += 1
        try:
            event = schemas.decode(data)
        except schemas.DecodeError as error:
            # What a later version adds goes by the same stream.
            if error.reason is not DecodeFailure.UNKNOWN_EVENT_TYPE:
                self.unreadable += 1
            return
        if event.event_type in KINDS:  # no roll-up
            self.add(summarise(seq, event), now)

    def add(self, event: Summary, now: float) -> None:
        self.recent.add(event)
        self.waiting.take(event)
        at = min(event.at, now)  # a clock ahead of ours
        if at < now - self._config.history:
            self.outside += 1
            return
        self._minutes.add(event.kind, at)
        self._fleet.take(event.mta, at)
        if event.kind in FAILURES:
            self._leaders.add(event, at)
        if now - self._forgot_at > _FORGET_SECONDS:
            self.forget(now)

    def forget(self, now: float) -> None:
        """What is older than the history."""
        self._forgot_at = now
        self._minutes.forget(now)
        self._leaders.forget(now)
        self.waiting.forget(now)

    def names(self) -> list[str]:
        return self._fleet.names()[:_NAMES]

    def view(self, seconds: float, now: float) -> dict[str, Any]:
        seconds = min(seconds, self._config.history)
        start, step, bars = self._minutes.chart(seconds, now)
        rates = self._minutes.totals(_RATE_SECONDS, now)
        self.waiting.forget(now)
        return {
            "now": now,
            "seconds": seconds,
            "history": self._config.history,
            "kinds": KINDS,
            "totals": [sum(column) for column in zip(*bars, strict=True)],
            "rates": [round(count * 60 / _RATE_SECONDS, 1) for count in rates],
            "chart": {"start": start, "step": step, "bars": bars},
            "leaders": {group: self._first(group, seconds, now) for group in GROUPS},
            "waiting": {
                "total": len(self.waiting),
                "ends": AGES,
                "ages": self.waiting.by_age(now),
                "oldest": [_waiting_row(waiting) for waiting in self.waiting.oldest(_OLDEST)],
                "forgotten": self.waiting.forgotten,
            },
            "mtas": {
                "known": len(self._fleet),
                "forgotten": self._fleet.forgotten,
                "silent": [
                    {"name": mta.name, "heard": mta.heard, "pause": mta.pause}
                    for mta in self._fleet.silent(now)[:_SILENT]
                ],
            },
            "read": self.read,
            "unreadable": self.unreadable,
            "outside": self.outside,
        }

    def _first(self, group: str, seconds: float, now: float) -> dict[str, Any]:
        leaders = self._leaders.leaders(group, seconds, now, _LEADERS)
        return {"first": leaders.first, "others": leaders.others}


def _waiting_row(waiting: Open) -> dict[str, Any]:
    return {**waiting.last.row(), "since": waiting.since, "attempts": len(waiting.attempts)}
