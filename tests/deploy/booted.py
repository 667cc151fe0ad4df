"""A real systemd as the first process of a container (systemd-nspawn), which runs the files of
`deploy/systemd/` as docs/install.md installs them.

Its root is empty but for this machine's /usr, read-only; the network is this machine's, so that
ports are free ones. The receiver is this checkout, with this interpreter.
"""

import asyncio
import os
import shutil
import signal
import sys
import sysconfig
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.deploy.engine import TOP
from tests.e2e.child import Child
from tests.systemd.manager import Told, listening_to

SHIPPED = TOP / "deploy" / "systemd"
_LEADER = "X_NSPAWN_LEADER_PID="
_INSIDE = "/opt/python"

_BOOTED = """\
[Unit]
Requires=sysinit.target
After=sysinit.target
"""
_MASKED = (
    # It would ask for a root password, on the console of a system that boots for the first time.
    "systemd-firstboot.service",
    # The network is this machine's: nothing to set up, nothing to wait for.
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "systemd-networkd-wait-online.service",
)
_PROGRAM = """\
#!/bin/sh
export PYTHONPATH=/opt/source:/opt/packages LD_LIBRARY_PATH=/opt/python/lib
exec {python} -m service "$@"
"""


class Booted:
    def __init__(self, leader: int) -> None:
        self._leader = leader

    async def run(self, *command: str) -> str:
        """In the container, as root."""
        process = await asyncio.create_subprocess_exec(
            *("nsenter", "--target", str(self._leader), "--mount", "--uts", "--ipc", "--pid"),
            *("--cgroup", "--root", "--wd=/", *command),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        assert process.returncode == 0, f"{command}: {said.decode()}{await self.journal()}"
        return said.decode()

    async def journal(self) -> str:
        process = await asyncio.create_subprocess_exec(
            *("nsenter", "--target", str(self._leader), "--mount", "--pid", "--root", "--wd=/"),
            *("journalctl", "--no-pager", "--lines=200", "--output=short-monotonic"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        return said.decode()

    async def systemctl(self, *words: str) -> str:
        return await self.run("systemctl", *words)

    async def show(self, *names: str) -> list[str]:
        """Properties of the service, in this order."""
        said = await self.systemctl("show", "mailfault.service", f"--property={','.join(names)}")
        found = dict(line.split("=", 1) for line in said.splitlines())
        return [found[name] for name in names]

    async def until(self, name: str, *wanted: str, seconds: float = 60) -> str:
        """The property of the service, as soon as it is one of these."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    (value,) = await self.show(name)
                    if value in wanted:
                        return value
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"{name} is {value!r}: {await self.journal()}") from None


def lay_out(home: Path, drop_ins: Mapping[str, str], etc: Mapping[str, str]) -> None:
    """The files as they are installed, and what this test has changed, each in a drop-in."""
    units = home / "units"
    units.mkdir(parents=True)
    for shipped in (*SHIPPED.glob("*.service"), *SHIPPED.glob("*.socket")):
        shutil.copy(shipped, units)
    for unit, text in drop_ins.items():
        (units / f"{unit}.d").mkdir()
        (units / f"{unit}.d" / "test.conf").write_text(text, encoding="utf-8")
    (units / "booted.target").write_text(_BOOTED, encoding="utf-8")
    for masked in _MASKED:
        (units / masked).symlink_to("/dev/null")
    (home / "sysusers.d").mkdir()
    shutil.copy(SHIPPED / "sysusers.conf", home / "sysusers.d" / "mailfault.conf")
    (home / "etc").mkdir()
    shutil.copy(SHIPPED / "mailfault.toml", home / "etc")
    for name, text in etc.items():
        file = home / "etc" / name
        file.touch(mode=0o600)
        file.write_text(text, encoding="utf-8")
    program = home / "bin" / "mailfault"
    program.parent.mkdir()
    python = Path(os.path.realpath(sys.executable))
    if not python.is_relative_to("/usr"):
        python = Path(_INSIDE) / python.relative_to(sys.base_prefix)
    program.write_text(_PROGRAM.format(python=python), encoding="utf-8")
    program.chmod(0o755)


@asynccontextmanager
async def boot(
    home: Path, drop_ins: Mapping[str, str], etc: Mapping[str, str]
) -> AsyncIterator[Booted]:
    """`drop_ins` by unit, `etc`: secrets, by their name in /etc/mailfault."""
    lay_out(home, drop_ins, etc)
    binds = {
        home / "units": "/etc/systemd/system",
        home / "sysusers.d": "/etc/sysusers.d",
        home / "etc": "/etc/mailfault",
        home / "bin": "/opt/mailfault/bin",
        TOP: "/opt/source",
        Path(sysconfig.get_path("purelib")): "/opt/packages",
    }
    if not Path(sys.base_prefix).is_relative_to("/usr"):
        binds[Path(sys.base_prefix)] = _INSIDE
    writable = {"/etc/systemd/system"}
    async with listening_to() as (told, path):
        container = await Child.start(
            # Should this process be killed, the container ends with it.
            *("setpriv", "--pdeathsig", "KILL"),
            *("systemd-nspawn", "--quiet", "--directory=/", "--volatile=yes", "--boot"),
            *("--keep-unit", "--register=no", "--notify-ready=yes", "--console=pipe"),
            *(
                f"--bind{'' if inside in writable else '-ro'}={outside}:{inside}"
                for outside, inside in binds.items()
            ),
            *("--", "--unit=booted.target"),
            env={"NOTIFY_SOCKET": path},
        )
        leader = reading = None
        try:
            leader = await _until_booted(told, container)
            reading = asyncio.create_task(told.read_on())
            yield Booted(leader)
        finally:
            if leader is not None:
                os.kill(leader, signal.SIGKILL)  # and with it all that is in the container
                await container.ended()
            await container.stop(signal.SIGKILL)
            if reading is not None:
                reading.cancel()


async def _until_booted(told: Told, container: Child) -> int:
    """Returns the first process of the container, as this machine knows it."""
    listening = asyncio.create_task(told.next("READY=1", seconds=90))
    died: asyncio.Task[None] = asyncio.create_task(container.until(lambda _: None))
    done, pending = await asyncio.wait({listening, died}, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for task in done:
        await task
    (leader,) = (
        line.removeprefix(_LEADER)
        for message in told.messages
        for line in message.splitlines()
        if line.startswith(_LEADER)
    )
    return int(leader)
