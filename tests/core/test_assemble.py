"""Facts to events: ids that depend on the line alone, and every field where it belongs."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import schemas
from schemas import BouncedEvent, DeferredEvent, InvalidEvent, RejectEvent
from service.core.assemble import (
    NAME_MAX,
    Line,
    assemble_invalid,
    dead_letter,
    event_id,
)
from service.core.outcomes import Malformed
from service.core.postfix.facts import Client, Delivery, Record, Reject, Relay, RemoteReply
from service.core.syslog.message import SyslogMessage
from tests.sample_lines import NOW, assembled

RECORD = Record("postfix-out/submission/smtpd", "postfix-out", "smtpd", "4ABCDE12F")
MESSAGE = SyslogMessage(
    "Aug 22 10:00:00",
    datetime(2026, 8, 22, 10, tzinfo=UTC),
    "inferred",
    "MX1.example.org",
    "postfix-out/submission/smtpd",
    7,
    "4ABCDE12F: reject: ...",
)
LINE = Line(b"<22>raw \xff", MESSAGE, NOW, "tcp", "192.0.2.250", False, True)


def reject(**changes: object) -> Reject:
    facts = Reject(
        action="milter-reject",
        stage="END-OF-MESSAGE",
        response="554 5.7.1 no",
        severity="permanent",
        smtp_code=554,
        enhanced_code="5.7.1",
        client=Client("mail.example.net", "192.0.2.10", 4711),
        sender="",
        recipient="b@Example.ORG",
        protocol="ESMTP",
        helo="helo.example",
        sasl_method="PLAIN",
        sasl_username="anna",
        sasl_sender="anna@example.net",
        dnsbl="zen.example",
        content="Subject: x",
    )
    return replace(facts, **changes)  # type: ignore[arg-type]


def delivery(**changes: object) -> Delivery:
    facts = Delivery(
        kind="bounced",
        status="bounced",
        response="host mx said: 550 5.1.1 gone",
        recipient="gone@example.net",
        original_recipient="old@example.org",
        relay=Relay("mx.example.net", "192.0.2.1", 25, None),
        delay=1.5,
        delays=(0.1, 0.2, 0.4, 0.8),
        tls="TLSv1.3",
        enhanced_code="5.1.1",
        remote_reply=RemoteReply("mx", "192.0.2.1", 550, "5.1.2", "550 5.1.2 gone", "RCPT TO"),
    )
    return replace(facts, **changes)  # type: ignore[arg-type]


def test_every_field_of_a_reject() -> None:
    event = assembled(LINE, RECORD, reject())
    assert isinstance(event, RejectEvent)
    found = event.model_dump(mode="json")
    assert found == {
        "schema_version": "1.0",
        "event_id": event_id(LINE),
        "event_type": "reject",
        "event_time": "2026-08-22T10:00:00Z",
        "received_at": "2026-08-22T10:00:05Z",
        "time_quality": "inferred",
        "mta": {
            "host": "MX1.example.org",
            "instance": "postfix-out",
            "service": "postfix-out/submission/smtpd",
            "daemon": "smtpd",
            "pid": 7,
            "source_ip": "192.0.2.250",
            "transport": "tcp",
        },
        "queue_id": "4ABCDE12F",
        "sender": "",
        "recipient": "b@Example.ORG",
        "recipient_domain": "example.org",
        "smtp_code": 554,
        "enhanced_code": "5.7.1",
        "severity": "permanent",
        "response": "554 5.7.1 no",
        "category": found["category"],
        "scope": found["scope"],
        "provider": None,
        "provider_code": None,
        "message": {
            **dict.fromkeys(
                ["message_id", "sender", "size", "recipients", "client", "sasl_username"]
            ),
            "queued_at": None,
            "origin_queue_id": None,
            "context": "none",
        },
        "truncated": False,
        "raw": "<22>raw \ufffd",
        "action": "milter-reject",
        "stage": "END-OF-MESSAGE",
        "client": {"name": "mail.example.net", "ip": "192.0.2.10", "port": 4711},
        "helo": "helo.example",
        "protocol": "ESMTP",
        "sasl_method": "PLAIN",
        "sasl_username": "anna",
        "sasl_sender": "anna@example.net",
        "dnsbl": "zen.example",
        "content": "Subject: x",
    }
    assert found["category"] in list(schemas.Category)
    assert found["scope"] in list(schemas.Scope)


def test_a_line_without_queue_id_has_no_message() -> None:
    event = assembled(LINE, replace(RECORD, queue_id=None), reject(client=None))
    assert isinstance(event, RejectEvent)
    assert event.queue_id is None
    assert event.message is None
    assert event.client is None


def test_every_field_of_a_bounce() -> None:
    event = assembled(LINE, RECORD, delivery())
    assert isinstance(event, BouncedEvent)
    assert (event.severity, event.status) == ("permanent", "bounced")
    assert event.smtp_code == 550
    assert event.enhanced_code == "5.1.1"
    assert event.original_recipient == "old@example.org"
    assert event.tls == "TLSv1.3"
    assert event.delay == 1.5
    assert event.delays is not None
    assert event.delays.model_dump() == {
        "before_queue_manager": 0.1,
        "in_queue_manager": 0.2,
        "connection_setup": 0.4,
        "transmission": 0.8,
    }
    assert event.relay is not None
    assert event.relay.model_dump() == {
        "host": "mx.example.net",
        "ip": "192.0.2.1",
        "port": 25,
        "path": None,
    }
    assert event.remote_reply is not None
    assert event.remote_reply.model_dump() == {
        "host": "mx",
        "ip": "192.0.2.1",
        "smtp_code": 550,
        "enhanced_code": "5.1.2",
        "text": "550 5.1.2 gone",
        "command": "RCPT TO",
    }


def test_what_a_deferral_does_not_tell_is_null() -> None:
    bare = Delivery("deferred", "SOFTBOUNCE", "no route", sender="a@x.example")
    event = assembled(LINE, RECORD, bare)
    assert isinstance(event, DeferredEvent)
    assert (event.severity, event.status, event.sender) == (
        "temporary",
        "SOFTBOUNCE",
        "a@x.example",
    )
    assert event.recipient is None
    assert event.recipient_domain is None
    assert event.relay is None
    assert event.delays is None
    assert event.remote_reply is None
    assert event.smtp_code is None


@pytest.mark.parametrize(
    ("recipient", "domain"),
    [
        (None, None),
        ("", None),
        ("root", None),
        ("a@", None),
        ("a@B.Example", "b.example"),
        ('"a@b"@C.example', "c.example"),
        ("a@[192.0.2.1]", "[192.0.2.1]"),
    ],
)
def test_recipient_domain(recipient: str | None, domain: str | None) -> None:
    assert assembled(LINE, RECORD, reject(recipient=recipient)).recipient_domain == domain


@pytest.mark.parametrize(
    ("cut_on_the_way", "cut_by_postfix"), [(True, False), (False, True), (False, False)]
)
def test_truncated_says_who_ever_cut(cut_on_the_way: bool, cut_by_postfix: bool) -> None:
    line = replace(LINE, truncated=cut_on_the_way)
    event = assembled(line, RECORD, reject(truncated=cut_by_postfix))
    assert event.truncated is (cut_on_the_way or cut_by_postfix)


def test_raw_can_be_switched_off() -> None:
    line = replace(LINE, keep_raw=False)
    assert assembled(line, RECORD, reject()).raw is None
    invalid = assemble_invalid(line, None, Malformed.UNKNOWN_SHAPE)
    assert invalid.raw is None
    assert invalid.raw_bytes == line.raw, "a dead letter is nothing without its bytes"


@pytest.mark.parametrize(
    ("host", "source_ip", "told"),
    [
        ("mx1", "192.0.2.1", "mx1"),
        (None, "192.0.2.1", "192.0.2.1"),
        ("", "192.0.2.1", "192.0.2.1"),
        (None, None, "unknown"),
    ],
)
def test_host_is_the_lines_else_the_senders(
    host: str | None, source_ip: str | None, told: str
) -> None:
    line = replace(LINE, message=replace(MESSAGE, host=host), source_ip=source_ip)
    assert assembled(line, RECORD, reject()).mta.host == told


def test_a_value_against_the_schema_raises() -> None:
    with pytest.raises(ValidationError):
        assembled(LINE, RECORD, reject(smtp_code=1000))


class TestEventId:
    def test_is_a_function_of_the_line_and_its_host(self) -> None:
        """Not of time, connection, transport or settings (invariant 2)."""
        elsewhere = replace(
            LINE,
            received_at=NOW + timedelta(days=200),
            transport="udp",
            source_ip="2001:db8::1",
            keep_raw=False,
            raw=b"<0>the same record with another header",
            message=replace(MESSAGE, time=NOW, time_quality="exact", host="mx1.EXAMPLE.org"),
        )
        assert event_id(elsewhere) == event_id(LINE)

    @pytest.mark.parametrize(
        "changes",
        [
            {"stamp": "Aug 22 10:00:01"},
            {"host": "mx2"},
            {"tag": "postfix/smtpd"},
            {"pid": 8},
            {"pid": None},
            {"text": "4ABCDE12F: reject: ...."},
        ],
        ids=str,
    )
    def test_differs_with_each_part(self, changes: dict[str, object]) -> None:
        message = replace(MESSAGE, **changes)  # type: ignore[arg-type]
        assert event_id(replace(LINE, message=message)) != event_id(LINE)

    def test_lines_that_decoding_made_equal_stay_apart(self) -> None:
        message = replace(MESSAGE, text="\ufffd")
        first = replace(LINE, message=message, raw=b"<22>x: \xfe")
        assert event_id(first) != event_id(replace(first, raw=b"<22>x: \xff"))

    def test_tells_the_events_of_one_line_apart(self) -> None:
        assert len({event_id(LINE, ordinal) for ordinal in range(1001)}) == 1001

    @given(st.sampled_from(["", "\x1f", "\x1f1", "1"]), st.integers(1, 1000))
    def test_no_text_imitates_another_event_of_a_line(self, end: str, ordinal: int) -> None:
        other = replace(LINE, message=replace(MESSAGE, text=MESSAGE.text + end))
        assert event_id(other) != event_id(LINE, ordinal)

    def test_never_changes(self) -> None:
        """Two versions of the receiver, and a replay, must agree."""
        assert event_id(LINE) == "0ac1a6b5f14f55c904964a34ca648a14"


class TestInvalid:
    def test_keeps_the_bytes_and_what_is_known(self) -> None:
        event = assemble_invalid(LINE, RECORD, Malformed.UNKNOWN_SHAPE)
        assert event.raw_bytes == b"<22>raw \xff"
        assert event.reason == "unknown_shape"
        assert event.queue_id == "4ABCDE12F"
        assert event.mta.daemon == "smtpd"
        assert not event.truncated
        assert event.event_id == event_id(LINE)

    def test_without_a_record_the_tag_is_the_service(self) -> None:
        event = assemble_invalid(LINE, None, Malformed.INVALID_EVENT, "smtp_code: too big")
        assert event.mta.service == "postfix-out/submission/smtpd"
        assert (event.mta.instance, event.mta.daemon, event.queue_id) == (None, None, None)
        assert event.detail == "smtp_code: too big"
        untagged = replace(LINE, message=replace(MESSAGE, tag=""))
        assert assemble_invalid(untagged, None, Malformed.INVALID_EVENT).mta.service is None

    def test_a_line_cut_before_its_status_was_cut(self) -> None:
        """By Postfix, where not on the way."""
        assert assemble_invalid(LINE, RECORD, Malformed.CUT_BEFORE_STATUS).truncated
        assert assemble_invalid(
            replace(LINE, truncated=True), RECORD, Malformed.UNKNOWN_SHAPE
        ).truncated


class TestDeadLetter:
    def test_stands_in_for_the_refused_event(self) -> None:
        refused = assembled(LINE, RECORD, reject())
        letter = dead_letter(schemas.encode(refused), "too_large", "server takes 10")
        assert isinstance(letter, InvalidEvent)
        assert letter.event_id != refused.event_id
        assert letter.reason == "too_large"
        assert letter.detail == f"reject {refused.event_id}: server takes 10"
        assert letter.mta == refused.mta
        assert letter.queue_id == refused.queue_id
        assert letter.event_time == refused.event_time
        assert letter.received_at == refused.received_at
        assert letter.raw_bytes == "<22>raw \ufffd".encode()
        assert schemas.decode(schemas.encode(letter)) == letter

    def test_is_the_same_for_the_same_event(self) -> None:
        body = schemas.encode(assembled(LINE, RECORD, delivery()))
        first, second = dead_letter(body, "refused", "a"), dead_letter(body, "refused", "b")
        assert first.event_id == second.event_id

    def test_of_an_invalid_event(self) -> None:
        refused = assemble_invalid(LINE, None, Malformed.UNKNOWN_SHAPE)
        letter = dead_letter(schemas.encode(refused), "refused", "")
        assert letter.detail == f"invalid {refused.event_id}: "
        assert letter.event_id not in (refused.event_id, event_id(LINE))

    def test_carries_the_event_where_the_line_is_not_kept(self) -> None:
        refused = assembled(replace(LINE, keep_raw=False), RECORD, reject())
        letter = dead_letter(schemas.encode(refused), "refused", "")
        assert json.loads(letter.raw_bytes)["helo"] == "helo.example"

    def test_is_small_whatever_was_refused(self) -> None:
        """Else it would be refused for its size in turn."""
        name = "\x01" * 60_000
        line = replace(LINE, raw=name.encode(), message=replace(MESSAGE, host=name, tag=name))
        record = replace(RECORD, service=name, instance=name, daemon=name)
        refused = assembled(line, record, reject(response=name, content=name))
        letter = dead_letter(schemas.encode(refused), "too_large", "")
        assert len(schemas.encode(letter)) < 16_384
        assert letter.mta.host == name[:NAME_MAX]
        assert len(base64.b64decode(letter.raw_base64)) == 4096

    @given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
    def test_of_any_text(self, text: str) -> None:
        """Cut in the middle of a character, too."""
        line = replace(LINE, raw=(text * 40).encode(), message=replace(MESSAGE, host=text))
        refused = assembled(line, RECORD, reject(response=text, helo=text))
        letter = dead_letter(schemas.encode(refused), "refused", text)
        assert schemas.decode(schemas.encode(letter)) == letter
