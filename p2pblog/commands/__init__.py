"""The commands, a file for each kind; only the file of the one that is called is imported.

What a command needs beyond click and a socket it imports itself, so that `p2pblog post` answers at once.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

import click

from p2pblog.session import Session, json_option, this
from p2pblog.terminal import Page, line


def command(name: str, example: str) -> Callable[[Callable[..., Any]], click.Command]:
    """A command with --json, and an example below its help."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        epilog = "\b\nExample:\n" + "\n".join(f"  {text}" for text in example.splitlines())
        return click.command(name, epilog=epilog)(json_option(this(function)))

    return decorate


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def qr_lines(session: Session, text: str) -> Page:
    """The text as a QR code below a free line, where it can be seen and fits."""
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        return []
    from p2pblog.pages.values import qr_page

    code = qr_page(text)
    return [line(), *code] if len(code[0][0].text) <= session.columns else []
