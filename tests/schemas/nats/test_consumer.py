"""Events through a real server: what is delivered, what becomes of it, and how it ends."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from schemas import BouncedEvent, Category, DeferredEvent, EventType, RejectEvent
from schemas.codec import MODELS
from schemas.nats import Consumer, Counts, Message, Terminate
from schemas.nats.consumer import BACKOFF, MAX_DELIVERIES
from schemas.samples import example
from tests.schemas.nats.site import bounces, number, site, take, until

HOST = "mx1.example.org"


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


async def test_a_handler_that_returns_has_acknowledged(tmp_path: Path) -> None:
    handled: list[int] = []
    async with site(tmp_path) as here, here.consumer() as consumer:
        await here.publish(*bounces(3))

        async def handler(message: Message) -> None:
            handled.append(number(message))
            if len(handled) == 3:
                consumer.stop()

        await consumer.run(handler)
        await here.until_settled()
    assert handled == [0, 1, 2]
    assert consumer.counts == Counts(delivered=3, acked=3)


async def test_a_handler_that_raises_sees_the_event_again_after_the_backoff(
    tmp_path: Path,
) -> None:
    tries: list[tuple[int, int, float]] = []
    async with site(tmp_path) as here, here.consumer(backoff=(0.2, 0.4)) as consumer:
        await here.publish(*bounces(2))
        clock = asyncio.get_running_loop().time

        async def handler(message: Message) -> None:
            tries.append((number(message), message.deliveries, clock()))
            if len(tries) == 5:
                consumer.stop()
            if number(message) == 0:
                raise OSError("the ticket system is away")

        await consumer.run(handler)
    assert [(n, delivery) for n, delivery, _ in tries] == [(0, 1), (1, 1), (0, 2), (0, 3), (0, 4)]
    at = [when for n, _, when in tries if n == 0]
    waits = [later - earlier for earlier, later in pairwise(at)]
    assert waits[0] >= 0.2
    assert min(waits[1:]) >= 0.4  # the last of the list goes on
    assert consumer.counts == Counts(delivered=5, acked=1, naked=4)


async def test_an_event_that_always_fails_is_given_up_and_the_reason_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with site(tmp_path) as here, here.consumer(max_deliveries=3) as consumer:
        advisories = await here.client.subscribe("$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>")
        await here.publish(*bounces(1))

        async def handler(message: Message) -> None:
            raise KeyError(message.event.recipient)

        running = asyncio.create_task(consumer.run(handler))
        advisory = await advisories.next_msg(timeout=20)
        await here.until_settled()
        consumer.stop()
        await running
    assert b'"reason":"failed 3 times, at last with KeyError"' in advisory.data
    assert consumer.counts == Counts(delivered=3, naked=2, poison=1)
    assert "0@example.net" not in caplog.text.replace("KeyError: '0@example.net'", "")


async def test_a_handler_can_settle_for_itself_or_say_that_it_is_hopeless(tmp_path: Path) -> None:
    async with site(tmp_path) as here, here.consumer() as consumer:
        await here.publish(*bounces(5))

        async def handler(message: Message) -> None:
            match number(message), message.deliveries:
                case 0, _:
                    raise Terminate("no such customer")
                case 1, _:
                    await message.term("I know better")
                case 2, 1:
                    await message.nak(delay=0)
                case 3, _:
                    await message.ack()
                    raise Terminate("too late to matter")
                case 4, _:
                    await message.ack()
                    raise RuntimeError("after the ack: logged, and that is all")
                case 2, 2:
                    consumer.stop()

        await consumer.run(handler)
        await here.until_settled()
    assert consumer.counts == Counts(delivered=6, acked=3, naked=1, terminated=2)


async def test_a_message_is_settled_once(tmp_path: Path) -> None:
    async with site(tmp_path) as here, here.consumer() as consumer:
        await here.publish(*bounces(1))
        (message,) = await take(consumer, 1)
        with pytest.raises(RuntimeError, match="settled already"):
            await message.nak()
    assert consumer.counts == Counts(delivered=1, acked=1)


async def test_what_is_no_event_is_terminated_with_the_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    later = example(BouncedEvent).model_dump_json().replace('"bounced"', '"retracted"', 1)
    async with site(tmp_path) as here, here.consumer() as consumer:
        advisories = await here.client.subscribe("$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>")
        for payload in (b"not an event", b'{"schema_version": "2.0"}', later.encode()):
            await here.stream.publish("postfix.bounced.mx1", payload)
        await here.publish(*bounces(1))
        assert [number(m) for m in await take(consumer, 1)] == [0]
        reasons = [(await advisories.next_msg(timeout=20)).data for _ in range(3)]
        await here.until_settled()
    assert b"not_json" in reasons[0]
    assert b"unsupported_version" in reasons[1]
    assert b"unknown_event_type" in reasons[2]
    assert consumer.counts == Counts(delivered=4, acked=1, poison=3)
    assert "message 1 of the stream: not_json" in caplog.text


async def test_an_event_delivered_too_often_is_not_handed_over_again(tmp_path: Path) -> None:
    """As when it kills the process each time: nobody is there to say that it failed."""
    killer, innocent = bounces(2)
    async with site(tmp_path) as here:
        await here.publish(killer)
        for delivery in (1, 2):
            async with here.consumer(max_deliveries=2) as consumer:
                (message,) = await take(consumer, 1, ack=False)
                assert message.deliveries == delivery
        async with here.consumer(max_deliveries=2) as consumer:
            await here.publish(innocent)
            seen: list[Message] = []
            running = asyncio.create_task(consumer.run(_into(seen)))
            await here.until_settled()
            consumer.stop()
            await running
    assert [m.event for m in seen] == [innocent]
    assert (consumer.counts.acked, consumer.counts.poison) == (1, 1)


def _into(seen: list[Message]) -> Callable[[Message], Awaitable[None]]:
    async def handler(message: Message) -> None:
        seen.append(message)

    return handler


async def test_stopping_finishes_what_is_in_hand_and_gives_back_the_rest(tmp_path: Path) -> None:
    finished: list[int] = []
    async with site(tmp_path) as here:
        await here.publish(*bounces(10))
        async with here.consumer() as consumer:

            async def handler(message: Message) -> None:
                if number(message) == 1:
                    consumer.stop()
                    await until(lambda: len(consumer._connected._puller.arrived) == 8)
                finished.append(number(message))

            await consumer.run(handler)
        assert finished == [0, 1]
        assert consumer.counts == Counts(delivered=10, acked=2, returned=8)
        async with asyncio.timeout(2), here.consumer() as another:  # long before `ack_wait`
            rest = await take(another, 8)
    assert sorted((number(m), m.deliveries) for m in rest) == [(n, 2) for n in range(2, 10)]


async def test_stopping_an_idle_consumer_ends_at_once(tmp_path: Path) -> None:
    async with site(tmp_path) as here, here.consumer() as consumer:
        waiting = asyncio.create_task(take(consumer, 1))
        await until(lambda: consumer.counts.delivered == 0 and not waiting.done())
        info = await here.info()
        while not info.num_waiting:  # the pull request is out
            info = await here.info()
        consumer.stop()
        async with asyncio.timeout(1):
            assert await waiting == []


async def test_a_consumer_stopped_before_it_has_begun_delivers_nothing(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.publish(*bounces(1))
        consumer = here.consumer()
        consumer.stop()
        async with consumer:
            assert [message async for message in consumer] == []


async def test_leaving_with_an_error_hands_back_what_was_in_hand_after_the_backoff(
    tmp_path: Path,
) -> None:
    async def crash(consumer: Consumer) -> None:
        async with consumer:
            async for message in consumer:
                if number(message) == 1:
                    await until(lambda: len(consumer._connected._puller.arrived) == 2)
                    raise ZeroDivisionError
                await message.ack()

    async with site(tmp_path) as here:
        await here.publish(*bounces(4))
        consumer = here.consumer(backoff=(0.3,))
        with pytest.raises(ZeroDivisionError):
            await crash(consumer)
        assert consumer.counts == Counts(delivered=4, acked=1, naked=1, returned=2)
        async with here.consumer() as another:
            again = await take(another, 3)
    assert number(again[-1]) == 1
    assert sorted((number(m), m.deliveries) for m in again) == [(1, 2), (2, 2), (3, 2)]


async def test_an_event_that_comes_again_is_handled_alone(tmp_path: Path) -> None:
    """What was fetched with it goes back: at once what is fresh, later what is not."""
    *failing, fresh, later = bounces(5)
    async with site(tmp_path) as here, here.consumer(backoff=(60,)) as consumer:
        await here.publish(*failing)
        for message in await take(consumer, 3, ack=False):
            await message.nak(delay=0.5)
        await here.publish(fresh)
        await take(consumer, 1)
        message = await anext(consumer)
        assert message.deliveries == 2
        assert consumer.counts.returned == 2
        await here.publish(later)
        assert (await here.info()).num_waiting == 0  # nothing on order that could bring it
        assert [m.event for m in await take(consumer, 1)] == [later]
        await message.ack()
        info = await here.info()
        while info.num_ack_pending != 2:
            info = await here.info()
    assert consumer.counts == Counts(delivered=8, acked=3, naked=3, returned=2)


async def test_a_slow_handler_keeps_its_event_and_those_fetched_after_it(tmp_path: Path) -> None:
    async with site(tmp_path) as here, here.consumer(ack_wait=0.3) as consumer:
        await here.publish(*bounces(3))
        seen: list[tuple[int, int]] = []

        async def handler(message: Message) -> None:
            seen.append((number(message), message.deliveries))
            if number(message) == 1:
                await until(lambda: consumer._connected._puller.arrived)
                await asyncio.sleep(1.2)  # four times `ack_wait`
            if len(seen) == 3:
                consumer.stop()

        await consumer.run(handler)
        await here.until_settled()
    assert seen == [(0, 1), (1, 1), (2, 1)]
    assert consumer.counts == Counts(delivered=3, acked=3)  # none came twice


async def test_what_the_program_lets_go_of_unsettled_comes_again(tmp_path: Path) -> None:
    async with site(tmp_path) as here, here.consumer(ack_wait=0.3) as consumer:
        await here.publish(*bounces(2))
        seen: list[tuple[int, int]] = []
        async for message in consumer:
            seen.append((number(message), message.deliveries))
            if seen[-1] != (0, 1):
                await message.ack()
            if (0, 2) in seen and {n for n, _ in seen} == {0, 1}:
                break
            if seen == [(0, 1)]:
                await asyncio.sleep(0.5)  # long enough for it to have been kept meanwhile
            del message
            gc.collect()
        await here.until_settled()


async def test_several_events_can_be_in_hand_at_once(tmp_path: Path) -> None:
    async with site(tmp_path) as here, here.consumer(ack_wait=0.3) as consumer:
        await here.publish(*bounces(4))
        batch = await take(consumer, 4, ack=False)
        await asyncio.sleep(1)
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


async def test_it_has_to_be_entered(tmp_path: Path) -> None:
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


def test_by_default_an_event_is_tried_for_about_a_day() -> None:
    failures = range(MAX_DELIVERIES - 1)
    waits = [BACKOFF[min(n, len(BACKOFF) - 1)] for n in failures]
    assert 20 * 3600 < sum(waits) < 28 * 3600
