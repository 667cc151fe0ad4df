"""Connections to real servers: who we are, what we insist on, and always a new one."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client
from structlog.testing import capture_logs

from service.nats.answer import Published
from service.nats.config import NatsConfig
from service.nats.connection import Connection
from tests.nats.certificates import Authority
from tests.nats.identities import Identity, Operator
from tests.nats.proxy import Proxy
from tests.nats.waiting import until
from tests.nats.world import World, envelope, world
from tests.nats_server import client_of, real_nats, stream_messages

pytestmark = pytest.mark.timeout(60)

ADMIN = {"user": "admin", "password": "p"}


def only(*users: dict[str, Any]) -> dict[str, Any]:
    return {"users": list(users)}


@asynccontextmanager
async def attached(config: NatsConfig) -> AsyncIterator[World]:
    async with world(config) as here:
        await here.until(lambda world: world.publisher.is_attached)
        yield here


async def last_error_of(config: NatsConfig, words: str) -> None:
    """It does not connect, it says why, and it goes on trying."""
    async with world(config) as here:
        await until(lambda: words in (here.connection.last_error or ""))
        assert not here.connection.is_connected
        assert not here.publisher.is_attached


# Who we are


@pytest.mark.parametrize("from_file", [False, True], ids=["value", "file"])
@pytest.mark.parametrize("way", ["password", "token", "nkey_seed"])
async def test_credentials_let_us_in(tmp_path: Path, way: str, from_file: bool) -> None:
    identity = Identity()
    secret = identity.seed if way == "nkey_seed" else "s3cret!"
    authorization = {
        "password": only({"user": "u", "password": secret}),
        "token": {"token": secret},
        "nkey_seed": only({"nkey": identity.public}),
    }[way]
    (tmp_path / "secret").write_text(f"{secret}\n")
    values: dict[str, Any] = {f"{way}_file": tmp_path / "secret"} if from_file else {way: secret}
    if way == "password":
        values["user"] = "u"
    async with real_nats(tmp_path, authorization=authorization) as server:
        config = NatsConfig.model_validate({"servers": [server.url], **values})
        async with attached(config) as here:
            [result] = await here.publish(envelope(1))
            assert isinstance(result, Published)
            assert here.connection.last_error is None
        await last_error_of(NatsConfig(servers=[server.url]), "Authorization Violation")


async def test_a_creds_file_lets_us_in(tmp_path: Path) -> None:
    operator = Operator()
    file = tmp_path / "user.creds"
    file.write_text(operator.creds)
    async with real_nats(tmp_path, **operator.server_settings) as server:
        async with attached(NatsConfig(servers=[server.url], creds_file=file)) as here:
            assert here.connection.is_connected
        file.write_text(Operator().creds)  # of somebody else
        await last_error_of(
            NatsConfig(servers=[server.url], creds_file=file), "Authorization Violation"
        )


async def test_userinfo_in_the_url_lets_us_in_and_is_not_logged(tmp_path: Path) -> None:
    async with real_nats(tmp_path, authorization=only({"user": "u", "password": "s3cret"})) as s:
        with capture_logs() as logs:
            async with attached(NatsConfig(servers=[s.url.replace("//", "//u:s3cret@")])) as here:
                await s.kill()
                await here.until(lambda world: not world.publisher.is_attached)
                await until(lambda: "refused" in (here.connection.last_error or ""))
    assert any(entry["event"] == "nats_connected" for entry in logs)
    assert "s3cret" not in repr(logs)


async def test_a_wrong_password_is_told_and_tried_again_until_the_server_takes_it(
    tmp_path: Path,
) -> None:
    other, ours = ({"user": "u", "password": password} for password in ("other", "ours"))
    async with real_nats(tmp_path, authorization=only(other)) as server:
        config = NatsConfig(servers=[server.url], user="u", password="ours")
        async with world(config) as here:
            await until(lambda: "Authorization Violation" in (here.connection.last_error or ""))
            await server.stop()
            await server.start(authorization=only(ours))
            await here.until(lambda world: world.connection.last_error is None)
            [result] = await here.publish(envelope(1))
            assert isinstance(result, Published)


async def test_a_secret_that_is_mounted_late_is_found(tmp_path: Path) -> None:
    file = tmp_path / "late"
    async with (
        real_nats(tmp_path, authorization={"token": "t0ken"}) as server,
        world(NatsConfig(servers=[server.url], token_file=file)) as here,
    ):
        await until(lambda: here.connection.last_error is not None)
        assert here.connection.last_error == f"nats.token_file: {file}: No such file or directory"
        file.write_text("t0ken\n")
        await here.until(lambda world: world.publisher.is_attached)


async def test_a_secret_rotated_while_the_server_is_away_is_read_anew(tmp_path: Path) -> None:
    """nats-py repeats its first attempt for two minutes with what it was given at first."""
    file = tmp_path / "token"
    file.write_text("old")
    async with (
        real_nats(tmp_path, authorization={"token": "old"}) as server,
        attached(NatsConfig(servers=[server.url], token_file=file)) as here,
    ):
        await server.kill()
        await until(lambda: "refused" in (here.connection.last_error or ""))
        file.write_text("new")
        await server.start(authorization={"token": "new"})
        await here.until(lambda world: world.publisher.is_attached, 10)


# TLS


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
    async with _Peer([b"PONG\r\n"]) as peer:
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
        [ours] = [c for c in await _connections(tmp_path) if c["name"].startswith("mailfault")]
        assert ours["tls_version"] in ("1.2", "1.3")


# Always a new one


async def test_renewed_within_a_second_of_the_servers_return(tmp_path: Path) -> None:
    """It took two seconds, and after 60 attempts of nats-py's own it would have taken longer."""
    clock = asyncio.get_running_loop().time
    async with real_nats(tmp_path) as server, attached(NatsConfig(servers=[server.url])) as here:
        waits = []
        for number in range(3):
            await server.kill()
            await here.until(lambda world: not world.publisher.is_attached)
            await server.start()
            back = clock()
            [result] = await here.publish(envelope(number))
            waits.append(clock() - back)
            assert isinstance(result, Published)
        assert min(waits) < 1


async def test_a_server_that_is_absent_at_the_start_is_found_later(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server:
        await server.stop()
        async with world(NatsConfig(servers=[server.url])) as here:
            await until(lambda: "refused" in (here.connection.last_error or ""))
            publishing = asyncio.create_task(here.publish(envelope(1)))
            await server.start()
            [result] = await publishing
            assert isinstance(result, Published)
            assert here.connection.last_error is None


async def test_renewed_after_the_server_threw_us_out_and_the_reason_is_told(
    tmp_path: Path,
) -> None:
    async with real_nats(tmp_path) as server:
        config = NatsConfig(servers=[server.url])
        clients: list[Client] = []
        async with world(config, on_client=clients.append) as here:
            await here.until(lambda world: world.publisher.is_attached)
            with capture_logs() as logs:
                await clients[0].publish("x" * 5000)
                await here.until(lambda world: not world.publisher.is_attached)
                await here.until(lambda world: world.publisher.is_attached)
            [gone] = [entry for entry in logs if entry["event"] == "nats_disconnected"]
            assert "maximum control line exceeded" in gone["error"]
            [result] = await here.publish(envelope(1))
            assert isinstance(result, Published)
            assert len(clients) == 2


async def test_renewed_after_lame_duck_mode(tmp_path: Path) -> None:
    settings = {"lame_duck_duration": "30s", "lame_duck_grace_period": "100ms"}
    async with (
        real_nats(tmp_path, **settings) as server,
        attached(NatsConfig(servers=[server.url])) as here,
    ):
        [first] = await here.publish(envelope(1))
        os.kill(server.pid, signal.SIGUSR2)  # what `nats-server --signal ldm` sends
        await here.until(lambda world: not world.publisher.is_attached)
        await server.stop()
        await server.start()
        [second] = await here.publish(envelope(2))
        assert isinstance(first, Published)
        assert isinstance(second, Published)
        async with client_of(server) as client:
            assert await stream_messages(client) == 2


async def test_another_server_of_the_list_takes_over(tmp_path: Path) -> None:
    async with (
        real_nats(tmp_path / "a") as a,
        real_nats(tmp_path / "b") as b,
        attached(NatsConfig(servers=["nats://127.0.0.1:1", a.url, b.url])) as here,
    ):
        for server in (a, b):
            await server.stop()
            [result] = await here.publish(envelope(server.port))
            assert isinstance(result, Published)
            await server.start()


async def test_a_member_of_the_cluster_that_was_not_listed_takes_over(tmp_path: Path) -> None:
    cluster = {"name": "C", "listen": "127.0.0.1:-1"}
    async with real_nats(tmp_path / "a", jetstream=None, server_name="A", cluster=cluster) as a:
        routes = [json.loads(_ports(tmp_path / "a"))["cluster"][0]]
        settings = {"server_name": "B", "cluster": {**cluster, "routes": routes}}
        async with real_nats(tmp_path / "b", jetstream=None, **settings) as b:
            await _until_both_know_each_other(a.url)
            async with attached(NatsConfig(servers=[a.url])) as here:
                await a.kill()
                await here.until(lambda world: not world.publisher.is_attached)
                await here.until(lambda world: world.publisher.is_attached)
                assert here.connection.is_connected
                assert str(b.port) not in here.config.servers[0]


# What answers may be no NATS server


@pytest.mark.parametrize(
    "greeting",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"INFO []\r\n",
        b"INFO {\r\n",
        b'INFO {"connect_urls": 5}\r\n',
        b'INFO {"connect_urls": ["\x00[", "::"]}\r\n',
        b"INFO {}\r\nMSG\r\n",
        b"\xff" * 100_000,
        b"-ERR 'maximum connections exceeded'\r\n",
        b"",
    ],
    ids=lambda greeting: repr(greeting[:25]),
)
async def test_whatever_answers_the_connection_is_tried_again(greeting: bytes) -> None:
    before = asyncio.all_tasks()
    async with _Peer([], greeting) as peer:
        config = NatsConfig(
            servers=[f"nats://127.0.0.1:{peer.port}"], connect_timeout=0.2, reconnect_wait_max=0.1
        )
        async with world(config) as here:
            await until(lambda: len(peer.came) >= 3)
            assert not here.publisher.is_attached
            assert here.connection.last_error
    await until(lambda: asyncio.all_tasks() == before)


async def test_a_server_that_throws_us_out_at_once_was_asked_20_times_a_second() -> None:
    """The wait began anew with each connection that was made, however short it was."""
    longest = 0.8
    async with _Peer([b"PONG\r\n"], then=b"-ERR 'no room'\r\n") as peer:
        config = NatsConfig(servers=[f"nats://127.0.0.1:{peer.port}"], reconnect_wait_max=longest)
        connection = Connection(config, lambda: config.servers, _nothing, lambda: None)
        with capture_logs() as logs:
            running = asyncio.create_task(connection.run())
            await until(lambda: len(peer.came) >= 7)
            running.cancel()
            await asyncio.wait([running])
    ends = [entry["error"] for entry in logs if entry["event"] == "nats_disconnected"]
    assert "nats: no room" in ends  # and not the end of file that follows it
    gaps = [b - a for a, b in zip(peer.came, peer.came[1:], strict=False)]
    assert gaps[-1] >= longest / 2
    assert max(gaps) < longest + 2


# Nothing is left behind


async def test_a_cancellation_that_nats_py_kept_to_itself_hung_the_shutdown(
    tmp_path: Path,
) -> None:
    """Python 3.11's `wait_for`, with which nats-py waits, does so in the turn of its result."""
    async with real_nats(tmp_path) as server:
        config = NatsConfig(servers=[server.url])
        for turns in range(60):
            made = World(config)
            running = [
                asyncio.create_task(made.connection.run()),
                asyncio.create_task(made.stream.run()),
            ]
            for _ in range(turns):
                await asyncio.sleep(0)
            for task in running:
                task.cancel()
            _, left = await asyncio.wait(running, timeout=20)
            assert not left, f"after {turns} turns"


@pytest.mark.parametrize("unsent", [0, 300], ids=["idle", "with data to write"])
async def test_each_reconnect_left_a_task_behind(tmp_path: Path, unsent: int) -> None:
    """nats-py's `close` fails on uvloop when it has something to write to a closed socket."""
    async with real_nats(tmp_path) as server, Proxy(server.port) as proxy:
        config = NatsConfig(servers=[proxy.url], reconnect_wait_max=0.02)
        async with attached(config) as here:
            await here.publish(envelope(0))
            tasks, files = asyncio.all_tasks(), _open_files()
            number = 0
            for _ in range(30):
                publishing = asyncio.create_task(_publish(here, number, unsent))
                number += unsent
                await asyncio.sleep(0)  # written, on its way to the socket
                proxy.reset()
                await here.until(lambda world: not world.publisher.is_attached)
                await here.until(lambda world: world.publisher.is_attached)
                await publishing
            await here.publisher.idle()
            await until(lambda: len(asyncio.all_tasks()) <= len(tasks))
            await until(lambda: _open_files() <= files)


async def test_a_failed_attempt_left_its_socket_open(tmp_path: Path) -> None:
    async with real_nats(tmp_path, authorization=only(ADMIN)) as server:
        config = NatsConfig(servers=[server.url], reconnect_wait_max=0.01)
        async with world(config) as here:
            await until(lambda: here.connection.last_error is not None)
            files, tasks = _open_files(), len(asyncio.all_tasks())
            with capture_logs() as logs:
                await asyncio.sleep(0.5)  # some twenty attempts
            assert _open_files() <= files + 2
            assert len(asyncio.all_tasks()) <= tasks + 2
            assert len(logs) <= 1


async def test_the_end_waits_for_no_frozen_server(tmp_path: Path) -> None:
    """`close` of nats-py waited for ever to write what the server no longer reads."""
    async with real_nats(tmp_path) as server:
        before = asyncio.all_tasks()
        files = _open_files()
        async with asyncio.timeout(20):
            async with attached(NatsConfig(servers=[server.url], window=100_000)) as here:
                server.freeze()
                for number in range(700):
                    await here.publisher.publish(envelope(number, size=10_000))
        await until(lambda: _open_files() <= files)  # what it has not read is not kept for it
        os.kill(server.pid, signal.SIGCONT)
        await until(lambda: asyncio.all_tasks() <= before)


async def test_a_frozen_server_is_given_up(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server:
        config = NatsConfig(servers=[server.url], ping_interval=0.1, connect_timeout=0.3)
        async with attached(config) as here:
            server.freeze()
            await here.until(lambda world: not world.publisher.is_attached)
            os.kill(server.pid, signal.SIGCONT)
            [result] = await here.publish(envelope(1))
            assert isinstance(result, Published)


async def test_a_storm_of_permission_errors_is_one_line_in_the_log(tmp_path: Path) -> None:
    user = {"user": "u", "password": "p", "permissions": {"publish": ["$JS.API.>"]}}
    async with real_nats(tmp_path, authorization=only(user)) as server:
        config = NatsConfig(servers=[server.url], user="u", password="p", ack_timeout=0.05)
        with capture_logs() as logs:
            async with attached(config) as here:
                for number in range(200):
                    await here.publisher.publish(
                        envelope(number, subject=f"postfix.bounced.mx{number}")
                    )
                await here.until(lambda world: world.resends > 400)
                assert "permissions violation" in (here.connection.last_error or "").lower()
        assert len([entry for entry in logs if entry["event"] == "nats_trouble"]) == 1


async def test_a_trouble_that_lasts_is_told_though_it_follows_another(tmp_path: Path) -> None:
    """The quiet seconds after one line swallowed the next trouble for good."""
    async with real_nats(tmp_path) as server:
        config = NatsConfig(servers=[server.url], reconnect_wait_max=0.1)
        with capture_logs() as logs:
            async with attached(config):
                await server.kill()
                await until(lambda: any("refused" in str(entry.get("error")) for entry in logs))
    assert len([entry for entry in logs if entry["event"] == "nats_trouble"]) == 2


async def _nothing(client: Client) -> None:
    pass


async def _publish(here: World, first: int, count: int) -> None:
    for number in range(first + 1, first + count + 1):
        await here.publisher.publish(envelope(number, size=20_000))


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _ports(home: Path) -> str:
    [file] = (home / "ports").glob("*.ports")
    return file.read_text()


async def _connections(home: Path) -> list[dict[str, Any]]:
    url = json.loads(_ports(home))["monitoring"][0]
    port = int(url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /connz HTTP/1.0\r\n\r\n")
    answer = await reader.read()
    writer.close()
    found: list[dict[str, Any]] = json.loads(answer.partition(b"\r\n\r\n")[2])["connections"]
    return found


async def _until_both_know_each_other(url: str) -> None:
    async with asyncio.timeout(20):
        while True:
            client = await nats.connect(url)
            try:
                if client.discovered_servers:
                    return
            finally:
                await client.close()


class _Peer:
    """A server that greets, hears one thing, answers, and says good-bye."""

    def __init__(
        self,
        answers: list[bytes],
        greeting: bytes = b'INFO {"max_payload": 1000000, "headers": true}\r\n',
        then: bytes = b"",
    ) -> None:
        self._greeting = greeting
        self._answers = answers
        self._then = then
        self.came: list[float] = []
        self.heard = b""
        self.port = 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "_Peer":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came.append(asyncio.get_running_loop().time())
        try:
            writer.write(self._greeting)
            for answer in self._answers:
                while not self.heard.endswith(b"PING\r\n"):
                    if not (data := await reader.read(65_536)):
                        return
                    self.heard += data
                self.heard = b""
                writer.write(answer)
            writer.write(self._then)
            await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
