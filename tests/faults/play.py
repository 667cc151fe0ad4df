"""Play one case from an empty start to an empty end."""

import asyncio

from tests.faults.case import Case, Outcome, Size
from tests.faults.scene import scene

_BOUND_SECONDS = 300.0


async def play(case: Case, size: Size) -> Outcome:
    """Raises `TimeoutError` where a case does not come to its end."""
    async with scene(case.nodes) as made, asyncio.timeout(_BOUND_SECONDS):
        return await case.play(made, size)
