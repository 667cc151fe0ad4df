"""What stands around the text of a record."""

from datetime import UTC, datetime

import pytest

from service.core.outcomes import Skip
from service.core.postfix import parse
from service.core.postfix.record import _IDENTITIES, identify, is_cut, split_severity, unfold
from service.core.postfix.remembered import MOST_REMEMBERED
from service.core.syslog.message import SyslogMessage


def test_identify_remembers_a_bounded_number_of_tags() -> None:
    for number in range(MOST_REMEMBERED + 10):
        identify(f"postfix-{number}/smtpd")
    assert len(_IDENTITIES) <= MOST_REMEMBERED
    assert identify("postfix-1/smtpd") == ("postfix-1", "smtpd")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("warning: x", ("warning", "x")),
        ("panic: warning: x", ("panic", "warning: x")),
        ("warning:x", (None, "warning:x")),
        ("4ABCDE12F: warning: header", (None, "4ABCDE12F: warning: header")),
        ("statistics: x", (None, "statistics: x")),
        ("", (None, "")),
    ],
)
def test_split_severity(text: str, parts: tuple[str | None, str]) -> None:
    assert split_severity(text) == parts


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("message repeated 2 times: [ x [y]]", ("x [y]", 2)),
        ("message repeated 2 times: [x]", ("x", 2)),
        ("message repeated x times: [ x]", ("message repeated x times: [ x]", 1)),
        ("x message repeated 2 times: [ x]", ("x message repeated 2 times: [ x]", 1)),
    ],
)
def test_unfold(text: str, parts: tuple[str, int]) -> None:
    assert unfold(text) == parts


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("x" * 1999, False),
        ("x" * 2000, True),
        ("é" * 999 + "x", False),
        ("é" * 1000, True),
        ("例" * 667, True),
        ("\U0001f4e7" * 500, True),
        ("\U0001f4e7" * 499, False),
        ("\ufffd" * 1997, False),  # one byte each, and at most three at the end
        ("\ufffd" * 1998, True),
        ("x" * 1997 + "\ufffd", True),
        ("\ud800" * 667, True),
        ("", False),
    ],
)
def test_is_cut(text: str, cut: bool) -> None:
    assert is_cut(text) is cut


def test_a_tag_of_a_whole_frame_is_not_remembered() -> None:
    before = len(_IDENTITIES)
    message = SyslogMessage(
        "", datetime(2026, 8, 1, tzinfo=UTC), "received", "mx1", "postfix/" + "x" * 60_000, 1, "x"
    )
    assert parse(message) is Skip.NOT_POSTFIX
    assert len(_IDENTITIES) == before
