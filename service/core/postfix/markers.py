"""Which lines of a block can be failures at all: a search over the block, not a look at each line.

Most lines of a mail log are no failure, and a search over a block costs a fraction of a look at
each. In: a block of LF-terminated lines. Out: where the lines worth parsing are, in order. A marker
says "look", never "failure": the parser decides.

The markers come from Postfix's writers: every reject action ends in `reject: `
(`smtpd/smtpd_check.c`, `cleanup/cleanup_milter.c`), every delivery status follows `status=`
(`global/log_adhoc.c`), and `abort: TLS` is `smtpd/smtpd.c`.
"""

from typing import Final

LONG_LINE: Final = 1000
"""Lines of at least this many bytes are looked at even without a marker: a delivery line may have
been cut before its `status=`. RFC 3164 relays cut at 1024 bytes, Postfix itself at 2000."""

_REJECT: Final = "reject: "
_STATUS: Final = "status="
_SENT: Final = "sent"
_ABORT: Final = "abort: TLS"
_STRIDE: Final = 800
"""Where the end of a line is looked for first, so that most strides are not much shorter than
`LONG_LINE`: a search for one character is fast, but from the left only."""


def is_candidate(line: bytes) -> bool:
    """The same answer for one line, without its LF."""
    if len(line) >= LONG_LINE:
        return True
    text = line.decode("latin-1")
    return (
        text.find(_REJECT) >= 0
        or text.find(_ABORT) >= 0
        or _next_status(text, 0, len(text)) < len(text)
    )


def candidates(block: bytes) -> list[tuple[int, int]]:
    """Start and end of each candidate line, without its LF. Written for speed: the positions of the
    markers are looked up again only when passed; and in a text of a character a byte, as the
    compiled core asks a text without the interpreter, and bytes not."""
    text = block.decode("latin-1")
    none = len(text)
    reject = _next(text, _REJECT, 0, none)
    status = _next_status(text, 0, none)
    abort = _next(text, _ABORT, 0, none)
    long = _next_long(text, 0, none)
    rare = min(abort, long)
    lines: list[tuple[int, int]] = []
    while True:
        marker = reject if reject < status else status
        if rare < marker:
            marker = rare
        if marker == none:
            return lines
        end = text.find("\n", marker)
        lines.append((text.rfind("\n", 0, marker) + 1, end))
        if reject < end:
            reject = _next(text, _REJECT, end, none)
        if status < end:
            status = _next_status(text, end, none)
        if rare < end:
            if abort < end:
                abort = _next(text, _ABORT, end, none)
            if long < end:
                long = _next_long(text, end + 1, none)
            rare = min(abort, long)


def _next(text: str, marker: str, start: int, none: int) -> int:
    position = text.find(marker, start)
    return none if position < 0 else position


def _next_status(text: str, start: int, none: int) -> int:
    """The next `status=` that does not go on with `sent`, by far the commonest word."""
    position = text.find(_STATUS, start)
    while position >= 0:
        after = position + len(_STATUS)
        if text[after : after + len(_SENT)] != _SENT:
            return position
        position = text.find(_STATUS, after)
    return none


def _next_long(text: str, start: int, none: int) -> int:
    """Start of the next line of at least `LONG_LINE` bytes; strides over the short ones."""
    while start < none - LONG_LINE:
        newline = text.find("\n", start + _STRIDE, start + LONG_LINE)
        if newline < 0:
            newline = text.rfind("\n", start, start + _STRIDE)
            if newline < 0:
                return start
        start = newline + 1
    return none
