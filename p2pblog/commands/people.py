"""Commands about people: one's own profile, and whom one follows."""

from __future__ import annotations

import click

from p2pblog.commands import address_argument, command, now_ms, qr_lines
from p2pblog.control import words
from p2pblog.pages import people
from p2pblog.session import Session
from p2pblog.terminal import line


@command("profile", 'p2pblog profile --name alice --bio "Bees and bicycles"')
@click.option("--name", metavar="N", help="How you want to be called.")
@click.option("--bio", metavar="T", help="A few words about yourself; an empty text takes them away.")
def profile(session: Session, name: str | None, bio: str | None) -> None:
    """Show your profile, or change it."""
    name = None if name is None else words.check_name(name)
    bio = None if bio is None else words.check_bio(bio)
    document = session.ask("profile", name=name, bio=bio)
    session.show(document, lambda: people.profile_page(document, session.columns))


@command("follow", "p2pblog follow p2pblog:ADDRESS --petname bob")
@address_argument
@click.option("--petname", metavar="P", help="What you call them; works wherever an ADDRESS does.")
def follow(session: Session, address: str, petname: str | None) -> None:
    """Follow somebody by address, link or invite."""
    petname = None if petname is None else words.check_petname(petname)
    document = session.ask("follow", address=words.check_utf8(address, "the address"), petname=petname)
    session.show(document, lambda: people.follow_page(document, now_ms()))


@command("unfollow", "p2pblog unfollow bob")
@address_argument
def unfollow(session: Session, address: str) -> None:
    """Follow somebody no longer."""
    document = session.ask("unfollow", address=words.check_utf8(address, "the address"))
    session.show(document, lambda: [line("You no longer follow:"), *people.follow_page(document, now_ms())])


@command("following", "p2pblog following")
def following(session: Session) -> None:
    """Whom you follow, and what is held of them."""
    document = session.ask("following")
    session.show(document, lambda: people.following_page(document, now_ms(), session.columns, session.command))


@command("invite", "p2pblog invite")
def invite(session: Session) -> None:
    """A link that lets somebody follow you who knows no other node yet."""
    document = session.ask("invite")
    session.show(document, lambda: [*people.invite_page(document), *qr_lines(session, document["uri"])])
