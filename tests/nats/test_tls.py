"""TLS to real servers: whom we believe, who we are there, and that we insist on it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from service.nats.answer import Published
from service.nats.config import NatsConfig
from tests.nats.certificates import Authority
from tests.nats.peer import Peer
from tests.nats.waiting import until
from tests.nats.world import attached, envelope, last_error_of, world
from tests.nats_server import RealNats, real_nats


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def tls(authority: Authority, name: str = "localhost", **more: Any) -> dict[str, Any]:
    cert, key = authority.issue(name)
    return {"cert_file": str(cert), "key_file": str(key), "ca_file": str(authority.file), **more}


async def test_a_server_whose_certificate_our_authority_vouches_for(
    tmp_path: Path, authority: Authority
) -> None:
    async with (
        real_nats(tmp_path, tls=tls(authority)) as server,
        attached(NatsConfig(servers=[server.url], ca_file=authority.file)) as here,
    ):
        [result] = await here.publish(envelope(1))
        assert isinstance(result, Published)


async def test_a_server_of_another_authority_is_refused(
    tmp_path: Path, authority: Authority
) -> None:
    other = Authority(tmp_path / "other", "Other CA")
    async with real_nats(tmp_path, tls=tls(authority)) as server:
        for config in (
            NatsConfig(servers=[server.url], ca_file=other.file),
            NatsConfig(servers=[server.url.replace("nats:", "tls:")]),  # the system's authorities
            NatsConfig(servers=[server.url]),
        ):
            await last_error_of(config, "certificate verify failed")


async def test_a_server_with_another_name_is_refused_unless_the_name_is_expected(
    tmp_path: Path, authority: Authority
) -> None:
    async with real_nats(tmp_path, tls=tls(authority, "nats.internal")) as server:
        config = NatsConfig(servers=[server.url], ca_file=authority.file)
        await last_error_of(config, "certificate is not valid for '127.0.0.1'")
        expecting = config.model_copy(update={"tls_hostname": "nats.internal"})
        async with attached(expecting) as here:
            assert here.connection.is_connected


async def test_a_client_certificate_lets_us_in(tmp_path: Path, authority: Authority) -> None:
    cert, key = authority.issue("receiver")
    async with real_nats(tmp_path, tls=tls(authority, verify=True)) as server:
        config = NatsConfig(servers=[server.url], ca_file=authority.file)
        async with world(config) as here:
            await until(lambda: here.connection.last_error is not None)
            assert not here.publisher.is_attached
        async with attached(config.model_copy(update={"cert_file": cert, "key_file": key})) as here:
            [result] = await here.publish(envelope(1))
            assert isinstance(result, Published)


async def test_tls_before_the_greeting(tmp_path: Path, authority: Authority) -> None:
    # "auto" answers TLS at once, and greets those who wait: the test's look for the greeting.
    async with real_nats(tmp_path, tls=tls(authority, handshake_first="auto")) as server:
        config = NatsConfig(servers=[server.url], ca_file=authority.file, tls_handshake_first=True)
        async with attached(config) as here:
            [result] = await here.publish(envelope(1))
            assert isinstance(result, Published)


async def test_a_certificate_renewed_on_disk_is_used_by_the_next_connection(
    tmp_path: Path, authority: Authority
) -> None:
    old, new = Authority(tmp_path / "old"), authority
    ca = tmp_path / "ca.pem"
    ca.write_bytes(old.file.read_bytes())
    async with (
        real_nats(tmp_path, tls=tls(new)) as server,
        world(NatsConfig(servers=[server.url], ca_file=ca)) as here,
    ):
        await until(lambda: "verify failed" in (here.connection.last_error or ""))
        ca.write_bytes(new.file.read_bytes())
        await here.until(lambda world: world.publisher.is_attached)


async def test_tls_was_a_mere_wish_and_the_password_went_out_in_the_clear() -> None:
    """nats-py goes on without TLS when the server does not ask for it."""
    async with Peer([b"PONG\r\n"]) as peer:
        config = NatsConfig(
            servers=[f"tls://127.0.0.1:{peer.port}"],
            user="u",
            password="s3cret",
        )
        await last_error_of(config, "secure connection not available")
        assert peer.heard == b""


async def test_tls_is_used_where_the_server_leaves_the_choice(
    tmp_path: Path, authority: Authority
) -> None:
    settings = {"tls": tls(authority), "allow_non_tls": True, "http": "127.0.0.1:-1"}
    async with (
        real_nats(tmp_path, **settings) as server,
        attached(NatsConfig(servers=[server.url], ca_file=authority.file)),
    ):
        [ours] = [c for c in await _connections(server) if c["name"].startswith("mailfault")]
        assert ours["tls_version"] in ("1.2", "1.3")


async def _connections(server: RealNats) -> list[dict[str, Any]]:
    port = int(server.url_of("monitoring").rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /connz HTTP/1.0\r\n\r\n")
    answer = await reader.read()
    writer.close()
    found: list[dict[str, Any]] = json.loads(answer.partition(b"\r\n\r\n")[2])["connections"]
    return found
