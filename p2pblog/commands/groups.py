"""Commands about groups: open ones, that anybody writes to and reads."""

from __future__ import annotations

import click

from p2pblog.commands import command, now_ms, offers
from p2pblog.control import words
from p2pblog.pages import groups as pages
from p2pblog.session import Session, json_option

name_argument = click.argument("name", shell_complete=offers("groups"))


@command("groups", "p2pblog groups")
def groups(session: Session) -> None:
    """The groups that you joined, and what of each is here."""
    document = session.ask("groups")
    session.show(document, lambda: pages.groups_page(document, now_ms(), session.columns, session.command))


@click.group("group", epilog="\b\nExample:\n  p2pblog group join birds\n  p2pblog group leave birds")
@json_option
def group() -> None:
    """Join open groups, or leave them. `!birds` in a text posts to one, `timeline --group birds` reads it."""


@command("join", "p2pblog group join birds")
@click.argument("name")
def join(session: Session, name: str) -> None:
    """Look from now on for what anybody says to a group. Nobody is told."""
    document = session.ask("join_group", name=words.check_group(name))
    session.show(document, lambda: pages.group_page("Joined", document, session.command))


@command("leave", "p2pblog group leave birds")
@name_argument
def leave(session: Session, name: str) -> None:
    """Look for it no longer; what is here stays."""
    document = session.ask("leave_group", name=words.check_joined(name))
    session.show(document, lambda: pages.group_page("Left", document))


group.add_command(join)
group.add_command(leave)
