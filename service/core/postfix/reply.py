"""SMTP replies inside Postfix's text: codes at their start, and what a remote server said.

In: text and where the reply begins. Out: codes, severity, `RemoteReply`. RFC 5321 section 4.2
(reply codes), RFC 3463 section 2 (enhanced codes), Postfix `smtp/smtp_trouble.c`,
`smtp/smtp_proto.c` and `smtp/smtp_sasl_glue.c` (the words around a remote reply).
"""

import re
from typing import Final, Literal

from service.core.postfix.facts import RemoteReply
from service.core.postfix.fragments import HOST, optional, pattern
from service.core.postfix.remembered import remember

Severity = Literal["permanent", "temporary"]

ENHANCED = r"[245]\.[0-9]{1,3}\.[0-9]{1,3}(?!\.?[0-9])"
CODES = optional(r"([45][0-9]{2})(?:[ -]|\Z|(?=;))") + optional(f"({ENHANCED})")
"""Two groups. The first line of a multi-line reply has `-` between its codes."""

_REPLY_CODES: Final = pattern(CODES.replace("[45][0-9]", "[2-5][0-9]", 1))
"""A server may answer a command out of turn: Postfix's `Protocol error` wraps a 2xx or 3xx too."""
_CODES: Final = pattern(rf"(?=[245]){CODES}")
_SHORTEST_OPENING: Final = 4
"""A code and what is behind it: the first space that can end both is not before."""
_LONGEST_OPENING: Final = len("550-5.123.123 ")
_SEVERITIES: dict[str, Severity] = {"4": "temporary", "5": "permanent"}

# What Postfix puts in front of a reply; group 1: a SASL server's, which answers no mail command.
_SPEAKER: Final = pattern(
    optional("delivery temporarily suspended: ")
    + r"(?:host |Protocol error: host |(SASL (?:\[CACHED\] )?authentication failed; server )"
    r"|TLS is required, but host )"
    # Logs are published without the name, or without address and name.
    + optional(rf"({HOST}|(?=\[))" + optional(r"\[([^\]]{0,255})\]") + " ")
    + "(said|refused to talk to me|refused to start TLS): "
)
_HOST: Final = "host "
_OPENINGS: Final = ("delivery temporarily suspended: ", "Protocol error: ", "SASL ", "TLS is ")
_COLON: Final = ": "
_MAX_SPEAKER: Final = 600
_ANSWERS: Final = " (in reply to "
_COMMAND = " command"
_CLOSED_COMMAND = " command)"
_COMMANDS = frozenset({"MAIL FROM", "RCPT TO", "DATA", "end of DATA"})
_MAX_COMMAND: Final = 64
"""What is remembered must be bounded; Postfix's own are shorter."""

_Codes = tuple[int | None, str | None, int]
"""SMTP code, enhanced code, and where the words behind them begin."""
_Speaker = tuple[str | None, str | None, bool]
"""Host, address, and whether what it says answers a command."""
_KNOWN_CODES: Final[dict[str, _Codes]] = {}
_KNOWN_REPLY_CODES: Final[dict[str, _Codes]] = {}
_SPEAKERS: Final[dict[str, _Speaker]] = {}
_ENDS: Final[dict[str, str]] = {}


def codes(text: str, start: int = 0) -> _Codes:
    """SMTP and enhanced code at `start`, and where the words behind them begin."""
    if start == 0:
        return _opening_codes(text, _CODES, _KNOWN_CODES)
    return _codes(_CODES.match(text, start), start)


def _opening_codes(text: str, read: re.Pattern[str], known: dict[str, _Codes]) -> _Codes:
    """What `read` finds at the beginning, remembered by what stands there up to a space that is
    behind a code: no code goes on after it, and nothing else is looked at."""
    end = text.find(" ", _SHORTEST_OPENING, _LONGEST_OPENING) + 1
    if end == 0:
        return _codes(read.match(text), 0)
    opening = text[:end]
    found = known.get(opening)
    if found is not None:
        return found
    return remember(known, opening, _codes(read.match(opening), 0))


def _codes(match: re.Match[str] | None, start: int) -> _Codes:
    if match is None:
        return None, None, start
    smtp, enhanced = match.groups()
    return (int(smtp) if smtp else None), enhanced, match.end()


def severity(smtp_code: int | None, enhanced_code: str | None) -> Severity | None:
    """By the class of the SMTP code, else of the enhanced code."""
    if smtp_code is not None:
        return "permanent" if smtp_code >= 500 else "temporary"
    return _SEVERITIES.get(enhanced_code[0]) if enhanced_code else None


def remote_reply(reason: str) -> RemoteReply | None:
    """The reply of a remote server in a status reason, None without one."""
    if not reason.startswith(_HOST) and not reason.startswith(_OPENINGS):
        return None
    # The first colon may be too early; then the opening is read in full.
    colon = reason.find(_COLON)
    if not 0 < colon <= _MAX_SPEAKER:
        return _read_reply(reason)
    opening = reason[:colon]
    speaker = _SPEAKERS.get(opening)
    if speaker is None:
        match = _SPEAKER.fullmatch(opening + _COLON)
        if match is None:
            return _read_reply(reason)
        speaker = remember(_SPEAKERS, opening, _speaker(match))
    return _said(speaker, reason[colon + len(_COLON) :])


def _read_reply(reason: str) -> RemoteReply | None:
    match = _SPEAKER.match(reason)
    return None if match is None else _said(_speaker(match), reason[match.end() :])


def _speaker(match: re.Match[str]) -> _Speaker:
    sasl, host, inside, verb = match.groups()
    return host or None, None if inside and "/" in inside else inside, verb == "said" and not sasl


def _said(speaker: _Speaker, said: str) -> RemoteReply:
    host, ip, is_asked = speaker
    smtp, enhanced, _ = _opening_codes(said, _REPLY_CODES, _KNOWN_REPLY_CODES)
    command = None
    if is_asked:
        # The reply may imitate this too, but Postfix writes the last one.
        place = said.rfind(_ANSWERS)
        if place >= 0:
            command = _command(said[place + len(_ANSWERS) :])
            if command:
                said = said[:place]
    return RemoteReply(host, ip, smtp, enhanced, said, command)


def _command(tail: str) -> str | None:
    known = _ENDS.get(tail)
    if known is not None:
        return known
    if tail.endswith(_CLOSED_COMMAND):
        name = tail[: -len(_CLOSED_COMMAND)]
    elif tail.endswith(")"):
        name = tail[:-1]
        if not name:
            return None
    else:
        # Cut just before the closing parenthesis.
        name = tail.removesuffix(_COMMAND)
        if name not in _COMMANDS:
            return None
    return remember(_ENDS, tail, name) if len(tail) <= _MAX_COMMAND else name
