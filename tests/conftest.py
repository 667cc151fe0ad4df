"""What every test gets: the event loop of production; in CI no skips, and no luck."""

import asyncio
import functools
import inspect
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, settings

# Before `mailfault_schemas`, whichever test is the first: of a file that is there by another name
# already, pydantic finds no docstrings (Python before 3.13), and the generated files have them.
import schemas  # noqa: F401

_BEFORE_SECONDS = 10
"""So long before pytest-timeout would end the process, a test ends by itself."""

pytest_plugins = ["tests.no_skip"]

# A shell that starts pytest in the background has it ignore SIGINT, and so would whatever a test
# starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Random examples are for those who can look into what they find; CI repeats the same ones. How
# long an example takes is the machine's affair.
settings.register_profile(
    "mailfault",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("mailfault")


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], Any]]:
    return {"uvloop": uvloop.new_event_loop}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            marker = item.get_closest_marker("timeout")
            seconds = marker.args[0] if marker else float(item.config.getini("timeout"))
            item.obj = _bounded(item.obj, seconds - _BEFORE_SECONDS)


def _bounded(test: Callable[..., Coroutine[Any, Any, None]], seconds: float) -> Callable[..., Any]:
    """A test that waits for what never comes fails by its name, where the timeout of the whole
    process would end it without a word on which test it was."""

    @functools.wraps(test)
    async def bounded(*args: Any, **kwargs: Any) -> None:
        async with asyncio.timeout(seconds):
            await test(*args, **kwargs)

    return bounded
