"""Fixtures of the end-to-end tests. Everything they start ends with them, last first."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest_asyncio

from tests.e2e.house import House, build
from tests.nats_server import real_nats


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A nats-server, a receiver and a subscriber for one test alone."""
    async with AsyncExitStack() as cleanup:
        server = await cleanup.enter_async_context(real_nats(tmp_path))
        yield await build(cleanup, server.url)
