"""The generated files, checked in: not stale, and true of the models."""

import json
from pathlib import Path

import pytest

import schemas
from schemas import EventType
from schemas.codec import MODELS
from schemas.export import asyncapi, generated, json_schema, schema_urn, write

FOLDER = Path(schemas.__file__).parent


@pytest.mark.parametrize("path", generated())
def test_a_generated_file_is_not_stale(path: str) -> None:
    written = (FOLDER / path).read_text(encoding="utf-8")
    assert written == generated()[path], "run `python -m schemas.export` and read the diff"


def test_no_file_is_left_over() -> None:
    there = {f"jsonschema/{file.name}" for file in (FOLDER / "jsonschema").iterdir()}
    assert there | {"asyncapi.yaml"} == generated().keys()
    assert {file.stem for file in (FOLDER / "examples").iterdir()} == {*EventType}


def test_all_files_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    written = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert {str(file.relative_to(tmp_path)): file.read_text() for file in written} == generated()
    assert {*capsys.readouterr().out.split()} == {str(file) for file in written}


@pytest.mark.parametrize("kind", EventType)
def test_the_schema_of_one_event_type(kind: EventType) -> None:
    schema = json_schema(kind)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == schema_urn(kind) == f"urn:mailfault:schema:{kind.value}:v1"
    assert schema["title"] == MODELS[kind].__name__
    assert schema["properties"]["event_type"]["const"] == kind.value
    assert schema["properties"].keys() == MODELS[kind].model_fields.keys()
    assert "additionalProperties" not in schema
    (example,) = schema["examples"]
    assert example["event_type"] == kind.value


def test_the_schema_of_any_event() -> None:
    schema = json_schema()
    assert schema["$id"] == schema_urn() == "urn:mailfault:schema:event:v1"
    mapping = schema["discriminator"]["mapping"]
    assert {*mapping} == {*EventType}
    assert len(schema["oneOf"]) == len(EventType) == len(schema["examples"])
    assert json.loads(json.dumps(schema)) == schema


def test_only_event_types_have_a_schema() -> None:
    with pytest.raises(ValueError, match="EventType"):
        json_schema("rejected")


def test_the_document_names_its_version() -> None:
    assert asyncapi().startswith('asyncapi: "3.0.0"\n')
