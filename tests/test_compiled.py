"""A wheel whose core is compiled: built, installed elsewhere, and held to what the sources are held
to, which is the corpus of lines and the pipeline's properties."""

import os
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TESTS = (
    "tests/test_corpus.py",
    "tests/test_pipeline.py",
    "tests/test_pipeline_blocks.py",
    "tests/test_pipeline_equal_lines.py",
    "tests/test_correlation.py",
    "tests/test_correlation_aliases.py",
    "tests/test_correlation_hostile.py",
    "tests/test_correlation_model.py",
    "tests/test_correlation_reuse.py",
    "tests/test_correlation_waits.py",
    "tests/test_held_lines.py",
    "tests/test_leaving.py",
    "tests/test_waitroom.py",
    "tests/test_waitrooms.py",
    "tests/core/classify",
    "tests/core/correlate",
    "tests/core/framing",
    "tests/core/postfix",
    "tests/core/syslog",
    "tests/core/test_assemble.py",
    "tests/core/test_invalid.py",
    "tests/core/test_line.py",
    "tests/core/test_mta.py",
    "tests/core/test_resolved.py",
    "tests/listeners/test_relp.py",
    "tests/listeners/test_relp_speaker.py",
    "tests/nats/test_flight.py",
    "tests/nats/test_lines.py",
    "tests/nats/test_wire.py",
    "tests/spool/test_memory.py",
)
UNFIT = (
    "tests/test_pipeline.py::TestDefect",
    "tests/test_correlation_hostile.py::TestDefect",
    "tests/core/classify/test_subject.py",
    "tests/core/classify/test_classifier.py::test_equal_subjects_are_judged_once",
    (
        "tests/core/classify/test_classifier.py"
        "::test_a_classifier_that_is_no_longer_used_is_gone_without_a_garbage_collector"
    ),
    "tests/core/classify/test_provider.py::test_the_documented_keys_are_the_known_ones",
    "tests/core/classify/test_rule.py::test_the_documented_keys_are_the_known_ones",
)
"""They hand in objects of classes of their own, which compiled code calls no method of, or inherits
from; or they ask for docstrings and weak references, which compiled classes do not have."""

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        pytest.skip("needs Python's headers: apt-get install python3-dev gcc")
    folder = tmp_path_factory.mktemp("compiled")
    into = str(folder / "wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", into]
    run(build, {"MAILFAULT_COMPILE": "1"})
    (wheel,) = (folder / "wheel").iterdir()
    assert not wheel.name.endswith("-none-any.whl")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-index"]
    run([*pip, "--no-deps", "--target", folder / "site", wheel], {})
    return folder / "site"


def run(command: Sequence[str | Path], more: dict[str, str]) -> str:
    # Nothing of the measured process: these sources are others.
    given = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run(
        command, cwd=ROOT, env={**given, **more}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_compiled_core_gives_what_the_sources_give(site: Path) -> None:
    # `-P` and `append`: or the sources of this directory would come before those installed.
    pytest_run = [sys.executable, "-P", "-m", "pytest", "--import-mode=append", "-q"]
    deselected = [f"--deselect={name}" for name in UNFIT]
    run([*pytest_run, "-p", "no:cacheprovider", *deselected, *TESTS], {"PYTHONPATH": str(site)})


def test_the_installed_program_says_that_it_is_compiled(site: Path) -> None:
    version = [sys.executable, "-P", "-m", "service", "--version"]
    assert run(version, {"PYTHONPATH": str(site)}).rstrip().endswith("(core compiled)")
    assert "compiled" not in run(version, {"PYTHONPATH": str(ROOT)})


def test_nothing_compiled_lies_beside_the_sources(site: Path) -> None:
    assert list((site / "service").rglob("*.so"))
    assert not list((ROOT / "service").rglob("*.so"))
