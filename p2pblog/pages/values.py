"""Small values as a person reads them, and the shapes that pages are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from p2pblog.config import ADDRESS_LETTERS
from p2pblog.terminal import Line, Page, Piece, Style, clean_line, clean_name, fit, line, width

if TYPE_CHECKING:
    from datetime import tzinfo

    from p2pblog.control.documents import FollowDocument, ProfileDocument

ID_DIGITS = 10
"""Digits of an id on a page: unique among a million notices at odds of 2 to 1, and short enough to type."""
TEXT_COLUMNS_MAX = 100
"""Longer lines are hard to read."""
NAME_COLUMNS_MIN = 8
"""Columns that a name keeps where a head is crowded; a line that wraps is better than a name that nobody knows."""
NAME_COLUMNS_MAX = 40
WARNED_COLUMNS_MAX = 16
"""Columns of a name within a warning: the letters beside it say who is meant."""
TWO_NAMES_COLUMNS_MIN = 20
"""Below it a petname and a name side by side would both be cut to nothing."""


def ago(time_ms: int, now_ms: int, zone: tzinfo | None = None) -> str:
    """A time as a person says it; dates in `zone` (None: the machine's own)."""
    seconds = (now_ms - time_ms) // 1000
    if -60 < seconds < 60:
        return "just now"
    if 0 < seconds < 3600:
        return f"{seconds // 60} min ago"
    if 0 < seconds < 86_400:
        return f"{seconds // 3600} h ago"
    if 0 < seconds < 7 * 86_400:
        return f"{seconds // 86_400} d ago"
    return day(time_ms, zone)


def day(time_ms: int, zone: tzinfo | None = None) -> str:
    """The date of a time in `zone` (None: the machine's own)."""
    from datetime import datetime

    try:
        return datetime.fromtimestamp(time_ms / 1000, zone).strftime("%Y-%m-%d")
    except (OverflowError, ValueError, OSError):
        return "in another age"


def lasting(seconds: int) -> str:
    """A duration in its two largest units."""
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"


def sized(count: int) -> str:
    """Bytes in decimal units."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if round(amount, 1) < 1000:
            return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def short_id(identifier: str) -> str:
    return identifier[:ID_DIGITS]


def counted(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def who(
    name: str | None,
    address: str,
    petname: str | None = None,
    columns: int = NAME_COLUMNS_MAX,
    warning: str | None = None,
) -> Line:
    """Whose it is: the reader's own word for them first, then what they call themselves and the letters of the address;
    then a warning that the name looks like another one.

    The names together take at most `columns`; where that is too few for two, the reader's own word stands alone.
    """
    warned = () if warning is None else line(" ", Piece(warning, Style.WARNING))
    letters, shown, own_word = address[:ADDRESS_LETTERS], clean_name(name), clean_name(petname)
    first = own_word or shown
    if first is None:
        return line(Piece(f"({letters})", Style.DIM), *warned)
    second = None if first == shown or columns < TWO_NAMES_COLUMNS_MIN else shown
    room = min(columns, NAME_COLUMNS_MAX) if second is None else (min(columns, NAME_COLUMNS_MAX) - 2) // 2
    beside = f"({letters})" if second is None else f"({fit(second, room)}, {letters})"
    return line(Piece(fit(first, max(NAME_COLUMNS_MIN, room)), Style.NAME), " ", Piece(beside, Style.DIM), *warned)


def name_warning(name: str | None, like: str | None, called: str | None = None, own: str | None = None) -> str | None:
    """What stands beside a name that looks like that of the address `like`, whom the reader knows as `called`; or that
    has letters of several alphabets in one word, and looks like a word of one of them. None beside any other name.
    `own`: the reader's address."""
    if like is not None:
        if like == own:
            return "⚠ not you"
        letters, shown = like[:ADDRESS_LETTERS], clean_name(called)
        return f"⚠ not {letters}" if shown is None else f"⚠ not {fit(shown, WARNED_COLUMNS_MAX)} ({letters})"
    if name is None or name.isascii():
        return None
    from p2pblog.core.lookalikes import mixes_scripts

    return "⚠ mixed letters" if mixes_scripts(name) else None


Follows = Mapping[str, "FollowDocument"]
"""Whom the reader follows, by address."""


def known_warning(row: FollowDocument | ProfileDocument, follows: Follows, own: str | None) -> str | None:
    """The same for somebody of whom the daemon has told. None beside whom the reader has named, and beside themselves:
    they know who it is. `own`: the reader's address."""
    if row["petname"] or row["address"] == own:
        return None
    like = follows.get(row["lookalike"] or "")
    return name_warning(row["name"], row["lookalike"], None if like is None else like["petname"] or like["name"], own)


def followed_warning(address: str, follows: Follows, own: str | None) -> str | None:
    """The same for one of those whom the reader follows. None for anybody else."""
    return known_warning(follows[address], follows, own) if address in follows else None


class People(NamedTuple):
    """Whom the reader knows: those whom they follow, and others of whom the daemon told, by address; and their own
    address, where it is known."""

    follows: Follows
    others: Mapping[str, ProfileDocument]
    own: str | None

    def who(self, address: str, columns: int) -> Line:
        """Whose address it is, in at most `columns` where a short name fits; the letters alone of who is not known."""
        warning = self.warning(address)
        if warning is None:
            return self.named(address, columns)
        return line(*self.named(address, columns - 1 - width(warning)), " ", Piece(warning, Style.WARNING))

    def named(self, address: str, columns: int) -> Line:
        """The same without the warning, for who shows that beside it."""
        row = self._row(address)
        if row is None:
            return who(None, address)
        return who(row["name"], address, row["petname"], columns - len(f" ({'x' * ADDRESS_LETTERS})"))

    def warning(self, address: str) -> str | None:
        """What stands beside the name; None where nothing does."""
        row = self._row(address)
        return None if row is None else known_warning(row, self.follows, self.own)

    def _row(self, address: str) -> FollowDocument | ProfileDocument | None:
        return self.follows.get(address) or self.others.get(address)


NOBODY = People({}, {}, None)


def address_line(address: str) -> Line:
    """A whole address, which is what one copies: on a line of its own, below whose it is."""
    return line("  ", Piece(address, Style.DIM))


def try_line(typed: str) -> Line:
    return line("Try: ", Piece(typed, Style.BOLD))


def fields(rows: Sequence[tuple[str, str]]) -> Page:
    column = max(len(name) for name, _ in rows) + 2
    return [line(Piece(name.ljust(column), Style.DIM), value) for name, value in rows]


def table(header: list[str], rows: list[list[str]], columns: int, shrink: tuple[int, ...], right: set[int]) -> Page:
    """Aligned columns two spaces apart; those named in `shrink` give way until the table fits, an empty one goes."""
    filled = [at for at in range(len(header)) if any(row[at] for row in rows)]
    widths = {at: max(width(header[at]), *(width(row[at]) for row in rows)) for at in filled}
    for at in (at for at in shrink if at in widths):
        excess = sum(widths.values()) + 2 * (len(filled) - 1) - columns
        widths[at] -= max(0, min(excess, widths[at] - len(header[at])))
    cells = [header, *rows]
    lines = [
        "  ".join(_aligned(fit(clean_line(row[at]), widths[at]), widths[at], at in right) for at in filled).rstrip()
        for row in cells
    ]
    return [line(Piece(lines[0], Style.DIM)), *(line(text) for text in lines[1:])]


def _aligned(text: str, columns: int, right: bool) -> str:
    space = " " * (columns - width(text))
    return space + text if right else text + space


def qr_page(text: str) -> Page:
    """A QR code of half-block characters, dark on light, with the quiet zone that scanners need."""
    import segno

    border = 2
    matrix = [[bool(module) for module in row] for row in segno.make(text, micro=False).matrix_iter(border=border)]
    if len(matrix) % 2:
        matrix.append([False] * len(matrix[0]))
    blocks: dict[tuple[bool, bool], str] = {
        (False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█",
    }  # fmt: skip
    return [
        line(Piece("".join(blocks[pair] for pair in zip(upper, lower, strict=True)), Style.INK))
        for upper, lower in zip(matrix[::2], matrix[1::2], strict=True)
    ]
