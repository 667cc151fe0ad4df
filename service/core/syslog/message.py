"""A syslog message as the rest of the house sees it, whatever form it arrived in."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

TimeQuality = Literal["exact", "inferred", "received"]


@dataclass(slots=True, init=False)
class SyslogMessage:
    stamp: str
    """The time stamp exactly as it stands in the line; empty where there is none."""
    time: datetime
    """Aware, UTC."""
    time_quality: TimeQuality
    """`exact`: year and zone are in the line; `inferred`: one of them was not;
    `received`: there was no usable stamp and `time` is the time of receipt."""
    host: str | None
    """As sent; None where the line has none."""
    tag: str
    """Program name without PID: `postfix/submission/smtpd`, `dovecot`. May be empty."""
    pid: int | None
    """None where absent, not a number, or possibly cut (a tag of exactly 32 characters)."""
    text: str
    """The message proper, without the separator after the tag."""

    # Written out as in `core.postfix.facts`: for the compiled core.
    def __init__(
        self,
        stamp: str,
        time: datetime,
        time_quality: TimeQuality,
        host: str | None,
        tag: str,
        pid: int | None,
        text: str,
    ) -> None:
        self.stamp = stamp
        self.time = time
        self.time_quality = time_quality
        self.host = host
        self.tag = tag
        self.pid = pid
        self.text = text
