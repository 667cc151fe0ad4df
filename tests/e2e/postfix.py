"""A private Postfix: own configuration, queue and data directories, high ports on loopback.

It logs to its standard output (`maillog_file`, Postfix 3.4), because /dev/log is one for the whole
host; each line goes on to the private rsyslogd in the form of syslog(3). Ready is when master says
"daemon started". Only root can run it: Postfix changes users and sets up its queue.
"""

import asyncio
import json
import os
import re
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.e2e.child import Child
from tests.e2e.packages import require_program, require_root
from tests.e2e.rsyslog import Rsyslogd

_MASTER = re.compile(r"postfix[a-z-]*/master\[(\d+)\]: daemon started ")
_LINE = re.compile(r"([A-Z][a-z]{2} [0-9 ]\d \d\d:\d\d:\d\d) \S+ (.*)", re.DOTALL)
"""Month, day and time; host; tag and text (Postfix `util/msg_logger.c`)."""


_PATIENCE_SECONDS = 30.0


class Postfix:
    def __init__(self, config: Path, ports: Mapping[str, int], child: Child, pid: int) -> None:
        self.config = config
        self.ports = ports
        self.child = child
        self._master_pid = pid
        self._bridge: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls, directory: Path, rsyslogd: Rsyslogd, files: Mapping[str, str], ports: Mapping[str, int]
    ) -> Self:
        """`files`: what goes into its configuration directory, `config_directory(directory)`.
        `ports`: where it listens, as the files say."""
        program = require_postfix()
        lay_out(directory, files)
        child = await Child.start(program, "-c", config_directory(directory), "start-fg")
        try:
            pid = await child.until(_master_pid)
        except BaseException:
            await child.stop()
            raise
        postfix = cls(config_directory(directory), ports, child, pid)
        postfix._bridge = asyncio.create_task(postfix._pass_on(rsyslogd), name="postfix log")
        return postfix

    async def run(self, command: str, *arguments: str, stdin: bytes = b"") -> str:
        """One of Postfix's commands, on this Postfix: `sendmail`, `postqueue`, `postsuper`."""
        process = await asyncio.create_subprocess_exec(
            require_program(command, "postfix"), *arguments,
            # Nobody waits for what is not to come: it may have ended by then.
            stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "MAIL_CONFIG": str(self.config)},
        )  # fmt: skip
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                output, _ = await process.communicate(stdin or None)
        except TimeoutError:
            process.kill()
            raise AssertionError(f"{command} {arguments} does not end") from None
        text = output.decode("utf-8", "replace")
        assert process.returncode == 0, f"{command}: {text}"
        return text

    async def retry(self, queue_id: str) -> None:
        """Have a deferred message tried again now."""
        await self.until_in("deferred", queue_id)
        await self.run("postqueue", "-i", queue_id)

    async def until_in(self, queue: str, queue_id: str) -> None:
        """Wait for a message to lie in this of Postfix's queues: its file is moved there some time
        after the log says why."""
        deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
        while (queue, queue_id) not in (messages := await self.queue()):
            late = asyncio.get_running_loop().time() > deadline
            assert not late, f"{queue_id} is not in {queue}: {messages}"

    async def queue(self) -> list[tuple[str, str]]:
        """Queue and queue id of each message."""
        listed = await self.run("postqueue", "-j")
        messages = [json.loads(line) for line in listed.splitlines()]
        return [(message["queue_name"], message["queue_id"]) for message in messages]

    async def stop(self) -> None:
        os.kill(self._master_pid, signal.SIGTERM)  # master ends its daemons itself
        await self.child.ended()
        if self._bridge is not None:
            self._bridge.cancel()

    async def _pass_on(self, rsyslogd: Rsyslogd) -> None:
        async for line in self.child.follow():
            found = _LINE.match(line)
            if found:
                await rsyslogd.log([f"<22>{found[1]} {found[2]}".encode()])


def require_postfix() -> Path:
    require_root("a private Postfix needs root")
    return require_program("postfix", "postfix")


def _master_pid(line: str) -> int | None:
    found = _MASTER.search(line)
    return int(found[1]) if found else None


def config_directory(directory: Path) -> Path:
    return directory / "config"


def own_places(directory: Path) -> str:
    """The part of main.cf that keeps a Postfix off the host's one."""
    return (
        f"queue_directory = {directory}/queue\n"
        f"data_directory = {directory}/data\n"
        "maillog_file = /dev/stdout\n"
    )


def lay_out(directory: Path, files: Mapping[str, str]) -> None:
    config = config_directory(directory)
    for path in (config, directory / "queue", directory / "data"):
        path.mkdir(parents=True)
    shutil.chown(directory / "data", "postfix")
    for name, text in files.items():
        (config / name).write_text(text, encoding="utf-8")
