"""The command that runs the node: by itself, so that a node keeps no pages in its memory."""

from __future__ import annotations

import gc

import click

from p2pblog.commands import command
from p2pblog.control import words
from p2pblog.session import Session


@command("run", "p2pblog run --listen 0.0.0.0:4711 --bootstrap 192.0.2.1:4711")
@click.option("--listen", metavar="HOST:PORT", help="Where to listen, TCP and UDP, from now on; port 0: a free one.")
@click.option("--bootstrap", metavar="HOST:PORT", multiple=True, help="A node to begin with; can be repeated.")
def run(session: Session, listen: str | None, bootstrap: tuple[str, ...]) -> None:
    """Run your node in the foreground; Ctrl-C stops it."""
    for endpoint in (listen or "", *bootstrap):
        words.check_utf8(endpoint, "HOST:PORT")
    gc.disable()  # as in __main__: what is imported stays, and need not be looked through
    from p2pblog import daemon

    gc.freeze()
    gc.enable()
    daemon.run(session.home, listen, list(bootstrap), session.json, session.command)
