"""What pieces of lines were found to mean, for the next line that has the same piece.

In: a piece, and its meaning. Out: the meaning. Logs name the same peers and say the same words
again and again, and to look one up costs a tenth of reading it. A plain dictionary, as the compiled
core asks it without the interpreter. Bounded: a full one is emptied, which costs nothing per line;
how long a piece may be is bounded by the pattern that read it, or by who asks.
"""

from typing import Final, TypeVar

MOST_REMEMBERED: Final = 4096

_K = TypeVar("_K")
_T = TypeVar("_T")


def remember(known: dict[_K, _T], piece: _K, meaning: _T) -> _T:
    if len(known) >= MOST_REMEMBERED:
        known.clear()
    known[piece] = meaning
    return meaning
