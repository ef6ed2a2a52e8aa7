"""Lists of people, and who is in one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from p2pblog.pages.values import Follows, address_line, counted, followed_warning, table, try_line, who
from p2pblog.terminal import Page, clean_line, line

if TYPE_CHECKING:
    from p2pblog.control.documents import ListDocument, ListMembersDocument


def lists_page(lists: Sequence[ListDocument], columns: int, command: str) -> Page:
    """`command` is how this program is called here."""
    if not lists:
        return [line("You have no lists."), try_line(f"{command} list create NAME")]
    rows = [[clean_line(each["name"]), f"{each['members']:,}"] for each in lists]
    return table(["NAME", "MEMBERS"], rows, columns, shrink=(0,), right={1})


def list_page(done: str, changed: ListDocument) -> Page:
    """What became of a list, after a word for it."""
    return [line(f"{done}: {clean_line(changed['name'])}, {counted(changed['members'], 'member')}")]


def members_page(shown: ListMembersDocument, follows: Follows, own: str | None) -> Page:
    """Each with the whole address below, which is what one copies. `own`: the reader's address."""
    if not shown["members"]:
        return [line("Nobody is in it yet.")]
    page: Page = []
    for member in shown["members"]:
        warning = followed_warning(member["address"], follows, own)
        page += [line(*who(member["name"], member["address"], member["petname"], warning=warning))]
        page += [address_line(member["address"])]
    return page
