"""Refusals by cleanup's header, body and MIME checks, its own and those on a milter's behalf.

    <QID>: reject: header|body|content <content> from <origin>;<context>[: <text>]
    <QID>: milter-header-reject|milter-body-reject: <the same>
    <QID>: reject: mime-error <text>: <content> from <origin>; from=<sender> to=<recipient>

Writers: Postfix `cleanup/cleanup_message.c:cleanup_act_log`, `cleanup/cleanup_milter.c`,
`cleanup_mime_error_callback`. A client of these lines is never shown but in `<origin>`, which is
`local` or `unknown` for mail that no client sent.

The content is a whole header of a stranger's mail and may imitate all that follows, and so may
an address; only the text at the end is the administrator's. So of all contexts whose addresses are
quoted as they must be, the real one leaves the shortest text.
"""

import re
from dataclasses import dataclass

from service.core.postfix.addresses import ADDRESS, divide_addresses
from service.core.postfix.facts import Client, Reject
from service.core.postfix.fragments import CLIENT, HELO, PROTOCOL, known, pattern, port
from service.core.postfix.reply import codes, severity
from service.core.postfix.shape import Line, Reading, Shape

_KIND = pattern(r"(header|body|content|mime-error) ")
_ORIGIN = pattern(rf" from (?:{CLIENT}|local|unknown);(?= from=<| to=<| proto=|\Z|: )")
_STRICT = pattern(
    rf"(?: from=<({ADDRESS})>)?(?: to=<({ADDRESS})>)?"
    rf"(?: proto=({PROTOCOL}))?(?: helo=<({HELO})>)?(?:: |\Z)"
)
# Where addresses are not quoted: the end of the context is what is left to find.
_ANCHOR = pattern(rf"> proto=({PROTOCOL})(?: helo=<({HELO})>)?(?:: |\Z)")
_END = pattern(r">(?:: |\Z)")
_NO_RECIPIENT = "unknown"


@dataclass(slots=True)
class _Parts:
    content_end: int
    client: Client | None
    sender: str | None
    recipient: str | None
    protocol: str | None
    helo: str | None
    text: str


def _read(line: Line) -> Reading | None:
    text = line.text
    kind = _KIND.match(text, line.rest)
    if kind is None:
        return None
    stage = kind[1]
    content = kind.end()
    origins = list(_ORIGIN.finditer(text, content))
    parts = None
    if len(origins) == 1 or (origins and not line.truncated):
        parts = _strict(text, origins)
        if parts is None or _ANCHOR.search(parts.text) or _ORIGIN.search(parts.text):
            parts = _loose(text, origins) or parts
    truncated = line.truncated or parts is None
    if parts is None:
        parts = _cut(text, origins)
    response = parts.text
    recipient = parts.recipient
    if stage == "mime-error":
        colon = text.find(": ", content, parts.content_end)
        response = text[content : colon if colon >= 0 else parts.content_end]
        content = colon + 2 if colon >= 0 else parts.content_end
        if recipient == _NO_RECIPIENT:
            recipient = None
    smtp_code, enhanced, _ = codes(response)
    return Reject(
        action=line.opening.removesuffix(":"),
        stage=stage,
        response=response,
        severity=severity(smtp_code, enhanced) or "permanent",
        smtp_code=smtp_code,
        enhanced_code=enhanced,
        client=parts.client,
        sender=parts.sender,
        recipient=recipient,
        protocol=parts.protocol,
        helo=parts.helo or None,
        content=text[content : parts.content_end],
        truncated=truncated,
    )


def _strict(text: str, origins: list[re.Match[str]]) -> _Parts | None:
    """The context that leaves the shortest text."""
    found = None
    for origin in origins:
        match = _STRICT.match(text, origin.end())
        if match and (found is None or match.end() >= found[1].end()):
            found = origin, match
    if found is None:
        return None
    origin, match = found
    sender, recipient, protocol, helo = match.groups()
    client, rest = _client(origin), text[match.end() :]
    return _Parts(origin.start(), client, sender, recipient, protocol, helo, rest)


def _loose(text: str, origins: list[re.Match[str]]) -> _Parts | None:
    """Addresses that are not quoted: the last origin, and the last end of a context behind it."""
    origin = origins[-1]
    protocol = helo = None
    end = _last(_ANCHOR, text, origin.end())
    if end:
        protocol, helo = end.groups()
    else:
        end = _last(_END, text, origin.end())
    if end is None:
        return None
    readings = divide_addresses(text, origin.end() + 1, end.start() + 1)
    if not readings:
        return None
    sender, recipient = readings[-1]
    client = _client(origin)
    return _Parts(origin.start(), client, sender, recipient, protocol, helo, text[end.end() :])


def _cut(text: str, origins: list[re.Match[str]]) -> _Parts:
    """The line ends inside its context, or before it: what the only origin tells, if it is one."""
    if len(origins) == 1:
        return _Parts(origins[0].start(), _client(origins[0]), None, None, None, None, "")
    return _Parts(len(text), None, None, None, None, None, "")


def _last(end: re.Pattern[str], text: str, start: int) -> re.Match[str] | None:
    last = None
    for match in end.finditer(text, start):
        last = match
    return last


def _client(origin: re.Match[str]) -> Client | None:
    name, ip, digits = origin.groups()
    return Client(known(name), known(ip), port(digits)) if name else None


SHAPES: tuple[Shape, ...] = (
    Shape("reject:", _read),
    Shape("milter-header-reject:", _read),
    Shape("milter-body-reject:", _read),
)
