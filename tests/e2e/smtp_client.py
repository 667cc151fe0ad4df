"""An SMTP client that says exactly what a test wants said, well-formed or not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

HELO = "client.example.net"


class Session:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def say(self, command: str) -> str:
        """Send one command, or a whole message; returns the reply, its lines joined."""
        self._writer.write(command.encode() + b"\r\n")
        await self._writer.drain()
        return await self.reply()

    async def reply(self) -> str:
        lines: list[str] = []
        while True:
            line = (await self._reader.readuntil(b"\n")).decode().rstrip("\r\n")
            lines.append(line)
            if line[3:4] != "-":
                return " ".join(lines)

    async def send(
        self,
        sender: str,
        *recipients: str,
        message: str = "Subject: x\r\n\r\nhi",
        options: str = "",
    ) -> str:
        """A whole transaction; `options` go with MAIL. Returns the queue id, or the reply that
        refused the message."""
        await self.expect("250", f"MAIL FROM:<{sender}> {options}".rstrip())
        for recipient in recipients:
            await self.expect("250", f"RCPT TO:<{recipient}>")
        return await self.data(message)

    async def data(self, message: str) -> str:
        await self.expect("354", "DATA")
        reply = await self.say(message + "\r\n.")
        return reply.rpartition("queued as ")[2]

    async def expect(self, code: str, command: str) -> str:
        reply = await self.say(command)
        assert reply.startswith(code), f"{command}: {reply}"
        return reply


@asynccontextmanager
async def connected(port: int, helo: str | None = HELO) -> AsyncIterator[Session]:
    """Greeted, and introduced with EHLO unless `helo` is None."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    session = Session(reader, writer)
    try:
        await session.reply()
        if helo is not None:
            await session.say(f"EHLO {helo}")
        yield session
        if not reader.at_eof():
            await session.say("QUIT")
    finally:
        writer.close()
