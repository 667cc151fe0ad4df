"""What is made of the peers' runs, and that their rules do what they are measured for."""

import json
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.generate import Options, blocks
from benchmarks.lines import Truth
from benchmarks.logs import Logs
from benchmarks.peers import pipelines, programs, readers
from benchmarks.peers.__main__ import write_file
from benchmarks.peers.figures import OURS, figures, turns
from benchmarks.peers.run import Run, Work

OPTIONS = Options(40_000, failures=0.3)
"""So many that a fast peer takes some of the ticks that CPU time is counted in."""


def test_medians_and_ratios_to_ours() -> None:
    ours = [Run(OURS, 1000, seconds, 2.0, 200) for seconds in (1.0, 2.0, 100.0)]
    theirs = [Run("rsyslog", 1000, seconds, 1.0, 180) for seconds in (0.5, 1.0, 4.0)]
    first, second = figures({OURS: ours, "rsyslog": theirs})
    assert (first.rate, first.least, first.most) == (500, 10, 1000)
    assert (first.ours_by_rate, first.ours_by_cpu) == (1, 1)
    assert (second.rate, second.per_cpu, second.events) == (1000, 1000, 180)
    assert (second.ours_by_rate, second.ours_by_cpu) == (0.5, 0.5)
    assert second.does


def test_each_turn_has_all_and_none_is_always_first() -> None:
    names = ["a", "b", "c", "d", "e", "f"]
    orders = [turns(names, number) for number in range(12)]
    assert all(sorted(order) == names for order in orders)
    assert {order[0] for order in orders} == set(names)
    assert all(one[0] != other[0] for one, other in pairwise(orders))


def test_the_file_has_the_same_lines(tmp_path: Path) -> None:
    log, path = Logs(tmp_path).get(OPTIONS), tmp_path / "mail.log"
    write_file(log.path, path)
    wire = log.path.read_bytes().splitlines()
    file = path.read_bytes().splitlines()
    assert len(file) == len(wire) == OPTIONS.lines
    for sent, written in zip(wire, file, strict=True):
        stamp, _, rest = sent.partition(b" ")
        moment = datetime.fromisoformat(stamp[4:].decode())
        assert written == moment.strftime("%b %e %H:%M:%S ").encode() + rest


@pytest.fixture
def work(tmp_path: Path) -> Work:
    """`tmp_path` is too long for a UNIX socket; the peers here need none."""
    log = Logs(tmp_path).get(OPTIONS)
    file = tmp_path / "mail.log"
    write_file(log.path, file)
    home = tmp_path / "home"
    home.mkdir()
    return Work(OPTIONS.lines, log.path, file, home)


def about_all(found: int) -> None:
    """They are loose: some forms they do not know, some decoys they fall for."""
    truth = Truth()
    for _ in blocks(OPTIONS, truth):
        pass
    assert 0.9 * truth.failures < found < 1.05 * truth.failures


@pytest.mark.e2e
async def test_rsyslog_tells_of_the_failures(work: Work) -> None:
    programs.rsyslogd()
    run = await pipelines.rsyslog(work)
    about_all(run.events)
    assert run.seconds > 0
    assert run.cpu > 0
    objects = [json.loads(line) for line in (work.home / "out.json").read_bytes().splitlines()]
    assert len(objects) == run.events
    deferred = [one for one in objects if one["facts"].get("status") == "deferred"]
    assert deferred
    assert all(one["facts"]["recipient"] and one["facts"]["dsn"] for one in deferred)
    assert {one["facts"].get("code") for one in objects} >= {"450", "554"}


@pytest.mark.e2e
async def test_syslog_ng_tells_of_the_failures(work: Work) -> None:
    run = await pipelines.syslog_ng(work)
    about_all(run.events)
    objects = [json.loads(line) for line in (work.home / "out.json").read_bytes().splitlines()]
    deferred = [one["pf"] for one in objects if one["pf"].get("status") == "deferred"]
    assert deferred
    assert all(one["recipient"] and one["dsn"] for one in deferred)


@pytest.mark.e2e
async def test_mtail_counts_the_failures(work: Work) -> None:
    run = await readers.mtail(work)
    about_all(run.events)
    assert run.cpu > 0


@pytest.mark.e2e
async def test_the_exporter_follows_the_file(work: Work) -> None:
    run = await readers.exporter(work)
    assert run.events > OPTIONS.lines * OPTIONS.failures / 4
    assert run.cpu > 0


@pytest.mark.e2e
async def test_pflogsumm_sums_up(work: Work) -> None:
    run = await readers.pflogsumm(work)
    assert run.events > OPTIONS.lines * OPTIONS.failures / 2
    assert run.cpu > 0


def test_what_pflogsumm_rounds_is_read() -> None:
    said = """
Grand Totals
    123   received
      2k  deferred  (3k  deferrals)
     10   bounced
      1m  rejected (9%)
      4   reject warnings

  12345k  bytes received

  7 rejected
"""
    assert readers.counted_by_pflogsumm(said) == 3 * 1024 + 10 + 1024 * 1024
