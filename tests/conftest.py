"""What every test gets: the event loop of production."""

from collections.abc import Callable
from typing import Any

import uvloop
from hypothesis import settings

settings.register_profile("mailfault", deadline=None, print_blob=True)
settings.load_profile("mailfault")


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], Any]]:
    return {"uvloop": uvloop.new_event_loop}
