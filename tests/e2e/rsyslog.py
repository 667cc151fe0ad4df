"""A private rsyslogd: own configuration, own work directory, nothing of the system's touched.

It runs one of the files in `deploy/rsyslog/`, the words of which a `Form` changes as an operator
would; so what the tests prove holds for what is shipped. Lines go in through two UNIX datagram
sockets: `relayed` keeps the time and host a line brings, as a line from another host does; `local`
is what /dev/log is to programs on this host. Ready is when rsyslogd itself says so (sd_notify).
"""

import asyncio
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.e2e.child import Child
from tests.e2e.local import send_datagrams

SNIPPETS = Path(__file__).parents[2] / "deploy" / "rsyslog"

LOCAL_HOST = "mx9.example.org"
"""What this rsyslogd calls the host it runs on."""

_CONFIG = """\
global(workDirectory="{directory}" localHostname="{host}")
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" socket="{directory}/local.sock")
input(type="imuxsock" socket="{directory}/relayed.sock"
      useSpecialParser="off" parseHostname="on" ignoreTimestamp="off")
# As Ubuntu's rsyslog.conf has it, in front of the files it includes.
$RepeatedMsgReduction on
include(file="{snippet}")
# What it shows here, as ForwardFormat has it, it has handed to the queue above before.
template(name="shown" type="string" string="<%PRI%>%TIMESTAMP:::date-rfc3339% %HOSTNAME%\
 %syslogtag:1:32%%msg:::sp-if-no-1st-sp%%msg%\\n")
mail.* action(type="omfile" file="/dev/stdout" template="shown")
"""


@dataclass(frozen=True)
class Form:
    """A shipped file and what is changed in it: pairs of old and new words."""

    name: str
    snippet: str
    edits: tuple[tuple[str, str], ...] = ()

    @property
    def is_relp(self) -> bool:
        return "relp" in self.snippet or "maillog" in self.snippet

    def render(self, host: str, port: int) -> str:
        return self._edited(
            ('target="127.0.0.1"', f'target="{host}"'),
            (f'port="{self._sample_port}"', f'port="{port}"'),
            # A receiver that comes back is found within a second, not five.
            ('action.resumeInterval="5"', 'action.resumeInterval="1"'),
        )

    @property
    def _sample_port(self) -> str:
        """As the shipped file has it."""
        if self.snippet == "50-mailfault-relp-tls.conf":
            return "2515"
        return "2514" if self.is_relp else "5514"

    def _edited(self, *edits: tuple[str, str], times: int = 1) -> str:
        text = (SNIPPETS / self.snippet).read_text(encoding="utf-8")
        for old, new in (*edits, *self.edits):
            assert text.count(old) == times, f"{self.snippet}: not {times} times in it: {old}"
            text = text.replace(old, new)
        return text


@dataclass(frozen=True)
class FailoverForm(Form):
    """A shipped file with two receivers on this host: the second has a port of its own."""

    second: int = field(default=0)

    @property
    def is_relp(self) -> bool:
        return "tcp" not in self.snippet

    def render(self, host: str, port: int) -> str:
        text = self._edited(
            ('action.resumeInterval="5"', 'action.resumeInterval="1"'),
            ('action.resumeIntervalMax="5"', 'action.resumeIntervalMax="1"'),
            times=2,
        )
        for sample, own in (("127.0.0.1", port), ("127.0.0.2", self.second)):
            pattern = rf'target="{re.escape(sample)}"(\s+)port="{self._sample_port}"'
            text, count = re.subn(pattern, rf'target="{host}"\1port="{own}"', text)
            assert count == 1, f"{self.snippet}: not once in it: {sample}"
        return text


class Rsyslogd:
    def __init__(self, directory: Path, child: Child) -> None:
        self.directory = directory
        self.child = child

    @classmethod
    async def start(
        cls, program: Path, directory: Path, form: Form, port: int, host: str = "127.0.0.1"
    ) -> Self:
        """`directory` must have a short path (UNIX sockets); a second start in it resumes its
        queue."""
        snippet = directory / form.snippet
        snippet.write_text(form.render(host, port), encoding="utf-8")
        config = directory / "rsyslog.conf"
        config.write_text(
            _CONFIG.format(directory=directory, host=LOCAL_HOST, snippet=snippet), encoding="utf-8"
        )
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as notify:
            notify_path = directory / "notify.sock"
            notify_path.unlink(missing_ok=True)
            notify.bind(str(notify_path))
            child = await Child.start(
                program, "-n", "-f", config, "-i", directory / "rsyslogd.pid",
                env={"NOTIFY_SOCKET": str(notify_path), "TZ": "UTC"},
            )  # fmt: skip
            ready = asyncio.create_task(_ready(notify))
            died: asyncio.Task[None] = asyncio.create_task(child.until(lambda _: None))
            done, pending = await asyncio.wait({ready, died}, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
            for task in done:
                await task
        return cls(directory, child)

    @property
    def local_socket(self) -> Path:
        return self.directory / "local.sock"

    async def relay(self, lines: Sequence[bytes]) -> None:
        """Lines with time and host of their own, each as it would come over the network."""
        await send_datagrams(self.directory / "relayed.sock", lines)

    async def log(self, lines: Sequence[bytes]) -> None:
        """Lines as syslog(3) writes them to /dev/log."""
        await send_datagrams(self.directory / "local.sock", lines)

    async def until_queued(self, words: str) -> None:
        """Wait for the line that holds these words: what lies in its socket when rsyslogd ends, it
        never reads."""
        await self.child.until(lambda line: words in line or None)

    async def stop(self) -> None:
        """It saves what its queue holds; complaints about the receiver are no failure here."""
        assert await self.child.stop() == 0, self.child.output


async def _ready(notify: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while b"READY=1" not in await loop.sock_recv(notify, 4096):
        pass
