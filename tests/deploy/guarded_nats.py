"""A real nats-server with the configuration and the users of `deploy/nats`, and clients of them."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import nats
from nats.aio.client import Client

from service.nats.embedded import find_binary
from tests.deploy.manifests import DEPLOY
from tests.e2e.child import Child
from tests.nats.waiting import until

SERVER_FILE = DEPLOY / "nats" / "nats-server.conf"
ACCOUNTS_FILE = DEPLOY / "nats" / "accounts.conf"
PASSWORD = "of-a-test"
_HASH = "$2b$04$jxCW/Jn0a3GlWhyNYgyIIudxbqEbP6w9Hdhkiu/tHV9TAAzVj8kvW"
"""Of this password: a hash in quotes is what the files ask for, its `$` and all."""

_LISTENS = re.compile(r"Listening for client connections on 127\.0\.0\.1:(\d+)")


def write_configuration(home: Path, without: str = "") -> Path:
    """As an operator would; `without`: lines of the accounts that hold this are left out."""
    server = SERVER_FILE.read_text(encoding="utf-8")
    for old, new in (
        ('# include "accounts.conf"', 'include "accounts.conf"'),
        ('"0.0.0.0:4222"', '"127.0.0.1:-1"'),
        ('"0.0.0.0:8222"', '"127.0.0.1:-1"'),
        ('"/data"', f'"{home}/jetstream"'),
    ):
        assert server.count(old) == 1, old
        server = server.replace(old, new)
    accounts = ACCOUNTS_FILE.read_text(encoding="utf-8")
    names = set(re.findall(r"password: \$([A-Z_]+)", accounts))
    if without:
        kept = [line for line in accounts.splitlines(keepends=True) if without not in line]
        accounts = "".join(kept)
    (home / "accounts.conf").write_text(accounts, encoding="utf-8")
    passwords = "".join(f'{name}: "{_HASH}"\n' for name in sorted(names))
    (home / "passwords.conf").write_text(passwords, encoding="utf-8")
    file = home / "nats-server.conf"
    file.write_text(server, encoding="utf-8")
    return file


@asynccontextmanager
async def guarded_nats(home: Path, without: str = "") -> AsyncIterator[str]:
    """The URL of the server."""
    server = await Child.start(find_binary(), "-c", write_configuration(home, without))
    try:
        yield f"nats://127.0.0.1:{await server.until(_client_port)}"
    finally:
        await server.stop()


def _client_port(line: str) -> int | None:
    found = _LISTENS.search(line)
    return int(found[1]) if found else None


class User:
    """A client, and what the server said it may not."""

    def __init__(self) -> None:
        self.client = Client()
        self._refused: list[str] = []

    async def _hear(self, error: Exception) -> None:
        self._refused.append(str(error).lower())

    async def connect(self, url: str, name: str) -> None:
        await self.client.connect(
            url,
            user=name,
            password=PASSWORD,
            inbox_prefix=f"_INBOX_{name}".encode(),
            error_cb=self._hear,
        )

    async def is_refused(self, publish: Sequence[str] = (), subscribe: Sequence[str] = ()) -> None:
        """Each of these subjects, by the server; else this waits in vain and raises."""
        for subject in publish:
            # To an API an empty body says the most: delete it all.
            await self.client.publish(subject, b"")
        for subject in subscribe:
            await self.client.subscribe(subject)
        wanted = [f'permissions violation for publish to "{s}"'.lower() for s in publish]
        wanted += [f'permissions violation for subscription to "{s}"'.lower() for s in subscribe]
        missing = wanted

        def is_complete() -> bool:
            nonlocal missing
            missing = [one for one in wanted if not any(one in said for said in self._refused)]
            return not missing

        try:
            await until(is_complete, 10)
        except TimeoutError:
            raise AssertionError(f"not refused: {missing}; refused: {self._refused}") from None


@asynccontextmanager
async def user(url: str, name: str) -> AsyncIterator[User]:
    made = User()
    await made.connect(url, name)
    try:
        yield made
    finally:
        await made.client.close()


@asynccontextmanager
async def operator(url: str) -> AsyncIterator[Client]:
    client = await nats.connect(url, user="operator", password=PASSWORD)
    try:
        yield client
    finally:
        await client.close()
