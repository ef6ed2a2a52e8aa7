"""Direct messages, as those who can read them see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from p2pblog.config import ADDRESS_LETTERS
from p2pblog.pages.values import TEXT_COLUMNS_MAX, Follows, ago, followed_warning, short_id, who
from p2pblog.terminal import Line, Page, Piece, Style, clean_text, line, width, wrap

if TYPE_CHECKING:
    from p2pblog.control.documents import DmDocument, WrittenDocument


def dms_page(
    dms: Sequence[DmDocument], older: bool, own: str | None, follows: Follows, now_ms: int, columns: int
) -> Page:
    """In the order given, with a free line between two. `own`: the reader's address; `older`: only what lies below some
    message was asked for."""
    if not dms:
        return [line("Nothing older." if older else "You have no direct messages.")]
    page: Page = []
    for dm in dms:
        page += [*([line()] if page else []), *_dm_lines(dm, own, follows, now_ms, columns)]
    return page


def _dm_lines(dm: DmDocument, own: str | None, follows: Follows, now_ms: int, columns: int) -> Page:
    """Who wrote it, when, and its id; to whom; its text, set in so that it can't draw the head of another."""
    dot = Piece(" · ", Style.DIM)
    tail = line(dot, Piece(ago(dm["time"], now_ms), Style.DIM), dot, Piece(short_id(dm["id"]), Style.ID))
    room = columns - len(f" ({'x' * ADDRESS_LETTERS})") - sum(width(piece.text) for piece in tail)
    to = ", ".join("".join(piece.text for piece in _person(each, own, follows, room)) for each in dm["to"])
    text_columns = min(columns - 2, TEXT_COLUMNS_MAX)
    return [
        line(*_person(dm["from"], own, follows, room), *tail),
        *(line("  ", Piece(part, Style.DIM)) for part in wrap(f"to {to}", text_columns)),
        *(line("  ", part) if part else line() for part in wrap(clean_text(dm["text"]).rstrip(), text_columns)),
    ]


def _person(address: str, own: str | None, follows: Follows, room: int) -> Line:
    if address == own:
        return line(Piece("you", Style.NAME))
    if address not in follows:
        return who(None, address)
    warning = followed_warning(address, follows, own)
    room -= 0 if warning is None else 1 + width(warning)
    return who(follows[address]["name"], address, follows[address]["petname"], room, warning)


def sent_page(written: WrittenDocument) -> Page:
    return [line("Written: ", Piece(short_id(written["id"]), Style.ID))]
