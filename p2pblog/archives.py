"""Archives as ZIP files: written beside their place and put there whole, read member by member within limits.

Nothing of an archive is ever unpacked to a disk: members are read in pieces, each of a size that was checked before.
"""

from __future__ import annotations

import copy
import hashlib
import io
import os
import secrets
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from p2pblog.config import ARCHIVE_INDEX_BYTES_MAX, ARCHIVE_MEMBERS_MAX
from p2pblog.core import archive, passphrase
from p2pblog.core.archive import Manifest, Member, Secrets
from p2pblog.core.identity import Identity
from p2pblog.core.keys import DeviceKey, IdentityHash, KeyPair
from p2pblog.core.media import FileHash
from p2pblog.core.runs import VerifiedRun
from p2pblog.core.value import State, Value, field
from p2pblog.disk import open_file, put_in_place, reason
from p2pblog.errors import BadStatement, Malformed, RemoteProtocolError, TooLarge, UserError

PIECE_BYTES = 256 * 1024
"""What is read, hashed or compressed at once."""
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, struct.error, ValueError, OverflowError)
"""What the standard library says of a ZIP file that is cut, damaged or made to deceive; RuntimeError of encryption and
of methods that it does not know."""
SAID_CHARACTERS_MAX = 200
"""Of what the library says of a damaged file: names of 64 KiB stand in it, with four characters for some bytes."""
Tick = Callable[[float], None]
"""Is told which share of the work is done."""


# --- writing ----------------------------------------------------------------------------------------------------------


class Writer(State):
    """An archive being written."""

    _zip: zipfile.ZipFile
    _members: dict[str, Member] = field(default_factory=dict)

    @contextmanager
    def member(self, name: str) -> Iterator[Callable[[bytes], None]]:
        """Add one member, piece by piece. Raises UserError where it becomes larger than an archive may hold."""
        info = zipfile.ZipInfo(name)
        is_packed = archive.file_of(name) is not None  # most files are pictures, which don't become smaller
        info.compress_type = zipfile.ZIP_STORED if is_packed else zipfile.ZIP_DEFLATED
        info.external_attr = 0o600 << 16
        hashing, size = hashlib.blake2b(digest_size=32), 0
        with self._zip.open(info, "w") as stream:

            def write(data: bytes) -> None:
                nonlocal size
                size += len(data)
                try:
                    archive.check_member(name, size)
                except TooLarge as error:
                    raise UserError(f"there is too much for one archive: {error}") from error
                hashing.update(data)
                stream.write(data)

            yield write
        self._members[name] = Member(size, hashing.digest())

    @property
    def room(self) -> int:
        """How many more members it may have beside its manifest."""
        return ARCHIVE_MEMBERS_MAX - 1 - len(self._members)

    def add(self, name: str, data: bytes) -> None:
        with self.member(name) as write:
            write(data)

    def finish(self, identity: IdentityHash, created_ms: int, entries: int) -> None:
        """The manifest, which names all the rest."""
        self.add(archive.MANIFEST, Manifest(identity, created_ms, entries, dict(self._members)).encode())


@contextmanager
def write_archive(target: Path, force: bool) -> Iterator[Writer]:
    """Write an archive that only its owner can read (0600), and put it in place when it is whole and on the disk.

    Raises UserError: something stands there already and not `force`, or it can't be written.
    """
    if not force and os.path.lexists(target):
        raise _exists(target)
    draft = target.with_name(f".{secrets.token_hex(8)}.part")  # short: a name that holds another may be too long
    try:
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode=0o600)
        try:
            with os.fdopen(descriptor, "w+b") as stream:
                with zipfile.ZipFile(stream, "w") as opened:
                    yield Writer(opened)
                stream.flush()
                os.fsync(stream.fileno())
            put_in_place(draft, target, force)
        finally:
            draft.unlink(missing_ok=True)
    except FileExistsError as error:
        raise _exists(target) from error
    except OSError as error:
        raise UserError(f"{target} cannot be written: {reason(error)}") from error


def _exists(target: Path) -> UserError:
    return UserError(f"{target} exists already: choose another name, or say --force to replace it")


# --- reading ----------------------------------------------------------------------------------------------------------


class Bounded(io.BufferedReader):
    """A file of which no more is read at once than a reader of archives has a reason for."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            size = max(0, os.fstat(self.fileno()).st_size - self.tell())
        if size > ARCHIVE_INDEX_BYTES_MAX:
            raise TooLarge("a list of members that is too long for an archive")
        return super().read(size)


@contextmanager
def translated(file: Path) -> Iterator[None]:
    """Around every touch of a packed file: its faults become RemoteProtocolErrors, the disk's a UserError."""
    try:
        yield
    except DAMAGED as error:
        raise Malformed(f"no ZIP file, or a damaged one: {str(error)[:SAID_CHARACTERS_MAX]}") from error
    except OSError as error:
        raise UserError(f"{file} cannot be read: {reason(error)}") from error


@contextmanager
def open_zip(file: Path) -> Iterator[zipfile.ZipFile]:
    """A ZIP file whose list of members was read within bounds. Raises a RemoteProtocolError or UserError."""
    with ExitStack() as stack:
        with translated(file):
            stream = stack.enter_context(Bounded(open_file(file)))
            opened = stack.enter_context(zipfile.ZipFile(stream))
        yield opened


def check_listed(info: zipfile.ZipInfo) -> None:
    """Raises Malformed for a member that is encrypted or packed in a way that archives are not."""
    if info.flag_bits & 0x1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Malformed(f"{info.filename[:80]!a} is encrypted, or packed in another way than archives are")


class Archive(Value):
    """An archive that was opened: its list, manifest and identity are checked, and its members when `check` was."""

    manifest: Manifest
    identity: Identity
    _zip: zipfile.ZipFile
    _listed: dict[str, zipfile.ZipInfo]
    _file: Path

    @property
    def devices(self) -> list[DeviceKey]:
        """Whose logs it holds."""
        found = (archive.device_of(name) for name in sorted(self.manifest.members))
        return [device for device in found if device is not None]

    @property
    def files(self) -> list[FileHash]:
        """The files of notices that it holds."""
        found = (archive.file_of(name) for name in sorted(self.manifest.members))
        return [file for file in found if file is not None]

    @property
    def has_secrets(self) -> bool:
        return archive.SECRETS in self.manifest.members

    def runs(self, device: DeviceKey) -> Iterator[VerifiedRun]:
        """The runs of a log, each verified. Raises a RemoteProtocolError."""
        with self._open(archive.log_name(device)) as stream:
            yield from archive.read_log(device, self.identity, stream.read)
            stream.finish()

    def file(self, file: FileHash) -> bytes:
        """A file of a notice, its bytes held against its hash. Raises a RemoteProtocolError."""
        data = self._whole(archive.file_name(file))
        archive.check_file(file, data)
        return data

    def follows(self) -> bytes:
        """The list of follows; empty where there is none."""
        return self._whole(archive.FOLLOWS) if archive.FOLLOWS in self.manifest.members else b""

    def secrets(self, typed: str) -> Secrets:
        """Raises UserError for another passphrase, or a RemoteProtocolError; the root is the identity's own."""
        opened = Secrets.decode(passphrase.unseal(self._whole(archive.SECRETS), typed))
        if KeyPair.from_seed(opened.root).public != self.identity.root:
            raise BadStatement("the secret keys are not those of this identity")
        return opened

    def check(self, tick: Tick) -> None:
        """Read all of it once, keeping nothing. Raises a RemoteProtocolError for the first fault."""
        due = sum(member.size for member in self.manifest.members.values()) or 1
        done = entries = 0
        strays = set(self.files)
        for name, member in sorted(self.manifest.members.items()):
            device, file = archive.device_of(name), archive.file_of(name)
            if device is not None:
                for run in self.runs(device):
                    entries += len(run)
                    strays -= archive.files_of(run) if strays else set()
                    tick(done / due)
            elif file is not None:
                self.file(file)
            else:
                with self._open(name) as stream:
                    stream.finish()
            done += member.size
            tick(done / due)
        if entries != self.manifest.entries:
            raise Malformed(f"{entries:,} entries where the manifest counts {self.manifest.entries:,}")
        if strays:
            raise Malformed(f"{archive.file_name(min(strays))} belongs to no notice of the archive")

    def _whole(self, name: str) -> bytes:
        """A member that is small by its limit."""
        with self._open(name) as stream:
            data = b"".join(iter(lambda: stream.read(PIECE_BYTES), b""))
            stream.finish()
        return data

    @contextmanager
    def _open(self, name: str) -> Iterator[_Stream]:
        with ExitStack() as stack:
            with translated(self._file):
                stream = stack.enter_context(self._zip.open(self._listed[name]))
            yield _Stream(stream, self._file, name, self.manifest.members[name])


class _Stream:
    """A member as it is read, to be held against the manifest at its end."""

    def __init__(self, stream: IO[bytes], file: Path, name: str, member: Member) -> None:
        self._stream, self._file, self._name, self._member = stream, file, name, member
        self._hashing = hashlib.blake2b(digest_size=32)

    def read(self, size: int) -> bytes:
        """So many bytes, fewer at the end."""
        with translated(self._file):
            data = self._stream.read(size)
        self._hashing.update(data)
        return data

    def finish(self) -> None:
        """Read what is left. Raises Malformed unless all of it has the hash that the manifest says."""
        while self.read(PIECE_BYTES):
            pass
        if self._hashing.digest() != self._member.hash:
            raise Malformed(f"{self._name} is not what the manifest says: its hash is another")


@contextmanager
def open_archive(file: Path) -> Iterator[Archive]:
    """An archive, to be checked before anything of it is used. Raises UserError for what is none, also while it is
    used: a sentence that says what is wrong."""
    try:
        with open_zip(file) as opened:
            yield _begin(opened, file)
    except RemoteProtocolError as error:
        raise UserError(f"{file} is refused, nothing of it was taken: {archive.refusal(error)}") from error


def _begin(opened: zipfile.ZipFile, file: Path) -> Archive:
    listed = opened.infolist()
    if len(listed) > ARCHIVE_MEMBERS_MAX:
        raise TooLarge(f"over {ARCHIVE_MEMBERS_MAX:,} members")
    by_name: dict[str, zipfile.ZipInfo] = {}
    for info in listed:
        archive.check_member(info.orig_filename, info.file_size)
        check_listed(info)
        if info.orig_filename in by_name:
            raise Malformed(f"two members of the name {info.orig_filename}")
        by_name[info.orig_filename] = info
    if archive.MANIFEST not in by_name:
        raise Malformed("it has no manifest.json, so it is no archive of p2pblog")
    manifest = Manifest.decode(read_member(opened, file, by_name.pop(archive.MANIFEST)))
    if {name: info.file_size for name, info in by_name.items()} != {
        name: member.size for name, member in manifest.members.items()
    }:
        raise Malformed("its members, or their sizes, are not those that the manifest names")
    if archive.IDENTITY not in by_name:
        raise Malformed("it has no identity.bin")
    identity = Identity.decode(read_member(opened, file, by_name[archive.IDENTITY]), expected=manifest.identity)
    return Archive(manifest, identity, opened, by_name, file)


def read_member(opened: zipfile.ZipFile, file: Path, info: zipfile.ZipInfo) -> bytes:
    """A member whose size was found to be small, in pieces: zipfile's own read() unpacks a gibibyte at once, whatever
    the list says of the size. Raises Malformed where another number of bytes comes out.

    It takes what was looked at and no name, which another member may have too.
    """
    open_ended = copy.copy(info)
    open_ended.file_size += 1  # zipfile hides all that comes beyond this number
    data = io.BytesIO()
    with translated(file), opened.open(open_ended) as stream:
        while piece := stream.read(PIECE_BYTES):
            if data.tell() + len(piece) > info.file_size:
                raise Malformed(f"{info.filename[:80]!a} unpacks to more than the list of members says")
            data.write(piece)
    if data.tell() < info.file_size:
        raise Malformed(f"{info.filename[:80]!a} unpacks to less than the list of members says")
    return data.getvalue()
