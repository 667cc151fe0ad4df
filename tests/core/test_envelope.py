"""Subject, headers and body: nothing of a line gets into the first two unescaped."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

import schemas
from schemas.export import schema_urn
from service.core.assemble import Event, assemble
from service.core.classify import builtin_classifier
from service.core.context import Context
from service.core.envelope import Envelope, SubjectTemplate, seal
from service.core.invalid import assemble_invalid
from service.core.line import NAME_MAX
from service.core.outcomes import Malformed
from tests.core.sample_facts import LINE, MESSAGE, RECORD, delivery, reject
from tests.sample_lines import NOW, TEMPLATE, assembled

TOKEN = re.compile(r"[A-Za-z0-9_=-]+")
"""What a subject token of ours may hold: no space, no `.`, no `*`, no `>`, no control."""


def headers(envelope: Envelope) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in envelope.header_lines.split("\r\n"))


def event(host: str = "mx1.example.org", service: str = "postfix/smtpd") -> Event:
    line = replace(LINE, message=replace(MESSAGE, host=host))
    return assembled(line, replace(RECORD, service=service), reject())


def test_headers_of_the_contract() -> None:
    envelope = seal(event(), TEMPLATE, 12.5)
    body = schemas.decode(envelope.body)
    assert envelope.subject == "postfix.reject.mx1_example_org"
    assert envelope.event_type == "reject"
    assert envelope.received == 12.5
    assert envelope.message_id == body.event_id
    assert headers(envelope) == {
        "ce-specversion": "1.0",
        "ce-id": body.event_id,
        "ce-source": "//mx1.example.org/postfix/smtpd",
        "ce-type": "mailfault.reject.v1",
        "ce-time": "2026-08-22T10:00:00Z",
        "ce-datacontenttype": "application/json",
        "ce-dataschema": "urn:mailfault:schema:reject:v1",
        "ce-subject": "4ABCDE12F",
    }


def test_without_queue_id_there_is_no_ce_subject() -> None:
    noqueue = assembled(LINE, replace(RECORD, queue_id=None), reject())
    assert "ce-subject" not in headers(seal(noqueue, TEMPLATE, 0))


def test_without_service_the_source_is_the_host() -> None:
    line = replace(LINE, message=replace(MESSAGE, tag="", host="mx1"))
    invalid = assemble_invalid(line, None, Malformed.PARSER_FAILED)
    assert headers(seal(invalid, TEMPLATE, 0))["ce-source"] == "//mx1/"


def test_the_schema_named_is_the_one_published() -> None:
    for facts, kind in ((reject(), "reject"), (delivery(), "bounced")):
        named = headers(seal(assembled(LINE, RECORD, facts), TEMPLATE, 0))["ce-dataschema"]
        assert named == schema_urn(kind)


@pytest.mark.parametrize(
    ("time", "written"),
    [
        (datetime(2026, 8, 22, 10, tzinfo=UTC), "2026-08-22T10:00:00Z"),
        (datetime(2026, 8, 22, 10, 0, 0, 120_000, tzinfo=UTC), "2026-08-22T10:00:00.120000Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00Z"),
    ],
)
def test_ce_time(time: datetime, written: str) -> None:
    line = replace(LINE, message=replace(MESSAGE, time=time))
    envelope = seal(assembled(line, RECORD, reject()), TEMPLATE, 0)
    assert headers(envelope)["ce-time"] == written
    assert schemas.decode(envelope.body).event_time == time


hostile_names = st.one_of(
    st.lists(
        st.sampled_from(
            ["a", "B", ".", "..", "*", ">", " ", "\r\n", "\r", "\n", "\0", "\x1b[2J", "\x85",
             "\u2028", "é", "\ufffd", "😀", "\r\nNats-Msg-Id: x", ": ", "/", "//", "%0d%0a",
             "{prefix}", "=", "_"]
        ),
        max_size=12,
    ).map("".join),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
)  # fmt: skip


@given(
    host=hostile_names,
    service=hostile_names,
    queue_id=st.none() | st.from_regex(r"[0-9A-Za-z]{5,32}", fullmatch=True),
    domain=hostile_names,
    template=st.sampled_from(
        [
            "{prefix}.{type}.{mta}",
            "{prefix}.{type}.{mta}.{instance}.{category}.{recipient_domain}",
            "mail-{type}.x_{mta}.{recipient_domain}",
        ]
    ),
)
def test_nothing_hostile_gets_out_of_the_body(
    host: str, service: str, queue_id: str | None, domain: str, template: str
) -> None:
    line = replace(LINE, message=replace(MESSAGE, host=host))
    record = replace(RECORD, service=service, instance=service, queue_id=queue_id)
    made = assembled(line, record, reject(recipient=f"x@{domain}"))
    envelope = seal(made, SubjectTemplate(template, "postfix"), 0)
    tokens = envelope.subject.split(".")
    assert len(tokens) == len(template.split("."))
    assert all(TOKEN.fullmatch(token) for token in tokens), envelope.subject
    assert envelope.header_lines.isascii()
    assert envelope.header_lines.replace("\r\n", "").isprintable()
    assert list(headers(envelope)) == [
        "ce-specversion",
        "ce-source",
        "ce-type",
        "ce-datacontenttype",
        "ce-dataschema",
        "ce-id",
        "ce-time",
        *(["ce-subject"] if queue_id else []),
    ]
    source = unquote(headers(envelope)["ce-source"])
    assert source == f"//{(host or '192.0.2.250')[:NAME_MAX]}/{service[:NAME_MAX]}"
    decoded = schemas.decode(envelope.body)
    assert decoded == made
    assert decoded.event_id == envelope.message_id


def test_headers_are_bounded_however_long_the_names() -> None:
    """The server counts headers as payload: a line must not be able to make them large."""
    long = "\x01" * 60_000
    assert len(seal(event(long, long), TEMPLATE, 0).header_lines) < 2048


@pytest.mark.parametrize("text", ["1@example.org", "\n\u00e9\U0001f600" * 1000])
def test_the_body_is_what_the_schema_writes(text: str) -> None:
    """Also the second time, when parts of it are remembered, and of what is too long for that."""
    message = schemas.Message(
        message_id=text, client=schemas.Client(name=None, ip="192.0.2.1"), queued_at=NOW
    )
    facts = delivery()
    verdict = builtin_classifier().classify(facts)
    made = assemble(LINE, RECORD, facts, verdict, Context(message))
    assert isinstance(made, schemas.BouncedEvent)
    for other in (made, made, made.model_copy(update={"message": message.model_copy()})):
        assert seal(other, TEMPLATE, 0).body == schemas.encode(made)
    changed = message.model_copy(update={"sender": "b@example.org"})
    made = made.model_copy(update={"message": changed})
    assert seal(made, TEMPLATE, 0).body == schemas.encode(made)


def test_envelopes_compare_by_identity() -> None:
    made = event()
    assert seal(made, TEMPLATE, 0) != seal(made, TEMPLATE, 0)


class TestTemplate:
    def test_all_fields(self) -> None:
        template = SubjectTemplate(
            "{prefix}.{type}.{mta}.{instance}.{category}.{recipient_domain}", "mail.eu"
        )
        line = replace(LINE, message=replace(MESSAGE, host="MX1"))
        subject = seal(assembled(line, RECORD, delivery()), template, 0).subject
        assert re.fullmatch(r"mail\.eu\.bounced\.mx1\.postfix-out\.[a-z_]+\.example_net", subject)

    def test_unknown_values_are_tokens_too(self) -> None:
        template = SubjectTemplate("{prefix}.{type}.{instance}.{category}.{recipient_domain}", "p")
        invalid = assemble_invalid(LINE, None, Malformed.UNKNOWN_SHAPE)
        assert template.subject(invalid) == "p.invalid.unknown.unknown.unknown"

    def test_the_default_written_otherwise_gives_the_same(self) -> None:
        # The default has a path of its own.
        general = SubjectTemplate("postfix.{type}.{mta}", "postfix")
        for host in ("mx1", "a.b", "é.example", ""):
            assert general.subject(event(host)) == TEMPLATE.subject(event(host))

    @pytest.mark.parametrize(
        ("template", "told"),
        [
            ("{prefix}.{mta}", "needs {type}"),
            ("", "needs {type}"),
            ("{prefix}..{type}", "empty tokens"),
            (".{type}", "empty tokens"),
            ("{prefix}.{type}.", "empty tokens"),
            ("{prefix}.{type}.{host}", "unknown field {host}; known are {prefix}"),
            ("{prefix}.{type.value}", "unknown field {type.value}"),
            ("{prefix}.{type}.{}", "unknown field {}"),
            ("{prefix}.{type}.{0}", "unknown field {0}"),
            ("{prefix}.{type!r}", "must stand alone"),
            ("{prefix}.{type:>20}", "must stand alone"),
            ("{prefix}.{type}.*", "only letters"),
            ("{prefix}.{type}.>", "only letters"),
            ("{prefix} {type}", "only letters"),
            ("{prefix}.{type}\r\n", "only letters"),
            ("{{type}}.{type}", "only letters"),
            ("é.{type}", "only letters"),
            ("{type", "'}'"),
            ("type}", "Single '}'"),
        ],
    )
    def test_what_gives_no_legal_subject_is_refused(self, template: str, told: str) -> None:
        with pytest.raises(ValueError, match=re.escape(told)):
            SubjectTemplate(template, "postfix")
