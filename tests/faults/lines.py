"""Numbered failure lines, and what of them is in the stream."""

import re
from collections import Counter
from collections.abc import Iterable

import orjson

from benchmarks.stream import Stream

_RECIPIENT = re.compile(r"user(\d+)@example\.net")
_PER_SECOND = 1000


def text(number: int) -> str:
    return (
        f"4ABC{number % 100_000:05d}: to=<user{number}@example.net>, relay=none, delay=1,"
        " delays=1/0/0/0, dsn=5.4.4, status=bounced (Host or domain name not found)"
    )


def line(number: int) -> bytes:
    """As rsyslog's ForwardFormat has it: each line is its own event."""
    seconds, part = divmod(number, _PER_SECOND)
    minutes, seconds = divmod(seconds, 60)
    stamp = f"2026-11-23T10:{minutes:02d}:{seconds:02d}.{part * 1000:06d}+00:00"
    return f"<22>{stamp} mx1 postfix/smtp[99]: {text(number)}".encode()


def lines(first: int, end: int) -> list[bytes]:
    return [line(number) for number in range(first, end)]


def whole_second_line(number: int) -> bytes:
    """As the traditional format has it: only the number tells it from its neighbours."""
    return f"<22>Nov 23 10:00:00 mx1 postfix/smtp[99]: {text(number)}".encode()


def local_lines(first: int, end: int) -> list[bytes]:
    """As syslog(3) writes them to /dev/log: rsyslog puts host and time in."""
    return [f"<22>Nov 23 10:00:00 postfix/smtp[99]: {text(n)}".encode() for n in range(first, end)]


async def stored(stream: Stream) -> Counter[int]:
    """How often each number is in the stream; -1 for what is none of ours."""
    found: Counter[int] = Counter()
    async for message in stream.read_back():
        event = orjson.loads(message.data)
        match = _RECIPIENT.fullmatch(event.get("recipient") or "")
        found[int(match[1]) if match else -1] += 1
    return found


def times(numbers: Iterable[int], count: int = 1) -> Counter[int]:
    """What is expected: each of them so often."""
    return Counter(dict.fromkeys(numbers, count))
