"""The time of each generated line: a clock of its own that moves on with every line.

Out: what stands before the host name. Forms: `forward` (rsyslog's RSYSLOG_ForwardFormat, RFC 3339
with microseconds), `traditional` (RFC 3164 4.1.2), `rfc5424` (RFC 5424 6.2).
"""

import time

FORMATS = ("forward", "traditional", "rfc5424")

START = 1_785_571_200
"""2026-08-01T08:00:00Z: fixed, as everything here."""
_OFFSET = 2 * 3600
_ZONE = "+02:00"
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
"""Not the locale's: `strftime` would ask it."""


class Clock:
    def __init__(self, header_format: str, lines_per_second: int = 8000) -> None:
        if header_format not in FORMATS:
            raise ValueError(f"unknown format {header_format!r}; one of {', '.join(FORMATS)}")
        self.seconds = START
        self.microseconds = 0
        self._format = header_format
        self._spread = 2_000_000 / lines_per_second
        self._text = self._second()

    def advance(self, luck: float) -> str:
        """Move on by at least a microsecond (`luck`: 0 up to 1) and give the stamp."""
        self.microseconds += 1 + int(luck * self._spread)
        if self.microseconds >= 1_000_000:
            self.next_second(self.microseconds - 1_000_000)
        if self._format == "traditional":
            return self._text
        return f"{self._text}{self.microseconds:06d}{_ZONE}"

    def next_second(self, microseconds: int = 0) -> str:
        self.seconds += 1
        self.microseconds = microseconds
        self._text = self._second()
        return self._text

    def _second(self) -> str:
        local = time.gmtime(self.seconds + _OFFSET)
        if self._format == "traditional":
            month = _MONTHS[3 * local.tm_mon - 3 : 3 * local.tm_mon]
            return f"{month} {local.tm_mday:2d} {time.strftime('%H:%M:%S', local)}"
        version = "1 " if self._format == "rfc5424" else ""
        return version + time.strftime("%Y-%m-%dT%H:%M:%S.", local)
