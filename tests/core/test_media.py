"""Files are cut into pieces that each prove themselves, and what a notice says of them is harmless or refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pblog.config import (
    ALT_CHARACTERS_MAX,
    FILE_BYTES_MAX,
    FILE_NAME_BYTES_MAX,
    FILE_NAME_CHARACTERS_MAX,
    FILES_PER_NOTE_MAX,
    NOTE_WITH_FILES_BYTES_MAX,
    PAYLOAD_BYTES_MAX,
    PIECE_BYTES,
    WARNING_CHARACTERS_MAX,
)
from p2pblog.core import codec
from p2pblog.core.media import (
    PIECES_MAX,
    UNKNOWN_TYPE,
    Attachment,
    is_plain_name,
    may_tell_places,
    piece_hash,
    pieces_of,
    plain_name,
    read_table,
    sniff,
    table_of,
)
from p2pblog.core.payload import Note, Quote, Ref, Unknown, decode, encode
from p2pblog.core.value import replace
from p2pblog.errors import BadPiece, LocalProtocolError, Malformed, RemoteProtocolError

PICTURE = Attachment(table_of(b"a picture").file, "bees.jpg", "image/jpeg", 9, "bees on a flower")


# --- pieces -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, FILE_BYTES_MAX - 1, FILE_BYTES_MAX])
def test_every_piece_proves_itself(size: int) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    table = table_of(data)
    pieces = pieces_of(data)

    assert b"".join(pieces) == data
    assert len(pieces) == len(table.pieces) <= PIECES_MAX
    assert read_table(table.size, b"".join(table.pieces), table.file) == table
    for index, piece in enumerate(pieces):
        assert len(piece) == table.piece_size(index)
        assert table.fits(index, piece)
        assert not table.fits(index, piece + b"\0")
        assert not table.fits(index, piece[:-1])
    assert not table.fits(len(pieces), pieces[-1])


@pytest.mark.parametrize("data", [b"", bytes(FILE_BYTES_MAX + 1)], ids=["empty", "too large"])
def test_what_is_no_file_of_ours(data: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        table_of(data)


@pytest.mark.parametrize(
    ("size", "hashes", "error"),
    [
        (9, piece_hash(b"another"), "bad-piece"),
        (8, piece_hash(b"a picture"), "bad-piece"),
        (9, piece_hash(b"a picture")[:31], "malformed"),
        (9, piece_hash(b"a picture") * 2, "malformed"),
        (0, b"", "malformed"),
        (FILE_BYTES_MAX + 1, bytes(32 * (PIECES_MAX + 1)), "malformed"),
        (True, piece_hash(b"a picture"), "malformed"),
        (9, "text", "malformed"),
    ],
)
def test_a_table_is_the_one_that_was_asked_for(size: Any, hashes: Any, error: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        read_table(size, hashes, PICTURE.file)
    assert caught.value.name == error


def test_the_hash_covers_the_size() -> None:
    """Or a liar could give one file two sizes."""
    table = table_of(b"a picture")
    assert replace(table, size=8).file != table.file
    with pytest.raises(BadPiece):
        read_table(8, b"".join(table.pieces), table.file)


# --- what a notice says -----------------------------------------------------------------------------------------------

NAMES = st.text(min_size=1, max_size=FILE_NAME_CHARACTERS_MAX).map(plain_name)
ATTACHMENTS = st.builds(
    Attachment,
    st.binary(min_size=32, max_size=32),
    NAMES,
    st.sampled_from(["image/png", "text/plain", UNKNOWN_TYPE]),
    st.integers(1, FILE_BYTES_MAX),
    st.text(max_size=100),
    st.none() | st.binary(min_size=32, max_size=32),
)


@given(st.lists(ATTACHMENTS, max_size=FILES_PER_NOTE_MAX).map(tuple))
def test_what_was_said_of_files_is_understood(media: tuple[Attachment, ...]) -> None:
    note = Note("look", media=media)
    assert decode(encode(note)) == note


HASH = PICTURE.file
SAID: dict[str, list[Any]] = {
    "a hash of 31 bytes": [HASH[:31], "a", "text/plain", 1, "", None],
    "an empty name": [HASH, "", "text/plain", 1, "", None],
    "a folder": [HASH, "../../.ssh/authorized_keys", "text/plain", 1, "", None],
    "a drive": [HASH, "C:evil", "text/plain", 1, "", None],
    "the folder above": [HASH, "..", "text/plain", 1, "", None],
    "a hidden file": [HASH, ".bashrc", "text/plain", 1, "", None],
    "an escape": [HASH, "\x1b]52;c;aGk=\x07.png", "image/png", 1, "", None],
    "a second line": [HASH, "a\nb.png", "image/png", 1, "", None],
    "text that turns round": [HASH, "a\u202egpj.exe", "image/png", 1, "", None],
    "too long a name": [HASH, "x" * (FILE_NAME_CHARACTERS_MAX + 1), "image/png", 1, "", None],
    "too many bytes in a name": [HASH, "\U0001f41d" * (FILE_NAME_BYTES_MAX // 4 + 1), "image/png", 1, "", None],
    "no bytes": [HASH, "a", "text/plain", 0, "", None],
    "too large": [HASH, "a", "text/plain", FILE_BYTES_MAX + 1, "", None],
    "too long a description": [HASH, "a", "text/plain", 1, "x" * (ALT_CHARACTERS_MAX + 1), None],
    "no description at all": [HASH, "a", "text/plain", 1, None, None],
    "a thumbnail by name": [HASH, "a", "text/plain", 1, "", "thumb.jpg"],
    "a field too few": [HASH, "a", "text/plain", 1, ""],
}


@pytest.mark.parametrize("said", SAID.values(), ids=SAID)
def test_a_notice_that_says_something_hostile_of_a_file_is_ignored(said: list[Any]) -> None:
    assert decode(codec.pack({"media": [PICTURE.value, said], "text": "look", "type": "note"})) == Unknown("note")


def test_a_type_that_we_do_not_know_is_no_reason_to_hide_a_notice() -> None:
    said = [HASH, "song.ogg", "audio/ogg", 1, "", None]
    note = decode(codec.pack({"media": [said], "text": "listen", "type": "note"}))
    assert isinstance(note, Note)
    assert note.media[0].type == UNKNOWN_TYPE


@pytest.mark.parametrize("over", [0, 1])
def test_a_notice_has_so_many_files(over: int) -> None:
    note = Note("look", media=(PICTURE,) * (FILES_PER_NOTE_MAX + over))
    if over:
        with pytest.raises(LocalProtocolError):
            encode(note)
    else:
        assert decode(encode(note)) == note


def test_the_fullest_notice_fits_a_payload() -> None:
    """Everything at its limit at once: whatever `post` lets through can be written."""
    alt, name = "\U0001f41d" * (ALT_CHARACTERS_MAX // 2), "x" * FILE_NAME_CHARACTERS_MAX
    full = replace(PICTURE, name=name, alt=alt, size=FILE_BYTES_MAX, type=UNKNOWN_TYPE, thumb=PICTURE.file)
    left = NOTE_WITH_FILES_BYTES_MAX - FILES_PER_NOTE_MAX * (len(alt.encode()) + len(name))
    far = Ref(HASH, HASH, 2**32 - 1, HASH)
    warning, language = "\U0001f41d" * WARNING_CHARACTERS_MAX, "de-" + "-".join(["x"] * 15)
    note = Note("é" * (left // 2), far, warning, language, Quote(far, far), None, (full,) * FILES_PER_NOTE_MAX)
    assert len(encode(note)) <= PAYLOAD_BYTES_MAX
    assert decode(encode(note)) == note


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("bees.jpg", "bees.jpg"),
        ("/home/alice/Pictures/bees.jpg", "bees.jpg"),
        ("C:\\Users\\alice\\bees.jpg", "bees.jpg"),
        ("../../etc/passwd", "passwd"),
        (".bashrc", "bashrc"),
        ("a\x1b[31mb\n.png", "a[31mb.png"),
        ("a\u202egpj.exe", "agpj.exe"),
        ("...", "file"),
        ("", "file"),
        ("\ud800.png", "png"),
        ("x" * 300 + ".jpeg", "x" * (FILE_NAME_CHARACTERS_MAX - 5) + ".jpeg"),
        ("CON?.txt ", "CON.txt"),
    ],
)
def test_a_plain_name_is_made_of_any(path: str, name: str) -> None:
    assert plain_name(path) == name


@given(st.text(max_size=300))
def test_every_name_can_be_made_plain(text: str) -> None:
    made = plain_name(text)
    assert is_plain_name(made)
    assert plain_name(made) == made


# --- types ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"%PDF-1.7", "application/pdf"),
        ("Grüße\n".encode(), "text/plain"),
        (b"\x1b[31m", UNKNOWN_TYPE),
        (b"\xff\xfe\x00", UNKNOWN_TYPE),
        (b"MZ\x90\x00", UNKNOWN_TYPE),
    ],
)
def test_a_type_is_what_the_bytes_say(data: bytes, kind: str) -> None:
    assert sniff(data) == kind


@pytest.mark.parametrize(
    ("data", "may"),
    [
        (b"II*\0....", True),  # TIFF
        (b"II+\0....", True),  # BigTIFF
        (b"IIRO\x08\0\0\0", True),  # a raw photograph by Olympus
        (b"\0\0\0\x18ftypheic", True),
        (b"\0\0\0\x08moov\0\0\0\x10udta\xa9xyz", True),  # QuickTime of old, which begins as it likes
        (b"\0\0\0\x08wide\0\0\0\x08mdat", True),
        (b"\x1aE\xdf\xa3\x93B\x82\x88matroska", True),
        (b"RIFF\0\0\0\0AVI LIST", True),
        (b"ID3\x03\0\0\0\0\0\x20GEOB", True),
        (b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x10brobExif", True),
        (b"of no known kind\xff", True),
        (b"%PDF-1.7 <x:xmpmeta>", True),
        (b"...Exif\0\0MM", True),
        (b"%PDF-1.7", False),
        (b"hello", False),
    ],
)
def test_what_may_tell_where_it_was_made(data: bytes, may: bool) -> None:
    assert may_tell_places(data) == may


def test_malformed_is_what_a_bad_name_is() -> None:
    with pytest.raises(Malformed):
        Attachment.from_value([HASH, "a/b", "text/plain", 1, "", None])
