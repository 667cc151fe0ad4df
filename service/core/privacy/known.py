"""The values of one event that are kept out, in all the spellings in which a text may repeat them.

In: values with their treatment, told one by one. Out: needles to look for, each with what stands
in its place, and for each address its treatment. An address that stands in several fields is
treated as the strictest of them says, and so is one that holds another's: the sender
`list-anna=example.org@lists.example` (VERP, SRS) tells of the recipient.
"""

import re
from ipaddress import IPv4Address
from typing import NamedTuple

from service.core.postfix.addresses import unquoted
from service.core.privacy.policy import Treatment, strictest
from service.core.privacy.pseudonyms import canonical, ip_of
from service.core.privacy.values import Values

HIDDEN = "*"
"""In a text: here stood something of which nothing is left."""
_SURE_LENGTH = 4
"""A dotted value of that length is looked for inside words too."""
_WORDY = re.compile(r"[^\W_]")
_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def lower(text: str) -> str:
    """Of the same length, unlike `str.lower`, so that places in one are places in the other."""
    return text.lower() if text.isascii() else text.translate(_ASCII_LOWER)


class Needle(NamedTuple):
    text: str
    """As `lower` has it."""
    replacement: str
    whole_word: bool


class Known:
    def __init__(self, values: Values, others: Treatment) -> None:
        """`others`: of addresses that are none of these."""
        self._values = values
        self._others = others
        self._addresses: dict[str, tuple[str, Treatment]] = {}
        self._message_ids: set[str] = set()
        self._ips: dict[str, str] = {}
        self.needles: list[Needle] = []

    def add_address(self, value: str | None, how: Treatment) -> None:
        if value:
            key = canonical(value)
            before = self._addresses.get(key)
            self._addresses[key] = (value, strictest([how, before[1]]) if before else how)

    def add_message_id(self, value: str | None, how: Treatment) -> None:
        if value:
            self._message_ids.add(canonical(value))
            self.add_address(value, how)

    def add_ip(self, value: str | None, how: Treatment) -> None:
        if value and how is not Treatment.KEEP:
            shown = self._values.client_ip(value, how) or HIDDEN
            self._ips[canonical(value)] = shown
            for spelling in _ip_spellings(value):
                self._look_for(spelling, shown)

    def add_host(self, value: str | None, how: Treatment) -> None:
        if value and how is not Treatment.KEEP:
            if ip_of(value) is not None:
                self.add_ip(value.strip("[]"), how)
            else:
                self._look_for(value, self._values.host(value, how) or HIDDEN)

    def complete(self) -> None:
        """All addresses are told."""
        spelt = [
            (spelling, how)
            for value, how in self._addresses.values()
            if how is not Treatment.KEEP and "@" in value
            for spelling in _spellings(value)
        ]
        for key, (value, how) in self._addresses.items():
            if how is Treatment.KEEP:
                text = lower(value)
                held: list[Treatment] = [its for spelling, its in spelt if spelling in text]
                if text.count("@") > 1:  # a line in imitation of another, or a source route
                    held.append(self._others)
                if held:
                    self._addresses[key] = (value, strictest(held))
        for value, how in self._addresses.values():
            if how is not Treatment.KEEP:
                self._look_for_address(value, how)

    def treatment(self, address: str) -> Treatment | None:
        """None: it is none of these."""
        known = self._addresses.get(canonical(address))
        return None if known is None else known[1]

    def shown(self, address: str, how: Treatment) -> str:
        """What stands for an address in a text."""
        is_message_id = canonical(address) in self._message_ids
        shorten = self._values.message_id if is_message_id else self._values.address
        return shorten(address, how) or HIDDEN

    def ip(self, address: str) -> str | None:
        """What stands for a client's address, None for another's. `address`: canonical."""
        return self._ips.get(address)

    def _look_for_address(self, value: str, how: Treatment) -> None:
        shown = self.shown(value, how)
        for spelling in _spellings(value):
            self._look_for(spelling, shown)
        local = unquoted(value.rpartition("@")[0])
        if local:  # `unknown user: "anna"`
            self._look_for(local, self._values.hashed(value) if how is Treatment.HASH else HIDDEN)

    def _look_for(self, text: str, replacement: str) -> None:
        if _WORDY.search(text):
            sure = len(text) >= _SURE_LENGTH and not text.isalnum()
            self.needles.append(Needle(lower(text), replacement, not sure))


def _spellings(address: str) -> set[str]:
    """Also as VERP and SRS write it."""
    plain = unquoted(address)
    found = {lower(address), lower(plain)}
    local, at, domain = lower(plain).rpartition("@")
    if at and local and domain:
        found |= {f"{local}={domain}", f"{domain}={local}"}
    return found


def _ip_spellings(value: str) -> set[str]:
    """Also as names and block lists write it: `66.2.0.192.bl.example`, `192-0-2-66.dsl.example`."""
    found = {lower(value)}
    address = ip_of(value)
    if address is None:
        return found
    reverse = address.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
    found |= {str(address), address.exploded, reverse}
    if isinstance(address, IPv4Address):
        found |= {str(address).replace(".", "-"), reverse.replace(".", "-")}
    return found
