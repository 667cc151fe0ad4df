"""The AsyncAPI document against the contract, against itself, and against AsyncAPI's own schema.

`asyncapi-3.0.0.json.gz` is `schemas/3.0.0-without-$id.json` of the npm package @asyncapi/specs
6.11.1 (Apache-2.0, the AsyncAPI Initiative), unchanged but for the compression.
"""

import copy
import gzip
import json
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from schemas import EventType, decode, subject_for
from schemas.asyncapi import document
from schemas.codec import MODELS

DOCUMENT = document()
OFFICIAL = Draft7Validator(
    json.loads(gzip.decompress(Path(__file__).with_name("asyncapi-3.0.0.json.gz").read_bytes()))
)


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


def test_it_is_a_document_of_asyncapi_3_0() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert [error.message for error in OFFICIAL.iter_errors(DOCUMENT)] == []


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("asyncapi", "3.0"),
        ("info/version", 1),
        ("channels/bounced/address", 7),
        ("channels/bounced/parameters/mta/examples", "mx1"),
        ("operations/publish-bounced/action", "publish"),
        ("operations/publish-bounced/channel", None),
        ("components/messages/bounced/headers", 7),
        ("components/schemas/BouncedEvent/properties/queue_id/type", "text"),
    ],
)
def test_the_official_schema_would_tell(path: str, wrong: object) -> None:
    broken = copy.deepcopy(DOCUMENT)
    *place, name = path.split("/")
    holder = reduce(lambda node, step: node[step], place, broken)
    assert name in holder
    holder[name] = wrong
    assert not OFFICIAL.is_valid(broken)


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
