"""Payloads to events and back; every refusal says why."""

import json
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import (
    EVENT_ADAPTER,
    BouncedEvent,
    Category,
    DecodeError,
    DecodeFailure,
    EventType,
    RejectEvent,
    decode,
    encode,
)
from schemas.codec import MODELS
from schemas.samples import example, example_bytes
from tests.schemas.events import event_inputs


def changed(kind: EventType, **changes: Any) -> bytes:
    return json.dumps({**json.loads(example_bytes(kind)), **changes}).encode()


def without(kind: EventType, *names: str) -> bytes:
    fields = json.loads(example_bytes(kind))
    return json.dumps({k: v for k, v in fields.items() if k not in names}).encode()


def refusal(data: bytes | str) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        decode(data)
    return caught.value


@given(event_inputs)
@settings(max_examples=150)
def test_every_event_survives_the_wire(values: dict[str, Any]) -> None:
    event = EVENT_ADAPTER.validate_python(values)
    wire = encode(event)
    assert decode(wire) == event
    assert encode(decode(wire)) == wire
    assert set(json.loads(wire)) == set(type(event).model_fields)


@pytest.mark.parametrize("kind", EventType)
def test_the_examples_decode_to_their_type_and_back(kind: EventType) -> None:
    event = decode(example_bytes(kind))
    assert type(event) is MODELS[kind]
    assert json.loads(encode(event)) == json.loads(example_bytes(kind))


def test_text_is_decoded_as_bytes_are() -> None:
    assert decode(example_bytes("reject").decode()) == decode(example_bytes("reject"))


def test_fields_of_a_later_version_are_ignored() -> None:
    data = changed(
        EventType.REJECT,
        schema_version="1.12",
        weather="fog",
        mta={"host": "mx1", "transport": "quic", "rack": 7},
    )
    event = decode(data)
    assert event.schema_version == "1.12"
    assert event.mta.transport == "quic"
    assert "weather" not in event.model_dump()


@pytest.mark.parametrize("field", ["category", "scope", "severity", "time_quality"])
def test_words_of_a_later_version_stay_words(field: str) -> None:
    event = decode(changed(EventType.BOUNCED, **{field: "a_new-word"}))
    assert getattr(event, field) == "a_new-word"
    assert json.loads(encode(event))[field] == "a_new-word"


def test_a_field_a_later_version_leaves_out_has_its_default() -> None:
    event = decode(without(EventType.BOUNCED, "notice", "tls", "category", "truncated"))
    assert isinstance(event, BouncedEvent)
    assert (event.notice, event.tls, event.category, event.truncated) == (None, None, None, False)


def test_known_words_are_members() -> None:
    match decode(example_bytes("reject")):
        case RejectEvent(category=Category.UNKNOWN_USER, client=client):
            assert client is not None
        case event:
            pytest.fail(f"not matched: {event!r}")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"{",
        b"null",
        b"[]",
        b'"reject"',
        b"1",
        example_bytes("reject") + b"x",
        example_bytes("reject")[:-3],
        b'{"event_type": "\\ud800"}',
        b"[" * 100_000,
        "\ud800",
        '{"event_type": "reject", "helo": "\udc80"}',
    ],
)
def test_what_is_not_one_json_object(data: bytes | str) -> None:
    assert refusal(data).reason is DecodeFailure.NOT_JSON


@pytest.mark.parametrize("version", ["2.0", "0.9", "10.0", "2", 2, 2.0])
def test_another_major_version_is_said_so(version: object) -> None:
    error = refusal(changed(EventType.REJECT, schema_version=version, event_id="new form"))
    assert error.reason is DecodeFailure.UNSUPPORTED_VERSION
    assert str(version) in error.detail
    assert "1.x" in error.detail


def test_another_major_version_is_said_before_an_unknown_type() -> None:
    error = refusal(changed(EventType.REJECT, schema_version="2.0", event_type="quarantined"))
    assert error.reason is DecodeFailure.UNSUPPORTED_VERSION


@pytest.mark.parametrize("kind", ["quarantined", "", "REJECT"])
def test_an_unknown_event_type(kind: str) -> None:
    error = refusal(changed(EventType.REJECT, event_type=kind, schema_version="1.3"))
    assert error.reason is DecodeFailure.UNKNOWN_EVENT_TYPE


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"{}", "event_type"),
        (without(EventType.REJECT, "event_type"), "event_type"),
        (changed(EventType.REJECT, event_type=None), "event_type"),
        (changed(EventType.REJECT, event_type=["anna"]), "event_type: Input should"),
        (without(EventType.REJECT, "mta"), "mta"),
        (changed(EventType.REJECT, mta={"host": "mx1", "transport": "udp", "pid": -1}), "mta.pid"),
        (changed(EventType.REJECT, schema_version="1.x"), "schema_version"),
        (changed(EventType.REJECT, schema_version="one"), "schema_version"),
        (changed(EventType.REJECT, event_time="yesterday"), "event_time"),
        (changed(EventType.REJECT, event_time="2026-11-23T19:05:01+01:00"), "event_time"),
        (changed(EventType.REJECT, category=["tls"]), "category"),
        (changed(EventType.BOUNCED, queue_id=None), "queue_id"),
        (changed(EventType.RESOLVED, outcome=None), "outcome"),
        (changed(EventType.INVALID, raw_base64="*"), "raw_base64"),
    ],
)
def test_what_breaks_the_contract_names_the_field(data: bytes, named: str) -> None:
    error = refusal(data)
    assert error.reason is DecodeFailure.INVALID
    assert error.detail.startswith(f"{named}")


def test_a_refusal_tells_no_values() -> None:
    error = refusal(changed(EventType.REJECT, helo=["anna@example.org"], truncated="anna"))
    assert "helo" in error.detail
    assert "anna" not in f"{error!r} {error}"
    assert error.__cause__ is None
    assert error.__suppress_context__


def test_a_refusal_stays_short() -> None:
    wrong: dict[str, Any] = {name: [] for name in RejectEvent.model_fields}
    del wrong["event_type"]
    assert refusal(changed(EventType.REJECT, **wrong)).detail.endswith(
        f"; and {len(wrong) - 5} more"
    )
    for name in ("event_type", "schema_version", "category"):
        error = refusal(changed(EventType.REJECT, **{name: "2" * 10_000}))
        assert len(str(error)) < 150


def test_a_refusal_can_be_sent_between_processes() -> None:
    error = refusal(b"")
    again = pickle.loads(pickle.dumps(error))
    assert (again.reason, again.detail, str(again)) == (error.reason, error.detail, str(error))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda values: st.lists(values, max_size=3),
        max_leaves=5,
    ),
    st.sampled_from(sorted({name for model in MODELS.values() for name in model.model_fields})),
    st.sampled_from(EventType),
)
@settings(max_examples=150)
def test_any_value_in_any_field_is_an_event_or_a_refusal(
    value: Any, name: str, kind: EventType
) -> None:
    try:
        event = decode(changed(kind, **{name: value}))
    except DecodeError:
        return
    assert decode(encode(event)) == event


@pytest.mark.parametrize("data", [None, 7, {"event_type": "reject"}])
def test_what_is_no_payload_at_all_is_a_mistake_of_the_caller(data: Any) -> None:
    with pytest.raises(TypeError):
        decode(data)


def test_lone_surrogates_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        encode(example(RejectEvent, helo="\udc80"))
