"""The documents of this repository, and what in them is to be run.

In: Markdown. Out: its fenced `sh` and `python` blocks, in order, each with what the comment in the
line above its fence says. CONTRIBUTING.md tells writers of documents about these comments:

    <!-- not run: needs systemd -->                  why it cannot be; begins as in `REASONS`
    <!-- run by: tests/cli/test_demo.py -->          the test that runs it
    <!-- says: bounced -->                           its output must have these words
    <!-- keeps running: says started -->             it is left running once it says so
    <!-- keeps running: says listening, later open -->    the second before the document ends
    <!-- keeps running, later open -->               of one that is silent at first
"""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).parents[2]
LANGUAGES = ("sh", "python")
SHOWN = ("", "json", "log", "toml", "yaml")
"""What is only to be read. Commands go under `sh`, so that none is left out by its name."""
REASONS = (
    "needs systemd",
    "needs a container engine",
    "needs a cluster",
    "needs the network",
    "needs the nats command",
    "needs another host",
    "takes too long",
    "is this test suite",
    "is a piece of a program",
    "not here yet: ",  # and a path: once it is there, this is an error
)
_PLACES = ("*.md", "docs/*.md", "deploy/**/*.md", "examples/*.md", "benchmarks/*.md")
_NOT_OURS = ("CHANGELOG.md",)
FENCE = re.compile(
    r"(?:^ *<!-- (?P<note>[^\n]*?) -->\n)?"
    r"^(?P<indent> *)(?:```|~~~)(?P<language>[^\s`]*)[^\n]*\n"
    r"(?P<text>.*?)^(?P=indent)(?:```|~~~)$",
    re.DOTALL | re.MULTILINE,
)
_NOTE = re.compile(
    r"not run: (?P<reason>.+)"
    r"|run by: (?P<test>\S+)"
    r"|says: (?P<says>.+)"
    r"|(?P<keeps>keeps running)(?:: says (?P<first>.+?))?(?:, later (?P<later>.+))?"
)


class BadBlock(ValueError):
    """A language, or a comment above a block, that is not known. Correct the document."""


@dataclass(frozen=True)
class Block:
    document: str
    """Its path in the repository."""
    line: int
    language: str
    text: str
    reason: str | None = None
    test: str | None = None
    says: str | None = None
    keeps_running: bool = False
    later: str | None = None

    @property
    def is_run_here(self) -> bool:
        return self.reason is None and self.test is None

    @property
    def place(self) -> str:
        return f"{self.document}:{self.line}"


def documents() -> list[str]:
    found = {path for place in _PLACES for path in TOP.glob(place)}
    return sorted(path.relative_to(TOP).as_posix() for path in found if path.name not in _NOT_OURS)


def blocks(document: str, text: str | None = None) -> list[Block]:
    return list(_blocks(document, text or (TOP / document).read_text(encoding="utf-8")))


def _blocks(document: str, text: str) -> Iterator[Block]:
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        if found["language"] in SHOWN:
            continue
        if found["language"] not in LANGUAGES:
            raise BadBlock(f"{document}:{line}: {found['language']} is none of {LANGUAGES + SHOWN}")
        yield _block(f"{document}:{line}", found, document, line)


def _block(place: str, found: re.Match[str], document: str, line: int) -> Block:
    made = Block(document, line, found["language"], textwrap.dedent(found["text"]))
    note = found["note"]
    if note is None or note.startswith("/"):  # the end of a generated part
        return made
    read = _NOTE.fullmatch(note)
    if read is None:
        raise BadBlock(f"{place}: <!-- {note} -->")
    if read["reason"] and not read["reason"].startswith(REASONS):
        raise BadBlock(f"{place}: a reason begins with one of {REASONS}")
    return Block(
        document, line, made.language, made.text, read["reason"], read["test"],
        read["says"] or read["first"], read["keeps"] is not None, read["later"],
    )  # fmt: skip
