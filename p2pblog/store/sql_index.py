"""The indexes that queries read, kept so that they hold exactly what may be shown.

The rules are those of store/meaning.py. A page of a timeline is then one short walk along an index, however much of
what is stored is hidden: the work is done once, when an entry comes or its standing changes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from p2pblog.core.keys import EntryId
from p2pblog.store.meaning import IN_TIMELINES, REACTIONS, Kind, is_retractable, meaning_of
from p2pblog.store.sql_base import (
    FEED,
    HOME,
    IDS,
    ROWS_PER_STEP,
    SEQ_MASK,
    LogRow,
    feed_of,
    feed_record,
    id_record,
    in_steps,
    key_of_id,
    log_of_key,
    place_record,
)

IDS_PER_QUESTION = 500
"""Values in one IN (…); SQLite's own limit was 999 until 3.32."""


@dataclass(frozen=True, slots=True)
class Item:
    """An entry as the indexes see it. `held`: with its payload."""

    key: int
    sort: int
    id: EntryId
    kind: int
    of: EntryId | None
    held: bool
    stray: bool = False
    tags: tuple[str, ...] = ()

    @property
    def seq(self) -> int:
        return self.key & SEQ_MASK


_ITEM = """SELECT e.key, e.sort, e.id, e.kind, e."of", e.payload IS NOT NULL,
           EXISTS (SELECT 1 FROM stray s WHERE s.key = e.key),
           CASE WHEN e.kind = 1 AND instr(e.payload, X'23') THEN e.payload END FROM entry e"""
"""With the payload of a notice that may have tags."""


def read_items(db: sqlite3.Connection, keys: Sequence[int]) -> list[Item]:
    return [_item(row) for key in keys for row in db.execute(f"{_ITEM} WHERE e.key = ?", (key,)).fetchall()]


def _item(row: Sequence[Any]) -> Item:
    key, sort, identifier, kind, of, held, stray, tagged = row
    return Item(key, sort, identifier, kind, of, held, stray, () if tagged is None else meaning_of(tagged).tags)


def _read_range(db: sqlite3.Connection, low: int, high: int) -> list[Item]:
    """The first items of a range of keys, at most ROWS_PER_STEP."""
    rows = db.execute(f"{_ITEM} WHERE e.key BETWEEN ? AND ? ORDER BY e.key LIMIT ?", (low, high, ROWS_PER_STEP))
    return [_item(row) for row in rows.fetchall()]


# --- into the indexes and out again -----------------------------------------------------------------------------------


@dataclass(slots=True)
class Harvest:
    """Records on their way into the registers: the runs of one transaction go in as one batch."""

    ids: list[bytes] = field(default_factory=list)
    home: list[bytes] = field(default_factory=list)
    feed: list[bytes] = field(default_factory=list)

    def bring_in(self, db: sqlite3.Connection) -> None:
        """Put them in. Due before anything else looks at the indexes."""
        for register, records in ((IDS, self.ids), (HOME, self.home), (FEED, self.feed)):
            register.add(db, sorted(records))
            records.clear()


def enter(db: sqlite3.Connection, log: LogRow, items: Sequence[Item]) -> None:
    """Enter what may be shown, and note what is retracted; for items that are in no index."""
    harvest = Harvest()
    reap(db, log, items, harvest)
    harvest.bring_in(db)


def reap_plain(
    db: sqlite3.Connection, log: LogRow, keys: range, sorts: Sequence[int], but: Sequence[int], harvest: Harvest
) -> None:
    """As `reap`, for consecutive entries that are notices, held, refer to nothing and have no tag, `but` for those at
    these positions; nothing of their author is retracted."""
    shown = max(0, min(len(keys), log.key(log.shown_to) + 1 - keys[0]))
    places = list(map(place_record, sorts[:shown], keys))
    if but:
        left_out = set(but)
        places = [place for at, place in enumerate(places) if at not in left_out]
    harvest.feed += map(log.owner.to_bytes(4, "big").__add__, places)
    if is_at_home(db, log.owner):
        harvest.home += places


def reap(db: sqlite3.Connection, log: LogRow, items: Sequence[Item], harvest: Harvest) -> None:
    """As `enter`, but what goes into the registers is left in `harvest`."""
    retracted = _retracted_ids(db, log.owner, items)
    _enter_gaps(db, items, retracted)
    gone = [(item.key, retracted[item.id]) for item in items if item.held and item.id in retracted]
    db.executemany("INSERT OR REPLACE INTO retracted VALUES (?, ?)", gone)
    vouched = [item for item in items if item.seq <= log.shown_to]
    replies = sorted((item.of, item.sort, item.key) for item in vouched if item.kind == Kind.NOTE and item.of)
    db.executemany("INSERT OR IGNORE INTO reply VALUES (?, ?, ?)", replies)
    shown = [item for item in vouched if item.held and item.id not in retracted]
    listed = [item for item in shown if item.kind in IN_TIMELINES and not item.stray]
    tagged = sorted((tag, item.sort, item.key) for item in listed for tag in item.tags)
    db.executemany("INSERT OR IGNORE INTO tag VALUES (?, ?, ?)", tagged)
    harvest.feed += [feed_record(log.owner, item.sort, item.key) for item in listed]
    if listed and is_at_home(db, log.owner):
        harvest.home += [place_record(item.sort, item.key) for item in listed]
    profiles = [(log.owner, item.sort, item.key) for item in shown if item.kind == Kind.PROFILE]
    db.executemany("INSERT OR IGNORE INTO profile VALUES (?, ?, ?)", profiles)
    db.executemany(ENTER_DM, [(item.sort, item.key) for item in shown if item.kind == Kind.DM and not item.stray])
    reactions = sorted((item.of, item.kind, log.owner, item.key) for item in shown if item.kind in REACTIONS)
    db.executemany("INSERT OR IGNORE INTO reaction VALUES (?, ?, ?, ?)", reactions)


ENTER_DM = """INSERT OR IGNORE INTO dm SELECT ?1, ?2
              WHERE NOT EXISTS (SELECT 1 FROM dm_aside WHERE dm_aside.key = ?2)"""


def _enter_gaps(db: sqlite3.Connection, items: Sequence[Item], retracted: dict[EntryId, int]) -> None:
    gaps = [(not item.stray and item.id not in retracted, item.key) for item in items if not item.held]
    db.executemany("UPDATE gap SET wanted = ? WHERE key = ?", gaps)


def leave(db: sqlite3.Connection, log: LogRow, items: Sequence[Item]) -> None:
    """Take items out of every index but the one of ids."""
    keys = [(item.key,) for item in items]
    listed = [item for item in items if item.kind in IN_TIMELINES and item.held and not item.stray]
    db.executemany("DELETE FROM retracted WHERE key = ?", keys)
    if is_at_home(db, log.owner):
        HOME.discard(db, sorted(place_record(item.sort, item.key) for item in listed))
    FEED.discard(db, sorted(feed_record(log.owner, item.sort, item.key) for item in listed))
    tagged = [(tag, item.sort, item.key) for item in listed for tag in item.tags]
    db.executemany("DELETE FROM tag WHERE tag = ? AND sort = ? AND key = ?", tagged)
    profiles = [(log.owner, item.sort, item.key) for item in items if item.kind == Kind.PROFILE]
    db.executemany("DELETE FROM profile WHERE author = ? AND sort = ? AND key = ?", profiles)
    dms = [(item.sort, item.key) for item in items if item.kind == Kind.DM]
    db.executemany("DELETE FROM dm WHERE sort = ? AND key = ?", dms)
    replies = [(item.of, item.sort, item.key) for item in items if item.kind == Kind.NOTE and item.of]
    db.executemany("DELETE FROM reply WHERE parent = ? AND sort = ? AND key = ?", replies)
    reactions = [(item.of, item.kind, log.owner, item.key) for item in items if item.kind in REACTIONS]
    db.executemany("DELETE FROM reaction WHERE target = ? AND kind = ? AND author = ? AND key = ?", reactions)


def is_at_home(db: sqlite3.Connection, owner: int) -> bool:
    """Whether this identity's notices stand in the home timeline."""
    return bool(db.execute("SELECT at_home FROM identity WHERE no = ?", (owner,)).fetchone()[0])


def has_retractions(db: sqlite3.Connection, owner: int) -> bool:
    """Whether any delete of this identity is in force."""
    return db.execute("SELECT 1 FROM retraction WHERE author = ? LIMIT 1", (owner,)).fetchone() is not None


def _retracted_ids(db: sqlite3.Connection, owner: int, items: Sequence[Item]) -> dict[EntryId, int]:
    """Those that a delete in force names, with the time when we first saw one."""
    if not has_retractions(db, owner):
        return {}
    ids = [item.id for item in items if is_retractable(item.kind, item.seq)]
    found: dict[EntryId, int] = {}
    for start in range(0, len(ids), IDS_PER_QUESTION):
        asked = ids[start : start + IDS_PER_QUESTION]
        marks = ",".join("?" * len(asked))
        rows = db.execute(
            f"""SELECT r.target, min(d.seen) FROM retraction r JOIN deletion d ON d.key = r.key
                WHERE r.author = ? AND r.target IN ({marks}) GROUP BY r.target""",  # noqa: S608 - only marks
            (owner, *asked),
        )
        found.update(rows.fetchall())
    return found


# --- deletes ----------------------------------------------------------------------------------------------------------


def enter_deletes(db: sqlite3.Connection, log: LogRow, deletes: Iterable[tuple[int, int, Sequence[EntryId]]]) -> None:
    """Deletes that came, as (key, first seen, ids taken back): note them; those in force hide what they name."""
    listed = list(deletes)
    db.executemany("INSERT OR REPLACE INTO deletion VALUES (?, ?)", [(key, seen) for key, seen, _ in listed])
    force(db, log, [(key, ids) for key, _, ids in listed if key & SEQ_MASK <= log.shown_to])


def force(db: sqlite3.Connection, log: LogRow, deletes: Sequence[tuple[int, Sequence[EntryId]]]) -> None:
    """Put deletes in force."""
    rows = sorted((log.owner, target, key) for key, ids in deletes for target in ids)
    db.executemany("INSERT OR IGNORE INTO retraction VALUES (?, ?, ?)", rows)
    _settle_targets(db, log.owner, [target for _, target, _ in rows])


def lift(db: sqlite3.Connection, log: LogRow, deletes: Sequence[tuple[int, Sequence[EntryId]]]) -> None:
    """Take deletes out of force: what they hid shows again, unless another hides it too."""
    rows = sorted((log.owner, target, key) for key, ids in deletes for target in ids)
    db.executemany("DELETE FROM retraction WHERE author = ? AND target = ? AND key = ?", rows)
    _settle_targets(db, log.owner, [target for _, target, _ in rows])


def _settle_targets(db: sqlite3.Connection, owner: int, targets: Iterable[EntryId]) -> None:
    found = (key_of_id(db, target) for target in dict.fromkeys(targets))
    for step in in_steps(sorted(key for key in found if key is not None)):
        for _, same_log in groupby(read_items(db, step), key=lambda item: item.key >> 32):
            items = list(same_log)
            log = log_of_key(db, items[0].key)
            if log.owner == owner:  # somebody else's delete means nothing
                leave(db, log, items)
                enter(db, log, items)


def deletes_within(db: sqlite3.Connection, low: int, high: int) -> list[tuple[int, tuple[EntryId, ...]]]:
    """The deletes in a range of keys, with the ids that they take back."""
    rows = db.execute(
        "SELECT e.key, e.payload FROM deletion d JOIN entry e ON e.key = d.key WHERE d.key BETWEEN ? AND ?", (low, high)
    )
    return [(key, meaning_of(payload).deletes) for key, payload in rows.fetchall()]


# --- whole logs and identities ----------------------------------------------------------------------------------------


def restand(db: sqlite3.Connection, before: LogRow, after: LogRow) -> None:
    """The identity vouches for another part of a log, or another identity does: what this hides or shows follows."""
    if before.owner == after.owner and before.shown_to == after.shown_to:
        return
    db.execute("UPDATE log SET owner = ?, shown_to = ? WHERE no = ?", (after.owner, after.shown_to, after.no))
    whole = before.owner != after.owner
    low = after.key(1 if whole else min(before.shown_to, after.shown_to) + 1)
    high = after.key(SEQ_MASK if whole else max(before.shown_to, after.shown_to))
    deletes = deletes_within(db, low, high)
    lift(db, before, deletes)
    while items := _read_range(db, low, high):
        leave(db, before, items)
        enter(db, after, items)
        low = items[-1].key + 1
    force(db, after, [(key, ids) for key, ids in deletes if key & SEQ_MASK <= after.shown_to])


def forget(db: sqlite3.Connection, log: LogRow, low: int, high: int) -> None:
    """Forget the entries in a range of keys, and what their deletes hid. Spans are the caller's."""
    lift(db, log, deletes_within(db, low, high))
    start = low
    while items := _read_range(db, start, high):
        leave(db, log, items)
        IDS.discard(db, sorted(id_record(item.id, item.key) for item in items))
        start = items[-1].key + 1
    for table in ("entry", "signature", "gap", "deletion", "stray", "dm_aside"):
        db.execute(f"DELETE FROM {table} WHERE key BETWEEN ? AND ?", (low, high))  # noqa: S608 - names from above


def set_at_home(db: sqlite3.Connection, owner: int, at_home: bool) -> None:
    """An identity's notices come to stand in the home timeline, or go."""
    if is_at_home(db, owner) == at_home:
        return
    db.execute("UPDATE identity SET at_home = ? WHERE no = ?", (at_home, owner))
    for step in in_steps(feed_of(db, owner)):
        places = [place_record(sort, key) for sort, key in reversed(step)]
        if at_home:
            HOME.add(db, places)
        else:
            HOME.discard(db, places)
