"""What an event costs whatever finds it: validating, sealing and publishing ready-made ones.

    python -m benchmarks.floor --tree .venv/compiled

The service's own models, envelopes and publish window with a real `nats-server`, and nothing else:
no socket is read, no line searched, parsed, classified or remembered. No receiver that makes these
events one by one in one process of this Python is faster on this machine; so it says which rates
are out of reach, however little the rest costs.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.table import Table

from benchmarks.processes import ROOT, NatsServer, ProcessError
from benchmarks.report import console


async def measure(events: int, tree: Path) -> dict[str, float]:
    """Of each step with those before it, and of the whole: what `floor_steps` tells. Raises
    `ProcessError`."""
    with tempfile.TemporaryDirectory(prefix="mailfault-floor-") as store:
        server = NatsServer(Path(store))
        await server.start()
        try:
            await server.wait_until_ready()
            # `-P`: of the tree and not of these sources, whichever folder this is called in.
            done = await asyncio.to_thread(
                subprocess.run,
                [sys.executable, "-P", "-m", "benchmarks.floor_steps", server.url, str(events)],
                env={**os.environ, "PYTHONPATH": f"{tree}{os.pathsep}{ROOT}"},
                stdout=subprocess.PIPE,
                check=False,
            )
        finally:
            await server.kill()
    if done.returncode:
        raise ProcessError(f"floor_steps ended with {done.returncode}")
    told: dict[str, float] = json.loads(done.stdout)
    return told


def show(told: dict[str, float]) -> None:
    table = Table(title="the least an event costs, one process")
    table.add_column("")
    for column in ("µs CPU an event", "events/s"):
        table.add_column(column, justify="right")
    for step in ("validated", "validated, sealed"):
        table.add_row(step, f"{told[step]:.1f}", f"{1e6 / told[step]:,.0f}")
    table.add_row(
        "validated, sealed, published, acknowledged",
        f"{told['published']:.1f}",
        f"{told['events_per_second']:,.0f}",
    )
    console.print(table)
    share = told["events_per_line"]
    console.print(
        f"A line of 20 % failures gives {share:.3f} events: "
        f"{told['events_per_second'] / share:,.0f} lines/s if all else cost nothing.",
        highlight=False,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the least that an event costs.")
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument(
        "--tree", type=Path, default=ROOT, help="what to run; else these sources as they are"
    )
    given = parser.parse_args()
    try:
        show(asyncio.run(measure(given.events, given.tree.resolve())))
    except ProcessError as error:
        console.print(str(error), style="red", markup=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
