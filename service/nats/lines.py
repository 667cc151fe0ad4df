"""Protocol lines by the hundred: messages to publish, and acknowledgements of what was stored.

In: messages with their tokens; bytes that the server sends. Out: `HPUB` lines, and the tokens of
positive acknowledgements. nats-py's `publish` and its parser cost many times as much for each
message and its acknowledgement. Protocol: docs.nats.io, "Client Protocol".

Only the commonest lines are read here, positive acknowledgements on our inbox; whatever comes
after another one is given back, byte for byte.
"""

import re
from typing import Final

from service.core.envelope import Envelope

Stored = list[tuple[str, bool]]
"""Tokens of messages that JetStream has stored, and whether it had each already."""

_SUBJECT = re.compile(r"[^\s\x00-\x1f\x7f]+")
_SUBJECT_MAX = 2048
"""With the reply subject still below the server's `max_control_line` of 4096."""
_REMEMBERED = 4096
_DUPLICATE: Final = '"duplicate"'
"""Stands in an acknowledgement only when true."""
_HEAD: Final = "NATS/1.0\r\nNats-Msg-Id: "
_AROUND: Final = len(_HEAD) + len("\r\n\r\n")
_DIGITS: Final = 18
"""Of a number, at most."""


def header_size(envelope: Envelope) -> int:
    """Bytes of its header block, if that is ASCII."""
    lines = len(envelope.header_lines)
    return _AROUND + len(envelope.message_id) + (lines + 2 if lines else 0)


class Lines:
    """Of one connection."""

    def __init__(self, inbox: str, good_start: bytes) -> None:
        """`inbox`: with its last dot; the token follows. `good_start`: of an acknowledgement."""
        self._inbox = inbox
        self._good_start = good_start.decode("latin-1")
        self.answer_start = b"MSG " + inbox.encode()
        self._answer_start = self.answer_start.decode("latin-1")
        self._starts: dict[str, str] = {}
        self._form = " "
        """What followed the token in the last acknowledgement, up to its number in the stream. Few
        have another: it changes with the digits of that number. At first nothing follows like
        this."""
        self._form_size = 0
        """Characters of all that followed the token in it."""

    def publish(self, envelope: Envelope, token: str) -> bytes:
        """The `HPUB` line of a message and its header block, which its body and CR LF follow.
        Raises `UnicodeError` for headers that are not ASCII, and else `ValueError` for a subject
        that is too long or would break the line."""
        start = self._starts.get(envelope.subject) or self._start(envelope.subject)
        name, lines = envelope.message_id, envelope.header_lines
        size = header_size(envelope)
        end = f"{lines}\r\n\r\n" if lines else "\r\n"
        line = f"{start}{token} {size} {size + len(envelope.body)}\r\n{_HEAD}{name}\r\n{end}"
        data = line.encode()
        if len(data) != len(line):  # else all is ASCII, without a look at each part
            f"{name}{lines}".encode("ascii")  # says what is not
        return data

    def _start(self, subject: str) -> str:
        if len(subject) > _SUBJECT_MAX:
            raise ValueError(f"over {_SUBJECT_MAX} characters")
        if not _SUBJECT.fullmatch(subject):
            raise ValueError(f"no NATS subject: {subject[:100]!r}")
        start = f"HPUB {subject} {self._inbox}"
        try:
            start.encode()
        except UnicodeError as error:  # a surrogate
            raise ValueError(str(error)) from error
        if len(self._starts) >= _REMEMBERED:
            self._starts.clear()
        self._starts[subject] = start
        return start

    def read(self, data: bytes) -> tuple[Stored, bytes]:
        """What the positive acknowledgements at the beginning tell, and what follows them."""
        stored: Stored = []
        # As text, one character for each byte: tokens are, and slices of it are as cheap.
        text = data.decode("latin-1")
        parts = text.split(self._answer_start)
        if parts[0]:
            return stored, data
        has_duplicates = text.find(_DUPLICATE) >= 0
        place = 0
        for part in parts[1:]:
            end = len(part) - self._form_size
            if end <= 0 or part[end : end + len(self._form)] != self._form:
                end = self._learn(part)
            token = part[:end]
            if end > _DIGITS or not token.isdecimal():
                break
            whole = end + self._form_size
            stored.append((token, has_duplicates and part.find(_DUPLICATE, end, whole) >= 0))
            place += len(self._answer_start) + whole
            if whole < len(part):  # another message stands between this answer and the next
                break
        return stored, data[place:]

    def _learn(self, part: str) -> int:
        """Where the token of an acknowledgement ends, and how it goes on from now on; 0 if this is
        no whole one, or no positive one."""
        token, _, rest = part.partition(" ")
        sizes, _, answer = rest.partition("\r\n")
        sid, _, size = sizes.partition(" ")
        if (
            not (_is_number(sid) and _is_number(size))
            or not answer.startswith("\r\n", int(size))
            or not answer.startswith(self._good_start)
        ):
            return 0
        self._form = f" {sizes}\r\n{self._good_start}"
        self._form_size = len(f" {sizes}\r\n") + int(size) + len("\r\n")
        return len(token)


def _is_number(text: str) -> bool:
    return text.isdecimal() and len(text) <= _DIGITS
