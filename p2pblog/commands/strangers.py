"""Commands of strangers: who is let in, and by whom."""

from __future__ import annotations

import click

from p2pblog.commands import command, now_ms, offers
from p2pblog.control import words
from p2pblog.pages import strangers as pages
from p2pblog.session import Session
from p2pblog.terminal import Page

_stranger = click.argument("address", shell_complete=offers("strangers"))
_anybody = click.argument("address", shell_complete=offers("anybody"))
_admitted = click.argument("address", shell_complete=offers("admitted"))


@command("admit", "p2pblog admit ADDRESS")
@_stranger
def admit(session: Session, address: str) -> None:
    """Be told what a stranger says to you, and has said. Nobody hears of it."""
    document = session.ask("admit", address=words.check_utf8(address, "the address"))
    session.show(document, lambda: pages.admit_page(document, session.command))


@command("unadmit", "p2pblog unadmit ADDRESS")
@_admitted
def unadmit(session: Session, address: str) -> None:
    """Have them wait again."""
    document = session.ask("unadmit", address=words.check_utf8(address, "the address"))
    session.show(document, lambda: pages.unadmit_page(document))


@command("admitted", "p2pblog admitted")
def admitted(session: Session) -> None:
    """Whom you let in: admitted, or vouched for."""
    document = session.ask("admitted")

    def page() -> Page:
        from p2pblog.commands.reading import Company

        people = Company(session).among(each["address"] for each in document)
        return pages.admitted_page(document, people, now_ms(), session.columns)

    session.show(document, page)


@command("vouch", "p2pblog vouch ADDRESS")
@_anybody
def vouch(session: Session, address: str) -> None:
    """Say to everybody that somebody may be heard. Those who follow you are told what they say, and so are you."""
    document = session.ask("vouch", address=words.check_utf8(address, "the address"))
    session.show(document, lambda: pages.vouch_page(document, address))


@command("unvouch", "p2pblog unvouch ADDRESS")
@_admitted
def unvouch(session: Session, address: str) -> None:
    """Take a vouch back."""
    document = session.ask("unvouch", address=words.check_utf8(address, "the address"))
    session.show(document, lambda: pages.vouch_page(document, address))
