"""A milter (mail filter) over TCP: the few packets of Sendmail's milter protocol that it takes to
refuse a recipient or a message. It decides by the recipient's name, up to the first `+`.

A packet is a 4 byte length, a command byte and its data (Postfix `milter/milter8.c`).
"""

import asyncio
import struct
from contextlib import AsyncExitStack

from tests.e2e.local import start_server

AT_RCPT = {"milter-busy": "451 4.7.1 Greylisting in action, please come back later"}
AT_END = {"milter-spam": "550 5.7.1 Blocked by the filter: from=<fake@x>"}

_NEGOTIATE, _MACROS, _RCPT, _END = b"O", b"D", b"R", b"E"
_ABORT, _QUIT, _QUIT_NEW = b"A", b"Q", b"K"
_CONTINUE, _REPLY = b"c", b"y"
_VERSION = 6
# Of connect, helo, mail, rcpt, body, headers, end of headers, unknown, data: only rcpt is wanted.
_STEPS_NOT_WANTED = 0x1 | 0x2 | 0x4 | 0x10 | 0x20 | 0x40 | 0x100 | 0x200


async def start(cleanup: AsyncExitStack) -> int:
    """Returns the port."""
    return await start_server(_serve, cleanup)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    name = ""
    try:
        while True:
            (length,) = struct.unpack("!I", await reader.readexactly(4))
            packet = await reader.readexactly(length)
            command, data = packet[:1], packet[1:]
            if command == _QUIT:
                return
            if command in (_MACROS, _ABORT, _QUIT_NEW):
                continue  # these have no answer
            if command == _NEGOTIATE:
                _send(writer, _NEGOTIATE, struct.pack("!III", _VERSION, 0, _STEPS_NOT_WANTED))
            elif command == _RCPT:
                name = data.partition(b"\0")[0].strip(b"<>").partition(b"+")[0].decode()
                _decide(writer, AT_RCPT.get(name))
            elif command == _END:
                _decide(writer, AT_END.get(name))
            else:
                _send(writer, _CONTINUE)
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


def _decide(writer: asyncio.StreamWriter, refusal: str | None) -> None:
    if refusal is None:
        _send(writer, _CONTINUE)
    else:
        _send(writer, _REPLY, refusal.encode() + b"\0")


def _send(writer: asyncio.StreamWriter, command: bytes, data: bytes = b"") -> None:
    writer.write(struct.pack("!I", 1 + len(data)) + command + data)
