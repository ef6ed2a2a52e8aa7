"""Notifications: what others said to one, a line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from p2pblog.pages.values import ago, counted, short_id, try_line, who
from p2pblog.terminal import Page, Piece, Style, line

if TYPE_CHECKING:
    from p2pblog.control.api import NotificationDocument

DID = {
    "reply": "answered your notice",
    "mention": "mentioned you in",
    "boost": "boosted your notice",
    "like": "liked your notice",
}


def notifications_page(
    news: Sequence[NotificationDocument],
    petnames: Mapping[str, str | None],
    now_ms: int,
    unread: bool,
    older: bool,
) -> Page:
    """The last that came first; what is not read has a mark. `unread`, `older`: what was asked for."""
    if not news:
        nothing = "Nothing new." if unread else "Nobody has said anything to you yet."
        return [line("Nothing older." if older else nothing)]
    page: Page = []
    for each in news:
        mark = "  " if each["read"] else "* "
        said = Piece(f" {DID[each['type']]} ", Style.DIM)
        answer = () if each["type"] != "reply" else (" with ", Piece(short_id(each["id"]), Style.ID))
        when = Piece(f" · {ago(each['time'], now_ms)}", Style.DIM)
        whose = who(None, each["from"], petnames.get(each["from"]))
        page.append(line(mark, *whose, said, Piece(short_id(each["notice"]), Style.ID), *answer, when))
    return page


def strangers_page(command: str) -> Page:
    """That there is more, apart. `command`: what lists it."""
    return [line(Piece("Strangers said something to you, which waits.", Style.DIM)), try_line(command)]


def read_page(count: int) -> Page:
    return [line(f"{counted(count, 'notification')} marked as read." if count else "Nothing was unread.")]
