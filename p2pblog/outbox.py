"""Finds outbox.json in what Mastodon hands out: the file alone, or packed as .zip (today) or .tar.gz (until 2023)."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
from pathlib import Path

from p2pblog.archives import DAMAGED, PIECE_BYTES, check_listed, open_zip, read_member
from p2pblog.config import OUTBOX_BYTES_MAX, TAR_BYTES_MAX
from p2pblog.errors import Malformed, NotFound, TooLarge, UserError
from p2pblog.keyring import reason

NAME = "outbox.json"


def load(file: Path) -> bytes:
    """The bytes of outbox.json. Raises UserError where the file can't be read or holds none, or a RemoteProtocolError
    where it is damaged or too large."""
    try:
        with file.open("rb") as stream:
            head = stream.read(4)
            if head[:2] != b"PK" and head[:2] != b"\x1f\x8b":
                state = os.fstat(stream.fileno())  # room is made for all that is asked for
                size = min(state.st_size, OUTBOX_BYTES_MAX) if stat.S_ISREG(state.st_mode) else OUTBOX_BYTES_MAX
                data = head + stream.read(max(0, size + 1 - len(head)))
                _check_size(len(data))
                return data
        return _from_zip(file) if head[:2] == b"PK" else _from_tar(file)
    except OSError as error:
        raise UserError(f"{file} cannot be read: {reason(error)}") from error


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
    """Unpacks no more than TAR_BYTES_MAX in all, nor more than an outbox at once."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= OUTBOX_BYTES_MAX + 1:
            raise TooLarge(f"a part of over {OUTBOX_BYTES_MAX:,} bytes that is no picture")
        if self.tell() > TAR_BYTES_MAX:
            raise TooLarge(f"it unpacks to over {TAR_BYTES_MAX:,} bytes")
        return super().read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if offset > TAR_BYTES_MAX:
            raise TooLarge(f"it unpacks to over {TAR_BYTES_MAX:,} bytes")
        return super().seek(offset, whence)


def _from_tar(file: Path) -> bytes:
    try:
        with _Bounded(file, "rb") as unpacked, tarfile.open(fileobj=unpacked, mode="r:") as opened:
            for member in opened:
                opened.members = []  # type: ignore[attr-defined]  # one that was seen is of no use to us
                if not member.isfile() or not _is_it(member.name):
                    continue
                _check_size(member.size)
                stream = opened.extractfile(member)
                assert stream is not None
                data = stream.read(member.size)
                if len(data) < member.size:
                    raise Malformed(f"{NAME} is cut short")
                while unpacked.read(PIECE_BYTES):
                    pass  # gzip finds damage at its end
                return data
    except (tarfile.TarError, gzip.BadGzipFile, *DAMAGED) as error:
        raise Malformed(f"no packed archive, or a damaged one: {error}") from error
    raise _none(file)
