"""Everything that is published, as an AsyncAPI 3.0 document.

In: the models and the golden examples. Out: the document as a dict. Its schemas keep to what
JSON Schema draft 7 and 2020-12 share, which is what AsyncAPI's own schema format takes.
"""

import json
from typing import Any

from pydantic.json_schema import models_json_schema

from .base import SCHEMA_VERSION, EventBase
from .codec import MODELS
from .samples import example_bytes
from .schema_generator import SchemaGenerator, member_docs
from .subjects import DEFAULT_PREFIX, mta_token, stream_subjects
from .vocabulary import EventType

_HEADERS = {
    "Nats-Msg-Id": "The `event_id`: JetStream stores a message whose id it knows only once.",
    "ce-specversion": "Version of CloudEvents: `1.0`.",
    "ce-id": "The `event_id`.",
    "ce-source": "`//<host>/<service>`, percent-encoded, as `//mx1.example.org/postfix/smtpd`.",
    "ce-type": "`mailfault.<event_type>.v1`.",
    "ce-time": "The `event_time`.",
    "ce-datacontenttype": "`application/json`.",
    "ce-dataschema": "`$id` of the JSON Schema, as `urn:mailfault:schema:reject:v1`.",
    "ce-subject": "The `queue_id`; absent where there is none.",
}
_ABSENT_AT_TIMES = "ce-subject"


def document() -> dict[str, Any]:
    _, definitions = models_json_schema(
        [(model, "serialization") for model in MODELS.values()],
        ref_template="#/components/schemas/{model}",
        schema_generator=SchemaGenerator,
    )
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "mailfault events",
            "version": f"{SCHEMA_VERSION}.0",
            "description": (
                "Every mail that Postfix refused, deferred or returned, as one typed event.\n"
                "Subscribers ignore fields and words they do not know; a minor version only adds."
            ),
            "license": {
                "name": "Apache-2.0",
                "url": "https://www.apache.org/licenses/LICENSE-2.0",
            },
        },
        "defaultContentType": "application/json",
        "channels": {kind.value: _channel(kind) for kind in MODELS},
        "operations": {f"publish-{kind}": _operation(kind) for kind in MODELS},
        "components": {
            "messages": {kind.value: _message(kind, model) for kind, model in MODELS.items()},
            "schemas": {"Headers": _headers(), **definitions["$defs"]},
        },
        "x-jetstream": {
            "stream": DEFAULT_PREFIX.upper(),
            "subjects": stream_subjects(),
            "storage": "file",
            "retention": "limits",
            "discard": "old",
            "duplicate_window_seconds": 600,
        },
    }


def _channel(kind: EventType) -> dict[str, Any]:
    return {
        "address": f"{DEFAULT_PREFIX}.{kind}.{{mta}}",
        "description": member_docs(EventType)[kind],
        "messages": {kind.value: {"$ref": f"#/components/messages/{kind}"}},
        "parameters": {
            "mta": {
                "description": (
                    "The reporting host as one token: lower case, IDNA A-labels (of 2003), `.` as "
                    "`_` but for one at its end, any other byte outside `[a-z0-9-]` as `=XX`, "
                    "nothing as `unknown`; over 63 characters the first 50, `-` and 8 hex digits "
                    "of the SHA-256 of all of it."
                ),
                "examples": [mta_token("mx1.example.org")],
            }
        },
    }


def _operation(kind: EventType) -> dict[str, Any]:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{kind}"},
        "messages": [{"$ref": f"#/channels/{kind}/messages/{kind}"}],
    }


def _message(kind: EventType, model: type[EventBase]) -> dict[str, Any]:
    return {
        "name": model.__name__,
        "title": f"mailfault.{kind}.v1",
        "summary": member_docs(EventType)[kind],
        "contentType": "application/json",
        "headers": {"$ref": "#/components/schemas/Headers"},
        "payload": {"$ref": f"#/components/schemas/{model.__name__}"},
        "examples": [{"name": kind.value, "payload": json.loads(example_bytes(kind))}],
    }


def _headers() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "CloudEvents 1.0, NATS binding in binary mode; the payload is complete "
        "without them.",
        "properties": {
            name: {"type": "string", "description": text} for name, text in _HEADERS.items()
        },
        "required": [name for name in _HEADERS if name != _ABSENT_AT_TIMES],
    }
