"""What two nodes that know files say to each other about them: version 2 of the protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_never

from p2pblog.config import PIECE_BYTES
from p2pblog.core import codec
from p2pblog.core.media import PIECES_MAX, FileHash, PieceTable, read_table
from p2pblog.core.value import Value

FILES_VERSION = 2
"""What the Hello says of who knows these."""


class WantTable(Value):
    """Asks for the table of a file; answered by one TableOf."""

    file: FileHash


class TableOf(Value):
    """The table of a file: the one that its hash names, or None where nothing of it is held."""

    file: FileHash
    table: PieceTable | None = None


class WantPiece(Value):
    """Asks for one piece of a file; answered by one Piece."""

    file: FileHash
    index: int


class Piece(Value):
    """A piece of a file, or None where it is not held."""

    file: FileHash
    index: int
    data: bytes | None = None


def file_value(message: WantTable | TableOf | WantPiece | Piece) -> list[Any]:
    """A message about files as an array."""
    match message:
        case WantTable(file):
            return [24, file]
        case TableOf(file, table):
            return [25, file, *((None, None) if table is None else (table.size, b"".join(table.pieces)))]
        case WantPiece(file, index):
            return [26, file, index]
        case Piece(file, index, data):
            return [27, file, index, data]
        case _:
            assert_never(message)


def _file(value: Any) -> FileHash:
    return FileHash(codec.as_bytes(value, length=32))


def _index(value: Any) -> int:
    return codec.as_int(value, 0, PIECES_MAX - 1)


def _table_of(items: list[Any]) -> TableOf:
    file = _file(items[1])
    if items[2] is None and items[3] is None:
        return TableOf(file)
    return TableOf(file, read_table(items[2], items[3], file))


def _piece(items: list[Any]) -> Piece:
    data = None if items[3] is None else codec.as_bytes(items[3], length_max=PIECE_BYTES)
    return Piece(_file(items[1]), _index(items[2]), data)


FILE_READERS: dict[int, tuple[int, Callable[[list[Any]], WantTable | TableOf | WantPiece | Piece]]] = {
    24: (2, lambda i: WantTable(_file(i[1]))),
    25: (4, _table_of),
    26: (3, lambda i: WantPiece(_file(i[1]), _index(i[2]))),
    27: (4, _piece),
}
"""Kind -> items in the array, and reader."""
