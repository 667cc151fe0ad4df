"""Messages that were refused as a whole once they had a queue id: remembered for a moment only.

qmgr never has them, and never says `removed`. Content is refused by the thousand, and each would be
remembered until it is too old. But cleanup goes on for a moment: its message-id, or a bounce of
mail from this host.
"""

from collections import deque
from typing import Final

from service.core.correlate.attempts import Attempts
from service.core.correlate.memory import Memory

_SECONDS: Final = 5
"""How long one is still known."""
_BEGINNING_BYTES: Final = 48
"""Of a record set: when it was begun, and the time of its first line."""
_SHARE: Final = 8
"""At most that part of the messages that may be remembered."""


class Refused:
    def __init__(self, messages: Memory, attempts: Attempts) -> None:
        """`messages`: the record sets."""
        self._messages = messages
        self._attempts = attempts
        self._waiting: deque[tuple[int, bytes, bytes]] = deque()
        """When, which, and how its record set begins."""

    def add(self, key: bytes, seconds: int) -> None:
        known = self._messages.entries.get(key)
        if known is not None and key not in self._attempts.queued.entries:
            self._waiting.append((seconds, key, known[:_BEGINNING_BYTES]))

    def trim(self, seconds: int) -> None:
        """Forget those whose moment is over."""
        most = self._messages.bounds.messages // _SHARE
        while self._waiting:
            since, key, beginning = self._waiting[0]
            if seconds - since < _SECONDS and len(self._waiting) <= most:
                return
            self._waiting.popleft()
            known = self._messages.entries.get(key)
            if known is None or key in self._attempts.queued.entries:
                continue
            if known.startswith(beginning):  # else it is another one's by now
                self._messages.discard(key)
