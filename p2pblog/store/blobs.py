"""Where a node keeps files: whole ones and parts of them, on disk or in memory, with one's own never thrown away.

On disk the folder is the truth, so that no table can disagree with it after a crash:

    own/HASH              a file that this node posted
    kept/HASH             a whole file of somebody else; its time of change says when it was used last
    parts/HASH.table      the table of a file that is being fetched: its size, and the hash of each piece
    parts/HASH            the pieces that have come, each at its place

A whole file is written under another name, synced, and renamed. Parts are not synced: at the next start each piece is
hashed again, and counts if it is the one that the table names. Where all have come and the file is not whole for all
that, since the disk was full or the node was killed, it becomes so when it is next looked at. What else a crash left is
taken away at the next start.
"""

from __future__ import annotations

import errno
import os
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import trio

from p2pblog.config import FILE_BYTES_MAX, FILES_KEPT_BYTES_MAX, PIECE_BYTES
from p2pblog.core import codec
from p2pblog.core.media import PIECES_MAX, FileHash, PieceTable, pieces_of, read_table, table_of
from p2pblog.core.value import State, Value
from p2pblog.errors import BadPiece, RemoteProtocolError, StoreError, StoreFull

T = TypeVar("T")

TABLE_BYTES_MAX = 32 * PIECES_MAX + 16
"""A table as it lies on disk: size and hashes in one array."""
KNOWN_MAX = 256
"""Files whose tables are remembered, 5 KB each; of others the file is read and hashed again, which takes 10 ms."""


class Held(Value):
    """What is here of a file: its table, and the numbers of the pieces. `own`: this node posted it."""

    table: PieceTable
    pieces: frozenset[int]
    own: bool = False

    @property
    def is_whole(self) -> bool:
        return len(self.pieces) == len(self.table.pieces)


class Blobs(Protocol):
    """The files of one node. Every method may raise StoreError, or StoreFull where nothing could be written."""

    async def held(self, file: FileHash) -> Held | None:
        """What is here of a file."""

    async def put_own(self, data: bytes) -> FileHash:
        """Keep a file of our own for good; returns once it would survive a power cut. It has 1 to FILE_BYTES_MAX
        bytes."""

    async def begin(self, table: PieceTable) -> Held:
        """Make ready for the pieces of a file; gives what is here of it already."""

    async def put_piece(self, file: FileHash, index: int, data: bytes) -> Held | None:
        """Keep a piece of a file that was begun (else: None). Raises BadPiece for bytes that are not that piece.
        Whole, the file counts towards the room there is: those of others that were used longest ago go."""

    async def piece(self, file: FileHash, index: int) -> bytes | None:
        """A piece; None where it is not here, or no longer what it was. The file counts as used now."""

    async def drop(self, file: FileHash) -> None:
        """Forget a file, one of our own too."""

    async def drop_other(self, file: FileHash) -> None:
        """Forget a file of somebody else, or the parts of one; our own copy stays."""

    async def own(self) -> list[FileHash]:
        """The files of our own, ascending."""

    async def others(self) -> list[FileHash]:
        """Those of others that are here, whole or in part, ascending."""

    async def limit(self, bytes_max: int | None) -> None:
        """From now on those of others take up so many bytes at most (None: as many as come); what is too much goes."""

    async def used(self) -> int:
        """How many bytes all that is here takes up, our own as well."""


# --- in memory --------------------------------------------------------------------------------------------------------


class MemoryBlobs:
    """Blobs in a dict, for tests that move the clock. Nothing outlives the process."""

    def __init__(self, bytes_max: int | None = FILES_KEPT_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._files: OrderedDict[FileHash, tuple[PieceTable, dict[int, bytes], bool]] = OrderedDict()

    async def held(self, file: FileHash) -> Held | None:
        found = self._files.get(file)
        return None if found is None else Held(found[0], frozenset(found[1]), found[2])

    async def put_own(self, data: bytes) -> FileHash:
        table = table_of(data)
        pieces = dict(enumerate(pieces_of(data)))
        self._files[table.file] = (table, pieces, True)
        return table.file

    async def begin(self, table: PieceTable) -> Held:
        _, pieces, own = self._files.setdefault(table.file, (table, {}, False))
        self._files.move_to_end(table.file)
        return Held(table, frozenset(pieces), own)

    async def put_piece(self, file: FileHash, index: int, data: bytes) -> Held | None:
        if file not in self._files:
            return None
        table, pieces, own = self._files[file]
        if not table.fits(index, data):
            raise BadPiece("another piece than this file has there")
        pieces[index] = data
        self._files.move_to_end(file)
        self._make_room(file)
        return Held(table, frozenset(pieces), own)

    def _make_room(self, but: FileHash | None) -> None:
        sizes = {file: sum(map(len, parts.values())) for file, (_, parts, own) in self._files.items() if not own}
        if self._bytes_max is None:
            return
        over = sum(sizes.values()) - self._bytes_max
        for file, size in sizes.items():
            if over > 0 and file != but:
                del self._files[file]
                over -= size

    async def piece(self, file: FileHash, index: int) -> bytes | None:
        if file not in self._files:
            return None
        self._files.move_to_end(file)
        return self._files[file][1].get(index)

    async def drop(self, file: FileHash) -> None:
        self._files.pop(file, None)

    async def drop_other(self, file: FileHash) -> None:
        _, _, own = self._files.get(file, (None, None, True))
        if not own:
            del self._files[file]

    async def own(self) -> list[FileHash]:
        return sorted(file for file, (_, _, own) in self._files.items() if own)

    async def others(self) -> list[FileHash]:
        return sorted(file for file, (_, _, own) in self._files.items() if not own)

    async def limit(self, bytes_max: int | None) -> None:
        self._bytes_max = bytes_max
        self._make_room(None)

    async def used(self) -> int:
        return sum(len(piece) for _, pieces, _ in self._files.values() for piece in pieces.values())


# --- on disk ----------------------------------------------------------------------------------------------------------


class _Known(State):
    """A file as the folder had it when we looked."""

    table: PieceTable
    pieces: set[int]
    own: bool

    @property
    def is_whole(self) -> bool:
        return len(self.pieces) == len(self.table.pieces)

    @property
    def held(self) -> Held:
        return Held(self.table, frozenset(self.pieces), self.own)

    @property
    def size(self) -> int:
        return self.table.size if self.is_whole else sum(self.table.piece_size(index) for index in self.pieces)


class DiskBlobs:
    """Blobs in a folder (0700, files 0600). What it does to the disk it does in a thread, one thing at a time.

    Of a file that nobody asked for yet only the size is known: it is read and hashed when it is first needed.
    """

    def __init__(self, folder: Path, bytes_max: int | None = FILES_KEPT_BYTES_MAX) -> None:
        """`folder` may be missing, but not what it lies in. Files on disk are found at the first use."""
        self._folder = folder
        self._bytes_max = bytes_max
        self._known: dict[FileHash, _Known] = {}
        self._sizes: OrderedDict[FileHash, int] | None = None  # of others' files, the one used longest ago first
        self._lock = trio.Lock()

    async def _run(self, work: Callable[[], T]) -> T:
        async with self._lock:
            return await trio.to_thread.run_sync(partial(self._carefully, work))

    def _carefully(self, work: Callable[[], T]) -> T:
        try:
            self._scan()  # takes away what a crash left, so before anything else is written
            return work()
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise StoreFull(f"there is no room to write files in {self._folder}") from error
            raise StoreError(f"the files in {self._folder} can't be used: {error.strerror}") from error

    async def held(self, file: FileHash) -> Held | None:
        return await self._run(lambda: self._held(file))

    async def put_own(self, data: bytes) -> FileHash:
        return await self._run(lambda: self._put_own(data))

    async def begin(self, table: PieceTable) -> Held:
        return await self._run(lambda: self._begin(table))

    async def put_piece(self, file: FileHash, index: int, data: bytes) -> Held | None:
        return await self._run(lambda: self._put_piece(file, index, data))

    async def piece(self, file: FileHash, index: int) -> bytes | None:
        return await self._run(lambda: self._piece(file, index))

    async def drop(self, file: FileHash) -> None:
        await self._run(lambda: self._drop(file))

    async def drop_other(self, file: FileHash) -> None:
        await self._run(lambda: self._drop_other(file))

    async def own(self) -> list[FileHash]:
        return await self._run(lambda: sorted(_files_in(self._folder / "own")))

    async def others(self) -> list[FileHash]:
        return await self._run(lambda: sorted(self._scan()))

    async def limit(self, bytes_max: int | None) -> None:
        self._bytes_max = bytes_max
        await self._run(lambda: self._make_room(None))

    async def used(self) -> int:
        return await self._run(self._used)

    # --- in the thread ---

    def _path(self, kind: str, file: FileHash) -> Path:
        return self._folder / kind / file.hex()

    def _table_path(self, file: FileHash) -> Path:
        return self._folder / "parts" / f"{file.hex()}.table"

    def _look(self, file: FileHash) -> _Known | None:
        """What the folder has of a file, read and hashed once."""
        if file not in self._known:
            found = self._read_whole(file, "own") or self._read_whole(file, "kept") or self._read_parts(file)
            if found is None:
                return None
            self._remember(file, found)
        return self._known[file]

    def _remember(self, file: FileHash, known: _Known) -> None:
        self._known[file] = known
        while len(self._known) > KNOWN_MAX:
            del self._known[next(iter(self._known))]

    def _read_whole(self, file: FileHash, kind: str) -> _Known | None:
        data = _read(self._path(kind, file), FILE_BYTES_MAX)
        if not data:
            return None
        table = table_of(data)
        if table.file != file:  # the disk lost some of it; somebody else's can be fetched again
            if kind == "kept":
                self._path(kind, file).unlink()
            return None
        return _Known(table, set(range(len(table.pieces))), kind == "own")

    def _read_parts(self, file: FileHash) -> _Known | None:
        told = _read(self._table_path(file), TABLE_BYTES_MAX)
        if told is None:
            return None
        try:
            size, hashes = codec.as_list(codec.unpack(told, bytes_max=TABLE_BYTES_MAX), length=2)
            table = read_table(size, hashes, file)
        except RemoteProtocolError:
            self._drop_other(file)
            return None
        data = _read(self._path("parts", file), FILE_BYTES_MAX) or b""
        known = _Known(table, {at for at, piece in enumerate(pieces_of(data)) if table.fits(at, piece)}, False)
        if known.is_whole:
            try:
                self._become_whole(file)
            except (OSError, StoreError):  # it is read from its parts, and whoever fetches the last one tries again
                known.pieces.remove(len(table.pieces) - 1)
        return known

    def _held(self, file: FileHash) -> Held | None:
        known = self._look(file)
        return None if known is None else known.held

    def _put_own(self, data: bytes) -> FileHash:
        table = table_of(data)
        self._write_whole("own", table.file, data)
        self._forget_parts(table.file)
        self._path("kept", table.file).unlink(missing_ok=True)
        self._scan().pop(table.file, None)
        self._remember(table.file, _Known(table, set(range(len(table.pieces))), True))
        return table.file

    def _write_whole(self, kind: str, file: FileHash, data: bytes) -> None:
        """Under another name first, so that a crash leaves no half of a file under the name of a whole one."""
        path = self._path(kind, file)
        self._make(path.parent)
        fresh = path.with_suffix(".new")
        try:
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            fresh.rename(path)
        except OSError:
            with suppress(OSError):
                fresh.unlink()
            raise
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _make(self, folder: Path) -> None:
        """Never what holds the folder: where that was moved away, nobody would read a new one in its old place."""
        try:
            for each in (self._folder, folder):
                with suppress(FileExistsError):
                    each.mkdir(mode=0o700)
        except FileNotFoundError as error:
            gone = self._folder.parent
            if gone.is_dir():  # the folder itself is a link that leads nowhere, as to a disk that is not there
                raise
            raise StoreError(f"{gone} is gone: if the home was moved, start the node where it is now") from error

    def _begin(self, table: PieceTable) -> Held:
        known = self._look(table.file)
        if known is None:
            path = self._table_path(table.file)
            self._make(path.parent)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
                stream.write(codec.pack([table.size, b"".join(table.pieces)]))
            known = _Known(table, set(), False)
            self._remember(table.file, known)
            self._touch(table.file, 0)
        return known.held

    def _put_piece(self, file: FileHash, index: int, data: bytes) -> Held | None:
        known = self._look(file)
        if known is None:
            return None
        if not known.table.fits(index, data):
            raise BadPiece("another piece than this file has there")
        if index not in known.pieces:
            path = self._path("parts", file)
            self._make(path.parent)
            with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as stream:
                stream.seek(index * PIECE_BYTES)
                stream.write(data)
            known.pieces.add(index)
            self._touch(file, known.size)
            if known.is_whole:
                self._known.pop(file, None)  # if that fails, the next look sees what is on the disk
                self._become_whole(file)
                self._remember(file, known)
            self._make_room(file)
        return known.held

    def _become_whole(self, file: FileHash) -> None:
        data = _read(self._path("parts", file), FILE_BYTES_MAX)
        if not data or table_of(data).file != file:
            raise StoreError(f"the parts of a file in {self._folder} were changed by something else")
        self._write_whole("kept", file, data)
        self._forget_parts(file)

    def _forget_parts(self, file: FileHash) -> None:
        self._path("parts", file).unlink(missing_ok=True)
        self._table_path(file).unlink(missing_ok=True)

    def _piece(self, file: FileHash, index: int) -> bytes | None:
        known = self._look(file)
        if known is None or index not in known.pieces:
            return None
        kind = "own" if known.own else "kept" if known.is_whole else "parts"
        path = self._path(kind, file)
        try:
            with path.open("rb") as stream:
                stream.seek(index * PIECE_BYTES)
                data = stream.read(PIECE_BYTES)
            if not known.own:
                os.utime(path)
        except FileNotFoundError:
            data = b""
        if not known.table.fits(index, data):  # changed under us: look again next time
            self._known.pop(file)
            return None
        if not known.own:
            self._touch(file, known.size)
        return data

    def _drop(self, file: FileHash) -> None:
        self._drop_other(file)
        self._path("own", file).unlink(missing_ok=True)

    def _drop_other(self, file: FileHash) -> None:
        """Forget another's copy of a file. Ours may lie beside it: after a crash, and where the disk damaged it."""
        self._known.pop(file, None)
        self._path("kept", file).unlink(missing_ok=True)
        self._forget_parts(file)
        self._scan().pop(file, None)

    # --- room ---

    def _scan(self) -> OrderedDict[FileHash, int]:
        """The sizes of others' files, the one used longest ago first."""
        if self._sizes is None:
            self._clear_up()
            found = []
            for kind in ("kept", "parts"):
                for file in _files_in(self._folder / kind):
                    with suppress(FileNotFoundError):
                        state = self._path(kind, file).stat()
                        found.append((state.st_mtime_ns, file, state.st_size))
            self._sizes = OrderedDict((file, size) for _, file, size in sorted(found))
        return self._sizes

    def _clear_up(self) -> None:
        """Remove what a crash left and nothing counts: files half written, parts of what is whole, and tables without a
        part. What can't be removed now goes at another start."""
        stale = [
            self._path(kind, file).with_suffix(".new")
            for kind in ("own", "kept")
            for file in _files_in(self._folder / kind, ".new")
        ]
        kept, parts = (set(_files_in(self._folder / kind)) for kind in ("kept", "parts"))
        stale += [self._path("parts", file) for file in parts & kept]
        stale += [self._table_path(file) for file in set(_files_in(self._folder / "parts", ".table")) - (parts - kept)]
        for path in stale:
            with suppress(OSError):
                path.unlink()

    def _touch(self, file: FileHash, size: int) -> None:
        sizes = self._scan()
        sizes[file] = size
        sizes.move_to_end(file)

    def _used(self) -> int:
        own = self._folder / "own"
        return sum(self._scan().values()) + sum((own / file.hex()).stat().st_size for file in _files_in(own))

    def _make_room(self, but: FileHash | None) -> None:
        sizes = self._scan()
        for file in list(sizes):
            if self._bytes_max is None or sum(sizes.values()) <= self._bytes_max:
                return
            if file != but:
                self._drop_other(file)


def _read(path: Path, bytes_max: int) -> bytes | None:
    """A file of at most so many bytes; None where there is none, or a longer one."""
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            data = stream.read(min(size, bytes_max) + 1)  # room is made for all that is asked for
    except FileNotFoundError:
        return None
    return data if len(data) <= bytes_max else None


def _files_in(folder: Path, suffix: str = "") -> list[FileHash]:
    """The files in a folder that are named by a hash and this suffix; what else lies there is not ours."""
    try:
        names = [path.name.removesuffix(suffix) for path in folder.iterdir() if path.name.endswith(suffix)]
    except FileNotFoundError:
        return []
    return [FileHash(bytes.fromhex(name)) for name in names if len(name) == 64 and set(name) <= set("0123456789abcdef")]
