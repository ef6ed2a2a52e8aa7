"""Files of notices: their lines below a text, and one by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pblog.config import ADDRESS_LETTERS, THUMB_BYTES_MAX
from p2pblog.pages.values import TEXT_COLUMNS_MAX, counted, fields, short_id, sized
from p2pblog.terminal import Line, Page, Piece, Style, clean_line, clean_text, fit, line, width, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from p2pblog.control.documents import FileDocument, MediaDocument

STATES = {
    "here": "here",
    "fetching": "being fetched",
    "partly": "partly here; --save FILE fetches the rest",
    "elsewhere": "not here; --save FILE fetches it",
}


def file_lines(files: Sequence[FileDocument], inner: str, columns: int, *, is_hidden: bool) -> Page:
    """Each file of a notice: name, size and the hash to type, and below what is to be seen in it. `is_hidden`: behind
    a content warning."""
    if is_hidden:
        return [line(inner, Piece(f"({counted(len(files), 'file')})", Style.DIM))] if files else []
    page: Page = []
    for file in files:
        page.append(file_line(f"{inner}+ ", file, columns))
        told = wrap(clean_text(file["alt"]).strip(), min(columns, TEXT_COLUMNS_MAX) - width(inner) - 2)
        page += [line(inner, "  ", text) for text in told if text]
        if not file["alt"].strip():
            page.append(line(inner, "  ", Piece("(no description)", Style.DIM)))
    return page


def file_line(lead: str, file: FileDocument, columns: int) -> Line:
    """A file behind `lead`: name, size and the hash to type."""
    tail = f" · {sized(file['size'])} · "
    room = columns - width(lead) - width(tail) - len(short_id(file["hash"]))
    name = fit(clean_line(file["name"]), max(8, room))
    return line(lead, Piece(name, Style.BOLD), Piece(tail, Style.DIM), Piece(short_id(file["hash"]), Style.ID))


def media_page(media: MediaDocument, columns: int) -> Page:
    """One file: what its author calls it, and how much of it is here."""
    name, told, *rest = (
        ("name", clean_line(media["name"])),
        ("shows", clean_line(media["alt"]) or "(no description)"),
        ("type", clean_line(media["type"])),
        ("size", _size(media)),
        ("here", f"{sized(media['held'])}: {STATES.get(media['state'], clean_line(media['state']))}"),
        ("notice", short_id(media["notice"]))
        if media["notice"] is not None
        else ("profile", f"of ({media['author'][:ADDRESS_LETTERS]})"),
        ("small", short_id(media["thumb"]) if media["thumb"] else "(none)"),
    )
    rows = [name, *rest]
    page = [line(Piece(media["hash"], Style.ID)), *fields([(key, fit(value, columns - 9)) for key, value in rows])]
    described = wrap(told[1], min(columns, TEXT_COLUMNS_MAX) - 2)
    return [*page, *(line("  ", text) for text in described)]


def _size(media: MediaDocument) -> str:
    """How large it is. Of a thumbnail nobody says it before it is here, so the node answers the most that one has."""
    size = media["size"]
    most = "at most " if media["state"] != "here" and size == THUMB_BYTES_MAX else ""
    return most + (sized(size) if size < 1_000 else f"{sized(size)} ({size:,} bytes)")


def saved_page(media: MediaDocument, place: str) -> Page:
    return [line(f"Saved {sized(media['size'])} as ", Piece(clean_line(place), Style.BOLD))]
