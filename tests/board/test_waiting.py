"""Deferred recipients that wait."""

from service.board.waiting import AGES, Waiting
from tests.board.events import NOW, event


def waiting(capacity: int = 100, quiet: float = 21_600) -> Waiting:
    return Waiting(capacity, quiet)


def test_open_from_the_first_deferral_to_the_end() -> None:
    for end in ("bounced", "resolved"):
        kept = waiting()
        kept.take(event(1, "deferred", at=NOW - 900))
        kept.take(event(2, "deferred", at=NOW - 600))
        kept.take(event(3, "deferred", at=NOW - 600, recipient="other@example.net"))
        assert len(kept) == 2
        (oldest, _) = kept.oldest(9)
        assert (oldest.since, oldest.last.seq, oldest.attempts) == (NOW - 900, 2, [1, 2])
        kept.take(event(4, end))
        assert [one.last.recipient for one in kept.oldest(9)] == ["other@example.net"]


def test_a_queue_id_is_of_one_host_and_instance() -> None:
    kept = waiting()
    kept.take(event(1, "deferred"))
    kept.take(event(2, "bounced", mta="mx2"))
    kept.take(event(3, "bounced", instance="postfix-out"))
    kept.take(event(4, "bounced", queue_id="4ABCDE12G"))
    assert len(kept) == 1


def test_an_end_without_recipient_ends_the_message() -> None:
    kept = waiting()
    for number in range(5):
        kept.take(event(number, "deferred", recipient=f"{number}@example.net"))
    kept.take(event(8, "deferred", mta="mx2"))
    kept.take(event(9, "bounced", recipient=None))
    assert len(kept) == 1


def test_what_is_no_message_or_no_failure_of_one_changes_nothing() -> None:
    kept = waiting()
    kept.take(event(1, "deferred"))
    kept.take(event(2, "reject"))
    kept.take(event(3, "deferred", queue_id=None))
    assert len(kept) == 1


def test_ages() -> None:
    kept = waiting()
    for number, age in enumerate((0, 299, 300, 1800, 86_399, 86_400, 500_000)):
        kept.take(event(number, "deferred", recipient=f"{number}", first=NOW - age))
    assert kept.by_age(NOW) == [2, 1, 1, 0, 1, 2]
    assert len(kept.by_age(NOW)) == len(AGES) + 1


def test_beyond_the_bound_the_one_tried_longest_ago_is_forgotten() -> None:
    kept = waiting(capacity=100)
    for number in range(100):
        kept.take(event(number, "deferred", recipient=f"{number}"))
    kept.take(event(100, "deferred", recipient="0"))  # tried again
    kept.take(event(101, "deferred", recipient="100"))
    assert (len(kept), kept.forgotten) == (100, 1)
    left = {one.last.recipient for one in kept.oldest(200)}
    assert {"0", "100"} <= left
    assert "1" not in left


def test_without_an_attempt_for_long_it_is_forgotten() -> None:
    kept = waiting(quiet=3600)
    kept.take(event(1, "deferred", at=NOW, recipient="a"))
    kept.take(event(2, "deferred", at=NOW + 60, recipient="b"))
    kept.forget(NOW + 3659)
    assert [one.last.recipient for one in kept.oldest(9)] == ["b"]


def test_attempts_are_bounded_and_found_again() -> None:
    kept = waiting()
    for seq in range(1, 60):
        kept.take(event(seq, "deferred"))
    assert kept.attempts_of(event(99, "reject")) == list(range(40, 60))
    assert kept.attempts_of(event(99, queue_id=None)) == []
    assert kept.attempts_of(event(99, mta="mx9")) == []
