"""Pull requests to one consumer (ADR-13, ADR-37): one on order at a time.

In: `$JS.API.CONSUMER.MSG.NEXT`. Out: messages as they arrive, and `Trouble` where the request
ended for another reason than time. A request that nobody hears of any more is given up.
"""

import asyncio
import json
from collections import deque

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

_EXPIRES = 60.0
_HEARTBEAT = 5.0
_SILENCE = 12.0
"""Two heartbeats and a bit."""
_NANOSECONDS = 10**9


class Trouble(Exception):
    """The request is over and it was not its time: look at the consumer, then ask again."""


class Puller:
    def __init__(self, client: Client, stream: str, consumer: str) -> None:
        self.arrived: deque[Msg] = deque()
        self._client = client
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._inbox = ""
        self._subscription: Subscription  # from `start` on
        self._on_order = 0
        self._news = asyncio.Event()
        self._trouble: str | None = None

    async def start(self) -> None:
        self._inbox = self._client.new_inbox()
        self._subscription = await self._client.subscribe(self._inbox, cb=self._take)

    def wake(self) -> None:
        """`wait` returns."""
        self._news.set()

    def forget(self) -> None:
        """The connection is another one: what was on order there does not come."""
        self._on_order = 0
        self._news.set()

    async def wait(self, batch: int) -> None:
        """Until something happened; asks for `batch` messages first where nothing is on order."""
        if self._on_order <= 0:
            await self._ask(batch)
        try:
            async with asyncio.timeout(_SILENCE):
                await self._news.wait()
        except TimeoutError:
            self._on_order = 0
            raise Trouble(f"nothing heard for {_SILENCE:g} s") from None
        self._news.clear()
        trouble, self._trouble = self._trouble, None
        if trouble is not None:
            raise Trouble(trouble)

    async def recall(self) -> None:
        """Nothing is on order after it; what was on its way has arrived. The server takes an order
        for cancelled when nobody listens to its inbox any more."""
        if self._on_order > 0:
            self._on_order = 0
            try:
                await self.end()
            finally:
                await self.start()

    async def end(self) -> None:
        """No more: what is on its way has arrived when this returns."""
        await self._subscription.drain()  # type: ignore[no-untyped-call]

    async def _ask(self, batch: int) -> None:
        request = {
            "batch": batch,
            "expires": int(_EXPIRES * _NANOSECONDS),
            "idle_heartbeat": int(_HEARTBEAT * _NANOSECONDS),
        }
        await self._client.publish(self._subject, json.dumps(request).encode(), self._inbox)
        self._on_order = batch

    async def _take(self, message: Msg) -> None:
        if message.reply.startswith("$JS.ACK."):
            self.arrived.append(message)
            self._on_order -= 1
        else:
            headers = message.headers or {}
            status = headers.get("Status", "")
            if status != "100":  # an idle heartbeat: the request stands
                self._on_order = 0
            if status not in ("100", "404", "408"):  # no messages; its time is up
                self._trouble = f"{status} {headers.get('Description', '')}".strip()
        self._news.set()
