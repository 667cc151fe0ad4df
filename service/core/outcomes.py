"""Why a frame ended without an event, or a sender was refused.

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
    STALLED = "stalled"
    """Unfinished for longer than `half_frame_timeout`; its connection was closed."""
    RATE_LIMITED = "rate_limited"
    """UDP cannot be held back: its sender is over the rate of one source."""
    NOT_ALLOWED = "not_allowed"
    """A datagram from an address in none of the networks allowed to send."""
    BAD_FRAME = "bad_frame"
    """RELP: a header or trailer that is none; like the next three, its connection is closed and
    its sender sends again what was not acknowledged."""
    OUT_OF_SEQUENCE = "out_of_sequence"
    """RELP: not the transaction number that was due."""
    TOO_LONG = "too_long"
    """RELP: over the length that is skipped."""
    NOT_OPEN = "not_open"
    """RELP: a syslog frame before the session was opened."""


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
    PRIVACY_FAILED = "privacy_failed"
    """A defect of ours: what the settings hide could not be hidden, so nothing is shown."""


class Refusal(StrEnum):
    """Why a sender was turned away before anything it sent was taken as a frame."""

    MAX_CONNECTIONS = "max_connections"
    """The listener holds as many connections as it may."""
    MAX_CONNECTIONS_PER_ADDRESS = "max_connections_per_address"
    """This address holds as many connections as one may."""
    NOT_ALLOWED = "not_allowed"
    """The address is in none of the networks allowed to send."""
    PROXY_NOT_TRUSTED = "proxy_not_trusted"
    """A PROXY protocol header from an address that is not trusted to send one."""
    BAD_PROXY_HEADER = "bad_proxy_header"
    """A trusted proxy did not begin with a PROXY protocol header that can be understood."""
    HANDSHAKE_TIMEOUT = "handshake_timeout"
    """PROXY header and TLS handshake were not complete in time."""
    HANDSHAKE_FAILED = "handshake_failed"
    """What came is no TLS, or no version and suite in common, or the peer refused us."""
    NO_CERTIFICATE = "no_certificate"
    """The peer showed no certificate where one is asked for."""
    BAD_CERTIFICATE = "bad_certificate"
    """The peer's certificate is expired, of an unknown authority, or not for clients."""
    PEER_NOT_PERMITTED = "peer_not_permitted"
    """Neither a name nor the fingerprint of the peer's certificate is permitted."""


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


class RollupOverflow(StrEnum):
    """Why an event is missing in the roll-ups, or in part of one."""

    MTAS = "mtas"
    """More hosts than are told apart: it is in none."""
    CAUSES = "causes"
    """More causes than are told apart: it is only in the total of its type."""
