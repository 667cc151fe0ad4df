"""A real omrelp: it loses no line, whenever and however the receiver ends, and no line becomes two
events. Over plain TCP the same kills lose what lies in socket buffers."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.e2e.house import House, build
from tests.e2e.rsyslog import Form
from tests.e2e.test_rsyslog_queue import bounces
from tests.metric_values import assert_balanced, value
from tests.nats_server import real_nats

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

RELP = Form("relp", "50-mailfault-relp.conf")
ENDS = 3
LINES = ENDS * 2000


async def test_receiver_killed_in_the_middle(house: House) -> None:
    async for _ in _ends_in_the_middle(house):
        await house.receiver.child.stop(signal.SIGKILL)
    await _assert_each_came_once(house)


async def test_receiver_stopped_in_the_middle(house: House) -> None:
    """It answers what it delivered, says `serverclose`, and omrelp goes on with the next one."""
    async for _ in _ends_in_the_middle(house):
        await house.receiver.stop()
    await _assert_each_came_once(house)


async def _ends_in_the_middle(house: House) -> AsyncIterator[None]:
    """While lines are being logged, and the first of them have come, the receiver is to be ended;
    then there is a new one."""
    rsyslogd = await house.rsyslogd(RELP, house.receiver.ports["relp"])
    for start in range(0, LINES, LINES // ENDS):
        logging = asyncio.create_task(rsyslogd.log(bounces(start, start + LINES // ENDS)))
        await house.subscriber.until(lambda event: True, count=start + 1)
        yield
        await logging
        await house.restart_receiver()
        await house.subscriber.until(lambda event: True, count=start + LINES // ENDS)


async def test_everything_is_acknowledged_and_the_session_closed(house: House) -> None:
    rsyslogd = await house.rsyslogd(RELP, house.receiver.ports["relp"])
    await rsyslogd.log(bounces(0, 500))
    await house.subscriber.until(lambda event: True, count=500)
    metrics = await house.receiver.metrics()
    assert value(metrics, "connections", transport="relp") == 1
    assert value(metrics, "relp_unanswered_frames") == 0
    assert value(metrics, "relp_answer_buffer_bytes") == 0
    await rsyslogd.stop()
    metrics = await house.receiver.until(
        lambda text: value(text, "connections", transport="relp") == 0
    )
    assert_balanced(metrics)
    assert value(metrics, "frames_received_total", transport="relp") == 500
    assert value(metrics, "frames_dropped_total") == 0
    assert value(metrics, "relp_sessions_refused_total") == 0
    await house.receiver.stop()


async def test_receiver_killed_while_nats_is_away(tmp_path: Path) -> None:
    """What was acknowledged is on disk, what was not is sent again."""
    async with AsyncExitStack() as cleanup:
        server = await cleanup.enter_async_context(real_nats(tmp_path))
        house = await build(cleanup, server.url)
        await house.start_receiver()
        rsyslogd = await house.rsyslogd(RELP, house.receiver.ports["relp"])
        await rsyslogd.log(bounces(0, 10))
        await house.subscriber.until(lambda event: True, count=10)
        await house.receiver.metrics()
        server.freeze()
        await rsyslogd.log(bounces(10, 110))
        await house.receiver.until(lambda text: value(text, "frames_received_total") == 110)
        await server.kill()
        await house.receiver.child.stop(signal.SIGKILL)
        await server.start()
        await house.restart_receiver()
        # omrelp looks at its connection only when it has a line to send.
        await rsyslogd.log(bounces(110, 111))
        ids = await house.subscriber.stored(111)
        assert len(set(ids)) == 111


async def _assert_each_came_once(house: House) -> None:
    """What omrelp sent twice had the same event id: JetStream keeps it once."""
    await house.subscriber.until(lambda event: True, count=LINES)
    arrived = sorted(str(arrival.event.queue_id) for arrival in house.subscriber.arrivals)
    assert arrived == [f"4ABC{number:05d}" for number in range(LINES)]
    await house.subscriber.assert_all_stored()
    metrics = await house.receiver.metrics()
    assert_balanced(metrics)
    assert value(metrics, "relp_unanswered_frames") == 0
    assert len(house.subscriber.copies) <= ENDS * 128, "more than a window for each end"
