"""Background tasks that must not end."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

import structlog

log = structlog.get_logger(__name__)

_failed: list[str] = []


def start(coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """A task that runs until cancelled. Should it fail, that is a defect: it is said loudly, and
    this process is told to stop in order, so that its supervisor starts it anew."""
    task = asyncio.create_task(coroutine, name=name)
    task.add_done_callback(_must_not_fail)
    return task


def has_failed() -> bool:
    """Whether any task did: then the process ends with a status that says so."""
    return bool(_failed)


def _must_not_fail(task: asyncio.Task[None]) -> None:
    if task.cancelled() or task.exception() is None:
        return
    _failed.append(task.get_name())
    log.critical("task_failed", task=task.get_name(), exc_info=task.exception())
    signal.raise_signal(signal.SIGTERM)
