"""Without nats-py: everything else works, and the error says what to install."""

import importlib
import sys

import pytest


@pytest.fixture
def _anew(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("schemas.nats")]:
        monkeypatch.delitem(sys.modules, name)
    # `import` sets these, and nothing takes them back.
    monkeypatch.setattr("schemas.nats", None, raising=False)


@pytest.mark.usefixtures("_anew")
def test_without_nats_py_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nats", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'mailfault-schemas\[nats\]'"):
        importlib.import_module("schemas.nats")


@pytest.mark.usefixtures("_anew")
def test_something_else_that_is_missing_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "nats"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "nats.aio", None)
    with pytest.raises(ModuleNotFoundError, match=r"nats\.aio"):
        importlib.import_module("schemas.nats")
