"""What may answer in place of a NATS server."""

import asyncio
import time


class Peer:
    """A server that greets, hears one thing, answers, and says good-bye."""

    def __init__(
        self,
        answers: list[bytes],
        greeting: bytes = b'INFO {"max_payload": 1000000, "headers": true}\r\n',
        then: bytes = b"",
    ) -> None:
        self._greeting = greeting
        self._answers = answers
        self._then = then
        self.came: list[float] = []
        self.heard = b""
        self.port = 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "Peer":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came.append(time.time())
        try:
            writer.write(self._greeting)
            for answer in self._answers:
                while not self.heard.endswith(b"PING\r\n"):
                    if not (data := await reader.read(65_536)):
                        return
                    self.heard += data
                self.heard = b""
                writer.write(answer)
            writer.write(self._then)
            await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
