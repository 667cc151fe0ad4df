"""A real omrelp and the receivers it is measured with."""

from pathlib import Path
from typing import get_args

import pytest

from benchmarks.logs import Logs
from benchmarks.measure import measure
from benchmarks.omrelp import Sink, most
from benchmarks.relp import RelpSender
from benchmarks.rsyslogd import Queue
from benchmarks.scenario import Scenario
from tests.e2e.packages import require_program, require_rsyslog_module

LINES = 1000


async def test_the_sink_acknowledges_each_line_and_ends_with_its_connection() -> None:
    lines = [b"<22>line %d" % number for number in range(LINES)]
    sink = Sink(LINES)
    await sink.start()
    try:
        await sink.wait_until_ready()
        assert sink.address is not None
        sender = RelpSender([sink.address], [*lines[:-1], b""])
        await sender.run()
        assert (sender.acknowledged, sender.sent, sender.connections) == (LINES, LINES, 1)
        assert await sink.wait() == 0
        assert sink.ended is not None
    finally:
        await sink.kill()


@pytest.mark.e2e
@pytest.mark.timeout(120)
@pytest.mark.parametrize("queue", get_args(Queue))
async def test_omrelp_sends_all_to_the_sink_and_to_the_service(
    tmp_path: Path, queue: Queue
) -> None:
    require_program("rsyslogd", "rsyslog")
    require_rsyslog_module("omrelp", "rsyslog-relp")
    scenario = Scenario(LINES, transport="omrelp", queue=queue)
    log = Logs(tmp_path).get(scenario.log)
    assert await most(log, queue) > 0
    result = await measure(scenario, log)
    assert result.problems == []
    assert result.counts.received == LINES
    assert result.events == log.truth.failures > 0
