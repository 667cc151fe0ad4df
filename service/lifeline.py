"""A child process that does not outlive this one: the kernel tells it (prctl(2))."""

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1
_prctl = getattr(ctypes.CDLL(None), "prctl", None)


def bind_to(parent: int, told: signal.Signals) -> None:
    """`told`: the signal it gets when its parent is gone. Runs in the child between fork and exec:
    Linux only, elsewhere it does nothing."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, told)
        if os.getppid() != parent:  # the parent went before we could ask
            os._exit(1)
