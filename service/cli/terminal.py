"""Log text on a terminal: hostile until shown otherwise."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer
from rich.console import Console

_OUTSIDE_STRINGS = re.compile(r"[\t\n\r]")
"""Space between the tokens of a JSON text: inside its strings these are escaped (RFC 8259 7)."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """rich would end the program with 1, as if it had failed: who prints knows better."""
        raise  # the `BrokenPipeError` for which it asks


def console(*, stderr: bool = False, soft_wrap: bool = False) -> Console:
    """Styled on a terminal only, and nowhere with NO_COLOR (no-color.org): no bold either, which
    rich would keep."""
    plain = {"color_system": None} if os.environ.get("NO_COLOR") else {}
    return _Console(stderr=stderr, soft_wrap=soft_wrap, highlight=False, **plain)  # type: ignore[arg-type]


def printable(text: str) -> str:
    """Control characters would drive the terminal; each becomes `?`."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def json_line(text: str) -> str:
    """A JSON text as one line with the same meaning that no terminal obeys: JSON lets DEL, C1
    controls and marks of writing direction stand in strings as they are."""
    if text.isprintable():
        return text
    text = _OUTSIDE_STRINGS.sub(" ", text)
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(char: str) -> str:
    utf16 = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{utf16[at : at + 2].hex()}" for at in range(0, len(utf16), 2))


def end_quietly() -> NoReturn:
    """The reader of our output has seen enough: end as a filter does, without a word. What is left
    in the buffer goes nowhere, else the interpreter's last flush would complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise typer.Exit(0)


@contextmanager
def quiet_pipe() -> Iterator[None]:
    """For a command that only writes: as `end_quietly`, also where the last of it is written only
    at the end."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        end_quietly()
