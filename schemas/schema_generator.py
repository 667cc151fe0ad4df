"""How pydantic's JSON Schema is made fit to publish.

In: pydantic's own generator. Out: one without titles that only repeat a name, with what each word
of an enum means, and with the two fields required that tell a reader what it has before it.
"""

import ast
import inspect
from enum import Enum
from functools import cache
from itertools import pairwise
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from .base import EventBase

_ALWAYS_THERE = ["schema_version", "event_type"]
"""Fields with a default for whoever builds an event that a reader may rely on. Others with a
default are not required: a field that comes with 1.1 is missing in events stored before."""


class SchemaGenerator(GenerateJsonSchema):
    """For `mode="serialization"`: what subscribers receive."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def enum_schema(self, schema: core_schema.EnumSchema) -> JsonSchemaValue:
        return {**super().enum_schema(schema), "x-enumDescriptions": member_docs(schema["cls"])}

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        generated = super().model_schema(schema)
        if issubclass(schema["cls"], EventBase):
            generated["required"] = [*_ALWAYS_THERE, *generated["required"]]
        return generated


@cache
def member_docs(enum: type[Enum]) -> dict[str, str]:
    """The docstring under each member, by its value. Python keeps them only in the source."""
    (definition,) = ast.parse(inspect.getsource(enum)).body
    docs = {}
    for statement, below in pairwise(getattr(definition, "body", ())):
        match statement, below:
            case (
                ast.Assign(value=ast.Constant(value=str(word))),
                ast.Expr(value=ast.Constant(value=str(doc))),
            ):
                docs[word] = " ".join(doc.split())
    return docs
