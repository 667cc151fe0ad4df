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

SUBJECT: Final = re.compile(r"[^\s\x00-\x1f\x7f]+")
"""What may stand in a protocol line as one word."""
_SUBJECT_MAX = 2048
"""With the reply subject still below the server's `max_control_line` of 4096."""
_REMEMBERED = 4096
_DUPLICATE: Final = '"duplicate"'
"""Stands in an acknowledgement only when true."""
_HEAD: Final = "NATS/1.0\r\nNats-Msg-Id: "
_AROUND: Final = len(_HEAD) + len("\r\n\r\n")
_TOKEN_AND_SIZES: Final = re.compile(
    r"(?P<token>[0-9]{1,18})(?P<sizes> [0-9]{1,18} (?P<size>[0-9]{1,18})\r\n)"
)
"""Of a `MSG` line, behind our inbox: token, number of the subscription, size."""


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
        # Of the last acknowledgement: the next one nearly always has as many digits.
        self._token_size = 0
        self._form = " "
        """What followed its token, up to its number in the stream. At first nothing is like it."""
        self._form_size = 0
        """Characters from the token to the end."""

    def publish(self, envelope: Envelope, token: str) -> bytes:
        """The `HPUB` line of a message and its header block, which its body and CR LF follow.
        Raises `UnicodeError` for headers that are not ASCII, and else `ValueError` for a subject
        that is too long or would break the line."""
        start = self._starts.get(envelope.subject) or self._start(envelope.subject)
        name, lines = envelope.message_id, envelope.header_lines
        size = header_size(envelope)
        end = "\r\n\r\n" if lines else "\r\n"
        total = size + len(envelope.body)
        line = f"{start}{token} {size} {total}\r\n{_HEAD}{name}\r\n{lines}{end}"
        data = line.encode()
        if len(data) != len(line):  # else all is ASCII, without a look at each part
            f"{name}{lines}".encode("ascii")  # says what is not
        return data

    def _start(self, subject: str) -> str:
        if len(subject) > _SUBJECT_MAX:
            raise ValueError(f"over {_SUBJECT_MAX} characters")
        if not SUBJECT.fullmatch(subject):
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
        if not data.startswith(self.answer_start):
            return stored, data
        start = self._answer_start
        # As text, one character for each byte: tokens are, and slices of it are as cheap.
        text = data.decode("latin-1")
        has_duplicates = text.find(_DUPLICATE) >= 0
        place, at = 0, len(start)
        while text[place:at] == start:
            end = at + self._token_size
            if text[end : end + len(self._form)] != self._form:
                end = self._learn(text, at)
            after = end + self._form_size
            token = text[at:end]
            if not token.isdecimal() or after > len(text):
                break  # none of ours, or not yet whole
            stored.append((token, has_duplicates and text.find(_DUPLICATE, end, after) >= 0))
            place, at = after, after + len(start)
        return stored, data[place:]

    def _learn(self, text: str, at: int) -> int:
        """Where the token of an acknowledgement ends that begins at `at`, and its form from now on;
        `at` if it is no whole or no positive one."""
        found = _TOKEN_AND_SIZES.match(text, at)
        if found is None:
            return at
        size = int(found["size"])
        good, end = self._good_start, found.end()
        if not text.startswith(good, end) or not text.startswith("\r\n", end + size):
            return at
        self._token_size = found.end("token") - at
        self._form = found["sizes"] + good
        self._form_size = len(found["sizes"]) + size + len("\r\n")
        return found.end("token")
