"""How large a fleet must be: the formula, and that the document shows what it gives."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.sizing import Costs, Load, Shape, Size, size, table

_DOCUMENT = Path(__file__).parents[2] / "docs" / "scaling.md"
_COSTS, _LOAD, _SHAPE = Costs(), Load(), Shape()


def of(mtas: int, costs: Costs = _COSTS, load: Load = _LOAD, shape: Shape = _SHAPE) -> Size:
    return size(mtas, costs, load, shape)


def test_by_hand() -> None:
    found = of(1000)
    assert found.lines == pytest.approx(30_000)
    assert found.events == pytest.approx(3000)
    # 30,000 times 9 µs and 3,000 times 125 µs, of which a worker does 0.6.
    assert found.cores == pytest.approx(0.645)
    assert (found.workers, found.machines) == (2, 2)
    assert found.waiting == pytest.approx(1000 * 100_000 / 86_400 * 0.05 * 3600)
    assert found.stream_gb == pytest.approx(1000 * 86_400 * 2000 / 1e9)


def test_one_machine_may_be_away() -> None:
    for mtas in (1, 100, 5000, 100_000):
        found = of(mtas)
        assert (found.machines - 1) * _SHAPE.workers * _SHAPE.busy >= found.cores


def test_failures_cost_more_than_lines() -> None:
    assert of(1000, load=replace(_LOAD, failures=0)).cores == pytest.approx(0.27)
    assert of(1000, load=replace(_LOAD, failures=1)).cores == pytest.approx(4.02)


def test_memory_is_of_processes_and_of_what_waits() -> None:
    none = replace(_COSTS, process_mib=0)
    assert of(1000, none).memory_mib == pytest.approx(208_333 * 300 / (1 << 20), rel=0.001)
    assert of(1000).memory_mib == pytest.approx(of(1000, none).memory_mib + 4 * 150)


def test_the_document_shows_the_table() -> None:
    shown = _DOCUMENT.read_text(encoding="utf-8")
    assert table([of(mtas) for mtas in (100, 1000, 10_000)], _SHAPE) in shown


def test_options_are_heeded() -> None:
    command = [sys.executable, "-m", "benchmarks.sizing", "--mtas", "1000", "--line-us", "20"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert table([of(1000, replace(_COSTS, line_us=20))], _SHAPE) == said
