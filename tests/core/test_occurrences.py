"""Equal lines are counted within their stream, in bounded memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.occurrences import Occurrences, is_told_apart

_LINES = st.lists(st.tuples(st.integers(1, 3), st.sampled_from("abcdef")), max_size=60)


@given(_LINES)
def test_counts_each_stream_by_itself(lines: list[tuple[int, str]]) -> None:
    occurrences = Occurrences(100)
    for place, (stream, line) in enumerate(lines):
        assert occurrences.before(stream, line) == lines[:place].count((stream, line))
    assert occurrences.forgotten == 0


@given(st.lists(st.integers(0, 30), max_size=200), st.integers(1, 8))
def test_knows_the_last_ones_and_forgets_within_its_bound(lines: list[int], bound: int) -> None:
    occurrences = Occurrences(bound)
    for place, line in enumerate(lines):
        counted = occurrences.before(1, str(line))
        recent = lines[max(0, place - bound) : place]
        assert recent.count(line) <= counted <= lines[:place].count(line)
        assert len(occurrences) <= 2 * bound


def test_what_is_forgotten_is_counted() -> None:
    occurrences = Occurrences(2)
    for line in range(7):
        occurrences.before(1, str(line))
    assert len(occurrences) + occurrences.forgotten == 7


@pytest.mark.parametrize(
    ("stamp", "apart"),
    [
        ("Aug  1 10:20:30", False),
        ("Aug  1 10:20:30.123", True),
        ("Aug  1 2026 10:20:30", False),
        ("2026-08-01T10:20:30+02:00", False),
        ("2026-08-01T10:20:30Z", False),
        ("2026-08-01T10:20:30.045318+02:00", True),
        ("2026-08-01 10:20:30,045", True),
        ("2026-08-01T10:20:30.000000+02:00", False),
        ("2026-08-01T10:20:30.000001+02:00", True),
        ("2026-08-01T10:20:30.", False),
        ("Sat 2026-08-01 10:20:30 CEST", False),
        ("1754036430045318", True),
        ("1754036430", False),
        ("", False),
    ],
)
def test_which_stamps_tell_lines_apart(stamp: str, apart: bool) -> None:
    assert is_told_apart(stamp) is apart
