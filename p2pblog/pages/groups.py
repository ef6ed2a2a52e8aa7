"""Groups that one joined, and what stands above the timeline of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from p2pblog.pages.values import ago, counted, table, try_line
from p2pblog.terminal import Page, Piece, Style, clean_line, fit, line, width

if TYPE_CHECKING:
    from p2pblog.control.documents import GroupDocument


def groups_page(groups: Sequence[GroupDocument], now_ms: int, columns: int, command: str) -> Page:
    """`command` is how this program is called here."""
    if not groups:
        return [line("You have joined no groups."), try_line(f"{command} group join NAME")]
    rows = [
        [called(each["name"]), f"{each['notices']:,}", f"{each['authors']:,}", ago(each["since"], now_ms)]
        for each in groups
    ]
    return table(["NAME", "NOTICES", "AUTHORS", "JOINED"], rows, columns, shrink=(0,), right={1, 2})


def group_page(done: str, changed: GroupDocument, command: str | None = None) -> Page:
    """What became of a group, after a word for it. `command`: where it was joined, how this program is called."""
    page = [line(f"{done}: {called(changed['name'])}, {_held(changed)}")]
    return page if command is None else [*page, try_line(f"{command} timeline --group {clean_line(changed['name'])}")]


def header_page(name: str, joined: GroupDocument | None, now_ms: int, columns: int, command: str) -> Page:
    """What stands above a group's timeline. `joined`: the row of one that was joined."""
    said = " · not joined" if joined is None else f" · {_held(joined)} · joined {ago(joined['since'], now_ms)}"
    head = fit(called(name), columns)
    room = columns - width(head)
    page = [line(Piece(head, Style.BOLD), Piece(fit(said, room) if room else "", Style.DIM))]
    page += [] if joined is not None else [try_line(f"{command} group join {clean_line(name)}")]
    return [*page, line()]


def called(name: str) -> str:
    return f"!{clean_line(name)}"


def _held(group: GroupDocument) -> str:
    if not group["notices"]:
        return "nothing of it is here yet"
    return f"{counted(group['notices'], 'notice')} by {counted(group['authors'], 'person', 'people')} here"
