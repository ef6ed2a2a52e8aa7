"""Where outbox.json lies in what Mastodon hands out, and what is refused."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from p2pblog import outbox
from p2pblog.config import ARCHIVE_INDEX_BYTES_MAX, TAR_HEADERS_BYTES_MAX
from p2pblog.errors import Malformed, NotFound, TooLarge, UserError

DATA = b'{"type": "OrderedCollection", "orderedItems": []}'


def tar_of(file: Path, *members: tuple[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(file, mode) as opened:  # type: ignore[call-overload]
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            opened.addfile(info, io.BytesIO(data))
    return file


def zip_of(file: Path, *members: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in members:
            opened.writestr(name, data)
    return file


@pytest.mark.parametrize("name", ["outbox.json", "./outbox.json", "archive-20190302/outbox.json"])
def test_it_is_found_alone_and_packed(tmp_path: Path, name: str) -> None:
    (tmp_path / "alone.json").write_bytes(DATA)
    assert outbox.load(tmp_path / "alone.json") == DATA
    members = [("media/a.jpg", bytes(100_000)), (name, DATA), ("likes.json", b"{}")]
    assert outbox.load(zip_of(tmp_path / "a.zip", *members)) == DATA
    assert outbox.load(tar_of(tmp_path / "a.tar.gz", *members)) == DATA


@pytest.mark.parametrize("name", ["actor.json", "a/b/outbox.json", "outbox.json.bak", "../outbox.json/x"])
def test_where_there_is_none(tmp_path: Path, name: str) -> None:
    for file in (zip_of(tmp_path / "a.zip", (name, DATA)), tar_of(tmp_path / "a.tar.gz", (name, DATA))):
        with pytest.raises(NotFound, match=r"holds no outbox\.json"):
            outbox.load(file)


def test_a_link_of_that_name_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as opened:
        info = tarfile.TarInfo("outbox.json")
        info.type, info.linkname = tarfile.SYMTYPE, str(tmp_path / "secret")
        opened.addfile(info)
    with pytest.raises(NotFound):
        outbox.load(tmp_path / "a.tar.gz")


def test_an_outbox_has_a_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "OUTBOX_BYTES_MAX", 400_000)
    for size, is_fine in ((399_999, True), (400_000, True), (400_001, False)):
        data = bytes(size)
        (tmp_path / "a.json").write_bytes(data)
        files = [tmp_path / "a.json", zip_of(tmp_path / "a.zip", (outbox.NAME, data))]
        files.append(tar_of(tmp_path / "a.tar.gz", (outbox.NAME, data)))
        for file in files:
            if is_fine:
                assert len(outbox.load(file)) == size
            else:
                with pytest.raises(TooLarge):
                    outbox.load(file)


def test_an_outbox_that_is_packed_to_more_than_a_list_of_members_may_have(tmp_path: Path) -> None:
    """Posts of some years don't become small: 4 MiB bound the list at the end of the file, not what it lists."""
    data = random.Random(1).randbytes(ARCHIVE_INDEX_BYTES_MAX + 1)
    file = zip_of(tmp_path / "a.zip", (outbox.NAME, data))
    assert file.stat().st_size > ARCHIVE_INDEX_BYTES_MAX
    assert outbox.load(file) == data


def test_two_outboxes_are_none(tmp_path: Path) -> None:
    """Which of them was looked at, and which is read?"""
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = zip_of(tmp_path / "a.zip", (outbox.NAME, DATA), (outbox.NAME, b"another"))
    for file in (twice, zip_of(tmp_path / "b.zip", (outbox.NAME, DATA), ("old/" + outbox.NAME, b"another"))):
        with pytest.raises(Malformed, match="more than one outbox"):
            outbox.load(file)


def _header(name: str, kind: bytes, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.USTAR_FORMAT)


def _records(*records: tuple[str, str]) -> bytes:
    """What pax puts before a member: each record begins with its own length, here in seven digits."""
    return b"".join(f"{len(key) + len(value) + 10:07} {key}={value}\n".encode() for key, value in records)


def _pax(*records: tuple[str, str], kind: bytes = tarfile.XHDTYPE) -> bytes:
    data = _records(*records)
    return _header("pax", kind, len(data)) + data + bytes(-len(data) % 512)


def _holes_in_blocks() -> bytes:
    """GNU tar's own way: a header that says that more of its map follows, and blocks that all say so again."""
    info = tarfile.TarInfo("holes")
    info.type = tarfile.GNUTYPE_SPARSE
    head = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    head[482] = 1
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    block = (b"00000000001\0" * 42).ljust(504, b"\0") + b"\1" + bytes(7)
    return bytes(head) + block * 40_000


def _holes_before_bytes() -> bytes:
    """Version 1.0 of pax: the map stands before the member's bytes, after the number of its holes."""
    said = ("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "1")
    data = b"2500000\n" + b"999\n" * 5_000_000
    return _pax(*said) + _header("holes", tarfile.REGTYPE, len(data)) + data


def _said_of_all() -> bytes:
    """Headers of all that follows, one within another in Python's reading, each with a hundred kilobytes of names."""
    return b"".join(
        _pax(*((f"{number}.{each}", "") for each in range(8_000)), kind=tarfile.XGLTYPE) for number in range(100)
    )


@pytest.mark.parametrize("make", [_holes_in_blocks, _holes_before_bytes, _said_of_all], ids=lambda make: make.__name__)
def test_headers_that_grow_into_the_memory(tmp_path: Path, make: Callable[[], bytes]) -> None:
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(make() + bytes(1024)))
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge, match="headers of over 262,144 bytes before one member"):
            outbox.load(tmp_path / "a.tar.gz")
        assert tracemalloc.get_traced_memory()[1] < 32 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_headers_before_many_members_are_fine(tmp_path: Path) -> None:
    """The bound is that of one member: an archive of many pictures with long names is whole, also where something is
    said of all that follow."""
    with gzip.open(tmp_path / "a.tar.gz", "wb") as packed:
        for number in range(2 * TAR_HEADERS_BYTES_MAX // 1_000):
            packed.write(_pax(("path", f"media/{'x' * 1_000}{number}"), kind=tarfile.XHDTYPE))
            packed.write(_pax((f"comment{number}", "of all that follow"), kind=tarfile.XGLTYPE))
            packed.write(_header("short", tarfile.REGTYPE, 1) + b"x".ljust(512, b"\0"))
        packed.write(_header(outbox.NAME, tarfile.REGTYPE, len(DATA)) + DATA + bytes(2048))
    assert outbox.load(tmp_path / "a.tar.gz") == DATA


def test_an_outbox_with_holes(tmp_path: Path) -> None:
    head = _pax(("GNU.sparse.map", "0,10,10,-20"), ("GNU.sparse.size", "10"))
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(head + _header(outbox.NAME, tarfile.REGTYPE, 10) + bytes(2048)))
    with pytest.raises(Malformed, match="has holes"):
        outbox.load(tmp_path / "a.tar.gz")


def test_a_member_that_ends_before_it_begins(tmp_path: Path) -> None:
    """Its size leads back to where its own headers stand."""
    before = _header("media/a.jpg", tarfile.REGTYPE, 512) + bytes(512)
    back = _pax(("size", "-1536")) + _header("media/b.jpg", tarfile.REGTYPE, 1)
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(before + back + bytes(2048)))
    with pytest.raises((Malformed, NotFound)):  # newer Pythons end the list there
        outbox.load(tmp_path / "a.tar.gz")


def test_a_header_that_fills_the_memory(tmp_path: Path) -> None:
    """Tar keeps long names in members of their own, of any size, which are read whole."""
    info = tarfile.TarInfo("outbox.json")
    info.pax_headers = {"comment": "x" * 1_000_000}
    data = info.tobuf(tarfile.PAX_FORMAT) + bytes(1024)
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(data))
    with pytest.raises(TooLarge):
        outbox.load(tmp_path / "a.tar.gz")


def test_a_bomb_is_unpacked_no_further_than_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "TAR_BYTES_MAX", 1_000_000)
    with pytest.raises(TooLarge, match="unpacks to over"):
        outbox.load(tar_of(tmp_path / "a.tar.gz", ("media/a.jpg", bytes(2_000_000)), (outbox.NAME, DATA)))


def test_what_is_cut_or_damaged(tmp_path: Path) -> None:
    members = [("a.jpg", bytes(range(256)) * 400), (outbox.NAME, DATA * 100)]
    for file in (zip_of(tmp_path / "a.zip", *members), tar_of(tmp_path / "a.tar.gz", *members)):
        data = file.read_bytes()
        for share in (0.1, 0.5, 0.9):
            file.write_bytes(data[: int(len(data) * share)])
            with pytest.raises((Malformed, NotFound)):
                outbox.load(file)
        for at in range(4, len(data), 61):
            file.write_bytes(data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1 :])
            try:
                assert outbox.load(file) == DATA * 100
            except (Malformed, NotFound, TooLarge):
                continue
    with pytest.raises(UserError, match="cannot be read: No such file"):
        outbox.load(tmp_path / "nothing")
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        outbox.load(tmp_path)
