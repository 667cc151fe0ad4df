"""Lines of log files.

In: a path (`.gz`, `.xz`, `.zst` too), or standard input. Out: a frame for each line, bounded
however long that is.
"""

import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple, cast

import zstandard

from service.cli.zstd_file import ZstdFile
from service.core.framing.base import Frame


class OpenLog(NamedTuple):
    text: IO[bytes]
    """What stands in it, decompressed."""
    stored: IO[bytes]
    """The same as it is stored: `tell()` says how far it has been read."""


@contextmanager
def open_log(path: str) -> Iterator[OpenLog]:
    """`-` is standard input. Raises `OSError`, also for a file that is not what its name says."""
    if path == "-":
        yield OpenLog(sys.stdin.buffer, sys.stdin.buffer)
        return
    suffix = Path(path).suffix
    try:
        with open(path, "rb") as stored:
            if suffix == ".gz":
                with gzip.GzipFile(fileobj=stored) as file:
                    yield OpenLog(cast(BinaryIO, file), stored)
            elif suffix == ".xz":
                with lzma.open(stored) as file:
                    yield OpenLog(file, stored)
            elif suffix == ".zst":
                yield OpenLog(io.BufferedReader(ZstdFile(stored)), stored)
            else:
                yield OpenLog(stored, stored)
    except (
        gzip.BadGzipFile,
        zlib.error,
        lzma.LZMAError,
        zstandard.ZstdError,
        EOFError,
    ) as error:
        raise OSError(f"{path}: cannot be decompressed: {error}") from error


def read_lines(file: IO[bytes], max_bytes: int) -> Iterator[Frame]:
    """Each line without its end; a longer one is cut, marked, and its rest skipped."""
    while line := file.readline(max_bytes + 1):
        if len(line) <= max_bytes or line.endswith(b"\n"):
            yield Frame(line.removesuffix(b"\n").removesuffix(b"\r"))
            continue
        yield Frame(line[:max_bytes], truncated=True)
        while (rest := file.readline(max_bytes)) and not rest.endswith(b"\n"):
            pass
