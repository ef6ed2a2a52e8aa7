"""The one way to a person's terminal: whatever came from outside is made harmless here, then coloured and written.

A page is lines of pieces. Styles are added after cleaning and by this file alone, so no piece can bring its own: the
output has no control character but the line feed (and our own colours), no bidirectional control and no lone surrogate.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import TextIO

TAB = " " * 4
EMOJI_VARIANT = "\ufe0f"
COLUMNS = 80
"""Of what is no terminal, such as a file."""
COLUMNS_MIN = 40
"""A page is laid out for at least so many: narrower ones have no room for a name and a time."""
COLUMNS_DIGITS_MAX = 4
"""Of COLUMNS in the environment; what has more says nothing of a terminal, and Python takes no number of 5,000."""
COMBINING_MAX = 4
"""Combining marks on one letter: Vietnamese and Hebrew need three; a tower of them paints over other lines."""


class Style(Enum):
    """How a piece looks, as the parameters of Select Graphic Rendition (ECMA-48, 8.3.117)."""

    PLAIN = ""
    BOLD = "1"
    DIM = "2"
    NAME = "1;36"
    ID = "33"
    GOOD = "32"
    WARNING = "1;33"
    ERROR = "1;31"
    INK = "38;5;16;48;5;231"
    """Black on white, whatever the terminal's own colours: scanners want dark modules on light ground."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text in one style; on one line."""

    text: str
    style: Style = Style.PLAIN


Line = tuple[Piece, ...]
Page = list[Line]


def line(*pieces: str | Piece) -> Line:
    """A line of pieces; bare text is plain."""
    return tuple(Piece(piece) if isinstance(piece, str) else piece for piece in pieces)


def render(page: Iterable[Line], colour: bool) -> str:
    """The page as text that is safe to write to a terminal, each line ended by a line feed."""
    return "".join("".join(_dressed(piece, colour) for piece in pieces) + "\n" for pieces in page)


def write(stream: TextIO, page: Iterable[Line], colour: bool) -> None:
    """Write a page out at once, on a terminal broken at blanks. Raises OSError, among them BrokenPipeError."""
    text = render(flowed(page, columns(stream)) if stream.isatty() else page, colour)
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(text.encode(encoding, errors="replace").decode(encoding))
    stream.flush()


def hush(stream: TextIO) -> None:
    """Nobody reads this stream any more: let what is left in it go nowhere, without a word at the exit."""
    try:
        void = os.open(os.devnull, os.O_WRONLY)
        os.dup2(void, stream.fileno())
        os.close(void)
    except (OSError, ValueError):  # a stream of a test has no descriptor
        return


def _dressed(piece: Piece, colour: bool) -> str:
    text = clean_line(piece.text)
    if not colour or piece.style is Style.PLAIN or not text:
        return text
    return f"\x1b[{piece.style.value}m{text}\x1b[0m"


# --- cleaning ---------------------------------------------------------------------------------------------------------
# Patterns are kept as text: most pages need none of them, and compiling all takes longer than writing a page.

_SEQUENCES = (
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # control sequences: colours, cursor, reports (ECMA-48, 5.4)
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x80-\x9f]*(?:\x07|\x1b\\|\x9c)"  # OSC, DCS, SOS, PM, APC (5.6)
    r"|\x1b[ -/]*[0-~]"  # the other escape sequences
)
_CONTROLS = r"[\x00-\x08\x0b-\x1f\x7f-\x9f]"
_BIDI = r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
_UNSEEN = (
    r"[\u00ad\u034f\u180b-\u180f\u200b\u2060-\u2065\u206a-\u206f\ufeff\ufff0-\ufffb\U0001d173-\U0001d17a"
    r"\U000e0000-\U000e0fff]"
)
_UNSEEN_IN_NAMES = r"[\u115f\u1160\u17b4\u17b5\u200c\u200d\u2800\u3164\uffa0]"
"""What joins letters in a text, and blanks that are letters: in a name they make two that look alike."""
_SURROGATES = r"[\ud800-\udfff]"
_BREAKS = r"\r\n|[\r\x0b\x0c\x85\u2028\u2029]"


def clean_text(text: str) -> str:
    """Text of several lines without anything that a terminal obeys, reorders or can't encode; tabs become spaces."""
    return text if _is_harmless(text) else _cleaned(text)


def _cleaned(text: str) -> str:
    text = re.sub(_SEQUENCES, "", text)
    text = re.sub(_BREAKS, "\n", text).replace("\t", TAB)
    text = re.sub(_SURROGATES, "\ufffd", text)
    for unwanted in (_CONTROLS, _BIDI, _UNSEEN):
        text = re.sub(unwanted, "", text)
    return _lowered(text)


def _lowered(text: str) -> str:
    """Without the marks that stand on COMBINING_MAX others: a tower paints over other lines."""
    kept, marks = [], 0
    for character in text:
        if _is_mark(character):
            marks += 1
            if marks > COMBINING_MAX:
                continue
        elif character != EMOJI_VARIANT and unicodedata.category(character) != "Cf":
            marks = 0
        kept.append(character)
    return "".join(kept)


def _is_mark(character: str) -> bool:
    return character != EMOJI_VARIANT and unicodedata.category(character) in _MARKS


_MARKS = ("Mn", "Me")
"""Marks that take no column of their own."""


def _is_harmless(text: str) -> bool:
    """Whether there is nothing to clean: every character can be printed, and none is a mark on another. What Python
    calls printable is no control, no format character, no separator but the space, no surrogate."""
    if not text.replace("\n", "").isprintable():
        return False
    if text.isascii():
        return True
    return not any(map(_is_mark, set(text)))


def clean_line(text: str) -> str:
    """The same on one line."""
    return clean_text(text).replace("\n", " ")


def clean_name(text: str | None) -> str | None:
    """A name as it is shown: composed (NFC), without invisible characters, single spaces; None if nothing is left."""
    cleaned = clean_line(text or "")
    if not cleaned.isascii():
        cleaned = unicodedata.normalize("NFC", re.sub(_UNSEEN_IN_NAMES, "", cleaned))
    return " ".join(cleaned.split()) or None


# --- laying out -------------------------------------------------------------------------------------------------------


def flowed(page: Iterable[Line], columns: int) -> Iterator[Line]:
    """The page with its wide lines broken at blanks and set in below, where a terminal would break them within a word
    and go on in the first column. What is bold is to be typed and stays whole, as does a word that fits no line."""
    for unclean in page:
        pieces = tuple(Piece(clean_line(piece.text), piece.style) for piece in unclean)  # before it is taken apart
        text = _text(pieces)
        if width(text) <= columns:
            yield pieces
            continue
        indent = " " * (len(text) - len(text.lstrip()) + 2)
        row: list[Piece] = []
        used = 0
        for part in _unbroken(pieces):
            wide = width(_text(part).rstrip())
            if used + wide > columns and used > len(indent) - 2 and len(indent) + wide <= columns:
                yield _without_blanks_behind(row)
                row, used = [Piece(indent)], len(indent)
            row += part
            used += width(_text(part))
        yield _without_blanks_behind(row)


def _text(pieces: Iterable[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def _without_blanks_behind(row: list[Piece]) -> Line:
    """They could be the ones that no longer fit the line."""
    return (*row[:-1], Piece(row[-1].text.rstrip(" "), row[-1].style))


def _unbroken(pieces: Line) -> Iterator[list[Piece]]:
    """A line in parts between which it may be broken, each with the blanks behind it."""
    part: list[Piece] = []
    for piece in pieces:
        is_whole = piece.style is Style.BOLD
        for text in [piece.text] if is_whole else re.split(r"(?<= )(?=[^ ])", piece.text):
            part.append(Piece(text, piece.style))
            if text.endswith(" "):
                yield part
                part = []
    if part:
        yield part


# --- measuring --------------------------------------------------------------------------------------------------------


def columns(stream: TextIO | None = None) -> int:
    """How wide a page may be: as shutil.get_terminal_size says it, but that module brings every archive format along.
    Never less than COLUMNS_MIN. `stream`: where the page goes, unless to the standard output."""
    chosen = os.environ.get("COLUMNS", "").strip()
    found = int(chosen) if chosen.isdecimal() and len(chosen) <= COLUMNS_DIGITS_MAX else 0
    with suppress(AttributeError, ValueError, OSError):  # closed, or no terminal
        found = found or os.get_terminal_size((stream or sys.__stdout__).fileno()).columns  # type: ignore[union-attr]
    return max(COLUMNS_MIN, found or COLUMNS)


def width(text: str) -> int:
    """Columns that clean text takes: two for wide characters (UAX 11), none for marks and joiners."""
    if text.isascii():
        return len(text)
    return sum(map(_character_width, text))


def _character_width(character: str) -> int:
    """When in doubt the larger: a line that is wider than we think wraps to the first column, where heads stand."""
    if character == EMOJI_VARIANT:
        return 1  # with the narrow character before it, two
    category = unicodedata.category(character)
    if category in (*_MARKS, "Cf"):
        return 0
    return 2 if category == "Cn" or unicodedata.east_asian_width(character) in "WF" else 1


def fit(text: str, columns: int) -> str:
    """Clean text cut to so many columns, with an ellipsis if something is gone."""
    if width(text) <= columns:
        return text
    return _pieces(text, columns - 1)[0].rstrip() + "…"


def wrap(text: str, columns: int) -> list[str]:
    """Clean text in lines of at most so many columns, broken at spaces where that is possible. Never empty."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        lines += _wrap_paragraph(paragraph.rstrip(), max(columns, 2))
    return lines


def _wrap_paragraph(paragraph: str, columns: int) -> list[str]:
    if width(paragraph) <= columns:
        return [paragraph]
    lines: list[str] = []
    current, used = "", 0
    for word in re.split(r"(?<=\S)(?= )", paragraph):  # a word brings the spaces before it along
        wide = width(word)
        if used + wide <= columns:
            current, used = current + word, used + wide
            continue
        if current:
            lines.append(current)
            word = word.lstrip(" ")
        *full, current = _pieces(word, columns)
        lines += full
        used = width(current)
    return [*lines, current] if current else lines


def _pieces(word: str, columns: int) -> list[str]:
    """A word in as few pieces as fit. It is walked once: there are scripts without blanks, and texts of one word."""
    pieces, start, used = [], 0, 0
    for position, character in enumerate(word):
        wide = _character_width(character)
        if used + wide > columns:
            pieces.append(word[start:position])
            start, used = position, 0
        used += wide
    return [*pieces, word[start:]]
