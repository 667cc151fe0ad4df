"""The words events use. Enums may grow: treat an unknown member as you treat `other`."""

from enum import StrEnum


class EventType(StrEnum):
    """Where in the message's life it failed; also the subject token."""

    REJECT = "reject"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    RESOLVED = "resolved"
    INVALID = "invalid"


class Severity(StrEnum):
    """Whether trying again can help, as the codes say it."""

    PERMANENT = "permanent"
    TEMPORARY = "temporary"


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
    TCP = "tcp"
    TLS = "tls"
    RELP = "relp"
    RELP_TLS = "relp-tls"
    FILE = "file"
    """Read from a file by `mailfault parse` or `mailfault replay`."""


class Scope(StrEnum):
    """Who can act on the cause."""

    RECIPIENT = "recipient"
    SENDER = "sender"
    MESSAGE = "message"
    REPUTATION = "reputation"
    POLICY = "policy"
    REMOTE = "remote"
    NETWORK = "network"
    LOCAL = "local"
    UNKNOWN = "unknown"


class Category(StrEnum):
    """The cause in one word."""

    UNKNOWN_USER = "unknown_user"
    MAILBOX_FULL = "mailbox_full"
    MAILBOX_DISABLED = "mailbox_disabled"
    RECIPIENT_MOVED = "recipient_moved"
    UNVERIFIED_ADDRESS = "unverified_address"
    ADDRESS_SYNTAX = "address_syntax"
    DOMAIN_NOT_FOUND = "domain_not_found"
    NULL_MX = "null_mx"
    SPAM_CONTENT = "spam_content"
    VIRUS = "virus"
    BLOCKLISTED_IP = "blocklisted_ip"
    BLOCKLISTED_DOMAIN = "blocklisted_domain"
    RATE_LIMITED = "rate_limited"
    GREYLISTED = "greylisted"
    AUTH_REQUIRED = "auth_required"
    AUTH_FAILED = "auth_failed"
    """SPF, DKIM or DMARC."""
    SENDER_REJECTED = "sender_rejected"
    CLIENT_DNS = "client_dns"
    HELO_REJECTED = "helo_rejected"
    RELAY_DENIED = "relay_denied"
    ACCESS_DENIED = "access_denied"
    TOO_LARGE = "too_large"
    TOO_MANY_RECIPIENTS = "too_many_recipients"
    PROTOCOL_ERROR = "protocol_error"
    TLS = "tls"
    CONNECTION = "connection"
    DNS = "dns"
    TIMEOUT = "timeout"
    SERVER_BUSY = "server_busy"
    POLICY = "policy"
    LOOP = "loop"
    EXPIRED = "expired"
    LOCAL_ERROR = "local_error"
    OTHER = "other"


class Completeness(StrEnum):
    """How much of a message's earlier lines were seen."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    NONE = "none"


class Outcome(StrEnum):
    """How a deferred recipient ended."""

    DELIVERED = "delivered"
    BOUNCED = "bounced"
    EXPIRED = "expired"
    REMOVED = "removed"
