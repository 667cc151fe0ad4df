"""Run `mailfault` as its users do, with an environment of its own: in this process where all that
matters is what a command reads, prints and returns, and as a process of its own where that matters.

A process takes seconds to begin, most of them in reading in the program.
"""

import contextlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import structlog
from typer.testing import CliRunner

from service.cli import app

MAILFAULT = [sys.executable, "-m", "service"]
_SECONDS = 50
_PLAIN = {"COLUMNS": "200", "NO_COLOR": "1"}

Done = subprocess.CompletedProcess[bytes]


def environment(**variables: str) -> dict[str, str]:
    """This process's, without what would configure the one that is tested."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("MAILFAULT_")}
    return {**inherited, **_PLAIN, **variables}


def run(
    *arguments: str | Path,
    data: bytes = b"",
    cwd: Path | None = None,
    settings: Mapping[str, str] | None = None,
    **variables: str,
) -> Done:
    """In this process. `settings` and `variables`: of its environment. What a command raises and
    does not handle, is raised here."""
    words = [str(argument) for argument in arguments]
    unset: dict[str, str | None] = {k: None for k in os.environ if k.startswith("MAILFAULT_")}
    with contextlib.chdir(cwd or Path.cwd()), _own_logging():
        result = CliRunner().invoke(
            app,
            words,
            input=data,
            env={**unset, **_PLAIN, **(settings or {}), **variables},
            catch_exceptions=False,
        )
    return Done(words, result.exit_code, result.stdout_bytes, result.stderr_bytes)


@contextlib.contextmanager
def _own_logging() -> Iterator[None]:
    """What a command sets up for its process does not stay in this one."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        structlog.reset_defaults()
        root.handlers[:] = handlers
        root.setLevel(level)


def run_process(
    *arguments: str | Path,
    data: bytes = b"",
    cwd: Path | None = None,
    settings: Mapping[str, str] | None = None,
    **variables: str,
) -> Done:
    """The same as a process."""
    return subprocess.run(
        [*MAILFAULT, *map(str, arguments)],
        input=data,
        capture_output=True,
        cwd=cwd,
        env=environment(**(settings or {}), **variables),
        timeout=_SECONDS,
        check=False,
    )


def assert_quiet_unread(*arguments: str | Path, data: bytes = b"") -> None:
    """As a process whose reader has seen enough: quiet, as other filters are."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*MAILFAULT, *map(str, arguments)],
        input=data,
        stdout=writing,
        stderr=subprocess.PIPE,
        env=environment(),
        timeout=_SECONDS,
        check=False,
    )
    os.close(writing)
    assert done.stderr == b""
    assert done.returncode == 0


def objects(output: bytes) -> list[dict[str, Any]]:
    """Of one JSON object a line; a line that is not one is a failure."""
    assert output == b"" or output.endswith(b"\n")
    found = [json.loads(line) for line in output.split(b"\n")[:-1]]
    assert all(isinstance(item, dict) for item in found)
    return found
