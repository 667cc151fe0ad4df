"""Event ids that depend on the line alone."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.line import event_id
from tests.core.sample_facts import LINE, MESSAGE
from tests.sample_lines import NOW


class TestEventId:
    def test_is_a_function_of_the_line_and_its_host(self) -> None:
        """Not of time, connection, transport or settings (invariant 2)."""
        elsewhere = replace(
            LINE,
            received_at=NOW + timedelta(days=200),
            transport="udp",
            source_ip="2001:db8::1",
            keep_raw=False,
            raw=b"<0>the same record with another header",
            message=replace(MESSAGE, time=NOW, time_quality="exact", host="mx1.EXAMPLE.org"),
        )
        assert event_id(elsewhere) == event_id(LINE)

    @pytest.mark.parametrize(
        "changes",
        [
            {"stamp": "Aug 22 10:00:01"},
            {"host": "mx2"},
            {"tag": "postfix/smtpd"},
            {"pid": 8},
            {"pid": None},
            {"text": "4ABCDE12F: reject: ...."},
        ],
        ids=str,
    )
    def test_differs_with_each_part(self, changes: dict[str, object]) -> None:
        message = replace(MESSAGE, **changes)  # type: ignore[arg-type]
        assert event_id(replace(LINE, message=message)) != event_id(LINE)

    def test_lines_that_decoding_made_equal_stay_apart(self) -> None:
        message = replace(MESSAGE, text="\ufffd")
        first = replace(LINE, message=message, raw=b"<22>x: \xfe")
        assert event_id(first) != event_id(replace(first, raw=b"<22>x: \xff"))

    def test_tells_the_events_of_one_line_apart(self) -> None:
        assert len({event_id(LINE, ordinal) for ordinal in range(1001)}) == 1001

    @given(st.sampled_from(["", "\x1f", "\x1f1", "1"]), st.integers(1, 1000))
    def test_no_text_imitates_another_event_of_a_line(self, end: str, ordinal: int) -> None:
        other = replace(LINE, message=replace(MESSAGE, text=MESSAGE.text + end))
        assert event_id(other) != event_id(LINE, ordinal)

    def test_never_changes(self) -> None:
        """Two versions of the receiver, and a replay, must agree."""
        assert event_id(LINE) == "0ac1a6b5f14f55c904964a34ca648a14"
