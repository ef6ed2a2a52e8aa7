"""Finds outbox.json in what Mastodon hands out: the file alone, or packed as .zip (today) or .tar.gz (until 2023)."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from pathlib import Path

from p2pblog.archives import DAMAGED, PIECE_BYTES, check_listed, open_zip, read_member
from p2pblog.config import OUTBOX_BYTES_MAX, TAR_BYTES_MAX, TAR_HEADERS_BYTES_MAX
from p2pblog.disk import open_file, reason
from p2pblog.errors import Malformed, NotFound, RemoteProtocolError, TooLarge, UserError

NAME = "outbox.json"


def load(file: Path) -> bytes:
    """The bytes of outbox.json. Raises UserError where the file can't be read or holds none, or a RemoteProtocolError
    where it is damaged or too large."""
    try:
        with io.BufferedReader(open_file(file)) as stream:
            head = stream.read(4)
            if head[:2] != b"PK" and head[:2] != b"\x1f\x8b":
                # Room is made for all that is asked for.
                size = min(os.fstat(stream.fileno()).st_size, OUTBOX_BYTES_MAX)
                data = head + stream.read(max(0, size + 1 - len(head)))
                _check_size(len(data))
                return data
        return _from_zip(file) if head[:2] == b"PK" else _from_tar(file)
    except OSError as error:
        raise UserError(f"{file} cannot be read: {reason(error)}") from error


def is_zipped(file: Path) -> bool:
    """Whether this is a ZIP file that holds outbox.json."""
    try:
        with open_zip(file) as opened:
            return any(_is_it(each.filename) for each in opened.infolist())
    except (UserError, RemoteProtocolError):
        return False


def _is_it(name: str) -> bool:
    """At the top, or in the one folder that some servers put all into."""
    folder, _, last = name.removeprefix("./").rpartition("/")
    return last == NAME and "/" not in folder


def _none(file: Path) -> NotFound:
    return NotFound(f"{file} holds no {NAME}: is it the archive that Mastodon hands out?")


def _check_size(size: int) -> None:
    if size > OUTBOX_BYTES_MAX:
        raise TooLarge(f"{NAME} has over {OUTBOX_BYTES_MAX:,} bytes")


def _from_zip(file: Path) -> bytes:
    with open_zip(file) as opened:
        found = [each for each in opened.infolist() if _is_it(each.filename)]
        if not found:
            raise _none(file)
        if len(found) > 1:
            raise Malformed(f"it holds more than one {NAME}")
        check_listed(found[0])
        _check_size(found[0].file_size)
        return read_member(opened, file, found[0])


class _Bounded(gzip.GzipFile):
    """Unpacks no more than TAR_BYTES_MAX in all, never goes back, and gives a tar file's headers TAR_HEADERS_BYTES_MAX
    for each member: long names, attributes and maps of holes are lists that tarfile grows without an end."""

    room: int | None = TAR_HEADERS_BYTES_MAX
    """How much of headers may still be read; None where it is no header that is read."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() > TAR_BYTES_MAX:
            raise TooLarge(f"it unpacks to over {TAR_BYTES_MAX:,} bytes")
        if self.room is not None:
            if size is None or not 0 <= size <= self.room:
                raise TooLarge(f"headers of over {TAR_HEADERS_BYTES_MAX:,} bytes before one member")
            self.room -= size
        return super().read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if offset > TAR_BYTES_MAX:
            raise TooLarge(f"it unpacks to over {TAR_BYTES_MAX:,} bytes")
        # Of a size below nothing older Pythons make a way back, and read the same headers for ever.
        if whence == io.SEEK_SET and offset < self.tell():
            raise Malformed("a member that ends before it begins")
        return super().seek(offset, whence)


def _from_tar(file: Path) -> bytes:
    try:
        with _Bounded(file, "rb") as unpacked, tarfile.open(fileobj=unpacked, mode="r:") as opened:
            for member in opened:
                if member.isfile() and _is_it(member.name):
                    unpacked.room = None
                    data = _read_packed(opened, member)
                    while unpacked.read(PIECE_BYTES):
                        pass  # gzip finds damage at its end
                    return data
                # What was seen is of no use to us, nor what one header says of all that follow.
                opened.members, opened.pax_headers = [], {}  # type: ignore[attr-defined]
                unpacked.room = TAR_HEADERS_BYTES_MAX
    except (tarfile.TarError, gzip.BadGzipFile, *DAMAGED) as error:
        raise Malformed(f"no packed archive, or a damaged one: {error}") from error
    raise _none(file)


def _read_packed(opened: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    _check_size(member.size)
    if member.issparse():
        raise Malformed(f"{NAME} has holes, which no text has")
    stream, data = opened.extractfile(member), io.BytesIO()
    assert stream is not None
    while piece := stream.read(PIECE_BYTES):
        data.write(piece)
    if data.tell() != member.size:
        raise Malformed(f"{NAME} is cut short")
    return data.getvalue()
