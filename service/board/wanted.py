"""What of the live list a page wants to see: words of a query string in, a test of events out."""

from collections.abc import Mapping
from dataclasses import dataclass

from service.board.summary import KINDS, Summary

_WORD_MAX = 320


@dataclass(frozen=True, slots=True)
class Wanted:
    """None and empty take all."""

    kinds: frozenset[str] = frozenset()
    mta: str | None = None
    category: str | None = None
    domain: str | None = None
    provider: str | None = None
    words: tuple[str, ...] = ()
    """Each must stand somewhere in the event, in any case of letters."""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Wanted":
        """Whatever else stands in the query is not looked at."""

        def word(name: str) -> str | None:
            return query.get(name, "").strip().lower()[:_WORD_MAX] or None

        return cls(
            frozenset((query.get("type") or "").split(",")) & frozenset(KINDS),
            word("mta"),
            word("category"),
            word("domain"),
            word("provider"),
            tuple((word("q") or "").split()),
        )

    def takes(self, event: Summary) -> bool:
        return (
            (not self.kinds or event.kind in self.kinds)
            and self.mta in (None, event.mta)
            and self.category in (None, event.category)
            and self.domain in (None, event.domain)
            and self.provider in (None, event.provider)
            and (not self.words or self._stands_in(event))
        )

    def _stands_in(self, event: Summary) -> bool:
        text = "\n".join(
            part
            for part in (
                event.mta,
                event.queue_id,
                event.sender,
                event.recipient,
                event.code,
                event.category,
                event.provider,
                event.response,
                event.message_id,
            )
            if part is not None
        ).lower()
        return all(word in text for word in self.words)
