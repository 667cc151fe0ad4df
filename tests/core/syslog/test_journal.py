import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from service.core.syslog.journal import parse_journal_json, parse_short_full
from service.core.syslog.message import SyslogMessage

NOW = datetime(2026, 8, 22, 10, 0, tzinfo=UTC)
AUG_1 = datetime(2026, 8, 1, 8, 20, 30, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
FIELDS: dict[str, object] = {
    "__CURSOR": "s=1",
    "__REALTIME_TIMESTAMP": "1785572430123456",
    "_HOSTNAME": "mx1",
    "_PID": "7",
    "_COMM": "smtpd",
    "SYSLOG_IDENTIFIER": "postfix/smtpd",
    "SYSLOG_PID": "99",
    "PRIORITY": "6",
    "MESSAGE": "NOQUEUE: x",
}


def parse(**changes: object) -> SyslogMessage | None:
    fields = {name: value for name, value in (FIELDS | changes).items() if value != "absent"}
    return parse_journal_json(json.dumps(fields), NOW, UTC)


class TestJson:
    def test_every_field(self) -> None:
        assert parse() == SyslogMessage(
            "1785572430123456",
            AUG_1.replace(microsecond=123_456),
            "exact",
            "mx1",
            "postfix/smtpd",
            99,
            "NOQUEUE: x",
        )

    def test_pid_of_the_kernel_where_the_sender_tells_none(self) -> None:
        found = parse(SYSLOG_PID="absent")
        assert found is not None
        assert found.pid == 7

    def test_name_of_the_process_where_the_sender_tells_none(self) -> None:
        found = parse(SYSLOG_IDENTIFIER="absent")
        assert found is not None
        assert found.tag == "smtpd"

    def test_message_that_is_no_utf8(self) -> None:
        found = parse(MESSAGE=[78, 79, 255])
        assert found is not None
        assert found.text == "NO\ufffd"

    @pytest.mark.parametrize("message", [None, 1, {}, [], [999]])
    def test_message_that_is_no_text(self, message: object) -> None:
        found = parse(MESSAGE=message)
        assert found is not None
        assert found.text == ""

    @pytest.mark.parametrize("stamp", ["", "x", "-1", "9" * 18, "9" * 5000, "\u0661", None])
    def test_unusable_stamp(self, stamp: str | None) -> None:
        found = parse(__REALTIME_TIMESTAMP=stamp)
        assert found is not None
        assert (found.time, found.time_quality) == (NOW, "received")

    def test_a_pid_that_is_none(self) -> None:
        for pid in ("x", "12345678901", "\u0661"):
            found = parse(SYSLOG_PID=pid)
            assert found is not None
            assert found.pid is None

    @pytest.mark.parametrize("text", ["", "{", '{"MESSAGE"', '{"a":"b"}', '["MESSAGE"]'])
    def test_other_lines(self, text: str) -> None:
        assert parse_journal_json(text, NOW, UTC) is None


@pytest.mark.parametrize(
    ("stamp", "time", "quality"),
    [
        ("Sat 2026-08-01 10:20:30 CEST", AUG_1, "inferred"),
        ("Sat 2026-08-01 08:20:30 UTC", AUG_1, "exact"),
        ("Sat 2026-08-01 08:20:30 GMT", AUG_1, "exact"),
        ("Sat 2026-08-01 11:20:30 +03", AUG_1, "exact"),
        ("Sat 2026-08-01 04:50:30 -0330", AUG_1, "exact"),
        (
            "Sat 2026-08-01 08:20:30.123456 UTC",
            AUG_1.replace(microsecond=123_456),
            "exact",
        ),
        ("Sat 2026-02-30 08:20:30 UTC", NOW, "received"),
    ],
)
def test_short_full(stamp: str, time: datetime, quality: str) -> None:
    found = parse_short_full(f"{stamp} mx1 postfix/smtpd[99]: x", NOW, BERLIN)
    assert found is not None
    assert (found.stamp, found.time, found.time_quality) == (stamp, time, quality)
    assert (found.host, found.tag, found.pid, found.text) == ("mx1", "postfix/smtpd", 99, "x")


@pytest.mark.parametrize(
    "text", ["", "Sat 2026-08-01 10:20:30 mx1 a[1]: x", "Sat Aug 1 10:20:30 x"]
)
def test_not_short_full(text: str) -> None:
    assert parse_short_full(text, NOW, BERLIN) is None
