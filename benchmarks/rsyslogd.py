"""A real rsyslogd that sends to one RELP receiver, and what it is fed with.

In: a directory, a receiver. Out: a process that sends each line it is given, over one connection
of omrelp with its default window. Lines go in through a UNIX stream socket (imptcp), many times as
fast as omrelp sends them; the action has what `deploy/rsyslog/50-mailfault-relp.conf` gives it, but
a queue in memory that holds all lines. Or none of its own, as where nobody asked for one: then it
takes them from the main queue, 1,024 at a time in place of 128, and each time holds back what fills
no segment (`TCP_CORK`), with its window full for as long as the kernel lets it, 200 ms.
"""

import asyncio
import os
import shutil
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from benchmarks.processes import ROOT, Process, ProcessError

_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
_START_SECONDS = 20.0

Queue = Literal["own", "main"]
"""Of rsyslogd: which one an action takes its lines from."""

_CONFIG = """\
global(workDirectory="{directory}")
main_queue({main})
module(load="imptcp")
module(load="omrelp")
input(type="imptcp" path="{directory}/in" ruleset="relay")
ruleset(name="relay") {{
    action(
        type="omrelp" target="{host}" port="{port}" template="RSYSLOG_ForwardFormat" timeout="30"
        action.resumeRetryCount="-1" action.resumeInterval="1"
        {own}
    )
}}
"""


class Rsyslogd(Process):
    def __init__(
        self, directory: Path, receiver: tuple[str, int], lines: int, queue: Queue = "own"
    ) -> None:
        """`directory` must have a short path: a UNIX socket lies in it."""
        program = shutil.which("rsyslogd", path=_PATH)
        if program is None:
            raise ProcessError("no rsyslogd: as root, apt-get install rsyslog rsyslog-relp")
        self._directory = directory
        config = directory / "rsyslog.conf"
        host, port = receiver
        # Half as much again: above 97 % of the size imptcp is slowed down.
        room = lines + lines // 2 + 1000
        bounds = f'queue.size="{room}" queue.timeoutEnqueue="60000"'
        main, own = (bounds, "") if queue == "main" else ("", f'queue.type="LinkedList" {bounds}')
        config.write_text(
            _CONFIG.format(directory=directory, host=host, port=port, main=main, own=own)
        )
        pid_file = directory / "rsyslogd.pid"
        super().__init__("rsyslogd", [program, "-n", "-f", str(config), "-i", str(pid_file)], ROOT)

    async def start_ready(self) -> None:
        """Until it says so itself (sd_notify)."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as notify:
            path = str(self._directory / "notify")
            notify.bind(path)
            await self.start({"NOTIFY_SOCKET": path})
            hear = asyncio.get_running_loop().sock_recv
            try:
                async with asyncio.timeout(_START_SECONDS):
                    while b"READY=1" not in await hear(notify, 4096):
                        pass
            except TimeoutError:
                raise self.failure("did not come up; is rsyslog-relp installed?") from None

    async def feed(self, data: bytes) -> float:
        """LF-terminated lines. Returns the wall clock at the first byte; all is read by then."""
        return await asyncio.to_thread(_feed, self._directory / "in", data)


@asynccontextmanager
async def rsyslogd(
    directory: Path, receiver: tuple[str, int], lines: int, queue: Queue = "own"
) -> AsyncIterator[Rsyslogd]:
    process = Rsyslogd(directory, receiver, lines, queue)
    try:
        await process.start_ready()
        yield process
    finally:
        await process.stop()


def _feed(path: Path, data: bytes) -> float:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        began = time.time()
        sock.sendall(data)
    return began
