"""A keyed hash that stands for a value, the same wherever and however that is written.

In: an address, a login name, a host or an IP address. Out: `hash:` and 32 hex digits. A colon
stands in no local part and no host name, so that a hash is never taken for one. BLAKE2b with a key
(RFC 7693) and without: whoever has no key can neither compute nor check a hash.
"""

import re
from hashlib import blake2b
from ipaddress import IPv4Address, IPv6Address, ip_address

from service.core.postfix.addresses import unquoted

PREFIX = "hash:"
_DIGEST_BYTES = 16
_VALUE = b"mailfault-value"
_EVENT_ID = b"mailfault-id"
_IP = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f]*:[0-9A-Fa-f:.]{1,45}")


class Pseudonyms:
    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, value: str) -> str:
        return PREFIX + self._digest(canonical(value), _VALUE)

    def of_event_id(self, event_id: str) -> str:
        return self._digest(event_id, _EVENT_ID)

    def _digest(self, text: str, purpose: bytes) -> str:
        return blake2b(
            text.encode("utf-8", "surrogatepass"),
            digest_size=_DIGEST_BYTES,
            key=self._key,
            person=purpose,
        ).hexdigest()


def canonical(value: str) -> str:
    """One spelling of all that mean the same: without quotes, in lower case, an IP address in its
    short form. (Local parts may differ by case; nobody's mailboxes do.)"""
    address = None if "@" in value else ip_of(value)
    if address is not None:
        return str(address)
    return (unquoted(value) if value.startswith('"') else value).lower()


def ip_of(text: str) -> IPv4Address | IPv6Address | None:
    """Bare, or as an address literal (RFC 5321 4.1.3): `[192.0.2.1]`, `[IPv6:2001:db8::1]`."""
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    if text[:5].lower() == "ipv6:":
        text = text[5:]
    if not _IP.fullmatch(text):  # much cheaper than the exception
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
