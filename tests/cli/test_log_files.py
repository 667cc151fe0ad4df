"""Rotated files: their order, and the year of stamps that name none."""

import gzip
import os
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from service.cli.log_files import LogFile, log_file, oldest_first
from service.core.syslog.timestamp import stamp_time

LINE = "%s mx1 postfix/smtpd[7]: connect from a.example[192.0.2.1]\n"


def write(folder: Path, name: str, *stamps: str, written: str | None = None) -> str:
    """`written`: the file's time; None where copying lost it."""
    path = folder / name
    text = "".join(LINE % stamp for stamp in stamps).encode()
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    if written is not None:
        seconds = datetime.fromisoformat(written).replace(tzinfo=UTC).timestamp()
        os.utime(path, (seconds, seconds))
    return str(path)


def names(files: list[LogFile]) -> list[str]:
    return [Path(file.path).name for file in files]


def year(file: LogFile, stamp: str) -> int:
    time, quality = stamp_time(stamp, file.near, UTC)
    assert quality == "inferred"
    return time.year


class TestOrder:
    @pytest.mark.parametrize("seed", range(4))
    def test_numbers_of_logrotate_whatever_the_shell_made_of_them(
        self, tmp_path: Path, seed: int
    ) -> None:
        """`mail.log*` gives mail.log.10.gz before mail.log.2.gz; their times are lost."""
        paths = [write(tmp_path, "mail.log", "Mar 12 00:00:01")]
        paths += [write(tmp_path, f"mail.log.{n}.gz", f"Mar {12 - n:2} 00:00:01") for n in (1, 2)]
        paths.append(write(tmp_path, "mail.log.10.gz", "Mar  2 00:00:01"))
        Random(seed).shuffle(paths)
        found = names(oldest_first(paths, UTC))
        assert found == ["mail.log.10.gz", "mail.log.2.gz", "mail.log.1.gz", "mail.log"]

    def test_dates_in_the_names(self, tmp_path: Path) -> None:
        marks = ["maillog", "maillog-20260301.gz", "maillog-20251201", "maillog.2026-01-01"]
        paths = [write(tmp_path, name, "Mar  2 00:00:01") for name in marks]
        assert names(oldest_first(paths, UTC)) == [marks[2], marks[3], marks[1], marks[0]]

    def test_different_logs_by_their_first_stamps(self, tmp_path: Path) -> None:
        late = write(tmp_path, "a.log", "2026-03-01T00:00:00+00:00")
        early = write(tmp_path, "b.log", "2026-02-01T00:00:00+00:00")
        rotated = write(tmp_path, "b.log.1", "2026-01-01T00:00:00+00:00")
        assert names(oldest_first([late, early, rotated], UTC)) == ["b.log.1", "b.log", "a.log"]

    def test_of_two_folders_are_two_logs(self, tmp_path: Path) -> None:
        (tmp_path / "mx1").mkdir()
        (tmp_path / "mx2").mkdir()
        stamps = {"mx1/mail.log": "06", "mx2/mail.log.1": "02", "mx2/mail.log": "04"}
        paths = [
            write(tmp_path, name, f"2026-{month}-01T00:00:00Z") for name, month in stamps.items()
        ]
        found = [str(Path(file.path).relative_to(tmp_path)) for file in oldest_first(paths, UTC)]
        assert found == ["mx2/mail.log.1", "mx2/mail.log", "mx1/mail.log"]

    def test_each_file_once(self, tmp_path: Path) -> None:
        path = write(tmp_path, "mail.log", "Mar  2 00:00:01")
        (tmp_path / "link").symlink_to(path)
        assert len(oldest_first([path, path, str(tmp_path / "link")], UTC)) == 1

    def test_standard_input_comes_last(self, tmp_path: Path) -> None:
        path = write(tmp_path, "mail.log", "2026-03-01T00:00:00Z")
        assert names(oldest_first(["-", path], UTC)) == ["mail.log", "-"]

    def test_a_named_pipe_is_not_read_ahead_of_time(self, tmp_path: Path) -> None:
        """Nobody writes to it yet; and what is read from it is gone."""
        os.mkfifo(tmp_path / "pipe")
        path = write(tmp_path, "mail.log", "2026-03-01T00:00:00Z")
        files = oldest_first([str(tmp_path / "pipe"), path], UTC)
        assert names(files) == ["mail.log", "pipe"]
        assert files[1].size is None

    def test_what_cannot_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "mail.log.1.gz").write_bytes(b"no gzip")
        with pytest.raises(OSError, match=r"mail.log.1.gz: cannot be decompressed"):
            oldest_first([str(tmp_path / "mail.log.1.gz")], UTC)
        with pytest.raises(FileNotFoundError):
            oldest_first([str(tmp_path / "absent")], UTC)


class TestYear:
    def test_the_last_one_before_the_file_was_written(self, tmp_path: Path) -> None:
        file = log_file(write(tmp_path, "mail.log", written="2019-03-10"))
        assert year(file, "Mar  9 23:59:59") == 2019
        assert year(file, "Mar 11 00:00:00") == 2019, "clocks and zones may differ by a day"
        assert year(file, "Apr  1 00:00:00") == 2018

    def test_of_a_leap_day(self, tmp_path: Path) -> None:
        file = log_file(write(tmp_path, "mail.log", written="2016-03-05"))
        assert year(file, "Feb 29 10:00:00") == 2016

    def test_of_a_whole_year_in_one_file(self, tmp_path: Path) -> None:
        """The year that is nearest to the file's time would be the next one."""
        file = log_file(write(tmp_path, "mail.log", written="2018-12-31T23:59:00"))
        assert {year(file, f"{month}  5 10:00:00") for month in ("Jan", "Jul", "Dec")} == {2018}

    def test_new_year_within_a_file(self, tmp_path: Path) -> None:
        file = log_file(write(tmp_path, "mail.log", written="2019-01-02T06:00:00"))
        assert year(file, "Dec 31 23:59:59") == 2018
        assert year(file, "Jan  1 00:00:00") == 2019

    def test_of_files_whose_times_were_lost(self, tmp_path: Path) -> None:
        """Two years of months, all copied today but for the last: each begins after the one
        before it."""
        months = [
            "Jan",
            "Feb",
            "Mar",
            "Apr",
            "May",
            "Jun",
            "Jul",
            "Aug",
            "Sep",
            "Oct",
            "Nov",
            "Dec",
        ]
        paths = []
        for age in range(24):
            month = months[11 - age % 12]
            name = f"mail.log.{age}" if age else "mail.log"
            written = None if age else "2018-12-31T12:00:00"
            paths.append(write(tmp_path, name, f"{month}  1 00:00:10", f"{month} 28 10:00:00",
                               written=written))  # fmt: skip
        files = oldest_first(sorted(paths), UTC)
        assert names(files)[0] == "mail.log.23"
        years = [
            year(file, f"{month} 28 10:00:00")
            for file, month in zip(files, months * 2, strict=True)
        ]
        assert years == [2017] * 12 + [2018] * 12

    def test_a_file_from_the_future_is_of_now(self, tmp_path: Path) -> None:
        file = log_file(write(tmp_path, "mail.log", written="2100-01-01"))
        assert file.newest <= datetime.now(UTC)

    def test_a_file_without_a_stamp_bounds_nothing_more(self, tmp_path: Path) -> None:
        old = write(tmp_path, "mail.log.1", "Aug  1 00:00:00", written="2017-09-01")
        (tmp_path / "mail.log").write_bytes(b"\xff\n" * 500)
        first, second = oldest_first([str(tmp_path / "mail.log"), old], UTC)
        assert (Path(first.path).name, Path(second.path).name) == ("mail.log.1", "mail.log")
        assert year(first, "Aug  1 00:00:00") == 2017

    def test_a_pipe_is_being_written(self) -> None:
        """`tail -F` into it may go on for months."""
        file = log_file("-")
        before = datetime.now(UTC)
        assert file.newest >= before
        assert file.newest > before, "now, each time"
