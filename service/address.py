"""`HOST:PORT` as users write it."""

import re
from ipaddress import ip_address
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

_LIKE_AN_IP_ADDRESS = re.compile(r"[0-9]+(\.[0-9]+){3}|.*:.*", re.ASCII | re.DOTALL)
"""No name looks so: one of four numbers would be asked of the DNS at each start, and of no use."""

_LAST_PORT = 65_535
_LONGEST_PORT = 5
"""Digits."""


def split_address(value: str) -> tuple[str, int]:
    """`HOST:PORT`, IPv6 as `[::1]:5514`, port 0 for any free one. Raises `ValueError`."""
    host, colon, port = value.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"{value!r}: write an IPv6 address in brackets, as [::1]:5514")
    if not colon or not host or not port.isascii() or not port.isdigit():
        raise ValueError(f"{value!r} is not HOST:PORT, as 127.0.0.1:5514 or [::1]:5514")
    if len(port) > _LONGEST_PORT or int(port) > _LAST_PORT:
        raise ValueError(f"{value!r}: a port is a number up to {_LAST_PORT}")
    if _LIKE_AN_IP_ADDRESS.fullmatch(host):
        try:
            ip_address(host)
        except ValueError:
            raise ValueError(f"{value!r}: {host!r} is no IP address") from None
    return host, int(port)


def _checked(value: str) -> str:
    split_address(value)
    return value


def split_commas(value: Any) -> Any:
    """Lists as environment variables hold them; whatever else is left as it is."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


Address = Annotated[str, AfterValidator(_checked)]
"""`HOST:PORT` in settings."""

Addresses = Annotated[list[Address], BeforeValidator(split_commas)]
"""Several; an environment variable holds them divided by commas."""
