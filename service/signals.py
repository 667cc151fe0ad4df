"""The signals that end a process in good order."""

import asyncio
import signal

_STOP = (signal.SIGTERM, signal.SIGINT)


def stop_event(loop: asyncio.AbstractEventLoop) -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT."""
    stop = asyncio.Event()

    def on_stop_signal() -> None:
        # A second signal means now: the default action ends the process at once.
        for number in _STOP:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
        stop.set()

    for number in _STOP:
        loop.add_signal_handler(number, on_stop_signal)
    return stop
