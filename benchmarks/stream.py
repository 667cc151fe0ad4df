"""What is really in the JetStream stream, asked of the server itself and not of the receiver."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

STREAM = "POSTFIX"
PREFIX = "postfix"
_IDLE_SECONDS = 15.0


@dataclass(frozen=True)
class StreamState:
    messages: int = 0
    last_stored: float = 0.0
    """`time.time()` of the newest message, by the server's clock: the same machine's."""
    by_type: Counter[str] | None = None


class Stream:
    """A connection of the harness's own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: Client | None = None

    async def __aenter__(self) -> Self:
        self._client = await nats.connect(self._url, error_cb=_ignore, max_reconnect_attempts=-1)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._client is not None
        await self._client.close()

    @property
    def client(self) -> Client:
        assert self._client is not None
        return self._client

    async def state(self, *, subjects: bool = False) -> StreamState:
        """An absent stream holds nothing. Raises `nats.errors.Error` while the server is away."""
        asked = json.dumps({"subjects_filter": ">"} if subjects else {}).encode()
        answer = await self.client.request(f"$JS.API.STREAM.INFO.{STREAM}", asked, timeout=5)
        found: dict[str, Any] = json.loads(answer.data)
        if "error" in found:
            return StreamState()
        state = found["state"]
        by_type: Counter[str] = Counter()
        for subject, count in (state.get("subjects") or {}).items():
            by_type[subject.split(".")[1]] += count
        last = state["last_ts"] if state["messages"] else "1970-01-01T00:00:00Z"
        return StreamState(state["messages"], _seconds(last), by_type)

    async def last_of(self, types: Sequence[str]) -> float:
        """When the newest event of one of these types was stored; 0 where there is none."""
        subjects = [f"{PREFIX}.{event_type}.>" for event_type in types]
        return max([await self._last_at(subject) for subject in subjects])

    async def _last_at(self, subject: str) -> float:
        asked = json.dumps({"last_by_subj": subject}).encode()
        answer = await self.client.request(f"$JS.API.STREAM.MSG.GET.{STREAM}", asked, timeout=5)
        found: dict[str, Any] = json.loads(answer.data)
        return _seconds(found["message"]["time"]) if "message" in found else 0.0

    async def wait_for(self, messages: int, idle: float = _IDLE_SECONDS) -> StreamState:
        """Until it holds that many, or has not grown for `idle` seconds."""
        grown, last = time.monotonic(), -1
        while True:
            try:
                state = await self.state()
            except nats.errors.Error:
                state = StreamState(last)
            if state.messages >= messages:
                return state
            if state.messages != last:
                grown, last = time.monotonic(), state.messages
            elif time.monotonic() - grown > idle:
                return state
            await asyncio.sleep(0.05)

    async def read_back(self) -> AsyncIterator[Msg]:
        """Every message, from the first."""
        wanted = (await self.state()).messages
        if not wanted:
            return
        context = self.client.jetstream()
        reader = await context.subscribe("", stream=STREAM, ordered_consumer=True)
        try:
            for _ in range(wanted):
                yield await reader.next_msg(timeout=10)
        finally:
            await reader.unsubscribe()


def _seconds(stamp: str) -> float:
    """RFC 3339 with nanoseconds, which `fromisoformat` cuts to microseconds."""
    return datetime.fromisoformat(stamp).timestamp()


async def _ignore(_: Exception) -> None:
    """Kills of the server are part of the play."""
