"""Spools for tests: real files, envelopes that can be told apart, and waiting for a change."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from service.core.envelope import Envelope
from service.spool.config import SpoolConfig
from service.spool.opening import database_path
from service.spool.store import SpoolStore

Fields = tuple[str, str, str, bytes, str, float]


class Watched(SpoolStore):
    """A store whose unasked changes can be waited for."""

    def __init__(self, data_dir: Path, config: SpoolConfig) -> None:
        self._changed = asyncio.Event()
        super().__init__(data_dir, config, self._changed.set)

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not is_so():
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def opened(data_dir: Path, config: SpoolConfig | None = None) -> AsyncIterator[Watched]:
    store = Watched(data_dir, config or SpoolConfig())
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def envelope(number: int, size: int = 100) -> Envelope:
    """`size`: of the body."""
    body = f'{{"n":{number}}}'.encode()
    return Envelope(
        f"postfix.bounced.mx{number % 3}",
        f"{number:032x}",
        ("bounced", "deferred", "reject")[number % 3],
        body.ljust(size),
        f"ce-id: {number:032x}\r\nce-type: mailfault.bounced.v1",
        1.7e9 + number / 7,
    )


def envelopes(numbers: range, size: int = 100) -> list[Envelope]:
    return [envelope(number, size) for number in numbers]


def fields(envelope: Envelope) -> Fields:
    """What must come back."""
    return (
        envelope.subject,
        envelope.message_id,
        envelope.event_type,
        envelope.body,
        envelope.header_lines,
        envelope.received,
    )


async def numbers(store: SpoolStore, at_once: int = 1000) -> list[int]:
    """All that waits, each shown to be what was put in."""
    found = []
    after = 0
    while events := await store.read(after, at_once):
        for id, event in events:
            assert id > after, "oldest first"
            after = id
            number = int(event.message_id, 16)
            assert fields(event) == fields(envelope(number, len(event.body)))
            found.append(number)
    return found


def file_of(data_dir: Path) -> Path:
    return database_path(data_dir)


def set_aside(data_dir: Path) -> list[Path]:
    """Databases that were moved away, without their companions."""
    found = database_path(data_dir).parent.glob("*.damaged-*")
    return sorted(path for path in found if not path.name.endswith(("-wal", "-shm")))
