"""The signals that end a process in good order."""

import asyncio
import signal

_STOP = (signal.SIGTERM, signal.SIGINT)


def stop_signal() -> asyncio.Future[signal.Signals]:
    """The first SIGTERM or SIGINT that comes while this loop runs."""
    loop = asyncio.get_running_loop()
    first: asyncio.Future[signal.Signals] = loop.create_future()

    def on_signal(number: signal.Signals) -> None:
        # A second signal means now: the default action ends the process at once.
        for each in _STOP:
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)
        if not first.done():  # who no longer waits for it may have cancelled it
            first.set_result(number)

    for number in _STOP:
        loop.add_signal_handler(number, on_signal, number)
    return first
