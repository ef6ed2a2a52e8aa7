"""`p2pblog notifications`: what others said to one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from p2pblog.commands import now_ms, offers
from p2pblog.commands.reading import Company, rows_option
from p2pblog.control import words
from p2pblog.errors import UsageError, UserError
from p2pblog.pages import news as pages
from p2pblog.pages.values import short_id
from p2pblog.session import Session, json_option, this
from p2pblog.terminal import Page

if TYPE_CHECKING:
    from p2pblog.control.documents import NotificationDocument


@click.group(
    "notifications",
    invoke_without_command=True,
    epilog="\b\nExample:\n  p2pblog notifications --unread\n  p2pblog notifications read",
)
@rows_option
@click.option("--before", metavar="ID", shell_complete=offers("notifications"), help="Only what came before this one.")
@click.option("--unread", is_flag=True, help="Only what is not marked as read.")
@json_option
@this
@click.pass_context
def notifications(context: click.Context, session: Session, limit: int, before: str | None, unread: bool) -> None:
    """What others said to you, and which polls closed. That is answers, mentions, boosts, likes and direct messages,
    and the polls that you made or voted in; the last that came first."""
    if context.invoked_subcommand is not None:
        if before is not None or unread:
            raise UsageError("`notifications read` marks all that has come", "p2pblog notifications read")
        return
    before = None if before is None else words.check_id(before)
    document = session.ask("notifications", limit=limit, before=before, unread=unread)
    is_older = before is not None

    def page() -> Page:
        if not document and not unread and not is_older and _is_anybody_muted(session):
            return pages.silence_page(session.command)
        company = Company(session)
        people, own = (company.follows, company.own) if document else ([], None)
        further = _further(session, document, limit, unread)
        return pages.notifications_page(document, people, own, now_ms(), session.columns, unread, is_older, further)

    session.show(document, page)
    if not session.json and before is None and _do_strangers_wait(session):
        session.tell(pages.strangers_page(f"{session.command} timeline --strangers"))


def _further(session: Session, news: list[NotificationDocument], limit: int, unread: bool) -> str | None:
    """What shows the page below a full one: its lines show the ids of notices, and not what has to be typed."""
    if len(news) < limit:
        return None
    options = f"{' --unread' if unread else ''} -n {limit} --before {short_id(news[-1]['id'])}"
    return f"{session.command} notifications{options}"


def _is_anybody_muted(session: Session) -> bool:
    """The page stands without it."""
    try:
        return any(mute["kind"] == "person" for mute in session.ask("muted"))
    except UserError:
        return False


def _do_strangers_wait(session: Session) -> bool:
    """The page stands without it, so an error here only leaves it out."""
    try:
        return bool(session.ask("timeline", limit=1, strangers=True))
    except UserError:
        return False


@notifications.command("read", epilog="\b\nExample:\n  p2pblog notifications read")
@json_option
@this
def read(session: Session) -> None:
    """Mark all that has come as read."""
    document = session.ask("read_notifications")
    session.show(document, lambda: pages.read_page(document["read"]))
