"""Fixtures of the end-to-end tests. Everything they start ends with them, last first."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e import mail_site
from tests.e2e.house import House, build
from tests.e2e.mail_site import MailSite
from tests.nats_server import real_nats


@pytest_asyncio.fixture
async def house(empty_house: House) -> House:
    """A nats-server, a receiver and a subscriber for one test alone."""
    await empty_house.start_receiver()
    return empty_house


@pytest_asyncio.fixture
async def empty_house(tmp_path: Path) -> AsyncIterator[House]:
    """The same without a receiver, for a test that starts one with settings of its own."""
    async with AsyncExitStack() as cleanup:
        server = await cleanup.enter_async_context(real_nats(tmp_path))
        yield await build(cleanup, server.url)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MailSite]:
    """A mail site around a real Postfix, for all tests that run in the session's loop."""
    async with AsyncExitStack() as cleanup:
        directory = tmp_path_factory.mktemp("nats")
        server = await cleanup.enter_async_context(real_nats(directory))
        site = await mail_site.start(cleanup, server.url)
        yield site
        await site.check_run()
