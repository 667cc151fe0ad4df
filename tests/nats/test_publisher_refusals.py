"""What the server, the stream or the account does not take: the message alone, or for now."""

import asyncio
from pathlib import Path

import pytest

from service.nats.answer import Published, Refusal, Rejected
from service.nats.config import NatsConfig
from tests.nats.waiting import until
from tests.nats.world import envelope, world
from tests.nats_server import client_of, real_nats, stream_messages


async def test_a_message_larger_than_the_stream_takes_is_rejected_alone(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server:
        async with client_of(server) as client:
            await client.jetstream().add_stream(
                name="POSTFIX", subjects=["postfix.>"], max_msg_size=2000
            )
        async with world(NatsConfig(servers=[server.url])) as here:
            small, large, after = await here.publish(
                envelope(1), envelope(2, size=5000), envelope(3)
            )
    assert isinstance(small, Published)
    assert isinstance(large, Rejected)
    assert large.reason is Refusal.TOO_LARGE
    assert "10054" in large.description
    assert isinstance(after, Published)


async def test_a_message_larger_than_the_server_takes_is_rejected_alone(tmp_path: Path) -> None:
    async with (
        real_nats(tmp_path, max_payload=4096) as server,
        world(NatsConfig(servers=[server.url])) as here,
    ):
        large, after = await here.publish(envelope(1, size=5000), envelope(2))
    assert isinstance(large, Rejected)
    assert large.reason is Refusal.TOO_LARGE
    assert isinstance(after, Published)


async def test_a_subject_of_another_stream_is_rejected(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server:
        async with client_of(server) as client:
            await client.jetstream().add_stream(name="OTHER", subjects=["elsewhere.>"])
        async with world(NatsConfig(servers=[server.url])) as here:
            [result] = await here.publish(envelope(1, subject="elsewhere.bounced"))
    assert isinstance(result, Rejected)
    assert result.reason is Refusal.WRONG_STREAM


async def test_a_full_stream_is_tried_again_until_there_is_room(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server, client_of(server) as client:
        jetstream = client.jetstream()
        await jetstream.add_stream(
            name="POSTFIX", subjects=["postfix.>"], max_msgs=1, discard="new"
        )
        async with world(NatsConfig(servers=[server.url])) as here:
            await here.publish(envelope(1))
            publishing = asyncio.create_task(here.publish(envelope(2)))
            await here.until(lambda world: world.resends >= 2)
            assert here.publisher.in_flight == 1
            await jetstream.purge_stream("POSTFIX")
            [result] = await publishing
    assert isinstance(result, Published)


async def test_a_deleted_stream_is_made_again_and_nothing_is_lost(tmp_path: Path) -> None:
    async with (
        real_nats(tmp_path) as server,
        client_of(server) as client,
        world(NatsConfig(servers=[server.url])) as here,
    ):
        await here.publish(envelope(1))
        await client.jetstream().delete_stream("POSTFIX")
        results = await here.publish(envelope(2), envelope(3))
        assert all(isinstance(result, Published) for result in results)
        assert await stream_messages(client) == 2


async def test_no_right_to_publish_is_shown_and_not_fatal(tmp_path: Path) -> None:
    users = {
        "users": [
            {"user": "u", "password": "p", "permissions": {"publish": ["$JS.API.>"]}},
            {"user": "admin", "password": "p"},
        ]
    }
    async with real_nats(tmp_path, authorization=users) as server:
        config = NatsConfig(servers=[server.url], user="u", password="p", ack_timeout=0.2)
        async with world(config) as here:
            await here.publisher.publish(envelope(1))
            await here.until(lambda world: world.resends >= 1)
            assert "permissions violation" in (here.connection.last_error or "").lower()
            assert here.publisher.in_flight == 1


# What went wrong once


@pytest.mark.parametrize("over", [0, 1])
async def test_headers_count_for_max_payload_and_one_message_broke_each_connection(
    tmp_path: Path, over: int
) -> None:
    """nats-py checks the body alone; the server closed the connection, again at each resend."""
    limit = 4096
    headers = len(
        f"NATS/1.0\r\nNats-Msg-Id: {1:032x}\r\n{envelope(1).header_lines}\r\n\r\n".encode()
    )
    async with (
        real_nats(tmp_path, max_payload=limit) as server,
        world(NatsConfig(servers=[server.url])) as here,
    ):
        result, after = await here.publish(envelope(1, size=limit - headers + over), envelope(2))
        assert isinstance(after, Published)
        assert here.resends == 0
    if over:
        assert isinstance(result, Rejected)
        assert result.reason is Refusal.TOO_LARGE
    else:
        assert isinstance(result, Published)


@pytest.mark.parametrize("length", [2048, 2049, 5000])
async def test_a_subject_too_long_for_a_protocol_line_broke_each_connection(
    tmp_path: Path, length: int
) -> None:
    subject = "postfix." + "x" * (length - len("postfix."))
    async with (
        real_nats(tmp_path) as server,
        world(NatsConfig(servers=[server.url])) as here,
    ):
        result, after = await here.publish(envelope(1, subject=subject), envelope(2))
        assert isinstance(after, Published)
        assert here.resends == 0
    if length > 2048:
        assert isinstance(result, Rejected)
        assert result.reason is Refusal.BAD_SUBJECT
    else:
        assert isinstance(result, Published)


@pytest.mark.parametrize(
    ("subject", "header_lines"),
    [("postfix.a b", ""), ("", ""), ("postfix.\udcff", ""), ("postfix.x", "ce-source: \udcff")],
    ids=["space", "empty", "surrogate", "surrogate in a header"],
)
async def test_what_cannot_be_written_is_rejected_alone(
    tmp_path: Path, subject: str, header_lines: str
) -> None:
    broken = envelope(1, subject=subject)
    broken.header_lines = header_lines
    async with (
        real_nats(tmp_path) as server,
        world(NatsConfig(servers=[server.url])) as here,
    ):
        result, after = await here.publish(broken, envelope(2))
    assert isinstance(result, Rejected)
    assert isinstance(after, Published)


async def test_a_sealed_stream_is_the_streams_trouble_and_not_the_events(tmp_path: Path) -> None:
    """They were rejected, and their dead letters as well: lost."""
    async with (
        real_nats(tmp_path) as server,
        client_of(server) as client,
        world(NatsConfig(servers=[server.url], ack_timeout=0.5)) as here,
    ):
        await here.publish(envelope(1))
        jetstream = client.jetstream()
        info = await jetstream.stream_info("POSTFIX")
        info.config.sealed = True
        await jetstream.update_stream(info.config)
        await here.publisher.publish(envelope(2))
        await here.until(lambda world: world.resends >= 3)
        # Not healed here: a stream made at once where a sealed one was deleted takes messages and
        # answers nothing, now and then (nats-server 2.15.1).
        assert here.publisher.in_flight == 1
        assert len(here.results) == 1
        await until(lambda: here.stream.report is not None and "sealed" in str(here.stream.report))
        assert here.stream.refusal == "invalid operation on sealed stream (400/10109)"


async def test_an_account_at_its_limit_is_not_the_events_trouble(tmp_path: Path) -> None:
    """JetStream answers it with code 400, as it does for what will never be stored."""
    accounts = {
        "A": {
            "users": [{"user": "u", "password": "p"}],
            "jetstream": {"max_file": 4096, "max_mem": 4096},
        }
    }
    async with real_nats(tmp_path, accounts=accounts) as server:
        login = {"user": "u", "password": "p"}
        config = NatsConfig.model_validate({"servers": [server.url], **login})
        async with client_of(server, **login) as client, world(config) as here:
            for number in range(4):
                await here.publisher.publish(envelope(number, size=1400))
            await here.until(lambda world: world.resends >= 2)
            assert here.publisher.in_flight == 2
            assert len(here.results) == 2
            await client.jetstream().purge_stream("POSTFIX")
            await here.until(lambda world: len(world.results) == 4)
            assert all(isinstance(result, Published) for result in here.results.values())


async def test_what_can_never_be_sent_is_rejected_by_publish_now_too(tmp_path: Path) -> None:
    async with (
        real_nats(tmp_path, max_payload=4096) as server,
        world(NatsConfig(servers=[server.url])) as here,
    ):
        await here.publish(envelope(0))
        large = envelope(1, size=5000)
        assert here.publisher.publish_now([large])
        assert here.publisher.in_flight == 0
        result = here.results[large]
    assert isinstance(result, Rejected)
