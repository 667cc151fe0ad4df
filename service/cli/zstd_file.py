"""Reading `.zst` files: any number of frames, a bounded piece at a time, and an error where the
file ends inside a frame (zstandard's own reader takes that for the end; RFC 8878 3.1.1)."""

import io
from typing import Any, BinaryIO

import zstandard

_READ_BYTES = 1024
"""Small, because four bytes of a frame can stand for 128 KiB of output."""


class ZstdFile(io.RawIOBase):
    """Raises `EOFError` for a file that is cut off, `zstandard.ZstdError` for one that is broken.
    Does not close `file`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._packed = b""
        self._unpacked = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._unpacked:
            self._packed = self._packed or self._read()
            if not self._packed:
                return 0
            self._unpack()
        size = min(len(buffer), len(self._unpacked))
        buffer[:size] = self._unpacked[:size]
        self._unpacked = self._unpacked[size:]
        return size

    def _read(self) -> bytes:
        data = self._file.read(_READ_BYTES)
        if not data and self._frame is not None:
            raise EOFError("ends inside a frame")
        return data

    def _unpack(self) -> None:
        if self._frame is None:
            self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._unpacked = memoryview(self._frame.decompress(self._packed))
        self._packed = b""
        if self._frame.eof:
            self._packed = self._frame.unused_data
            self._frame = None
