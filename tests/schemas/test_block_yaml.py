"""The YAML that is written, read back by a reader of the few forms the writer uses."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.block_yaml import dump

_KEY = re.compile(r'(?P<key>"(?:[^"\\]|\\.)*"|[A-Za-z][A-Za-z0-9_./-]*):(?: (?P<rest>.+))?')


def load(text: str) -> Any:
    lines = text.split("\n")
    assert lines.pop() == ""
    value, rest = _block(lines, 0)
    assert rest == []
    return value


def _block(lines: list[str], depth: int) -> tuple[Any, list[str]]:
    """The value that starts in the first line, at the column `depth`, and the lines after it."""
    head = lines[0][depth:]
    if head.startswith("- "):
        items = []
        while lines and lines[0][:depth].isspace() | (depth == 0) and lines[0][depth:][:2] == "- ":
            item, lines = _block(
                [lines[0][:depth] + "  " + lines[0][depth + 2 :], *lines[1:]], depth + 2
            )
            items.append(item)
        return items, lines
    if not _KEY.fullmatch(head):
        return _scalar(head), lines[1:]
    entries: dict[str, Any] = {}
    while lines and lines[0][:depth] == " " * depth and (match := _KEY.fullmatch(lines[0][depth:])):
        key = _scalar(match["key"])
        lines = lines[1:]
        if match["rest"] is None:
            entries[key], lines = _block(lines, depth + 2)
        elif match["rest"] == "|-":
            kept = []
            while lines and (not lines[0] or lines[0][: depth + 2].isspace()):
                kept.append(lines.pop(0)[depth + 2 :])
            entries[key] = "\n".join(kept)
        else:
            entries[key] = _scalar(match["rest"])
    return entries, lines


def _scalar(text: str) -> Any:
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_./-]*", text) and text not in {"true", "false", "null"}:
        return text
    return json.loads(text)


tricky = st.sampled_from(
    ["", "yes", "No", "null", "true", "~", "1.0", "1e3", "0x1F", "- a", "a: b", "a #b", "#", "@x",
     "two\nlines", "a\n\nb", " indented\nx", "trailing \nx", "a\x7fb", "x\n", "\n",
     "tab\tbed", "é", "\x85",
     "\u2028", "'", '"', "\\", "|-", "{}", "[]", "&a", "*a", "!t", "%d", "x:", "key: |-\n  y"]
)  # fmt: skip
strings = tricky | st.text(max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | strings,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(strings, inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@given(values)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert load(dump(value)) == value


@given(values)
def test_it_is_ascii_without_tabs_or_trailing_space(value: Any) -> None:
    text = dump(value)
    assert text.isascii()
    assert not re.search(r"[^\n -~]| $|\t", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": {"b": [1, {"c": None}]}}, "a:\n  b:\n    - 1\n    - c: null\n"),
        ([{"c": 1, "d": [True]}], "- c: 1\n  d:\n    - true\n"),
        ({"a": "two\n\nlines", "b": []}, "a: |-\n  two\n\n  lines\nb: []\n"),
        (["plain", "1.0", "yes", "a b", ""], '- plain\n- "1.0"\n- "yes"\n- "a b"\n- ""\n'),
        ([[1, 2], {}], "- - 1\n  - 2\n- {}\n"),
        ({"$ref": "#/x"}, '"$ref": "#/x"\n'),
    ],
)  # fmt: skip
def test_what_it_looks_like(value: Any, text: str) -> None:
    assert dump(value) == text
