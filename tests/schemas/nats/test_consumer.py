"""Events through a real server: what is delivered, to whom, and how many at once."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas import BouncedEvent, Category, DeferredEvent, EventType, RejectEvent
from schemas.codec import MODELS
from schemas.nats import Consumer, Counts, Message
from schemas.samples import example
from tests.schemas.nats.site import bounces, number, site, take, until

KEPT_FOR = 5.0
"""Seconds of `ack_wait`: a machine may stand still for some, and nothing is kept meanwhile."""


async def test_events_come_typed_and_in_order_with_what_jetstream_knows(tmp_path: Path) -> None:
    events = [example(MODELS[kind]) for kind in EventType]
    async with site(tmp_path) as here, here.consumer() as consumer:
        await here.publish(*events)
        taken = await take(consumer, len(events))
        assert [message.event for message in taken] == events
        first, second, *_ = taken
        assert first.subject == "postfix.reject.mx1_example_org"
        assert (first.deliveries, second.metadata.sequence.stream) == (1, 2)
        assert repr(first) == f"<Message {events[0].event_id} delivery 1 of {first.subject}>"
        await here.until_settled()
    assert consumer.counts == Counts(delivered=len(events), acked=len(events))


async def test_headers_and_payload_are_there_as_published(tmp_path: Path) -> None:
    async with site(tmp_path) as here, here.consumer() as consumer:
        payload = b" " + example(BouncedEvent).model_dump_json().encode()
        headers = {"Nats-Msg-Id": "x", "ce-specversion": "1.0"}
        await here.stream.publish("postfix.bounced.mx1", payload, headers=headers)
        await here.publish(example(BouncedEvent))
        with_headers, without = await take(consumer, 2)
        assert dict(with_headers.headers) == headers
        assert with_headers.data == payload
        assert dict(without.headers) == {}


@pytest.mark.parametrize(
    ("filters", "delivered"),
    [
        ({}, "abcd"),
        ({"types": "bounced"}, "ab"),
        ({"types": ["bounced", EventType.DEFERRED]}, "abc"),
        ({"mta": "MX1.example.org"}, "acd"),
        ({"mta": ["mx1.example.org", "mx2.example.org", "mx1.EXAMPLE.org."]}, "abcd"),
        ({"types": ["bounced", "reject"], "mta": ["mx1.example.org"]}, "ad"),
        ({"subjects": ["postfix.*.mx2_example_org", "postfix.reject.>"]}, "bd"),
        ({"category": "unknown_user"}, "a"),
        ({"category": [Category.UNKNOWN_USER, "a_word_of_1-7"]}, "ab"),
        ({"domain": "Example.COM"}, "ac"),
        ({"types": "bounced", "category": "unknown_user", "domain": ["example.net"]}, ""),
    ],
)
async def test_only_what_is_asked_for_is_delivered(
    tmp_path: Path, filters: dict[str, Any], delivered: str
) -> None:
    elsewhere = example(BouncedEvent).mta.model_copy(update={"host": "mx2.example.org"})
    here_ = example(BouncedEvent).mta
    events = {
        "a": example(
            BouncedEvent, mta=here_, category="unknown_user", recipient_domain="example.com"
        ),
        "b": example(
            BouncedEvent, mta=elsewhere, category="a_word_of_1-7", recipient_domain="example.net"
        ),
        "c": example(DeferredEvent, mta=here_, category="tls", recipient_domain="example.com"),
        "d": example(RejectEvent, mta=here_, category=None, recipient_domain=None),
    }
    async with site(tmp_path) as here, here.consumer(**filters) as consumer:
        await here.publish(*events.values())
        taken = await take(consumer, len(delivered)) if delivered else []
        if not delivered:
            asyncio.get_running_loop().call_soon(asyncio.create_task, _stop_when_settled(consumer))
            assert [message async for message in consumer] == []
        assert [message.event for message in taken] == [events[key] for key in delivered]


async def _stop_when_settled(consumer: Consumer) -> None:
    await until(lambda: consumer.counts.filtered == 2)
    consumer.stop()


async def test_what_a_filter_leaves_out_is_acknowledged_and_counted(tmp_path: Path) -> None:
    events = bounces(3)
    wanted = example(BouncedEvent, category="tls")
    async with site(tmp_path) as here, here.consumer(category="tls") as consumer:
        await here.publish(*events, wanted)
        await take(consumer, 1)
        await here.until_settled()
    assert consumer.counts == Counts(delivered=4, acked=1, filtered=3)


@pytest.mark.parametrize("start", ["all", "new", "since"])
async def test_a_new_consumer_starts_where_it_is_told(tmp_path: Path, start: str) -> None:
    async with site(tmp_path) as here:
        first, second, third = bounces(3)
        await here.publish(first)
        (stored,) = await _stored(here.consumer("look"), 1)
        between = stored.metadata.timestamp + timedelta(microseconds=1)
        await until(lambda: datetime.now(UTC) > between + timedelta(milliseconds=1))
        await here.publish(second)
        async with here.consumer(start=between if start == "since" else start) as consumer:
            await here.publish(third)
            expected = {"all": [0, 1, 2], "new": [2], "since": [1, 2]}[start]
            assert [number(m) for m in await take(consumer, len(expected))] == expected
        async with here.consumer(start="all") as again:  # which is for new ones
            await here.publish(first)
            assert [m.metadata.sequence.stream for m in await take(again, 1)] == [4]


async def _stored(consumer: Consumer, count: int) -> list[Message]:
    async with consumer:
        return await take(consumer, count)


async def test_a_slow_handler_keeps_its_event_and_those_fetched_after_it(tmp_path: Path) -> None:
    async with site(tmp_path) as here, here.consumer(ack_wait=KEPT_FOR) as consumer:
        await here.publish(*bounces(3))
        seen: list[tuple[int, int]] = []

        async def handler(message: Message) -> None:
            seen.append((number(message), message.deliveries))
            if number(message) == 1:
                await until(lambda: consumer._connected._puller.arrived)
                await asyncio.sleep(KEPT_FOR + 1)
            if len(seen) == 3:
                consumer.stop()

        await consumer.run(handler)
        await here.until_settled()
    assert seen == [(0, 1), (1, 1), (2, 1)]
    assert consumer.counts == Counts(delivered=3, acked=3)  # none came twice


async def test_several_events_can_be_in_hand_at_once(tmp_path: Path) -> None:
    async with site(tmp_path) as here, here.consumer(ack_wait=KEPT_FOR) as consumer:
        await here.publish(*bounces(4))
        batch = await take(consumer, 4, ack=False)
        await asyncio.sleep(KEPT_FOR + 1)
        for message in batch:
            await message.ack()
        await here.until_settled()
        assert (await here.info()).num_redelivered == 0
    assert consumer.counts == Counts(delivered=4, acked=4)


async def test_two_processes_share_the_events_of_one_durable(tmp_path: Path) -> None:
    async with (
        site(tmp_path) as here,
        here.consumer(prefetch=1) as one,
        here.consumer(prefetch=1) as two,
    ):
        await here.publish(*bounces(2))
        (first,) = await take(one, 1, ack=False)
        (second,) = await take(two, 1)
        await first.ack()
        await here.until_settled()
    assert [number(first), number(second)] == [0, 1]


async def test_it_has_to_be_entered() -> None:
    consumer = Consumer(durable="x")
    with pytest.raises(RuntimeError, match="async with"):
        await anext(consumer)


@pytest.mark.parametrize(
    "wrong",
    [
        {"start": datetime(2026, 1, 1)},  # noqa: DTZ001  # that is the point
        {"start": "last"},
        {"types": "rejected"},
        {"prefix": "a.*"},
        {"ack_wait": 0},
        {"backoff": ()},
        {"backoff": (1, -1)},
        {"max_deliveries": 0},
        {"prefetch": 0},
    ],
)
def test_what_can_never_work_is_refused_at_once(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"time zone|'all'|EventType|prefix|above zero"):
        Consumer(durable="x", **wrong)  # type: ignore[arg-type]
