"""Log text on a terminal: hostile until shown otherwise."""


def printable(text: str) -> str:
    """Control characters would drive the terminal; each becomes `?`."""
    return "".join(c if c.isprintable() else "?" for c in text)
