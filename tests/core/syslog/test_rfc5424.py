from datetime import UTC, datetime

import pytest

from service.core.syslog.message import SyslogMessage
from service.core.syslog.rfc5424 import parse_rfc5424

NOW = datetime(2026, 8, 22, 10, 0, tzinfo=UTC)
TIME = datetime(2026, 8, 1, 10, 20, 30, tzinfo=UTC)
HEAD = "<22>1 2026-08-01T10:20:30Z mx1 postfix/smtp 99 ID47 "


def parse(text: str) -> SyslogMessage | None:
    return parse_rfc5424(text, NOW, UTC)


@pytest.mark.parametrize(
    ("after_msgid", "text"),
    [
        ("- x y", "x y"),
        ("-  x", "x"),
        ("- \ufeffx", "x"),
        ("-  \ufeffx", "x"),
        ("-", ""),
        ("- ", ""),
        ("", ""),
        ("- - x", "- x"),
        ("[a@1] x", "x"),
        ("[a@1]", ""),
        ('[a@1 b="c"] x', "x"),
        ('[a@1 b="c" d="e"][f g=""][h] x', "x"),
        (r'[a b="\"] no text \" ] - "] x', "x"),
        (r'[a b="\\"] x', "x"),
        (r'[a b="\]"] x', "x"),
        (r'[a b="\n"] x', "x"),
        ('[a b="\\\n"] x', "x"),
        ('[a b="]"] x', "x"),
        ('[a b="j\u00f6rg"] [b] x', "[b] x"),
        # broken: nothing is taken for structured data
        ('[a b="c] x', '[a b="c] x'),
        ("[a b=c] x", "[a b=c] x"),
        ("[a x", "[a x"),
        ("[] x", "[] x"),
        ("[a]x", "[a]x"),
        ("x y", "x y"),
        ("-x", "-x"),
    ],
)
def test_structured_data_is_no_text(after_msgid: str, text: str) -> None:
    assert parse(HEAD + after_msgid) == SyslogMessage(
        "2026-08-01T10:20:30Z", TIME, "exact", "mx1", "postfix/smtp", 99, text
    )


def test_a_line_that_ends_with_the_header() -> None:
    found = parse(HEAD.rstrip())
    assert found is not None
    assert (found.pid, found.text) == (99, "")


def test_nil_values() -> None:
    assert parse("<0>1 - - - - - - x") == SyslogMessage("", NOW, "received", None, "", None, "x")


@pytest.mark.parametrize("procid", ["abc", "-1", "99x", "12345678901", "\u0661"])
def test_a_procid_that_is_no_pid(procid: str) -> None:
    found = parse(f"<22>1 - mx1 postfix {procid} - - x")
    assert found is not None
    assert found.pid is None


def test_an_unusable_stamp_is_kept() -> None:
    for stamp in ("2026-02-30T10:20:30Z", "2026-08-01T10:20Z", "2026-08-x"):
        found = parse(f"<22>1 {stamp} mx1 postfix 1 - - x")
        assert found is not None
        assert (found.stamp, found.time, found.time_quality) == (stamp, NOW, "received")


@pytest.mark.parametrize(
    "text",
    [
        "1 2026-08-01T10:20:30Z mx1 postfix 1 - - x",
        "<22>2 2026-08-01T10:20:30Z mx1 postfix 1 - - x",
        "<22>1 Aug  1 10:20:30 mx1 postfix[1]: x",
        "<22>1 2026-08-01T10:20:30Z mx1 postfix",
        "<22>1  mx1 postfix 1 - - x",
        "<192>1 - mx1 postfix 1 - - x",
    ],
)
def test_other_forms(text: str) -> None:
    assert parse(text) is None


def test_a_long_value_without_its_end_costs_no_more_than_its_length() -> None:
    for value in ("a" * 60_000, r"\"" * 30_000, 'b" c="' * 10_000):
        found = parse(f'{HEAD}[a b="{value}')
        assert found is not None
        assert found.text.startswith("[a b=")
