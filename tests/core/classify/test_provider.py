"""Host to provider, reply to the provider's own code."""

import pytest

from service.core.classify import provider as module
from service.core.classify.provider import MAX_CODES, PARSERS, REMEMBERED, Provider, Providers
from service.core.classify.tables import Place, RulesError, check


def provider(table: dict[str, object]) -> Provider:
    """Raises `RulesError`."""
    place = Place("f")
    checked = check(table, PARSERS, place)
    place.raise_mistakes()
    return Provider(**checked.values)


PROVIDERS = Providers(
    [
        provider(
            {
                "name": "one",
                "hosts": ["one.example", "mx.two.example"],
                "codes": ["S%", "TSS##", "@@:@@@"],
            }
        ),
        provider(
            {
                "name": "two",
                "hosts": "two.example",
                "codes": ["(NO)", r"AUP\#I-##"],
                "enhanced": True,
            }
        ),
        provider({"name": "late", "hosts": ["one.example"]}),
        provider({"name": "one", "hosts": ["more.example"], "codes": ["LATE"]}),
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
        ("more.example", "one"),
        ("", None),
        ("." * 300, None),
    ],
)
def test_of_host(host: str, name: str | None) -> None:
    assert PROVIDERS.of_host(host) == name
    assert PROVIDERS.of_host(host.upper()) == name


def test_hosts_that_are_remembered_are_bounded() -> None:
    providers = Providers([Provider("one", frozenset({"one.example"}))])
    for number in range(REMEMBERED + 2):
        assert providers.of_host(f"mx{number}.one.example") == "one"
    assert len(providers._remembered) == 2


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("one", "blocked (S3140).", "S3140"),
        ("one", "[TSS04] later", "TSS04"),
        ("one", "DT:SPM 163", "DT:SPM"),
        ("one", "S12 TSS4 TSS044 xS3140 S3140x S12345678901", None),
        ("one", "LATE", None),
        ("two", "no (NO)", "(NO)"),
        ("two", "no. AUP#I-12", "AUP#I-12"),
        ("two", "no NO", "5.7.1"),
        ("late", "S3140", None),
    ],
)
def test_code(name: str, text: str, code: str | None) -> None:
    assert PROVIDERS.code(name, text, "5.7.1") == code


def test_names() -> None:
    assert PROVIDERS.names == {"one", "two", "late"}


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"name": "Not A Name"}, "f: name: 'Not A Name' is no name: write a-z"),
        ({"name": "none"}, "f: name: none means that there is none"),
        ({"name": "x" * 65}, "f: name: "),
        ({"host": ["x.example"]}, "f: host: unknown key; did you mean hosts?"),
        ({"hosts": ["*.x.example"]}, "f: hosts: '*.x.example' is not a domain: write it in lower"),
        ({"hosts": ["X.example"]}, "f: hosts: 'X.example' is not a domain"),
        ({"hosts": [1]}, "f: hosts: 1 is not a word"),
        ({"hosts": ["a." * 127]}, "f: hosts: "),
        ({"hosts": []}, "f: hosts: an empty list"),
        ({"codes": ["(.*)+"]}, "f: codes: '(.*)+' is not the shape of a code"),
        ({"codes": ["S"]}, "f: codes: 'S' is not the shape"),
        ({"codes": [r"S\d"]}, "f: codes: "),
        ({"codes": ["%%"]}, "f: codes: '%%': % cannot stand beside another digit"),
        ({"codes": ["S%#"]}, "f: codes: 'S%#': %"),
        ({"codes": ["S1%"]}, "f: codes: 'S1%': %"),
        ({"codes": [f"S{n:03}" for n in range(MAX_CODES + 1)]}, "f: codes: 65 shapes; at most 64"),
        ({"enhanced": "yes"}, "f: enhanced: 'yes' is not true or false"),
    ],
)
def test_mistakes(table: dict[str, object], told: str) -> None:
    with pytest.raises(RulesError) as caught:
        provider({"name": "x", **table})
    (problem,) = caught.value.problems
    assert problem.startswith(told)


def test_escaped_signs_are_no_digits() -> None:
    shapes = Providers([provider({"name": "x", "codes": [r"\%%\#", "A-%-%"]})])
    assert shapes.code("x", "no %1234# here", None) == "%1234#"
    assert shapes.code("x", "no 1234 here", None) is None
    assert shapes.code("x", "A-123-4567890123", None) == "A-123-4567890123"


def test_the_documented_keys_are_the_known_ones() -> None:
    lines = [line for line in (module.__doc__ or "").splitlines() if line.startswith("    ")]
    documented = {line[4:].split("  ")[0].strip() for line in lines} - {""}
    assert documented == set(PARSERS)


def test_of_words_is_the_first_page_named() -> None:
    providers = Providers(
        [
            provider({"name": "one", "hosts": "one.example", "pages": "help.one.example"}),
            provider({"name": "two", "hosts": "two.example", "pages": "help.two.example"}),
            provider({"name": "late", "pages": "help.one.example"}),
        ]
    )
    assert providers.of_words(["see", "help.two.example", "help.one.example"]) == "two"
    assert providers.of_words(["help.one.example"]) == "one"
    assert providers.of_words(["one.example", "www.help.one.example", "help"]) is None
