"""What holds for the models of all events."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from schemas import Category, Client, EventType, Message, Mta, RejectEvent
from schemas.codec import MODELS
from schemas.delivery import Delays, Notice, Relay, RemoteReply
from schemas.rollup import Period, TypeCounts
from schemas.samples import example
from tests.schemas.events import FIELDS

PARTS: list[type[BaseModel]] = [
    *(Mta, Client, Message, Relay, Delays, RemoteReply, Notice, Period, TypeCounts)
]

EVERY_EVENT = """
    schema_version event_id event_type event_time received_at time_quality mta queue_id sender
    recipient recipient_domain smtp_code enhanced_code severity response category scope provider
    provider_code message truncated raw
"""
OF_TYPE = {
    EventType.REJECT: "action stage client helo protocol sasl_method sasl_username dnsbl",
    EventType.DEFERRED: "status original_recipient relay delay delays remote_reply tls attempt "
    "first_deferred_at",
    EventType.BOUNCED: "status original_recipient relay delay delays remote_reply tls attempt "
    "first_deferred_at notice backscatter_risk",
    EventType.RESOLVED: "status outcome attempt attempts first_deferred_at age",
    EventType.INVALID: "reason detail raw_base64",
    EventType.ROLLUP: "receiver period counts",
}


@pytest.mark.parametrize("kind", EventType)
def test_the_fields_promised_are_there(kind: EventType) -> None:
    assert {*EVERY_EVENT.split(), *OF_TYPE[kind].split()} <= MODELS[kind].model_fields.keys()


@pytest.mark.parametrize("kind", EventType)
def test_random_events_fill_every_field(kind: EventType) -> None:
    """So that a new field takes part in the round trips."""
    assert FIELDS[kind].keys() | {"event_type"} == MODELS[kind].model_fields.keys()


@pytest.mark.parametrize("model", [*MODELS.values(), *PARTS], ids=lambda model: model.__name__)
def test_every_model_and_every_field_is_documented(model: type[BaseModel]) -> None:
    assert model.__doc__
    assert [name for name, field in model.model_fields.items() if not field.description] == []


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.__name__)
def test_events_are_frozen_and_can_be_members_of_sets(model: Any) -> None:
    event = example(model)
    with pytest.raises(ValidationError, match="frozen"):
        event.sender = "someone@example.org"
    with pytest.raises(ValidationError, match="frozen"):
        event.mta.host = "mx9.example.org"
    assert len({event, example(model)}) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"sender": ""},
        {"sender": None, "recipient": None, "recipient_domain": None},
        {"recipient": '"very odd"@[192.0.2.1]', "recipient_domain": "[192.0.2.1]"},
        {"recipient": "no-domain"},
        {"recipient": "postmaster@"},
        {"recipient": "<x>@y>, status=bounced (\x00"},
        {"smtp_code": None, "enhanced_code": None, "severity": None, "response": ""},
        {"smtp_code": 421, "enhanced_code": "5.7.1"},
        {"response": "x" * 100_000},
        {"mta": {"host": "", "transport": "udp"}},
        {"mta": {"host": "2001:db8::1", "transport": "relp-tls", "service": "a/b/c/smtpd"}},
        {"queue_id": "123450987"},
        {"message": {}},
    ],
)
def test_what_a_real_line_can_hold_is_taken(changes: dict[str, Any]) -> None:
    event = example(RejectEvent, **changes)
    assert changes.keys() <= event.model_fields_set


@pytest.mark.parametrize(
    "changes",
    [
        {"event_id": "X"},
        {"event_time": "2026-11-23T19:05:01"},
        {"received_at": None},
        {"time_quality": None},
        {"mta": None},
        {"mta": {"host": "mx1"}},
        {"mta": {"host": "mx1", "transport": "udp", "pid": -1}},
        {"queue_id": ""},
        {"queue_id": 123450987},
        {"smtp_code": 99},
        {"smtp_code": "550-"},
        {"enhanced_code": "x.y.z"},
        {"category": "Not A Word"},
        {"truncated": "perhaps"},
        {"recipient": b"\xff"},
        {"schema_version": "2.0"},
        {"schema_version": "1"},
        {"event_type": "bounced"},
        {"message": {"size": -1}},
    ],
)
def test_what_the_contract_excludes_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        example(RejectEvent, **changes)


def test_a_new_word_is_kept_beside_the_known_ones() -> None:
    event = example(RejectEvent, category="quantum_loss")
    assert event.category == "quantum_loss"
    assert example(RejectEvent).category is Category.UNKNOWN_USER
