"""Host to provider, reply to the provider's own code."""

import pytest

from service.core.classify.conditions import RuleError
from service.core.classify.provider import Providers

PROVIDERS = Providers(
    [
        {
            "name": "one",
            "hosts": ["one.example", "mx.two.example"],
            "codes": ["S%", "TSS##", "@@:@@@"],
        },
        {
            "name": "two",
            "hosts": ["two.example"],
            "codes": ["(NO)", r"AUP\#I-##"],
            "enhanced": True,
        },
        {"name": "late", "hosts": ["one.example"]},
    ]
)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("one.example", "one"),
        ("a.b.one.example", "one"),
        ("a.b.one.example.", "one"),
        ("mx.two.example", "one"),
        ("mx2.two.example", "two"),
        ("notone.example", None),
        ("one.example.net", None),
        ("", None),
        ("." * 300, None),
    ],
)
def test_of_host(host: str, name: str | None) -> None:
    assert PROVIDERS.of_host(host) == name


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("one", "blocked (S3140).", "S3140"),
        ("one", "[TSS04] later", "TSS04"),
        ("one", "DT:SPM 163", "DT:SPM"),
        ("one", "S12 TSS4 TSS044 xS3140 S3140x S12345678901", None),
        ("two", "no (NO)", "(NO)"),
        ("two", "no. AUP#I-12", "AUP#I-12"),
        ("two", "no NO", "5.7.1"),
        ("late", "S3140", None),
    ],
)
def test_code(name: str, text: str, code: str | None) -> None:
    assert PROVIDERS.code(name, text, "5.7.1") == code


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"name": "Not A Name"},
        {"name": "x", "host": ["x.example"]},
        {"name": "x", "hosts": ["*.x.example"]},
        {"name": "x", "hosts": ["X.example"]},
        {"name": "x", "hosts": [1]},
        {"name": "x", "codes": ["(.*)+"]},
        {"name": "x", "codes": ["S"]},
        {"name": "x", "codes": [r"S\d"]},
        {"name": "x", "enhanced": "yes"},
    ],
)
def test_mistakes(table: dict[str, object]) -> None:
    with pytest.raises(RuleError):
        Providers([table])
