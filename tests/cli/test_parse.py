"""`mailfault parse`: every line accounted for, as events or counted, by the settings that apply."""

import os
from pathlib import Path

import pytest

import schemas
from tests import sample_lines as lines
from tests.cli.parsing import MIX, MIX_OUTCOMES, log_file, outcomes, parse
from tests.cli.run import assert_quiet_unread, objects, run, run_process


def test_events_as_they_would_be_published(tmp_path: Path) -> None:
    done = run_process("parse", log_file(tmp_path, b"\n".join(MIX) + b"\n"))
    assert done.returncode == 0
    assert done.stderr == b""
    events = [schemas.decode(line) for line in done.stdout.splitlines()]
    assert [event.event_type for event in events] == [
        event_type for _, event_type, _ in MIX_OUTCOMES if event_type
    ]
    for event in events:
        assert event.mta.transport == "file"
        assert event.mta.source_ip is None
    published = lines.envelope(0)
    (parsed,) = objects(parse(log_file(tmp_path, lines.numbered(0))))
    assert parsed["event_id"] == published.message_id, "a replay adds nothing"


def test_every_line_in_order(tmp_path: Path) -> None:
    file = log_file(tmp_path, b"\n".join(MIX) + b"\n")
    assert outcomes(parse("--every-line", file)) == MIX_OUTCOMES


def test_the_number_stands_first_and_changes_nothing(tmp_path: Path) -> None:
    (numbered,) = objects(parse("--every-line", log_file(tmp_path, lines.REJECT)))
    (plain,) = objects(parse(log_file(tmp_path, lines.REJECT)))
    assert list(numbered) == ["line", *plain]
    assert schemas.decode(parse("--every-line", log_file(tmp_path, lines.REJECT))).queue_id is None


def test_time_zone(tmp_path: Path) -> None:
    file = log_file(tmp_path, lines.REJECT)
    os.utime(file, (1_567_300_000, 1_567_300_000))
    (event,) = objects(parse("--timezone", "America/New_York", file))
    assert event["event_time"] == "2019-08-22T14:00:00Z"
    done = run("parse", "--timezone", "Mars/Base", file)
    assert done.returncode == 2
    assert b"pipeline.default_timezone: no time zone 'Mars/Base'" in done.stderr


def test_configuration_file(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text("[pipeline]\nkeep_raw = false\n")
    (event,) = objects(parse("--config", config, log_file(tmp_path, lines.REJECT)))
    assert event["raw"] is None


class TestSummary:
    def test_counts(self, tmp_path: Path) -> None:
        output = parse("--summary", log_file(tmp_path, b"\n".join(MIX))).decode()
        rows = dict(
            row.strip("│ ").replace(" ", "").split("│") for row in output.splitlines() if "│" in row
        )
        assert rows["bounced"] == "4"
        assert rows["reject"] == rows["invalid"] == "1"
        assert rows["unknown_user"] == "4"
        assert rows["mx1"] == "6"
        assert rows["not_a_failure"] == "3"
        assert output.endswith("10 lines\n")

    def test_hostile_names_are_text(self, tmp_path: Path) -> None:
        """And no markup: `[/x]` closes nothing, `[red]` colours nothing."""
        data = b"\n".join(
            b"<22>1 2026-08-22T10:00:00Z %s postfix/smtpd 1 - - NOQUEUE: reject: new" % host
            for host in (b"[/x]", b"[red]y", b"\x1b[31mz", b"\xe2\x80\xaez")
        )
        output = parse("--summary", log_file(tmp_path, data)).decode()
        assert "[/x]" in output
        assert "[red]y" in output
        assert "?[31mz" in output
        assert "\x1b" not in output
        assert "\u202e" not in output


@pytest.mark.parametrize("size", [1, 5000])
@pytest.mark.parametrize("option", [[], ["--every-line"], ["--summary"]])
def test_a_reader_that_has_seen_enough(tmp_path: Path, size: int, option: list[str]) -> None:
    """In small output the last flush finds it."""
    file = log_file(tmp_path, (lines.REJECT + b"\n") * size)
    assert_quiet_unread("parse", *option, file)


def test_rules_of_ones_own(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(
        '[[rule]]\nid = "x"\nany = "zork"\ncategory = "timeout"\nscope = "local"\nsource = "us"\n'
    )
    file = log_file(tmp_path, lines.UNCLASSIFIED)
    (event,) = objects(run("parse", file, MAILFAULT_CLASSIFY__RULES=str(rules)).stdout)
    assert (event["category"], event["scope"]) == ("timeout", "local")
    rules.write_text("[[rule]]")
    done = run("parse", file, MAILFAULT_CLASSIFY__RULES=str(rules))
    assert (done.returncode, done.stdout) == (78, b"")
    assert done.stderr.startswith(f"configuration: {rules}: rule number 1: id: is missing".encode())


def test_unknown_option() -> None:
    assert run("parse", "--every-lines").returncode == 2


def test_a_later_line_completes_an_earlier_one_and_the_order_stays(tmp_path: Path) -> None:
    """Whatever the number of bounces: a file need not be quick."""
    wire = lines.with_notices(60)
    found = objects(parse("--every-line", log_file(tmp_path, b"\n".join(wire) + b"\n")))
    assert [each["line"] for each in found] == list(range(1, len(wire) + 1))
    notices = [each["notice"]["queue_id"] for each in found if each["event_type"] == "bounced"]
    assert notices == [f"5F{number:07}" for number in range(60)]


def test_an_expiry_is_several_objects_of_one_line(tmp_path: Path) -> None:
    expired = lines.HEADER + b"qmgr[1]: 4ABCDE12F: from=<a@x>, status=expired, returned to sender"
    wire = [lines.DEFERRED, lines.DEFERRED.replace(b"later@", b"too@"), expired, lines.HARMLESS]
    found = outcomes(parse("--every-line", log_file(tmp_path, b"\n".join(wire) + b"\n")))
    assert found == [
        (1, "deferred", None),
        (2, "deferred", None),
        (3, "bounced", None),
        (3, "bounced", None),
        (3, "resolved", None),
        (3, "resolved", None),
        (4, None, "not_a_failure"),
    ]
