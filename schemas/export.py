"""The models for readers in other languages: JSON Schema 2020-12 and AsyncAPI 3.0.

In: the models, their docstrings and the golden examples. Out: a dict, or text. `python -m
schemas.export` rewrites the generated files that are checked in; a test tells when they are stale.
"""

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from .asyncapi import document
from .base import SCHEMA_VERSION
from .block_yaml import dump
from .codec import EVENT_ADAPTER, MODELS
from .samples import example_bytes
from .schema_generator import SchemaGenerator
from .vocabulary import EventType


def schema_urn(event_type: EventType | str | None = None) -> str:
    """`$id` of a schema, and the header `ce-dataschema` of its events."""
    return f"urn:mailfault:schema:{event_type or 'event'}:v{SCHEMA_VERSION.partition('.')[0]}"


def json_schema(event_type: EventType | str | None = None) -> dict[str, Any]:
    """JSON Schema of one event type, or of any event."""
    kinds = list(EventType) if event_type is None else [EventType(event_type)]
    adapter: TypeAdapter[Any] = (
        EVENT_ADAPTER if event_type is None else TypeAdapter(MODELS[kinds[0]])
    )
    return {
        "$schema": SchemaGenerator.schema_dialect,
        "$id": schema_urn(event_type),
        "title": "Event",
        **adapter.json_schema(mode="serialization", schema_generator=SchemaGenerator),
        "examples": [json.loads(example_bytes(kind)) for kind in kinds],
    }


def asyncapi() -> str:
    """The AsyncAPI document, as YAML."""
    return dump(document())


def generated() -> dict[str, str]:
    """Every generated file: its path inside this package, and its text."""
    schemas = {kind.value: json_schema(kind) for kind in EventType}
    schemas["event"] = json_schema()
    files = {
        f"jsonschema/{name}.json": json.dumps(schema, indent=2) + "\n"
        for name, schema in schemas.items()
    }
    files["asyncapi.yaml"] = asyncapi()
    return files


def write(folder: Path) -> None:
    """Write the generated files, and say which."""
    for path, text in generated().items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
        sys.stdout.write(f"{folder / path}\n")


if __name__ == "__main__":
    write(Path(__file__).parent)
