"""The program: the installed command `p2pblog`, and `python -m p2pblog`."""

import gc
import sys

INTERRUPTED = 130
"""As in `session`, which may not be imported yet."""


def start() -> None:
    """Run the command line. The collector rests while it is imported, and passes that by for good: importing makes no
    garbage, and looking for some then and at the exit takes longer than asking the daemon."""
    gc.disable()
    try:
        from p2pblog.cli import main

        gc.freeze()
        gc.enable()
        main()
    except KeyboardInterrupt:  # before click was here to catch it
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    start()
