"""The AsyncAPI document against the contract and against itself."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from schemas import EventType, decode, subject_for
from schemas.asyncapi import document
from schemas.codec import MODELS

DOCUMENT = document()


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def resolve(reference: str) -> Any:
    root, *path = reference.split("/")
    assert root == "#"
    node = DOCUMENT
    for step in path:
        node = node[step]
    return node


def test_every_reference_leads_somewhere() -> None:
    found = set(references(DOCUMENT))
    assert len(found) > 30
    for reference in found:
        assert isinstance(resolve(reference), dict)


def test_there_is_a_channel_an_operation_and_a_message_for_each_event_type() -> None:
    kinds = [kind.value for kind in EventType]
    assert list(DOCUMENT["channels"]) == kinds
    assert list(DOCUMENT["components"]["messages"]) == kinds
    assert [resolve(operation["channel"]["$ref"]) for operation in
            DOCUMENT["operations"].values()] == list(DOCUMENT["channels"].values())  # fmt: skip
    assert {operation["action"] for operation in DOCUMENT["operations"].values()} == {"send"}


@pytest.mark.parametrize("kind", EventType)
def test_a_channel_is_where_the_event_is_published(kind: EventType) -> None:
    channel = DOCUMENT["channels"][kind.value]
    (token,) = channel["parameters"]["mta"]["examples"]
    assert channel["address"].format(mta=token) == subject_for(kind, "mx1.example.org")


@pytest.mark.parametrize("kind", EventType)
def test_a_message_describes_its_model(kind: EventType) -> None:
    (reference,) = DOCUMENT["channels"][kind.value]["messages"].values()
    message = resolve(reference["$ref"])
    payload = resolve(message["payload"]["$ref"])
    assert payload["properties"].keys() == MODELS[kind].model_fields.keys()
    (example,) = message["examples"]
    assert type(decode(json.dumps(example["payload"]))) is MODELS[kind]


def test_the_headers_are_those_of_the_contract() -> None:
    headers = DOCUMENT["components"]["schemas"]["Headers"]
    assert [*headers["properties"]] == [
        "Nats-Msg-Id",
        "ce-specversion",
        "ce-id",
        "ce-source",
        "ce-type",
        "ce-time",
        "ce-datacontenttype",
        "ce-dataschema",
        "ce-subject",
    ]
    assert {*headers["properties"]} - {*headers["required"]} == {"ce-subject"}


def test_the_stream_is_that_of_the_contract() -> None:
    stream = DOCUMENT["x-jetstream"]
    assert (stream["stream"], stream["subjects"]) == ("POSTFIX", ["postfix.>"])
    assert stream["duplicate_window_seconds"] == 600
