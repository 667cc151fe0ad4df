"""Every rule by its own cases, and what holds for all of them."""

import pytest

from schemas.vocabulary import Category, Scope
from service.core.classify import builtin_classifier
from service.core.classify.rule import Rule
from tests.core.classify.case_files import Case, cases

CASES = cases()
RULES = builtin_classifier().rules

MAY_LIMIT_THE_RECIPIENT = {
    "apple.recipient-rate",
    "google.recipient-rate",
    "microsoft.recipient-rate",
    "microsoft.recipient-rate-code",
    "tencent.recipient-rate",
    "wording.exceeded-recipient-rate",
    "wording.recipient-rate",
    "yahoo.recipient-rate",
}
"""What one mailbox may receive in an hour, whoever sends it: no verdict on our reputation."""


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    verdict = builtin_classifier().classify(case.facts)
    assert verdict.rule == case.rule
    assert (verdict.category, verdict.scope) == (case.category, case.scope)
    assert (verdict.provider, verdict.provider_code) == (case.provider, case.provider_code)


def test_every_rule_has_a_case() -> None:
    assert {rule.id for rule in RULES} - {case.rule for case in CASES} == set()


def test_every_case_names_a_rule() -> None:
    assert {case.rule for case in CASES} - {rule.id for rule in RULES} == {"none"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_rule_keeps_its_promises(rule: Rule) -> None:
    assert rule.category in {category.value for category in Category}
    assert rule.scope in {scope.value for scope in Scope}
    assert type(rule.category) is str, "events serialise plain strings"
    assert rule.source
    if rule.category.startswith("blocklisted"):
        assert rule.scope == "reputation"
    if rule.category == "rate_limited" and rule.scope == "recipient":
        assert rule.id in MAY_LIMIT_THE_RECIPIENT
