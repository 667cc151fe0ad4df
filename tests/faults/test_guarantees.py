"""`docs/guarantees.md` names what exists, and leaves out no case."""

import ast
import re
from pathlib import Path

from tests.faults.table import CASES

_TOP = Path(__file__).parents[2]
_TEXT = (_TOP / "docs" / "guarantees.md").read_text(encoding="utf-8")
_NAMES = {case.name for case in CASES}


def _rows() -> list[list[str]]:
    rows = [line.strip("|").split("|") for line in _TEXT.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def _named() -> set[str]:
    return {name for row in _rows() for name in re.findall(r"`([^`]+)`", row[-1])}


def test_each_transport_meets_each_thing_that_happens() -> None:
    transports = {row[0] for row in _rows()}
    assert len(transports) == 5
    assert len({(row[0], row[1]) for row in _rows()}) == len(_rows()) == len(transports) * 6


def test_what_it_names_exists() -> None:
    for name in _named() - _NAMES:
        path, _, test = name.partition("::")
        tree = ast.parse((_TOP / path).read_text(encoding="utf-8"))
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        assert test in {node.name for node in ast.walk(tree) if isinstance(node, functions)}, name


def test_it_names_every_case() -> None:
    assert set(re.findall(r"`([^`]+)`", _TEXT)) >= _NAMES


def test_the_cases_have_names_of_their_own() -> None:
    assert len(_NAMES) == len(CASES)
