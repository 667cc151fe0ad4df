"""What becomes of an event that was delivered: acknowledged, tried again, given up, or hopeless."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path

import pytest

from schemas import BouncedEvent
from schemas.nats import Counts, Message, Terminate
from schemas.nats.consumer import BACKOFF, MAX_DELIVERIES
from schemas.samples import example
from tests.schemas.nats.site import bounces, number, site, take


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


def test_by_default_an_event_is_tried_for_about_a_day() -> None:
    failures = range(MAX_DELIVERIES - 1)
    waits = [BACKOFF[min(n, len(BACKOFF) - 1)] for n in failures]
    assert 20 * 3600 < sum(waits) < 28 * 3600
