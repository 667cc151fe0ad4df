"""JSON-like values as YAML 1.2 block style, without a YAML library.

In: dicts with string keys, lists, strings, numbers, booleans, None. Out: text that any YAML
parser reads back as the same value. Strings stand plain only where nothing else could be meant,
as a literal block where they have lines, and otherwise as JSON, which YAML 1.2 includes.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence

Value = None | bool | int | float | str | Sequence["Value"] | Mapping[str, "Value"]

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_LINE = r"[!-~](?:[ -~]*[!-~])?"
_LITERAL = re.compile(rf"{_LINE}(?:\n+{_LINE})+")
_NOT_STRINGS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
"""What YAML 1.1 or 1.2 takes for something else when it stands plain."""


def dump(value: Value) -> str:
    """A YAML document, with a line feed at its end."""
    return "\n".join(_block(value)) + "\n"


def _block(value: Value) -> Iterator[str]:
    """The lines of a value, not indented."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _entry(f"{_scalar(key)}:", item)
    elif isinstance(value, list | tuple) and value:
        for item in value:
            first, *rest = _block(item)
            yield f"- {first}"
            yield from _indented(rest)
    else:
        yield _scalar(value)


def _entry(key: str, item: Value) -> Iterator[str]:
    if isinstance(item, Mapping | list | tuple) and item:
        yield key
        yield from _indented(_block(item))
    elif isinstance(item, str) and _LITERAL.fullmatch(item):
        yield f"{key} |-"
        yield from _indented(item.split("\n"))
    else:
        yield f"{key} {_scalar(item)}"


def _indented(lines: Iterator[str] | list[str]) -> Iterator[str]:
    for line in lines:
        yield f"  {line}" if line else ""


def _scalar(value: Value) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _NOT_STRINGS:
        return value
    return json.dumps(value).replace("\x7f", "\\u007f")  # the one character YAML minds and JSON not
