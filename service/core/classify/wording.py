"""The words of a reply in one normal form, so that rules can name phrases and need no patterns.

In: text as logged, partly written by an attacker (RFC 5321 section 4.2 leaves the text of a reply
free, and servers quote the client's own words in it). Out: lower-case words between single
spaces, with a space at both ends: `" over quota "` is then in it exactly where those two words
stand, whatever the punctuation around them. Dots and hyphens inside a word stay, so that a host
name is one word and `mail.mailbox-full.example` has no full mailbox in it.

All of it is linear in the length of the text.
"""

import re
from typing import Final

LIMIT: Final = 1024
"""Characters of a reply that are looked at. An SMTP reply line has at most 512 octets (RFC 5321,
section 4.5.3.1.5), and the cause stands in the first lines."""

# A quoted local part may hold `>` and `: `. No possessive groups: Python before 3.11.5 matches them
# wrongly. What follows a part differs from it in the first character, so there is but one way to
# match, and giving up is linear.
_QUOTED = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_LEADING = rf'<[^"<>]*+(?:{_QUOTED}[^"<>]*+)*>:? '
_CODE = r"(?:[2-5]\d\d[ -]|)(?:[245]\.\d{1,3}\.\d{1,3}[ :]?|)"
_CODES: Final = re.compile(_CODE, re.ASCII)
_LEADING_VALUE: Final = re.compile(_LEADING)
_OPENING: Final = re.compile(rf"{_CODE}(?:{_LEADING}|)", re.ASCII)
_ENHANCED: Final = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?:[ :-]|$)", re.ASCII)
_BRACKETED_ADDRESS: Final = re.compile(rf'<[^"<>@]*+(?:{_QUOTED}[^"<>@]*+)*@[^<>]*+>')
_QUOTED_ADDRESS: Final = re.compile(r'"[^"]*+"@\S*+')

_HEAD: Final = 11
"""Characters after which the codes of nearly all texts are over: `550 5.1.1 `, `550 5.7.26 `."""
HEADS: Final = 4096
_ends_of_codes: Final[dict[str, int]] = {}
"""Heads to where the codes in them end. A few hundred KB at most."""

# Each starts with one literal or one class of characters, which the regular expression engine
# finds ten times as fast as one of several alternatives.
_BRACKETED_IP: Final = re.compile(r"\[[0-9A-Fa-f]*[.:][0-9A-Fa-f.:]*\]")
_IPV4: Final = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?!\.?[0-9A-Za-z])")
_IP_OR_LONG_NUMBER: Final = re.compile(r"[0-9](?:[0-9.]{7,}|[0-9]{4,})")
_LONG_NUMBER: Final = "00000"
_SHORTEST_CUT: Final = 8
_SHORTEST_IPV4: Final = "0000000"
"""The least that these three can match, as `_numbers` shows it."""
_DNS_NAME: Final = " for name="
_IN_ADDRESS: Final = "0123456789ABCDEFabcdef.:"
_DIGITS: Final = bytes(ord("0" if chr(code) in "0123456789." else " ") for code in range(256))

_PUNCTUATION = '!#$%&()*+,/:;<=>?@[\\]^_`{|}~"'
_TO_WORDS: Final = str.maketrans(dict.fromkeys(_PUNCTUATION, " ") | {"'": None, "\u2019": None})
_ASCII_TO_WORDS: Final = bytes(
    ord(" " if chr(code) in _PUNCTUATION else chr(code).lower()) if code < 128 else code
    for code in range(256)
)
"""The same and lower case, for a text without apostrophes: of most that is all, and it takes a
tenth of the time."""


def without_codes(text: str) -> str:
    """Cut off the SMTP code and the enhanced code at the start."""
    return text[_end_of_codes(text) :]


def _end_of_codes(text: str) -> int:
    head = text[:_HEAD]
    end = _ends_of_codes.get(head)
    if end is None:
        match = _CODES.match(text)
        end = match.end() if match else 0
        if end < _HEAD:  # else what follows the head has a say
            if len(_ends_of_codes) >= HEADS:
                _ends_of_codes.clear()
            _ends_of_codes[head] = end
    return end


def without_leading_value(text: str) -> str:
    """Cut off `<value>: `, the client's own words, with which Postfix opens a refusal
    (`smtpd/smtpd_check.c`, `smtpd_check_reject`). Many servers do the same."""
    if text.startswith("<") and (match := _LEADING_VALUE.match(text)):
        return text[match.end() :]
    return text


def without_opening(text: str) -> str:
    """Cut off codes, and a leading value behind them."""
    start = _end_of_codes(text)
    if text[start : start + 1] != "<":
        return text[start:]
    end = text.find(">", start)
    value = text[start + 1 : end]
    if end >= 0 and '"' not in value and "<" not in value:  # as nearly all: no need of a pattern
        if text[end + 1 : end + 3] == ": ":
            return text[end + 3 :]
        return text[end + 2 :] if text[end + 1 : end + 2] == " " else text[start:]
    return without_leading_value(text[start:])


def without_addresses(text: str) -> str:
    """Cut out whatever looks like a mail address: anybody can own `mailbox.full@example.org`."""
    if "@" not in text:
        return text
    if "<" in text:
        text = _BRACKETED_ADDRESS.sub(" ", text)
    if '"@' in text:
        text = _QUOTED_ADDRESS.sub(" ", text)
    if "@" in text:
        kept = [_behind_address(word) if "@" in word else word for word in text.split(" ")]
        text = " ".join([word for word in kept if "@" not in word])
    return text


def _behind_address(word: str) -> str:
    """Of `bob@example.org...User` the last word: no domain has three dots in it."""
    end = word.rfind("...")
    return word[end + 3 :] if end > word.find("@") else word


def names_machine(text: str) -> bool:
    """Whether the address of a machine stands in it."""
    first = _numbers(text).find(_SHORTEST_IPV4)
    return (first >= 0 and _IPV4.search(text, first) is not None) or (
        "[" in text and _BRACKETED_IP.search(text) is not None
    )


def without_numbers(text: str) -> str:
    """Cut out peers (`host[192.0.2.1]`), addresses of machines, long numbers and the name of a DNS
    error: no rule asks for them, and with them hardly a reply would equal another, and each would
    be judged anew."""
    return without_free_numbers(without_peers(text))


def without_peers(text: str) -> str:
    """Cut out `host[192.0.2.1]`; of such a host an earlier step may have left `[]`."""
    end = text.find("]")
    done = 0
    while end >= 0:
        start = text.rfind("[", done, end)
        done = end + 1
        if start >= 0:
            inside = text[start + 1 : end]
            if not inside or (("." in inside or ":" in inside) and not inside.strip(_IN_ADDRESS)):
                done = text.rfind(" ", 0, start) + 1
                text = text[:done] + text[end + 1 :]
        end = text.find("]", done)
    return text


def without_free_numbers(text: str) -> str:
    """The same without peers."""
    numbers = _numbers(text)
    start = numbers.find(_LONG_NUMBER)
    if start >= 0:
        kept = ""
        done = 0
        while start >= 0:
            end = numbers.find(" ", start)
            if end < 0:
                end = len(text)
            kept += text[done:start] + _without_number(text[start:end])
            done = end
            start = numbers.find(_LONG_NUMBER, end)
        text = kept + text[done:]
    if (start := text.find(_DNS_NAME)) >= 0:
        start += len(_DNS_NAME)
        end = text.find(" ", start)
        text = text[:start] + (text[end:] if end >= 0 else "")
    return text


def _without_number(run: str) -> str:
    """Of five digits and dots in a row, or more: nothing, as a rule."""
    if run.isdigit() or (run[0] != "." and len(run) >= _SHORTEST_CUT):
        return ""
    return _IP_OR_LONG_NUMBER.sub("", run)


def _numbers(text: str) -> str:
    """A 0 for each digit and dot, and else spaces: to search a text with a pattern for a number or
    an address costs more than all else that is done with it."""
    return text.encode("latin-1", "replace").translate(_DIGITS).decode("ascii")


def without_trace(text: str) -> tuple[str, str | None]:
    """Cut off the session id with which the two largest providers end each reply: with it no
    reply would equal another, and each would be judged anew. And whose it was: nobody else ends a
    reply like that."""
    if text.endswith(" - gsmtp"):
        start = text.rfind(" ", 0, -8)
        # Without an id, as in the documentation, the word before it is one of the text.
        has_id = start > 0 and any(map(str.isdigit, text[start:-8]))
        return (text[:start] if has_id else text[:-8]), "google"
    if text.endswith("]") and (start := text.rfind(" [")) > 0 and ".outlook.com" in text[start:]:
        return text[:start], "microsoft"
    return text, None


def joined(text: str) -> str:
    """One text of the lines of a reply: Postfix logs `550-5.7.1 one 550 5.7.1 two`
    (`smtp/smtp_chat.c`), and a phrase may run over the end of a line."""
    if text[3:4] != "-" or not text[:3].isdigit():
        return text
    code = text[:3]
    lines = text[4:].replace(f" {code} ", f" {code}-").split(f" {code}-")
    for number, line in enumerate(lines):
        if match := _ENHANCED.match(line):
            lines[number] = line[match.end() :]
    return without_leading_value(" ".join(lines))


def words(text: str) -> str:
    """The normal form."""
    return f" {' '.join(split_words(text))} "


def split_words(text: str) -> list[str]:
    """The words of the normal form one by one."""
    if text.isascii():
        plain = text.replace("'", "") if "'" in text else text
        text = plain.encode("ascii").translate(_ASCII_TO_WORDS).decode("ascii") + " "
    else:
        text = text.lower().translate(_TO_WORDS) + " "
    if "." in text:  # a full stop ends a word, a dot inside one does not
        if ".." in text:  # `later...Greylisting`
            text = text.replace("....", " ").replace("...", " ").replace("..", " ")
        text = text.replace(". ", " ")
    found = text.split()
    return _without_dashes(found) if "-" in found else found


def _without_dashes(found: list[str]) -> list[str]:
    """Of each two dashes in a row one stays."""
    kept: list[str] = []
    is_cut = False
    for word in found:
        is_cut = word == "-" and not is_cut
        if not is_cut:
            kept.append(word)
    return kept


def pieces(normal: str) -> set[str]:
    """What the index looks up: the words, those with dots cut before each dot."""
    if "." in normal:
        normal = normal.replace(".", " .")
    return set(normal.split())
