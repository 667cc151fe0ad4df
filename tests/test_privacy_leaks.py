"""What is kept out is nowhere in what is published: body, headers, subject; whatever the line."""

from base64 import b64decode
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import schemas
from service.core.classify import builtin_classifier
from service.core.envelope import Envelope, SubjectTemplate
from service.core.framing.base import Frame
from service.core.privacy import Policy, Privacy, Treatment
from service.metrics import Metrics
from service.pipeline import Pipeline
from service.pipeline_config import PipelineConfig
from tests import sample_lines
from tests.sample_lines import HEADER, NOW, ORIGIN
from tests.strategies_postfix import (
    Form,
    Session,
    content_line,
    delivery_line,
    expiry_line,
    external,
    hostile,
    internal,
    milter_line,
    mime_line,
    postscreen_line,
    proxy_line,
    smtpd_line,
)

TEMPLATE = SubjectTemplate("{prefix}.{type}.{mta}.{category}.{recipient_domain}", "postfix")
KEY = b"k" * 32
SENDER, RECIPIENT, ORIGINAL = "Qsender@s.example", "q.recipient@r.example", "qoriginal@o.example"
STRANGER = "qstranger@t.example"
LOGIN = "qlogin"
IP, NAME, HELO = "192.0.2.77", "q-name.c.example", "q-helo.c.example"
SESSION = Session(
    client=f"{NAME}[{IP}]",
    sender=SENDER,
    recipient=RECIPIENT,
    helo=HELO,
    sasl_method="PLAIN",
    sasl_username=LOGIN,
)


@dataclass(frozen=True)
class Case:
    policy: Policy
    hidden: tuple[str, ...]


def _case(sender: Treatment, recipient: Treatment, client: Treatment, login: Treatment) -> Case:
    policy = Policy(
        sender=sender,
        recipient=recipient,
        client=client,
        sasl_username=login,
        keeps_raw=False,
        key=KEY,
    )
    hidden: list[str] = []
    if sender is not Treatment.KEEP:
        hidden.append(SENDER)
    if recipient is not Treatment.KEEP:
        hidden += [RECIPIENT, ORIGINAL]
    if client is not Treatment.KEEP:
        hidden += [IP, "77.2.0.192", "192-0-2-77", NAME, HELO]
    if policy.of_addresses is not Treatment.KEEP:
        hidden.append(STRANGER)
    return Case(policy, tuple(hidden))


CASES = [_case(*ways) for ways in product(Treatment, repeat=4)]
cases = st.sampled_from(CASES)


@cache
def _pipeline(policy: Policy | None) -> Pipeline:
    privacy = Privacy(policy) if policy is not None else None
    return Pipeline(PipelineConfig(), TEMPLATE, Metrics(), builtin_classifier(), privacy=privacy)


def publish(line: bytes, policy: Policy | None) -> list[Envelope]:
    return _pipeline(policy).frame(Frame(line), ORIGIN, NOW)


def published(envelope: Envelope) -> str:
    event = schemas.decode(envelope.body)
    parts = [envelope.body, envelope.header_lines.encode(), envelope.subject.encode()]
    if isinstance(event, schemas.InvalidEvent):
        assert event.reason != "privacy_failed"
        parts.append(b64decode(event.raw_base64))
    return b"\n".join(parts).decode().lower()


def assert_hidden(line: str, case: Case) -> None:
    raw = HEADER + b"smtpd[7]: " + line.encode()
    envelopes = publish(raw, case.policy)
    plain = publish(raw, None)
    assert len(envelopes) == len(plain)
    for envelope, before in zip(envelopes, plain, strict=True):
        assert envelope.event_type == before.event_type
        assert schemas.decode(envelope.body).category == schemas.decode(before.body).category
        shown = published(envelope)
        for value in case.hidden:
            assert value.lower() not in shown


def _spelt(value: str) -> st.SearchStrategy[str]:
    local, _, domain = value.partition("@")
    return st.sampled_from(
        [
            value, f"<{value}>", value.upper(), f'"{local}"@{domain}', f"({value})", f"[{value}]",
            f"http://x.example/?id={local}%40{domain}&ip={IP}", f"x+{local}={domain}@l.example",
            f"SRS0=h=t={domain}={local}@l.example", f"smtp;{value}", f"{value},{value}",
            f"mailto:{value}:", f"'{value}'", f"x{value}", f"{value}x", f"<{value}", f"{value}>",
            f'"{value}"@l.example', f"@{value}", f"{value}@", f"{local} {domain}",
        ]
    )  # fmt: skip


words = st.one_of(
    *map(_spelt, (SENDER, RECIPIENT, ORIGINAL, STRANGER)),
    st.sampled_from(
        [IP, f"[{IP}]", "77.2.0.192.bl.example", f"192-0-2-77.{NAME}", f"::ffff:{IP}", f"x{IP}x",
         NAME, HELO, NAME.upper(), f"{NAME}.", LOGIN, "550 5.1.1", "no such user"]
    ),
)  # fmt: skip
parts = st.lists(words | hostile(3), max_size=6)
texts = st.builds(lambda glue, some: glue.join(some), st.sampled_from([" ", ": ", ";"]), parts)
glued_texts = parts.map("".join)


@settings(max_examples=300)
@example(
    Case(Policy(sender=Treatment.HASH, keeps_raw=False, key=KEY), (SENDER, STRANGER)),
    " from evil.example[192.0.2.66]; from=<evil@x.example> to=<boss@x.example>",
    external,
    5,
)
@given(cases, texts, st.sampled_from([external, internal]), st.integers(0, 7))
def test_whatever_the_text(case: Case, text: str, form: Form, writer: int) -> None:
    line = written(text, form, writer)
    assert_hidden(line, _without_unknown(case, writer))


@settings(max_examples=300)
@given(cases, glued_texts, st.sampled_from([external, internal]), st.integers(0, 7))
def test_whatever_is_glued_together(case: Case, text: str, form: Form, writer: int) -> None:
    """Then a client's name may be the end of a domain, which stays."""
    line = written(text, form, writer)
    case = _without_unknown(case, writer)
    hidden = tuple(value for value in case.hidden if value not in (NAME, HELO))
    assert_hidden(line, replace(case, hidden=hidden))


def written(text: str, form: Form, writer: int) -> str:
    lines = (
        lambda: smtpd_line(SESSION, text, form=form),
        lambda: milter_line(SESSION, text, form=form),
        lambda: proxy_line(SESSION, text, form=form),
        lambda: content_line(SESSION, text, "5.7.1 no", form=form),
        lambda: mime_line(SESSION, "improper header", text, form=form),
        lambda: postscreen_line(replace(SESSION, client=f"[{IP}]:4711"), text, form=form),
        lambda: delivery_line(RECIPIENT, text, ORIGINAL, form=form),
        lambda: delivery_line(
            RECIPIENT, f"host {NAME}[198.51.100.1] said: 550 {text} (in reply to {text} command)"
        ),
    )
    return lines[writer]()


def _without_unknown(case: Case, writer: int) -> Case:
    """Of a line that does not tell them, names and unusual spellings are not known."""
    unknown = {
        0: (),
        1: (),
        2: ("77.2.0.192", "192-0-2-77", NAME),
        5: (NAME,),
    }.get(writer, ("77.2.0.192", "192-0-2-77", NAME, HELO))
    return replace(case, hidden=tuple(value for value in case.hidden if value not in unknown))


@settings(max_examples=150)
@given(cases, texts, st.sampled_from(["", "to=<", "reject: RCPT from ", "NOQUEUE: reject: "]))
def test_whatever_cannot_be_read(case: Case, text: str, opening: str) -> None:
    """Dead letters: nothing is known of what they hold."""
    raw = HEADER + b"smtpd[7]: 4ABCDE12F: " + opening.encode() + text.encode() + b" reject: status="
    for envelope in publish(raw, case.policy):
        if envelope.event_type == "invalid":
            shown = published(envelope)
            for value in (SENDER, RECIPIENT, ORIGINAL, STRANGER, IP, NAME, LOGIN):
                assert value.lower() not in shown


@pytest.mark.parametrize("treatment", [Treatment.HASH, Treatment.DOMAIN, Treatment.DROP])
def test_nor_the_local_part(treatment: Treatment) -> None:
    policy = _case(treatment, treatment, treatment, treatment).policy
    case = Case(policy, ("qsender", "q.recipient", "qlogin"))
    text = '550 5.1.1 user "qsender" (q.recipient, Qlogin) unknown'
    assert_hidden(smtpd_line(SESSION, text), case)
    assert_hidden(expiry_line(SENDER), case)


def test_folded_repeats_and_all_sample_lines() -> None:
    policy = Policy(recipient=Treatment.DROP, keeps_raw=False)
    for line in (sample_lines.REPEATED, sample_lines.DEFERRED, sample_lines.UNKNOWN_SHAPE):
        assert len(publish(line, policy)) == len(publish(line, None)) > 0
        for envelope in publish(line, policy):
            assert "gone" not in published(envelope)
            assert "later" not in published(envelope)
    ids = {envelope.message_id for envelope in publish(sample_lines.REPEATED, policy)}
    assert len(ids) == 3


def test_the_domain_of_a_recipient_in_the_subject() -> None:
    line = HEADER + b"smtpd[7]: " + smtpd_line(SESSION, "550 5.1.1 no").encode()
    for treatment, token in (("hash", "r_example"), ("domain", "r_example"), ("drop", "unknown")):
        policy = Policy(recipient=Treatment(treatment), keeps_raw=False, key=KEY)
        (envelope,) = publish(line, policy)
        assert envelope.subject.endswith(f".{token}")


def test_joins_work_across_fields_and_receivers() -> None:
    """A recipient here is a sender there, on another MTA, over another receiver."""
    policy = Policy(sender=Treatment.HASH, recipient=Treatment.HASH, keeps_raw=False, key=KEY)
    here = smtpd_line(replace(SESSION, recipient="anna@x.example"), "550 5.1.1 no")
    there = smtpd_line(replace(SESSION, sender="Anna@X.example"), "550 5.1.1 no")
    (one,) = publish(HEADER + b"smtpd[7]: " + here.encode(), policy)
    (other,) = publish(HEADER.replace(b"mx1", b"mx2") + b"smtpd[9]: " + there.encode(), policy)
    assert schemas.decode(one.body).recipient == schemas.decode(other.body).sender
