"""The words of a reply in one normal form, so that rules can name phrases and need no patterns.

In: text as logged, partly written by an attacker (RFC 5321 section 4.2 leaves the text of a reply
free, and servers quote the client's own words in it). Out: lower-case words between single
spaces, with a space at both ends: `" over quota "` is then in it exactly where those two words
stand, whatever the punctuation around them. Dots and hyphens inside a word stay, so that a host
name is one word and `mail.mailbox-full.example` has no full mailbox in it.

All of it is linear in the length of the text.
"""

import re
from functools import lru_cache

LIMIT = 1024
"""Characters of a reply that are looked at. An SMTP reply line has at most 512 octets (RFC 5321,
section 4.5.3.1.5), and the cause stands in the first lines."""

REMEMBERED = 4096
"""Texts kept: of most replies only numbers and addresses are new. 6 MB at worst."""

# A quoted local part may hold `>` and `: `. No possessive groups: Python before 3.11.5 matches them
# wrongly. What follows a part differs from it in the first character, so there is but one way to
# match, and giving up is linear.
_QUOTED = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_LEADING = rf'<[^"<>]*+(?:{_QUOTED}[^"<>]*+)*>:? '
_CODE = r"(?:[2-5]\d\d[ -]|)(?:[245]\.\d{1,3}\.\d{1,3}[ :]?|)"
_CODES = re.compile(_CODE, re.ASCII)
_LEADING_VALUE = re.compile(_LEADING)
_OPENING = re.compile(rf"{_CODE}(?:{_LEADING}|)", re.ASCII)
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?:[ :-]|$)", re.ASCII)
_BRACKETED_ADDRESS = re.compile(rf'<[^"<>@]*+(?:{_QUOTED}[^"<>@]*+)*@[^<>]*+>')
_QUOTED_ADDRESS = re.compile(r'"[^"]*+"@\S*+')

# Each starts with one literal or one class of characters, which the regular expression engine
# finds ten times as fast as one of several alternatives.
_BRACKETED_IP = re.compile(r"\[[0-9A-Fa-f]*[.:][0-9A-Fa-f.:]*\]")
_IPV4 = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?!\.?[0-9A-Za-z])")
_IP_OR_LONG_NUMBER = re.compile(r"[0-9](?:[0-9.]{7,}|[0-9]{4,})")
_DNS_NAME = " for name="

_PUNCTUATION = '!#$%&()*+,/:;<=>?@[\\]^_`{|}~"'
_TO_WORDS = str.maketrans(dict.fromkeys(_PUNCTUATION, " ") | {"'": None, "\u2019": None})


def without_codes(text: str) -> str:
    """Cut off the SMTP code and the enhanced code at the start."""
    match = _CODES.match(text)
    return text[match.end() :] if match else text


def without_leading_value(text: str) -> str:
    """Cut off `<value>: `, the client's own words, with which Postfix opens a refusal
    (`smtpd/smtpd_check.c`, `smtpd_check_reject`). Many servers do the same."""
    if text.startswith("<") and (match := _LEADING_VALUE.match(text)):
        return text[match.end() :]
    return text


def without_opening(text: str) -> str:
    """Cut off codes, and a leading value behind them."""
    match = _OPENING.match(text)
    return text[match.end() :] if match else text


@lru_cache(maxsize=REMEMBERED)
def plain(text: str) -> str:
    """Without addresses and numbers."""
    return without_numbers(without_addresses(text))


def without_addresses(text: str) -> str:
    """Cut out whatever looks like a mail address: anybody can own `mailbox.full@example.org`."""
    if "@" not in text:
        return text
    text = _BRACKETED_ADDRESS.sub(" ", text)
    if '"@' in text:
        text = _QUOTED_ADDRESS.sub(" ", text)
    if "@" in text:
        text = " ".join([word for word in text.split(" ") if "@" not in word])
    return text


def names_machine(text: str) -> bool:
    """Whether the address of a machine stands in it."""
    return (text.count(".") > 2 and _IPV4.search(text) is not None) or (
        "[" in text and _BRACKETED_IP.search(text) is not None
    )


def without_numbers(text: str) -> str:
    """Cut out peers (`host[192.0.2.1]`), addresses of machines, long numbers and the name of a DNS
    error: no rule asks for them, and with them hardly a reply would equal another, and each would
    be judged anew."""
    if "[" in text:
        text = _BRACKETED_IP.sub("[]", text)
        while (bracket := text.find("[]")) >= 0:
            text = text[: text.rfind(" ", 0, bracket) + 1] + text[bracket + 2 :]
    return _without_free_numbers(text)


@lru_cache(maxsize=4096)
def _without_free_numbers(text: str) -> str:
    """Remembered: without peers and addresses a text is mostly one that was here before. As much
    memory as the verdicts take, at most."""
    text = _IP_OR_LONG_NUMBER.sub("", text)
    if (start := text.find(_DNS_NAME)) >= 0:
        start += len(_DNS_NAME)
        end = text.find(" ", start)
        text = text[:start] + (text[end:] if end >= 0 else "")
    return text


def without_trace(text: str) -> str:
    """Cut off the session id with which the two largest providers end each reply: with it no
    reply would equal another, and each would be judged anew."""
    if text.endswith(" - gsmtp"):
        return text[: text.rfind(" ", 0, -8)] if text.count(" ") > 2 else text
    if text.endswith("]") and (start := text.rfind(" [")) > 0 and ".outlook.com" in text[start:]:
        return text[:start]
    return text


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
    text = text.lower().translate(_TO_WORDS) + " "
    if "." in text:  # a full stop ends a word, a dot inside one does not
        text = text.replace("..", " ").replace(". ", " ")
    return f" {' '.join(text.split())} ".replace(" - ", " ")


def pieces(normal: str) -> set[str]:
    """What the index looks up: the words, those with dots cut before each dot."""
    if "." in normal:
        normal = normal.replace(".", " .")
    return set(normal.split())
