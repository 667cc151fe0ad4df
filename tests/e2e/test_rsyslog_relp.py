"""A real omrelp: it loses no line, whenever and however the receiver ends, and no line becomes two
events. Over plain TCP the same kills lose what lies in socket buffers."""

import signal

import pytest

from tests.e2e.house import House
from tests.e2e.rsyslog import Form
from tests.e2e.test_rsyslog_queue import bounces
from tests.metric_values import assert_balanced, value

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

RELP = Form("relp", "50-mailfault-relp.conf")
LINES = 4000
ENDS = 3


async def test_receiver_killed_in_the_middle(house: House) -> None:
    rsyslogd = await house.rsyslogd(RELP, house.receiver.ports["relp"])
    await rsyslogd.log(bounces(0, LINES // 2))
    for end in range(1, ENDS + 1):
        await house.subscriber.until(lambda event: True, count=end * LINES // 8)
        await house.receiver.child.stop(signal.SIGKILL)
        await house.restart_receiver()
    await rsyslogd.log(bounces(LINES // 2, LINES))
    await _assert_each_came_once(house)


async def test_receiver_stopped_in_the_middle(house: House) -> None:
    """It answers what it delivered, says `serverclose`, and omrelp goes on with the next one."""
    rsyslogd = await house.rsyslogd(RELP, house.receiver.ports["relp"])
    await rsyslogd.log(bounces(0, LINES // 2))
    for end in range(1, ENDS + 1):
        await house.subscriber.until(lambda event: True, count=end * LINES // 8)
        await house.receiver.stop()
        await house.restart_receiver()
    await rsyslogd.log(bounces(LINES // 2, LINES))
    await _assert_each_came_once(house)


async def test_everything_is_acknowledged_and_the_session_closed(house: House) -> None:
    rsyslogd = await house.rsyslogd(RELP, house.receiver.ports["relp"])
    await rsyslogd.log(bounces(0, 500))
    await house.subscriber.until(lambda event: True, count=500)
    metrics = await house.receiver.metrics()
    assert value(metrics, "connections", transport="relp") == 1
    assert value(metrics, "relp_unanswered_frames") == 0
    assert value(metrics, "relp_answer_buffer_bytes") == 0
    await rsyslogd.stop()
    metrics = await house.receiver.metrics()
    assert_balanced(metrics)
    assert value(metrics, "connections", transport="relp") == 0
    assert value(metrics, "frames_received_total", transport="relp") == 500
    assert value(metrics, "frames_dropped_total") == 0
    assert value(metrics, "relp_sessions_refused_total") == 0
    await house.receiver.stop()


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
