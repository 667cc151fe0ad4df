"""A syslog message as the rest of the house sees it, whatever form it arrived in."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

TimeQuality = Literal["exact", "inferred", "received"]


@dataclass(slots=True)
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
