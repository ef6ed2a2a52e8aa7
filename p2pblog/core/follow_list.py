"""A list of follows as CSV: rows of a petname and an address, as `export` writes them and other tools can make them."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from itertools import chain

from p2pblog.config import FOLLOWS_MAX
from p2pblog.core.value import Value
from p2pblog.errors import Malformed, TooLarge

COLUMNS = ("petname", "address")
_ADDRESS = re.compile(r"(p2pblog:.*|[a-z2-7]{56})", re.IGNORECASE | re.DOTALL)
_FIELD_CHARACTERS_MAX = 4_096
"""An invite with all its peers has under 400 characters."""
LINES_MAX = 4 * FOLLOWS_MAX
"""As many as anybody follows, and room for free lines and rows that are refused."""
COMMAS_MAX = 100 * FOLLOWS_MAX
"""Address books of other tools have up to some 60 columns."""


class Listed(Value):
    """One row: the line it ends on, the address or link as it stands there (whether it is one, who follows it says),
    and what one calls them."""

    line: int
    address: str
    petname: str | None


def write_list(follows: Iterable[tuple[str | None, str]]) -> bytes:
    """The list of (petname, address), with a row of names above, in UTF-8."""
    rows: list[str] = []
    csv.writer(_Lines(rows), lineterminator="\n").writerows([COLUMNS, *((name or "", each) for name, each in follows)])
    return "".join(rows).encode()


class _Lines:
    def __init__(self, rows: list[str]) -> None:
        self.write = rows.append


def read_list(data: bytes) -> list[Listed]:
    """The rows of a list. With a row of names above, the column `address` counts, and `petname` where there is one;
    without it, the first of a row's first two that reads as an address, and the other is the petname.

    Raises Malformed for what is no CSV in UTF-8, or TooLarge for one of more lines or fields than a list of follows
    has. Rows with nothing in them are left out.
    """
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
        if text.count("\n") > LINES_MAX or text.count(",") > COMMAS_MAX:  # before anything is made of each
            raise TooLarge(f"over {LINES_MAX:,} lines, or {COMMAS_MAX:,} commas")
        rows = _rows(text)
        first = next(rows, None)
        names = [] if first is None else [each.lower() for each in first[1]]
        if first is None or "address" not in names:
            return [_guess(number, row) for number, row in chain(filter(None, [first]), rows)]
        at, beside = names.index("address"), names.index("petname") if "petname" in names else None
        return [Listed(number, _field(row, at) or "", _field(row, beside)) for number, row in rows]
    except UnicodeDecodeError as error:
        raise Malformed("it is not UTF-8") from error
    except csv.Error as error:
        raise Malformed(f"no CSV: {error}") from error


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """What is in each row that has anything, and the line that it ends on. Raises csv.Error or Malformed."""
    lines = text.split("\n")  # and nowhere else: names hold other breaks
    reader = csv.reader((each + "\n" for each in lines), strict=True)
    for row in reader:
        fields = [each.strip() for each in row]
        if any(len(each) > _FIELD_CHARACTERS_MAX for each in fields):
            raise Malformed(f"a field of over {_FIELD_CHARACTERS_MAX:,} characters")
        if any(fields):
            yield reader.line_num, fields


def _field(row: list[str], at: int | None) -> str | None:
    return row[at] or None if at is not None and at < len(row) else None


def _guess(number: int, row: list[str]) -> Listed:
    first, second = [*row, ""][:2]
    if _ADDRESS.fullmatch(second) and not _ADDRESS.fullmatch(first):
        first, second = second, first
    return Listed(number, first, second or None)
