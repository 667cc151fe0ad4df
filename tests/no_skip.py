"""A pytest plugin: with `CI=true` in the environment a skipped test is a failed test.

What a test needs and does not find (a program, root) skips it on a developer's machine. In CI it
would hide for ever that the test no longer runs. Expected failures (`xfail`) stay as they are.
"""

import os
from collections.abc import Generator

import pytest

_REFUSED = "skipped, which CI does not allow: "


def is_ci() -> bool:
    return os.environ.get("CI", "").lower() in {"true", "1", "yes"}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and is_ci():
        report.outcome = "failed"
        report.longrepr = _REFUSED + _reason(report.longrepr)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A whole module that skips itself (`importorskip`) never reaches a test's report."""
    report = yield
    if report.skipped and is_ci():
        report.outcome = "failed"
        report.longrepr = _REFUSED + _reason(report.longrepr)
    return report


def _reason(longrepr: object) -> str:
    if isinstance(longrepr, tuple):
        return str(longrepr[2]).removeprefix("Skipped: ")
    return str(longrepr)
