"""Where `mailfault` and `python -m service` begin.

Reading in the whole program takes a moment, and Ctrl-C may come in it, or a reload.
"""

import sys

from service import hangup

_INTERRUPTED = 130
"""As shells have it: 128 and the number of SIGINT."""


def main() -> None:
    if sys.argv[1:2] == ["serve"]:
        hangup.keep()
    try:
        from service.cli import app

        app()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
