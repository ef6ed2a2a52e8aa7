"""The store on disk: aiosqlite connections on the asyncio side, a trio-flavoured Store on this side.

* One connection writes. Writes that wait for it share one transaction, each in a savepoint of its own, so that one
  refused run does not take the others with it. A write that has begun is carried through even if its caller is gone.
* Connections of their own read (WAL: they neither wait for the writer nor see half of what it does). A read whose
  caller is gone is interrupted.
* A use case crosses the bridge once and the thread once: store/sql_write.py and store/sql_read.py hold plain functions.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple, cast

import aiosqlite
import trio

from p2pblog.bridge import Bridge
from p2pblog.config import (
    READERS,
    SEARCH_CATCH_UP_MAX,
    SEARCH_GIVE_WAY_S,
    SEARCH_IDLE_S,
    SEARCH_SLICE,
    WRITES_PER_COMMIT_MAX,
)
from p2pblog.core.entry import Entry
from p2pblog.core.forks import ForkProof
from p2pblog.core.identity import Identity
from p2pblog.core.keys import DeviceKey, EntryId, IdentityHash
from p2pblog.core.logs import Batch, Located, LogState
from p2pblog.core.media import FileHash
from p2pblog.core.payload import Profile, Ref
from p2pblog.core.quiet import Mute, MuteKind, Rated
from p2pblog.core.timelines import Row
from p2pblog.errors import P2pblogError, StoreDamaged, StoreError, StoreFull
from p2pblog.store import (
    CONFIG,
    Admitted,
    Block,
    Bottom,
    Contents,
    DmRow,
    Follow,
    FollowRow,
    GroupRow,
    KnownPeer,
    ListRow,
    PrunedLog,
    Reference,
    SearchQuery,
    SearchResult,
    Thread,
    TimelineQuery,
    Usage,
    Vouched,
    migrations,
    sql_dms,
    sql_groups,
    sql_indexer,
    sql_lists,
    sql_polls,
    sql_read,
    sql_resting,
    sql_retracted,
    sql_room,
    sql_search,
    sql_strangers,
    sql_write,
)
from p2pblog.store.meaning import Kind, News, Version
from p2pblog.store.reserve import Reserve
from p2pblog.store.sql_damage import Checked
from p2pblog.store.sql_opening import prepare_reader, prepare_writer
from p2pblog.store.sql_transactions import Write, commit, damaged, read, translated

T = TypeVar("T")
Args = TypeVarTuple("Args")

BUSY_TIMEOUT_S = 5.0
"""How long to wait for another program's lock, such as a backup's."""
INTERRUPT_AGAIN_S = 0.01
"""`interrupt` stops what runs at that moment only: a query of several statements is told again until it ends."""


async def open_sqlite(bridge: Bridge, path: Path, readers: int = READERS) -> SqliteStore:
    """The store in this file; a missing or empty file becomes a new one (0600), an older one is migrated.

    Close it with `aclose`. Raises StoreError, with the file as it was, if it is damaged, another program's or newer.
    """
    return SqliteStore(bridge, await bridge.run(_aio_open, path, readers))


async def _aio_open(path: Path, readers: int) -> _Aio:
    migrations.inspect(path)
    opened: list[aiosqlite.Connection] = []
    try:
        writer = await _aio_connect(path, partial(prepare_writer, path))
        opened.append(writer)
        while len(opened) <= readers:
            opened.append(await _aio_connect(path, prepare_reader))
    except BaseException as error:
        for connection in opened:
            await connection.close()
        if isinstance(error, sqlite3.Error | OSError):
            raise translated(error, path) from error
        if isinstance(error, P2pblogError) or not isinstance(error, Exception):
            raise
        raise damaged(error, path) from error
    return _Aio(path, writer, opened[1:])


async def _aio_connect(path: Path, prepare: Callable[[sqlite3.Connection], None]) -> aiosqlite.Connection:
    connecting = aiosqlite.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    try:
        connection = await connecting
    except BaseException:
        # aiosqlite stops its thread and does not wait: it would report its end to a loop that may be closed by then.
        await asyncio.to_thread(connecting._thread.join)
        raise
    try:
        await _in_thread(connection, prepare)
    except BaseException:
        await connection.close()
        raise
    return connection


async def _in_thread(connection: aiosqlite.Connection, function: Callable[..., T], *args: Any) -> T:
    """Run a function with the sqlite3 connection in its own thread. aiosqlite has no public name for one hop that runs
    several statements, and a hop for each costs more than the statement."""
    result: T = await connection._execute(_ending(function), connection._conn, *args)  # type: ignore[no-untyped-call]
    return result


def _ending(function: Callable[..., T]) -> Callable[..., T]:
    """A future takes no StopIteration: it would wait for ever, and so would who closes the database."""

    def run(*args: Any) -> T:
        try:
            return function(*args)
        except StopIteration as error:
            raise RuntimeError("a StopIteration left a function of the database") from error

    return run


# --- the asyncio side -------------------------------------------------------------------------------------------------


class _Awaited(Write, eq=False, kw_only=True):
    """A write whose caller waits."""

    future: asyncio.Future[Any]

    def tell(self) -> None:
        if self.future.done():
            return
        if isinstance(self.outcome, Exception):
            self.future.set_exception(self.outcome)
        else:
            self.future.set_result(self.outcome)


class _Aio:
    """The connections. Every method runs on the asyncio side."""

    def __init__(self, path: Path, writer: aiosqlite.Connection, readers: Sequence[aiosqlite.Connection]) -> None:
        self._path = path
        self._reserve = Reserve(path)
        self._writer = writer
        self._readers = tuple(readers)
        self._idle: asyncio.Queue[aiosqlite.Connection] = asyncio.Queue()
        for reader in self._readers:
            self._idle.put_nowait(reader)
        self._waiting: list[_Awaited] = []
        self._draining: asyncio.Task[None] | None = None
        self._closed = False
        self._resting: asyncio.Task[None] | None = None
        self._clock = asyncio.get_running_loop().time
        self._wrote_at = self._read_at = 0.0
        self._keeper = asyncio.ensure_future(self._keep())
        self._rest_on()

    async def write(self, run: Callable[[sqlite3.Connection], T], durable: bool) -> T:
        self._wrote_at = self._clock()
        try:
            return await self._write(run, durable)
        finally:
            self._rest_on()

    async def make_room(self, run: Callable[[sqlite3.Connection], T], leads_to_room: bool) -> T:
        """As `write`, for what makes room: where there is none to write it, in what is kept for this, all of it or some
        for what only leads to room."""
        reserve, given = self._reserve, self._reserve.given
        try:
            return await self.write(run, False)
        except StoreFull:
            had_room = await _in_thread(self._writer, reserve.give_some if leads_to_room else reserve.give_all)
            if not had_room and reserve.given == given:  # else another write had it given back meanwhile
                raise
        try:
            return await self.write(run, False)
        except StoreFull:
            reserve.was_in_vain(self._clock())
            raise

    async def write_in_parts(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """As `write`, for what begins and ends its own transactions."""
        self._wrote_at = self._clock()
        return await self._write(run, False, in_parts=True)

    async def _write(self, run: Callable[[sqlite3.Connection], T], durable: bool, in_parts: bool = False) -> T:
        self._check_open()
        write = _Awaited(run, durable, in_parts, future=asyncio.get_running_loop().create_future())
        self._waiting.append(write)
        if self._draining is None or self._draining.done():
            self._draining = asyncio.ensure_future(self._drain())
        try:
            return cast(T, await asyncio.shield(write.future))
        except asyncio.CancelledError:
            if write in self._waiting:
                self._waiting.remove(write)
                raise
            return cast(T, await write.future)  # it has begun, and what it comes to is the truth

    async def _drain(self) -> None:
        while self._waiting:
            writes = self._waiting[:WRITES_PER_COMMIT_MAX]
            del self._waiting[:WRITES_PER_COMMIT_MAX]
            try:
                await _in_thread(self._writer, commit, writes, self._path)
            finally:
                for write in writes:
                    write.tell()

    def _rest_on(self) -> None:
        """See to it that what was put off is done as soon as the writer rests."""
        if not self._closed and (self._resting is None or self._resting.done()):
            self._resting = asyncio.ensure_future(self._rest())

    async def _rest(self) -> None:
        is_more = True
        while is_more:
            while (rest := self._wrote_at + SEARCH_IDLE_S - self._clock()) > 0:  # noqa: ASYNC110 - a write moves it on
                await asyncio.sleep(rest)
            try:
                is_more = await self._write(self._get_on_politely, False, in_parts=True)
            except StoreError:  # full, damaged or closed: the next write comes back to it
                return
            if self._is_reading():
                await asyncio.sleep(SEARCH_GIVE_WAY_S)
        if self._reserve.is_due(self._clock()):  # in a thread of its own: 8 MiB would hold the next write up
            await asyncio.get_running_loop().run_in_executor(None, self._reserve.keep, self._clock())

    def _get_on_politely(self, db: sqlite3.Connection) -> bool:
        return sql_resting.get_on(db, SEARCH_SLICE, self._is_reading)

    def _is_reading(self) -> bool:
        """Whether somebody reads now or did a moment ago; asked from the writer's thread as well."""
        return self._idle.qsize() < len(self._readers) or self._clock() - self._read_at < SEARCH_GIVE_WAY_S

    async def search(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """As `read`, with the index of words brought on before, as far as that is quickly done."""
        with suppress(StoreFull, StoreDamaged):  # what is in can be read all the same
            for _ in range(SEARCH_CATCH_UP_MAX // SEARCH_SLICE):
                if await self._write(_read_slice, False, in_parts=True) < SEARCH_SLICE:
                    break
        return await self.read(run)

    async def read(self, run: Callable[[sqlite3.Connection], T]) -> T:
        self._check_open()
        reader = await self._idle.get()
        try:
            self._check_open()
            return await self._read_with(reader, run)
        finally:
            self._idle.put_nowait(reader)
            self._read_at = self._clock()

    async def _read_with(self, reader: aiosqlite.Connection, run: Callable[[sqlite3.Connection], T]) -> T:
        work = asyncio.ensure_future(_in_thread(reader, read, run, self._path))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            while not work.done():
                await reader.interrupt()
                await asyncio.wait([work], timeout=INTERRUPT_AGAIN_S)
            with suppress(P2pblogError, asyncio.CancelledError):
                work.result()
            raise

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"the database {self._path} is closed")

    async def close(self) -> None:
        self._keeper.cancel()
        await asyncio.wait([self._keeper])

    async def _keep(self) -> None:
        """Close at the end, also when the loop ends before somebody closed the store: a thread of aiosqlite that
        nobody ends can keep the process alive (its issue 290), and the journal would stay unfolded."""
        try:
            await asyncio.Event().wait()
        finally:
            self._closed = True
            if self._resting is not None:
                self._resting.cancel()
            if self._draining is not None:
                await asyncio.wait([self._draining])
            await self._close_readers()
            await self._writer.close()

    async def _close_readers(self) -> None:
        """Closing waits in line behind a query that runs, so that has to end first."""
        closing = {asyncio.ensure_future(reader.close()) for reader in self._readers}
        while closing:
            for reader in self._readers:
                with suppress(ValueError, sqlite3.ProgrammingError):  # closed already
                    await reader.interrupt()
            _, closing = await asyncio.wait(closing, timeout=INTERRUPT_AGAIN_S)


def _read_slice(db: sqlite3.Connection) -> int:
    return sql_indexer.read_some(db, SEARCH_SLICE)


# --- the trio side ----------------------------------------------------------------------------------------------------


class SqliteStore:
    """p2pblog.store.Store on a file; see there what each method gives."""

    def __init__(self, bridge: Bridge, aio: _Aio) -> None:
        self._bridge = bridge
        self._aio = aio
        self._checked = Checked()

    async def _write(self, function: Callable[[sqlite3.Connection, *Args], T], *args: *Args) -> T:
        return await self._bridge.run(self._aio.write, lambda db: function(db, *args), False)

    async def _write_in_parts(self, function: Callable[[sqlite3.Connection, *Args], T], *args: *Args) -> T:
        return await self._bridge.run(self._aio.write_in_parts, lambda db: function(db, *args))

    async def _make_room(self, function: Callable[[sqlite3.Connection, *Args], T], *args: *Args) -> T:
        return await self._bridge.run(self._aio.make_room, lambda db: function(db, *args), False)

    async def _lead_to_room(self, function: Callable[[sqlite3.Connection, *Args], T], *args: *Args) -> T:
        return await self._bridge.run(self._aio.make_room, lambda db: function(db, *args), True)

    async def _read(self, function: Callable[[sqlite3.Connection, *Args], T], *args: *Args) -> T:
        return await self._bridge.run(self._aio.read, lambda db: function(db, *args))

    async def load(self) -> Contents:
        return await self._read(sql_read.load)

    async def aclose(self) -> None:
        with trio.CancelScope(shield=True):
            await self._bridge.run(self._aio.close)

    async def put_identity(self, identity: Identity) -> None:
        await self._write(sql_write.put_identity, identity)

    async def put_identities(self, identities: Sequence[Identity]) -> None:
        await self._write(sql_write.put_identities, tuple(identities))

    async def append(self, batches: Sequence[Batch], now_ms: int, durable: bool = False) -> list[LogState]:
        kept, checked = tuple(batches), self._checked
        return await self._bridge.run(self._aio.write, lambda db: sql_write.append(db, kept, now_ms, checked), durable)

    async def put_payloads(self, device: DeviceKey, payloads: Sequence[tuple[int, bytes]]) -> LogState:
        return await self._write(sql_write.put_payloads, device, tuple(payloads))

    async def put_stray(self, located: Located, now_ms: int) -> None:
        await self._write(sql_write.put_stray, located, now_ms)

    async def freeze(self, proof: ForkProof) -> None:
        await self._write(sql_write.freeze, proof)

    async def drop_log(self, device: DeviceKey) -> None:
        await self._make_room(sql_write.drop_log, device)

    async def leave_log(self, device: DeviceKey, now_ms: int) -> None:
        await self._make_room(sql_room.leave_log, device, now_ms)

    async def drop_retracted(self, before_ms: int) -> int:
        dropped, place = await self._write_in_parts(sql_retracted.drop_some, before_ms, sql_retracted.FIRST)
        while place is not None:
            more, place = await self._write_in_parts(sql_retracted.drop_some, before_ms, place)
            dropped += more
        return dropped

    async def usage(self) -> Usage:
        return await self._read(sql_room.usage)

    async def bottoms(self) -> list[Bottom]:
        return await self._read(sql_room.bottoms)

    async def prune(self, device: DeviceKey, up_to: int, now_ms: int) -> PrunedLog:
        return await self._make_room(sql_room.prune, device, up_to, now_ms)

    async def prune_strays(self, passed: int, most: int) -> tuple[int, int]:
        return await self._make_room(sql_room.prune_strays, passed, most)

    async def lift_floors(self, identity: IdentityHash | None = None) -> list[LogState]:
        return await self._write(sql_room.lift_floors, identity)

    async def was_pruned(self, prefix: str) -> bool:
        return await self._read(sql_room.was_pruned, prefix.lower())

    async def give_back(self, pages: int) -> int:
        return await self._make_room(sql_room.give_back, pages)

    async def thread(self, notice: EntryId) -> Thread:
        return await self._read(sql_room.thread, notice)

    async def run(self, device: DeviceKey, first: int, last: int, bytes_max: int) -> Sequence[Entry]:
        return await self._read(sql_read.run, device, first, last, bytes_max, self._checked)

    async def timeline(self, query: TimelineQuery) -> list[Row]:
        return await self._read(sql_read.timeline, query)

    async def versions(self, notice: EntryId) -> list[Version]:
        return await self._read(sql_read.versions, notice)

    async def refs(self, ids: Sequence[EntryId]) -> list[tuple[Ref, ...]]:
        return await self._read(sql_read.refs, tuple(ids))

    async def news(
        self, limit: int, before: EntryId | None = None, unread: bool = False, but_of: Collection[bytes] = ()
    ) -> list[News]:
        return await self._read(sql_read.news, limit, before, unread, frozenset(but_of))

    async def end_polls(self, now_ms: int) -> int:
        return await self._write_in_parts(sql_polls.end_polls, now_ms)

    async def mark_news_read(self) -> int:
        return await self._write(sql_write.mark_news_read)

    async def search(self, query: SearchQuery) -> SearchResult:
        return await self._bridge.run(self._aio.search, lambda db: sql_search.search(db, query))

    async def rows(self, ids: Sequence[EntryId]) -> list[Row]:
        return await self._read(sql_read.rows, tuple(ids))

    async def reactions(self, identity: IdentityHash, notice: EntryId, kind: Kind) -> list[EntryId]:
        return await self._read(sql_read.reactions, identity, notice, kind)

    async def pins(self, identity: IdentityHash) -> list[EntryId]:
        return await self._read(sql_read.pins, identity)

    async def dms(self, limit: int, before: EntryId | None = None, untold: bool = False) -> list[DmRow]:
        return await self._read(sql_dms.dms, limit, before, untold)

    async def settle_dms(self, for_us: Sequence[EntryId], for_others: Sequence[EntryId], now_ms: int) -> None:
        await self._write_in_parts(sql_dms.settle_dms, tuple(for_us), tuple(for_others), now_ms)

    async def find_ids(self, prefix: str) -> list[EntryId]:
        return await self._read(sql_read.find_ids, prefix)

    async def locate(self, entry: EntryId) -> Located | None:
        return await self._read(sql_read.locate, entry)

    async def id_at(self, device: DeviceKey, seq: int) -> EntryId | None:
        return await self._read(sql_read.entry_at, device, seq)

    async def find_files(self, prefix: str) -> list[FileHash]:
        return await self._read(sql_read.find_files, prefix)

    async def taken_back_by(self, author: IdentityHash, entry: EntryId) -> EntryId | None:
        return await self._read(sql_read.taken_back_by, author, entry)

    async def taken_back(self, device: DeviceKey, since_ms: int) -> list[int]:
        return await self._read(sql_read.taken_back, device, since_ms)

    async def references(self, file: FileHash) -> list[Reference]:
        return await self._read(sql_read.references, file)

    async def promised_size(self, file: FileHash) -> int:
        return await self._read(sql_read.promised_size, file)

    async def unreferred(self, files: Sequence[FileHash]) -> list[FileHash]:
        return await self._read(sql_read.unreferred, tuple(files))

    async def profile(self, identity: IdentityHash) -> tuple[str | None, str | None]:
        return await self._read(sql_read.profile, identity)

    async def names(self, identities: Collection[IdentityHash]) -> dict[IdentityHash, str | None]:
        return await self._read(sql_read.names, tuple(identities))

    async def whole_profile(self, identity: IdentityHash) -> Profile | None:
        return await self._read(sql_read.whole_profile, identity)

    async def entry_count(self, device: DeviceKey | None = None) -> int:
        return await self._read(sql_read.entry_count, device)

    async def put_admitted(self, identity: IdentityHash, now_ms: int) -> bool:
        return await self._write(sql_strangers.put_admitted, identity, now_ms)

    async def drop_admitted(self, identity: IdentityHash) -> bool:
        return await self._write(sql_strangers.drop_admitted, identity)

    async def admitted(self) -> list[Admitted]:
        return await self._read(sql_strangers.admitted)

    async def vouches(self, by: IdentityHash, subject: IdentityHash | None = None) -> list[Vouched]:
        return await self._read(sql_strangers.vouches, by, subject)

    async def vouchers(self, subject: IdentityHash) -> list[IdentityHash]:
        return await self._read(sql_strangers.vouchers, subject)

    async def put_mute(self, mute: Mute, now_ms: int) -> bool:
        return await self._write(sql_write.put_mute, mute, now_ms)

    async def drop_mute(self, kind: MuteKind, what: bytes) -> bool:
        return await self._write(sql_write.drop_mute, kind, what)

    async def put_block(self, block: Block) -> bool:
        return await self._lead_to_room(sql_write.put_block, block)

    async def drop_block(self, identity: IdentityHash) -> bool:
        return await self._write(sql_write.drop_block, identity)

    async def window(self, identity: IdentityHash, from_ms: int, to_ms: int, limit: int) -> list[Rated]:
        return await self._read(sql_read.window, identity, from_ms, to_ms, limit)

    async def boosts_at_home(self, notice: EntryId) -> list[EntryId]:
        return await self._read(sql_read.boosts_at_home, notice)

    async def put_bookmark(self, notice: EntryId, now_ms: int) -> bool:
        return await self._write(sql_write.put_bookmark, notice, now_ms)

    async def drop_bookmark(self, notice: EntryId) -> bool:
        return await self._write(sql_write.drop_bookmark, notice)

    async def bookmarks(self, limit: int, before: EntryId | None = None) -> list[Row]:
        return await self._read(sql_read.bookmarks, limit, before)

    async def put_follow(self, follow: Follow) -> None:
        await self._write(sql_write.put_follow, follow)

    async def drop_follow(self, identity: IdentityHash) -> None:
        await self._write(sql_write.drop_follow, identity)

    async def follow_rows(self, of: Collection[IdentityHash] | None = None) -> list[FollowRow]:
        return await self._read(sql_read.follow_rows, of)

    async def put_list(self, name: str) -> bool:
        return await self._write(sql_lists.put_list, name)

    async def drop_list(self, name: str) -> None:
        await self._write(sql_lists.drop_list, name)

    async def put_members(self, name: str, identities: Sequence[IdentityHash]) -> bool:
        return await self._write(sql_lists.put_members, name, tuple(identities))

    async def drop_members(self, name: str, identities: Sequence[IdentityHash]) -> None:
        await self._write(sql_lists.drop_members, name, tuple(identities))

    async def members(self, name: str) -> list[IdentityHash]:
        return await self._read(sql_lists.members, name)

    async def lists(self) -> list[ListRow]:
        return await self._read(sql_lists.lists)

    async def listed(self) -> list[IdentityHash]:
        return await self._read(sql_lists.listed)

    async def put_group(self, name: str, now_ms: int) -> bool:
        return await self._write(sql_groups.put_group, name, now_ms)

    async def drop_group(self, name: str) -> bool:
        return await self._write(sql_groups.drop_group, name)

    async def group(self, name: str) -> GroupRow | None:
        return await self._read(sql_groups.group, name)

    async def groups(self) -> list[GroupRow]:
        return await self._read(sql_groups.groups)

    async def put_peers(self, peers: Sequence[KnownPeer]) -> None:
        await self._write(sql_write.put_peers, tuple(peers))

    async def put_setting(self, key: str, value: bytes | None) -> None:
        put = self._lead_to_room if key.startswith(CONFIG) else self._write  # a lower cap does
        await put(sql_write.put_setting, key, value)

    async def settings(self, prefix: str) -> dict[str, bytes]:
        return await self._read(sql_read.settings, prefix)
