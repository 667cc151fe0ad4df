"""What is left of one value: an address, a client's IP address, a host name.

In: the value and how it is treated. Out: what may be shown, or None. `domain` leaves of an address
the part after its last `@`, of an IP address its network, of a host name its last two labels.
"""

import re
from ipaddress import ip_network

from service.core.privacy.policy import Treatment
from service.core.privacy.pseudonyms import Pseudonyms, ip_of

_V4_NETWORK = 24
_V6_NETWORK = 64
"""A /24 is the least that is routed, a /64 one subnet (RFC 4291 2.5.4): a site, not a host."""

_DOMAIN = re.compile(r"[\w.-]{1,255}|\[[^\s<>\[\]]{1,64}\]")
_TWO_LABELS = re.compile(r"(?:.*\.)?([\w-]+\.[A-Za-z][\w-]*)\.?", re.ASCII)


_HOLDS_IP = re.compile(r"[0-9]{1,3}(?:[.-][0-9]{1,3}){3}|\[")


class Values:
    def __init__(self, pseudonyms: Pseudonyms | None, *, shows_clients: bool) -> None:
        """`pseudonyms`: None where nothing is hashed. `shows_clients`: whether a domain may be made
        of an IP address, as that of `anna@[192.0.2.66]` is."""
        self._pseudonyms = pseudonyms
        self._shows_clients = shows_clients

    def hashed(self, value: str) -> str:
        assert self._pseudonyms is not None, "the settings ask for a key"  # noqa: S101
        return self._pseudonyms.of(value)

    def address(self, value: str, how: Treatment) -> str | None:
        """The empty address is nobody's: only `drop` takes it."""
        if how is Treatment.KEEP:
            return value
        if how is Treatment.DROP:
            return None
        if value == "":
            return value
        domain = self.domain(value)
        if how is Treatment.DOMAIN:
            return domain
        return self.hashed(value) if domain is None else f"{self.hashed(value)}@{domain}"

    def message_id(self, value: str, how: Treatment) -> str | None:
        """Its right side is often the name of somebody's computer: a hash leaves nothing of it."""
        return self.hashed(value) if how is Treatment.HASH else self.address(value, how)

    def client_ip(self, value: str, how: Treatment) -> str | None:
        if how is Treatment.KEEP:
            return value
        if how is Treatment.HASH:
            return self.hashed(value)
        address = ip_of(value)
        if how is Treatment.DROP or address is None:
            return None
        length = _V4_NETWORK if address.version == 4 else _V6_NETWORK
        return str(ip_network(f"{address}/{length}", strict=False))

    def host(self, value: str, how: Treatment) -> str | None:
        """A client's name, or what it says it is."""
        if how is not Treatment.DOMAIN or ip_of(value) is not None:
            return self.client_ip(value, how)
        labels = _TWO_LABELS.fullmatch(value)
        return labels[1].lower() if labels else None

    def domain(self, address: str) -> str | None:
        """In lower case; None where there is none, or something else stands in its place."""
        domain = address.rpartition("@")[2] if "@" in address else ""
        if not _DOMAIN.fullmatch(domain) or not self.may_show(domain):
            return None
        return domain.lower()

    def may_show(self, domain: str) -> bool:
        return self._shows_clients or not _HOLDS_IP.search(domain)
