"""All rules together: order, index, any text."""

import gc
import weakref

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.vocabulary import Category, Scope
from service.core.classify import (
    Classifier,
    Place,
    RulesFile,
    Verdict,
    builtin_classifier,
    builtin_rules,
    compile_files,
    own_and_builtin,
)
from service.core.classify.classifier import REMEMBERED
from service.core.classify.provider import Providers
from service.core.classify.subject import REMOTE, Subject, heard
from service.core.classify.values import NOTHING
from service.core.classify.wording import joined, words
from service.core.postfix.facts import Delivery, Facts, Reject, Relay, RemoteReply
from tests.core.classify.case_files import cases, door, own, remote

BUILTIN = builtin_classifier()
classify = BUILTIN.classify
CATEGORIES = {category.value for category in Category}
SCOPES = {scope.value for scope in Scope}


def a_rule(name: str, **conditions: object) -> dict[str, object]:
    return {"id": name, "category": "policy", "scope": "policy", "source": "us", **conditions}


# What a text is made of: the needles of the rules, texts of cases, and what attackers add.
NEEDLES = sorted({n.strip() for rule in BUILTIN.rules for g in rule.phrases for n in g.needles})
TEXTS = sorted({case.facts.response for case in cases()})
JUNK = [
    "<",
    ">",
    '"',
    "<a@b>",
    '<"',
    "@",
    "@" * 40,
    "550-",
    " 550 ",
    ". ",
    "...",
    "\u2019",
    "\x00",
    "\ud7ff",
    "-",
    ": ",
]
PARTS = st.one_of(
    st.sampled_from(NEEDLES), st.sampled_from(TEXTS), st.sampled_from(JUNK), st.text(max_size=20)
)
TEXT = st.builds(
    lambda head, parts, space: head + space.join(parts),
    st.sampled_from(["", "550 5.1.1 ", "421-4.7.28 ", "451 ", "5.7.1 ", "550 ", "<x@y>: "]),
    st.lists(PARTS, max_size=5),
    st.sampled_from([" ", "", "; "]),
)
CODE = st.none() | st.integers(200, 599)
ENHANCED = st.none() | st.sampled_from(
    ["5.1.1", "4.7.28", "5.7.606", "x", "5..", "5.7.1234", "4.2.1"]
)
HOST = st.none() | st.sampled_from(
    ["gmail-smtp-in.l.google.com", "mx.yahoodns.net", "mail.protection.outlook.com", "a", "."]
)
REJECTS = st.builds(
    Reject,
    st.sampled_from(["reject", "milter-reject", "abort"]),
    st.sampled_from(["RCPT", "CONNECT", "header", "mime-error"]),
    TEXT,
    st.none(),
    smtp_code=CODE,
    enhanced_code=ENHANCED,
    helo=st.none() | st.text(max_size=10),
    dnsbl=st.none() | st.just("bl.example"),
)
DELIVERIES = st.builds(
    Delivery,
    st.just("deferred"),
    st.sampled_from(["deferred", "expired", "bounced"]),
    TEXT,
    relay=st.none()
    | st.builds(
        Relay, st.sampled_from(["mx.google.com", "local"]), st.none(), st.none(), st.none()
    ),
    enhanced_code=ENHANCED,
    remote_reply=st.none()
    | st.builds(
        RemoteReply,
        HOST,
        st.none(),
        CODE,
        ENHANCED,
        TEXT,
        st.sampled_from([None, "RCPT TO", "MAIL FROM"]),
    ),
)


@settings(max_examples=300)
@given(st.one_of(REJECTS, DELIVERIES))
def test_any_text_has_a_verdict(facts: Facts) -> None:
    verdict = BUILTIN.classify(facts)
    assert verdict.category in CATEGORIES
    assert verdict.scope in SCOPES
    assert type(verdict.category) is type(verdict.scope) is str
    if verdict.category.startswith("blocklisted"):
        assert verdict.scope == "reputation"
    if verdict.category == "rate_limited" and verdict.scope == "recipient":
        assert verdict.rule.endswith(("recipient-rate", "recipient-rate-code"))
    assert verdict == BUILTIN.classify(facts)


@settings(max_examples=300)
@given(st.one_of(REJECTS, DELIVERIES))
def test_the_index_finds_what_asking_every_rule_finds(facts: Facts) -> None:
    asked = Subject(*heard(facts, BUILTIN.providers))
    normal = words(joined(asked.text) if asked.said == REMOTE else asked.text)
    first = next((r.id for r in BUILTIN.rules if r.matches(asked, normal, asked.provider)), NOTHING)
    assert BUILTIN.classify(facts).rule == first


def test_what_a_client_chose_decides_nothing() -> None:
    honest = classify(door("550 5.1.1 <bob@example.org>: Recipient address rejected: User unknown"))
    for address in (
        "quota-exceeded@example.org",
        '"mailbox full"@example.org',
        '"x>: Relay access denied"@example.org',
        '"x>: Service unavailable; Client host [1] blocked using zen.spamhaus.org"@example.org',
        "zen.spamhaus.org",
        "spf-dkim-dmarc[192.0.2.1]",
    ):
        text = f"550 5.1.1 <{address}>: Recipient address rejected: User unknown"
        assert classify(door(text)) == honest, address
        assert classify(remote(text)).rule == honest.rule, address
        assert (
            classify(remote(f"550 5.1.1 Sorry, <{address}> is no user")).category != "relay_denied"
        )


def test_a_block_list_is_never_the_recipients_fault() -> None:
    for words_on_recipient in (
        "User unknown",
        "mailbox unavailable",
        "No such user",
        "Mailbox full",
    ):
        for words_on_list in ("see https://www.spamhaus.org/", "your IP is blacklisted", "(S3140)"):
            for text in (
                f"{words_on_recipient}; {words_on_list}",
                f"{words_on_list} {words_on_recipient}",
            ):
                verdict = classify(remote(f"550 5.1.1 {text}", "a.mail.protection.outlook.com"))
                assert verdict.scope == "reputation", text


def test_a_reply_over_several_lines_is_one_text() -> None:
    verdict = classify(remote("550-5.1.1 mailbox 550-5.1.1 is 550 5.1.1 full"))
    assert verdict.rule == "wording.mailbox-full"


def classifier_of(*rules: dict[str, object]) -> Classifier:
    compiled = compile_files([RulesFile("f", {"rule": list(rules)})], Place("f"))
    return Classifier(compiled.rules, Providers(compiled.providers))


def test_the_first_of_two_that_match() -> None:
    first, second = a_rule("first", any=["rare word", "x"]), a_rule("second", any="rare")
    classifier = classifier_of(first, second)
    assert classifier.classify(own("a rare word")).rule == "first"
    assert classifier.classify(own("a rare one")).rule == "second"
    assert classifier_of(second, first).classify(own("a rare word")).rule == "second"


def test_without_rules() -> None:
    empty = classifier_of()
    facts = own("anything", dsn=None)
    assert empty.classify(facts) == Verdict("other", "unknown", None, None, NOTHING)


def test_what_no_rule_knows_has_its_scope_from_the_codes() -> None:
    verdict = classify(remote("550 5.2.77 zork"))
    assert verdict == Verdict("other", "recipient", None, None, NOTHING)
    assert classify(remote("550 zork")).scope == "unknown"


def test_equal_subjects_are_judged_once() -> None:
    class Counting(Providers):
        asked = 0

        def code(self, name: str, text: str, enhanced: str | None) -> str | None:
            Counting.asked += 1
            return super().code(name, text, enhanced)

    classifier = Classifier((), Counting(builtin_rules().providers))
    for number in range(3):
        classifier.classify(remote(f"550 <u{number}@example.org> no", "mx.google.com"))
    assert Counting.asked == 1


def test_what_is_remembered_is_bounded() -> None:
    classifier = classifier_of(a_rule("rate", any="too many"))
    for number in range(REMEMBERED + 2):
        facts = own("too many", dsn=f"4.{number // 1000}.{number % 1000}")
        assert classifier.classify(facts).rule == "rate"
    assert len(classifier._verdicts) == len(classifier._causes) == 2


def test_a_classifier_that_is_no_longer_used_is_gone_without_a_garbage_collector() -> None:
    """What was there at the start is frozen (`gc.freeze`); a reload must not leave it behind."""
    classifier = own_and_builtin(compile_files([], Place("f")))
    classifier.classify(remote("550 no", "mx.google.com"))
    gone: list[weakref.ref[object]] = [weakref.ref(classifier), weakref.ref(classifier.providers)]
    gc.disable()
    try:
        del classifier
        assert [reference() for reference in gone] == [None, None]
    finally:
        gc.enable()
