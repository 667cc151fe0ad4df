"""Addresses that two listeners are told to bind.

In: the addresses of each setting, as `tcp.listen`. Out: what is wrong. One address in two spellings
is found; what a host name stands for, and that `0.0.0.0` holds all others, only binding tells.
"""

from collections.abc import Iterable, Mapping
from ipaddress import ip_address

from service.address import split_address


def clashes(settings: Mapping[str, Iterable[str]]) -> list[str]:
    """Of one kind of socket: a stream and datagrams may have the same port."""
    problems = []
    owners: dict[tuple[str, int], str] = {}
    for setting, addresses in settings.items():
        for address in addresses:
            place = _place(address)
            owner = owners.get(place)
            if owner == setting:
                problems.append(f"{setting}: {address} stands there twice; leave one out")
            elif owner is not None:
                problems.append(f"{setting}: {owner} has {address} already; take another port")
            elif place[1]:  # 0 is any free one
                owners[place] = setting
    return problems


def _place(address: str) -> tuple[str, int]:
    host, port = split_address(address)
    try:
        return str(ip_address(host)), port
    except ValueError:
        return host.lower(), port
