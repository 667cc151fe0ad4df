"""What the service manager is told of us: ready, reloading, stopping, and that the loop turns.

In: `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`. Out: datagrams of `NAME=value` lines
(sd_notify(3), sd_watchdog_enabled(3)). Without these variables nobody asked, and nothing is sent.
"""

import asyncio
import os
import socket
import time
from collections.abc import Callable, MutableMapping

import structlog

log = structlog.get_logger(__name__)

_STATUS_SECONDS = 5.0
_SEND_SECONDS = 1.0
"""A manager that does not read must not hold the loop for longer."""
_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class ServiceManager:
    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        """Takes the variables out of it: they are not for our children."""
        path, microseconds, pid = (environ.pop(variable, "") for variable in _VARIABLES)
        # "@": the abstract name space of unix(7).
        self._path = "\0" + path[1:] if path.startswith("@") else path
        is_number = microseconds.isascii() and microseconds.isdigit()
        is_ours = is_number and pid in ("", str(os.getpid()))
        self._watchdog_seconds = int(microseconds) / 1_000_000 if is_ours else 0.0
        self._status = ""

    def ready(self) -> None:
        """It takes lines in. Also the end of `reloading`."""
        self._send("READY=1")

    def reloading(self) -> None:
        # The moment is what `Type=notify-reload` asks for.
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={now}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`; the same one is not said again."""
        if text != self._status:
            self._status = text
            self._send("STATUS=" + text.replace("\n", " "))

    async def run(self, status: Callable[[], str]) -> None:
        """Until cancelled. Runs in the receiver's own loop: where that hangs, the manager hears
        nothing, and starts us anew."""
        if not self._path:
            return
        half = self._watchdog_seconds / 2
        pause = min(half, _STATUS_SECONDS) if half else _STATUS_SECONDS
        while True:
            if half:
                self._send("WATCHDOG=1")
            self.status(status())
            await asyncio.sleep(pause)

    def _send(self, message: str) -> None:
        if not self._path:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.settimeout(_SEND_SECONDS)
            try:
                sock.sendto(message.encode(), self._path)
            except OSError as error:
                name = message.partition("=")[0]
                log.warning("service_manager_not_told", message=name, error=str(error))
