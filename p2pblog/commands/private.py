"""Direct messages: to write one, and to read those that are here."""

from __future__ import annotations

import click
from click.core import ParameterSource

from p2pblog.commands import command, now_ms, offers
from p2pblog.commands.reading import Company, rows_option
from p2pblog.commands.writing import from_stdin
from p2pblog.config import DM_BYTES_MAX, DM_RECIPIENTS_MAX
from p2pblog.control import words
from p2pblog.errors import UsageError
from p2pblog.pages import private as pages
from p2pblog.session import Session
from p2pblog.terminal import Page, line


@command("dm", 'p2pblog dm bob "Tea at five?"\nfortune | p2pblog dm bob carol -\np2pblog dm -n 50')
@click.argument("typed", nargs=-1, metavar="[ADDRESS]... [TEXT]", shell_complete=offers("people"))
@rows_option
@click.option(
    "--before", metavar="ID", shell_complete=offers("direct messages"), help="Only what was written before this one."
)
@click.pass_context
def dm(context: click.Context, session: Session, typed: tuple[str, ...], limit: int, before: str | None) -> None:
    """Write a direct message, or list those that you have. Without words it lists those that you wrote or got, newest
    first.

    Nobody but you and the recipients can read the text or see who they are. That you wrote one, when, and about how
    long it is everybody sees. TEXT is one argument: quote it. `-` reads it from the standard input.
    """
    if not typed:
        _list(session, limit, before)
        return
    if before is not None or context.get_parameter_source("limit") is not ParameterSource.DEFAULT:
        raise UsageError("-n and --before are for the list, which takes no ADDRESS", "p2pblog dm --help")
    if len(typed) == 1:
        raise UsageError("a direct message has an ADDRESS and a TEXT", "p2pblog dm --help")
    _write(session, [words.check_utf8(each, "the address") for each in typed[:-1]], typed[-1])


def _write(session: Session, to: list[str], text: str) -> None:
    if len(to) > DM_RECIPIENTS_MAX:
        raise UsageError(f"a direct message goes to at most {DM_RECIPIENTS_MAX} people")
    text = words.check_dm(from_stdin(DM_BYTES_MAX, "a direct message") if text == "-" else text)
    document = session.ask("dm", to=to, text=text)
    session.show(document, lambda: pages.sent_page(document))
    if not session.json:
        session.tell([line("They get it when their node takes your log, as it does if they follow you.")])


def _list(session: Session, limit: int, before: str | None) -> None:
    before = None if before is None else words.check_id(before)
    document = session.ask("dms", limit=limit, before=before)

    def page() -> Page:
        company = Company(session)
        people, own = (company.people, company.own_address) if document else ({}, None)
        return pages.dms_page(document, before is not None, own, people, now_ms(), session.columns)

    session.show(document, page)
