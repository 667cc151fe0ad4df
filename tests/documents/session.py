"""Runs one document from its beginning to its end, as a newcomer does, on a machine of its own
(`machine.sh`). What keeps running does so until the end; the first block that fails ends it.

In: blocks. Out: nothing, or `Failed` with the block, and what it said.
"""

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.documents.blocks import TOP, Block

_HERE = Path(__file__).parent
_BLOCK_SECONDS = 120.0
_LOOK_SECONDS = 0.1
_UNSHARE = (
    "unshare",
    "--mount",
    "--net",
    "--pid",
    "--uts",
    "--fork",
    "--kill-child",
    "--mount-proc",
)
_SHELL = ("bash", "-euo", "pipefail")


class Failed(AssertionError):
    """A block did not do what its document says. Correct one of them."""


def can_make_machines() -> bool:
    return os.geteuid() == 0 and shutil.which("unshare") is not None


async def run(blocks: Sequence[Block], home: Path) -> None:
    """Each block that is to be run here, in order."""
    _lay_out(home)
    process = await asyncio.create_subprocess_exec(
        *_UNSHARE, "bash", _HERE / "machine.sh", TOP, sys.prefix, home,
        sys.executable, "-m", "tests.documents.session", home, *map(str, _write(blocks, home)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={k: v for k, v in os.environ.items() if not k.startswith(("MAILFAULT_", "COVERAGE_"))},
        cwd=TOP,
    )  # fmt: skip
    try:
        output, _ = await process.communicate()
    except BaseException:
        process.kill()
        raise
    if process.returncode != 0:
        raise Failed(output.decode("utf-8", "replace"))


def _lay_out(home: Path) -> None:
    home.chmod(0o755)
    for name in ("bin", "lib", "disk", "blocks"):
        (home / name).mkdir()
    shutil.copy(_HERE / "systemctl", home / "bin" / "systemctl")
    sudo = home / "bin" / "sudo"  # the machine's user is root
    sudo.write_text('#!/bin/sh\nexec "$@"\n', encoding="ascii")
    sudo.chmod(0o755)
    (home / "lib" / "mailfault_schemas").symlink_to(TOP / "schemas")  # as it is installed
    lines = (TOP / "service" / "cli" / "demo_lines.txt").read_bytes()
    (home / "mail.log").write_bytes(lines)


def _write(blocks: Sequence[Block], home: Path) -> list[Path]:
    """Each as a file, and beside it what is expected of it."""
    paths = []
    for block in blocks:
        path = home / "blocks" / f"{block.line}.{block.language}"
        path.write_text(block.text, encoding="utf-8")
        kind = "keeps" if block.keeps_running else "ends"
        note = "\n".join((block.place, kind, block.says or "", block.later or ""))
        path.with_suffix(".note").write_text(note, encoding="utf-8")
        paths.append(path)
    return paths


@dataclass
class _Running:
    place: str
    output: Path
    process: asyncio.subprocess.Process
    later: str

    def text(self) -> str:
        return self.output.read_text(encoding="utf-8", errors="replace")

    async def says(self, words: str) -> None:
        deadline = time.monotonic() + _BLOCK_SECONDS
        while words not in self.text():
            if self.process.returncode is not None:
                raise Failed(f"{self.place} ended without a word of {words!r}:\n{self.text()}")
            if time.monotonic() > deadline:
                raise Failed(f"{self.place} does not say {words!r}:\n{self.text()}")
            await asyncio.sleep(_LOOK_SECONDS)


async def _inside(paths: Sequence[Path]) -> None:
    """On the machine."""
    running: list[_Running] = []
    for path in paths:
        place, kind, says, later = path.with_suffix(".note").read_text("utf-8").split("\n")
        block = await _start(path, place, later)
        if kind == "keeps":
            await block.says(says)
            running.append(block)
            continue
        try:
            async with asyncio.timeout(_BLOCK_SECONDS):
                status = await block.process.wait()
        except TimeoutError:
            raise Failed(f"{place} does not end:\n{block.text()}") from None
        if status != 0 or says not in block.text():
            raise Failed(f"{place}: status {status}, wanted {says!r}:\n{block.text()}")
    for block in running:
        await block.says(block.later)
        if block.process.returncode is not None:
            raise Failed(f"{block.place} does not keep running:\n{block.text()}")


async def _start(path: Path, place: str, later: str) -> _Running:
    command: tuple[str, ...] = _SHELL
    env = dict(os.environ)
    if path.suffix == ".python":
        command = (".venv/bin/python",)
        env["PYTHONPATH"] += f":{path.parents[1] / 'lib'}"
    output = path.with_suffix(".out")
    with output.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *command, path, stdin=asyncio.subprocess.DEVNULL, stdout=file, stderr=file, env=env
        )
    return _Running(place, output, process, later)


if __name__ == "__main__":
    try:
        asyncio.run(_inside([Path(path) for path in sys.argv[2:]]))
    except Failed as failure:
        sys.exit(str(failure))
