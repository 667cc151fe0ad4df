"""`tests.no_skip`: a skip is a failure in CI, and nowhere else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_SUITE = """
import pytest

def test_passes(): pass

@pytest.mark.skip(reason="marked so")
def test_marked(): pass

@pytest.fixture
def missing(): pytest.skip("no such program")

def test_in_setup(missing): pass

def test_inside(): pytest.skip("not today")

@pytest.mark.xfail(strict=True)
def test_known_fault(): assert False
"""
_SKIPPED_MODULE = """
import pytest
pytest.importorskip("a_module_nobody_has")
"""
# A module that cannot be collected is an error, which would end the run before the tests.
_OPTIONS = ["--continue-on-collection-errors", "-p", "no:randomly"]


def run(directory: Path, ci: str) -> str:
    (directory / "test_suite.py").write_text(_SUITE)
    (directory / "test_module.py").write_text(_SKIPPED_MODULE)
    (directory / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-ra", "-p", "tests.no_skip", *_OPTIONS],
        cwd=directory,
        env={**os.environ, "CI": ci, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def test_skips_fail_in_ci(tmp_path: Path) -> None:
    output = run(tmp_path, ci="true")
    # pytest calls a failure in setup or collection an error.
    for reason in ("marked so", "no such program", "not today", "could not import 'a_module"):
        assert f"skipped, which CI does not allow: {reason}" in output
    assert "1 failed, 1 passed, 1 xfailed, 3 errors" in output


@pytest.mark.parametrize("ci", ["", "false"])
def test_skips_stay_skips_elsewhere(tmp_path: Path, ci: str) -> None:
    output = run(tmp_path, ci)
    assert "1 passed, 4 skipped, 1 xfailed" in output
