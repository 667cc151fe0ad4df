"""The most frequent names."""

from hypothesis import given
from hypothesis import strategies as st

from service.board.leaders import SLICES, LeaderBoard, Leaders
from tests.board.events import NOW, event

DAY = 86_400.0
SLICE = DAY / SLICES


def test_the_most_frequent_first_and_the_rest_in_one_number() -> None:
    board = LeaderBoard(DAY, 100)
    for number, domain in enumerate("aaaaabbbcd"):
        board.add(event(domain=domain, kind="reject" if number % 2 else "bounced"), NOW)
    assert board.leaders("domain", 3600, NOW, 2) == Leaders(
        [("a", [2, 0, 3]), ("b", [2, 0, 1])], others=2
    )


def test_a_shorter_time_counts_less() -> None:
    board = LeaderBoard(DAY, 100)
    board.add(event(category="dns"), NOW - 7200)
    board.add(event(category="tls"), NOW)
    assert board.leaders("category", 3600, NOW, 9).first == [("tls", [0, 0, 1])]
    assert len(board.leaders("category", DAY, NOW, 9).first) == 2


def test_a_name_of_several_slices_is_one() -> None:
    board = LeaderBoard(DAY, 100)
    for back, kind in ((0, "reject"), (1, "reject"), (3, "deferred"), (3, "bounced")):
        board.add(event(kind=kind, mta="mx1"), NOW - back * SLICE)
    assert board.leaders("mta", 3600, NOW, 9).first == [("mx1", [2, 1, 1])]


def test_what_has_no_name_is_not_counted() -> None:
    board = LeaderBoard(DAY, 100)
    board.add(event(provider=None, domain=""), NOW)
    for group in ("provider", "domain"):
        assert board.leaders(group, DAY, NOW, 9) == Leaders([], 0)


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, SLICES - 1)), max_size=400))
def test_made_up_names_cost_a_bounded_memory_and_no_count(
    failures: list[tuple[int, int]],
) -> None:
    board = LeaderBoard(DAY, 10)
    for name, back in failures:
        board.add(event(domain=f"{name}.example", mta="mx1"), NOW - back * SLICE)
    assert board.names <= SLICES * (10 + 3)
    leaders = board.leaders("domain", DAY, NOW, 8)
    assert sum(sum(counts) for _, counts in leaders.first) + leaders.others == len(failures)


def test_slices_go_when_their_time_is_over() -> None:
    board = LeaderBoard(DAY, 10)
    for hour in range(72):
        at = NOW + hour * 3600
        board.add(event(domain=f"{hour}.example"), at)
        board.forget(at)
    assert len(board.leaders("domain", 10 * DAY, NOW + 71 * 3600, 99).first) == 25
