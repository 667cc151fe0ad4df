"""Many messages in one write, many acknowledgements in one read: what nats-py has no way for.

In: messages to publish; the bytes the server sends. Out: protocol lines (`lines`) on nats-py's own
queue; tokens of what JetStream stored. All that is no acknowledgement goes to nats-py's parser.

Rests on how nats-py 2.16 works inside: `_ps`, `_send_command`, `_flush_queue`, `_flush_pending`.
"""

from collections.abc import Callable

from nats.aio.client import Client
from nats.aio.transport import TcpTransport
from nats.errors import ConnectionClosedError, OutboundBufferLimitError
from nats.protocol.parser import AWAITING_CONTROL_LINE, Parser

from service.nats.lines import Lines, Stored

_CRLF = b"\r\n"
_LINES_OF_AN_ANSWER = 2
_UNSENT_BYTES = 64 * 1024
"""What the socket may owe while it is still written to past nats-py's queue."""


class Wire:
    """A connected client, and the answers to what is written to it. One for each connection."""

    def __init__(
        self, client: Client, inbox: str, good_start: bytes, take: Callable[[Stored], None]
    ) -> None:
        """`inbox`: with its last dot; the token follows. `take` gets the positive answers, and must
        not raise: it would end nats-py's reading task."""
        self.client = client
        self.lines = Lines(inbox, good_start)
        client._ps = _AnswerParser(client, self.lines, take)

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

    def write_now(self, data: bytes) -> None:
        """To the socket, past nats-py's queue, its task and two turns of the loop."""
        transport = self.client._transport
        if transport is not None:
            transport.write(data)

    async def write(self, data: bytes) -> None:
        """As `send`."""
        await send(self.client, data)


async def send(client: Client, data: bytes) -> None:
    """Puts protocol lines on the way; does not wait for the socket. Raises what nats-py's `publish`
    does: the connection is gone."""
    if client.is_closed:
        raise ConnectionClosedError
    if not client.is_connected:
        raise OutboundBufferLimitError
    await client._send_command(data)
    if client._flush_queue is not None and client._flush_queue.empty():
        await client._flush_pending()


class _AnswerParser(Parser):
    def __init__(self, client: Client, lines: Lines, take: Callable[[Stored], None]) -> None:
        super().__init__(client)
        self._lines = lines
        self._start = lines.answer_start
        self._take = take

    async def parse(self, data: bytes = b"") -> None:
        if self.state == AWAITING_CONTROL_LINE:
            if self.buf:
                data = bytes(self.buf) + data
                self.buf.clear()
            data = await self._without_answers(data)
            if data.startswith(self._start) and data.count(_CRLF) < _LINES_OF_AN_ANSWER:
                self.buf += data  # not yet whole
                return
        await super().parse(data)

    async def _without_answers(self, data: bytes) -> bytes:
        """What is left for nats-py's parser, which has had what stood between answers."""
        while True:
            stored, data = self._lines.read(data)
            if stored:
                self._take(stored)
            next_answer = data.find(self._start, 1)
            if next_answer < 0:
                return data
            await super().parse(data[:next_answer])
            data = data[next_answer:]
            if self.state != AWAITING_CONTROL_LINE or self.buf:
                return data  # it only looks like one, inside of another message
