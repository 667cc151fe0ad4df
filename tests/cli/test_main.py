"""The beginning of every command: `python -m service` and the installed `mailfault`."""

import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from service.__main__ import main
from tests.cli.run import MAILFAULT, environment

LINE = (
    "<22>Aug 22 10:00:00 mx1 postfix/smtp[1]: 4ABCDE12F: to=<a@b.example>, relay=none, delay=1, "
    "delays=1/0/0/0, dsn=5.1.1, status=bounced (no)"
)
_PROJECT = Path(__file__).parents[2] / "pyproject.toml"

_INTERRUPT = """
import os, signal, sys

# Whoever runs the tests in the background has it ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

class CtrlC:
    def find_spec(self, name, path=None, target=None):
        if name == "service.cli.tail":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, CtrlC())
"""


_RELOAD = """
import os, signal, sys

class Reload:
    def find_spec(self, name, path=None, target=None):
        if name == "service.cli.serve":
            os.kill(os.getpid(), signal.SIGHUP)

sys.meta_path.insert(0, Reload())
from service.__main__ import main
main()
"""


@pytest.mark.parametrize(
    "begin",
    [
        "from service.__main__ import main; main()",
        "import runpy; runpy.run_module('service', run_name='__main__')",
    ],
    ids=["console script", "module"],
)
def test_ctrl_c_while_the_program_is_read_in(begin: str) -> None:
    """It was a traceback through whatever was imported just then."""
    done = subprocess.run(
        [sys.executable, "-c", _INTERRUPT + begin, "tail"],
        capture_output=True,
        env=environment(),
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


def test_a_reload_while_the_program_is_read_in() -> None:
    """The receiver that was just being started was killed by it."""
    done = subprocess.run(
        [sys.executable, "-c", _RELOAD, "serve", "--config", "/nowhere/mailfault.toml"],
        capture_output=True,
        env=environment(),
        timeout=50,
        check=False,
    )
    assert done.returncode == 78, "it went on to its configuration"


@pytest.mark.parametrize(
    "arguments", [["--help"], ["check-config"], ["schema"], ["explain", LINE]], ids=lambda a: a[0]
)
def test_output_on_a_full_disk(arguments: list[str]) -> None:
    """It was a traceback through rich."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*MAILFAULT, *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(),
            timeout=50,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == b"mailfault: the output cannot be written: No space left on device\n"


def test_the_console_script_begins_there() -> None:
    scripts = tomllib.loads(_PROJECT.read_text())["project"]["scripts"]
    assert list(scripts) == ["mailfault"]
    script = EntryPoint("mailfault", scripts["mailfault"], "console_scripts")
    assert script.load() is main
