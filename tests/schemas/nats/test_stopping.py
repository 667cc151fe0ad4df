"""How a consumer ends: what is in hand is finished, the rest is given back."""

import asyncio
from pathlib import Path

import pytest

from schemas.nats import Consumer, Counts, Message
from tests.schemas.nats.site import bounces, number, site, take, until


async def test_stopping_finishes_what_is_in_hand_and_gives_back_the_rest(tmp_path: Path) -> None:
    finished: list[int] = []
    async with site(tmp_path) as here:
        await here.publish(*bounces(10))
        # For longer than this lasts nothing comes again that was not given back.
        async with here.consumer(ack_wait=3600) as consumer:

            async def handler(message: Message) -> None:
                if number(message) == 1:
                    consumer.stop()
                    await until(lambda: len(consumer._connected._puller.arrived) == 8)
                finished.append(number(message))

            await consumer.run(handler)
        assert finished == [0, 1]
        assert consumer.counts == Counts(delivered=10, acked=2, returned=8)
        async with here.consumer(ack_wait=3600) as another:
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
        for _ in range(5):  # turns of the loop: it waits for nothing
            await asyncio.sleep(0)
        assert waiting.done()
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
