"""The DNS list that blocked a client, from the default reply templates only.

In: a refusal, and what else its line told. Out: the list's name or None. Postfix
`global/mail_params.h` DEF_DEF_RBL_REPLY, `postscreen/postscreen_early.c`; before 2.0
`Service unavailable; [192.0.2.1] blocked using dnsbl.example, reason: text`.
"""

import re
from typing import Final

from service.core.postfix.fragments import optional, pattern
from service.core.postfix.remembered import remember

NEEDLE: Final = "] blocked using "

_OPENING: Final = pattern(
    " ?Service unavailable; " + optional(r"[A-Za-z][A-Za-z -]{0,40} ") + r"\["
)
_LONGEST_OPENING: Final = 70
_LIST: Final = pattern(r"[A-Za-z0-9._-]{1,255}")
_BRACKET: Final = "["
_END: Final = ";"
_REASON: Final = ", reason: "
_OPENINGS: Final[dict[str, bool]] = {}
_LISTS: Final[dict[str, bool]] = {}


def blocking_list(
    response: str, start: int, truncated: bool, known: list[str | None]
) -> str | None:
    """`start`: behind the codes. `known`: the values that may stand in the brackets.

    What stands there may be a sender's address or a HELO name, and what follows the list is text
    of the list's owner: where either imitates the template, only a known value tells.
    """
    what = response.find(_BRACKET, start, start + _LONGEST_OPENING) + 1
    if what == 0 or not _fits(_OPENING, response[start:what], _OPENINGS):
        return None
    place = response.find(NEEDLE, what)
    if place < 0:
        return None
    if response.find(NEEDLE, place + 1) >= 0:
        place = _after_known(response, what, known)
        if place < 0:
            return None
    place += len(NEEDLE)
    end = response.find(_END, place)
    if end < 0:
        if truncated:
            return None
        end = len(response)
    name = response[place:end].partition(_REASON)[0]
    return name if _fits(_LIST, name, _LISTS) else None


def _fits(shape: re.Pattern[str], text: str, seen: dict[str, bool]) -> bool:
    """Remembered if it does, as then it is short: the few words that Postfix and its administrator
    open refusals with, and the few lists that they ask."""
    if text in seen:
        return True
    return shape.fullmatch(text) is not None and remember(seen, text, True)


def _after_known(response: str, what: int, known: list[str | None]) -> int:
    """Where the needle follows a known value; the longest one, as one may begin another."""
    place = -1
    for value in known:
        if value and response.startswith(value + NEEDLE, what):
            place = max(place, what + len(value))
    return place
