"""The package as a whole: its names, its documentation, its independence."""

import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import schemas

FOLDER = Path(schemas.__file__).parent


def code_blocks(markdown: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", markdown, re.DOTALL)


def test_every_public_name_is_there() -> None:
    assert [name for name in schemas.__all__ if not hasattr(schemas, name)] == []
    assert len(schemas.__all__) == len({*schemas.__all__})


def test_the_version_is_the_one_of_the_changelog() -> None:
    changelog = (FOLDER / "CHANGELOG.md").read_text()
    (latest, *_) = re.findall(r"^## (\S+)", changelog, re.MULTILINE)
    assert schemas.__version__ == latest
    assert schemas.__version__.startswith(f"{schemas.SCHEMA_VERSION}.")


def test_the_subscriber_of_the_docstring_is_the_one_of_the_readme() -> None:
    """Which `tests/test_packaging.py` runs."""
    assert schemas.__doc__ is not None
    (indented,) = re.findall(r"::\n\n((?:    .*\n|\n)+)", schemas.__doc__)
    subscriber, *_ = code_blocks((FOLDER / "README.md").read_text())
    assert textwrap.dedent(indented).strip() in subscriber


def test_the_other_code_of_the_readme_works() -> None:
    *_, match, testing = code_blocks((FOLDER / "README.md").read_text())
    removed: list[str] = []

    class List:
        remove = removed.append

    scope = {**vars(schemas), "mailing_list": List, "message": None}
    exec(testing.replace("mailfault_schemas", "schemas"), scope)
    bounce = scope["bounce"]
    assert (bounce.recipient, bounce.category) == ("anna@example.org", "mailbox_full")
    scope["message"] = type("Message", (), {"data": scope["payload"]})
    exec(match, scope)
    assert removed == []
    unknown = scope["example"](schemas.BouncedEvent, category="unknown_user")
    scope["message"] = type("Message", (), {"data": schemas.encode(unknown)})
    exec(match, scope)
    assert removed == [unknown.recipient]


def test_imports_inside_are_relative() -> None:
    """So that the files work under both names."""
    for file in FOLDER.rglob("*.py"):
        assert not re.search(r"^(?:from|import) (?:schemas|service)\b", file.read_text(), re.M)


def test_it_needs_pydantic_and_nothing_else() -> None:
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text())["project"]
    (only,) = project["dependencies"]
    assert only.startswith("pydantic>=")
    program = (
        "import sys, schemas, schemas.export, schemas.samples;"
        "print(*{m.partition('.')[0] for m in sys.modules} - set(sys.stdlib_module_names))"
    )
    imported = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=FOLDER.parent,
    )
    allowed = {
        "schemas",
        "pydantic",
        "pydantic_core",
        "annotated_types",
        "typing_extensions",
        "typing_inspection",
    }
    third_party = {
        name
        for name in imported.stdout.split()
        if not name.startswith(("_", "$", "coverage", "sitecustomize"))
    }
    assert third_party <= allowed
