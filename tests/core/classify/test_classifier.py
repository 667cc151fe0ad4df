"""All rules together: order, index, any text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.vocabulary import Category, Scope
from service.core.classify import RuleError, Verdict, builtin_tables, classify, compile_rules
from service.core.classify.classifier import NO_RULE
from service.core.classify.subject import REMOTE, subject
from service.core.classify.wording import joined, words
from service.core.postfix.facts import Delivery, Facts, Reject, Relay, RemoteReply
from tests.core.classify.case_files import cases, door, own, remote

BUILTIN = compile_rules(builtin_tables())
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
    asked = subject(facts, BUILTIN.providers.of_host)
    normal = words(joined(asked.text) if asked.said == REMOTE else asked.text)
    first = next((r.id for r in BUILTIN.rules if r.matches(asked, normal, asked.provider)), NO_RULE)
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


def test_own_rules_come_first() -> None:
    operator = {
        "defaults": {"said": "remote"},
        "rule": [a_rule("mine", any="user unknown", of="ours", category="other", scope="local")],
        "provider": [{"name": "ours", "hosts": ["example.net"]}],
    }
    classifier = compile_rules([operator, *builtin_tables()])
    text = "550 5.1.1 User unknown"
    assert classifier.classify(remote(text)) == Verdict("other", "local", "ours", None, "mine")
    assert classifier.classify(remote(text, "mx.example.org")).rule == "wording.unknown-user"
    assert classifier.classify(door(text)).rule == "wording.unknown-user"
    assert classify(remote(text)).rule == "wording.unknown-user", "the built-in rules are untouched"


def test_the_first_of_two_that_match() -> None:
    rules = [a_rule("first", any=["rare word", "x"]), a_rule("second", any="rare")]
    classifier = compile_rules([{"rule": rules}])
    assert classifier.classify(own("a rare word")).rule == "first"
    assert classifier.classify(own("a rare one")).rule == "second"
    assert compile_rules([{"rule": rules[::-1]}]).classify(own("a rare word")).rule == "second"


def test_without_rules() -> None:
    empty = compile_rules([])
    assert empty.classify(own("anything")) == Verdict("other", "unknown", None, None, NO_RULE)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ([{"rules": []}], "unknown table 'rules'"),
        ([{"rule": {"id": "x"}}], r"rule is a list of tables: write \[\[rule\]\]"),
        ([{"rule": ["x"]}], "rule is a list of tables"),
        ([{"defaults": 3}], "defaults is a table"),
        ([{"rule": [a_rule("x", any="a")]}, {"rule": [a_rule("x", any="b")]}], "rule x: a second"),
    ],
)
def test_mistakes_in_a_file(files: list[dict[str, object]], told: str) -> None:
    with pytest.raises(RuleError, match=told):
        compile_rules(files)
