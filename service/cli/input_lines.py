"""Lines of log files: plain, `.gz`, `.xz`, `.zst`, or standard input; bounded however long."""

import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

import zstandard

from service.cli.zstd_file import ZstdFile
from service.core.framing.base import Frame


@contextmanager
def open_log(path: str) -> Iterator[IO[bytes]]:
    """`-` is standard input. Raises `OSError`, also for a file that is not what its name says."""
    if path == "-":
        yield sys.stdin.buffer
        return
    suffix = Path(path).suffix
    try:
        if suffix == ".gz":
            with gzip.open(path, "rb") as file:
                yield cast(BinaryIO, file)
        elif suffix == ".xz":
            with lzma.open(path, "rb") as file:
                yield file
        elif suffix == ".zst":
            with open(path, "rb") as packed:
                yield io.BufferedReader(ZstdFile(packed))
        else:
            with open(path, "rb") as file:
                yield file
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
