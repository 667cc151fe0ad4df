"""Whatever happens to the server, the connection and the consumer: no event is lost."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from schemas.nats import Consumer, ConsumerError, Counts, Message
from tests.nats_server import client_of, real_nats
from tests.schemas.nats.site import Site, bounces, number, site, until

USER = {"user": "subscriber", "password": "s3cret"}


class Seen:
    """What a handler saw, by number; events come in here while the test does other things."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self._changed = asyncio.Event()

    async def __call__(self, message: Message) -> None:
        self.numbers.append(number(message))
        self._changed.set()

    async def until(self, *numbers: int) -> None:
        while not {*numbers} <= {*self.numbers}:
            self._changed.clear()
            await self._changed.wait()


@asynccontextmanager
async def running(consumer: Consumer, seen: Seen) -> AsyncIterator[asyncio.Task[None]]:
    async with consumer:
        task = asyncio.create_task(consumer.run(seen))
        yield task
        consumer.stop()
        await task


@pytest.mark.parametrize("end", ["kill", "stop"])
async def test_a_restarted_server_is_found_again(tmp_path: Path, end: str) -> None:
    seen = Seen()
    async with site(tmp_path) as here:
        first, second, third = bounces(3)
        options = {"reconnect_time_wait": 0.1}
        async with running(here.consumer(connect=options), seen):
            await here.publish(first)
            await seen.until(0)
            for number_, event in ((1, second), (2, third)):
                await getattr(here.server, end)()
                await here.server.start()
                async with client_of(here.server) as client:
                    await Site(here.server, client, client.jetstream()).publish(event)
                await seen.until(number_)
    assert sorted({*seen.numbers}) == [0, 1, 2]


async def test_what_is_in_hand_while_the_server_restarts_can_be_acknowledged(
    tmp_path: Path,
) -> None:
    async with site(tmp_path) as here:
        await here.publish(*bounces(2))
        again = asyncio.Event()

        async def reconnected() -> None:
            again.set()

        options = {"reconnect_time_wait": 0.1, "reconnected_cb": reconnected}
        async with here.consumer(connect=options, ack_wait=30) as consumer:
            first = await anext(consumer)
            await here.server.stop()  # killed, it may have forgotten that it delivered any
            await here.server.start()
            await again.wait()
            await first.ack()
            second = await anext(consumer)
            await second.ack()
            async with client_of(here.server) as client:
                info = await Site(here.server, client, client.jetstream()).until_settled()
    assert [number(first), number(second)] == [0, 1]
    assert info.num_redelivered == 0


async def test_a_deleted_consumer_is_made_again_where_it_had_got_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("schemas.nats.link._LOOK_SECONDS", 0.1)
    seen = Seen()
    async with site(tmp_path) as here:
        *before, unsettled, after = bounces(5)
        consumer = here.consumer(start="new", types="bounced")
        async with running(consumer, seen):
            await here.publish(*before)
            await seen.until(0, 1, 2)
            floor = (await here.until_settled()).ack_floor
            assert floor is not None
            link = consumer._link
            assert link is not None
            await until(lambda: link._progress is not None and link._progress.settled == 3)
            await here.stream.delete_consumer("POSTFIX", "tests")
            await here.publish(unsettled, after)
            await seen.until(3, 4)
            config = (await here.info()).config
    assert seen.numbers == [0, 1, 2, 3, 4]  # neither from the beginning, nor only what is new
    assert (config.opt_start_seq, config.filter_subject) == (4, "postfix.bounced.*")
    assert "Consumer Deleted" in caplog.text


async def test_a_deleted_consumer_of_whom_nothing_was_settled_begins_where_it_began(
    tmp_path: Path,
) -> None:
    async with site(tmp_path) as here:
        old, failed = bounces(2)
        await here.publish(old)
        async with here.consumer(start="new", backoff=(60,)) as consumer:
            await here.publish(failed)
            message = await anext(consumer)
            await message.nak()
            await here.stream.delete_consumer("POSTFIX", "tests")
            again = await anext(consumer)
            assert (number(again), again.deliveries) == (1, 1)


async def test_a_stream_made_anew_is_read_from_its_beginning(tmp_path: Path) -> None:
    seen = Seen()
    async with site(tmp_path) as here:
        *old, first, second = bounces(5)
        await here.publish(*old)
        async with running(here.consumer(start="new"), seen) as task:
            await here.stream.delete_stream("POSTFIX")
            await here.make_stream()
            await here.publish(first, second)
            await seen.until(3, 4)
            assert not task.done()
    assert seen.numbers == [3, 4]


async def test_without_its_stream_it_waits_for_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seen = Seen()
    async with site(tmp_path) as here, running(here.consumer(), seen):
        await here.stream.delete_stream("POSTFIX")
        await until(lambda: "no stream POSTFIX" in caplog.text)
        await here.make_stream()
        await here.publish(*bounces(1))
        await seen.until(0)


async def test_stopping_while_it_waits_for_its_stream_is_prompt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("schemas.nats.link._RETRY_SECONDS", 3600.0)
    async with site(tmp_path) as here, here.consumer() as consumer:
        task = asyncio.create_task(consumer.run(Seen()))
        info = await here.info()
        while not info.num_waiting:
            info = await here.info()
        await here.stream.delete_stream("POSTFIX")
        await until(lambda: "fetching from tests" in caplog.text)
        consumer.stop()
        await task


async def test_what_is_in_hand_is_kept_through_trouble_in_keeping_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("schemas.nats.link._LOOK_SECONDS", 0.1)
    caplog.set_level(logging.DEBUG, "schemas.nats.link")
    async with site(tmp_path) as here, here.consumer(ack_wait=5.0) as consumer:
        await here.stream.delete_consumer("POSTFIX", "tests")
        await until(lambda: "keeping hold of tests" in caplog.text)
        await here.publish(*bounces(1))
        message = await anext(consumer)
        await asyncio.sleep(6)  # longer than `ack_wait`
        await message.ack()
        assert not (await here.until_settled()).num_redelivered
    assert consumer.counts == Counts(delivered=1, acked=1)


async def test_a_consumer_that_came_back_as_another_is_an_error(tmp_path: Path) -> None:
    seen = Seen()
    async with site(tmp_path) as here, here.consumer(types="bounced") as consumer:
        task = asyncio.create_task(consumer.run(seen))
        await here.stream.delete_consumer("POSTFIX", "tests")
        async with here.consumer(types="reject"):
            with pytest.raises(ConsumerError, match=r"delivers postfix.reject.\*"):
                await task


async def test_stopping_while_the_server_is_away_is_bounded(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.publish(*bounces(3))
        async with here.consumer(connect={"reconnect_time_wait": 0.1}) as consumer:
            for _ in range(2):
                await (await anext(consumer)).ack()
            await until(lambda: consumer._connected._puller.arrived)
            await here.server.kill()
            await until(lambda: not consumer._connected._client.is_connected)
            consumer.stop()
            assert [message async for message in consumer] == []
        # Counted as given back, though nobody heard of it: it comes again after `ack_wait`.
        assert (consumer.counts.delivered, consumer.counts.returned) == (3, 1)


async def test_stopping_while_the_server_does_not_answer_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("schemas.nats.link._CLOSE_SECONDS", 0.3)
    async with site(tmp_path) as here:
        await here.publish(*bounces(2))
        consumer = here.consumer()
        async with asyncio.timeout(5):
            async with consumer:
                await anext(consumer)
                here.server.freeze()
        here.server.thaw()


async def test_silence_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A request that got lost, with a connection that looks well."""
    monkeypatch.setattr("schemas.nats.pull._SILENCE", 0.5)
    seen = Seen()
    async with site(tmp_path) as here, running(here.consumer(), seen):
        await until(lambda: "nothing heard for 0.5 s" in caplog.text)
        await here.publish(*bounces(1))
        await seen.until(0)


async def test_a_request_whose_time_is_up_is_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("schemas.nats.pull._EXPIRES", 0.5)
    monkeypatch.setattr("schemas.nats.pull._HEARTBEAT", 0.2)
    seen = Seen()
    async with site(tmp_path) as here, running(here.consumer(), seen):
        for _ in range(2):
            info = await here.info()
            while not info.num_waiting:
                info = await here.info()
            while info.num_waiting:
                info = await here.info()
        await here.publish(*bounces(1))
        await seen.until(0)
    assert not caplog.records


async def test_it_waits_for_a_server_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with site(tmp_path) as here:
        await here.server.stop()
        consumer = here.consumer(connect={"reconnect_time_wait": 0.1})
        entering = asyncio.create_task(consumer.__aenter__())
        await until(lambda: "Connect call failed" in caplog.text or "refused" in caplog.text)
        await here.server.start()
        await entering
        await consumer.__aexit__(None, None, None)


async def test_a_connection_that_nats_gives_up_ends_it(tmp_path: Path) -> None:
    closed = asyncio.Event()

    async def closed_cb() -> None:
        closed.set()

    options = {"reconnect_time_wait": 0.01, "max_reconnect_attempts": 1, "closed_cb": closed_cb}
    async with site(tmp_path) as here, here.consumer(connect=options) as consumer:
        await here.server.kill()
        with pytest.raises(ConsumerError, match="connection is closed"):
            await anext(consumer)
        assert closed.is_set()


async def test_the_rights_that_are_documented_are_enough(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[3] / "schemas" / "README.md").read_text()
    rights = {"publish": [], "subscribe": ["_INBOX.>"]}
    for line in readme.splitlines():
        if line.startswith("$JS."):
            rights["publish"].append(line.replace("<durable>", "tests"))
    assert len(rights["publish"]) == 6
    users = [
        {"user": "operator", "password": "o", "permissions": {"publish": ">", "subscribe": ">"}},
        {**USER, "permissions": rights},
    ]
    async with (
        real_nats(tmp_path, authorization={"users": users}) as server,
        client_of(server, user="operator", password="o") as client,
    ):
        here = Site(server, client, client.jetstream())
        await here.make_stream()
        for filters in ({"types": ["bounced", "reject"]}, {"types": "bounced"}):
            seen = Seen()
            async with running(here.consumer(connect=USER, **filters), seen):
                await here.publish(*bounces(1))
                await seen.until(0)
                await here.until_settled()
            await here.stream.delete_consumer("POSTFIX", "tests")


async def test_without_a_right_it_says_what_failed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    denied = {"publish": {"deny": ["$JS.API.CONSUMER.MSG.NEXT.>"]}}
    users = [{"user": "operator", "password": "o"}, {**USER, "permissions": denied}]
    with caplog.at_level(logging.WARNING):
        async with (
            real_nats(tmp_path, authorization={"users": users}) as server,
            client_of(server, user="operator", password="o") as client,
        ):
            here = Site(server, client, client.jetstream())
            await here.make_stream()
            async with running(here.consumer(connect=USER), Seen()):
                await until(lambda: "permissions violation" in caplog.text.lower())
    assert "consumer.msg.next.postfix.tests" in caplog.text
