"""The published JSON Schemas, as a 2020-12 validator reads them: they are schemas, and they say of
events what the models say."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator

import schemas
from schemas import DecodeError, EventType, decode, encode
from schemas.codec import EVENT_ADAPTER
from schemas.samples import example_bytes
from tests.schemas.events import event_inputs

FILES = Path(schemas.__file__).parent / "jsonschema"
NAMES = [*(kind.value for kind in EventType), "event"]

SCHEMAS: dict[str, dict[str, Any]] = {
    name: json.loads((FILES / f"{name}.json").read_text()) for name in NAMES
}
VALIDATORS = {name: Draft202012Validator(schema) for name, schema in SCHEMAS.items()}


def fields(kind: str, **changes: Any) -> dict[str, Any]:
    return {**json.loads(example_bytes(kind)), **changes}


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_a_schema_of_2020_12_with_an_id(name: str) -> None:
    schema = SCHEMAS[name]
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    assert schema["$id"] == f"urn:mailfault:schema:{name}:v1"
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("kind", EventType)
def test_the_golden_example_is_valid_and_of_its_own_type_only(kind: EventType) -> None:
    event = fields(kind)
    assert {name for name in NAMES if VALIDATORS[name].is_valid(event)} == {kind.value, "event"}


@settings(max_examples=60)
@given(event_inputs)
def test_whatever_is_published_is_valid(given: dict[str, Any]) -> None:
    event = EVENT_ADAPTER.validate_python(given)
    published = json.loads(encode(event))
    for name in (event.event_type, "event"):
        VALIDATORS[name].validate(published)


@pytest.mark.parametrize("kind", EventType)
def test_what_a_later_minor_version_brings_is_valid(kind: EventType) -> None:
    later = fields(kind, schema_version="1.7", a_new_field={"x": 1}, category="a_new_word")
    for name in (kind.value, "event"):
        VALIDATORS[name].validate(later)


WRONG = {
    "no id": {"event_id": None},
    "an id of another kind": {"event_id": "G" * 32},
    "another major version": {"schema_version": "2.0"},
    "another type": {"event_type": "retracted"},
    "a time without zone": {"event_time": "2026-11-23T18:12:44.871020"},
    "a local time": {"event_time": "2026-11-23T19:12:44.871020+01:00"},
    "no host": {"mta": {"transport": "udp"}},
    "a word in capitals": {"category": "UNKNOWN_USER"},
    "no reply code": {"smtp_code": 99},
    "no enhanced code": {"enhanced_code": "3.1.1"},
    "a number as queue id": {"queue_id": 123450987},
    "a queue id of a path": {"queue_id": "../../etc"},
    "text for a flag": {"truncated": "perhaps"},
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=[*WRONG])
@pytest.mark.parametrize("kind", EventType)
def test_what_decode_refuses_is_not_valid(kind: EventType, changes: dict[str, Any]) -> None:
    wrong = fields(kind, **changes)
    with pytest.raises(DecodeError):
        decode(json.dumps(wrong))
    for name in (kind.value, "event"):
        assert not VALIDATORS[name].is_valid(wrong)


@pytest.mark.parametrize("kind", EventType)
def test_a_field_that_is_required_is_missed(kind: EventType) -> None:
    for name in SCHEMAS[kind.value]["required"]:
        event = fields(kind)
        del event[name]
        assert not VALIDATORS[kind.value].is_valid(event), name
