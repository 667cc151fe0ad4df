"""What was heard a moment ago."""

import pytest

from service.nats.recent import Recent


def test_is_given_once_in_order() -> None:
    heard = Recent()
    heard.add(b"k", b"1", 1000)
    heard.add(b"k", b"2", 1001.5)
    heard.add(b"other", b"3", 1001.5)
    assert heard.take(b"k") == [b"1", b"2"]
    assert heard.take(b"k") == []


@pytest.mark.parametrize("rest", [2.5, 100.0])
def test_what_is_long_ago_is_forgotten(rest: float) -> None:
    heard = Recent()
    heard.add(b"k", b"1", 1000)
    heard.add(b"other", b"2", 1000 + rest)
    assert heard.take(b"k") == []


def test_keeps_within_its_bytes() -> None:
    heard = Recent()
    for number in range(100):
        heard.add(b"%d" % number, b"x" * 200_000, 1000)
    kept = [number for number in range(100) if heard.take(b"%d" % number)]
    assert 10 <= len(kept) <= 24
    assert kept[-1] == 99


def test_the_last_of_many_for_one_key_is_kept() -> None:
    heard = Recent()
    for number in range(100):
        heard.add(b"k", b"%d" % number, 1000)
    values = heard.take(b"k")
    assert len(values) < 10
    assert values[-1] == b"99"
