"""Commands of who wants less: mutes, blocks, and why something shows or does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from p2pblog.commands import command, notice_argument, now_ms, offers
from p2pblog.commands.reading import Company
from p2pblog.control import words
from p2pblog.errors import UsageError
from p2pblog.pages import quiet as pages
from p2pblog.pages.values import NOBODY, People
from p2pblog.session import Session
from p2pblog.terminal import Page

if TYPE_CHECKING:
    from p2pblog.control.documents import MuteDocument

_tag_option = click.option("--tag", metavar="T", help="Notices with this tag.")
_word_option = click.option("--word", metavar="W", help="Notices with this word, or these words in a row.")


def _meant(address: str | None, tag: str | None, word: str | None, command: str) -> dict[str, str | None]:
    if [address, tag, word].count(None) != 2:
        raise UsageError("say one thing: an ADDRESS, --tag T or --word W", f"p2pblog {command} --help")
    return {
        "address": None if address is None else words.check_utf8(address, "the address"),
        "tag": None if tag is None else words.check_tag(tag),
        "word": None if word is None else words.check_words(word),
    }


@command("mute", "p2pblog mute bob --for 7d\np2pblog mute --tag bees\np2pblog mute --word spoiler")
@click.argument("address", required=False, shell_complete=offers("anybody"))
@_tag_option
@_word_option
@click.option("--for", "lasting", metavar="TIME", help="How long, as 30m, 12h or 7d; without it for good.")
def mute(session: Session, address: str | None, tag: str | None, word: str | None, lasting: str | None) -> None:
    """See somebody, a tag or a word no more in your timelines. Nobody hears of it."""
    meant = _meant(address, tag, word, "mute")
    if lasting is not None:
        words.check_duration(lasting)
    document = session.ask("mute", **meant, lasting=lasting)
    session.show(document, lambda: _mute_page(session, document, begins=True))


@command("unmute", "p2pblog unmute bob\np2pblog unmute --word spoiler")
@click.argument("address", required=False, shell_complete=offers("muted"))
@_tag_option
@_word_option
def unmute(session: Session, address: str | None, tag: str | None, word: str | None) -> None:
    """Take a mute back."""
    document = session.ask("unmute", **_meant(address, tag, word, "unmute"))
    session.show(document, lambda: _mute_page(session, document, begins=False))


def _mute_page(session: Session, mute: MuteDocument, begins: bool) -> Page:
    return pages.mute_page(mute, begins, _muted_people(session, [mute]), now_ms(), session.columns)


def _muted_people(session: Session, mutes: list[MuteDocument]) -> People:
    addresses = [mute["what"] for mute in mutes if mute["kind"] == "person"]
    return Company(session).among(addresses) if addresses else NOBODY


@command("muted", "p2pblog muted")
def muted(session: Session) -> None:
    """Whom and what you have muted."""
    document = session.ask("muted")
    session.show(
        document, lambda: pages.muted_page(document, _muted_people(session, document), now_ms(), session.columns)
    )


@command("block", "p2pblog block bob")
@click.argument("address", shell_complete=offers("anybody"))
def block(session: Session, address: str) -> None:
    """See somebody no more, and keep nothing of theirs. Your node passes on nothing of it either, and what it held
    goes."""
    document = session.ask("block", address=words.check_utf8(address, "the address"))
    session.show(document, lambda: pages.block_page(document))


@command("unblock", "p2pblog unblock ADDRESS")
@click.argument("address", shell_complete=offers("blocked"))
def unblock(session: Session, address: str) -> None:
    """Take a block back; follow them to get their notices again."""
    document = session.ask("unblock", address=words.check_utf8(address, "the address"))
    session.show(document, lambda: pages.unblock_page(document))


@command("blocked", "p2pblog blocked")
def blocked(session: Session) -> None:
    """Whom you have blocked."""
    document = session.ask("blocked")
    session.show(document, lambda: pages.blocked_page(document, now_ms()))


@command("why", "p2pblog why 5feceb66ff")
@notice_argument
def why(session: Session, notice: str) -> None:
    """Why a notice stands in your timeline, or does not."""
    document = session.ask("why", notice=words.check_id(notice))
    session.show(document, lambda: pages.why_page(document, session.columns))
