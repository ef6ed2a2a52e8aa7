"""The program: the installed command `p2pblog`, and `python -m p2pblog`."""

import gc


def start() -> None:
    """Run the command line. The collector rests while it is imported, and passes that by for good: importing makes no
    garbage, and looking for some then and at the exit takes longer than asking the daemon."""
    gc.disable()
    from p2pblog.cli import main

    gc.freeze()
    gc.enable()
    main()


if __name__ == "__main__":
    start()
