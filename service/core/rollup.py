"""Counts of events by reporting host, and the `rollup` events made of them.

In: events as they are made. Out, at the end of a period: one `rollup` for each host that had any.

Bounded, for host names and what is counted come from lines: so many hosts in one period (what is
too long for a host name is none), and so many different causes (type, category, scope, provider) in
all hosts together. An event of a host beyond that is in no roll-up; one of a cause beyond that is
only in the `total` of its type.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b

from schemas.base import EventBase, Mta
from schemas.rollup import Period, RollupEvent, TypeCounts
from schemas.subjects import mta_token
from schemas.vocabulary import TimeQuality
from service.core.identity import ID_BYTES
from service.core.line import NAME_MAX
from service.core.outcomes import RollupOverflow

MAX_CAUSES = 100_000
MAX_WORDS = 128
"""In one map; as the schema has it."""
_NONE = "none"

Cause = tuple[str | None, str | None, str | None]
"""Category, scope, provider."""


@dataclass(slots=True)
class _Host:
    name: str
    causes: dict[tuple[str, Cause], int] = field(default_factory=dict)
    others: Counter[str] = field(default_factory=Counter)
    """Of causes beyond the bound, by type."""


class Rollups:
    def __init__(
        self, receiver: str, began: datetime, max_hosts: int, max_causes: int = MAX_CAUSES
    ) -> None:
        """`began`: when this receiver did. With its name it tells receivers, and the lives of one,
        apart."""
        self.max_hosts = max_hosts
        self._max_causes = max_causes
        self.start = began
        """Of the period that is counted."""
        self._receiver = receiver
        self._life = f"{receiver}\x1f{began.isoformat()}"
        self._hosts: dict[str, _Host] = {}
        self._causes = 0
        self.overflow: dict[str, int] = {reason.value: 0 for reason in RollupOverflow}
        """Events that were beyond a bound."""

    def __len__(self) -> int:
        """Hosts."""
        return len(self._hosts)

    def count(self, event: EventBase) -> None:
        # On the way of each event: a look-up or two. Spellings of a name are put together later.
        name = event.mta.host
        host = self._hosts.get(name)
        if host is None:
            if len(self._hosts) >= self.max_hosts or len(name) > NAME_MAX:
                self.overflow[RollupOverflow.MTAS] += 1
                return
            host = self._hosts[name] = _Host(name)
        causes = host.causes
        cause = event.event_type, (event.category, event.scope, event.provider)
        known = causes.get(cause)
        if known is not None:
            causes[cause] = known + 1
        elif self._causes < self._max_causes:
            causes[cause] = 1
            self._causes += 1
        else:
            host.others[event.event_type] += 1
            self.overflow[RollupOverflow.CAUSES] += 1

    def end(self, end: datetime, now: datetime) -> list[RollupEvent]:
        """The period ends, and the next one begins at `end`. Where the clock was set back to before
        its start, it has no length."""
        period = Period(start=self.start, end=max(self.start, end))
        made = [self._rollup(token, hosts, period, now) for token, hosts in self._by_token()]
        self.start = end
        self._hosts = {}
        self._causes = 0
        return made

    def _by_token(self) -> Iterator[tuple[str, list[_Host]]]:
        """Spellings of one host have one subject and one roll-up."""
        found: dict[str, list[_Host]] = {}
        for host in self._hosts.values():
            found.setdefault(mta_token(host.name), []).append(host)
        yield from found.items()

    def _rollup(self, token: str, hosts: list[_Host], period: Period, now: datetime) -> RollupEvent:
        by_type: dict[str, _OfType] = {}
        for host in hosts:
            for (event_type, cause), number in host.causes.items():
                by_type.setdefault(str(event_type), _OfType()).add(cause, number)
            for event_type, number in host.others.items():
                by_type.setdefault(str(event_type), _OfType()).total += number
        return RollupEvent(
            event_id=self._id(token, period.start),
            event_time=period.start,
            received_at=now,
            time_quality=TimeQuality.EXACT,
            mta=_mta(hosts[0].name),
            receiver=self._receiver,
            period=period,
            counts={event_type: of_type.counts() for event_type, of_type in by_type.items()},
        )

    def _id(self, token: str, start: datetime) -> str:
        """One of each host, period and life of a receiver, so that a roll-up sent again is the same
        one, and two parts of one minute are two."""
        hashed = f"rollup\x1f{self._life}\x1f{token}\x1f{start.isoformat()}"
        return blake2b(hashed.encode("utf-8", "replace"), digest_size=ID_BYTES).hexdigest()


@lru_cache(maxsize=1024)
def _mta(host: str) -> Mta:
    """The same object each minute: what is made of it for a message is remembered by it."""
    return Mta(host=host, transport=None)


class _OfType:
    def __init__(self) -> None:
        self.total = 0
        self._maps: tuple[Counter[str], ...] = (Counter(), Counter(), Counter())

    def add(self, cause: Cause, number: int) -> None:
        self.total += number
        for counter, word in zip(self._maps, cause, strict=True):
            counter[_NONE if word is None else str(word)] += number

    def counts(self) -> TypeCounts:
        categories, scopes, providers = (
            dict(counter.most_common(MAX_WORDS)) for counter in self._maps
        )
        return TypeCounts(
            total=self.total, categories=categories, scopes=scopes, providers=providers
        )
