"""`mailfault board` as a process, on a real nats-server with a stream."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nats.aio.client import Client

import schemas
from schemas import EventBase
from service.board.config import BoardConfig
from service.board.server import Board
from service.nats.config import NatsConfig
from tests.board.traffic import subject
from tests.cli.run import MAILFAULT, environment
from tests.nats_server import RealNats, client_of, stream_messages
from tests.serve import NOWHERE, Serve

TOKEN = "a-token-of-the-tests"


@asynccontextmanager
async def board(nats_url: str, *arguments: str, **variables: str) -> AsyncIterator[Serve]:
    process = await asyncio.create_subprocess_exec(
        *MAILFAULT,
        "board",
        *("--nats", nats_url, "--listen", "127.0.0.1:0"),
        *arguments,
        stderr=asyncio.subprocess.PIPE,
        env=environment(**variables),
    )
    made = Serve(process)
    try:
        await made.said("listening")
        yield made
    finally:
        if process.returncode is None:
            process.kill()
        await made.ended()


class Local:
    """A board in this process, which begins at once."""

    def __init__(self, made: Board) -> None:
        self._made = made

    def address(self, _: str) -> tuple[str, int]:
        return self._made.address


@asynccontextmanager
async def local(
    nats_url: str = NOWHERE,
    unread_seconds: float = 20,
    nats: dict[str, str] | None = None,
    **settings: object,
) -> AsyncIterator[Local]:
    config = BoardConfig.model_validate({"listen": "127.0.0.1:0", **settings})
    made = Board(
        config,
        NatsConfig.model_validate({"servers": [nats_url], **(nats or {})}),
        config.read_token(),
        unread_seconds,
    )
    made.start()
    try:
        yield Local(made)
    finally:
        await made.stop()


def url_of(made: Serve | Local, path: str = "/") -> str:
    host, port = made.address("board")
    return f"http://{host}:{port}{path}"


@asynccontextmanager
async def jetstream(home: Path) -> AsyncIterator[tuple[RealNats, Client]]:
    server = RealNats(home)
    await server.start()
    try:
        async with client_of(server) as client:
            await make_stream(client)
            yield server, client
    finally:
        await server.kill()


async def make_stream(client: Client, **more: Any) -> None:
    settings = {"allow_direct": True, **more}
    await client.jetstream().add_stream(name="POSTFIX", subjects=["postfix.>"], **settings)


def message(event: EventBase) -> tuple[str, bytes]:
    return subject(event), schemas.encode(event)


async def publish(client: Client, *events: EventBase) -> list[int]:
    """Numbers in the stream."""
    acks = [await client.jetstream().publish(*message(event)) for event in events]
    return [ack.seq for ack in acks]


async def publish_many(client: Client, messages: Iterable[tuple[str, bytes]]) -> None:
    """Without waiting for each; returns when the stream has them."""
    number = await stream_messages(client)
    for name, body in messages:
        await client.publish(name, body)
        number += 1
    async with asyncio.timeout(40):
        while await stream_messages(client) < number:  # noqa: ASYNC110  # the server does not tell
            await asyncio.sleep(0.05)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


async def ask(address: tuple[str, int], path: str, method: str = "GET", **headers: str) -> Answer:
    """One request. `headers`: with `_` for `-`; `body` is what goes with it."""
    body = headers.pop("body", "")
    given = {"Host": "localhost", **{k.replace("_", "-"): v for k, v in headers.items()}}
    if body:
        given["Content-Length"] = str(len(body))
    lines = [f"{method} {path} HTTP/1.1", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in given.items() if value]
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
        async with asyncio.timeout(20):
            head, _, answer = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    first, *rest = head.decode().split("\r\n")
    found = dict(line.split(": ", 1) for line in rest)
    return Answer(int(first.split()[1]), found, answer)


class Pages:
    """A page without a browser: what the feed says."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def status(self) -> int:
        async with asyncio.timeout(20):
            return int((await self._reader.readline()).split()[1])

    async def next(self, seconds: float = 20) -> tuple[str, dict[str, Any]]:
        kind = ""
        async with asyncio.timeout(seconds):
            while True:
                line = await self._reader.readline()
                if not line:
                    raise EOFError
                if line.startswith(b"event: "):
                    kind = line[7:].decode().strip()
                elif line.startswith(b"data: "):
                    return kind, json.loads(line[6:])

    async def until(self, wanted: Any) -> dict[str, Any]:
        """The first that satisfies it."""
        while True:
            _, data = await self.next()
            if wanted(data):
                return data


@asynccontextmanager
async def feed(address: tuple[str, int], query: str = "", **headers: str) -> AsyncIterator[Pages]:
    reader, writer = await asyncio.open_connection(*address, limit=2**20)
    given = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    writer.write(f"GET /api/stream?{query} HTTP/1.1\r\nHost: localhost\r\n{given}\r\n".encode())
    try:
        yield Pages(reader, writer)
    finally:
        writer.close()
