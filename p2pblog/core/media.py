"""Files beside notices: how they are cut into pieces and named by a hash, what a notice says of them, what they are."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any, NewType

from p2pblog.config import (
    ALT_CHARACTERS_MAX,
    FILE_BYTES_MAX,
    FILE_NAME_BYTES_MAX,
    FILE_NAME_CHARACTERS_MAX,
    FILE_TYPE_CHARACTERS_MAX,
    PIECE_BYTES,
)
from p2pblog.core import codec
from p2pblog.core.keys import hash32
from p2pblog.core.value import Value
from p2pblog.errors import BadPiece, LocalProtocolError, Malformed

FileHash = NewType("FileHash", bytes)
"""32 bytes: the hash of a file's table of pieces; it names the file."""

PIECES_MAX = FILE_BYTES_MAX // PIECE_BYTES
"""Pieces of the largest file: 128."""
UNKNOWN_TYPE = "application/octet-stream"
TYPES = ("application/pdf", "image/gif", "image/jpeg", "image/png", "image/webp", "text/plain", UNKNOWN_TYPE)
"""What a file may be called; whatever else a notice claims is UNKNOWN_TYPE to a reader."""
PICTURE_TYPES = tuple(kind for kind in TYPES if kind.startswith("image/"))


class PieceTable(Value, dict=True):
    """A file's size in bytes and the hash of each of its pieces, in their order: all but the last have PIECE_BYTES."""

    size: int
    pieces: tuple[bytes, ...]

    @cached_property
    def file(self) -> FileHash:
        """The hash that names the file: H(msgpack [size, [hash of a piece, …]], "p2pblog file 1")."""
        return FileHash(hash32(codec.pack([self.size, list(self.pieces)]), b"p2pblog file 1"))

    def piece_size(self, index: int) -> int:
        """How many bytes the piece of this number has; numbers begin at 0."""
        return min(PIECE_BYTES, self.size - index * PIECE_BYTES)

    def fits(self, index: int, data: bytes) -> bool:
        """Whether these bytes are the piece of this number."""
        return 0 <= index < len(self.pieces) and piece_hash(data) == self.pieces[index]


def piece_hash(data: bytes) -> bytes:
    """The hash of one piece."""
    return hash32(data, b"p2pblog piece 1")


def pieces_of(data: bytes) -> list[bytes]:
    """A file cut into its pieces."""
    return [data[at : at + PIECE_BYTES] for at in range(0, len(data), PIECE_BYTES)]


def table_of(data: bytes) -> PieceTable:
    """The table of a file of 1 to FILE_BYTES_MAX bytes. Raises LocalProtocolError for any other."""
    if not 0 < len(data) <= FILE_BYTES_MAX:
        raise LocalProtocolError(f"a file of {len(data)} bytes")
    return PieceTable(len(data), tuple(piece_hash(piece) for piece in pieces_of(data)))


def read_table(size: Any, hashes: Any, file: FileHash) -> PieceTable:
    """A table that a peer told. Raises Malformed, TooLarge, or BadPiece where it is not the one that `file` names."""
    size = codec.as_int(size, 1, FILE_BYTES_MAX)
    joined = codec.as_bytes(hashes, length_max=32 * PIECES_MAX)
    if len(joined) != 32 * -(-size // PIECE_BYTES):
        raise Malformed("as many hashes as a file of this size has pieces")
    table = PieceTable(size, tuple(joined[at : at + 32] for at in range(0, len(joined), 32)))
    if table.file != file:
        raise BadPiece("a table of another file")
    return table


# --- what a notice says of a file -------------------------------------------------------------------------------------


class Attachment(Value):
    """A file of a notice. `size` is in bytes; `alt` says what is to be seen; `thumb` is the hash of a small picture.

    All but the hash is what the author says: the table that the hash names decides about the size.
    """

    file: FileHash
    name: str
    type: str
    size: int
    alt: str = ""
    thumb: FileHash | None = None

    @property
    def value(self) -> list[Any]:
        """As it stands in a payload."""
        return [self.file, self.name, self.type, self.size, self.alt, self.thumb]

    @property
    def files(self) -> tuple[FileHash, ...]:
        """The file, and the thumbnail where there is one."""
        return (self.file,) if self.thumb is None else (self.file, self.thumb)

    @classmethod
    def from_value(cls, value: Any) -> Attachment:
        """Raises Malformed or TooLarge: a limit is broken, or a name is not a plain one."""
        file, name, kind, size, alt, thumb = codec.as_list(value, length=6)
        named = codec.as_text(name, FILE_NAME_BYTES_MAX)
        if not is_plain_name(named):
            raise Malformed("no plain name of a file")
        kind = codec.as_text(kind, FILE_TYPE_CHARACTERS_MAX)
        told = codec.as_text(alt, 4 * ALT_CHARACTERS_MAX)
        if len(told) > ALT_CHARACTERS_MAX:
            raise Malformed(f"a description of over {ALT_CHARACTERS_MAX} characters")
        return cls(
            FileHash(codec.as_bytes(file, length=32)),
            named,
            kind if kind in TYPES else UNKNOWN_TYPE,
            codec.as_int(size, 1, FILE_BYTES_MAX),
            told,
            None if thumb is None else FileHash(codec.as_bytes(thumb, length=32)),
        )


_SEPARATORS = frozenset('/\\:*?"<>|')
"""What separates folders, drives or words somewhere, or stands for other names (Windows' reserved characters)."""
_DECEIVING = frozenset(
    map(chr, (0x200E, 0x200F, 0x2028, 0x2029, 0x061C, 0xFEFF, *range(0x202A, 0x202F), *range(0x2066, 0x206A)))
)
"""What ends lines or turns the direction of text: `gpj.exe` would read `exe.jpg` (Unicode TR 36, 2.1)."""


def is_plain_name(name: str) -> bool:
    """Whether this names a file and nothing else: no folder, no control character, not hidden, not empty."""
    return (
        0 < len(name) <= FILE_NAME_CHARACTERS_MAX
        and len(name.encode(errors="surrogatepass")) <= FILE_NAME_BYTES_MAX
        and name == name.strip(" .")
        and not any(_is_hostile(character) for character in name)
    )


def _is_hostile(character: str) -> bool:
    code = ord(character)
    return code < 0x20 or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000 or character in _SEPARATORS | _DECEIVING


def plain_name(path: str) -> str:
    """A plain name for what somebody calls a file: its last part, without what may not be in a name; `file` if nothing
    is left. An ending of up to 10 characters outlives the cut."""
    last = path.replace("\\", "/").rstrip("/").rpartition("/")[2]
    kept = "".join(character for character in last if not _is_hostile(character)).strip(" .")
    stem, dot, ending = kept.rpartition(".")
    if not dot or len(ending) > 10:
        stem, ending = kept, ""
    while not is_plain_name(kept) and stem:
        stem = stem[:-1]
        kept = (stem.rstrip(" .") + dot + ending if ending else stem).strip(" .")
    return kept if is_plain_name(kept) else "file"


# --- what a file is ---------------------------------------------------------------------------------------------------

_MAGIC = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
)
_PLACES = (b"Exif\0\0", b"http://ns.adobe.com/xap/", b"<x:xmpmeta", b"<exif:", b"GPSLatitude")
"""How EXIF and XMP begin, wherever they are in a file (CIPA DC-008, 4.7.2; Adobe XMP, part 3)."""


def sniff(data: bytes) -> str:
    """The type of a file by its own bytes (WHATWG MIME Sniffing, 6.1), never by its name."""
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return UNKNOWN_TYPE
    printable = all(ord(character) >= 0x20 or character in "\t\n\r\f" for character in text)
    return "text/plain" if printable else UNKNOWN_TYPE


def may_tell_places(data: bytes) -> bool:
    """Whether a file may say where and with what it was taken: any of a type that is not known, and anything with EXIF
    or XMP inside. What a PDF holds packed is not looked into."""
    return sniff(data) == UNKNOWN_TYPE or any(mark in data for mark in _PLACES)


def distinct_files(attachments: Iterable[Attachment]) -> tuple[FileHash, ...]:
    """The hashes of all files and thumbnails, each once."""
    return tuple(dict.fromkeys(file for attachment in attachments for file in attachment.files))
