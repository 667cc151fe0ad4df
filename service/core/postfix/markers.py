"""Which lines of a block can be failures at all: a search over the block, not a look at each line.

Most lines of a mail log are no failure, and `bytes.find` over a block costs a fraction of a look at
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

_REJECT: Final = b"reject: "
_STATUS: Final = b"status="
_SENT: Final = b"sent"
_ABORT: Final = b"abort: TLS"
_END: Final = 1 << 62


def is_candidate(line: bytes) -> bool:
    """The same answer for one line, without its LF."""
    # `find` and not `in`, which costs CPython an exception where bytes are looked for in bytes.
    if len(line) >= LONG_LINE or line.find(_REJECT) >= 0 or line.find(_ABORT) >= 0:
        return True
    return _next_status(line, 0) != _END


def candidates(block: bytes) -> list[tuple[int, int]]:
    """Start and end of each candidate line, without its LF. Written for speed: the positions of the
    markers are looked up again only when passed."""
    find, rfind = block.find, block.rfind
    reject = _or_end(find(_REJECT))
    status = _next_status(block, 0)
    abort = _or_end(find(_ABORT))
    long = _next_long(block, 0)
    rare = min(abort, long)
    lines: list[tuple[int, int]] = []
    while True:
        marker = reject if reject < status else status
        if rare < marker:
            marker = rare
        if marker == _END:
            return lines
        end = find(b"\n", marker)
        lines.append((rfind(b"\n", 0, marker) + 1, end))
        if reject < end:
            reject = find(_REJECT, end)
            if reject < 0:
                reject = _END
        if status < end:
            status = _next_status(block, end)
        if rare < end:
            if abort < end:
                abort = _or_end(find(_ABORT, end))
            if long < end:
                long = _next_long(block, end + 1)
            rare = min(abort, long)


def _or_end(position: int) -> int:
    return position if position >= 0 else _END


def _next_status(data: bytes, start: int) -> int:
    """The next `status=` that does not go on with `sent`, by far the commonest word."""
    position = data.find(_STATUS, start)
    while position >= 0:
        after = position + len(_STATUS)
        if not data.startswith(_SENT, after):
            return position
        position = data.find(_STATUS, after)
    return _END


def _next_long(block: bytes, start: int) -> int:
    """Start of the next line of at least `LONG_LINE` bytes; strides over the short ones."""
    last = len(block) - LONG_LINE
    while start < last:
        newline = block.rfind(b"\n", start, start + LONG_LINE)
        if newline < 0:
            return start
        start = newline + 1
    return _END
