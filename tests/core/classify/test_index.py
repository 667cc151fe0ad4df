"""Which rules are looked at: by their rarest word, by code, or always."""

from service.core.classify.compiling import RulesFile, compile_files
from service.core.classify.index import Index
from service.core.classify.subject import Subject
from service.core.classify.tables import Place
from service.core.classify.wording import words


def index_of(*conditions: dict[str, object]) -> Index:
    rules = [
        {"id": f"r{n}", "category": "policy", "scope": "policy", "source": "us", **each}
        for n, each in enumerate(conditions)
    ]
    return Index(compile_files([RulesFile("f", {"rule": rules})], Place("f")).rules)


def first(index: Index, text: str, **changes: object) -> str | None:
    asked = Subject("remote", text, 550, "5.7.1", "RCPT TO", "", None, False)
    found = index.first(asked._replace(**changes), words(text))  # type: ignore[arg-type]
    return found.id if found is not None else None


def test_by_words() -> None:
    index = index_of({"all": ["mailbox", "frobnicated"]}, {"any": "the mailbox"})
    assert first(index, "the mailbox") == "r1"
    assert first(index, "frobnicated the mailbox") == "r0"
    assert first(index, "frobnicated") is None


def test_by_codes() -> None:
    index = index_of({"enhanced": ["5.1.1", "x.2.x"]}, {"code": [421, "5xx"]})
    assert first(index, "", enhanced="5.1.1") == "r0"
    assert first(index, "", enhanced="4.2.99") == "r0"
    assert first(index, "", enhanced="5.7.1") == "r1"
    assert first(index, "", enhanced=None, smtp_code=421) == "r1"
    assert first(index, "", enhanced="junk", smtp_code=None) is None


def test_a_rule_without_words_and_codes_is_always_asked() -> None:
    index = index_of({"place": "DATA"})
    assert first(index, "", place="DATA") == "r0"
    assert first(index, "") is None
