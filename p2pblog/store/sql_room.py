"""What makes room in the database: old entries of others go, and what a person holds on to stays as a stray.

Which log gives up what is decided outside (core/room.py); here is what stays of it, and what goes along.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from itertools import groupby

from p2pblog.config import DELETES_WAITING_MAX
from p2pblog.core import codec
from p2pblog.core.keys import DeviceKey, EntryId, IdentityHash
from p2pblog.core.logs import LogState
from p2pblog.core.value import replace
from p2pblog.errors import BadChain
from p2pblog.store import Bottom, PrunedLog, Thread, Usage
from p2pblog.store.meaning import IN_TIMELINES, Kind, meaning_of, ref_of, taken_back_ref
from p2pblog.store.spans import span_of
from p2pblog.store.sql_base import (
    FEED,
    HOME,
    LogRow,
    feed_record,
    id_at,
    identity_no,
    key_of_id,
    log_of_device,
    log_of_key,
    logs_of_owner,
    place_record,
    read_log_state,
    read_spans,
    sort_at,
)
from p2pblog.store.sql_index import Item, author_of, drop_bare, drop_stray, enter, forget, read_items
from p2pblog.store.sql_lent import is_ours, lend_no_more, lent_within, take_back
from p2pblog.store.sql_news import own_identity, own_no
from p2pblog.store.sql_read import locate, pins
from p2pblog.store.sql_read import thread as read_thread
from p2pblog.store.sql_strangers import is_stranger
from p2pblog.store.sql_transactions import pass_over
from p2pblog.store.sql_write import BY_HAND, HELD_BY_HAND, reclaim

FREE_PART = 4


def prepare(db: sqlite3.Connection) -> None:
    """Let the file shrink, not only be filled again; on an open database (autocommit), before anything else. A file
    from before that was made so is written anew (VACUUM) once a fourth of it is free, if the disk has room for both."""
    (mode,), (pages,), (free,) = (
        db.execute(f"PRAGMA {name}").fetchone() for name in ("auto_vacuum", "page_count", "freelist_count")
    )
    if mode or (pages and free * FREE_PART <= pages):
        return
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    if pages:
        with suppress(sqlite3.OperationalError):  # no room, or locked: the next start comes back to it
            db.execute("VACUUM")


# --- how much there is ------------------------------------------------------------------------------------------------


def usage(db: sqlite3.Connection) -> Usage:
    """Pages that were freed are used again before the file grows: they are room, not load."""
    (pages,), (free,), (size,) = (
        db.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "freelist_count", "page_size")
    )
    (pruned,) = db.execute("SELECT coalesce(sum(l.pruned), 0) FROM log l").fetchone()
    return Usage((pages - free) * size, free * size, pruned)


def bottoms(db: sqlite3.Connection) -> list[Bottom]:
    found = []
    for device, owner, no in db.execute(LOGS_HELD).fetchall():
        try:
            spans = db.execute("SELECT low, high FROM span WHERE log = ? ORDER BY low", (no,)).fetchall()
            low, high = spans[0][0], spans[-1][1]
            sort = sort_at(db, no << 32 | low)
        except Exception as error:
            pass_over(error)  # what is damaged may not keep all others from being cut
        else:
            found.append(Bottom(device, owner, low, high, sort))
    return found


LOGS_HELD = """SELECT l.device, i.hash, l.no FROM log l JOIN identity i ON i.no = l.owner
               WHERE EXISTS (SELECT 1 FROM span WHERE span.log = l.no) ORDER BY l.no"""


# --- what goes --------------------------------------------------------------------------------------------------------


def prune(db: sqlite3.Connection, device: DeviceKey, up_to: int, now_ms: int) -> PrunedLog:
    log = log_of_device(db, device)
    if log is None:
        raise BadChain("room is to be made in a log that is not held")
    spans = read_spans(db, log.no)
    pieces = [(span.low, min(span.high, up_to)) for span in spans if span.low <= up_to]
    before = None if span_of(spans, up_to) is None else id_at(db, log.key(up_to))
    items = [item for low, high in pieces for item in read_items(db, range(log.key(low), log.key(high) + 1))]
    gone = _drop_most(db, log, items, now_ms, not log.is_kept and is_stranger(db, log.owner))
    _raise_floor(db, log, up_to, before, gone)
    state = read_log_state(db, log)
    left = None if not state.spans else sort_at(db, log.key(state.spans[0].low))
    return PrunedLog(state, gone, left)


def leave_log(db: sqlite3.Connection, device: DeviceKey, now_ms: int) -> None:
    log = log_of_device(db, device)
    if log is None:
        return
    log = reclaim(db, log, log.identity)  # until strays were lent, all of it was hidden
    keys = (key for span in read_spans(db, log.no) for key in range(log.key(span.low), log.key(span.high) + 1))
    _drop_most(db, log, read_items(db, list(keys)), now_ms, is_stranger(db, log.owner))
    db.execute("DELETE FROM span WHERE log = ?", (log.no,))
    db.execute("UPDATE log SET fork = NULL, floor = 0, pruned = 0 WHERE no = ?", (log.no,))
    drop_bare(db, log)


def _drop_most(db: sqlite3.Connection, log: LogRow, items: Sequence[Item], now_ms: int, only_by_hand: bool) -> int:
    """Forget these entries of runs, all but what stays as strays; gives how many went. Spans are the caller's.
    `only_by_hand`: of a stranger, whose log anybody can have us hold, nothing stays but what is held by hand."""
    if items and is_ours(db, log):
        lend_no_more(db, items[0].key, items[-1].key)
    lent = lent_within(db, items[0].key, items[-1].key) if items else []
    kept = _kept(db, log, items, set(lent), only_by_hand)
    fresh = kept.difference(lent)
    _make_strays(db, log, [item for item in items if item.key in fresh], now_ms)
    take_back(db, log, lent)
    for is_kept, same in groupby(items, lambda item: item.key in kept):
        for low, high in () if is_kept else _stretches([item.key for item in same]):
            forget(db, log, low, high)
    return len(items) - len(kept)


def _stretches(keys: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Keys in ascending order as (first, last) of those that follow one another: between spans lie strays, perhaps."""
    start = 0
    for at in range(1, len(keys) + 1):
        if at == len(keys) or keys[at] != keys[at - 1] + 1:
            yield keys[start], keys[at - 1]
            start = at


def _raise_floor(db: sqlite3.Connection, log: LogRow, up_to: int, before: EntryId | None, gone: int) -> None:
    """What is left begins behind the cut, `before` which is the last that went. Where nothing is left, nobody follows
    the log any more and so asks for more: it has no floor either."""
    db.execute("DELETE FROM span WHERE log = ? AND high <= ?", (log.no, up_to))
    cut = (up_to + 1, before, log.no, up_to)
    db.execute("UPDATE span SET low = ?, low_prev = ? WHERE log = ? AND low <= ?", cut)
    (left,) = db.execute("SELECT EXISTS (SELECT 1 FROM span WHERE log = ?)", (log.no,)).fetchone()
    db.execute(
        "UPDATE log SET floor = CASE WHEN ?1 THEN max(floor, ?2) ELSE 0 END, pruned = pruned + ?3 WHERE no = ?4",
        (left, up_to, gone, log.no),
    )


def _make_strays(db: sqlite3.Connection, log: LogRow, items: Sequence[Item], now_ms: int) -> None:
    """Entries of the log that stay when what is around them goes: with what vouches for them, and in no timeline but
    that of their groups."""
    for item in items:
        located = locate(db, item.id)
        assert located is not None
        bodies = [[after.body for after in located.chain], located.chain[-1].signature] if located.chain else []
        row = (item.key, located.entry.prev, now_ms, codec.pack(bodies))
        db.execute("INSERT INTO stray (key, prev, seen, chain, kept) VALUES (?, ?, ?, ?, 1)", row)
    listed = [item for item in items if item.kind in IN_TIMELINES]
    if author_of(db, log.owner).at_home:
        HOME.discard(db, sorted(place_record(item.sort, item.key) for item in listed))
    FEED.discard(db, sorted(feed_record(log.owner, item.sort, item.key) for item in listed))
    db.executemany("DELETE FROM tag WHERE key = ? AND tag NOT LIKE '!%'", [(item.key,) for item in listed])
    if not log.is_kept:  # until now they were here for others only
        enter(db, log, read_items(db, [item.key for item in items]))


# --- what stays -------------------------------------------------------------------------------------------------------


def _kept(
    db: sqlite3.Connection,
    log: LogRow,
    items: Sequence[Item],
    lent: Collection[int] = (),
    only_by_hand: bool = False,
) -> set[int]:
    """The keys of those entries that a person holds on to, of what is lent, and of what belongs to them."""
    held, me = [item for item in items if item.held], own_no(db)
    asked = HELD_BY_HAND if only_by_hand else HELD_ON_TO
    kept = {item.key for item in held if db.execute(asked, (item.key, me)).fetchone()}
    kept |= {*lent} if only_by_hand else {*lent, *_kept_of_author(db, log, held)}
    going = {item.key for item in items} - kept
    kept |= {item.key for item in held if item.kind == Kind.EDIT and _is_in_force(db, log, item, going)}
    kept |= _kept_deletes(db, log, held, lent, going - kept)
    deletes = [] if only_by_hand else [item for item in held if item.kind == Kind.DELETE]
    return kept | _waiting_deletes(db, log, deletes, kept)


def _kept_of_author(db: sqlite3.Connection, log: LogRow, held: Sequence[Item]) -> set[int]:
    """What tells of the author: the newest profile, pins, and the vouches that count."""
    newest = db.execute(NEWEST_PROFILE, (log.owner,)).fetchone()
    pinned = set(pins(db, log.identity))
    kept = {item.key for item in held if item.id in pinned or (newest is not None and item.key == newest[0])}
    kept |= {item.key for item in held if item.kind == Kind.PIN and _is_counted(db, log, item, pinned)}
    if author_of(db, log.owner).at_home:
        kept |= {item.key for item in held if item.kind == Kind.VOUCH and _is_shown_vouch(db, log, item)}
    return kept


def _kept_deletes(
    db: sqlite3.Connection, log: LogRow, held: Sequence[Item], lent: Collection[int], going: set[int]
) -> set[int]:
    """The first delete of each entry that stays, unless a lent one names it, or one that stayed before: without it,
    that would show again. There can be any number of them."""
    kept, hidden = set[int](), set[int]()
    for item in sorted(held, key=lambda item: item.key not in lent):
        hides = _hidden_by(db, log, item) - going - hidden if item.kind == Kind.DELETE else set[int]()
        if hides:
            kept.add(item.key)
            hidden |= hides
    return kept


def _waiting_deletes(db: sqlite3.Connection, log: LogRow, deletes: Sequence[Item], kept: set[int]) -> set[int]:
    """Deletes whose notice may still come, as many as may wait in a log; of somebody whose identity is not kept none,
    for anybody can have us take those."""
    if not log.is_kept:
        return set()
    waiting = [item.key for item in deletes if item.key not in kept and _awaits_notice(db, log, item)]
    if not waiting:
        return set()
    (strays,) = db.execute(STRAY_DELETES, log.keys).fetchone()
    others = strays - sum(item.stray for item in deletes)
    return set(waiting[: max(0, DELETES_WAITING_MAX - others)])


HELD_ON_TO = f"""SELECT 1 FROM entry e WHERE e.key = ?1 AND ({BY_HAND}
    OR EXISTS (SELECT 1 FROM news n WHERE n.key = e.key AND n.is_notice AND NOT n.waits)
    OR EXISTS (SELECT 1 FROM dm d WHERE d.sort = e.sort AND d.key = e.key))"""  # noqa: S608 - from sql_write.py
NEWEST_PROFILE = "SELECT key FROM profile WHERE author = ? ORDER BY sort DESC, key DESC LIMIT 1"
PINS_OF = "SELECT max(r.key) FROM reaction r WHERE r.target = ? AND r.kind = ? AND r.author = ?"
A_VOUCH = "SELECT 1 FROM vouch WHERE subject = ? AND author = ? AND key = ?"
LAST_EDIT = "SELECT max(d.key) FROM edit d WHERE d.author = ? AND d.target = ? AND d.key BETWEEN ? AND ?"
HIDDEN_BEFORE = """SELECT 1 FROM retraction r JOIN stray s ON s.key = r.key
    WHERE r.target = ? AND r.author = ? AND r.key BETWEEN ? AND ? AND s.kept LIMIT 1"""


def _is_counted(db: sqlite3.Connection, log: LogRow, item: Item, pinned: set[EntryId]) -> bool:
    """Whether a pin is the last one of a notice that its author has pinned."""
    if item.of not in pinned:
        return False
    (last,) = db.execute(PINS_OF, (item.of, int(Kind.PIN), log.owner)).fetchone()
    return bool(last == item.key)


def _is_shown_vouch(db: sqlite3.Connection, log: LogRow, item: Item) -> bool:
    return any(db.execute(A_VOUCH, (subject, log.owner, item.key)).fetchone() for subject in item.to)


def _is_in_force(db: sqlite3.Connection, log: LogRow, item: Item, going: set[int]) -> bool:
    """Whether an edit is its log's last one of a notice of its author that stays."""
    target = None if item.of is None else key_of_id(db, item.of)
    if target is None or target in going or log_of_key(db, target).owner != log.owner:
        return False
    (last,) = db.execute(LAST_EDIT, (log.owner, item.of, *log.keys)).fetchone()
    return bool(last == item.key)


def _hidden_by(db: sqlite3.Connection, log: LogRow, item: Item) -> set[int]:
    """The keys of what a delete names of its author, and what no earlier one of its log that stayed names."""
    (payload,) = db.execute("SELECT payload FROM entry WHERE key = ?", (item.key,)).fetchone()
    earlier = (log.owner, log.key(0), item.key - 1)
    targets = meaning_of(payload).deletes
    found = (key_of_id(db, each) for each in targets if not db.execute(HIDDEN_BEFORE, (each, *earlier)).fetchone())
    return {key for key in found if key is not None and log_of_key(db, key).owner == log.owner}


STRAY_DELETES = """SELECT count(*) FROM stray s WHERE s.key BETWEEN ? AND ?
    AND EXISTS (SELECT 1 FROM deletion d WHERE d.key = s.key)"""


def _awaits_notice(db: sqlite3.Connection, log: LogRow, item: Item) -> bool:
    """Whether a delete names a notice of another log of its author that may still come: it would show. What stands in
    its own log lies below it, and goes with it."""
    (payload,) = db.execute("SELECT payload FROM entry WHERE key = ?", (item.key,)).fetchone()
    ref = taken_back_ref(payload)
    if ref is None or ref.identity != log.identity or ref.device == log.device or key_of_id(db, ref.id) is not None:
        return False
    named = log_of_device(db, ref.device)
    if named is None or named.owner != log.owner:
        return named is None
    (floor,) = db.execute("SELECT floor FROM log WHERE no = ?", (named.no,)).fetchone()
    return ref.seq > floor and span_of(read_spans(db, named.no), ref.seq) is None


# --- strays -----------------------------------------------------------------------------------------------------------


def prune_strays(db: sqlite3.Connection, passed: int, most: int) -> tuple[int, int]:
    own = own_identity(db)
    looked_at = db.execute(
        "SELECT key FROM stray WHERE seen >= 0 ORDER BY seen, key LIMIT ? OFFSET ?", (most, passed)
    ).fetchall()
    kept = 0
    for (key,) in looked_at:
        log = log_of_key(db, key)
        if log.identity == own or _kept(db, log, read_items(db, [key])):
            kept += 1
        else:
            drop_stray(db, log, key)
    return kept, len(looked_at) - kept


# --- what is known of what went ---------------------------------------------------------------------------------------


def lift_floors(db: sqlite3.Connection, identity: IdentityHash | None) -> list[LogState]:
    if identity is None:
        rows = db.execute("SELECT l.device FROM log l WHERE l.floor OR l.pruned ORDER BY l.no").fetchall()
        logs = [log_of_device(db, device) for (device,) in rows]
    else:
        owner = identity_no(db, identity)
        logs = [] if owner is None else list(logs_of_owner(db, owner))
    changed = []
    for log in logs:
        assert log is not None
        (floor,) = db.execute("SELECT floor FROM log WHERE no = ?", (log.no,)).fetchone()
        db.execute("UPDATE log SET floor = 0, pruned = 0 WHERE no = ?", (log.no,))
        if floor:
            changed.append(read_log_state(db, log))
        drop_bare(db, log)
    return changed


def thread(db: sqlite3.Connection, notice: EntryId) -> Thread:
    """A conversation, with how much of what it lacks was dropped to save room."""
    found = read_thread(db, notice)
    return replace(found, pruned=sum(was_pruned(db, each.hex()) for each in found.lacking))


def was_pruned(db: sqlite3.Connection, prefix: str) -> bool:
    bounds = bytes.fromhex(prefix.ljust(64, "0")), bytes.fromhex(prefix.ljust(64, "f"))
    return any(_is_below_floor(db, *row) for asked in REFERRING for row in db.execute(asked, bounds).fetchall())


REFERRING = tuple(
    f"SELECT t.{column}, e.payload FROM {table} t JOIN entry e ON e.key = t.key "  # noqa: S608 - names from below
    f"WHERE t.{column} BETWEEN ? AND ? LIMIT 8"
    for table, column in (("reply", "parent"), ("reaction", "target"), ("vote", "target"))
)
"""Eight of those that refer to it: any of them may lie about where it stands."""


def _is_below_floor(db: sqlite3.Connection, target: EntryId, payload: bytes | None) -> bool:
    """Whether what refers to an entry says that it stands where we have pruned."""
    ref = ref_of(payload)
    if ref is None or ref.id != target or key_of_id(db, target) is not None:
        return False
    row = db.execute(FLOOR, (ref.device, ref.identity)).fetchone()
    return row is not None and ref.seq <= row[0]


FLOOR = "SELECT l.floor FROM log l JOIN identity i ON i.no = l.owner WHERE l.device = ? AND i.hash = ?"


def give_back(db: sqlite3.Connection, pages: int) -> int:
    """Give free pages back to the disk: what lies at the end of the file moves. Gives how many bytes are still free."""
    for _ in range(pages):  # one at a time: the module takes one step of a statement that has no columns
        db.execute("PRAGMA incremental_vacuum(1)")
    return usage(db).free
