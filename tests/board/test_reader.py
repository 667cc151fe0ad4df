"""The stream as the board reads it, on a real nats-server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from service.board.reader import AwayError, GoneError, StreamReader
from service.nats.client import connect
from service.nats.config import NatsConfig
from tests.board.site import jetstream, make_stream
from tests.nats_server import RealNats, client_of, real_nats, stream_messages


class Heard:
    """What a reader gave."""

    def __init__(
        self, history: float = 3600, limit: int = 100_000, heartbeat: float = 5, **nats: float
    ) -> None:
        self.seqs: list[int] = []
        self.began_anew = 0
        config = NatsConfig.model_validate(nats)
        self.reader = StreamReader(config, history, limit, self._take, self._anew, heartbeat)

    def _take(self, seq: int, data: bytes) -> None:
        self.seqs.append(seq)

    def _anew(self) -> None:
        self.began_anew += 1
        self.seqs.clear()

    async def until(self, wanted: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not wanted():  # noqa: ASYNC110  # it does not tell
                await asyncio.sleep(0.02)

    async def reads(self, *seqs: int) -> None:
        await self.until(lambda: len(self.seqs) >= len(seqs))
        assert self.seqs == list(seqs)

    @asynccontextmanager
    async def attached(self, server: RealNats) -> AsyncIterator[None]:
        async def ignore(*_: object) -> None:
            pass

        client = await connect(NatsConfig(), [server.url], ignore, ignore)
        self.reader.attach(client)
        try:
            yield
        finally:
            self.reader.detach()
            await client.close()


async def fill(client: object, number: int) -> None:
    for _ in range(number):
        await client.jetstream().publish("postfix.any.x", b"{}")  # type: ignore[attr-defined]


async def test_history_then_live_each_once_and_in_order(tmp_path: Path) -> None:
    heard = Heard()
    async with jetstream(tmp_path) as (server, client):
        await fill(client, 2500)  # several batches
        async with heard.attached(server):
            await heard.reads(*range(1, 2501))
            await heard.until(lambda: heard.reader.to_read == 0)
            await fill(client, 3)
            await heard.reads(*range(1, 2504))
        # It goes on after the last one, whatever was published meanwhile.
        await fill(client, 2)
        async with heard.attached(server):
            await heard.reads(*range(1, 2506))
    assert (heard.began_anew, heard.reader.is_cut) == (0, False)


async def test_of_a_long_history_only_the_end(tmp_path: Path) -> None:
    heard = Heard(limit=100)
    async with jetstream(tmp_path) as (server, client):
        await fill(client, 150)
        async with heard.attached(server):
            await heard.reads(*range(51, 151))
            assert heard.reader.is_cut


async def test_not_from_before_the_history(tmp_path: Path) -> None:
    heard = Heard(history=0.5)
    async with jetstream(tmp_path) as (server, client):
        await fill(client, 5)
        await asyncio.sleep(1)  # their age is what this is about
        async with heard.attached(server):
            await heard.until(lambda: heard.reader.to_read == 0)
            await fill(client, 1)
            await heard.reads(6)


async def test_a_stream_that_is_not_there_yet(tmp_path: Path) -> None:
    heard = Heard()
    async with (
        real_nats(tmp_path) as server,
        client_of(server) as client,
        heard.attached(server),
    ):
        await heard.until(lambda: heard.reader.trouble is not None)
        assert heard.reader.trouble == "no stream POSTFIX: has a receiver run here?"
        await make_stream(client)
        await fill(client, 1)
        await heard.reads(1)
        assert heard.reader.trouble is None


async def test_a_stream_made_anew_is_another_one(tmp_path: Path) -> None:
    heard = Heard()
    async with jetstream(tmp_path) as (server, client):
        await fill(client, 3)
        async with heard.attached(server):
            await heard.reads(1, 2, 3)
            await client.jetstream().delete_stream("POSTFIX")
            await make_stream(client)
            await fill(client, 2)
            await heard.until(lambda: heard.began_anew == 1)
            await heard.reads(1, 2)


async def test_a_consumer_that_is_gone_is_made_anew(tmp_path: Path) -> None:
    heard = Heard()
    async with jetstream(tmp_path) as (server, client):
        await fill(client, 3)
        async with heard.attached(server):
            await heard.reads(1, 2, 3)
            for consumer in await client.jetstream().consumers_info("POSTFIX"):
                await client.jetstream().delete_consumer("POSTFIX", consumer.name)
            await fill(client, 2)
            await heard.reads(1, 2, 3, 4, 5)
    assert heard.began_anew == 0


@pytest.mark.parametrize("direct", [True, False])
async def test_one_message_by_its_number(tmp_path: Path, direct: bool) -> None:
    heard = Heard()
    async with real_nats(tmp_path) as server, client_of(server) as client:
        await make_stream(client, allow_direct=direct)
        await client.jetstream().publish("postfix.any.x", b"one")
        await client.jetstream().publish("postfix.any.x", b"")
        with pytest.raises(AwayError):
            await heard.reader.event(1)
        async with heard.attached(server):
            await heard.reads(1, 2)
            assert await heard.reader.event(1) == b"one"
            assert await heard.reader.event(2) == b""
            with pytest.raises(GoneError):
                await heard.reader.event(3)
            server.freeze()
            try:
                with pytest.raises(AwayError):
                    await heard.reader.event(1)
            finally:
                server.thaw()


async def test_a_server_that_falls_silent_is_asked_again(tmp_path: Path) -> None:
    heard = Heard(heartbeat=0.2, connect_timeout=0.3)
    async with jetstream(tmp_path) as (server, client):
        await fill(client, 2)
        async with heard.attached(server):
            await heard.reads(1, 2)
            server.freeze()
            try:
                await heard.until(lambda: heard.reader.trouble is not None)
            finally:
                server.thaw()
            await fill(client, 2)
            await heard.reads(1, 2, 3, 4)
            assert heard.reader.trouble is None


async def test_it_leaves_the_stream_as_it_is(tmp_path: Path) -> None:
    heard = Heard()
    async with jetstream(tmp_path) as (server, client):
        await fill(client, 2)
        async with heard.attached(server):
            await heard.reads(1, 2)
        assert await stream_messages(client) == 2
