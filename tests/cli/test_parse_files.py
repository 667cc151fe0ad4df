"""What `mailfault parse` reads: files of every kind, whole or damaged, and odd lines in them."""

import gzip
import lzma
import os
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

import schemas
from service.core.framing.base import MAX_FRAME_BYTES
from tests import sample_lines as lines
from tests.cli.parsing import MIX, MIX_OUTCOMES, log_file, outcomes, parse
from tests.cli.run import objects, run, run_process


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
