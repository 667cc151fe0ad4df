"""Host, tag, PID and text: what stands after the time stamp of an RFC 3164 line.

RFC 3164 4.1.3 as senders keep it. The host may be missing; it may be an IPv6 address and so hold
colons. rsyslog cuts the tag at 32 characters, PID and colon included, which leaves
`postfix/submission/smtpd[1234567 NOQUEUE`; a relay that turns RFC 5424 into RFC 3164 leaves the
colon out and the byte order mark in. Only the first tag of a line is a tag: what follows may be an
attacker's words.
"""

import re
from dataclasses import dataclass
from typing import Final

BOM: Final = "\ufeff"

_MESSAGE_ID = re.compile(r"\[ID [0-9]{1,10} [a-z0-9]{1,16}\.[a-z]{1,16}\] ")
"""What syslogd of Solaris and its heirs puts before a text, log(4D): `[ID 197553 mail.info] `."""

_METALOG = re.compile(r"\[([A-Za-z0-9_.@+-]+(?:/[A-Za-z0-9_.@+-]+)+)\] ")
"""metalog writes no host, and the program in brackets; the slash tells it from an address."""

RSYSLOG_TAG_CHARACTERS = 32
"""RFC 3164 4.1.3; rsyslog `runtime/msg.c` cuts there in its RFC 3164 templates."""

HOST = r"[^ :\[\]/]+"
"""Pattern of a host that cannot be taken for a tag."""

TAG = r"([^ :\[\]" + BOM + r"]+)(?:\[([0-9]{1,10})\])?:(?: |$)"
"""Pattern of a tag that is whole; groups: program, PID. The space keeps out IPv6 addresses."""

_COLON_TAG = re.compile(r"([^ \[\]]+:[^ :\[\]]+/[^ :/\[\]]+)\[([0-9]{1,10})\]: ?")
"""A colon inside, as in `postfix:25/smtpd[1]:`. A slash and a whole PID tell it from a tag that
ends there, in front of text that no space divides from it."""

_LEVEL = re.compile(
    r"[a-z][a-z0-9]{0,15}[.:](?:emerg|panic|alert|crit|err(?:or)?|warn(?:ing)?|notice|info|debug) +"
    r"(?=[^ ])"
)
"""What the syslogd of BusyBox (`mail.info`) and of AIX (`mail:info`) puts between host and tag."""

_PATH = r"[^ :\[\]/]+(?:/[^ :\[\]/]+)+"
_CHAIN = re.compile(r"(" + _PATH + r") +(?=" + _PATH + r"\[[0-9]{1,10}\]: )")
"""syslog-ng with `chain-hostnames` writes `host/relay`. Only a whole tag with a slash of its own
behind it tells that from a tag without a colon."""

_ANY_TAG = re.compile(r"([^ :\[\]]+)(?:\[([^ \]]*)(\])?)?:? ?")

_IPV6 = re.compile(r"\[?[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]{0,39}(?:%[^ \]]{1,32})?\]?")


@dataclass(slots=True)
class Origin:
    host: str | None
    tag: str
    pid: int | None
    text: str


def clean_text(text: str) -> str:
    """Without what senders put before it: spaces, one byte order mark, a message id."""
    if text[:1] == " ":
        text = text.lstrip(" ")
    if text[:1] == BOM:
        text = text[1:]
    if text[:1] == "[" and (match := _MESSAGE_ID.match(text)):
        return text[match.end() :]
    return text


def split_origin(rest: str) -> Origin:
    """`rest` follows a time stamp: `[HOST] TAG[PID]: TEXT`, any part of which may be missing."""
    rest = rest.lstrip(" ")
    if _starts_with_tag(rest):
        match = _METALOG.match(rest)
        if match:
            return Origin(None, match[1], None, clean_text(rest[match.end() :]))
        match = _CHAIN.match(rest)
        if match:
            return _tag(match[1], rest[match.end() :])
        return _tag(None, rest)
    host, _, rest = rest.partition(" ")
    rest = rest.lstrip(" ")
    if match := _LEVEL.match(rest):
        rest = rest[match.end() :]
    if _starts_with_tag(rest) or rest.find(" ") == RSYSLOG_TAG_CHARACTERS:
        return _tag(host or None, rest)
    # `last message repeated 3 times`: a host and no program.
    return Origin(host or None, "", None, clean_text(rest))


def split_unstamped(rest: str) -> Origin:
    """`rest` follows a priority and no time stamp; a host is believed only before a sure tag."""
    if _starts_with_tag(rest):
        return _tag(None, rest)
    host, _, after = rest.partition(" ")
    word = after.partition(" ")[0]
    if word.find("[") > 0 or "/" in word:
        return _tag(host, after)
    return Origin(None, "", None, clean_text(rest))


def _starts_with_tag(rest: str) -> bool:
    word, _, after = rest.partition(" ")
    if after.startswith(BOM):
        return True
    if ":" in word and _IPV6.fullmatch(word):
        return False
    return ":" in word or "/" in word or word.find("[") > 0


def _tag(host: str | None, rest: str) -> Origin:
    match = _COLON_TAG.match(rest)
    if match is not None:
        return Origin(host, match[1], int(match[2]), clean_text(rest[match.end() :]))
    match = _ANY_TAG.match(rest)
    if match is None:  # `[1]:` or `:`: a tag without a program is text
        return Origin(host, "", None, clean_text(rest))
    program, pid, closed = match.groups()
    return Origin(host, program, _pid(pid, closed), clean_text(rest[match.end() :]))


def _pid(pid: str | None, closed: str | None) -> int | None:
    """Without its `]` it may have been cut: a wrong PID would be worse than none."""
    if pid is None or closed is None or not pid.isascii() or not pid.isdecimal() or len(pid) > 10:
        return None
    return int(pid)
