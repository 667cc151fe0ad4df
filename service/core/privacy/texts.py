"""Free text without the values that are kept out.

In: a text of the event, and what is known of it. Out: the text with each known value replaced, and
with whatever else looks like a mail address or, where clients are not kept, an IP address.

Linear in the text: what is known is looked for literally, the rest is divided into words by
patterns that cannot fail late.
"""

import re
from collections.abc import Container, Iterator

from service.core.privacy.known import HIDDEN, Known, lower
from service.core.privacy.policy import Treatment
from service.core.privacy.pseudonyms import ip_of
from service.core.privacy.values import Values

_Span = tuple[int, int, str | None]
"""Start, end, and what stands there instead; None: it is known and stays."""

_WORD = re.compile(r'<[^<>@]*@[^<>]*>|[^\s<>"(),;:\[\]{}|]+')
_LEADING = "=/&?"
"""Ends what may stand before an address in a word: `id=anna@example.org`."""
_AROUND = "'`.!?"
_QUOTED_MAX = 320
"""RFC 3696, erratum 1690: no address is longer."""
# However long: of several that are glued together the whole is one word, and none of it may stay.
_V4 = re.compile(r"(?<![0-9])[0-9]+(?:\.[0-9]+){3,}")
_V6 = re.compile(r"(?:[Ii][Pp][Vv]6:)?[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]*")
_TIME_COLONS = 4
"""More stand in no time and no date."""
_ENCODED_AT = "%40"


class Texts:
    """For one event."""

    def __init__(
        self,
        values: Values,
        known: Known,
        addresses: Treatment,
        client: Treatment,
        servers: Container[str],
    ) -> None:
        """`addresses`: of those nobody knows. `servers`: IP addresses that are no client's."""
        self._values = values
        self._known = known
        self._addresses = addresses
        self._client = client
        self._servers = servers

    def clean(self, text: str) -> str:
        spans = [*self._found(text), *self._looking_like_addresses(text), *self._ips(text)]
        return _replaced(text, spans)

    def without_ips(self, text: str) -> str:
        return _replaced(text, self._ips(text))

    def _found(self, text: str) -> Iterator[_Span]:
        searched = lower(text)
        for needle, replacement, whole_word in self._known.needles:
            start = searched.find(needle)
            while start >= 0:
                end = start + len(needle)
                if not whole_word or _is_word(searched, start, end):
                    yield start, end, replacement
                    start = searched.find(needle, end)
                else:
                    start = searched.find(needle, start + 1)

    def _looking_like_addresses(self, text: str) -> Iterator[_Span]:
        if self._addresses is Treatment.KEEP or ("@" not in text and _ENCODED_AT not in text):
            return
        for match in _WORD.finditer(text):
            start, end = match.span()
            word = match[0]
            if word.startswith("<"):
                start, end = start + 1, end - 1
            elif "@" not in word and _ENCODED_AT not in word:
                continue
            elif word.startswith("@") and start > 0 and text[start - 1] == '"':
                start = _opening_quote(text, start - 1)
                end -= len(word) - len(word.rstrip(_AROUND))
            else:
                start, end = self._without_surroundings(text, start, end)
            address = text[start:end].replace(_ENCODED_AT, "@")
            how = self._known.treatment(address) or self._addresses
            shown = self._known.shown(address, how)
            yield start, end, None if how is Treatment.KEEP else shown

    def _without_surroundings(self, text: str, start: int, end: int) -> tuple[int, int]:
        """`id='anna@example.org'.`"""
        word = text[start:end]
        left = len(word) - len(word.lstrip(_AROUND))
        right = len(word.rstrip(_AROUND))
        word = word[left:right].replace(_ENCODED_AT, "@")
        cut = 1 + max(word.rfind(sign, 0, word.rfind("@")) for sign in _LEADING)
        # VERP and SRS have such a sign inside an address, and what stands before it tells as much.
        is_whole = "@" in word[:cut] or self._known.treatment(word) is not None
        if not is_whole and self._known.treatment(word[cut:]) is not None:
            left += cut
        return start + left, start + right

    def _ips(self, text: str) -> Iterator[_Span]:
        if self._client is Treatment.KEEP:
            return
        for match in _V4.finditer(text):
            yield match.start(), match.end(), self._shown_ip(match[0])
        for match in _V6.finditer(text):
            word = match[0]
            if ip_of(word) is None:  # `10:00:05`, `2001:db8::1: blocked`
                word = word.strip(":.")
            if ip_of(word) is not None or "::" in word or word.count(":") > _TIME_COLONS:
                start = text.index(word, match.start())
                yield start, start + len(word), self._shown_ip(word)

    def _shown_ip(self, word: str) -> str | None:
        address = ip_of(word)
        if address is None:
            return HIDDEN
        known = self._known.ip(str(address))
        if known is not None:
            return known
        if str(address) in self._servers:
            return None
        return self._values.client_ip(word, self._client) or HIDDEN


def _is_word(text: str, start: int, end: int) -> bool:
    """Not inside a word, nor between its dots: `5` in `5.1.1` is none."""
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    if before and (_in_word(before[-1]) or (before[-1] == "." and _in_word(before[0]))):
        return False
    return not (after and (_in_word(after[0]) or (after[0] == "." and _in_word(after[-1]))))


def _in_word(character: str) -> bool:
    return character.isalnum() or character in "_-"


def _opening_quote(text: str, closing: int) -> int:
    """Of `"anna b"@example.org`, whose quote ends at `closing`."""
    first = max(0, closing - _QUOTED_MAX)
    place = text.rfind('"', first, closing)
    while place > first and text[place - 1] == "\\":
        place = text.rfind('"', first, place - 1)
    return max(place, first)


def _replaced(text: str, spans: Iterator[_Span] | list[_Span]) -> str:
    """Of those that overlap the longer, earlier one wins, over the place of both: nothing of either
    is left. What stays gives way to what does not, unless that is a part of it."""
    parts: list[str] = []
    position = 0
    end = -1
    shown: str | None = None
    start = 0
    for first, last, replacement in sorted(spans, key=lambda span: (span[0], -span[1])):
        if first >= end:
            if end >= 0:
                parts += (text[position:start], text[start:end] if shown is None else shown)
                position = end
            start, end, shown = first, last, replacement
        elif last > end:
            end = last
            shown = replacement if shown is None else shown
    if end < 0:
        return text
    last_one = text[start:end] if shown is None else shown
    return "".join((*parts, text[position:start], last_one, text[end:]))
