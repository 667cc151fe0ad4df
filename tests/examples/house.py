"""Where events come from: a real nats-server, and a real receiver that is sent Postfix's lines."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from nats.aio.client import Client

from schemas.samples import example_bytes
from tests.nats_server import RealNats, client_of, real_nats, stream_messages
from tests.serve import Serve, serve


@dataclass
class House:
    nats: RealNats
    client: Client
    receiver: Serve
    events: int = 0
    rollups: int = 0

    async def roll_up(self) -> None:
        """As the receiver does once a minute."""
        await self.client.jetstream().publish("postfix.rollup.mx1", example_bytes("rollup"))
        self.rollups += 1

    async def log(self, *texts: str, events: int, host: str = "mx1") -> None:
        """Postfix writes these now; returns when the stream has that many events more."""
        now = datetime.now(UTC).isoformat()
        lines = [f"<22>{now} {host} postfix/{text}\n" for text in texts]
        await self.receiver.send_tcp("".join(lines).encode())
        self.events += events
        await self.receiver.until("published_total", self.events, result="ok")
        assert await stream_messages(self.client) == self.events + self.rollups

    async def replay_to(self, durable: str) -> None:
        """All that is in the stream is delivered once more."""
        assert await self.client.jetstream().delete_consumer("POSTFIX", durable)


@asynccontextmanager
async def house(home: Path) -> AsyncIterator[House]:
    (home / "receiver").mkdir()
    async with (
        real_nats(home / "nats") as server,
        client_of(server) as client,
        serve(home / "receiver", "--nats", server.url) as receiver,
    ):
        yield House(server, client, receiver)


def delivery(queue_id: str, recipient: str, status: str, delay: int, reply: str = "") -> str:
    """What smtp(8) says of one attempt for one recipient."""
    dsn = {"sent": "2.0.0", "deferred": "4.4.1", "bounced": "5.1.1"}[status]
    said = (
        reply
        or {
            "sent": "250 2.0.0 Ok",
            "deferred": "connect to mx.example.net[192.0.2.1]:25: Connection timed out",
            "bounced": "host mx.example.net[192.0.2.1] said: 550 5.1.1 User unknown",
        }[status]
    )
    relay = "none" if said.startswith("connect") else "mx.example.net[192.0.2.1]:25"
    return (
        f"smtp[9]: {queue_id}: to=<{recipient}>, relay={relay}, delay={delay}, "
        f"delays={delay}/0/0/0, dsn={dsn}, status={status} ({said})"
    )
