"""Commands about polls; `post --poll` begins one."""

from __future__ import annotations

import click

from p2pblog.commands import command, notice_argument
from p2pblog.commands.writing import meant, tell_who_hears
from p2pblog.control import words
from p2pblog.pages import polls as pages
from p2pblog.session import Session


@command("vote", "p2pblog vote 5feceb66ff 2")
@notice_argument
@click.argument("choice", metavar="N")
def vote(session: Session, notice: str, choice: str) -> None:
    """Choose in a poll: N is the number of the option, from 1. Others see what you chose, and its author if
    they follow you."""
    typed, number = words.check_id(notice), words.check_choice(choice)
    poll = meant(session, typed)
    document = session.ask("vote", notice=typed, choice=number)
    session.show(document, lambda: pages.voted_page(document, typed, number))
    tell_who_hears(session, poll, document)
