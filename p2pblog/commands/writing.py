"""Commands that write: notices, what one says about those of others, and bookmarks."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from p2pblog.commands import command, notice_argument, offers
from p2pblog.config import NOTE_BYTES_MAX
from p2pblog.control import words
from p2pblog.errors import NotFound, UsageError, UserError
from p2pblog.pages import notices as pages
from p2pblog.session import Session
from p2pblog.terminal import line

if TYPE_CHECKING:
    from p2pblog.control.documents import FollowDocument, NoticeDocument, WrittenDocument

SHORT_CHARACTERS = 100
"""A text alone of so many fits the DHT in any script, and need not be asked for: most posts are one question."""
UNDONE = {"unboost": "boost", "unlike": "like", "unpin": "pin"}
"""Command -> what it takes back."""


@command(
    "post",
    'p2pblog post "Hello, everybody"\nfortune | p2pblog post -\n'
    'p2pblog post "What to drink?" --poll tea --poll coffee --closes 2h\n'
    'p2pblog post "Look!" --media bees.jpg --alt "Bees on a flower"',
)
@click.argument("text")
@click.option("--reply-to", metavar="ID", shell_complete=offers("notices"), help="The notice that this one answers.")
@click.option("--cw", metavar="TEXT", help="A content warning: what readers see before they ask for the text.")
@click.option("--lang", metavar="TAG", help="The language of the text, as en or pt-BR.")
@click.option("--poll", metavar="OPTION", multiple=True, help="Something to choose from; give it 2 to 10 times.")
@click.option("--closes", metavar="TIME", help="How long the poll is open, as 90min, 24h or 7d; else 24h.")
@click.option(
    "--media",
    "paths",
    metavar="FILE",
    multiple=True,
    shell_complete=offers("file"),
    help="A picture or another file, up to 4 times.",
)
@click.option("--alt", "alts", metavar="TEXT", multiple=True, help="What is to be seen in it; one for each --media.")
@click.option("--keep-metadata", is_flag=True, help="Post files as they are, with the place where they were made.")
def post(
    session: Session,
    text: str,
    reply_to: str | None,
    cw: str | None,
    lang: str | None,
    poll: tuple[str, ...],
    closes: str | None,
    paths: tuple[str, ...],
    alts: tuple[str, ...],
    keep_metadata: bool,
) -> None:
    """Publish a notice. TEXT is one argument: quote it. `-` reads it from the standard input."""
    text = words.check_text(from_stdin() if text == "-" else text)
    reply_to = None if reply_to is None else words.check_id(reply_to)
    cw = None if cw is None else words.check_warning(cw)
    lang = None if lang is None else words.check_language(lang)
    options = words.check_poll(poll, text) if poll else None
    if closes is not None:
        if options is None:
            raise UsageError("only a poll closes: give its options with --poll", "p2pblog post --help")
        words.check_lasting(closes)
    media = _attached(session, paths, alts, keep_metadata)
    said = {"text": text, "reply_to": reply_to, "cw": cw, "lang": lang}
    document = session.ask("post", **said, poll=options, closes=closes, media=media)
    session.show(document, lambda: pages.written_page(document))
    if len(text) > SHORT_CHARACTERS or "@" in text or cw or poll or media:
        _tell_of_it(session, document, text)


@command("edit", 'p2pblog edit 5feceb66ff "Hello, everybody!"')
@notice_argument
@click.argument("text")
@click.option("--cw", metavar="TEXT", help="Another content warning; an empty one takes it away.")
@click.option("--lang", metavar="TAG", help="Another language; an empty one takes it away.")
def edit(session: Session, notice: str, text: str, cw: str | None, lang: str | None) -> None:
    """Give a notice of your own other words. It keeps its id; the old words can still be seen. Who does not follow you
    may read them until their node asks again. A TEXT of `-` is read from the standard input."""
    typed, text = words.check_id(notice), words.check_text(from_stdin() if text == "-" else text)
    cw = cw if not cw else words.check_warning(cw)
    lang = lang if not lang else words.check_language(lang)
    document = session.ask("edit", notice=typed, text=text, cw=cw, lang=lang)
    session.show(document, lambda: pages.written_page(document, typed))
    _tell_of_it(session, document, text)


@command("quote", 'p2pblog quote 5feceb66ff "What she says"')
@notice_argument
@click.argument("text")
@click.option("--cw", metavar="TEXT", help="A content warning: what readers see before they ask for the text.")
@click.option("--lang", metavar="TAG", help="The language of the text, as en or pt-BR.")
def quote(session: Session, notice: str, text: str, cw: str | None, lang: str | None) -> None:
    """Publish a notice that quotes another. It keeps the words that the other has now. A TEXT of `-` is read from the
    standard input."""
    typed, text = words.check_id(notice), words.check_text(from_stdin() if text == "-" else text)
    cw = None if cw is None else words.check_warning(cw)
    lang = None if lang is None else words.check_language(lang)
    document = session.ask("quote", notice=typed, text=text, cw=cw, lang=lang)
    session.show(document, lambda: pages.written_page(document, typed))
    _tell_of_it(session, document, text)


def _tell_of_it(session: Session, written: WrittenDocument, text: str) -> None:
    """Beside what was written, for a person: that the DHT can't carry it, and whom it seems to mention and does not. It
    is written all the same where that can't be asked for."""
    if session.json:
        return
    with suppress(UserError):
        if pages.is_too_long_for_dht(session.ask("entry", entry=written["id"])):
            session.tell(
                [line("It is too long for the DHT: while you are offline, only nodes that follow you pass it on.")]
            )
    if "@" not in text:
        return
    from p2pblog.core.mentions import unnamed  # only a text with such a sign pays for it

    with suppress(UserError):
        follows: list[FollowDocument] = session.ask("following")
        nobodies = unnamed(text, {follow["petname"] for follow in follows if follow["petname"]})
        if nobodies:
            session.tell(pages.nobodies_page(nobodies, f"{session.command} follow ADDRESS --petname {nobodies[0]}"))


def _attached(
    session: Session, paths: tuple[str, ...], alts: tuple[str, ...], keep_metadata: bool
) -> list[dict[str, str]] | None:
    if not paths and not alts:
        return None
    from p2pblog.commands.files import attach  # only a post with files pays for it

    return attach(session, paths, alts, keep_metadata)


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


def _write_about(session: Session, route: str, notice: str) -> NoticeDocument | None:
    """Say it of the notice that was typed, and give what `meant` gives."""
    typed = words.check_id(notice)
    found = meant(session, typed, itself=route == "delete")
    document = session.ask(route, notice=typed)
    about = typed if found is None else found["id"]
    session.show(document, lambda: pages.written_page(document, about, undone=UNDONE.get(route)))
    if route in ("boost", "like"):
        tell_who_hears(session, found, document)
    return found


def meant(session: Session, typed: str, *, itself: bool = False) -> NoticeDocument | None:
    """The notice that `typed` stands for; a boost for the boosted one, unless it is the boost `itself`. None where
    nobody reads what would be said of it, and for what is no notice: a like, which can be deleted too, or what the
    command will find fault with."""
    if session.json:
        return None
    try:
        found: NoticeDocument = session.ask("show", notice=typed)
        if found["boost_of"] is not None and not itself:
            found = session.ask("show", notice=found["boost_of"])
    except (NotFound, UsageError):
        return None
    return found


def tell_who_hears(session: Session, about: NoticeDocument | None, written: WrittenDocument) -> None:
    """Beside what was said of a notice by somebody whom one does not follow: they hardly follow back. Beside each like
    of a friend's notice it would be noise."""
    if about is None or about["author"] == written["author"]:
        return
    with suppress(UserError):  # it is written all the same
        if about["author"] not in {follow["address"] for follow in session.ask("following")}:
            session.tell(pages.heard_page())


@command("boost", "p2pblog boost 5feceb66ff")
@notice_argument
def boost(session: Session, notice: str) -> None:
    """Show somebody's notice to those who follow you. Its author sees that if they follow you."""
    _write_about(session, "boost", notice)


@command("like", "p2pblog like 5feceb66ff")
@notice_argument
def like(session: Session, notice: str) -> None:
    """Like a notice. Its author sees it if they follow you."""
    _write_about(session, "like", notice)


@command("unboost", "p2pblog unboost 5feceb66ff")
@notice_argument
def unboost(session: Session, notice: str) -> None:
    """Take back your boost of a notice."""
    _write_about(session, "unboost", notice)


@command("unlike", "p2pblog unlike 5feceb66ff")
@notice_argument
def unlike(session: Session, notice: str) -> None:
    """Take back your like of a notice."""
    _write_about(session, "unlike", notice)


@command("pin", "p2pblog pin 5feceb66ff")
@notice_argument
def pin(session: Session, notice: str) -> None:
    """Show a notice of your own beside your profile. Everybody sees it there; at most 5 at a time."""
    _write_about(session, "pin", notice)


@command("unpin", "p2pblog unpin 5feceb66ff")
@click.argument("notice", metavar="ID", shell_complete=offers("pins"))
def unpin(session: Session, notice: str) -> None:
    """Pin a notice no longer."""
    _write_about(session, "unpin", notice)


_NOTICE_GOES = (
    "Nodes that follow you hide it as they hear of it. Where others have it, as by a boost or in a group, it can be "
    "read until they ask again. Nobody can make a node forget it."
)
_OTHER_GOES = "Nodes that follow you take it back as they hear of it. Nobody can make a node forget it."
"""A like, a boost, a vote, a direct message: nobody reads it singly."""


@command("delete", "p2pblog delete 5feceb66ff")
@notice_argument
def delete(session: Session, notice: str) -> None:
    """Take back a notice of your own. Nodes hide it as they hear of it; nobody can make them forget it. Those of people
    who don't follow you, and have it from others, hear of it when they look at it."""
    found = _write_about(session, "delete", notice)
    if not session.json:
        is_notice = found is not None and found["type"] == "note"
        session.tell([line(_NOTICE_GOES if is_notice else _OTHER_GOES)])


@command("bookmark", "p2pblog bookmark 5feceb66ff")
@notice_argument
def bookmark(session: Session, notice: str) -> None:
    """Remember a notice. Nobody else hears of it."""
    document = session.ask("bookmark", notice=words.check_id(notice))
    session.show(document, lambda: pages.bookmark_page(document))


@command("unbookmark", "p2pblog unbookmark 5feceb66ff")
@click.argument("notice", metavar="ID", shell_complete=offers("bookmarks"))
def unbookmark(session: Session, notice: str) -> None:
    """Remember a notice no longer."""
    document = session.ask("unbookmark", notice=words.check_id(notice))
    session.show(document, lambda: pages.bookmark_page(document))
