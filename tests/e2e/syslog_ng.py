"""A private syslog-ng: own configuration, own directories, unpacked and not installed, because its
package and rsyslog's exclude each other.

It runs one of the files in `deploy/syslog-ng/` as an operator would, with its host, port and
certificates changed. Lines go in through a UNIX datagram socket, as from /dev/log.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.e2e.child import Child
from tests.e2e.local import send_datagrams
from tests.e2e.packages import require_unpacked

SNIPPETS = Path(__file__).parents[2] / "deploy" / "syslog-ng"

_PACKAGES = (
    "syslog-ng-core", "libnet1", "libwrap0",
    "libivykis0", "libpcre3",  # Debian 12
    "libivykis0t64", "libglib2.0-0t64", "libjson-c5", "libatomic1",  # Debian 13
)  # fmt: skip
_VERSION = "3.35"
_CONFIG = """\
@version: {version}
options {{ keep-hostname(yes); use-dns(no); stats-freq(0); }};
source s_src {{
    unix-dgram("{directory}/log.sock"); internal();
    # As lines come from the journal: with time and host of their own.
    unix-dgram("{directory}/journal.sock" flags(syslog-protocol));
}};
@include "{snippet}"
# What it has read it shows here.
destination d_shown {{ file("/dev/stdout" template("read $MSG\\n")); }};
log {{ source(s_src); destination(d_shown); }};
"""


class SyslogNg:
    def __init__(self, directory: Path, child: Child) -> None:
        self.directory = directory
        self.child = child

    @classmethod
    async def start(cls, directory: Path, config: Path) -> Self:
        """`directory` must have a short path (UNIX sockets); a second start in it resumes its
        queue."""
        child = await Child.start(*command(directory, config), "--foreground", env=environment())
        await child.until(lambda line: "syslog-ng starting up" in line or None)
        return cls(directory, child)

    async def log(self, lines: Sequence[bytes]) -> None:
        """Lines as programs write them to /dev/log."""
        await send_datagrams(self.directory / "log.sock", lines)

    async def relay(self, lines: Sequence[bytes]) -> None:
        """Lines in RFC 5424, with microseconds."""
        await send_datagrams(self.directory / "journal.sock", lines)

    async def until_read(self, words: str) -> None:
        await self.child.until(lambda line: (line.startswith("read ") and words in line) or None)

    async def stop(self) -> None:
        """It saves what its disk buffer holds."""
        assert await self.child.stop() == 0, self.child.output


def configure(directory: Path, snippet: str, edits: Sequence[tuple[str, str]]) -> Path:
    """A whole configuration around a shipped file, each of whose `edits` must fit once."""
    text = (SNIPPETS / snippet).read_text(encoding="utf-8")
    for old, new in edits:
        assert text.count(old) == 1, f"{snippet}: not once in it: {old}"
        text = text.replace(old, new)
    path = directory / snippet
    path.write_text(text, encoding="utf-8")
    config = directory / "syslog-ng.conf"
    config.write_text(
        _CONFIG.format(version=_VERSION, directory=directory, snippet=path), encoding="utf-8"
    )
    return config


def command(directory: Path, config: Path) -> list[str | Path]:
    root = _root()
    return [
        root / "usr/sbin/syslog-ng",
        "--module-path", next((root / "usr/lib/syslog-ng").glob("*.*/")),
        "--cfgfile", config,
        "--persist-file", directory / "syslog-ng.persist",
        "--pidfile", directory / "syslog-ng.pid",
        "--control", directory / "syslog-ng.ctl",
        "--no-caps", "--stderr",
    ]  # fmt: skip


def environment() -> dict[str, str]:
    root = _root()
    libraries = {path.parent for path in root.rglob("*.so.*")}
    return {**os.environ, "TZ": "UTC", "LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries))}


def _root() -> Path:
    return require_unpacked("syslog-ng", _PACKAGES)
