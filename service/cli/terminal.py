"""Log text on a terminal: hostile until shown otherwise."""

import re

_OUTSIDE_STRINGS = re.compile(r"[\t\n\r]")
"""Space between the tokens of a JSON text: inside its strings these are escaped (RFC 8259 7)."""


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
