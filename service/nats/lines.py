"""Protocol lines by the hundred: messages to publish, and acknowledgements of what was stored.

In: messages with their tokens; bytes that the server sends. Out: `HPUB` lines, and the tokens of
positive acknowledgements. nats-py's `publish` and its parser cost many times as much for each
message and its acknowledgement. Protocol: docs.nats.io, "Client Protocol".

Only the commonest lines are read here, positive acknowledgements on our inbox; whatever comes
after another one is given back, byte for byte.
"""

import re

from service.core.envelope import Envelope

Stored = list[tuple[int, bool]]
"""Tokens of messages that JetStream has stored, and whether it had each already."""

_SUBJECT = re.compile(r"[^\s\x00-\x1f\x7f]+")
_SUBJECT_MAX = 2048
"""With the reply subject still below the server's `max_control_line` of 4096."""
_REMEMBERED = 4096
_FORMS = 64
_DUPLICATE = b'"duplicate"'
"""Stands in an acknowledgement only when true."""
_HEAD = "NATS/1.0\r\nNats-Msg-Id: "
_AROUND = len(_HEAD) + len("\r\n\r\n")
_TOKEN_DIGITS = 18


def header_size(envelope: Envelope) -> int:
    """Bytes of its header block, if that is ASCII."""
    lines = len(envelope.header_lines)
    return _AROUND + len(envelope.message_id) + (lines + 2 if lines else 0)


class Lines:
    """Of one connection."""

    def __init__(self, inbox: str, good_start: bytes) -> None:
        """`inbox`: with its last dot; the token follows. `good_start`: of an acknowledgement."""
        self._inbox = inbox
        self._good_start = good_start
        self.answer_start = b"MSG " + inbox.encode()
        self._starts: dict[str, str] = {}
        self._forms: dict[int, bytes] = {}
        """What follows the token in an acknowledgement, up to its number in the stream; by the
        length of all that follows the token. There are as many as that number has had digits."""

    def publish(self, envelope: Envelope, token: int) -> bytes:
        """The `HPUB` line of a message and its header block, which its body and CR LF follow.
        Raises `UnicodeError` for headers that are not ASCII, and else `ValueError` for a subject
        that is too long or would break the line."""
        start = self._starts.get(envelope.subject) or self._start(envelope.subject)
        name, lines = envelope.message_id, envelope.header_lines
        if not (name.isascii() and lines.isascii()):
            f"{name}{lines}".encode("ascii")  # says what is not
        size = header_size(envelope)
        end = f"{lines}\r\n\r\n" if lines else "\r\n"
        line = f"{start}{token} {size} {size + len(envelope.body)}\r\n{_HEAD}{name}\r\n{end}"
        return line.encode()

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
        parts = data.split(self.answer_start)
        if parts[0]:
            return stored, data
        has_duplicates = data.find(_DUPLICATE) >= 0
        place = 0
        for part in parts[1:]:
            token, _, answer = part.partition(b" ")
            form = self._forms.get(len(answer)) or self._form(answer)
            # A part is one whole message: else its length would be another than it says.
            if not form or not answer.startswith(form) or not _is_token(token):
                break
            stored.append((int(token), has_duplicates and answer.find(_DUPLICATE) >= 0))
            place += len(self.answer_start) + len(part)
        return stored, data[place:]

    def _form(self, answer: bytes) -> bytes:
        """Empty: this is no whole acknowledgement, or no positive one."""
        head, _, rest = answer.partition(b"\r\n")
        sizes = head.split(b" ")
        if (
            len(sizes) != 2
            or not all(_is_token(size) for size in sizes)
            or int(sizes[1]) + 2 != len(rest)
            or not rest.startswith(self._good_start)
        ):
            return b""
        form = head + b"\r\n" + self._good_start
        if len(self._forms) >= _FORMS:
            self._forms.clear()
        self._forms[len(answer)] = form
        return form


def _is_token(text: bytes) -> bool:
    return text.isdigit() and len(text) <= _TOKEN_DIGITS
