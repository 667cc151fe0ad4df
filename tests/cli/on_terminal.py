"""A command on a terminal: what people see."""

import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.cli.run import MAILFAULT, Done, environment

_SECONDS = 40
_LAST_WORDS_SECONDS = 2
"""For its stack (`faulthandler`)."""


def on_terminal(
    *arguments: str | Path,
    columns: int = 80,
    until: Callable[[bytes], bool] | None = None,
    **variables: str,
) -> Done:
    """With colours, unless `variables` say otherwise. `until`: it is interrupted once that holds
    of what was shown."""
    env = environment(COLUMNS=str(columns), TERM="xterm", PYTHONFAULTHANDLER="1", **variables)
    if "NO_COLOR" not in variables:
        del env["NO_COLOR"]
    leader, follower = pty.openpty()
    words = [*MAILFAULT, *map(str, arguments)]
    process = subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=follower, stderr=follower, env=env
    )
    os.close(follower)
    try:
        shown = _shown(leader, process, until)
        return Done(words, process.wait(_SECONDS), shown.replace(b"\r\n", b"\n"), b"")
    finally:
        process.kill()
        process.wait()
        os.close(leader)


def _shown(
    leader: int, process: "subprocess.Popen[bytes]", until: Callable[[bytes], bool] | None
) -> bytes:
    shown = b""
    ends = time.monotonic() + _SECONDS
    try:
        while data := _read(leader, ends - time.monotonic()):
            shown += data
            if until is not None and until(shown):
                process.send_signal(signal.SIGINT)
                until = None
    except OSError:  # EIO: the other side is closed
        return shown
    process.send_signal(signal.SIGABRT)
    try:
        while data := _read(leader, _LAST_WORDS_SECONDS):
            shown += data
    except OSError:
        pass
    raise AssertionError(f"shown for {_SECONDS} s, and where it stands: {shown.decode()}")


def _read(leader: int, seconds: float) -> bytes:
    """What is there within that time; nothing where nothing is. Raises `OSError` at the end."""
    readable, _, _ = select.select([leader], [], [], max(seconds, 0))
    return os.read(leader, 65_536) if readable else b""
