"""Run `mailfault` as its users do: a process with its own environment."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MAILFAULT = [sys.executable, "-m", "service"]
_SECONDS = 50


def environment(**variables: str) -> dict[str, str]:
    """This process's, without what would configure the one that is tested."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("MAILFAULT_")}
    return {**inherited, "COLUMNS": "200", "NO_COLOR": "1", **variables}


def run(
    *arguments: str | Path,
    data: bytes = b"",
    cwd: Path | None = None,
    settings: Mapping[str, str] | None = None,
    **variables: str,
) -> subprocess.CompletedProcess[bytes]:
    """`settings` and `variables`: of its environment."""
    return subprocess.run(
        [*MAILFAULT, *map(str, arguments)],
        input=data,
        capture_output=True,
        cwd=cwd,
        env=environment(**(settings or {}), **variables),
        timeout=_SECONDS,
        check=False,
    )


def objects(output: bytes) -> list[dict[str, Any]]:
    """Of one JSON object a line; a line that is not one is a failure."""
    assert output == b"" or output.endswith(b"\n")
    found = [json.loads(line) for line in output.split(b"\n")[:-1]]
    assert all(isinstance(item, dict) for item in found)
    return found
