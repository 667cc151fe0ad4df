from typing import Any

import pytest
from pydantic import ValidationError

from schemas import InvalidEvent
from schemas.samples import example


def test_the_bytes_come_back_as_they_were() -> None:
    assert example(InvalidEvent, raw_base64="/wAKPA==").raw_bytes == b"\xff\x00\n<"


def test_it_stands_when_nothing_of_the_line_was_understood() -> None:
    event = InvalidEvent(
        event_id="0" * 32,
        event_time="2026-11-23T19:05:01Z",
        received_at="2026-11-23T19:05:01Z",
        time_quality="received",
        mta={"host": "", "transport": "udp"},
        reason="unknown_shape",
        raw_base64="",
    )
    assert event.raw_bytes == b""


@pytest.mark.parametrize("changes", [{"raw_base64": "?"}, {"raw_base64": None}, {"reason": None}])
def test_refuses(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        example(InvalidEvent, **changes)
