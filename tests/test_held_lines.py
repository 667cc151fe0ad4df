"""Lines that wait: let go by their word, by time or for room; and answered while they wait on."""

from datetime import UTC, datetime

from service.core.correlate.trace import Queue, queue_of
from service.core.outcomes import Skip
from service.held_lines import HeldLines
from service.jobs import Batch, Entry, Released
from service.received import Origin
from service.waitrooms import Waitrooms

NOW = datetime(2026, 8, 22, 8, tzinfo=UTC)
QUEUE: Queue = queue_of("mx1.example.org", "postfix")
RELP = Origin("relp", "192.0.2.1")


class Receipts:
    is_pressed = True

    def expect(self, piece: int) -> None: ...

    def durable(self, piece: int) -> None: ...


def entry(raw: bytes, now: float = 0.0, receipts: Receipts | None = None) -> Entry:
    return Entry(raw, False, 0, Batch(RELP, NOW, NOW, receipts, now, 0, b"", "", True))


class House:
    def __init__(self, max_lines: int = 100) -> None:
        self.rooms = Waitrooms(max_lines, 1000)
        self.released: list[Released] = []
        self.held: HeldLines[str] = HeldLines(60, self.rooms, self.released, self.let_go)
        self.gone: list[tuple[bytes, bool]] = []
        """Lines that wait no more, and whether their sender is still owed an answer."""

    def let_go(self, key: bytes) -> None:
        self.took(self.held.take(key))

    def took(self, lines: list[tuple[Entry, Queue, str]]) -> None:
        self.gone += [(entry.raw, entry.batch.receipts is not None) for entry, _, _ in lines]

    def hold(self, key: bytes, raw: bytes, said: str = "", **more: Receipts | float) -> None:
        self.held.hold(key, entry(raw, **more), QUEUE, said)  # type: ignore[arg-type]


def test_a_pressed_sender_is_answered_once_and_the_line_waits_on() -> None:
    house = House()
    house.hold(b"A", b"one", receipts=Receipts())
    house.hold(b"A", b"two")
    house.hold(b"B", b"three", receipts=Receipts())
    house.held.answer()
    assert sorted((entry.raw, told) for entry, told in house.released) == [
        (b"one", Skip.NOT_A_FAILURE),
        (b"three", Skip.NOT_A_FAILURE),
    ]
    house.held.answer()
    assert len(house.released) == 2
    house.held.let_everything_go()
    assert house.gone == [(b"one", False), (b"two", False), (b"three", False)]


def test_what_has_left_is_not_answered_here() -> None:
    house = House()
    house.hold(b"A", b"one", receipts=Receipts())
    house.held.overdue(60)
    assert house.gone == [(b"one", True)]
    house.held.answer()
    assert house.released == []
    assert b"A" not in house.held


def test_those_that_stay_are_still_answered() -> None:
    house = House()
    house.hold(b"A", b"one", "wanted", receipts=Receipts())
    house.hold(b"A", b"two", "other", receipts=Receipts())
    house.took(house.held.take_those(b"A", lambda said: said == "wanted"))
    assert house.gone == [(b"one", True)]
    house.held.answer()
    assert [entry.raw for entry, _ in house.released] == [b"two"]
    assert house.held.count_of(b"A") == 1


def test_the_bound_of_all_rooms_lets_go_of_the_oldest() -> None:
    house = House(max_lines=2)
    for name in (b"one", b"two", b"three"):
        house.hold(name, name)
    assert house.gone == [(b"one", False)]
    assert house.rooms.hurried == 1
