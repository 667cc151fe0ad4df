"""The harness end to end: the real service, a real `nats-server`, a few thousand lines."""

from pathlib import Path

import pytest

from benchmarks.logs import Logs
from benchmarks.measure import measure
from benchmarks.outage import survive
from benchmarks.scenario import Scenario


@pytest.mark.parametrize(
    "scenario",
    [Scenario(5000), Scenario(2000, 0.5, "udp", 4000), Scenario(2000, transport="relp")],
    ids=lambda scenario: scenario.name,
)
async def test_a_run_is_right_and_has_figures(tmp_path: Path, scenario: Scenario) -> None:
    log = Logs(tmp_path).get(scenario.log)
    result = await measure(scenario, log)
    assert result.problems == []
    assert result.sent.lines == result.counts.received == scenario.lines
    assert result.events == result.stream.messages
    resolved = result.counts.events["resolved"]  # what no line alone is
    assert result.events - resolved == log.truth.failures
    assert 0 < result.service_cpu < 60
    assert 0 < result.seconds < 60
    assert result.memory.peak > 20 << 20
    assert result.latencies == []


async def test_latency_is_taken_for_every_event(tmp_path: Path) -> None:
    scenario = Scenario(2000, rate=4000)
    result = await measure(scenario, Logs(tmp_path).get(scenario.log))
    assert result.problems == []
    assert len(result.latencies) == result.events > 300
    assert 0 < min(result.latencies) < 5


async def test_every_event_outlives_an_outage() -> None:
    outcome = await survive(events=3000, kills=1, away=0.2)
    assert outcome.missing == outcome.repeated == []
    assert outcome.strange == 0
    assert outcome.in_stream == outcome.expected >= 3000
    assert outcome.counts.is_balanced
