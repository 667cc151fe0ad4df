"""What is in flight: each message ends once, whatever is told of it and how often."""

from service.nats.answer import Published
from service.nats.flight import Flight
from tests.nats.world import envelope


def test_those_that_were_sent_and_answered_together_share_one_result() -> None:
    flight = Flight()
    one, two, three = (envelope(number) for number in range(3))
    flight.begin([one, two], now=1.0, due=6.0)
    flight.begin([three], now=2.0, due=7.0)
    ended = flight.stored([("0", False), ("1", False), ("2", False)], now=4.0)
    assert [each for each, _ in ended] == [one, two, three]
    first, second, third = (result for _, result in ended)
    assert first is second
    assert (first, third) == (Published(False, 3.0), Published(False, 2.0))
    assert len(flight) == flight.bytes == 0


def test_a_duplicate_between_others_is_told_as_one() -> None:
    flight = Flight()
    flight.begin([envelope(number) for number in range(3)], now=1.0, due=6.0)
    ended = flight.stored([("0", False), ("1", True), ("2", False)], now=2.0)
    assert [result for _, result in ended] == [
        Published(False, 1.0),
        Published(True, 1.0),
        Published(False, 1.0),
    ]


def test_what_has_ended_ends_no_second_time() -> None:
    flight = Flight()
    (pending,) = flight.begin([envelope(1)], now=1.0, due=6.0)
    assert pending in flight
    assert flight.stored([("0", False), ("0", False), ("99", False)], now=2.0) != []
    assert flight.stored([("0", False)], now=2.0) == []
    assert flight.end("0") is None
    assert pending not in flight
    assert flight.bytes == 0


def test_what_is_due_and_what_is_oldest() -> None:
    flight = Flight()
    assert flight.oldest() is None
    first, second = flight.begin([envelope(1), envelope(2)], now=1.0, due=6.0)
    second.due = 3.0
    assert flight.oldest() is first
    assert flight.due(5.0) == [second]
    assert flight.due(6.0) == [first, second]
