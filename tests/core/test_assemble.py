"""Facts to events: every field where it belongs."""

from dataclasses import replace

import pytest
from pydantic import ValidationError

import schemas
from schemas import BouncedEvent, DeferredEvent, RejectEvent
from service.core.line import event_id
from service.core.postfix.facts import Delivery
from tests.core.sample_facts import LINE, RECORD, delivery, reject
from tests.sample_lines import assembled


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


def test_a_value_against_the_schema_raises() -> None:
    with pytest.raises(ValidationError):
        assembled(LINE, RECORD, reject(smtp_code=1000))
