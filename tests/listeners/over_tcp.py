"""A TCP listener for one test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from service.listeners.tcp import TcpConfig, TcpListener
from service.metrics import Metrics
from tests.fakes import FakeIntake


@asynccontextmanager
async def listening(
    intake: FakeIntake, metrics: Metrics, host: str = "127.0.0.1:0", **config: Any
) -> AsyncIterator[TcpListener]:
    listener = TcpListener(host, TcpConfig(**config), intake, metrics)
    await listener.start()
    try:
        yield listener
    finally:
        await listener.stop(timeout=5)
