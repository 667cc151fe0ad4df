"""`deploy/README.md` names every file that is there to be copied, and nothing else."""

import re
from pathlib import Path

DEPLOY = Path(__file__).parents[2] / "deploy"
LINK = re.compile(r"\]\(([^)#:]+)\)")


def test_each_forwarder_is_in_the_index() -> None:
    linked = set(LINK.findall((DEPLOY / "README.md").read_text(encoding="utf-8")))
    files = {
        path.relative_to(DEPLOY).as_posix()
        for folder in ("rsyslog", "syslog-ng")
        for path in (DEPLOY / folder).glob("*.conf")
    }
    assert len(files) >= 12
    assert files <= linked
    assert [path for path in linked if not (DEPLOY / path).exists()] == []


def test_each_part_is_in_the_index() -> None:
    text = (DEPLOY / "README.md").read_text(encoding="utf-8")
    parts = {path.name for path in DEPLOY.iterdir()} - {"README.md"}
    assert [part for part in sorted(parts) if f"({part}" not in text] == []
