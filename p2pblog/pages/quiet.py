"""Mutes, blocks, and why something shows or does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from p2pblog.pages.values import TEXT_COLUMNS_MAX, People, address_line, ago, short_id, table, who
from p2pblog.terminal import Page, Piece, Style, clean_line, line, wrap

if TYPE_CHECKING:
    from p2pblog.control.documents import BlockDocument, MuteDocument, NewBlockDocument, WhyDocument

MINUTE_MS = 60_000


def mute_page(mute: MuteDocument, begins: bool, people: People, now_ms: int, columns: int) -> Page:
    """One mute that begins, or was taken back, in a sentence."""
    what, is_person = clean_line(mute["what"]), mute["kind"] == "person"
    named = line({"tag": f"#{what}", "word": f'the word "{what}"'}.get(mute["kind"], what))
    done = "Muted: " if begins else "No longer muted: "
    end = "" if mute["until"] is None or not begins else f", for {_left(mute['until'], now_ms)}"
    if is_person:
        named = people.who(mute["what"], columns - len(done) - len(end))
    return [line(done, *named, end), *([address_line(what)] if is_person else [])]


def muted_page(mutes: Sequence[MuteDocument], people: People, now_ms: int, columns: int) -> Page:
    if not mutes:
        return [line("You have muted nobody and nothing.")]
    left = ["" if mute["until"] is None else _left(mute["until"], now_ms) for mute in mutes]
    room = columns - len("person  ") - 2 - max(len("LEFT"), *map(len, left))
    rows = [[mute["kind"], _muted(mute, people, room), until] for mute, until in zip(mutes, left, strict=True)]
    head, *listed = table(["KIND", "WHAT", "LEFT"], rows, columns, shrink=(1,), right=set())
    page = [head]
    for mute, row in zip(mutes, listed, strict=True):
        if mute["kind"] != "person":
            page.append(row)
            continue
        warning = people.warning(mute["what"])  # beside the row, which is cut where it does not fit
        warned = () if warning is None else line(" ", Piece(warning, Style.WARNING))
        page += [line(*row, *warned), address_line(mute["what"])]
    return page


def _muted(mute: MuteDocument, people: People, columns: int) -> str:
    if mute["kind"] == "person":
        return "".join(piece.text for piece in people.named(mute["what"], columns))
    return clean_line(mute["what"])


def _left(until_ms: int, now_ms: int) -> str:
    """How long still: in minutes below two hours, in hours below two days, else in days; rounded up."""
    minutes = max(1, -((now_ms - until_ms) // MINUTE_MS))
    if minutes < 120:
        return f"{minutes} min"
    return f"{-(-minutes // 60)} h" if minutes < 2 * 24 * 60 else f"{-(-minutes // (24 * 60))} days"


def block_page(block: NewBlockDocument) -> Page:
    also = " You no longer follow them." if block["unfollowed"] else ""
    return [line("Blocked: ", block["address"]), line(f"Nothing of theirs is kept here or passed on.{also}")]


def unblock_page(block: BlockDocument) -> Page:
    return [line("No longer blocked: ", block["address"])]


def blocked_page(blocks: Sequence[BlockDocument], now_ms: int) -> Page:
    if not blocks:
        return [line("You have blocked nobody.")]
    page: Page = []
    for block in blocks:  # nothing of theirs is held, so nobody knows what they are called
        when = Piece(f"  {ago(block['since'], now_ms)}", Style.DIM)
        page += [line(*who(None, block["address"]), when), address_line(block["address"])]
    return page


def why_page(why: WhyDocument, columns: int) -> Page:
    """Whether it shows, and a reason a line."""
    verdict = "shows in your timeline" if why["shown"] else "does not show in your timeline"
    room = min(columns - 2, TEXT_COLUMNS_MAX)
    reasons = [line("  ", text) for reason in why["reasons"] for text in wrap(clean_line(reason), room)]
    return [line(Piece(short_id(why["id"]), Style.ID), f" {verdict}:"), *reasons]
