"""What a line shape is: how the text behind the queue id opens, and who can read it.

In: a `Line`. Out: facts, a skip or a reason why not. Shapes are rows in `shapes/<daemon>.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from service.core.outcomes import Malformed, Skip
from service.core.postfix.facts import Facts
from service.core.postfix.fragments import LONGEST_QUEUE_ID, NOQUEUE, QUEUE_ID, pattern
from service.core.postfix.markers import LONG_LINE

Reading = Facts | Skip | Malformed

_QUEUE_ID: Final = pattern(rf"({QUEUE_ID}): ")
# Logs are published with ids that are shorter, or begin in lower case: believed only in front of
# what opens a failure.
_MADE_UP_ID: Final = pattern(
    rf"([0-9A-Za-z]{{1,{LONGEST_QUEUE_ID}}}): ?"
    r"(?=to=|from=<|status=|(?:milter-(?:header-|body-)?)?reject: )"
)
_OPENING: Final = pattern(r"[A-Za-z][A-Za-z_-]{0,40}[=:]?")
_HEADER_BYTES: Final = 200
"""What a syslog header may take of a line: `LONG_LINE` counts it, a text does not have it."""


@dataclass(slots=True, init=False)
class Line:
    """A record's text without severity word, divided as every shape is."""

    text: str
    queue_id: str | None
    """None for `NOQUEUE` and where there is none."""
    named: bool
    """It begins with a queue id or `NOQUEUE`."""
    opening: str
    """The first word behind that, with the `:` or `=` that ends it: `reject:`, `to=`, `host`."""
    rest: int
    """Where the text goes on behind the opening and its space."""
    truncated: bool

    # Written out as in `core.postfix.facts`: for the compiled core.
    def __init__(
        self,
        text: str,
        queue_id: str | None,
        named: bool,
        opening: str,
        rest: int,
        truncated: bool,
    ) -> None:
        self.text = text
        self.queue_id = queue_id
        self.named = named
        self.opening = opening
        self.rest = rest
        self.truncated = truncated

    @property
    def may_be_cut(self) -> bool:
        """By us, or by somebody before: then it may end inside of what a stranger chose, in the
        midst of what looks like a field."""
        return (
            self.truncated or len(self.text.encode("utf-8", "replace")) >= LONG_LINE - _HEADER_BYTES
        )


Reader = Callable[[Line], Reading | None]


@dataclass(frozen=True, slots=True)
class Shape:
    opening: str
    read: Reader
    """None: not this shape, ask the next row with the same opening."""


def divide(text: str, truncated: bool) -> Line:
    match = _QUEUE_ID.match(text) or _MADE_UP_ID.match(text)
    start = match.end() if match else 0
    queue_id = match[1] if match and match[1] != NOQUEUE else None
    word = _OPENING.match(text, start)
    if word is None:
        return Line(text, queue_id, match is not None, "", start, truncated)
    rest = word.end()
    if text.startswith(" ", rest) and not word[0].endswith("="):
        rest += 1
    return Line(text, queue_id, match is not None, word[0], rest, truncated)
