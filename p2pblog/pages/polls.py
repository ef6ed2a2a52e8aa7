"""Polls as a person sees them: each option with its bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pblog.config import POLL_OPEN_MS_MAX
from p2pblog.pages.values import counted, short_id
from p2pblog.terminal import Page, Piece, Style, clean_line, line, width, wrap

if TYPE_CHECKING:
    from p2pblog.control.documents import PollDocument, WrittenDocument

BAR_COLUMNS, BAR_COLUMNS_NARROW = 20, 10
"""Of a bar that stands for everybody; each of ten columns is a tenth."""
NARROW_BELOW = 60
LABEL_COLUMNS_MIN = 8


def poll_lines(poll: PollDocument, now_ms: int, columns: int, indent: str, *, is_own: bool = False) -> Page:
    """Each option behind its number, with a bar, its votes and their share; then how many voted and until when.
    `is_own`: the reader asked, who may wait for votes that never come. Nobody counts for all: it says whose votes."""
    votes = [f"{option['votes']:,}" for option in poll["options"]]
    digits = max(map(len, votes))
    figures = [f"{count:>{digits}} {_percent(poll, at):>3}%" for at, count in enumerate(votes)]
    numbers = len(str(len(votes))) + 2
    bar = BAR_COLUMNS if columns - len(indent) >= NARROW_BELOW else BAR_COLUMNS_NARROW
    labels = [clean_line(option["text"]).strip() or "(nothing to be seen)" for option in poll["options"]]
    room = max(LABEL_COLUMNS_MIN, columns - len(indent) - numbers - bar - digits - len("    100%"))
    label = min(room, max(map(width, labels)))
    page: Page = []
    for at, text in enumerate(labels):
        style = Style.BOLD if poll["own"] == at + 1 else Style.PLAIN
        first, *more = wrap(text, label)
        filled = "█" * _share(poll, at, bar)
        page.append(
            line(
                indent + f"{at + 1}.".ljust(numbers),
                Piece(first, style),
                " " * (label - width(first) + 2),
                Piece(filled, Style.GOOD),
                " " * (bar - len(filled) + 1),
                Piece(figures[at], Style.DIM),
            )
        )
        page += [line(indent + " " * numbers, Piece(rest, style)) for rest in more]
    voters = counted(poll["voters"], "vote")
    said = [f"{voters} of people you follow" if is_own else f"{voters} known here", _until(poll, now_ms)]
    said += [f"you voted {poll['own']}"] if poll["own"] is not None else []
    return [*page, *(line(indent, Piece(text, Style.DIM)) for text in wrap(" · ".join(said), columns - len(indent)))]


def _share(poll: PollDocument, at: int, whole: int) -> int:
    """The part of `whole` that this option has, to the nearest."""
    votes, voters = poll["options"][at]["votes"], poll["voters"]
    return (2 * whole * votes + voters) // (2 * voters) if voters else 0


def _percent(poll: PollDocument, at: int) -> int:
    return _share(poll, at, 100)


def _until(poll: PollDocument, now_ms: int) -> str:
    minutes = (poll["closes"] - now_ms) // 60_000
    if poll["closed"] or minutes < 0:
        return "closed"
    if minutes < 1:
        return "closes within a minute"
    if minutes < 60:
        return f"closes in {minutes} min"
    if minutes < 48 * 60:
        return f"closes in {minutes // 60} h"
    # Nothing is open for longer than that: who asked has a clock that is ahead of the reader's.
    whose = ", by its author's clock" if minutes * 60_000 > POLL_OPEN_MS_MAX else ""
    return f"closes in {minutes // (24 * 60):,} d{whose}"


def voted_page(written: WrittenDocument, about: str, choice: int) -> Page:
    """What became of a vote; `about` is the id of the poll, or its beginning."""
    entry = Piece(short_id(written["id"]), Style.ID)
    return [line(f"Voted {choice} in ", Piece(short_id(about), Style.ID), " (entry ", entry, "; delete takes it back)")]
