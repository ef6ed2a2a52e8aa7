"""Mutes, blocks, and why something shows or does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from p2pblog.pages.values import TEXT_COLUMNS_MAX, ago, short_id, table
from p2pblog.terminal import Page, Piece, Style, clean_line, line, wrap

if TYPE_CHECKING:
    from p2pblog.control.api import BlockDocument, MuteDocument, NewBlockDocument, WhyDocument

MINUTE_MS = 60_000


def mute_page(mute: MuteDocument, begins: bool, now_ms: int) -> Page:
    """One mute that begins, or was taken back, in a sentence."""
    what = clean_line(mute["what"])
    named = {"person": what, "tag": f"#{what}", "word": f'the word "{what}"'}.get(mute["kind"], what)
    if not begins:
        return [line(f"No longer muted: {named}")]
    end = "" if mute["until"] is None else f", for {_left(mute['until'], now_ms)}"
    return [line(f"Muted: {named}{end}")]


def muted_page(mutes: Sequence[MuteDocument], now_ms: int, columns: int) -> Page:
    if not mutes:
        return [line("You have muted nobody and nothing.")]
    rows = [
        [mute["kind"], clean_line(mute["what"]), "" if mute["until"] is None else _left(mute["until"], now_ms)]
        for mute in mutes
    ]
    return table(["KIND", "WHAT", "LEFT"], rows, columns, shrink=(1,), right=set())


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
    return [line(block["address"], "  ", Piece(ago(block["since"], now_ms), Style.DIM)) for block in blocks]


def why_page(why: WhyDocument, columns: int) -> Page:
    """Whether it shows, and a reason a line."""
    verdict = "shows in your timeline" if why["shown"] else "does not show in your timeline"
    room = min(columns - 2, TEXT_COLUMNS_MAX)
    reasons = [line("  ", text) for reason in why["reasons"] for text in wrap(clean_line(reason), room)]
    return [line(Piece(short_id(why["id"]), Style.ID), f" {verdict}:"), *reasons]
