"""The files of `deploy/`, read."""

from pathlib import Path
from typing import Any

import yaml

TOP = Path(__file__).parents[2]
DEPLOY = TOP / "deploy"


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def read_all_yaml(text: str) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(text) if document]
