"""Commands that write: notices, what one says about those of others, and bookmarks."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from p2pblog.commands import command
from p2pblog.config import NOTE_BYTES_MAX
from p2pblog.control import words
from p2pblog.errors import NotFound, UsageError
from p2pblog.pages import notices as pages
from p2pblog.session import Session
from p2pblog.terminal import line

if TYPE_CHECKING:
    from p2pblog.control.api import NoticeDocument

UNDONE = {"unboost": "boost", "unlike": "like"}
"""Command -> what it takes back."""


@command("post", 'p2pblog post "Hello, everybody"\nfortune | p2pblog post -')
@click.argument("text")
@click.option("--reply-to", metavar="ID", help="The notice that this one answers.")
@click.option("--cw", metavar="TEXT", help="A content warning: what readers see before they ask for the text.")
@click.option("--lang", metavar="TAG", help="The language of the text, as en or pt-BR.")
def post(session: Session, text: str, reply_to: str | None, cw: str | None, lang: str | None) -> None:
    """Publish a notice. TEXT is one argument: quote it. `-` reads it from the standard input."""
    text = words.check_text(from_stdin() if text == "-" else text)
    reply_to = None if reply_to is None else words.check_id(reply_to)
    cw = None if cw is None else words.check_warning(cw)
    lang = None if lang is None else words.check_language(lang)
    document = session.ask("post", text=text, reply_to=reply_to, cw=cw, lang=lang)
    session.show(document, lambda: pages.written_page(document))
    if not session.json and pages.is_too_long_for_dht(text, reply_to is not None, cw, lang):
        session.tell(
            [line("It is too long for the DHT: while you are offline, only nodes that follow you pass it on.")]
        )


def from_stdin(bytes_max: int = NOTE_BYTES_MAX, what: str = "a notice") -> str:
    """The standard input without one final newline. Raises UsageError: more than `what` may have, or not UTF-8."""
    if sys.stdin is None:
        raise UsageError("the standard input is closed")
    data = sys.stdin.buffer.read(bytes_max + 2).removesuffix(b"\n")
    if len(data) > bytes_max:
        raise UsageError(f"the text has over {bytes_max:,} bytes, and {what} at most that many")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise UsageError("the text on the standard input is not valid UTF-8") from error


def _write_about(session: Session, route: str, notice: str) -> None:
    typed = words.check_id(notice)
    about = typed if session.json else _meant(session, route, typed)
    document = session.ask(route, notice=typed)
    session.show(document, lambda: pages.written_page(document, about, undone=UNDONE.get(route)))


def _meant(session: Session, route: str, typed: str) -> str:
    """The id of the notice that `typed` stands for; a like or boost of a boost goes to the boosted notice."""
    try:
        found: NoticeDocument = session.ask("show", notice=typed)
    except (NotFound, UsageError):  # a like, which can be deleted too; or `route` says what is wrong
        return typed
    return found["id"] if route == "delete" else found["boost_of"] or found["id"]


@command("boost", "p2pblog boost 5feceb66ff")
@click.argument("notice", metavar="ID")
def boost(session: Session, notice: str) -> None:
    """Show somebody's notice to those who follow you."""
    _write_about(session, "boost", notice)


@command("like", "p2pblog like 5feceb66ff")
@click.argument("notice", metavar="ID")
def like(session: Session, notice: str) -> None:
    """Like a notice."""
    _write_about(session, "like", notice)


@command("unboost", "p2pblog unboost 5feceb66ff")
@click.argument("notice", metavar="ID")
def unboost(session: Session, notice: str) -> None:
    """Take back your boost of a notice."""
    _write_about(session, "unboost", notice)


@command("unlike", "p2pblog unlike 5feceb66ff")
@click.argument("notice", metavar="ID")
def unlike(session: Session, notice: str) -> None:
    """Take back your like of a notice."""
    _write_about(session, "unlike", notice)


@command("delete", "p2pblog delete 5feceb66ff")
@click.argument("notice", metavar="ID")
def delete(session: Session, notice: str) -> None:
    """Take back a notice of your own. Nodes hide it as they hear of it; nobody can make them forget it."""
    _write_about(session, "delete", notice)


@command("bookmark", "p2pblog bookmark 5feceb66ff")
@click.argument("notice", metavar="ID")
def bookmark(session: Session, notice: str) -> None:
    """Remember a notice. Nobody else hears of it."""
    document = session.ask("bookmark", notice=words.check_id(notice))
    session.show(document, lambda: pages.bookmark_page(document))


@command("unbookmark", "p2pblog unbookmark 5feceb66ff")
@click.argument("notice", metavar="ID")
def unbookmark(session: Session, notice: str) -> None:
    """Remember a notice no longer."""
    document = session.ask("unbookmark", notice=words.check_id(notice))
    session.show(document, lambda: pages.bookmark_page(document))
