"""Events by what they say: their type, their cause, and the provider that refused us.

In: how many events had which cause. Out: four metrics. Label values are words of the schemas and
names of our rules, never text from a line.
"""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry

from schemas.vocabulary import Category, EventType, Scope
from service.collectors import Counts
from service.core.classify.values import NOTHING

_FAILED = {EventType.REJECT, EventType.DEFERRED, EventType.BOUNCED}
_SENT_BY_US = {EventType.DEFERRED, EventType.BOUNCED}

Cause = tuple[str, str | None, str | None, str | None]
"""Type of an event, its category, scope and provider."""


class EventCounts:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._types = Counts(
            "mailfault_events",
            "Events made",
            "type",
            tuple(t for t in EventType if t is not EventType.ROLLUP),
            registry,
        )
        self._unclassified = Counts(
            "mailfault_unclassified",
            "Events whose cause no rule names, by receiving provider",
            "provider",
            (NOTHING,),
            registry,
        )
        self._categories = Counts(
            "mailfault_event_categories",
            "Refusals, deferrals and bounces, by their cause",
            "category",
            tuple(Category),
            registry,
        )
        self._reputation = Counts(
            "mailfault_reputation",
            "Deferrals and bounces for our reputation, by receiving provider",
            "provider",
            (NOTHING,),
            registry,
        )

    def know_providers(self, names: Iterable[str]) -> None:
        """Nothing else becomes a label."""
        known = sorted({*names, NOTHING})
        self._unclassified.know(known)
        self._reputation.know(known)

    def count(self, events: Mapping[Cause, int]) -> None:
        by_type: dict[str, int] = {}
        for (event_type, category, scope, provider), count in events.items():
            by_type[event_type] = by_type.get(event_type, 0) + count
            if category == Category.OTHER:
                _count_provider(provider, count, self._unclassified)
            if event_type in _FAILED:
                if category is None or category not in self._categories:
                    category = Category.OTHER
                self._categories.count(category, count)
            if scope == Scope.REPUTATION and event_type in _SENT_BY_US:
                _count_provider(provider, count, self._reputation)
        for event_type, count in by_type.items():
            self._types.count(event_type, count)


def _count_provider(provider: str | None, count: int, counts: Counts) -> None:
    if provider is None or provider not in counts:
        provider = NOTHING
    counts.count(provider, count)
