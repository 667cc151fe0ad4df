"""Why a frame ended without an event.

Each member's value is a metric label and a log key; nothing else may be either.
"""

from enum import StrEnum


class Skip(StrEnum):
    """The frame was understood well enough to know that it is no failure of mail."""

    NOT_A_FAILURE = "not_a_failure"
    """No failure marker (a blank line has none), or a Postfix line that only mentions one."""
    NOT_SYSLOG = "not_syslog"
    """A failure marker in a line that has no recognisable syslog header."""
    NOT_POSTFIX = "not_postfix"
    """A failure marker in a line of another program."""
    PROBE = "probe"
    """An address verification probe or `sendmail -bv` report; no user's mail."""


class Drop(StrEnum):
    """The frame was lost on purpose, to stay within a bound or because it arrived broken."""

    QUEUE_FULL = "queue_full"
    """UDP cannot be held back: the pipeline had no room."""
    CUT_SHORT = "cut_short"
    """The peer closed, or the connection broke, inside a frame."""
    BAD_COUNT = "bad_count"
    """An octet count that is no frame length; the stream is lost and its connection closed."""
    BAD_COMPRESSION = "bad_compression"
    """A `z` payload that does not inflate, or inflates past the bound."""
    BAD_FRAME = "bad_frame"
    """RELP: a header or trailer that is none; like the next three, its connection is closed and
    its sender sends again what was not acknowledged."""
    OUT_OF_SEQUENCE = "out_of_sequence"
    """RELP: not the transaction number that was due."""
    TOO_LONG = "too_long"
    """RELP: over the length that is skipped."""
    NOT_OPEN = "not_open"
    """RELP: a syslog frame before the session was opened."""


class RelpRefusal(StrEnum):
    """Why the receiver ended a RELP session before its time."""

    BAD_FRAME = "bad_frame"
    OUT_OF_SEQUENCE = "out_of_sequence"
    TOO_LONG = "too_long"
    NOT_OPEN = "not_open"
    """These as the `Drop` of the same name."""
    BAD_OFFERS = "bad_offers"
    """`open` without a protocol version, or without the command `syslog`."""
    ANSWERS_UNREAD = "answers_unread"
    """The peer did not read its answers, and the buffer for them is full."""


class Malformed(StrEnum):
    """A Postfix failure line that could not become a valid event: a dead letter is published."""

    UNKNOWN_SHAPE = "unknown_shape"
    """It stands where failures stand, in a form that is not known."""
    CUT_BEFORE_STATUS = "cut_before_status"
    """A delivery line so long that it was cut before its `status=`."""
    INVALID_EVENT = "invalid_event"
    """It parsed, but the event model refused a value."""
    PARSER_FAILED = "parser_failed"
    """A defect of ours: reading the line raised an exception. No other line is harmed by it."""
