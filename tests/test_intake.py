"""From what listeners read to the outlet: within the room there is, in turns of bounded work."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from service.core.classify import builtin_classifier
from service.core.correlate.trace import Queue
from service.core.framing.base import Frame
from service.correlation import Correlation
from service.correlation_config import CorrelationConfig
from service.intake import PipelineIntake
from service.pipeline import AT_ONCE, Pipeline
from service.pipeline_config import PipelineConfig
from service.sources import Sources
from tests import sample_lines as lines
from tests.metric_values import assert_balanced
from tests.nats.waiting import until
from tests.outlet_way import way
from tests.sample_lines import NOW, ORIGIN, TEMPLATE
from tests.standing_still import standing_still


async def test_it_speaks_for_the_outlet(tmp_path: Path) -> None:
    made = way(tmp_path, max_events=1)
    intake = PipelineIntake(
        Pipeline(PipelineConfig(), TEMPLATE, made.metrics, builtin_classifier()),
        made.outlet,
        Sources(10),
    )
    intake.take([Frame(lines.HARMLESS)], ORIGIN, NOW)
    assert made.outlet.waiting == 0
    assert intake.has_room
    assert not intake.should_hold_back
    intake.take([Frame(lines.REJECT)], ORIGIN, NOW)
    assert made.outlet.waiting == 1
    assert not intake.has_room
    assert intake.should_hold_back
    resumes: list[int] = []
    intake.when_room(lambda: resumes.append(1))
    made.outlet.spooler.incoming.take(1, 1)
    made.outlet.flow_stopped()
    assert resumes == [1]


async def test_lines_that_wait_are_let_go_behind_what_came_while_the_loop_stood_still(
    tmp_path: Path,
) -> None:
    """What another receiver had told of a recipient, before his message was told as removed, lay
    unread in the socket."""
    made = way(tmp_path)
    correlation = Correlation(CorrelationConfig(removal_wait=0.1), ZoneInfo("UTC"))
    intake = PipelineIntake(
        Pipeline(PipelineConfig(), TEMPLATE, made.metrics, builtin_classifier(), correlation),
        made.outlet,
        Sources(10),
    )
    held: list[int] = []
    with standing_still(0.3, lambda: held.append(correlation.held)):
        removed = lines.HEADER + b"qmgr[9]: 4ABCDE12F: removed"
        intake.take([Frame(lines.DEFERRED), Frame(removed)], ORIGIN, datetime.now(UTC))
        await until(lambda: held and not correlation.held)
    assert held == [1]


class Asking:
    """Other receivers, who answer when a test says so."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def ask(self, queue: Queue, key: bytes) -> None:
        self.asked.append(key)

    def changed(self, queue: Queue, key: bytes) -> None:
        pass


def folded(number: int) -> bytes:
    """A deferral of a message of its own, a thousand times."""
    text = lines.DEFERRED.partition(b": ")[2].replace(b"4ABCDE12F", b"4ABCDE%03X" % number)
    return lines.HEADER + b"smtp[8]: message repeated 1000 times: [ " + text + b"]"


async def test_answers_that_come_together_do_not_hold_the_loop(tmp_path: Path) -> None:
    """Folded lines waited for the other receivers' word, gave nothing as yet and so held nobody
    back. Then a read of answers made 130,000 events in one turn of the loop."""
    made = way(tmp_path, max_events=1_000_000)
    asking = Asking()
    correlation = Correlation(CorrelationConfig(), ZoneInfo("UTC"), asking)
    pipeline = Pipeline(PipelineConfig(), TEMPLATE, made.metrics, builtin_classifier(), correlation)
    intake = PipelineIntake(pipeline, made.outlet, Sources(10))
    many = 10
    intake.take([Frame(folded(number)) for number in range(many)], ORIGIN, NOW)
    assert (made.outlet.waiting, len(asking.asked)) == (0, many)
    for key in asking.asked:
        intake.learned(key)
    await asyncio.sleep(0)
    resumes: list[int] = []
    intake.when_room(lambda: resumes.append(made.outlet.waiting))
    for turn in range(1, many):
        assert made.outlet.waiting == turn * AT_ONCE
        assert intake.should_hold_back
        await asyncio.sleep(0)
    assert not intake.should_hold_back
    assert resumes == [many * 1000], "who was held back goes on once all are made"
    assert_balanced(made.metrics)


async def test_stopping_makes_the_events_that_were_still_to_be_made(tmp_path: Path) -> None:
    made = way(tmp_path, max_events=100_000)
    pipeline = Pipeline(PipelineConfig(), TEMPLATE, made.metrics, builtin_classifier())
    intake = PipelineIntake(pipeline, made.outlet, Sources(10))
    intake.take([Frame(folded(number)) for number in range(3)], ORIGIN, NOW)
    assert pipeline.ready == 2
    intake.release_all()
    assert made.outlet.waiting == 3000
    intake.take([Frame(folded(number)) for number in range(3, 6)], ORIGIN, NOW)
    await asyncio.sleep(0)
    assert made.outlet.waiting == 6000


async def test_there_is_no_room_while_too_many_lines_wait_for_their_events(tmp_path: Path) -> None:
    made = way(tmp_path, max_events=1_000_000)
    pipeline = Pipeline(PipelineConfig(), TEMPLATE, made.metrics, builtin_classifier())
    intake = PipelineIntake(pipeline, made.outlet, Sources(10))
    intake.take([Frame(folded(number)) for number in range(400)], ORIGIN, NOW)
    assert intake.has_room
    intake.take([Frame(folded(number)) for number in range(400, 600)], ORIGIN, NOW)
    assert made.outlet.has_room
    assert not intake.has_room
