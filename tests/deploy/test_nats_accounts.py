"""`deploy/nats/accounts.conf` on a real nats-server: each user can do its work and nothing else."""

import asyncio
import json
import signal
import socket
from contextlib import suppress
from pathlib import Path

import nats.js.errors
import pytest
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig

from schemas import decode, samples
from tests.cli.run import MAILFAULT, environment
from tests.deploy.guarded_nats import PASSWORD, guarded_nats, operator, user
from tests.e2e.receiver import Receiver
from tests.metric_values import value

_HEAD = b"<22>2026-11-03T09:00:%02d.123456+00:00 mx1 postfix/"
DEFERRED = (_HEAD % 1) + (
    b"smtp[1]: 4ABCDE15C: to=<x@example.org>, relay=none, delay=3, delays=1/0/2/0, dsn=4.4.1,"
    b" status=deferred (connect to mx.example.org[192.0.2.1]:25: Connection timed out)\n"
)
SENT = (_HEAD % 9) + (
    b"smtp[1]: 4ABCDE15C: to=<x@example.org>, relay=mx.example.org[192.0.2.1]:25, delay=9,"
    b" delays=1/0/2/6, dsn=2.0.0, status=sent (250 2.0.0 Ok)\n"
)
BUCKET = "KV_mailfault_context"
STREAM_API = "$JS.API.STREAM"
CONSUMER_API = "$JS.API.CONSUMER"
DESTRUCTIVE = [
    f"{STREAM_API}.{verb}.{stream}"
    for verb in ("DELETE", "PURGE", "UPDATE", "SNAPSHOT", "RESTORE", "MSG.DELETE", "MSG.GET")
    for stream in ("POSTFIX", BUCKET)
]
FOREIGN = ["other.subject", "$JS.API.STREAM.CREATE.MINE", "$JS.API.STREAM.LIST", "$SYS.REQ.x"]


async def start_receiver(home: Path, url: str, **more: str) -> Receiver:
    password = home / "password"
    password.write_text(PASSWORD + "\n")
    env = {
        "MAILFAULT_NATS__USER": "mailfault",
        "MAILFAULT_NATS__PASSWORD_FILE": str(password),
        "MAILFAULT_NATS__INBOX_PREFIX": "_INBOX_mailfault",
        **more,
    }
    return await Receiver.start(home, url, env=env)


def send(receiver: Receiver, line: bytes) -> None:
    with socket.create_connection(("127.0.0.1", receiver.ports["tcp"])) as sender:
        sender.sendall(line)


async def events(client: Client) -> list[str]:
    """The types of all in the stream."""
    consumer = await client.jetstream().pull_subscribe("postfix.>", stream="POSTFIX")
    found = await consumer.fetch(10, timeout=20)
    return sorted(decode(message.data).event_type for message in found)


async def two_receivers_do_all_they_do(tmp_path: Path, url: str, **more: str) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    one = await start_receiver(first, url, **more)
    await one.until(lambda text: value(text, "sharing_readable") == 1)
    send(one, DEFERRED)
    await one.until(lambda text: value(text, "sharing_writes_total", result="put") == 1)
    await one.until(lambda text: value(text, "published_total", result="ok") == 1)
    other = await start_receiver(second, url, **more)
    await other.until(lambda text: value(text, "sharing_readable") == 1)
    send(other, SENT)
    await other.until(lambda text: value(text, "sharing_answers_total", result="found") == 1)
    await other.until(lambda text: value(text, "published_total", result="ok") == 1)
    # What one writes the other hears at once.
    await one.until(lambda text: value(text, "sharing_heard_total", result="applied") >= 1)
    for receiver in (one, other):
        sharing = json.loads(await receiver.get("/readyz"))["sharing"]
        assert (sharing["readable"], sharing["writable"], sharing["findings"]) == (True, True, [])
        # Nothing to complain of: a right that is missing would be in its log.
        await receiver.stop()


@pytest.mark.e2e
async def test_receivers_can_do_all_they_do(tmp_path: Path) -> None:
    async with guarded_nats(tmp_path) as url:
        await two_receivers_do_all_they_do(tmp_path, url)
        async with operator(url) as client:
            assert await events(client) == ["deferred", "resolved"]


@pytest.mark.e2e
async def test_who_makes_the_streams_need_not_let_receivers_do_so(tmp_path: Path) -> None:
    async with guarded_nats(tmp_path, without="STREAM.CREATE") as url:
        async with user(url, "mailfault") as ours:
            creating = [f"{STREAM_API}.CREATE.{stream}" for stream in ("POSTFIX", BUCKET)]
            await ours.is_refused(publish=creating)
        async with operator(url) as client:
            jetstream = client.jetstream()
            await jetstream.add_stream(
                name="POSTFIX", subjects=["postfix.>"], duplicate_window=600, allow_direct=True
            )
            await jetstream.create_key_value(
                bucket="mailfault_context", history=1, ttl=144 * 3600, direct=True
            )
            off = {"MAILFAULT_NATS__STREAM__CREATE": "false", "MAILFAULT_SHARING__CREATE": "false"}
            await two_receivers_do_all_they_do(tmp_path, url, **off)
            assert await events(client) == ["deferred", "resolved"]


async def fill(client: Client) -> None:
    """As receivers have made and filled it."""
    jetstream = client.jetstream()
    await jetstream.add_stream(name="POSTFIX", subjects=["postfix.>"], allow_direct=True)
    await jetstream.create_key_value(bucket="mailfault_context", direct=True)
    for kind in ("bounced", "deferred"):
        await jetstream.publish(f"postfix.{kind}.mx1", samples.example_bytes(kind))


async def assert_untouched(client: Client) -> None:
    jetstream = client.jetstream()
    assert (await jetstream.stream_info("POSTFIX")).state.messages == 2
    assert (await jetstream.stream_info(BUCKET)).state.messages == 0
    assert {info.config.name for info in await jetstream.streams_info()} == {"POSTFIX", BUCKET}


@pytest.mark.e2e
async def test_the_receivers_user_can_do_nothing_else(tmp_path: Path) -> None:
    async with guarded_nats(tmp_path) as url, operator(url) as client:
        await fill(client)
        async with user(url, "mailfault") as ours:
            await ours.is_refused(
                publish=[
                    *DESTRUCTIVE,
                    *FOREIGN,
                    f"{CONSUMER_API}.CREATE.POSTFIX",
                    f"{CONSUMER_API}.CREATE.POSTFIX.spy",
                    f"{CONSUMER_API}.DURABLE.CREATE.POSTFIX.spy",
                    f"{CONSUMER_API}.MSG.NEXT.POSTFIX.tickets",
                    "$JS.API.DIRECT.GET.POSTFIX",
                    "$JS.API.DIRECT.GET.POSTFIX.postfix.bounced.mx1",
                    "$KV.other.key",
                ],
                subscribe=["postfix.>", "postfix.bounced.mx1", ">", "_INBOX.>", "_INBOX_reader.>"],
            )
        await assert_untouched(client)
        assert (await client.jetstream().stream_info("POSTFIX")).state.consumer_count == 0


@pytest.mark.e2e
async def test_a_reader_consumes_and_does_nothing_else(tmp_path: Path) -> None:
    async with guarded_nats(tmp_path) as url, operator(url) as client:
        await fill(client)
        await client.jetstream().add_consumer(
            "POSTFIX", ConsumerConfig(durable_name="tickets", ack_policy=AckPolicy.EXPLICIT)
        )
        async with user(url, "reader") as reader:
            jetstream = reader.client.jetstream()
            consumer = await jetstream.pull_subscribe("postfix.bounced.>", durable="reports")
            (message,) = await consumer.fetch(1, timeout=20)
            assert decode(message.data).event_type == "bounced"
            await message.ack_sync(timeout=20)
            assert (await jetstream.consumer_info("POSTFIX", "reports")).ack_floor.consumer_seq == 1
            one = await jetstream.get_msg("POSTFIX", 2, direct=True)
            assert one.data is not None
            assert decode(one.data).event_type == "deferred"
            await reader.is_refused(
                publish=[
                    *DESTRUCTIVE,
                    *FOREIGN,
                    "postfix.bounced.mx1",
                    "$KV.mailfault_context.mx1.postfix.4ABCDE15C",
                    f"$JS.API.DIRECT.GET.{BUCKET}.$KV.mailfault_context.mx1.postfix.4ABCDE15C",
                    f"{CONSUMER_API}.CREATE.{BUCKET}",
                    f"{CONSUMER_API}.CREATE.{BUCKET}.spy",
                    f"{CONSUMER_API}.DELETE.POSTFIX.tickets",
                ],
                subscribe=["$KV.>", ">", "_INBOX_mailfault.>", "_INBOX_tickets.>"],
            )
        await assert_untouched(client)
        infos = await client.jetstream().consumers_info("POSTFIX")
        assert {info.name for info in infos} == {"tickets", "reports"}


@pytest.mark.e2e
async def test_a_consumer_of_a_readers_is_no_way_to_the_api(tmp_path: Path) -> None:
    """It may name any subject for its events to go to. These are JSON objects, which the API would
    take for a request with unknown fields: to purge everything, say."""
    async with guarded_nats(tmp_path) as url, operator(url) as client:
        await fill(client)
        async with user(url, "reader") as reader:
            for number, verb in enumerate(("PURGE", "DELETE")):
                config = ConsumerConfig(
                    name=f"n{number}",
                    deliver_subject=f"{STREAM_API}.{verb}.POSTFIX",
                    ack_policy=AckPolicy.NONE,
                )
                with suppress(nats.js.errors.APIError):  # servers may come to refuse it
                    await reader.client.jetstream().add_consumer("POSTFIX", config)
            # Once an own consumer has had all events, these have had theirs.
            consumer = await reader.client.jetstream().pull_subscribe("postfix.>", stream="POSTFIX")
            assert len(await consumer.fetch(2, timeout=20)) == 2
        await assert_untouched(client)


@pytest.mark.e2e
async def test_tail_works_with_the_rights_of_a_reader(tmp_path: Path) -> None:
    async with guarded_nats(tmp_path) as url, operator(url) as client:
        await fill(client)
        variables = {
            "MAILFAULT_NATS__USER": "reader",
            "MAILFAULT_NATS__PASSWORD": PASSWORD,
            "MAILFAULT_NATS__INBOX_PREFIX": "_INBOX_reader",
        }
        process = await asyncio.create_subprocess_exec(
            *(*MAILFAULT, "tail", "--nats", url, "--since", "1h", "--json"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment(**variables),
        )
        assert process.stdout is not None
        async with asyncio.timeout(40):
            lines = [json.loads(await process.stdout.readline()) for _ in range(2)]
            process.send_signal(signal.SIGINT)
            _, said = await process.communicate()
        assert {line["event_type"] for line in lines} == {"bounced", "deferred"}
        assert (process.returncode, said) == (0, b"")


@pytest.mark.e2e
async def test_who_has_one_consumer_has_only_that(tmp_path: Path) -> None:
    async with guarded_nats(tmp_path) as url, operator(url) as client:
        await fill(client)
        for name in ("tickets", "others"):
            config = ConsumerConfig(
                durable_name=name, filter_subject="postfix.bounced.>", ack_policy=AckPolicy.EXPLICIT
            )
            await client.jetstream().add_consumer("POSTFIX", config)
        async with user(url, "tickets") as tickets:
            jetstream = tickets.client.jetstream()
            consumer = await jetstream.pull_subscribe_bind("tickets", stream="POSTFIX")
            (message,) = await consumer.fetch(1, timeout=20)
            assert decode(message.data).event_type == "bounced"
            await message.ack_sync(timeout=20)
            assert (await jetstream.stream_info("POSTFIX")).state.messages == 2
            await tickets.is_refused(
                publish=[
                    "$JS.API.DIRECT.GET.POSTFIX",
                    "$JS.API.DIRECT.GET.POSTFIX.postfix.deferred.mx1",
                    *DESTRUCTIVE,
                    *FOREIGN,
                    "postfix.bounced.mx1",
                    f"{CONSUMER_API}.CREATE.POSTFIX",
                    f"{CONSUMER_API}.CREATE.POSTFIX.tickets",
                    f"{CONSUMER_API}.DURABLE.CREATE.POSTFIX.tickets",
                    f"{CONSUMER_API}.DELETE.POSTFIX.tickets",
                    f"{CONSUMER_API}.MSG.NEXT.POSTFIX.others",
                    "$JS.ACK.POSTFIX.others.1.1.1.1.0",
                ],
                subscribe=["postfix.>", "_INBOX_reader.>"],
            )
        await assert_untouched(client)


@pytest.mark.e2e
@pytest.mark.parametrize("name", ["", "somebody", "mailfault", "operator"])
async def test_nobody_comes_in_without_a_password(tmp_path: Path, name: str) -> None:
    options = {"user": name, "pass": "wrong"} if name else {}
    async with guarded_nats(tmp_path) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        async with asyncio.timeout(20):
            assert (await reader.readline()).startswith(b"INFO ")
            writer.write(b"CONNECT %s\r\nPING\r\n" % json.dumps(options).encode())
            assert await reader.readline() == b"-ERR 'Authorization Violation'\r\n"
            assert await reader.read() == b""
        writer.close()
