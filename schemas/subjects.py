"""NATS subjects: `postfix.<event_type>.<mta>`, and the token that stands for a host.

In: host names as log lines give them, so any text at all. Out: subjects that NATS takes (ADR-6):
no empty token, no wildcard, no control character, nothing of the line unescaped.
"""

import re
from encodings.idna import ToASCII
from functools import lru_cache
from hashlib import sha256

from .vocabulary import EventType

DEFAULT_PREFIX = "postfix"

TOKEN_MAX = 63
"""The longest DNS label; keeps a subject far below the 256 bytes NATS recommends."""
_KEPT = 50
_HASH_DIGITS = 8
_NAME_MAX = 255
"""RFC 1035 section 2.3.4 and RFC 5424 HOSTNAME. What is longer is no host name: it is neither
converted (IDNA takes quadratic time) nor remembered."""
_LABEL_MAX = 63
_REMEMBERED = 4096

_DOTS = re.compile("[\u3002\uff0e\uff61]")  # RFC 3490 section 3.1: these divide labels too
_UNSAFE = re.compile(rb"[^a-z0-9-]")
_PREFIX = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")


def mta_token(host: str) -> str:
    """A host as one subject token, the same for every spelling of it.

    Lower case, labels as IDNA A-labels, `.` as `_`, any other byte outside `[a-z0-9-]` as `=XX`
    (of its UTF-8 form), nothing as `unknown`, over 63 characters the first 50, `-` and 8 hex
    digits of a SHA-256. The dot that ends a fully qualified name is not part of it.

    IDNA is that of the standard library (RFC 3490, Unicode 3.2): it never changes, so neither do
    subjects. A label it refuses is escaped byte by byte.
    """
    if len(host) > _NAME_MAX:
        return _token(host)
    return _remembered_token(host)


def subject_for(event_type: EventType | str, host: str, prefix: str = DEFAULT_PREFIX) -> str:
    """Where an event is published, with the default template."""
    return _stem(prefix, event_type) + mta_token(host)


def wildcard(
    event_type: EventType | str | None = None,
    mta: str | None = None,
    prefix: str = DEFAULT_PREFIX,
) -> str:
    """What to subscribe to: `postfix.bounced.*`, `postfix.*.mx1_example_org`, `postfix.>`.

    `mta` is a host name, not a token. Without both, future deeper subjects are matched too.
    Raises `ValueError` for an event type that does not exist: nothing would ever arrive.
    """
    if event_type is None and mta is None:
        return f"{_checked(prefix)}.>"
    kind = "*" if event_type is None else EventType(event_type)
    token = "*" if mta is None else mta_token(mta)
    return f"{_checked(prefix)}.{kind}.{token}"


def stream_subjects(prefix: str = DEFAULT_PREFIX) -> list[str]:
    """What the stream stores: everything under the prefix."""
    return [wildcard(prefix=prefix)]


def _checked(prefix: str) -> str:
    """Raises `ValueError` for a prefix that is no plain subject."""
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(
            f"{prefix!r} is no subject prefix: letters, digits, '-' and '_', divided by '.'"
        )
    return prefix


@lru_cache(maxsize=64)
def _stem(prefix: str, event_type: EventType | str) -> str:
    return f"{_checked(prefix)}.{EventType(event_type)}."


def _token(host: str) -> str:
    name = host
    if not host.isascii() and len(host) <= _NAME_MAX:
        name = ".".join(_a_label(label) for label in _DOTS.sub(".", host).split("."))
    # `surrogatepass`: text decoded with `surrogateescape` has a token like any other. The lower
    # case of bytes is that of ASCII; labels of other letters were folded by IDNA.
    raw = name.removesuffix(".").encode("utf-8", "surrogatepass").lower()
    token = _UNSAFE.sub(_escaped, raw).decode("ascii")
    if len(token) > TOKEN_MAX:
        digest = sha256(token.encode("ascii")).hexdigest()
        return f"{token[:_KEPT]}-{digest[:_HASH_DIGITS]}"
    return token or "unknown"


_remembered_token = lru_cache(maxsize=_REMEMBERED)(_token)


def _escaped(match: re.Match[bytes]) -> bytes:
    byte = match[0]
    return b"_" if byte == b"." else b"=%02X" % byte[0]


def _a_label(label: str) -> str:
    if label.isascii() or len(label) > _LABEL_MAX:
        return label
    try:
        return ToASCII(label).decode("ascii")
    except UnicodeError:
        return label
