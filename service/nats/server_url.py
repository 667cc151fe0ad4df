"""The address of a NATS server as users write it.

In: `nats://HOST:PORT`, `tls://HOST`, `HOST`, with `user:password@` or `token@` in front of the
host. Out: the plain URL and what stood in front, so that secrets do not stay in an address that
is logged.
"""

from typing import NamedTuple
from urllib.parse import unquote, urlsplit

DEFAULT_PORT = 4222
_SCHEMES = ("nats", "tls")


class ServerUrl(NamedTuple):
    url: str
    user: str | None
    password: str | None


def parse_server(text: str) -> ServerUrl:
    """Raises `ValueError`, without repeating a secret."""
    written = text if "://" in text else f"nats://{text}"
    try:
        url = urlsplit(written)
        host, port = url.hostname, url.port or DEFAULT_PORT
    except ValueError:
        host, port = None, 0
    if not host or not _is_plain(written) or url.scheme not in _SCHEMES:
        shown = text.rpartition("@")[2]
        raise ValueError(f"{shown!r} is no server: write nats://HOST:PORT or tls://HOST:PORT")
    if ":" in host:
        host = f"[{host}]"
    return ServerUrl(
        f"{url.scheme}://{host}:{port}",
        None if url.username is None else unquote(url.username),
        None if url.password is None else unquote(url.password),
    )


def _is_plain(url: str) -> bool:
    after_scheme = url.partition("://")[2].removesuffix("/")
    return after_scheme.isprintable() and not any(mark in after_scheme for mark in "/?# ,")
