"""Senders and when they were last heard: bounded, whatever the network does."""

from datetime import timedelta

import pytest

from service.core.framing.base import Fault, Frame, Piece
from service.core.outcomes import Drop
from service.sources import FORGET_SECONDS, OTHER, Sources
from tests.sample_lines import NOW

LINE: list[Piece] = [Frame(b"<22>Aug 22 10:00:00 mx1 postfix/qmgr[1]: x")]
AT = NOW.timestamp()


def test_each_has_the_time_at_which_it_was_last_heard() -> None:
    sources = Sources(10)
    sources.heard("192.0.2.1", LINE, NOW)
    sources.heard("2001:db8::1", LINE, NOW)
    sources.heard("192.0.2.1", LINE, NOW + timedelta(seconds=3))
    assert sources.last_received(AT + 4) == {"192.0.2.1": AT + 3, "2001:db8::1": AT}
    assert len(sources) == 2
    assert sources.unnamed == 0


def test_beyond_the_bound_all_are_one() -> None:
    sources = Sources(2)
    for number in range(1000):
        sources.heard(f"192.0.2.{number}", LINE, NOW + timedelta(seconds=number))
    sources.heard("192.0.2.1", LINE, NOW + timedelta(seconds=1000))
    found = sources.last_received(AT + 1000)
    assert found == {"192.0.2.0": AT, "192.0.2.1": AT + 1000, OTHER: AT + 999}
    assert len(sources) == 2
    assert sources.unnamed == 998


def test_without_a_bound_nobody_has_a_place() -> None:
    sources = Sources(0)
    sources.heard("192.0.2.1", LINE, NOW)
    sources.heard(None, LINE, NOW)
    assert sources.last_received(AT) == {OTHER: AT}


def test_whoever_was_silent_for_a_day_makes_room() -> None:
    sources = Sources(2)
    sources.heard("192.0.2.1", LINE, NOW)
    sources.heard("192.0.2.2", LINE, NOW + timedelta(seconds=1))
    assert set(sources.last_received(AT + FORGET_SECONDS)) == {"192.0.2.2"}
    sources.heard("192.0.2.3", LINE, NOW + timedelta(seconds=FORGET_SECONDS))
    assert set(sources.last_received(AT + FORGET_SECONDS)) == {"192.0.2.2", "192.0.2.3"}


@pytest.mark.parametrize(
    ("pieces", "is_heard"),
    [
        ([], False),
        ([Fault(Drop.NOT_ALLOWED, 10)], False),
        # It sends, and we are the ones who lose it: that is not silence.
        ([Fault(Drop.QUEUE_FULL, 10)], True),
        ([Fault(Drop.RATE_LIMITED, 10)], True),
    ],
)
def test_who_counts_as_heard(pieces: list[Piece], is_heard: bool) -> None:
    sources = Sources(10)
    sources.heard("192.0.2.1", pieces, NOW)
    assert bool(sources.last_received(AT)) is is_heard
