"""A list of follows as CSV: rows of a petname and an address, as `export` writes them and other tools can make them."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable

from p2pblog.core.value import Value
from p2pblog.errors import Malformed

COLUMNS = ("petname", "address")
_ADDRESS = re.compile(r"(p2pblog:.*|[a-z2-7]{56})", re.IGNORECASE | re.DOTALL)
_FIELD_CHARACTERS_MAX = 4_096
"""An invite with all its peers has under 400 characters."""


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

    Raises Malformed for what is no CSV in UTF-8. Rows with nothing in them are left out.
    """
    try:
        text = data.decode("utf-8-sig")
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")  # and nowhere else: names hold other breaks
        reader = csv.reader((each + "\n" for each in lines), strict=True)
        rows = [(reader.line_num, [each.strip() for each in row]) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise Malformed(f"no CSV in UTF-8: {error}") from error
    rows = [(number, row) for number, row in rows if any(row)]
    if any(len(each) > _FIELD_CHARACTERS_MAX for _, row in rows for each in row):
        raise Malformed(f"a field of over {_FIELD_CHARACTERS_MAX:,} characters")
    names = [each.lower() for each in rows[0][1]] if rows else []
    if "address" not in names:
        return [_guess(number, row) for number, row in rows]
    at, beside = names.index("address"), names.index("petname") if "petname" in names else None
    return [Listed(number, _field(row, at) or "", _field(row, beside)) for number, row in rows[1:]]


def _field(row: list[str], at: int | None) -> str | None:
    return row[at] or None if at is not None and at < len(row) else None


def _guess(number: int, row: list[str]) -> Listed:
    first, second = [*row, ""][:2]
    if _ADDRESS.fullmatch(second) and not _ADDRESS.fullmatch(first):
        first, second = second, first
    return Listed(number, first, second or None)
