"""Who may come in: the Host header, then the token, its cookie, or the word of a trusted proxy.

A page of a stranger that makes its own name point to us (DNS rebinding) asks for us by that name:
only names we know are answered. Plain addresses are always ours, no name can be made to be one.
"""

import hashlib
import hmac
import ipaddress
from collections.abc import Mapping

from service.board.config import BoardConfig

COOKIE = "mailfault_board"
COOKIE_SECONDS = 7 * 86_400
_LOCAL = "localhost"


class Door:
    def __init__(self, config: BoardConfig, token: str | None) -> None:
        self._token = None if token is None else token.encode()
        self._proxy_header = config.proxy_header
        self._proxies = [ipaddress.ip_network(network) for network in config.proxy_from]
        self._hosts = {_LOCAL, *config.hosts}
        self.is_open = not config.has_authentication
        self.has_token = token is not None

    def knows_host(self, header: str | None) -> bool:
        """`header`: of `Host`, as it came."""
        name = _without_port(header or "").lower().rstrip(".")
        if name in self._hosts:
            return True
        try:
            ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
        except ValueError:
            return False
        return True

    def lets_in(
        self, peer: str | None, headers: Mapping[str, str], cookie: str | None, now: float
    ) -> bool:
        """`headers`: by lower-case name. `peer`: whose connection this is."""
        if self.is_open or self._is_from_proxy(peer, headers):
            return True
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self.is_token(given.strip()):
            return True
        return cookie is not None and self._is_cookie(cookie, now)

    def is_token(self, given: str) -> bool:
        return self._token is not None and hmac.compare_digest(_bytes(given), self._token)

    def cookie(self, now: float) -> str:
        """For a browser that has shown the token: good for a week, and as long as the token is."""
        expires = str(int(now) + COOKIE_SECONDS)
        return f"{expires}.{self._sign(expires)}"

    def _is_cookie(self, cookie: str, now: float) -> bool:
        expires, _, signature = cookie.partition(".")
        if self._token is None or not hmac.compare_digest(
            _bytes(signature), self._sign(expires).encode()
        ):
            return False
        return int(expires) > now  # signed by us, so a number

    def _sign(self, expires: str) -> str:
        assert self._token is not None  # noqa: S101
        text = b"mailfault board\0" + _bytes(expires)
        return hmac.new(self._token, text, hashlib.sha256).hexdigest()

    def _is_from_proxy(self, peer: str | None, headers: Mapping[str, str]) -> bool:
        if self._proxy_header is None or not headers.get(self._proxy_header.lower(), "").strip():
            return False
        try:
            address = ipaddress.ip_address(peer or "")
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._proxies)


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() and not name.endswith(":") else host


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
