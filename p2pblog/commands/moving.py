"""What `export` and `import` share: a passphrase asked for, the name of a file, one's own notices, a refusal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2pblog.config import TIMELINE_ROWS_MAX
from p2pblog.control import words
from p2pblog.core import archive
from p2pblog.errors import RemoteProtocolError, UsageError, UserError
from p2pblog.session import Session

if TYPE_CHECKING:
    from p2pblog.control.documents import NoticeDocument

PASSPHRASE = "P2PBLOG_PASSPHRASE"  # noqa: S105 - the name of it
PASSPHRASE_CHARACTERS_MIN = 8
"""Argon2 makes each guess cost half a second; fewer characters are guessed all the same."""
PASSPHRASE_CHARACTERS_MAX = 1_000


def ask_passphrase(is_new: bool) -> str:
    """From the environment, or asked for on the terminal; a new one twice. Raises UsageError."""
    typed = os.environ.get(PASSPHRASE)
    if typed is None:
        if not _is_at_terminal():
            raise UsageError(f"a passphrase is needed: type it on a terminal, or set {PASSPHRASE}")
        typed = click.prompt("Passphrase of the secret keys", hide_input=True, err=True)
        is_confirmed = not is_new or click.prompt("The same again", hide_input=True, err=True) == typed
        if not is_confirmed:
            raise UsageError("the two passphrases are not the same")
    words.check_utf8(typed, "the passphrase")
    if is_new and len(typed) < PASSPHRASE_CHARACTERS_MIN:
        raise UsageError(f"the passphrase has {len(typed)} characters: take {PASSPHRASE_CHARACTERS_MIN} or more")
    if len(typed) > PASSPHRASE_CHARACTERS_MAX:
        raise UsageError(f"the passphrase has over {PASSPHRASE_CHARACTERS_MAX:,} characters")
    return typed


def _is_at_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def named_file(typed: str) -> Path:
    """Raises UsageError for what names no file."""
    if not Path(typed).name or "\0" in typed:
        raise UsageError("that is no name of a file")
    if typed == "-":
        raise UsageError("an archive is a file: give the name of one instead of -")
    return Path(typed)


def own_notices(session: Session, own: str) -> Iterator[NoticeDocument]:
    """All that are shown, newest first."""
    before: str | None = None
    while page := session.ask("timeline", author=own, limit=TIMELINE_ROWS_MAX, before=before):
        yield from page
        before = page[-1]["id"]


@contextmanager
def refused(file: Path) -> Iterator[None]:
    """Tell what is wrong with a file that is brought, where it breaks the rules of its kind."""
    try:
        yield
    except RemoteProtocolError as error:
        raise UserError(f"{file} is refused, nothing of it was taken: {archive.refusal(error)}") from error
