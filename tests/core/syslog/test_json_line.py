import pytest

from service.core.syslog.json_line import read_object, string_of


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "1", "null", '"x"', "[" * 100_000, '{"a":' * 100_000, "9" * 10_000, "{'a':1}"],
)
def test_whatever_is_wrong_it_is_no_object(text: str) -> None:
    assert read_object(text) is None


def test_an_object() -> None:
    assert read_object('{"a": "b", "a": "c"}') == {"a": "c"}


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("x", "x"),
        ("j\u00f6", "j\u00f6"),
        ("\ud800x", "?x"),
        ([120, 255, 121], "x\ufffdy"),
        (["first", "second"], "first"),
        ([], None),
        ([256], None),
        ([1.5], None),
        ([[1]], None),
        ([None], None),
        (None, None),
        (7, None),
        ({}, None),
    ],
)
def test_string_of(value: object, wanted: str | None) -> None:
    assert string_of(value) == wanted
