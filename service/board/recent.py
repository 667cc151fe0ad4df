"""The last events, in the order of the stream, and what of them belongs to one message.

Bounded: the oldest goes when a new one comes. It is still in the stream, and found there by its
number.
"""

from collections import deque
from collections.abc import Iterator

from service.board.summary import Summary
from service.board.wanted import Wanted

_STORY_MAX = 200


class Recent:
    def __init__(self, capacity: int) -> None:
        self._events: deque[Summary] = deque(maxlen=capacity)

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Iterator[Summary]:
        return iter(self._events)

    def add(self, event: Summary) -> None:
        self._events.append(event)

    @property
    def last(self) -> int:
        return self._events[-1].seq if self._events else 0

    def newest(
        self, wanted: Wanted, limit: int, after: int = 0, before: int | None = None
    ) -> tuple[list[Summary], bool]:
        """At most `limit`, the newest first, and whether there are more. `after` and `before` are
        numbers of the stream and not in it."""
        found: list[Summary] = []
        for event in reversed(self._events):
            if event.seq <= after:
                break
            if (before is None or event.seq < before) and wanted.takes(event):
                if len(found) == limit:
                    return found, True
                found.append(event)
        return found, False

    def story(self, of: Summary) -> list[Summary]:
        """All that is known of its message, oldest first: what has its queue id on its host, what
        it was before it was queued anew, the notice of it, and the same `Message-ID` elsewhere."""
        if of.queue_id is None:
            return [of]
        ids = {of.queue_id, of.origin, of.notice} - {None}
        for event in self._events:  # the bounce may name the notice, or the copy its original
            if event.mta == of.mta and event.queue_id == of.queue_id:
                ids |= {event.origin, event.notice} - {None}
        found = [
            event
            for event in self._events
            if (
                event.mta == of.mta
                and (event.queue_id in ids or of.queue_id in (event.origin, event.notice))
            )
            or (of.message_id is not None and event.message_id == of.message_id)
        ]
        return found[-_STORY_MAX:]
