"""What other receivers wrote a moment ago of messages that are not known here.

In: values by key, as they are heard. Out: those of one key, once a question of it was answered.
What is heard may be on its way into the bucket still, so that an answer does not hold it. Kept for
a second or two and within a bound of bytes: two generations, of which the older is let go.
"""

_SECONDS = 1.0
_BYTES = 2 * 1024 * 1024
"""Of one generation."""
_ENTRY_BYTES = 200
_A_KEY = 8
"""Values of one key."""


class Recent:
    def __init__(self) -> None:
        self._young: dict[bytes, list[bytes]] = {}
        self._old: dict[bytes, list[bytes]] = {}
        self._size = 0
        self._turned_at = 0.0

    def add(self, key: bytes, value: bytes, now: float) -> None:
        """`now`: seconds of any clock that goes forward."""
        if now - self._turned_at >= _SECONDS or self._size >= _BYTES:
            # After a quiet time the young ones are old as well.
            self._old = self._young if now - self._turned_at < 2 * _SECONDS else {}
            self._young, self._size, self._turned_at = {}, 0, now
        values = self._young.setdefault(key, [])
        if len(values) < _A_KEY:
            values.append(value)
        else:
            values[-1] = value
        self._size += len(value) + _ENTRY_BYTES

    def take(self, key: bytes) -> list[bytes]:
        """In the order they were heard."""
        return self._old.pop(key, []) + self._young.pop(key, [])
