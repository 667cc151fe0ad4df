"""SMTP replies inside Postfix's text: codes at their start, and what a remote server said.

In: text and where the reply begins. Out: codes, severity, `RemoteReply`. RFC 5321 section 4.2
(reply codes), RFC 3463 section 2 (enhanced codes), Postfix `smtp/smtp_trouble.c`,
`smtp/smtp_proto.c` and `smtp/smtp_sasl_glue.c` (the words around a remote reply).
"""

from typing import Literal

from service.core.postfix.facts import RemoteReply
from service.core.postfix.fragments import HOST, optional, pattern

Severity = Literal["permanent", "temporary"]

ENHANCED = r"[245]\.[0-9]{1,3}\.[0-9]{1,3}(?!\.?[0-9])"
CODES = optional(r"([45][0-9]{2})(?:[ -]|\Z|(?=;))") + optional(f"({ENHANCED})")
"""Two groups. The first line of a multi-line reply has `-` between its codes."""

_REPLY_CODES = CODES.replace("[45][0-9]", "[2-5][0-9]", 1)
"""A server may answer a command out of turn: Postfix's `Protocol error` wraps a 2xx or 3xx too."""
_CODES = pattern(rf"(?=[245]){CODES}")
_SEVERITIES: dict[str, Severity] = {"4": "temporary", "5": "permanent"}

# What Postfix puts in front of a reply; group 1: a SASL server's, which answers no mail command.
_REMOTE = pattern(
    r"(?:delivery temporarily suspended: )?"
    r"(?:(?:Protocol error: )?host |(SASL (?:\[CACHED\] )?authentication failed; server )"
    r"|TLS is required, but host )"
    rf"({HOST})(?:\[([^\]]{{0,255}})\])? (said|refused to talk to me|refused to start TLS): "
    rf"(){_REPLY_CODES}"
)
_ANSWERS = " (in reply to "
_COMMAND = " command"
_CLOSED_COMMAND = " command)"
_COMMANDS = frozenset({"MAIL FROM", "RCPT TO", "DATA", "end of DATA"})


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


def remote_reply(text: str, start: int, end: int) -> RemoteReply | None:
    """The reply of a remote server in the status reason `text[start:end]`, None without one."""
    match = _REMOTE.match(text, start, end)
    if match is None:
        return None
    sasl, host, inside, verb, _, smtp, enhanced = match.groups()
    said = match.end(5)
    command = None
    if verb == "said" and not sasl:
        # The reply may imitate this too, but Postfix writes the last one.
        tail = text.rfind(_ANSWERS, said, end)
        if tail >= 0 and (command := _command(text[tail + len(_ANSWERS) : end])):
            end = tail
    return RemoteReply(
        host,
        None if inside and "/" in inside else inside,
        int(smtp) if smtp else None,
        enhanced,
        text[said:end],
        command,
    )


def _command(tail: str) -> str | None:
    if tail.endswith(_CLOSED_COMMAND):
        return tail[: -len(_CLOSED_COMMAND)]
    if tail.endswith(")"):
        return tail[:-1] or None
    # Cut just before the closing parenthesis.
    name = tail.removesuffix(_COMMAND)
    return name if name in _COMMANDS else None
