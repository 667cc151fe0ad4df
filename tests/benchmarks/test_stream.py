"""A real JetStream stream, seen through the harness's own connection."""

import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from benchmarks.processes import NatsServer
from benchmarks.stream import Stream


@pytest.fixture
async def stream(tmp_path: Path) -> AsyncIterator[Stream]:
    server = NatsServer(tmp_path)
    await server.start()
    await server.wait_until_ready()
    async with Stream(server.url) as connected:
        yield connected
    await server.kill()


async def test_an_absent_stream_is_empty(stream: Stream) -> None:
    assert (await stream.state()).messages == 0
    assert [message async for message in stream.read_back()] == []


async def test_counts_types_and_reads_back_in_order(stream: Stream) -> None:
    context = stream.client.jetstream()
    await context.add_stream(name="POSTFIX", subjects=["postfix.>"])
    before = time.time()
    for number, subject in enumerate(("reject.mx1", "reject.mx2", "deferred.mx1")):
        await context.publish(f"postfix.{subject}", b"%d" % number)
    state = await stream.state(subjects=True)
    assert state.messages == 3
    assert state.by_type == Counter(reject=2, deferred=1)
    assert before - 0.1 <= state.last_stored <= time.time() + 0.1
    assert [message.data async for message in stream.read_back()] == [b"0", b"1", b"2"]


async def test_when_the_last_event_of_some_types_was_stored(stream: Stream) -> None:
    context = stream.client.jetstream()
    await context.add_stream(name="POSTFIX", subjects=["postfix.>"])
    assert await stream.last_of(["reject", "deferred"]) == 0.0
    stored = {}
    for subject in ("reject.mx1", "deferred.mx2", "bounced.mx1"):
        await context.publish(f"postfix.{subject}", b"{}")
        stored[subject.partition(".")[0]] = (await stream.state()).last_stored
    assert await stream.last_of(["reject"]) == stored["reject"]
    assert await stream.last_of(["reject", "deferred"]) == stored["deferred"]
    assert await stream.last_of(["deferred", "bounced"]) == stored["bounced"]


async def test_waits_until_idle_when_fewer_come(stream: Stream) -> None:
    context = stream.client.jetstream()
    await context.add_stream(name="POSTFIX", subjects=["postfix.>"])
    await context.publish("postfix.reject.mx1", b"{}")
    assert (await stream.wait_for(1)).messages == 1
    assert (await stream.wait_for(2, idle=0.2)).messages == 1
