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
from typing import Final, NamedTuple

from service.core.postfix.addresses import ADDRESS, LOCAL_PART, PLAIN_ADDRESS, may_be_address
from service.core.postfix.dnsbl import NEEDLE, blocking_list
from service.core.postfix.facts import Client, Reject
from service.core.postfix.fragments import PROTOCOL, SPACE, known, optional, pattern, port
from service.core.postfix.reply import codes, severity
from service.core.postfix.shape import Line, Reading, Shape

_DOORS: Final = {
    "NOQUEUE: reject: RCPT from [": "RCPT",
    "NOQUEUE: reject: CONNECT from [": "CONNECT",
    "reject: connect from [": "CONNECT",
}
"""How a line opens, and the stage that means."""
_LONGEST_DOOR: Final = 40
_COLON: Final = ": "
_PEER: Final = pattern(rf"([^\]{SPACE}]{{1,255}})\]" + optional(":([0-9]{1,5})"))
_PLAIN: Final = pattern(
    rf"; from=<({PLAIN_ADDRESS})>, to=<({PLAIN_ADDRESS})>, proto=({PROTOCOL}), helo=<([^>]*)>\Z"
)
_FROM: Final = "; from=<"
_HEAD: Final = pattern(r"([A-Za-z]{1,16}) from \[([^\]\s]{1,255})\](?::([0-9]{1,5}))?(?:: ?|\Z)")
# Commas as Postfix writes them, spaces as some logs have them.
_CONTEXT = pattern(rf"{_FROM}({ADDRESS})>,? to=<({ADDRESS})>,? proto=({PROTOCOL}),? helo=<(.*)>\Z")
_CUT = pattern(rf"{_FROM}({ADDRESS})>(?:,? to=<({ADDRESS})>(?:,? proto=({PROTOCOL})[, ])?)?")
_TO = pattern(r">,? to=<")
_REST = pattern(rf">,? proto=({PROTOCOL}),? helo=<")
_UNCHECKED = pattern(rf"(?:(?:@[^:]*:)?{LOCAL_PART}(?:@[^@]*)?)?")
_BUSY: Final = frozenset(
    {"too many connections", "all screening ports busy", "all server ports busy"}
)
_MOST_PLACES = 8
_POSTMASTER: Final = "postmaster"


class _Fields(NamedTuple):
    sender: str | None
    recipient: str | None
    protocol: str | None
    helo: str | None


_NO_FIELDS = _Fields(None, None, None, None)
_Plain = tuple[str | None, str | None, str | None, str | None]
"""The same, as it is soonest made."""


def read_plain(text: str) -> tuple[None, Reject] | None:
    """The hot path: a refusal that is not cut and has plain addresses or none, else None."""
    door = text.find("[", 0, _LONGEST_DOOR) + 1
    stage = _DOORS.get(text[:door])
    end = text.find(_COLON, text.find("]", door))
    if stage is None or end < door:
        return None
    peer = _PEER.fullmatch(text, door, end)
    start = end + len(_COLON)
    place = text.find(_FROM, start)
    fields = _plain_fields(text, place)
    if peer is None or fields is None:
        return None
    ip, digits = peer.groups()
    sender, recipient, protocol, helo = fields
    response = text[start:place] if place >= 0 else text[start:]
    smtp_code, enhanced, words = codes(response)
    dnsbl = None
    if NEEDLE in response:
        dnsbl = blocking_list(response, words, False, [ip])
    return None, Reject(
        "reject",
        stage,
        response,
        "temporary" if response in _BUSY else severity(smtp_code, enhanced),
        smtp_code,
        enhanced,
        Client(None, known(ip), port(digits)),
        sender,
        recipient,
        protocol,
        helo or None,
        dnsbl=dnsbl,
    )


def _plain_fields(text: str, place: int) -> _Plain | None:
    """`place`: of the context; less than 0 if there is none."""
    if place < 0:
        return None if text[-1].isspace() else (None, None, None, None)
    match = _PLAIN.match(text, place)
    if match is None:
        return None
    sender, recipient, protocol, helo = match.groups()
    return sender, recipient, protocol, helo


def _read(line: Line) -> Reading | None:
    return _refusal(line.text, line.rest, line.truncated)


def _refusal(text: str, rest: int, truncated: bool) -> Reject | None:
    """`rest`: where the stage stands."""
    head = _HEAD.match(text, rest)
    if head is None:
        return None
    stage, ip, digits = head.groups()
    start = head.end()
    end = text.find(_FROM, start)
    fields = _NO_FIELDS
    if end < 0:
        end = len(text)
    elif found := _fields(text, end):
        fields = found
    else:
        truncated = True
        if cut := _CUT.match(text, end):
            fields = _Fields(cut[1], cut[2], cut[3], None)
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
        sender=fields.sender,
        recipient=fields.recipient,
        protocol=fields.protocol,
        helo=fields.helo or None,
        dnsbl=blocking_list(response, words, truncated, [ip]),
        truncated=truncated,
    )


def _fields(text: str, start: int) -> _Fields | None:
    """What the context at `start` says; None if it is cut."""
    match = _CONTEXT.match(text, start)
    strict = _Fields(*match.groups()) if match else None
    if match and (">" not in match[4] or _is_certain(match[1], match[2])):
        return strict
    readings = _readings(text, start + len(_FROM))
    for sender, recipient, protocol, helo in readings:
        if "@" in recipient and _is_unchecked(sender) and _is_unchecked(recipient):
            return _Fields(sender, recipient, protocol, helo)
    if strict is not None:
        return strict
    for sender, recipient, protocol, helo in readings:
        if "@" in recipient and may_be_address(sender) and may_be_address(recipient):
            return _Fields(sender, recipient, protocol, helo)
    return _Fields(*readings[0]) if readings else None


def _is_certain(sender: str, recipient: str) -> bool:
    """Whether these two, each well formed, are the addresses, whatever the HELO name imitates.

    The sender's domain might imitate what stands behind it, if there is one; but no `@`, or what
    stands before that would be quoted. So a recipient without one is believed last, but for the one
    that has none by RFC 5321 4.5.1.
    """
    return "@" in recipient or "@" not in sender or recipient.lower() == _POSTMASTER


def _readings(text: str, first: int) -> list[tuple[str, str, str, str]]:
    """All the ways to read the fields of a context whose sender begins at `first`, from the left.

    Bounded: each more is one more imitation by the client.
    """
    if not text.endswith(">"):
        return []
    tos = list(islice(_TO.finditer(text, first), _MOST_PLACES))
    rests = list(islice(_REST.finditer(text, first), 2 * _MOST_PLACES))
    return [
        (text[first : to.start()], text[to.end() : rest.start()], rest[1], text[rest.end() : -1])
        for to in tos
        for rest in rests
        if rest.start() >= to.end()
    ]


def _is_unchecked(address: str) -> bool:
    return _UNCHECKED.fullmatch(address) is not None


SHAPES: tuple[Shape, ...] = (Shape("reject:", _read),)
