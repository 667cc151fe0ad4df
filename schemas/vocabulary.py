"""The words events use, and how a subscriber survives new ones.

Every enum but `EventType` is open: a later 1.x may add members. A field of type `Category | str`
holds the member where this version knows the word and the plain word where it does not, so that
nothing is lost and `event.category == Category.TLS` stays true to the wire. Treat a word you do
not know as you treat `other` or `unknown`.
"""

from enum import StrEnum


class EventType(StrEnum):
    """Where in the message's life it failed; also the subject token."""

    REJECT = "reject"
    """Refused at the door: Postfix never took responsibility for the message."""
    DEFERRED = "deferred"
    """One delivery attempt of one recipient failed; Postfix will try again."""
    BOUNCED = "bounced"
    """One recipient failed for good, or expired in the queue."""
    RESOLVED = "resolved"
    """A recipient that had been deferred has reached its end."""
    INVALID = "invalid"
    """Dead letter: a failure line that could not be read."""
    ROLLUP = "rollup"
    """How many of these there were, once a minute: no failure itself."""


MAIL_EVENTS = tuple(kind for kind in EventType if kind is not EventType.ROLLUP)
"""Their events are each of one mail: what to subscribe to where roll-ups are not wanted."""


class Severity(StrEnum):
    """Whether trying again can help."""

    PERMANENT = "permanent"
    """5xx, or Postfix has given up: the same message will be refused again."""
    TEMPORARY = "temporary"
    """4xx, or Postfix tries again: a later attempt may succeed."""


class TimeQuality(StrEnum):
    """How much of `event_time` stood in the line."""

    EXACT = "exact"
    """Year and zone are in the line."""
    INFERRED = "inferred"
    """Year or zone was inferred from the time of receipt and the configured zone."""
    RECEIVED = "received"
    """The stamp was unusable; this is the time of receipt."""


class Transport(StrEnum):
    """How the line reached the receiver."""

    UDP = "udp"
    """Syslog over UDP (RFC 5426)."""
    TCP = "tcp"
    """Syslog over plain TCP (RFC 6587)."""
    TLS = "tls"
    """Syslog over TLS (RFC 5425)."""
    RELP = "relp"
    """RELP: acknowledged once durable."""
    RELP_TLS = "relp-tls"
    """RELP over TLS."""
    FILE = "file"
    """Read from a file by `mailfault parse` or `mailfault replay`."""


class Scope(StrEnum):
    """Who can act on the cause."""

    RECIPIENT = "recipient"
    """The owner of the mailbox, or whoever keeps the address list."""
    SENDER = "sender"
    """The author, or the system that sends in his name."""
    MESSAGE = "message"
    """This one message: its content, size or form."""
    REPUTATION = "reputation"
    """Whoever cares for the standing of the sending address or domain."""
    POLICY = "policy"
    """Whoever wrote the rule that refused it, here or there."""
    REMOTE = "remote"
    """The operator of the receiving system."""
    NETWORK = "network"
    """Whoever runs DNS, routes and TLS between the two."""
    LOCAL = "local"
    """The operator of this mail system."""
    UNKNOWN = "unknown"
    """The line does not tell."""


class Category(StrEnum):
    """The cause in one word."""

    UNKNOWN_USER = "unknown_user"
    """No such mailbox."""
    MAILBOX_FULL = "mailbox_full"
    """Over quota."""
    MAILBOX_DISABLED = "mailbox_disabled"
    """The mailbox exists but takes no mail."""
    RECIPIENT_MOVED = "recipient_moved"
    """The recipient has another address now."""
    UNVERIFIED_ADDRESS = "unverified_address"
    """Address verification failed or has not finished."""
    ADDRESS_SYNTAX = "address_syntax"
    """Not a valid address."""
    DOMAIN_NOT_FOUND = "domain_not_found"
    """The domain of an address does not exist or has no mail host."""
    NULL_MX = "null_mx"
    """The domain says that it takes or sends no mail (RFC 7505)."""
    SPAM_CONTENT = "spam_content"
    """Content judged as spam."""
    VIRUS = "virus"
    """Malware, or an attachment type that is not let in."""
    BLOCKLISTED_IP = "blocklisted_ip"
    """The client's address is on a block list or has a bad reputation."""
    BLOCKLISTED_DOMAIN = "blocklisted_domain"
    """A domain or URL is on a block list or has a bad reputation."""
    RATE_LIMITED = "rate_limited"
    """Too much in too short a time."""
    GREYLISTED = "greylisted"
    """Asked to come back later on purpose."""
    AUTH_REQUIRED = "auth_required"
    """The client has to log in or use TLS first."""
    AUTH_FAILED = "auth_failed"
    """SPF, DKIM or DMARC."""
    SENDER_REJECTED = "sender_rejected"
    """The sender address is not accepted."""
    CLIENT_DNS = "client_dns"
    """The client's address has no, or no matching, reverse name."""
    HELO_REJECTED = "helo_rejected"
    """The name in HELO or EHLO is not accepted."""
    RELAY_DENIED = "relay_denied"
    """The server does not forward for this client."""
    ACCESS_DENIED = "access_denied"
    """An access rule names the client, sender or recipient."""
    TOO_LARGE = "too_large"
    """Over the size limit for messages."""
    TOO_MANY_RECIPIENTS = "too_many_recipients"
    """Over the limit of recipients."""
    PROTOCOL_ERROR = "protocol_error"
    """One side broke the SMTP protocol or the form of a message."""
    TLS = "tls"
    """Encryption is required and could not be had, or its certificate is not trusted."""
    CONNECTION = "connection"
    """Refused, unreachable, lost or closed."""
    DNS = "dns"
    """A lookup failed for now."""
    TIMEOUT = "timeout"
    """The other side did not answer in time."""
    SERVER_BUSY = "server_busy"
    """The receiving system is out of capacity or under maintenance."""
    POLICY = "policy"
    """A rule that is not told more closely."""
    LOOP = "loop"
    """The message goes round in circles."""
    EXPIRED = "expired"
    """In the queue for too long."""
    LOCAL_ERROR = "local_error"
    """Configuration, resources or software of this mail system."""
    OTHER = "other"
    """None of these."""


class Completeness(StrEnum):
    """How much of a message's earlier lines were seen."""

    COMPLETE = "complete"
    """From the first line of the message on."""
    PARTIAL = "partial"
    """Some."""
    NONE = "none"
    """Only the line of this event."""


class Outcome(StrEnum):
    """How a deferred recipient ended."""

    DELIVERED = "delivered"
    """The next hop took it."""
    BOUNCED = "bounced"
    """It failed for good; a `bounced` event was published too."""
    EXPIRED = "expired"
    """It stayed in the queue for too long; a `bounced` event was published too."""
    REMOVED = "removed"
    """It left the queue without a delivery seen: deleted by an operator, or lines were lost."""
