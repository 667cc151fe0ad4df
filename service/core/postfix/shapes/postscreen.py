"""Refusals by postscreen, which logs no client name and cleans nothing.

    NOQUEUE: reject: RCPT from [<ip>]:<port>: <text>; from=<s>, to=<r>, proto=<P>, helo=<h>
    NOQUEUE: reject: CONNECT from [<ip>]:<port>: all server ports busy
    reject: connect from [<ip>]:<port>: all screening ports busy

Writers: Postfix `postscreen/postscreen_smtpd.c:psc_rcpt_cmd`, `postscreen/postscreen.c`,
`postscreen/postscreen_send.c`.

The text is Postfix's own, so the first context is the real one, and the HELO name is what is left
up to the end of the line. Addresses are in external form, but their domains are unchecked: an
address can end early only by what follows its last `@`.
"""

from itertools import islice
from typing import NamedTuple

from service.core.postfix.addresses import ADDRESS, LOCAL_PART, may_be_address
from service.core.postfix.dnsbl import blocking_list
from service.core.postfix.facts import Client, Reject
from service.core.postfix.fragments import PROTOCOL, known, pattern, port
from service.core.postfix.reply import codes, severity
from service.core.postfix.shape import Line, Reading, Shape

_HEAD = pattern(r"([A-Za-z]{1,16}) from \[([^\]\s]{1,255})\](?::([0-9]{1,5}))?(?:: ?|\Z)")
# Commas as Postfix writes them, spaces as some logs have them.
_CONTEXT = pattern(rf"; from=<({ADDRESS})>,? to=<({ADDRESS})>,? proto=({PROTOCOL}),? helo=<(.*)>\Z")
_TO = pattern(r">,? to=<")
_REST = pattern(rf">,? proto=({PROTOCOL}),? helo=<")
_UNCHECKED = pattern(rf"(?:(?:@[^:]*:)?{LOCAL_PART}(?:@[^@]*)?)?")
_FROM = "; from=<"
_BUSY = frozenset({"too many connections", "all screening ports busy", "all server ports busy"})
_MOST_PLACES = 8


def _read(line: Line) -> Reading | None:
    text = line.text
    head = _HEAD.match(text, line.rest)
    if head is None:
        return None
    stage, ip, digits = head.groups()
    start = head.end()
    end = text.find(_FROM, start)
    truncated = line.truncated
    fields = None
    if end < 0:
        end = len(text)
    else:
        fields = _fields(text, end)
        truncated = truncated or fields is None
    response = text[start:end]
    smtp_code, enhanced, words = codes(response)
    return Reject(
        action="reject",
        stage=stage.upper(),
        response=response,
        severity="temporary" if response in _BUSY else severity(smtp_code, enhanced),
        smtp_code=smtp_code,
        enhanced_code=enhanced,
        client=Client(None, known(ip), port(digits)),
        sender=fields.sender if fields else None,
        recipient=fields.recipient if fields else None,
        protocol=fields.protocol if fields else None,
        helo=(fields.helo or None) if fields else None,
        dnsbl=blocking_list(response, words, truncated, [ip]),
        truncated=truncated,
    )


class _Fields(NamedTuple):
    sender: str
    recipient: str
    protocol: str
    helo: str


def _fields(text: str, start: int) -> _Fields | None:
    """What the context at `start` says; None if it is cut."""
    match = _CONTEXT.match(text, start)
    strict = _Fields(*match.groups()) if match else None
    if strict and (">" not in strict.helo or "@" in strict.recipient):
        return strict
    # A sender whose domain imitates the fields behind it cannot put an `@` into them, or what
    # stands before that `@` would be quoted: so a recipient without one is believed last.
    first = start + len(_FROM)
    readings = _readings(text, first)
    for believable in (_is_unchecked, may_be_address):
        for fields in readings:
            if "@" in fields.recipient and believable(fields.sender):
                return fields
    return strict or (readings[0] if readings else None)


def _readings(text: str, first: int) -> list[_Fields]:
    """All the ways to read the fields of a context whose sender begins at `first`, from the left.

    Bounded: each more is one more imitation by the client.
    """
    if not text.endswith(">"):
        return []
    tos = list(islice(_TO.finditer(text, first), _MOST_PLACES))
    rests = list(islice(_REST.finditer(text, first), 2 * _MOST_PLACES))
    return [
        _Fields(text[first : to.start()], recipient, rest[1], text[rest.end() : -1])
        for to in tos
        for rest in rests
        if rest.start() >= to.end() and may_be_address(recipient := text[to.end() : rest.start()])
    ]


def _is_unchecked(address: str) -> bool:
    return _UNCHECKED.fullmatch(address) is not None


SHAPES = (Shape("reject:", _read),)
