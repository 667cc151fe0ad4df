"""What each kind of field takes and refuses, and how it is written."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import TypeAdapter, ValidationError

from schemas.fields import (
    Base64,
    Count,
    Domain,
    EnhancedCode,
    EventId,
    Open,
    Ordinal,
    Port,
    QueueId,
    Seconds,
    SmtpCode,
    Status,
    UtcDatetime,
    Word,
)
from schemas.vocabulary import Category

TAKES: list[tuple[Any, Any]] = [
    (EventId, "0123456789abcdef" * 2),
    (EnhancedCode, "5.1.1"),
    (EnhancedCode, "4.7.606"),
    (EnhancedCode, "2.0.0"),
    (SmtpCode, 200),
    (SmtpCode, 599),
    (QueueId, "A1B2C3"),
    (QueueId, "123450987"),
    (QueueId, "4dLkQh2rJ1z9sVb"),
    (QueueId, "F423FFFFFFFFFFFFFFFFF"),
    (Base64, ""),
    (Base64, "PDIyPg=="),
    (Base64, "PDIyPjE="),
    (Port, 0),
    (Port, 65_535),
    (Count, 0),
    (Count, 2**63 - 1),
    (Ordinal, 1),
    (Seconds, 0),
    (Seconds, 1e9),
    (Status, "force-expired"),
    (Word, "new_word"),
    (Word, "relp-tls"),
]

REFUSES: list[tuple[Any, Any]] = [
    (EventId, "0123456789ABCDEF" * 2),
    (EventId, "0123456789abcdef"),
    (EventId, "0123456789abcdef" * 2 + "\n"),
    (EnhancedCode, "3.1.1"),
    (EnhancedCode, "5.1"),
    (EnhancedCode, "5.1.1000"),
    (EnhancedCode, "5.1.1\n"),
    (EnhancedCode, "\N{ARABIC-INDIC DIGIT FIVE}.1.1"),
    (SmtpCode, 199),
    (SmtpCode, 600),
    (QueueId, "NO-QUEUE"),
    (QueueId, ""),
    (QueueId, "A1B2C3\n"),
    (QueueId, "A" * 33),
    (Base64, "PDIyPg="),
    (Base64, "PDIyPg"),
    (Base64, "PDIy Pg=="),
    (Base64, "PD_yPg=="),
    (Port, -1),
    (Port, 65_536),
    (Count, -1),
    (Count, 2**63),
    (Ordinal, 0),
    (Seconds, -0.1),
    (Seconds, float("nan")),
    (Seconds, float("inf")),
    (Status, ""),
    (Status, "x" * 65),
    (Word, "New"),
    (Word, "two words"),
    (Word, "a.b"),
    (Word, ""),
    (Word, "x" * 65),
]


@pytest.mark.parametrize(("field", "value"), TAKES)
def test_takes(field: Any, value: Any) -> None:
    assert TypeAdapter(field).validate_python(value) == value


@pytest.mark.parametrize(("field", "value"), REFUSES)
def test_refuses(field: Any, value: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(field).validate_python(value)


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (datetime(2026, 11, 23, 19, 5, 1, 123456, UTC), "2026-11-23T19:05:01.123456Z"),
        (datetime(2026, 11, 23, 19, 5, 1, 120000, UTC), "2026-11-23T19:05:01.120000Z"),
        (datetime(2026, 11, 23, 19, 5, 1, 0, UTC), "2026-11-23T19:05:01Z"),
        (datetime(2026, 11, 23, 19, 5, 1, 0, ZoneInfo("UTC")), "2026-11-23T19:05:01Z"),
        ("2026-11-23T19:05:01.123456789Z", "2026-11-23T19:05:01.123456Z"),
        ("2026-11-23T19:05:01+00:00", "2026-11-23T19:05:01Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
    ],
)
def test_a_time_is_written_in_utc_with_z(given: datetime | str, written: str) -> None:
    adapter = TypeAdapter[datetime](UtcDatetime)
    assert adapter.dump_json(adapter.validate_python(given)).decode() == f'"{written}"'


@pytest.mark.parametrize(
    "given",
    [
        datetime(2026, 11, 23, 19, 5, 1),  # noqa: DTZ001
        datetime(2026, 11, 23, 19, 5, 1, tzinfo=timezone(timedelta(hours=1))),
        "2026-11-23T19:05:01",
        "2026-11-23T19:05:01+01:00",
        "0001-01-01T00:00:00+01:00",
        "Nov 23 19:05:01",
    ],
)
def test_a_time_without_zone_or_of_another_zone_is_refused(given: datetime | str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(UtcDatetime).validate_python(given)


@pytest.mark.parametrize(
    ("given", "kept"),
    [("Example.ORG", "example.org"), ("BÜCHER.example", "bücher.example"), ("", "")],
)
def test_a_domain_is_made_lower_case(given: str, kept: str) -> None:
    assert TypeAdapter(Domain).validate_python(given) == kept


def test_an_open_enum_gives_the_member_for_a_word_it_knows() -> None:
    adapter = TypeAdapter[Category | str](Open[Category])
    assert adapter.validate_json('"tls"') is Category.TLS
    assert adapter.validate_python("tls") is Category.TLS
    assert adapter.validate_python(Category.TLS) is Category.TLS
    assert adapter.dump_json(Category.TLS) == b'"tls"'


def test_an_open_enum_keeps_a_word_it_does_not_know() -> None:
    adapter = TypeAdapter[Category | str](Open[Category])
    assert adapter.validate_json('"quantum_loss"') == "quantum_loss"
    assert adapter.dump_json("quantum_loss") == b'"quantum_loss"'


@pytest.mark.parametrize("word", ['""', '"TLS"', '"a b"', "7", "null", '"a.b"', '"*"'])
def test_an_open_enum_refuses_what_is_no_word(word: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Open[Category]).validate_json(word)
