"""The list of recent events and the stories in it."""

from service.board.recent import Recent
from service.board.wanted import Wanted
from tests.board.events import event

ALL = Wanted()


def recent(*events: object, capacity: int = 100) -> Recent:
    made = Recent(capacity)
    for one in events:
        made.add(one)  # type: ignore[arg-type]
    return made


def seqs(found: list[object]) -> list[int]:
    return [one.seq for one in found]  # type: ignore[attr-defined]


def test_newest_first_and_whether_there_are_more() -> None:
    kept = recent(*(event(seq) for seq in range(1, 11)))
    found, more = kept.newest(ALL, 3)
    assert (seqs([*found]), more) == ([10, 9, 8], True)
    found, more = kept.newest(ALL, 3, after=7)
    assert (seqs([*found]), more) == ([10, 9, 8], False)
    found, more = kept.newest(ALL, 3, before=3)
    assert (seqs([*found]), more) == ([2, 1], False)
    assert kept.newest(Wanted.of({"q": "nowhere"}), 3) == ([], False)


def test_the_oldest_goes() -> None:
    kept = recent(*(event(seq) for seq in range(1, 201)), capacity=100)
    assert len(kept) == 100
    assert next(event.seq for event in kept) == 101
    assert kept.last == 200
    assert Recent(100).last == 0


def test_the_story_of_a_message() -> None:
    kept = recent(
        event(1, queue_id="OLD01"),
        event(2, queue_id="4ABCDE12F", origin="OLD01"),
        event(3, queue_id="OTHER1"),
        event(4, queue_id="4ABCDE12F", notice="NOTE1"),
        event(5, queue_id="NOTE1"),
        event(6, mta="mx2", queue_id="4ABCDE12F"),
        event(7, mta="mx3", queue_id="FAR01", message_id="m@x"),
        event(8, queue_id="4ABCDE12F", message_id="m@x"),
        event(9, queue_id=None),
    )
    for seq, story in ((2, [1, 2, 4, 5, 8]), (8, [1, 2, 4, 5, 7, 8]), (7, [7, 8]), (9, [9])):
        of = next(event for event in kept if event.seq == seq)
        assert seqs([*kept.story(of)])[-9:] == story, seq
    for seq in (1, 5):  # from either end
        of = next(event for event in kept if event.seq == seq)
        assert {2 if seq == 1 else 4, seq} <= set(seqs([*kept.story(of)]))
