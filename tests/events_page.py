"""`docs/events.md`, from the models and their golden examples. `python -m tests.events_page`
rewrites it; a test says when it is stale."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from schemas.export import json_schema
from schemas.samples import example_bytes
from schemas.vocabulary import EventType

PAGE = Path(__file__).parents[1] / "docs" / "events.md"

_HEAD = """\
# Events

<!-- Generated from the models: `python -m tests.events_page` rewrites it. -->

Every field of every event, one table for each type. An event is a JSON object in UTF-8, published
on `postfix.<type>.<mta>` with its `event_id` as `Nats-Msg-Id`. What the log does not tell is
`null`. Subscribers ignore fields and words that they do not know: a minor version may add some.
Texts, addresses and names come from strangers: escape them wherever you show them.

The same for programs: `mailfault schema`, `mailfault schema --asyncapi`. For Python:
[schemas/README.md](../schemas/README.md). Where `message`, `attempt` and `notice` come from:
[context.md](context.md).
"""
_EXAMPLE_LENGTH = 60
_ABSENT = object()

Schema = dict[str, Any]


def page() -> str:
    parts = [_HEAD]
    words: dict[str, Schema] = {}
    for kind in EventType:
        schema = json_schema(kind)
        shared = schema.get("$defs", {})
        words |= {name: it for name, it in shared.items() if "enum" in it}
        example = json.loads(example_bytes(kind))
        rows = "\n".join(_rows(schema, shared, example))
        parts.append(
            f"## {kind}\n\n{schema['description']}\n\n"
            f"| field | type | meaning | example |\n|---|---|---|---|\n{rows}\n"
        )
    parts.append("## Words\n\nThe words of the fields above; each list may grow.\n")
    parts += [_words(name, words[name]) for name in sorted(words)]
    return "\n".join(parts)


def _rows(schema: Schema, shared: Schema, example: Any, prefix: str = "") -> Iterator[str]:
    """A field each; those of an object follow it."""
    for name, field in schema["properties"].items():
        kind, inner = _kind(field, shared)
        value = example.get(name, _ABSENT) if isinstance(example, dict) else _ABSENT
        meaning = field.get("description") or (inner or {}).get("description", "")
        shown = "" if inner is not None and value is not None else _shown(value)
        yield f"| `{prefix}{name}` | {kind} | {_cell(meaning)} | {shown} |"
        if inner is not None:
            yield from _rows(inner, shared, value, f"{prefix}{name}.")


def _kind(field: Schema, shared: Schema) -> tuple[str, Schema | None]:
    """Its type in words; the schema of its parts where it is an object."""
    options = field.get("anyOf", [field])
    null = " or null" if {"type": "null"} in options else ""
    first = options[0]
    if "$ref" in first:
        name = first["$ref"].rpartition("/")[2]
        if "enum" in shared[name]:
            return f"[{name}](#{name.lower()}){null}", None
        return f"object{null}", shared[name]
    if first.get("format") == "date-time":
        return f"time{null}", None
    return f"{first['type']}{null}", None


def _shown(value: Any) -> str:
    if value is _ABSENT:
        return ""
    text = json.dumps(value, ensure_ascii=False)
    if len(text) > _EXAMPLE_LENGTH:
        text = text[: _EXAMPLE_LENGTH - 4] + ' ..."'
    return f"`{_cell(text)}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _words(name: str, schema: Schema) -> str:
    meanings = schema["x-enumDescriptions"]
    rows = "\n".join(f"| `{word}` | {_cell(meanings[word])} |" for word in schema["enum"])
    return f"### {name}\n\n{schema['description']}\n\n| word | means |\n|---|---|\n{rows}\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
