"""Whether somebody else had his hands on the files of the open database.

SQLite does not look. It goes on in a file that was cut short until it happens to read there, and in
one that has lost its name for ever; what is committed meanwhile is lost, and its senders were told
that it is safe. So the writer looks, before and after each commit: three calls of `stat`, beside
one of `fsync`.

In: what the files were like when we last had to do with them. Out: what is different, in words.
Others may write to the database, through SQLite, as `mailfault spool requeue` does: the log then
grows, and may be moved into the database.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from service.spool.database import WAL_BYTES, family


@dataclass(frozen=True, slots=True)
class _File:
    place: tuple[int, int]
    """Device and inode: the same name may stand for another file."""
    size: int
    written: int


@dataclass(frozen=True, slots=True)
class Footprint:
    database: _File | None
    log: _File | None
    index: _File | None

    @classmethod
    def of(cls, path: Path) -> "Footprint":
        """Raises `OSError`, but not for a file that is not there."""
        return cls(*(_look(member) for member in family(path)))

    def are_those_of(self, now: "Footprint") -> bool:
        """Whether all three are the files they were. SQLite makes the log and its index when it
        first writes, and keeps both while the database is open."""
        return all(
            before is not None and after is not None and before.place == after.place
            for before, after in zip(self._files, now._files, strict=True)
        )

    def is_cut(self, now: "Footprint", database_bytes: int) -> bool:
        """`database_bytes`: what SQLite takes the database for. Some of it may be in the log only,
        but nothing that was in the file before."""
        return _size(now.database) < min(_size(self.database), database_bytes) or _size(
            now.log
        ) < min(_size(self.log), WAL_BYTES)

    def is_written_over(self, now: "Footprint") -> bool:
        """For when we have not written meanwhile ourselves."""
        return self.database != now.database

    @property
    def _files(self) -> tuple[_File | None, ...]:
        return self.database, self.log, self.index


def _look(path: Path) -> _File | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return _File((status.st_dev, status.st_ino), status.st_size, status.st_mtime_ns)


def _size(file: _File | None) -> int:
    return 0 if file is None else file.size
