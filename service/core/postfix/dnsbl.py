"""The DNS list that blocked a client, from the default reply template only.

In: a refusal, and what else its line told. Out: the list's name or None. Postfix
`global/mail_params.h` DEF_DEF_RBL_REPLY, `postscreen/postscreen_early.c`.
"""

from typing import Final

from service.core.postfix.fragments import pattern

NEEDLE: Final = "] blocked using "

_TEMPLATE: Final = pattern(r" ?Service unavailable; [A-Za-z][A-Za-z -]{0,40} \[")
_LIST: Final = pattern(r"([A-Za-z0-9._-]{1,255})(;|\Z)")


def blocking_list(
    response: str, start: int, truncated: bool, known: list[str | None]
) -> str | None:
    """`start`: behind the codes. `known`: the values that may stand in the brackets.

    What stands there may be a sender's address or a HELO name, and what follows the list is text
    of the list's owner: where either imitates the template, only a known value tells.
    """
    template = _TEMPLATE.match(response, start)
    if template is None:
        return None
    what = template.end()
    place = response.find(NEEDLE, what)
    if place < 0:
        return None
    if response.find(NEEDLE, place + 1) >= 0:
        place = _after_known(response, what, known)
        if place < 0:
            return None
    match = _LIST.match(response, place + len(NEEDLE))
    if match is None or (truncated and not match[2]):
        return None
    return match[1]


def _after_known(response: str, what: int, known: list[str | None]) -> int:
    """Where the needle follows a known value; the longest one, as one may begin another."""
    place = -1
    for value in known:
        if value and response.startswith(value + NEEDLE, what):
            place = max(place, what + len(value))
    return place
