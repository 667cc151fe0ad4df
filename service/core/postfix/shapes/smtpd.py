"""Refusals by smtpd, and by milters through smtpd or cleanup.

    <QID|NOQUEUE>: reject|milter-reject: <STAGE> from <client>: <text>;<context>
    <QID|NOQUEUE>: abort: TLS from <client>: <text>
    proxy-reject: <STAGE>: <text>;<context>
    reject: ETRN <name>... from <client>                      (severity warning)

Writers: Postfix `smtpd/smtpd_check.c:log_whatsup`, `smtpd/smtpd.c:smtpd_whatsup`, `etrn_cmd` and
`smtpd_start_tls`, `cleanup/cleanup_milter.c`, `qmqpd/qmqpd.c`.
"""

from typing import Final

from service.core.postfix.addresses import PLAIN_ADDRESS
from service.core.postfix.context import Context, find_context
from service.core.postfix.dnsbl import NEEDLE, blocking_list
from service.core.postfix.facts import Client, Reject
from service.core.postfix.fragments import (
    CLIENT,
    LONGEST_QUEUE_ID,
    NOQUEUE,
    SPACE,
    is_queue_id,
    known,
    optional,
    pattern,
    port,
)
from service.core.postfix.remembered import remember
from service.core.postfix.reply import Severity, codes, severity
from service.core.postfix.shape import Line, Reading, Shape

_STAGE = r"[A-Z][A-Za-z-]{0,30}" + optional(" content")
# What is before the refusal's text, which `_door` reads.
_DOOR: Final = pattern(rf"(reject|milter-reject): (?!HELO|EHLO)({_STAGE}) from {CLIENT}")
_LONGEST_DOOR: Final = 600
_PLAIN_HELO = r"[A-Za-z0-9._:\[\]-]*"
"""Of `HELO`: names and bracketed addresses."""
# The only context, with plain addresses.
_CONTEXT: Final = pattern(
    rf"; from=<({PLAIN_ADDRESS})>"
    + optional(rf" to=<({PLAIN_ADDRESS})>")
    + rf" proto=(E?SMTP) helo=<({_PLAIN_HELO})>"
    + optional(rf" sasl_method=([^{SPACE}<>]{{1,64}}) sasl_username=([^{SPACE}<>]{{1,255}})")
    + r"\Z"
)
# That of a client that has not named a sender, or none at all.
_EARLY_CONTEXT: Final = pattern(
    optional("; proto=(E?SMTP)" + optional(rf" helo=<({_PLAIN_HELO})>")) + r"\Z"
)
_AT_CONTEXT: Final = "; from=<"
_AT_RECIPIENT: Final = "; to=<"
_AT_PROTOCOL: Final = "; proto="
_NO_END: Final = ";"
# What only others write.
_IN_COLUMNS: Final = ";  "
_BARE_CONTEXT: Final = "; from="
_COLON: Final = ": "

_Door = tuple[str, str, Client]
"""Action, stage and client."""
_Session = tuple[int, str | None, str | None, str | None, str | None, str | None, str | None]
"""Where the context begins; sender, recipient, protocol, HELO name, SASL method and user."""
_DOORS: Final[dict[str, _Door]] = {}

_HEAD: Final = pattern(rf"({_STAGE}) from (?:{CLIENT}|local|unknown)(?:: ?|\Z)")
_PROXY_HEAD = pattern(rf"({_STAGE}): ")
_TLS_HEAD = pattern(rf"TLS from {CLIENT}: ")
_ETRN = pattern(rf"ETRN [^\s<>]{{1,255}}\.\.\. from {CLIENT}\Z")

_BARE_LF: Final = "bare <LF> received"


def read_plain(text: str) -> tuple[str | None, Reject] | None:
    """The hot path: queue id and facts of the commonest refusals that are not cut, else None.

    What is left to `_read` costs three times as much.
    """
    door = text.find(_COLON, 0, LONGEST_QUEUE_ID + len(_COLON)) + len(_COLON)
    bracket = text.find("]", door, door + _LONGEST_DOOR)
    end = text.find(_COLON, bracket)  # a port may stand between
    start = end + len(_COLON)
    if not len(_COLON) < door < bracket < end:
        return None
    queue_id = text[: door - len(_COLON)]
    if queue_id != NOQUEUE and not is_queue_id(queue_id):
        return None
    read = _door(text[door:end])
    session = _session(text, start)
    if read is None or session is None:
        return None
    action, stage, client = read
    place, sender, recipient, protocol, helo, method, user = session
    response = text[start:place]
    smtp_code, enhanced, words = codes(response)
    level: Severity | None
    if smtp_code is None:
        level = _severity(response, None, enhanced)
    else:
        level = "permanent" if smtp_code >= 500 else "temporary"
    dnsbl = None
    if NEEDLE in response:
        dnsbl = blocking_list(
            response, words, False, [client.ip, client.name, helo, sender, recipient]
        )
    return (
        None if queue_id == NOQUEUE else queue_id,
        Reject(
            action,
            stage,
            response,
            level,
            smtp_code,
            enhanced,
            client,
            sender,
            recipient,
            protocol,
            helo or None,
            method,
            user,
            None,
            dnsbl,
        ),
    )


def _door(text: str) -> _Door | None:
    """Who is refused once tries again."""
    seen = _DOORS.get(text)
    if seen is not None:
        return seen
    match = _DOOR.fullmatch(text)
    if match is None:
        return None
    action, stage, name, ip, digits = match.groups()
    return remember(_DOORS, text, (action, stage, Client(known(name), known(ip), port(digits))))


def _session(text: str, start: int) -> _Session | None:
    """One context with plain addresses or without any, in which no other one can hide: neither the
    text before it holds the beginning of one, nor can a login name without spaces."""
    if text[-1].isspace():
        return None  # no part of any field
    place = text.find(_AT_CONTEXT, start)
    if place >= 0:
        match = _CONTEXT.match(text, place)
        if match is None:
            return None
        sender, recipient, protocol, helo, method, user = match.groups()
        return place, sender, recipient, protocol, helo, method, user
    place = text.find(_AT_PROTOCOL, start)
    if place < 0:
        place = len(text)
        if text[-1] == _NO_END or text.find(_IN_COLUMNS, start) >= 0:
            return None
        if text.find(_BARE_CONTEXT, start) >= 0:
            return None
    match = _EARLY_CONTEXT.match(text, place)
    if match is None or text.find(_AT_RECIPIENT, start) >= 0:
        return None
    return place, None, None, match[1], match[2], None, None


def _read(line: Line) -> Reading | None:
    head = _HEAD.match(line.text, line.rest)
    if head is None:
        return None
    stage, name, ip, digits = head.groups()
    client = Client(known(name), known(ip), port(digits)) if name else None
    return refusal(line, stage, client, head.end())


def _read_proxy(line: Line) -> Reading | None:
    head = _PROXY_HEAD.match(line.text, line.rest)
    return refusal(line, head[1], None, head.end()) if head else None


def refusal(line: Line, stage: str, client: Client | None, start: int) -> Reject:
    """`start`: where the refusal's text begins; the context is behind it."""
    text = line.text
    context = find_context(text, start, stage, line.may_be_cut)
    if context is None:
        context = Context(len(text) - 1 if text.endswith(";") else len(text))
    response = text[start : max(start, context.start)]
    truncated = line.truncated or context.partial
    smtp_code, enhanced, words = codes(response)
    values = [context.helo, context.sender, context.recipient]
    if client:
        values += [client.ip, client.name]
    return Reject(
        action=line.opening.removesuffix(":"),
        stage=stage,
        response=response,
        severity=_severity(response, smtp_code, enhanced),
        smtp_code=smtp_code,
        enhanced_code=enhanced,
        client=client,
        sender=context.sender,
        recipient=context.recipient,
        protocol=context.protocol,
        helo=context.helo,
        sasl_method=context.sasl_method,
        sasl_username=context.sasl_username,
        sasl_sender=context.sasl_sender,
        dnsbl=blocking_list(response, words, truncated, values),
        truncated=truncated,
    )


def _severity(response: str, smtp_code: int | None, enhanced: str | None) -> Severity | None:
    # A bare LF is refused with 550 or 521, both permanent, and logged without a code.
    return "permanent" if response == _BARE_LF else severity(smtp_code, enhanced)


def _read_abort(line: Line) -> Reading | None:
    head = _TLS_HEAD.match(line.text, line.rest)
    if head is None:
        return None
    name, ip, digits = head.groups()
    return Reject(
        action="abort",
        stage="TLS",
        response=line.text[head.end() :],
        severity="temporary",
        client=Client(known(name), known(ip), port(digits)),
        truncated=line.truncated,
    )


def read_warning(text: str, truncated: bool) -> Reading | None:
    """The one refusal that is logged as a warning; `text` stands behind `warning: reject: `."""
    match = _ETRN.match(text)
    if match is None:
        return None
    name, ip, digits = match.groups()
    return Reject(
        action="reject",
        stage="ETRN",
        response=text[: match.start(1)].removesuffix(" from "),
        severity="temporary",  # answered with 459
        client=Client(known(name), known(ip), port(digits)),
        truncated=truncated,
    )


SHAPES: tuple[Shape, ...] = (
    Shape("reject:", _read),
    Shape("milter-reject:", _read),
    Shape("proxy-reject:", _read_proxy),
    Shape("abort:", _read_abort),
)
