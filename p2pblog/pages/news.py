"""Notifications: what others said to one, a line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from p2pblog.config import ADDRESS_LETTERS
from p2pblog.pages.notices import warnings_beside
from p2pblog.pages.values import ago, counted, short_id, try_line, who
from p2pblog.terminal import Line, Page, Piece, Style, line, width

if TYPE_CHECKING:
    from p2pblog.control.documents import FollowDocument, IdDocument, NotificationDocument

DID = {
    "reply": "answered your",
    "mention": "mentioned you in",
    "boost": "boosted your notice",
    "like": "liked your notice",
    "poll": "asked, and you voted:",
    "dm": "sent you a direct message,",
}


def notifications_page(
    news: Sequence[NotificationDocument],
    follows: Sequence[FollowDocument],
    own: IdDocument | None,
    now_ms: int,
    columns: int,
    unread: bool,
    older: bool,
    further: str | None = None,
) -> Page:
    """The last that came first, a line each; what is not read has a mark. `follows`: whom the reader follows; `own`:
    who they are, if that could be asked. `unread`, `older`: what was asked for. `further`: what shows the page below
    this one; None where there is none."""
    if not news:
        nothing = "Nothing new." if unread else "Nobody has said anything to you yet."
        return [line("Nothing older." if older else nothing)]
    petnames = {follow["address"]: follow["petname"] for follow in follows}
    warnings = warnings_beside([(each["from"], each["name"]) for each in news], follows, own)
    page = [_news_line(each, petnames.get(each["from"]), warnings, now_ms, columns) for each in news]
    return page if further is None else [*page, line(Piece("Older: ", Style.DIM), further)]


def silence_page(command: str) -> Page:
    """Nothing is told, and people are muted, who may have said something. `command` is how this program is called."""
    return [line("Nobody has said anything to you but, perhaps, people whom you muted."), try_line(f"{command} muted")]


def _news_line(
    news: NotificationDocument,
    petname: str | None,
    warnings: Mapping[tuple[str, str | None], str],
    now_ms: int,
    columns: int,
) -> Line:
    mark = "  " if news["read"] else "* "
    about = Piece(short_id(news["notice"]), Style.ID)
    when = Piece(f" · {ago(news['time'], now_ms)}", Style.DIM)
    if news["type"] == "poll" and news["id"] == news["notice"]:
        return line(f"{mark}Your poll ", about, Piece(" has closed", Style.DIM), when)
    said = line(Piece(f" {DID[news['type']]} ", Style.DIM), about)
    if news["type"] == "poll":
        said = line(*said, Piece(" has closed", Style.DIM))
    if news["type"] == "reply":
        said = line(*said, " with ", Piece(short_id(news["id"]), Style.ID))
    warning = warnings.get((news["from"], news["name"]))
    room = columns - len(f"{mark} ({'x' * ADDRESS_LETTERS})") - sum(width(piece.text) for piece in (*said, when))
    room -= 0 if warning is None else 1 + width(warning)
    return line(mark, *who(news["name"], news["from"], petname, room, warning), *said, when)


def strangers_page(command: str) -> Page:
    """That there is more, apart. `command`: what lists it."""
    return [line(Piece("Strangers said something to you, which waits.", Style.DIM)), try_line(command)]


def read_page(count: int) -> Page:
    return [line(f"{counted(count, 'notification')} marked as read." if count else "Nothing was unread.")]
