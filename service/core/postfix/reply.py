"""SMTP replies inside Postfix's text: codes at their start, and what a remote server said.

In: text and where the reply begins. Out: codes, severity, `RemoteReply`. RFC 5321 section 4.2
(reply codes), RFC 3463 section 2 (enhanced codes), Postfix `smtp/smtp_trouble.c`,
`smtp/smtp_proto.c` and `smtp/smtp_sasl_glue.c` (the words around a remote reply).
"""

import re
from functools import lru_cache
from typing import Literal, NamedTuple

from service.core.postfix.facts import RemoteReply
from service.core.postfix.fragments import HOST, optional, pattern

Severity = Literal["permanent", "temporary"]

ENHANCED = r"[245]\.[0-9]{1,3}\.[0-9]{1,3}(?!\.?[0-9])"
CODES = optional(r"([45][0-9]{2})(?:[ -]|\Z|(?=;))") + optional(f"({ENHANCED})")
"""Two groups. The first line of a multi-line reply has `-` between its codes."""

_REPLY_CODES = pattern(CODES.replace("[45][0-9]", "[2-5][0-9]", 1))
"""A server may answer a command out of turn: Postfix's `Protocol error` wraps a 2xx or 3xx too."""
_CODES = pattern(rf"(?=[245]){CODES}")
_SEVERITIES: dict[str, Severity] = {"4": "temporary", "5": "permanent"}

# What Postfix puts in front of a reply; group 1: a SASL server's, which answers no mail command.
_SPEAKER = pattern(
    optional("delivery temporarily suspended: ")
    + r"(?:host |Protocol error: host |(SASL (?:\[CACHED\] )?authentication failed; server )"
    r"|TLS is required, but host )"
    + rf"({HOST})"
    + optional(r"\[([^\]]{0,255})\]")
    + " (said|refused to talk to me|refused to start TLS): "
)
_OPENINGS = ("host ", "delivery temporarily suspended: ", "Protocol error: ", "SASL ", "TLS is ")
_COLON = ": "
_MAX_OPENING = 600
_ANSWERS = " (in reply to "
_COMMAND = " command"
_CLOSED_COMMAND = " command)"
_COMMANDS = frozenset({"MAIL FROM", "RCPT TO", "DATA", "end of DATA"})
_MAX_COMMAND = 64
"""What is remembered must be bounded; Postfix's own are shorter."""


class _Speaker(NamedTuple):
    host: str
    ip: str | None
    is_asked: bool
    """What it says answers a command."""


def codes(text: str, start: int = 0) -> tuple[int | None, str | None, int]:
    """SMTP and enhanced code at `start`, and where the words behind them begin."""
    match = _CODES.match(text, start)
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
    if not reason.startswith(_OPENINGS):
        return None
    opening, colon, said = reason.partition(_COLON)
    speaker = _remembered_speaker(opening) if colon and len(opening) <= _MAX_OPENING else None
    if speaker is None:
        match = _SPEAKER.match(reason)
        if match is None:
            return None
        speaker = _speaker(match)
        said = reason[match.end() :]
    codes = _REPLY_CODES.match(said)
    smtp, enhanced = codes.groups() if codes else (None, None)
    command = None
    if speaker.is_asked:
        # The reply may imitate this too, but Postfix writes the last one.
        reply, answers, tail = said.rpartition(_ANSWERS)
        if answers:
            command = _remembered_command(tail) if len(tail) <= _MAX_COMMAND else _command(tail)
            if command:
                said = reply
    return RemoteReply(
        speaker.host, speaker.ip, int(smtp) if smtp else None, enhanced, said, command
    )


def _speaker(match: re.Match[str]) -> _Speaker:
    sasl, host, inside, verb = match.groups()
    ip = None if inside and "/" in inside else inside
    return _Speaker(host, ip, verb == "said" and not sasl)


@lru_cache(maxsize=4096)
def _remembered_speaker(opening: str) -> _Speaker | None:
    """`opening`: up to the first colon, which may be too early."""
    match = _SPEAKER.fullmatch(opening + _COLON)
    return _speaker(match) if match else None


def _command(tail: str) -> str | None:
    if tail.endswith(_CLOSED_COMMAND):
        return tail[: -len(_CLOSED_COMMAND)]
    if tail.endswith(")"):
        return tail[:-1] or None
    # Cut just before the closing parenthesis.
    name = tail.removesuffix(_COMMAND)
    return name if name in _COMMANDS else None


_remembered_command = lru_cache(maxsize=1024)(_command)
