"""A command on a terminal: what people see."""

import os
import pty
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.cli.run import MAILFAULT, Done, environment

_SECONDS = 40


def on_terminal(
    *arguments: str | Path,
    columns: int = 80,
    until: Callable[[bytes], bool] | None = None,
    **variables: str,
) -> Done:
    """With colours, unless `variables` say otherwise. `until`: it is interrupted once that holds
    of what was shown."""
    env = environment(COLUMNS=str(columns), TERM="xterm", **variables)
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
        while time.monotonic() < ends and (data := os.read(leader, 65_536)):
            shown += data
            if until is not None and until(shown):
                process.send_signal(signal.SIGINT)
                until = None
    except OSError:  # EIO: the other side is closed
        pass
    return shown
