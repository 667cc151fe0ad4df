"""One event kills the process each time. It alone is given up, and nothing else is lost."""

import asyncio
import contextlib
import sys
from pathlib import Path

from nats.js.api import ConsumerInfo
from nats.js.errors import NotFoundError

from tests.schemas.nats.site import Site, bounces, site

ROOT = Path(__file__).parents[3]
PROGRAM = "tests.schemas.nats.killed_by_one"
KILLER = 3
EVENTS = 12
FRESH = 2  # more come with each new life


async def play(here: Site) -> tuple[int, list[int]]:
    """Until it dies, or has settled everything: exit status, and the events it dealt with."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", PROGRAM, here.server.url, str(KILLER)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    settled = asyncio.create_task(_settled(here))
    ended = asyncio.create_task(process.wait())
    await asyncio.wait([settled, ended], return_when=asyncio.FIRST_COMPLETED)
    if not ended.done():
        process.terminate()
    settled.cancel()
    out, _ = await process.communicate()
    return await ended, [int(line.split()[0]) for line in out.decode().splitlines()]


async def _settled(here: Site) -> ConsumerInfo:
    while True:
        with contextlib.suppress(NotFoundError):
            return await here.until_settled()


async def test_the_event_that_kills_is_given_up_and_no_other(tmp_path: Path) -> None:
    handled: list[int] = []
    deaths = 0
    async with site(tmp_path) as here:
        advisories = await here.client.subscribe("$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>")
        await here.publish(*bounces(EVENTS))
        while True:
            coming = bounces(EVENTS + (deaths + 1) * FRESH)[EVENTS + deaths * FRESH :]
            await here.publish(*coming)
            status, dealt_with = await play(here)
            handled += dealt_with
            if status == 0:
                break
            deaths += 1
        advisory = await advisories.next_msg(timeout=20)
        assert advisories.pending_msgs == 0
    # Some twice: what was dealt with just before a death was acknowledged into the void.
    assert {*handled} == {*range(EVENTS + (deaths + 1) * FRESH)} - {KILLER}
    assert b"and never acknowledged" in advisory.data
    assert deaths in (3, 4)  # at most four deliveries; one of them may have been given back
