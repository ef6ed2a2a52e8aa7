"""The commands, a file for each kind; only the file of the one that is called is imported.

What a command needs beyond click and a socket it imports itself, so that `p2pblog post` answers at once.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click

from p2pblog.errors import UserError
from p2pblog.session import Command, Session, json_option, this
from p2pblog.terminal import Page, line


def command(name: str, example: str) -> Callable[[Callable[..., Any]], click.Command]:
    """A command with --json, and an example below its help."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        epilog = "\b\nExample:\n" + "\n".join(f"  {text}" for text in example.splitlines())
        return click.command(name, cls=Command, epilog=epilog)(json_option(this(function)))

    return decorate


def offers(what: str) -> Callable[[click.Context, click.Parameter, str], Any]:
    """What a shell completes an argument or option with: one of `completing.OFFERS`."""

    def complete(context: click.Context, _: click.Parameter, typed: str) -> Any:
        from p2pblog.commands import completing  # only when Tab was pressed

        return completing.OFFERS[what](context, typed)

    return complete


def one_of(*words: str) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """The same for what takes one of these words."""
    return lambda context, parameter, typed: [word for word in words if word.startswith(typed)]


address_argument = click.argument("address", shell_complete=offers("people"))
notice_argument = click.argument("notice", metavar="ID", shell_complete=offers("notices"))


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def qr_lines(session: Session, text: str) -> Page:
    """The text as a QR code below a free line, where it can be seen and fits."""
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        return []
    from p2pblog.pages.values import qr_page

    code = qr_page(text)
    return [line(), *code] if len(code[0][0].text) <= session.columns else []


def alone_lines(session: Session) -> Page:
    """What to do where the node is linked with no other, below what a page shows; nothing where it is linked."""
    with suppress(UserError):  # a page stands without it
        if not session.ask("peers"):
            from p2pblog.pages.nodes import alone_page

            return alone_page(session.command)
    return []
