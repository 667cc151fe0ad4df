"""All line shapes: what can be a failure, and what is known to be none.

In: a divided `Line`. Out: its reading. To add a shape, add a row to `SHAPES` of its daemon's file;
to add a line that is no failure, its opening to `_HARMLESS`.
"""

from collections import defaultdict

from service.core.outcomes import Malformed, Skip
from service.core.postfix.addresses import is_inside
from service.core.postfix.facts import Reject
from service.core.postfix.fragments import pattern
from service.core.postfix.shape import Line, Reader, Reading, divide
from service.core.postfix.shapes import cleanup, delivery, postscreen, qmgr, smtpd

_READERS: defaultdict[str, list[Reader]] = defaultdict(list)
for _shape in (
    *delivery.SHAPES,
    *cleanup.SHAPES,  # before smtpd, which has no stage in lower case
    *smtpd.SHAPES,
    *postscreen.SHAPES,
    *qmgr.SHAPES,
):
    _READERS[_shape.opening].append(_shape.read)

_ACTIONS = (
    # Postfix `smtpd/smtpd_check.c`, `smtpd/smtpd.c`
    "reject_warning hold discard filter redirect warn info bcc permit hangup delay "
    "milter-hold milter-discard proxy-accept "
    # `cleanup/cleanup_message.c`, `cleanup/cleanup_milter.c`, `smtp/smtp_proto.c`
    "warning pass prepend replace strip "
    "milter-header-discard milter-header-hold milter-header-filter milter-header-redirect "
    "milter-header-bcc milter-header-warning milter-header-info milter-header-replace "
    "milter-header-strip milter-header-prepend milter-header-pass "
    "milter-body-discard milter-body-hold milter-body-filter milter-body-redirect milter-body-bcc "
    "milter-body-warning milter-body-info milter-body-replace milter-body-strip "
    "milter-body-prepend milter-body-pass"
)
_HARMLESS = frozenset(
    [
        *(f"{action}:" for action in _ACTIONS.split()),
        # correlation (`smtpd/smtpd.c`, `pickup/pickup.c`, `cleanup/cleanup_message.c`)
        *("client=", "uid=", "message-id=", "resent-message-id="),
        # `bounce/*.c`, `smtpd/smtpd_chat.c`
        *("sender", "postmaster", "not", "reply"),
        # `postsuper/postsuper.c`, `qmgr/qmgr_active.c`, `cleanup/cleanup.c`
        *("removed", "placed", "released", "requeued", "expired", "skipped"),
        # sessions that broke (`smtpd/smtpd.c`)
        *("lost", "timeout", "too", "improper", "non-SMTP", "bare"),
        # a server that was not the last one to try (`smtp/smtp_trouble.c`, `smtp_connect.c` ...)
        *(
            "host",
            "connect",
            "conversation",
            "local",
            "Protocol",
            "SASL",
            "TLS",
            "Cannot",
            "client",
        ),
        *("Server", "Host", "Name", "Domain", "Sender", "SMTPUTF8", "TLSA", "non", "no", "message"),
        *("certificate", "enabling", "Verified", "Trusted", "Untrusted", "Anonymous", "unable"),
        *("server", "mail", "delivery", "Verification", "Temporary", "passing"),
    ]
)

OPENINGS = frozenset({*_READERS, *_HARMLESS})
"""Every opening word of a Postfix line that is known."""

_MENTIONS = pattern(r" status=(?:deferred|bounced|SOFTBOUNCE|expired|force-expired)|reject: ")
_REJECT = "reject:"
_ABORT = "abort:"
_TLS = "TLS "
# A failure whose id is of a new form, or was taken out.
_UNKNOWN_ID = pattern(r"[^\s:]{1,80}: ?(?:to=<|(?:milter-)?reject: )|to=<")
_SPACES = pattern(r" {2,}")
_WIDE_CONTEXT = pattern(r"; {2,}(?:from=<|to=<|proto=)|> {2,}(?:to=<|proto=|helo=<)")


def read(line: Line) -> Reading:
    reading = _read(line)
    if (
        "  " in line.text
        and not line.may_be_cut
        and _is_doubtful(reading, line)
        and not _is_doubtful(narrow := _read(_narrow(line)), line)
        and not isinstance(narrow, Skip)
    ):
        return narrow
    return reading


def _is_doubtful(reading: Reading, line: Line) -> bool:
    """Not read, or not its context."""
    if reading is Malformed.UNKNOWN_SHAPE:
        return True
    if not isinstance(reading, Reject):
        return False
    context = (reading.sender, reading.recipient, reading.protocol)
    wide = _WIDE_CONTEXT.search(line.text)
    return (
        context == (None, None, None)
        and wide is not None
        and not is_inside(line.text[: wide.start() + 1])
    )


def _narrow(line: Line) -> Line:
    """Logs are published with their fields in columns, too: Postfix puts one space between two."""
    return divide(_SPACES.sub(" ", line.text), line.truncated)


def _read(line: Line) -> Reading:
    opening = line.opening
    if not line.named and not opening.endswith(_REJECT):
        # Whatever it mentions, no other failure begins like this.
        if _UNKNOWN_ID.match(line.text) and _MENTIONS.search(line.text):
            return Malformed.UNKNOWN_SHAPE
        return Skip.NOT_A_FAILURE
    for reader in _READERS.get(opening, ()):
        reading = reader(line)
        if reading is not None:
            return reading
    if opening in _HARMLESS:
        return Skip.NOT_A_FAILURE
    if (
        opening.endswith(_REJECT)
        or (opening == _ABORT and line.text.startswith(_TLS, line.rest))
        or _MENTIONS.search(line.text, max(line.rest - 1, 0))
    ):
        return Malformed.UNKNOWN_SHAPE
    return Skip.NOT_A_FAILURE


def row_of(line: Line) -> str | None:
    """Which row reads the line, as `smtpd reject:`; None where none does. For `explain`."""
    for way in (line, _narrow(line)):
        for reader in _READERS.get(way.opening, ()):
            if reader(way) is not None:
                return f"{reader.__module__.rpartition('.')[2]} {way.opening}"
    return None
