"""How long a line takes, seen from outside: from the stamp its sender gave it to its event on NATS.

The sender stamps each line as it sends it; the event carries that stamp as `event_time`. A plain
subscriber gets the event when the server has it, about when the receiver gets its PubAck.
"""

import json
import time
from datetime import datetime

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription


class Latencies:
    """Collects seconds while the block runs."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._seconds: list[float] = []
        self._subscription: Subscription | None = None

    async def __aenter__(self) -> list[float]:
        self._subscription = await self._client.subscribe("postfix.>", cb=self._take)
        await self._client.flush()
        return self._seconds

    async def __aexit__(self, *_: object) -> None:
        assert self._subscription is not None
        await self._subscription.drain()  # type: ignore[no-untyped-call]

    async def _take(self, message: Msg) -> None:
        now = time.time()
        event_time = json.loads(message.data)["event_time"]
        self._seconds.append(now - datetime.fromisoformat(event_time).timestamp())
