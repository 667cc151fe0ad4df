"""Where `mailfault` and `python -m service` begin.

Reading in the whole program takes a moment, and Ctrl-C may come in it, or a reload.
"""

import errno
import os
import sys

from service import hangup

_INTERRUPTED = 130
"""As shells have it: 128 and the number of SIGINT."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def main() -> None:
    if sys.argv[1:2] == ["serve"]:
        hangup.keep()
    try:
        from service.cli import app

        app()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except OSError as error:
        # Files that a command opens are its own to speak of, and an error of one has its name.
        if error.errno not in _FULL or error.filename is not None:
            raise
        _output_lost(error)


def _output_lost(error: OSError) -> None:
    """What is left in the buffer goes nowhere, else the interpreter's last flush would complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(f"mailfault: the output cannot be written: {error.strerror}")


if __name__ == "__main__":
    main()
