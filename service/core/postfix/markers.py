"""Which lines of a block say anything: a search over the block, not a look at each line.

Most lines of a mail log are no failure, and `bytes.find` over a block costs a fraction of
splitting it. In: a block of LF-terminated lines. Out: the lines worth reading, in order, with the
marks found in each. A mark says "look", never what the line means: its reader decides.

`FAILURE` comes from Postfix's writers of failures: every reject action ends in `reject: `
(`smtpd/smtpd_check.c`, `cleanup/cleanup_milter.c`), every delivery status follows `status=`
(`global/log_adhoc.c`), and `abort: TLS` is `smtpd/smtpd.c`. `TRACE` marks what tells of a message:
its client, its ids, its sender, its notice, its end. `SENT` marks deliveries that succeeded.
"""

FAILURE = 1
TRACE = 2
SENT = 4

LONG_LINE = 1000
"""Lines of at least this many bytes are looked at even without a marker: a delivery line may have
been cut before its `status=`. RFC 3164 relays cut at 1024 bytes, Postfix itself at 2000."""

_REJECT = b"reject: "
_STATUS = b"status="
_SENT = b"sent"
_ABORT = b"abort: TLS"
_TRACES = (
    b": client=",  # `smtpd/smtpd.c`, `qmqpd/qmqpd.c`
    b": message-id=",  # `cleanup/cleanup_message.c`
    b": from=<",  # `qmgr/qmgr_message.c`
    b": uid=",  # `pickup/pickup.c`
    b": removed",  # `qmgr/qmgr_active.c`, `postsuper/postsuper.c`, `cleanup/cleanup.c`
    b" notification: ",  # `bounce/bounce_notify_util.c`
    b" (forwarded as ",  # `local/forward.c`
)
_MARK_BITS = 3


def marks_of(line: bytes, wanted: int) -> int:
    """The same answer for one line, without its LF."""
    marks = 0
    if wanted & FAILURE and (len(line) >= LONG_LINE or _REJECT in line or _ABORT in line):
        marks = FAILURE
    if wanted & (FAILURE | SENT):
        position = line.find(_STATUS)
        while position >= 0:
            position += len(_STATUS)
            marks |= SENT if line.startswith(_SENT, position) else FAILURE
            position = line.find(_STATUS, position)
    if wanted & TRACE:
        for needle in _TRACES:
            if needle in line:
                marks |= TRACE
                break
    return marks & wanted


def is_candidate(line: bytes) -> bool:
    """Whether it may be a failure."""
    return marks_of(line, FAILURE) != 0


def marked(block: bytes, wanted: int) -> list[tuple[int, int, int]]:
    """Start, end (without LF) and marks of each line that has one of the `wanted`."""
    find = block.find
    found: list[int] = []
    if wanted & (FAILURE | SENT):
        sent = SENT & wanted
        position = find(_STATUS)
        while position >= 0:
            after = position + len(_STATUS)
            mark = sent if block.startswith(_SENT, after) else FAILURE & wanted
            if mark:
                found.append(position << _MARK_BITS | mark)
            position = find(_STATUS, after)
    if wanted & FAILURE:
        for needle in (_REJECT, _ABORT):
            position = find(needle)
            while position >= 0:
                found.append(position << _MARK_BITS | FAILURE)
                position = find(needle, position + len(needle))
        position = _next_long(block, 0)
        while position >= 0:
            found.append(position << _MARK_BITS | FAILURE)
            position = _next_long(block, find(b"\n", position) + 1)
    if wanted & TRACE:
        for needle in _TRACES:
            position = find(needle)
            while position >= 0:
                found.append(position << _MARK_BITS | TRACE)
                position = find(needle, position + len(needle))
    return _lines(block, found)


def _lines(block: bytes, found: list[int]) -> list[tuple[int, int, int]]:
    find, rfind = block.find, block.rfind
    found.sort()
    lines: list[tuple[int, int, int]] = []
    start = end = marks = 0
    for place in found:
        position = place >> _MARK_BITS
        if position < end:
            marks |= place & (FAILURE | TRACE | SENT)
            continue
        if marks:
            lines.append((start, end, marks))
        start = rfind(b"\n", end, position) + 1 or end
        end = find(b"\n", position)
        marks = place & (FAILURE | TRACE | SENT)
    if marks:
        lines.append((start, end, marks))
    return lines


def candidates(block: bytes) -> list[bytes]:
    """The lines that may be failures, each without its LF."""
    return [block[start:end] for start, end, _ in marked(block, FAILURE)]


def _next_long(block: bytes, start: int) -> int:
    """Start of the next line of at least `LONG_LINE` bytes; strides over the short ones."""
    last = len(block) - LONG_LINE
    while start < last:
        newline = block.rfind(b"\n", start, start + LONG_LINE)
        if newline < 0:
            return start
        start = newline + 1
    return -1
