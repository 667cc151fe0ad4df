"""SIGHUP that comes before there is anybody to obey it.

Its default is to end the process, and reading in the program takes a moment. Here it is kept, to be
obeyed once what it asks for has started.
"""

import signal
from types import FrameType

_has_come = False


def keep() -> None:
    """From here on. Needs the main thread."""
    signal.signal(signal.SIGHUP, note)


def has_come() -> bool:
    return _has_come


def note(number: int = signal.SIGHUP, frame: FrameType | None = None) -> None:
    """For an event loop as well."""
    global _has_come
    _has_come = True
