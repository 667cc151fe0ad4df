"""What is changed in pydantic's JSON Schema, and that nothing else is lost."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from schemas import Category, EventType, Outcome, RejectEvent
from schemas.codec import MODELS
from schemas.schema_generator import SchemaGenerator, member_docs


def generate(model: Any) -> dict[str, Any]:
    return TypeAdapter(model).json_schema(mode="serialization", schema_generator=SchemaGenerator)


def test_the_docstrings_of_members_are_found() -> None:
    docs = member_docs(EventType)
    assert list(docs) == [kind.value for kind in EventType]
    assert docs["deferred"].startswith("One delivery attempt")
    assert "\n" not in member_docs(Outcome)["removed"]


def test_a_word_of_an_open_enum_may_be_new() -> None:
    schema = generate(RejectEvent)
    known, new, null = schema["properties"]["category"]["anyOf"]
    assert known == {"$ref": "#/$defs/Category"}
    assert new["type"] == "string"
    assert null == {"type": "null"}
    words = schema["$defs"]["Category"]
    assert words["enum"] == [category.value for category in Category]
    assert words["x-enumDescriptions"].keys() == {*words["enum"]}


def test_times_are_described_as_they_are_written() -> None:
    time = generate(RejectEvent)["properties"]["event_time"]
    assert (time["type"], time["format"], time["pattern"]) == ("string", "date-time", "Z$")


@pytest.mark.parametrize("kind", EventType)
def test_what_a_reader_may_rely_on_is_required(kind: EventType) -> None:
    required = generate(MODELS[kind])["required"]
    assert len(required) == len({*required})
    assert {"schema_version", "event_type", "event_id", "event_time", "mta"} <= {*required}
    assert not {"sender", "raw", "category"} & {*required}


@pytest.mark.parametrize("kind", EventType)
def test_every_property_is_described_and_none_repeats_its_name(kind: EventType) -> None:
    schema = generate(MODELS[kind])
    parts = [schema, *schema["$defs"].values()]
    for part in parts:
        for name, field in part.get("properties", {}).items():
            assert "title" not in field, name
            referred = schema["$defs"].get(field.get("$ref", "").rpartition("/")[2], {})
            assert field.get("description") or referred.get("description"), name
