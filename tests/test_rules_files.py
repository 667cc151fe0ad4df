"""The operator's rules files: read within bounds, and every mistake told with its file."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from service.core.classify import Classifier, RulesError, builtin_classifier
from service.rules_files import MAX_BYTES, MAX_FILES, ClassifyConfig, prepare
from tests.core.classify.case_files import remote

RULE = """
[[rule]]
id = "{id}"
any = "{phrase}"
category = "mailbox_full"
scope = "recipient"
source = "us"
"""


def prepared(*paths: Path) -> Classifier:
    return prepare(ClassifyConfig(rules=list(paths)))


def problems(*paths: Path) -> list[str]:
    with pytest.raises(RulesError) as caught:
        prepared(*paths)
    return caught.value.problems


def written(path: Path, data: str | bytes) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def test_without_files_the_built_in_rules() -> None:
    assert prepared() is builtin_classifier()


def test_an_earlier_file_wins(tmp_path: Path) -> None:
    one = written(tmp_path / "1.toml", RULE.format(id="one", phrase="zork"))
    two = written(tmp_path / "2.toml", RULE.format(id="two", phrase="zork"))
    assert prepared(one, two).classify(remote("550 zork")).rule == "one"
    assert prepared(two, one).classify(remote("550 zork")).rule == "two"


def test_a_rule_may_ask_for_built_in_providers(tmp_path: Path) -> None:
    file = written(tmp_path / "1.toml", RULE.format(id="one", phrase="zork") + 'of = "google"\n')
    verdict = prepared(file).classify(remote("550 zork", "mx.google.com"))
    assert (verdict.rule, verdict.provider) == ("one", "google")


def test_mistakes_of_all_files_at_once(tmp_path: Path) -> None:
    gone = tmp_path / "gone.toml"
    bad = written(tmp_path / "bad.toml", "[[rule]")
    wrong = written(tmp_path / "wrong.toml", RULE.format(id="x", phrase="@"))
    unreadable, broken, useless = problems(gone, bad, wrong)
    assert unreadable == f"{gone}: cannot be read: No such file or directory"
    assert broken.startswith(f"{bad}: no valid TOML: ")
    assert broken.endswith("(at line 1, column 7)")
    assert useless.startswith(f"{wrong}: rule x: any: '@' would never match: addresses are cut")


def test_a_file_is_not_waited_for(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert problems(fifo, tmp_path) == [
        f"{fifo}: cannot be read: not a regular file",
        f"{tmp_path}: cannot be read: Is a directory",
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"\xff",
        b"a = \x00",
        b"x = " + b"[" * 5000,
        b"x = " + b"1" * 5000,
        b"x = 2026-13-01",
    ],
)
def test_no_toml(tmp_path: Path, data: bytes) -> None:
    (problem,) = problems(written(tmp_path / "x.toml", data))
    assert problem.startswith(f"{tmp_path}/x.toml: no valid TOML: ")


def test_all_files_together_are_bounded(tmp_path: Path) -> None:
    rule = RULE.format(id="x", phrase="zork")
    small = written(tmp_path / "small.toml", rule)
    large = written(tmp_path / "large.toml", "#" * (MAX_BYTES - len(rule)))
    assert prepared(small, large).classify(remote("550 zork")).rule == "x"
    written(large, "#" * (MAX_BYTES - len(rule) + 1))
    assert problems(small, large) == [
        f"{large}: too large: all rules files together may have {MAX_BYTES} bytes; leave some out"
    ]


def test_the_number_of_files_is_bounded(tmp_path: Path) -> None:
    ClassifyConfig(rules=[tmp_path] * MAX_FILES)
    with pytest.raises(ValidationError, match="at most 16"):
        ClassifyConfig(rules=[tmp_path] * (MAX_FILES + 1))
