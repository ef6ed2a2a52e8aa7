"""What reads the database: one function a query, each run inside one transaction and so on one state of it.

Every query walks an index made for it; tests/store/test_plans.py asks the planner.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from heapq import merge
from itertools import islice

from p2pblog.config import (
    CHECKPOINT_EVERY,
    PINS_MAX,
    PINS_READ_MAX,
    RUN_BYTES_MAX,
    RUN_ENTRIES_MAX,
    THREAD_NOTICES_MAX,
    TIMELINE_ROWS_MAX,
)
from p2pblog.core import codec
from p2pblog.core.entry import Entry, check_signed, decode_body
from p2pblog.core.identity import Identity
from p2pblog.core.keys import DeviceKey, EntryId, IdentityHash
from p2pblog.core.logs import Located, Span
from p2pblog.core.media import FileHash
from p2pblog.core.payload import Profile, Ref
from p2pblog.core.quiet import Mute, MuteKind, Rated
from p2pblog.core.runs import VerifiedRun, in_columns
from p2pblog.core.timelines import Row
from p2pblog.errors import NotFound, StoreDamaged
from p2pblog.store import (
    Block,
    Contents,
    Follow,
    FollowRow,
    KnownPeer,
    Reference,
    Thread,
    TimelineQuery,
)
from p2pblog.store.conversations import named_in, walk_thread
from p2pblog.store.meaning import Kind, News, Version, called, group_word, is_retractable, news_of, profile_of
from p2pblog.store.referring import ENTRIES_PER_LOG, Referring, largest, told_of
from p2pblog.store.spans import span_of
from p2pblog.store.sql_base import (
    FEED,
    HOME,
    IDS,
    LAST_PLACE,
    PREFIX_BYTES,
    SEQ_MASK,
    LogRow,
    feed_of,
    feed_record,
    id_at,
    identity_no,
    in_steps,
    key_of_id,
    log_of_device,
    log_of_key,
    logs_of_owner,
    place_of,
    place_record,
    read_entries,
    read_feed,
    read_place,
)
from p2pblog.store.sql_damage import Checked, pass_over_part, read_log_states, readable_spans, whole_run
from p2pblog.store.sql_rows import KEYS_AT_ONCE, TAKEN_BACK_BY, RowReader
from p2pblog.store.sql_strangers import places_of_strangers
from p2pblog.store.sql_transactions import unless_damaged
from p2pblog.store.stretch import cut_run, is_as_signed

# --- at the start -----------------------------------------------------------------------------------------------------


def load(db: sqlite3.Connection) -> Contents:
    wires = db.execute("SELECT wire, hash FROM identity WHERE wire IS NOT NULL ORDER BY hash").fetchall()
    logs, damaged = read_log_states(db)
    return Contents(
        tuple(Identity.restore(wire, hash_) for wire, hash_ in wires),
        tuple(logs),
        tuple(_follows(db)),
        tuple(KnownPeer(*row) for row in db.execute("SELECT * FROM peer ORDER BY endpoint").fetchall()),
        settings(db, ""),
        tuple(mutes(db)),
        tuple(Block(*row) for row in db.execute("SELECT identity, since FROM block ORDER BY since, identity")),
        tuple(damaged),
    )


def _follows(db: sqlite3.Connection) -> list[Follow]:
    rows = db.execute(
        "SELECT identity, petname, since, no_boosts, budget, private FROM follow ORDER BY since, identity"
    )
    return [
        Follow(identity, petname, since, bool(no_boosts), budget, bool(private))
        for identity, petname, since, no_boosts, budget, private in rows.fetchall()
    ]


def settings(db: sqlite3.Connection, prefix: str) -> dict[str, bytes]:
    """Those whose names begin so. Values can be large, so what lies behind them is not read."""
    end = prefix + chr(sys.maxunicode)
    rows = db.execute("SELECT name, value FROM setting WHERE name >= ? AND name < ? ORDER BY name", (prefix, end))
    return dict(rows.fetchall())


# --- for peers --------------------------------------------------------------------------------------------------------


def run(
    db: sqlite3.Connection, device: DeviceKey, first: int, last: int, bytes_max: int, checked: Checked | None = None
) -> Sequence[Entry]:
    log = log_of_device(db, device)
    span = None if log is None else span_of(readable_spans(db, log), first)
    if log is None or span is None or last < first:
        return []
    end = min(span.high, last + CHECKPOINT_EVERY - 1, first + RUN_ENTRIES_MAX - 1)
    try:
        found = in_columns(cut_run(_read_within(db, log, span, first, end), last, bytes_max, RUN_BYTES_MAX))
        if found and (checked or Checked()).is_sound(log.no, found):
            return found
    except Exception as error:
        pass_over_part(log, error)
    return whole_run(db, log, span, (first, end), last, bytes_max)


def _read_within(db: sqlite3.Connection, log: LogRow, span: Span, first: int, last: int) -> VerifiedRun:
    """Entries inside this span."""
    prev = span.low_prev if first == span.low else id_at(db, log.key(first - 1))
    return read_entries(db, log, first, last, prev)


def locate(db: sqlite3.Connection, entry: EntryId) -> Located | None:
    key = key_of_id(db, entry)
    if key is None:
        return None
    log, seq = log_of_key(db, key), key & SEQ_MASK
    stray = db.execute("SELECT prev, chain FROM stray WHERE key = ?", (key,)).fetchone()
    if stray is not None:
        return located_stray(db, log, seq, *stray)
    span = span_of(readable_spans(db, log), seq)
    assert span is not None
    signed = db.execute(SIGNED, (key, log.key(min(span.high, seq + CHECKPOINT_EVERY)))).fetchone()
    if signed is None:
        raise StoreDamaged(f"no signature vouches for entry {seq} of log {log.no}")
    entries = _read_within(db, log, span, seq, signed[0] & SEQ_MASK)
    _check_vouched(log, entries)
    return Located(log.identity, entries[0], tuple(after.without_payload() for after in entries[1:]))


def located_stray(db: sqlite3.Connection, log: LogRow, seq: int, prev: EntryId | None, packed: bytes) -> Located:
    """A single entry with what vouches for it, as it came. Raises StoreDamaged unless it is as it was signed."""
    held, chain = read_entries(db, log, seq, seq, prev)[0], _read_chain(packed)
    _check_vouched(log, (held, *chain))
    return Located(log.identity, held, chain)


SIGNED = "SELECT key FROM signature WHERE key BETWEEN ? AND ? ORDER BY key LIMIT 1"


def _check_vouched(log: LogRow, entries: Sequence[Entry]) -> None:
    """Raises StoreDamaged unless these are as they were signed."""
    if not is_as_signed(in_columns(entries)):
        raise StoreDamaged(f"entry {entries[0].seq} of log {log.no} is not as it was signed")


def entry_at(db: sqlite3.Connection, device: DeviceKey, seq: int) -> EntryId | None:
    log = log_of_device(db, device)
    row = None if log is None else db.execute("SELECT id FROM entry WHERE key = ?", (log.key(seq),)).fetchone()
    return None if row is None else EntryId(row[0])


def _read_chain(packed: bytes) -> tuple[Entry, ...]:
    stored = codec.unpack(packed, bytes_max=len(packed))
    if not stored:
        return ()
    bodies, signature = stored
    entries = [decode_body(body) for body in bodies]
    return (*entries[:-1], check_signed(entries[-1], signature))


# --- for a person -----------------------------------------------------------------------------------------------------


def timeline(db: sqlite3.Connection, query: TimelineQuery) -> list[Row]:
    place = LAST_PLACE if query.before is None else place_of(db, query.before)
    limit = max(0, min(query.limit, TIMELINE_ROWS_MAX))
    places: Iterator[tuple[int, ...]]
    if query.strangers:
        places = places_of_strangers(db, place)
    elif query.tag is not None or query.group is not None:
        places = _tagged(db, query, place)
    elif query.identities is None:
        places = (read_place(record) for record in HOME.below(db, place_record(*place)))
    else:
        owners = (identity_no(db, identity) for identity in dict.fromkeys(query.identities))
        feeds = (feed_of(db, owner, place) for owner in owners if owner is not None)
        places = merge(*feeds, reverse=True)
    return RowReader(db).rows((key for _, key in places), limit)


def _tagged(db: sqlite3.Connection, query: TimelineQuery, before: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """(sort, key) of notices with a tag, in a group or both, newest first, from below that place; all, or of people."""
    words = [] if query.group is None else [group_word(query.group)]
    words += [] if query.tag is None else [query.tag]
    found: Iterator[tuple[int, int]] = db.execute(TAGGED, (words[0], *before))
    for word in words[1:]:
        found = (place for place in found if db.execute(STANDS_UNDER, (word, *place)).fetchone())
    if query.identities is None:
        return found
    owners = (identity_no(db, identity) for identity in dict.fromkeys(query.identities))
    logs = {log.no for owner in owners if owner is not None for log in logs_of_owner(db, owner)}
    return (place for place in found if place[1] >> 32 in logs)


TAGGED = "SELECT sort, key FROM tag WHERE tag = ? AND (sort, key) < (?, ?) ORDER BY sort DESC, key DESC"
STANDS_UNDER = "SELECT 1 FROM tag WHERE tag = ? AND sort = ? AND key = ?"


def rows_at(db: sqlite3.Connection, keys: Iterable[int], limit: int) -> list[Row]:
    """The first notices and boosts at these keys that may be shown, at most `limit`."""
    return RowReader(db).rows_within(keys, limit)


def rows(db: sqlite3.Connection, ids: Sequence[EntryId]) -> list[Row]:
    return RowReader(db).rows_of(ids)


def window(db: sqlite3.Connection, identity: IdentityHash, from_ms: int, to_ms: int, limit: int) -> list[Rated]:
    owner = identity_no(db, identity)
    if owner is None:
        return []
    keys = _keys_between(db, owner, max(0, from_ms), to_ms)
    return [Rated(row, _praise(db, row)) for row in RowReader(db).rows(keys, max(0, limit))]


def _keys_between(db: sqlite3.Connection, owner: int, from_ms: int, to_ms: int) -> Iterator[int]:
    """The keys of what stands in an author's timeline from then on and before then, the earliest first."""
    for record in FEED.above(db, feed_record(owner, from_ms, 0)):
        whose, sort, key = read_feed(record)
        if whose != owner or sort >= to_ms:
            return
        yield key


def _praise(db: sqlite3.Connection, row: Row) -> int:
    boosted = row.of_author if row.type == "boost" else None
    found = db.execute(PRAISE, (row.boost_of or row.id, row.author, boosted or row.author)).fetchone()
    return int(found[0])


_PRAISE = """(SELECT count(*) FROM (SELECT 1 FROM reaction r JOIN identity i ON i.no = r.author WHERE r.target = ?1
            AND r.kind = {} AND i.at_home AND i.hash NOT IN (?2, ?3) GROUP BY r.author))"""
PRAISE = f"SELECT {_PRAISE.format(int(Kind.LIKE))} + {_PRAISE.format(int(Kind.BOOST))}"


def boosts_at_home(db: sqlite3.Connection, notice: EntryId) -> list[EntryId]:
    return sorted(EntryId(found) for (found,) in db.execute(BOOSTS_AT_HOME, (notice, int(Kind.BOOST))))


BOOSTS_AT_HOME = """SELECT e.id FROM reaction r JOIN identity i ON i.no = r.author JOIN entry e ON e.key = r.key
                    WHERE r.target = ? AND r.kind = ? AND i.at_home"""


def mutes(db: sqlite3.Connection) -> list[Mute]:
    rows = db.execute("SELECT kind, what, since, until FROM mute ORDER BY kind, what").fetchall()
    return [Mute(MuteKind(kind), what, since, until) for kind, what, since, until in rows]


def thread(db: sqlite3.Connection, notice: EntryId) -> Thread:
    reader = RowReader(db)
    walk = walk_thread(notice, reader.node, reader.replies, THREAD_NOTICES_MAX)
    notices = [row for row in reader.rows_of(walk.held) if row.type == "note"]
    return Thread(walk.root, tuple(notices), *named_in(walk, notices, reader.node), walk.waiting)


def versions(db: sqlite3.Connection, notice: EntryId) -> list[Version]:
    return RowReader(db).versions(notice)


def refs(db: sqlite3.Connection, ids: Sequence[EntryId]) -> list[tuple[Ref, ...]]:
    return RowReader(db).refs(ids)


def news(
    db: sqlite3.Connection,
    limit: int,
    before: EntryId | None = None,
    unread: bool = False,
    but_of: Collection[bytes] = (),
) -> list[News]:
    reader, below = RowReader(db), LAST_PLACE[0]
    if before is not None:
        found = db.execute("SELECT no FROM news WHERE key = ? AND NOT waits", (key_of_id(db, before),)).fetchone()
        if found is None:
            raise NotFound("that is no notification")
        (below,) = found
    limit = max(0, limit)
    rows: Iterable[tuple[int, int]] = db.execute(UNREAD if unread else NEWS, (below,))
    if but_of:
        rows = _rows_but_of(db, rows, but_of)
    found = (each for each in told(reader, rows, limit) if each.author not in but_of)  # of a poll its author
    return list(islice(found, limit))


def _rows_but_of(
    db: sqlite3.Connection, rows: Iterable[tuple[int, int]], but_of: Collection[bytes]
) -> Iterator[tuple[int, int]]:
    """Any number of rows is passed over, each by the log that it is of, before anything is read of it."""
    is_of_them: dict[int, bool] = {}
    for key, is_read in rows:
        no = key >> 32
        if no not in is_of_them:
            is_of_them[no] = log_of_key(db, key).identity in but_of
        if not is_of_them[no]:
            yield key, is_read


def told(reader: RowReader, rows: Iterable[tuple[int, int]], at_once: int = KEYS_AT_ONCE) -> Iterator[News]:
    """What rows of `news`, as (key, whether it was read), tell; nothing of a poll that is here no more."""
    for step in in_steps(rows, max(1, min(at_once, KEYS_AT_ONCE))):
        reader.expect(key for key, _ in step)
        for key, is_read in step:
            shown = reader.shown_if(key)
            found = None if shown is None else news_of(shown, reader.is_own, bool(is_read), reader.shown_by_id)
            if found is not None:
                yield found


NEWS = "SELECT key, is_read FROM news INDEXED BY news_told WHERE NOT waits AND no < ? ORDER BY no DESC"
UNREAD = """SELECT key, is_read FROM news INDEXED BY news_unread
            WHERE NOT waits AND NOT is_read AND no < ? ORDER BY no DESC"""


def reactions(db: sqlite3.Connection, identity: IdentityHash, notice: EntryId, kind: Kind) -> list[EntryId]:
    return [EntryId(found) for (found,) in db.execute(REACTIONS, (identity, notice, int(kind))).fetchall()]


REACTIONS = """SELECT e.id FROM identity i JOIN reaction r ON r.author = i.no JOIN entry e ON e.key = r.key
               WHERE i.hash = ?1 AND r.target = ?2 AND r.kind = ?3 ORDER BY r.key"""


def pins(db: sqlite3.Connection, identity: IdentityHash) -> list[EntryId]:
    reader = RowReader(db)
    targets = db.execute(PINS, (identity, PINS_READ_MAX)).fetchall()
    shown = (reader.shown_by_id(EntryId(target)) for (target,) in targets)
    found = (each.id for each in shown if each is not None and each.kind == Kind.NOTE and each.author == identity)
    return list(islice(dict.fromkeys(found), PINS_MAX))


PINS = """SELECT e."of" FROM identity i JOIN pin p ON p.author = i.no JOIN entry e ON e.key = p.key
          WHERE i.hash = ? ORDER BY p.sort DESC, p.key DESC LIMIT ?"""


def find_ids(db: sqlite3.Connection, prefix: str) -> list[EntryId]:
    between = _between(prefix)
    if between is None:
        return []
    if between[0] == between[1]:  # a whole id: found in the first generation that has it
        return [EntryId(between[0])] if key_of_id(db, EntryId(between[0])) is not None else []
    return list(islice(_ids_between(db, *between), 2))


def _between(prefix: str) -> tuple[bytes, bytes] | None:
    """The lowest and the highest 32 bytes that begin with these hex digits."""
    try:
        low = bytes.fromhex(prefix.ljust(64, "0"))
        high = bytes.fromhex(prefix.ljust(64, "f"))
    except ValueError:
        return None
    return (low, high) if len(low) == 32 else None


def _ids_between(db: sqlite3.Connection, low: bytes, high: bytes) -> Iterator[EntryId]:
    for record in IDS.above(db, low[:PREFIX_BYTES]):
        if record[:PREFIX_BYTES] > high[:PREFIX_BYTES]:
            return
        identifier = id_at(db, int.from_bytes(record[PREFIX_BYTES:], "big"))
        if low <= identifier <= high:
            yield identifier


def find_files(db: sqlite3.Connection, prefix: str) -> list[FileHash]:
    between = _between(prefix)
    return [] if between is None else [FileHash(file) for (file,) in db.execute(FILES, between).fetchall()]


FILES = "SELECT DISTINCT file FROM attachment WHERE file BETWEEN ? AND ? ORDER BY file LIMIT 2"


def taken_back_by(db: sqlite3.Connection, author: IdentityHash, entry: EntryId) -> EntryId | None:
    key = key_of_id(db, entry)
    if key is not None:
        (kind,) = db.execute("SELECT kind FROM entry WHERE key = ?", (key,)).fetchone()
        if not is_retractable(kind, key & SEQ_MASK):
            return None
    (found,) = db.execute(TAKEN_BACK_BY, (author, entry)).fetchone()
    return None if found is None else EntryId(found)


def taken_back(db: sqlite3.Connection, device: DeviceKey, since_ms: int) -> list[int]:
    log = log_of_device(db, device)
    rows = [] if log is None else db.execute(TAKEN_BACK_SINCE, (*log.keys, since_ms)).fetchall()
    return [key & SEQ_MASK for (key,) in rows]


TAKEN_BACK_SINCE = """SELECT r.key FROM retracted r JOIN entry e ON e.key = r.key
                      WHERE r.key BETWEEN ? AND ? AND e.time > ? ORDER BY r.key"""
"""What was taken back stands in `retracted` for as long as its bytes are kept, so that these are few."""


def references(db: sqlite3.Connection, file: FileHash) -> list[Reference]:
    return told_of(_references(db, file, ENTRIES_PER_LOG))


def promised_size(db: sqlite3.Connection, file: FileHash) -> int:
    return largest(_references(db, file, 1), file)


def _references(db: sqlite3.Connection, file: FileHash, per_log: int) -> Iterator[Reference]:
    """Those of the first entries of each log that refer to a file: from one log the index is entered at the next."""
    reader, above = RowReader(db), 0
    while keys := [key for (key,) in db.execute(REFERRING, (file, above, per_log)).fetchall()]:
        above = keys[0] | SEQ_MASK
        for key in reader.expect(key for key in keys if key <= above):
            shown = reader.shown_if(key)
            if shown is None:  # its row is lost
                continue
            found = Referring(shown.id, IdentityHash(shown.author), shown.payload, shown.kind == Kind.PROFILE)
            yield from found.references(file)


REFERRING = "SELECT key FROM attachment WHERE file = ? AND key > ? ORDER BY key LIMIT ?"


def unreferred(db: sqlite3.Connection, files: Sequence[FileHash]) -> list[FileHash]:
    return [file for file in files if not db.execute(IS_REFERRED, (file,)).fetchone()]


IS_REFERRED = "SELECT 1 FROM attachment WHERE file = ? LIMIT 1"


def profile(db: sqlite3.Connection, identity: IdentityHash) -> tuple[str | None, str | None]:
    return called(whole_profile(db, identity))


def names(db: sqlite3.Connection, identities: Collection[IdentityHash]) -> dict[IdentityHash, str | None]:
    return {identity: _name(db, identity) or None for identity in identities}


def _name(db: sqlite3.Connection, identity: IdentityHash) -> str | None:
    """None also where it is damaged: whom one follows must come out of any database."""
    return (unless_damaged(profile, db, identity) or (None, None))[0]


def whole_profile(db: sqlite3.Connection, identity: IdentityHash) -> Profile | None:
    found = db.execute(NEWEST_PROFILE, (identity,)).fetchone()
    return profile_of(None if found is None else found[0])


NEWEST_PROFILE = """SELECT e.payload FROM identity i JOIN profile p ON p.author = i.no JOIN entry e ON e.key = p.key
                    WHERE i.hash = ? ORDER BY p.sort DESC, p.key DESC LIMIT 1"""


def bookmarks(db: sqlite3.Connection, limit: int, before: EntryId | None = None) -> list[Row]:
    place = (LAST_PLACE[0], b"")
    if before is not None:
        found = db.execute("SELECT since, id FROM bookmark WHERE id = ?", (before,)).fetchone()
        if found is None:
            raise NotFound("that notice is not bookmarked")
        place = found
    return RowReader(db).rows_of((EntryId(notice) for (notice,) in db.execute(BOOKMARKS, place)), max(0, limit))


BOOKMARKS = "SELECT id FROM bookmark WHERE (since, id) < (?, ?) ORDER BY since DESC, id DESC"


def entry_count(db: sqlite3.Connection, device: DeviceKey | None = None) -> int:
    found = db.execute(COUNT) if device is None else db.execute(COUNT_OF_LOG, (device,))
    return int(found.fetchone()[0])


COUNT = "SELECT coalesce(sum(high - low + 1), 0) FROM span"
COUNT_OF_LOG = f"{COUNT} s JOIN log l ON l.no = s.log WHERE l.device = ?"


def follow_rows(db: sqlite3.Connection, of: Collection[IdentityHash] | None = None) -> list[FollowRow]:
    return [_follow_row(db, follow) for follow in _follows(db) if of is None or follow.identity in of]


def _follow_row(db: sqlite3.Connection, follow: Follow) -> FollowRow:
    owner, terms = identity_no(db, follow.identity), (follow.no_boosts, follow.budget, follow.private)
    if owner is None:
        return FollowRow(follow.identity, None, follow.petname, 0, None, *terms)
    (entries,) = db.execute(
        """SELECT coalesce(sum(s.high - s.low + 1), 0) FROM log l JOIN span s ON s.log = l.no WHERE l.owner = ?""",
        (owner,),
    ).fetchone()
    newest, name = unless_damaged(_newest_ms, db, owner), _name(db, follow.identity)
    (pruned,) = db.execute("SELECT coalesce(sum(pruned), 0) FROM log WHERE owner = ?", (owner,)).fetchone()
    return FollowRow(follow.identity, name, follow.petname, entries, newest, *terms, pruned)


def _newest_ms(db: sqlite3.Connection, owner: int) -> int | None:
    for _, key in feed_of(db, owner):
        return int(db.execute("SELECT time FROM entry WHERE key = ?", (key,)).fetchone()[0])
    return None
