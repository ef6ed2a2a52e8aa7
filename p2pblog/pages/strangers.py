"""Strangers: what they say, who they are, and who was let in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from p2pblog.pages.notices import NOTHING_KNOWN, Known, timeline_page
from p2pblog.pages.values import People, address_line, ago, short_id, who
from p2pblog.terminal import Page, Piece, Style, line, width

if TYPE_CHECKING:
    from p2pblog.control.documents import AdmittedDocument, NoticeDocument, WrittenDocument


def strangers_page(
    notices: Sequence[NoticeDocument],
    older: bool,
    now_ms: int,
    columns: int,
    known: Known = NOTHING_KNOWN,
    command: str = "p2pblog",
) -> Page:
    """What waits, and below it how each of its authors is let in: names are anybody's choice, addresses are not."""
    if not notices:
        return [line("Nothing older." if older else "No stranger waits.")]
    names = {notice["author"]: notice["name"] for notice in reversed(notices)}
    page = [*timeline_page(notices, now_ms, columns, known), line(), line("To let somebody in:")]
    for address, name in reversed(names.items()):
        warning = known.warnings.get((address, name))
        page.append(line("  ", *who(name, address, known.petnames.get(address), warning=warning)))
        page.append(line("    ", Piece(f"{command} admit {address}", Style.BOLD)))
    return page


def admit_page(admitted: AdmittedDocument, command: str) -> Page:
    return [
        line("Admitted: ", admitted["address"]),
        line("What they say to you waits no longer. See: ", Piece(f"{command} notifications --unread", Style.BOLD)),
    ]


def unadmit_page(admitted: AdmittedDocument) -> Page:
    still = [] if admitted["vouch"] is None else [line("They are still let in: you vouched for them.")]
    return [line("No longer admitted: ", admitted["address"]), *still]


def admitted_page(rows: Sequence[AdmittedDocument], people: People, now_ms: int, columns: int) -> Page:
    """Whom one let in, and how."""
    if not rows:
        return [line("You have let nobody in.")]
    page: Page = []
    for row in rows:
        how = [*(["admitted"] if row["admitted"] else []), *(["vouched for"] if row["vouch"] else [])]
        told = Piece(f"  {' and '.join(how)}, {ago(row['since'], now_ms)}", Style.DIM)
        page += [line(*people.who(row["address"], columns - width(told.text)), told), address_line(row["address"])]
    return page


def vouch_page(written: WrittenDocument, address: str) -> Page:
    """What became of `vouch` and `unvouch`. `address`: as it was typed."""
    entry = Piece(short_id(written["id"]), Style.ID)
    if written["type"] == "delete":
        return [line("No longer vouched for: ", address, " (entry ", entry, ")")]
    return [
        line("Vouched for: ", address, " (entry ", entry, "; unvouch takes it back)"),
        line("Everybody can read that; those who follow you may hear them."),
    ]
