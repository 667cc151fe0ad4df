"""Many messages in one write, many acknowledgements in one read: what nats-py has no way for.

In: messages to publish; the bytes the server sends. Out: protocol lines on nats-py's own queue;
tokens of what JetStream stored. nats-py's `publish` and its parser cost some 15 us for each message
and its acknowledgement, of which a third is left here. Protocol: docs.nats.io, "Client Protocol".

Only the commonest lines are read here, positive acknowledgements on our inbox; all others go to
nats-py's parser, byte for byte. Rests on how nats-py 2.16 works inside: `_ps`, `_send_command`,
`_flush_queue`, `_flush_pending`.
"""

import re
from collections.abc import Callable
from functools import lru_cache

from nats.aio.client import Client
from nats.aio.transport import TcpTransport
from nats.errors import ConnectionClosedError, OutboundBufferLimitError
from nats.protocol.parser import AWAITING_CONTROL_LINE, Parser

Stored = list[tuple[int, bool]]
"""Tokens of messages that JetStream has stored, and whether it had each already."""

_SUBJECT = re.compile(r"[^\s\x00-\x1f\x7f]+")
_CRLF = b"\r\n"
_LINES_OF_AN_ANSWER = 2
_UNSENT_BYTES = 64 * 1024
"""What the socket may owe while it is still written to past nats-py's queue."""
_DUPLICATE = b'"duplicate"'
"""Stands in an acknowledgement only when true."""


class Wire:
    """A connected client, and the answers to what is written to it. One for each connection."""

    def __init__(
        self, client: Client, inbox: str, good_start: bytes, take: Callable[[Stored], None]
    ) -> None:
        """`inbox`: with its last dot; the token follows. `take` gets the positive answers, and must
        not raise: it would end nats-py's reading task."""
        self.client = client
        self._inbox = inbox
        client._ps = _AnswerParser(client, inbox, good_start, take)

    @property
    def unsent_bytes(self) -> int:
        return self.client.pending_data_size

    @property
    def is_prompt(self) -> bool:
        """Whether `write_now` may be called: nothing waits to be written before."""
        client = self.client
        transport = client._transport
        if client._pending or not client.is_connected or not isinstance(transport, TcpTransport):
            return False
        writer = transport._io_writer
        return writer is not None and writer.transport.get_write_buffer_size() < _UNSENT_BYTES

    def write_now(self, commands: list[bytes]) -> None:
        """To the socket, past nats-py's queue, its task and two turns of the loop."""
        transport = self.client._transport
        if transport is not None:
            transport.write(b"".join(commands))

    def command(self, subject: str, token: int, head: bytes, body: bytes) -> bytes:
        """An `HPUB`. Raises `ValueError` for a subject or reply that would break the line."""
        if not _is_subject(subject):
            raise ValueError(f"no NATS subject: {subject[:100]!r}")
        size = len(head)
        return b"HPUB %b %b%d %d %d\r\n%b%b\r\n" % (
            subject.encode(),
            self._inbox.encode(),
            token,
            size,
            size + len(body),
            head,
            body,
        )

    async def write(self, commands: list[bytes]) -> None:
        """Puts them on the way; does not wait for the socket. Raises what nats-py's `publish` does:
        the connection is gone."""
        client = self.client
        if client.is_closed:
            raise ConnectionClosedError
        if not client.is_connected:
            raise OutboundBufferLimitError
        await client._send_command(b"".join(commands))
        if client._flush_queue is not None and client._flush_queue.empty():
            await client._flush_pending()


def head(message_id: str, header_lines: str) -> bytes:
    """The header block of a message. `header_lines`: `name: value` lines joined by CR LF, without
    the last CR LF; may be empty. Raises `UnicodeError` for what is not ASCII."""
    lines = f"{header_lines}\r\n" if header_lines else ""
    return f"NATS/1.0\r\nNats-Msg-Id: {message_id}\r\n{lines}\r\n".encode("ascii")


@lru_cache(maxsize=4096)
def _is_subject(subject: str) -> bool:
    if not _SUBJECT.fullmatch(subject):
        return False
    subject.encode()  # a surrogate is a `UnicodeError`, so a `ValueError`
    return True


class _AnswerParser(Parser):
    def __init__(
        self, client: Client, inbox: str, good_start: bytes, take: Callable[[Stored], None]
    ) -> None:
        super().__init__(client)
        self._start = b"MSG " + inbox.encode()
        self._answer = re.compile(
            re.escape(self._start)
            + rb"([0-9]{1,18}) [0-9]{1,18} ([0-9]{1,6})\r\n("
            + re.escape(good_start)
            + rb"[^\r]*)\r\n"
        )
        self._take = take

    async def parse(self, data: bytes = b"") -> None:
        if self.state == AWAITING_CONTROL_LINE:
            if self.buf:
                data = bytes(self.buf) + data
                self.buf.clear()
            data = self._without_answers(data)
            if data.startswith(self._start) and data.count(_CRLF) < _LINES_OF_AN_ANSWER:
                self.buf += data  # not yet whole
                return
        await super().parse(data)

    def _without_answers(self, data: bytes) -> bytes:
        stored: Stored = []
        place = 0
        while match := self._answer.match(data, place):
            token, size, answer = match.groups()
            if len(answer) != int(size):
                break
            stored.append((int(token), _DUPLICATE in answer))
            place = match.end()
        if stored:
            self._take(stored)
        return data[place:]
