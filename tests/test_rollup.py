"""Roll-ups of the whole receiver, on a real nats-server."""

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from pydantic import ValidationError

import schemas
from schemas import RejectEvent, RollupEvent
from schemas.samples import example
from service.core.envelope import Envelope
from service.metrics import Metrics
from service.rollup import RollupConfig, RollupKeeper
from tests import sample_lines as lines
from tests.metric_values import assert_balanced, value
from tests.nats_server import RealNats, client_of, real_nats, stream_messages
from tests.serve import Serve, serve

ON = {"MAILFAULT_ROLLUP__ENABLED": "true"}


def at_stop() -> dict[str, str]:
    """With an interval that does not end meanwhile."""
    now = time.time()
    interval = max((3600, 3500), key=lambda seconds: seconds - now % seconds)
    return {**ON, "MAILFAULT_ROLLUP__INTERVAL": str(interval)}


TWO_HOSTS = b"".join(
    line + b"\n"
    for line in [
        lines.REJECT,
        lines.numbered(1),
        lines.numbered(2).replace(b" mx1 ", b" mx2.example.org "),
        lines.DEFERRED,
        lines.UNKNOWN_SHAPE,
        lines.HARMLESS,
    ]
)


def environment(server: RealNats, **more: str) -> dict[str, Any]:
    return {"MAILFAULT_NATS__SERVERS": server.url, **more}


async def stored(client: Client) -> tuple[list[RollupEvent], Counter[tuple[str, str]]]:
    """Roll-ups, and the other events by host and type."""
    wanted = await stream_messages(client)
    subscription = await client.jetstream().pull_subscribe(schemas.wildcard(), stream="POSTFIX")
    rollups: list[RollupEvent] = []
    others: Counter[tuple[str, str]] = Counter()
    for _ in range(wanted):
        (message,) = await subscription.fetch(1, timeout=10)
        event = schemas.decode(message.data)
        assert message.subject == schemas.subject_for(event.event_type, event.mta.host)
        assert (message.headers or {})["Nats-Msg-Id"] == event.event_id
        if isinstance(event, RollupEvent):
            rollups.append(event)
        else:
            others[event.mta.host, event.event_type] += 1
        await message.ack()
    return rollups, others


def added_up(rollups: list[RollupEvent]) -> Counter[tuple[str, str]]:
    totals: Counter[tuple[str, str]] = Counter()
    for rollup in rollups:
        for kind, counts in rollup.counts.items():
            totals[rollup.mta.host, kind] += counts.total
    return totals


async def sent(receiver: Serve, data: bytes, events: int) -> None:
    await receiver.send_tcp(data)
    await receiver.until("published_total", events, result="ok")


async def test_by_the_clock(tmp_path: Path) -> None:
    """With intervals of a second: each begins and ends with one, and they add up."""
    async with real_nats(tmp_path / "nats") as server, client_of(server) as client:
        settings = environment(server, **ON, MAILFAULT_ROLLUP__INTERVAL="1",
                               MAILFAULT_ROLLUP__RECEIVER="r1")  # fmt: skip
        async with serve(tmp_path, **settings) as receiver:
            await receiver.send_tcp(TWO_HOSTS)
            await receiver.until("rollups_total", 2, result="put")
            await receiver.send_tcp(lines.numbered(3) + b"\n")
            text = await receiver.until("rollups_total", 3, result="put")
            assert_balanced(text)
            assert value(text, "events_total") == 6
            assert value(text, "rollup_overflow_total") == 0
            assert await receiver.stop() == 0
        rollups, others = await stored(client)
    assert added_up(rollups) == others
    assert {rollup.receiver for rollup in rollups} == {"r1"}
    for rollup in rollups:
        assert rollup.period.end.microsecond == 0
        assert rollup.event_time == rollup.period.start < rollup.period.end
    # No upper bound: a machine that stops the process for a second makes two of them one.
    last = max(rollups, key=lambda rollup: rollup.period.start)
    assert last.period.start.microsecond == 0


def test_an_interval_ends_with_the_clock_s() -> None:
    """Whenever it is looked at: early, at the border, in time, late, or with the clock set back."""
    put: list[Envelope] = []
    keeper = RollupKeeper(
        RollupConfig(interval=60), lines.TEMPLATE, put.extend, lambda: True, Metrics()
    )
    begun = keeper.rollups.start.replace(second=0, microsecond=0) + timedelta(days=1)
    tells_of = {
        timedelta(0): ...,
        timedelta(seconds=59.9): None,
        timedelta(seconds=60): (0, 60),
        timedelta(seconds=60.1): None,
        timedelta(seconds=121): (60, 120),
        timedelta(seconds=245): (120, 240),
        timedelta(seconds=239): (240, 240),
        timedelta(seconds=240.5): (239, 240),
    }
    for after, expected in tells_of.items():
        keeper.rollups.count(example(RejectEvent))
        keeper.tick(begun + after)
        made = [schemas.decode(envelope.body) for envelope in put]
        put.clear()
        if expected is None:
            assert made == []
        elif expected is not ...:
            (rollup,) = made
            assert isinstance(rollup, RollupEvent)
            assert (rollup.period.start, rollup.period.end) == tuple(
                begun + timedelta(seconds=seconds) for seconds in expected
            )


async def test_the_running_minute_when_the_receiver_stops_and_what_follows(tmp_path: Path) -> None:
    """Two lives within one interval are two parts of it."""
    began = datetime.now(UTC)
    async with real_nats(tmp_path / "nats") as server, client_of(server) as client:
        for data, events in ((TWO_HOSTS, 5), (lines.numbered(7) + b"\n", 1)):
            async with serve(tmp_path, **environment(server, **at_stop())) as receiver:
                await sent(receiver, data, events)
                assert await receiver.stop() == 0
        rollups, others = await stored(client)
    assert others["mx1", "reject"] == 3
    assert added_up(rollups) == others
    assert sorted(rollup.mta.host for rollup in rollups) == ["mx1", "mx1", "mx2.example.org"]
    assert all(rollup.period.start > began for rollup in rollups)


async def test_lines_that_are_sent_again_count_again(tmp_path: Path) -> None:
    """The stream holds their events once: who adds up roll-ups has more."""
    async with real_nats(tmp_path / "nats") as server, client_of(server) as client:
        for result in ("ok", "duplicate"):
            async with serve(tmp_path, **environment(server, **at_stop())) as receiver:
                await receiver.send_tcp(TWO_HOSTS)
                await receiver.until("published_total", 5, result=result)
                assert await receiver.stop() == 0
        rollups, others = await stored(client)
    assert others.total() == 5
    assert added_up(rollups) == others + others


async def test_they_are_as_durable_as_events(tmp_path: Path) -> None:
    """NATS is away when they are made: they wait on disk for the next life."""
    async with real_nats(tmp_path / "nats") as server:
        settings = environment(server, **at_stop())
        async with serve(tmp_path, **settings) as receiver:
            await sent(receiver, TWO_HOSTS, 5)
            await server.kill()
            await receiver.until("nats_connected", 0)
            assert await receiver.stop() == 0
        await server.start()
        async with client_of(server) as client:
            async with serve(tmp_path, **settings) as receiver:
                await receiver.until("published_total", 2, result="ok")
            rollups, others = await stored(client)
    assert added_up(rollups) == others


async def test_more_hosts_than_are_told_apart(tmp_path: Path) -> None:
    async with real_nats(tmp_path / "nats") as server, client_of(server) as client:
        settings = environment(server, **at_stop(), MAILFAULT_ROLLUP__MAX_MTAS="1")
        async with serve(tmp_path, **settings) as receiver:
            await sent(receiver, TWO_HOSTS, 5)
            text = await receiver.metrics()
            assert value(text, "rollup_overflow_total", reason="mtas") == 1
            assert (value(text, "rollup_mtas"), value(text, "rollup_mtas_capacity")) == (1, 1)
            assert await receiver.stop() == 0
        rollups, _ = await stored(client)
    assert {rollup.mta.host for rollup in rollups} == {"mx1"}


async def test_a_stream_that_takes_events_only(tmp_path: Path) -> None:
    """Its operator named the subjects: a roll-up would wait for ever, with events behind it."""
    async with real_nats(tmp_path / "nats") as server, client_of(server) as client:
        subjects = [f"postfix.{kind}.*" for kind in schemas.EventType if kind != "rollup"]
        await client.jetstream().add_stream(name="POSTFIX", subjects=subjects)
        settings = environment(server, **ON, MAILFAULT_ROLLUP__INTERVAL="1")
        async with serve(tmp_path, **settings) as receiver:
            await receiver.said("stream_checked")
            await sent(receiver, TWO_HOSTS, 5)
            await receiver.until("rollups_total", 2, result="unwanted")
            assert await receiver.stop() == 0
        assert (await stored(client))[0] == []


async def test_none_where_they_are_switched_off(tmp_path: Path) -> None:
    async with real_nats(tmp_path / "nats") as server, client_of(server) as client:
        settings = environment(server, MAILFAULT_ROLLUP__ENABLED="false")
        async with serve(tmp_path, **settings) as receiver:
            await sent(receiver, TWO_HOSTS, 5)
            assert await receiver.stop() == 0
        assert (await stored(client))[0] == []


@pytest.mark.parametrize(
    "wrong", [{"receiver": ""}, {"receiver": "x" * 201}, {"interval": 0}, {"max_mtas": 0}], ids=str
)
def test_settings_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RollupConfig(**wrong)
