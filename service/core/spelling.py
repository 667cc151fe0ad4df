"""The nearest known word, for whoever mistyped one.

In: a word and those that are known. Out: the end of a message.
"""

import difflib
from collections.abc import Iterable

_LONGEST = 64
"""Characters that are compared: the effort grows with the square of the length."""


def nearest(word: str, known: Iterable[str]) -> str:
    listed = list(known)
    close = difflib.get_close_matches(word[:_LONGEST], listed, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known here: {', '.join(listed)}" if listed else ""
