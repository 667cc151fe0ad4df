"""`mailfault demo`: works with nothing set up, and whatever is."""

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.cli.run import environment, run_process


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {
            # Not of the demo's business: it must neither fail nor touch anything real.
            "MAILFAULT_NATS__SERVERS": "nats://127.0.0.1:1",
            "MAILFAULT_NATS__SUBJECT_PREFIX": "other",
            "MAILFAULT_CONFIG": "/nowhere.toml",
        },
    ],
    ids=["nothing set up", "a configuration"],
)
def test_shows_three_subjects_and_a_balance(tmp_path: Path, variables: dict[str, str]) -> None:
    done = run_process("demo", cwd=tmp_path, TMPDIR=str(tmp_path), settings=variables)
    output = done.stdout.decode()
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    for event_type in ("reject", "deferred", "bounced", "invalid"):
        for transport in ("tcp", "udp", "relp"):
            assert f"postfix.{event_type}.demo-{transport}\n" in output
    sent = sum(map(int, re.findall(r"sent ([0-9]+) lines over", output)))
    counts = {
        name: int(number)
        for number, name in re.findall(r"^\W*([0-9]+)\W+([a-z ]+?)\W*$", output, re.MULTILINE)
    }
    assert counts["frames received"] == sent
    outcomes = counts["frames with events"] + counts["lines skipped"] + counts["frames dropped"]
    assert outcomes == sent
    assert counts["frames dropped"] == 0
    assert counts["events"] == counts["events in the stream"] == 15
    assert output.endswith("balances\n")
    assert list(tmp_path.iterdir()) == [], "it cleans up"


def test_without_a_nats_server(tmp_path: Path) -> None:
    """Neither beside the interpreter nor on PATH."""
    interpreter = tmp_path / "python"
    interpreter.symlink_to(sys.executable)
    done = subprocess.run(
        [interpreter, "-m", "service", "demo"],
        capture_output=True,
        env=environment(
            PATH="/nowhere",
            PYTHONPATH=os.pathsep.join([sysconfig.get_path("purelib"), os.getcwd()]),
        ),
        timeout=50,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.startswith(b"demo: no nats-server here: ")
