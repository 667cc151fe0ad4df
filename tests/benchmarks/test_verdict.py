"""A verdict that lets nothing pass: each way a run can be wrong is named."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.counts import Counts
from benchmarks.lines import Kind, Truth
from benchmarks.stream import StreamState
from benchmarks.verdict import problems

TRUTH = Truth(lines=100)
TRUTH.kinds[Kind.REJECT] = 10
TRUTH.kinds[Kind.DEFERRED] = 5
EVENTS = {"reject": 10, "deferred": 5, "bounced": 0, "resolved": 0, "invalid": 0}
COUNTS = Counts(
    received=100, with_events=15, skipped=85, events=EVENTS,
    published={"ok": 15, "duplicate": 0, "dead": 0},
)  # fmt: skip
STREAM = StreamState(15, 1.0, Counter(reject=10, deferred=5))


def test_a_right_run() -> None:
    assert problems(100, TRUTH, COUNTS, STREAM) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"skipped": 84}, "do not balance"),
        ({"received": 99, "skipped": 84}, "100 lines sent, but 99 received"),
        ({"events": {**EVENTS, "reject": 9}}, "10 lines are reject, but 9 events"),
        ({"events": {**EVENTS, "invalid": 1}}, "1 lines were taken for broken"),
        ({"published": {"ok": 14, "duplicate": 1, "dead": 0}}, "1 events were duplicates"),
        ({"published": {"ok": 14, "duplicate": 0, "dead": 1}}, "1 events given up"),
    ],
)
def test_wrong_counts(change: dict[str, Any], named: str) -> None:
    found = problems(100, TRUTH, replace(COUNTS, **change), STREAM)
    assert any(named in problem for problem in found), found


def test_an_event_missing_from_the_stream() -> None:
    stream = StreamState(14, 1.0, Counter(reject=9, deferred=5))
    found = problems(100, TRUTH, COUNTS, stream)
    assert any("15 events made, but 14 in the stream" in problem for problem in found)


def test_an_event_on_the_wrong_subject() -> None:
    stream = StreamState(15, 1.0, Counter(reject=9, deferred=6))
    assert any("in the stream {" in p for p in problems(100, TRUTH, COUNTS, stream))


def test_a_resend_may_be_a_duplicate() -> None:
    counts = replace(COUNTS, published={"ok": 14, "duplicate": 1, "dead": 0}, resends=1)
    assert problems(100, TRUTH, counts, STREAM) == []


def test_kernel_drops_count_over_udp_only() -> None:
    counts = replace(COUNTS, received=98, skipped=83, kernel_drops=2)
    assert problems(100, TRUTH, counts, STREAM, is_lossless=False) == []
    assert problems(100, TRUTH, counts, STREAM)


def test_events_of_lost_datagrams_are_not_missed() -> None:
    counts = replace(
        COUNTS, received=99, with_events=14, kernel_drops=1, events={**EVENTS, "reject": 9}
    )
    stream = StreamState(14, 1.0, Counter(reject=9, deferred=5))
    assert problems(100, TRUTH, counts, stream, is_lossless=False) == []


def test_a_failure_missing_over_udp_without_a_drop_is_wrong() -> None:
    counts = replace(COUNTS, with_events=14, skipped=86, events={**EVENTS, "reject": 9})
    stream = StreamState(14, 1.0, Counter(reject=9, deferred=5))
    assert problems(100, TRUTH, counts, stream, is_lossless=False)
