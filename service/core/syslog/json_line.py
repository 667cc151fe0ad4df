"""A log line that is one JSON object, from a sender that is not trusted.

Whatever is wrong with it, the answer is None; strings come out as text that UTF-8 can carry.
"""

import json
from typing import Any


def read_object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # RecursionError: `[[[[...`
        return None
    return value if isinstance(value, dict) else None


def string_of(value: object) -> str | None:
    """journald writes bytes that are no UTF-8 as a list of numbers, a repeated field as a list
    of its values; the first of these is taken."""
    if isinstance(value, list) and value:
        if isinstance(value[0], str):
            value = value[0]
        else:
            try:
                value = bytes(value).decode("utf-8", "replace")
            except (TypeError, ValueError):
                return None
    if not isinstance(value, str):
        return None
    # A lone surrogate (`\ud800`) is legal JSON and no Unicode text.
    return value if value.isascii() else value.encode("utf-8", "replace").decode()
