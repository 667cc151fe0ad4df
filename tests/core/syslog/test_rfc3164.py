"""The pieces of `test_header` that belong to RFC 3164 alone: priorities and lines without stamp."""

import re
from datetime import UTC, datetime

import pytest

from service.core.syslog.rfc3164 import (
    _ORIGINS,
    _PRIORITIES,
    PRIORITY,
    parse_common,
    parse_stamped,
    parse_unstamped,
)
from service.core.syslog.timestamp import _SECONDS

NOW = datetime(2026, 8, 22, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize("stamp", ["Aug  1 10:20:30", "2026-08-01T10:20:30.123456+02:00"])
@pytest.mark.parametrize("priority", range(192))
def test_every_priority(priority: int, stamp: str) -> None:
    text = f"<{priority}>{stamp} mx1 postfix[1]: x"
    found = parse_common(text, NOW, UTC)
    assert found is not None
    assert found == parse_stamped(text, NOW, UTC)
    assert parse_unstamped(f"<{priority}>postfix[1]: x", NOW, UTC) is not None


def test_the_priorities_are_those_of_the_pattern() -> None:
    numbers = [f"<{value:0{width}}>" for width in (1, 2, 3, 4) for value in range(1200)]
    assert {"", *(text for text in numbers if re.fullmatch(PRIORITY, text))} == _PRIORITIES


@pytest.mark.parametrize("priority", ["192", "200", "1000", "-1", "", " 22", "2 2", "x", "\u0662"])
def test_no_priority(priority: str) -> None:
    for parse in (parse_common, parse_stamped):
        for stamp in ("Aug  1 10:20:30", "2026-08-01T10:20:30.123456+02:00"):
            assert parse(f"<{priority}>{stamp} mx1 postfix[1]: x", NOW, UTC) is None
    assert parse_unstamped(f"<{priority}>postfix[1]: x", NOW, UTC) is None


@pytest.mark.parametrize(
    "stamp",
    [
        "Aug   1 10:20:30",
        "aug  1 10:20:30",
        "Aug  1 1:20:30",
        "Aug  1 10:20",
        "Aug\t1 10:20:30",
        "26-08-01T10:20:30Z",
        "2026-08-01T10:20Z",
        "2026-08-01T10:20:30+02:00:00",
        "2026-08-01T10:20:30.1234567890Z",
        "2026-08-0\u0661T10:20:30Z",
    ],
)
def test_no_stamp(stamp: str) -> None:
    for parse in (parse_common, parse_stamped):
        assert parse(f"<22>{stamp} mx1 postfix[1]: x", NOW, UTC) is None


@pytest.mark.parametrize(
    "text",
    ["postfix: x", "4XyZ: x", "a b c[1]: x", "c[x]: x", "c[1] x", "a://b/c: x", "a/b:c", "a/b x"],
)
def test_words_are_no_bare_tag(text: str) -> None:
    assert parse_unstamped(text, NOW, UTC) is None


def test_more_seconds_and_processes_than_are_remembered() -> None:
    def read(number: int) -> object:
        minute, second = divmod(number, 60)
        stamp = f"2026-08-01T{minute // 60:02}:{minute % 60:02}:{second:02}.000001+02:00"
        return parse_common(f"<22>{stamp} mx1 postfix/smtp[{number}]: x", NOW, UTC)

    first = read(1)
    for number in range(5000):
        read(number)
    assert read(1) == first
    assert len(_SECONDS) <= 1024
    assert len(_ORIGINS) <= 4096


@pytest.mark.parametrize("before", [" ", "\ufeff", " \ufeff"])
@pytest.mark.parametrize("stamp", ["Aug  1 10:20:30", "2026-08-01T10:20:30.123456+02:00"])
def test_what_stands_before_a_text_is_none_of_it(stamp: str, before: str) -> None:
    text = f"<22>{stamp} mx1 postfix/smtp[1]: {before}x"
    found = parse_common(text, NOW, UTC)
    assert found is not None
    assert found.text == "x"
    assert found == parse_stamped(text, NOW, UTC)


def test_an_origin_longer_than_is_looked_at_is_left_to_the_careful_way() -> None:
    for stamp in ("Aug  1 10:20:30", "2026-08-01T10:20:30.123456+02:00"):
        text = f"<22>{stamp} {'h' * 600} postfix/smtp[1]: x"
        assert parse_common(text, NOW, UTC) is None
        found = parse_stamped(text, NOW, UTC)
        assert found is not None
        assert found.tag == "postfix/smtp"
