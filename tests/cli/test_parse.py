"""`mailfault parse`: every line accounted for, whatever the file."""

import gzip
import lzma
import os
import subprocess
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

import schemas
from service.core.framing.base import MAX_FRAME_BYTES
from tests import sample_lines as lines
from tests.cli.run import MAILFAULT, environment, objects, run, run_process

MIX = [
    lines.HARMLESS,
    lines.REJECT,
    b"",
    lines.SENT,
    lines.REPEATED,
    lines.NOT_POSTFIX,
    lines.UNKNOWN_SHAPE,
    lines.NOT_SYSLOG,
    lines.PROBE,
    lines.BOUNCED,
]
MIX_OUTCOMES = [
    (1, None, "not_a_failure"),
    (2, "reject", None),
    (3, None, "not_a_failure"),
    (4, None, "not_a_failure"),
    (5, "bounced", None),
    (5, "bounced", None),
    (5, "bounced", None),
    (6, None, "not_postfix"),
    (7, "invalid", None),
    (8, None, "not_syslog"),
    (9, None, "probe"),
    (10, "bounced", None),
]


def log_file(folder: Path, data: bytes, name: str = "mail.log") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def parse(*arguments: str | Path, data: bytes = b"") -> bytes:
    done = run("parse", *arguments, data=data)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


def outcomes(output: bytes) -> list[tuple[int, str | None, str | None]]:
    return [(o["line"], o["event_type"], o.get("skipped")) for o in objects(output)]


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


@pytest.mark.parametrize(
    "wire",
    [b"\n".join(MIX), b"\r\n".join(MIX) + b"\r\n", b"\n".join(MIX) + b"\n"],
    ids=["no final newline", "crlf", "lf"],
)
def test_line_ends(tmp_path: Path, wire: bytes) -> None:
    found = objects(parse("--every-line", log_file(tmp_path, wire)))
    assert [(o["line"], o["event_type"], o.get("skipped")) for o in found] == MIX_OUTCOMES
    plain = objects(parse("--every-line", log_file(tmp_path, b"\n".join(MIX) + b"\n")))
    assert [o.get("event_id") for o in found] == [o.get("event_id") for o in plain]


def test_the_number_stands_first_and_changes_nothing(tmp_path: Path) -> None:
    (numbered,) = objects(parse("--every-line", log_file(tmp_path, lines.REJECT)))
    (plain,) = objects(parse(log_file(tmp_path, lines.REJECT)))
    assert list(numbered) == ["line", *plain]
    assert schemas.decode(parse("--every-line", log_file(tmp_path, lines.REJECT))).queue_id is None


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz", ".zst"])
def test_compressed_files(tmp_path: Path, suffix: str) -> None:
    half = len(MIX) // 2
    first, second = (b"".join(line + b"\n" for line in part) for part in (MIX[:half], MIX[half:]))
    pack = {
        "": lambda data: data,
        ".gz": gzip.compress,
        ".xz": lzma.compress,
        ".zst": zstandard.ZstdCompressor().compress,
    }[suffix]
    # Two members in one file, as appending to a rotated log makes them.
    file = log_file(tmp_path, pack(first) + pack(second), f"mail.log.1{suffix}")
    assert outcomes(parse("--every-line", file)) == MIX_OUTCOMES


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_standard_input(arguments: list[str]) -> None:
    done = run_process("parse", "--every-line", *arguments, data=b"\n".join(MIX))
    assert done.returncode == 0
    assert outcomes(done.stdout) == MIX_OUTCOMES


def test_several_files_are_numbered_through(tmp_path: Path) -> None:
    first = log_file(tmp_path, lines.HARMLESS + b"\n" + lines.REJECT, "a")
    second = log_file(tmp_path, lines.DEFERRED + b"\n", "b")
    assert [(n, kind) for n, kind, _ in outcomes(parse("--every-line", first, second))] == [
        (1, None),
        (2, "reject"),
        (3, "deferred"),
    ]


@pytest.mark.parametrize("data", [b"", b"\n", b"\n\n\n"])
def test_blank_lines_and_none(tmp_path: Path, data: bytes) -> None:
    file = log_file(tmp_path, data)
    assert parse(file) == b""
    found = outcomes(parse("--every-line", file))
    assert found == [(n + 1, None, "not_a_failure") for n in range(data.count(b"\n"))]


class TestOddLines:
    def test_over_long_lines_are_cut_and_are_one_line(self, tmp_path: Path) -> None:
        long = lines.REJECT + b" " + b"x" * (3 * MAX_FRAME_BYTES)
        exact = lines.DEFERRED.ljust(MAX_FRAME_BYTES, b" ")
        file = log_file(tmp_path, b"\n".join([long, exact, lines.BOUNCED, long]))
        found = objects(parse("--every-line", file))
        assert [o["line"] for o in found] == [1, 2, 3, 4]
        assert [o["event_type"] for o in found] == ["reject", "deferred", "bounced", "reject"]
        assert found[0]["truncated"]
        assert not found[2]["truncated"]
        assert len(found[0]["raw"]) == MAX_FRAME_BYTES

    def test_nul_does_not_end_a_line(self, tmp_path: Path) -> None:
        line = lines.REJECT.replace(b"helo=<bad", b"helo=<b\0ad") + b" \0\0 "
        found = objects(parse("--every-line", log_file(tmp_path, b"\0\n" + line + b"\n")))
        assert [(o["line"], o["event_type"]) for o in found] == [(1, None), (2, "reject")]

    def test_bytes_that_are_no_utf8(self, tmp_path: Path) -> None:
        line = lines.REJECT.replace(b"bad.example", b"\xff\xc3(\xed\xa0\x80")
        output = parse(log_file(tmp_path, line))
        event = schemas.decode(output)
        assert event.event_type == "reject"
        assert event.raw is not None
        assert "\ufffd" in event.raw

    def test_what_drives_a_terminal_is_escaped_and_means_the_same(self, tmp_path: Path) -> None:
        hostile = "\x1b[2J\x7f\x9b\x85\u202e\u2028\U000e0001"
        output = parse(log_file(tmp_path, lines.REJECT.replace(b"bad.example", hostile.encode())))
        assert output.decode().removesuffix("\n").isprintable()
        event = schemas.decode(output)
        assert event.raw is not None
        assert hostile in event.raw

    @settings(max_examples=25)
    @given(st.lists(st.one_of(st.sampled_from(MIX), st.binary(max_size=60)), max_size=12))
    def test_any_file(self, some: list[bytes]) -> None:
        data = b"\n".join(some)
        found = objects(parse("--every-line", data=data))
        expected = data.count(b"\n") + (0 if data.endswith(b"\n") or not data else 1)
        assert sorted({o["line"] for o in found}) == list(range(1, expected + 1))
        assert [o["line"] for o in found] == sorted(o["line"] for o in found)


class TestUnreadable:
    @pytest.mark.parametrize(
        ("name", "data", "told"),
        [
            ("absent.log", None, "No such file or directory"),
            ("folder", "folder", "Is a directory"),
            ("plain.gz", b"no gzip", "cannot be decompressed"),
            ("cut.gz", gzip.compress(b"x" * 999)[:-4], "cannot be decompressed"),
            ("plain.xz", b"no xz", "cannot be decompressed"),
            ("cut.xz", lzma.compress(b"x\n" * 999)[:-4], "cannot be decompressed"),
            ("plain.zst", b"no zstd", "cannot be decompressed"),
            (
                "cut.zst",
                zstandard.ZstdCompressor().compress(os.urandom(9999))[:-4],
                "cannot be decompressed",
            ),
        ],
    )
    def test_is_said_and_the_others_are_read(
        self, tmp_path: Path, name: str, data: bytes | str | None, told: str
    ) -> None:
        bad = tmp_path / name
        if isinstance(data, bytes):
            bad.write_bytes(data)
        elif data:
            bad.mkdir()
        good = log_file(tmp_path, lines.REJECT)
        done = run("parse", good, bad, good)
        assert done.returncode == 1
        assert [o["event_type"] for o in objects(done.stdout)] == ["reject", "reject"]
        (said,) = done.stderr.decode().splitlines()
        assert said.startswith("parse: ")
        assert told in said
        assert name in said

    def test_damaged_in_the_middle(self, tmp_path: Path) -> None:
        """What came before is read; a checksum or the code itself finds the damage."""
        packed = bytearray(gzip.compress(b"".join(lines.numbered(n) + b"\n" for n in range(2000))))
        for at in range(len(packed) // 2, len(packed) // 2 + 8):
            packed[at] ^= 0xFF
        done = run("parse", log_file(tmp_path, bytes(packed), "mail.log.gz"))
        assert done.returncode == 1
        assert b"Traceback" not in done.stderr
        assert b"mail.log.gz: cannot be decompressed" in done.stderr


class TestYear:
    """A stamp without a year is near the time the file was written."""

    def parsed(self, file: Path) -> dict[str, object]:
        (event,) = objects(parse(file))
        return event

    def test_of_an_old_file(self, tmp_path: Path) -> None:
        file = log_file(tmp_path, lines.REJECT)
        now = self.parsed(file)
        os.utime(file, (1_567_300_000, 1_567_300_000))  # 2019-09-01
        then = self.parsed(file)
        assert then["event_time"] == "2019-08-22T10:00:00Z"
        assert then["time_quality"] == "inferred"
        assert then["event_id"] == now["event_id"], "the id does not depend on it"
        assert str(then["received_at"]) > "2020", "it is read now"

    def test_of_a_compressed_one(self, tmp_path: Path) -> None:
        file = log_file(tmp_path, gzip.compress(lines.REJECT), "mail.log.9.gz")
        os.utime(file, (1_546_400_000, 1_546_400_000))  # 2019-01-02: it is of the year before
        assert self.parsed(file)["event_time"] == "2018-08-22T10:00:00Z"


def test_time_zone(tmp_path: Path) -> None:
    file = log_file(tmp_path, lines.REJECT)
    os.utime(file, (1_567_300_000, 1_567_300_000))
    (event,) = objects(parse("--timezone", "America/New_York", file))
    assert event["event_time"] == "2019-08-22T14:00:00Z"
    done = run("parse", "--timezone", "Mars/Base", file)
    assert done.returncode == 78
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
    """Quiet, as other filters are; in small output the last flush finds it."""
    file = log_file(tmp_path, (lines.REJECT + b"\n") * size)
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*MAILFAULT, "parse", *option, str(file)],
        stdout=writing,
        stderr=subprocess.PIPE,
        env=environment(),
        timeout=50,
        check=False,
    )
    os.close(writing)
    assert done.stderr == b""
    assert done.returncode in (0, 1)


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
    wire = []
    for number in range(60):
        queue_id = b"4AB%05dF" % number
        wire += [
            lines.HEADER + b"qmgr[1]: %b: from=<a@x>, size=9, nrcpt=1 (queue active)" % queue_id,
            lines.BOUNCED.replace(b"4ABCDE12F", queue_id),
            lines.HARMLESS,
            lines.HEADER
            + b"bounce[1]: %b: sender non-delivery notification: 5F%07d" % (queue_id, number),
            lines.HEADER + b"qmgr[1]: %b: removed" % queue_id,
        ]
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
