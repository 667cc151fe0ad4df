"""What every test gets: the event loop of production; in CI no skips, and no luck."""

import asyncio
import functools
import inspect
import os
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop
from hypothesis import settings

_ASYNC_SECONDS = 50

pytest_plugins = ["tests.no_skip"]

# Random examples are for those who can look into what they find; CI repeats the same ones.
settings.register_profile(
    "mailfault", deadline=None, print_blob=True, derandomize=bool(os.environ.get("CI"))
)
settings.load_profile("mailfault")


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], Any]]:
    return {"uvloop": uvloop.new_event_loop}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.obj = _bounded(item.obj)


def _bounded(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Any]:
    """A test that waits for what never comes fails by its name, where the timeout of the whole
    process would end it without a word on which test it was."""

    @functools.wraps(test)
    async def bounded(*args: Any, **kwargs: Any) -> None:
        async with asyncio.timeout(_ASYNC_SECONDS):
            await test(*args, **kwargs)

    return bounded
