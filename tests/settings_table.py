"""The table of settings in `docs/configuration.md`, from the models; `python -m
tests.settings_table` rewrites it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from service.settings import Settings

CONFIGURATION = Path(__file__).parents[1] / "docs" / "configuration.md"
_PLACE = re.compile(r"(<!-- settings[^\n]*-->\n).*?(<!-- /settings -->)", re.DOTALL)


def rows(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """Path, default and description of each setting, tables entered."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from rows(kind, f"{prefix}{name}.")
            continue
        default = field.get_default(call_default_factory=True, validated_data={})
        yield f"{prefix}{name}", default, field.description or ""


def table() -> str:
    lines = ["| setting | default | |", "|---|---|---|"]
    for path, default, description in rows():
        shown = "" if default in (None, PydanticUndefined) else f"`{default}`"
        lines.append(f"| `{path}` | {shown} | {description} |")
    return "\n".join(lines) + "\n"


def with_table(document: str) -> str:
    return _PLACE.sub(lambda match: match[1] + table() + match[2], document)


if __name__ == "__main__":
    CONFIGURATION.write_text(with_table(CONFIGURATION.read_text()))
