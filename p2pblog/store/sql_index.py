"""The indexes that queries read, kept so that they hold exactly what may be shown.

The rules are those of store/meaning.py. A page of a timeline is then one short walk along an index, however much of
what is stored is hidden: the work is done once, when an entry comes or its standing changes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from p2pblog.core.keys import EntryId, IdentityHash
from p2pblog.core.media import FileHash
from p2pblog.core.payload import Ref
from p2pblog.core.value import State, Value, field
from p2pblog.store.meaning import (
    IN_TIMELINES,
    PLAIN,
    REACTIONS,
    SAID,
    Kind,
    Meaning,
    Version,
    current,
    group_word,
    is_retractable,
    meaning_of,
)
from p2pblog.store.rows import insert_rows
from p2pblog.store.sql_base import (
    FEED,
    HOME,
    IDS,
    IDS_PER_QUESTION,
    ROWS_PER_STEP,
    SEQ_MASK,
    LogRow,
    feed_of,
    feed_record,
    id_record,
    in_steps,
    is_here_for_us,
    kept_identity,
    key_of_id,
    log_of_key,
    logs_of_owner,
    place_record,
)
from p2pblog.store.sql_dms import enter_dms
from p2pblog.store.sql_news import Said, enter_news, enter_reactions, leave_reactions, own_identity
from p2pblog.store.sql_strangers import drop_vouches, enter_vouches, settle, settle_subjects
from p2pblog.store.sql_words import await_words, take_out


class Item(Value):
    """An entry as the indexes see it. `held`: with its payload."""

    key: int
    sort: int
    id: EntryId
    kind: int
    of: EntryId | None
    held: bool
    stray: bool = False
    tags: tuple[str, ...] = ()
    to: tuple[IdentityHash, ...] = ()
    choice: int = 0
    files: tuple[FileHash, ...] = ()
    groups: tuple[str, ...] = ()
    at: Ref | None = None

    @property
    def seq(self) -> int:
        return self.key & SEQ_MASK


_ITEM = """SELECT e.key, e.sort, e.id, e.kind, e."of", e.payload IS NOT NULL,
           EXISTS (SELECT 1 FROM stray s WHERE s.key = e.key),
           CASE WHEN e.kind IN (2, 3, 8, 10, 11) OR e.kind = 1 AND (e."of" IS NOT NULL OR instr(e.payload, X'23')
           OR instr(e.payload, X'21')
           OR instr(e.payload, X'40') OR instr(e.payload, CAST('quote' AS BLOB))
           OR instr(e.payload, CAST('media' AS BLOB))) OR e.kind = 5 AND (instr(e.payload, CAST('avatar' AS BLOB))
           OR instr(e.payload, CAST('banner' AS BLOB))) THEN e.payload END FROM entry e"""
"""With the payload of a vote or vouch, and of what may have tags, groups or files, or be said to somebody."""


def read_items(db: sqlite3.Connection, keys: Sequence[int]) -> list[Item]:
    return [_item(row) for key in keys for row in db.execute(f"{_ITEM} WHERE e.key = ?", (key,)).fetchall()]


def _item(row: Sequence[Any]) -> Item:
    key, sort, identifier, kind, of, held, stray, payload = row
    meaning = PLAIN if payload is None else meaning_of(payload)
    return Item(key, sort, identifier, kind, of, held, stray, *said_by(meaning))


def said_by(meaning: Meaning) -> tuple[Any, ...]:
    """The last fields of an Item."""
    return meaning.tags, meaning.to, meaning.choice, meaning.files, meaning.groups, meaning.at


def read_range(db: sqlite3.Connection, low: int, high: int) -> list[Item]:
    """The first items of a range of keys, at most ROWS_PER_STEP."""
    rows = db.execute(f"{_ITEM} WHERE e.key BETWEEN ? AND ? ORDER BY e.key LIMIT ?", (low, high, ROWS_PER_STEP))
    return [_item(row) for row in rows.fetchall()]


# --- into the indexes and out again -----------------------------------------------------------------------------------


class IndexBatch(State):
    """What the runs of one transaction bring for its end: records on their way into the registers, which go in as one
    batch, and signatures, (key, signature). `unread`: the ranges of keys whose words are to be indexed."""

    signatures: list[tuple[int, bytes]] = field(default_factory=list)
    unread: list[tuple[int, int]] = field(default_factory=list)
    ids: list[bytes] = field(default_factory=list)
    home: list[bytes] = field(default_factory=list)
    feed: list[bytes] = field(default_factory=list)
    edited: dict[tuple[int, EntryId], None] = field(default_factory=dict)
    """(author, notice) whose words may have changed."""

    def bring_in(self, db: sqlite3.Connection) -> None:
        """Put them in. Due before anything else looks at the indexes or forgets entries."""
        insert_rows(db, "signature", "(?, ?)", self.signatures, "INSERT OR IGNORE")
        self.signatures.clear()
        await_words(db, self.unread)
        self.unread.clear()
        for register, records in ((IDS, self.ids), (HOME, self.home), (FEED, self.feed)):
            register.add(db, sorted(records))
            records.clear()
        for author, notice in self.edited:
            settle_tags(db, author, notice)
        self.edited.clear()


def enter(db: sqlite3.Connection, log: LogRow, items: Sequence[Item]) -> None:
    """Enter what may be shown, and note what is retracted; for items that are in no index."""
    index = IndexBatch()
    collect(db, log, items, index)
    index.bring_in(db)
    if log.identity == own_identity(db):
        enter_reactions(db, log.identity, [item.id for item in items if item.kind in IN_TIMELINES])


def collect_plain(
    log: LogRow, keys: range, sorts: Sequence[int], but: Sequence[int], at_home: bool, index: IndexBatch
) -> None:
    """As `collect`, for consecutive entries that are PLAIN notices and held, `but` for those at these positions;
    nothing of their author is retracted. `at_home`: whether they stand in the home timeline."""
    if not log.is_kept:
        return
    shown = max(0, min(len(keys), log.key(log.shown_to) + 1 - keys[0]))
    places = list(map(place_record, sorts[:shown], keys))
    if but:
        left_out = set(but)
        places = [place for at, place in enumerate(places) if at not in left_out]
    index.feed += map(log.owner.to_bytes(4, "big").__add__, places)
    if at_home:
        index.home += places


def collect(db: sqlite3.Connection, log: LogRow, items: Sequence[Item], index: IndexBatch) -> None:
    """As `enter`, but what goes into the registers is left in `index`."""
    retracted = _retracted_ids(db, log.owner, items)
    _enter_gaps(db, items, retracted)
    gone = [(item.key, retracted[item.id]) for item in items if item.held and item.id in retracted]
    db.executemany("INSERT OR REPLACE INTO retracted VALUES (?, ?)", gone)
    vouched = [item for item in items if item.seq <= log.shown_to]
    shown = [item for item in vouched if item.held and item.id not in retracted]
    _collect_edits(db, log, items, shown, index)
    files = sorted((file, item.key) for item in shown for file in item.files)
    db.executemany("INSERT OR IGNORE INTO attachment VALUES (?, ?)", files)
    profiles = [(log.owner, item.sort, item.key) for item in shown if item.kind == Kind.PROFILE]
    db.executemany("INSERT OR IGNORE INTO profile VALUES (?, ?, ?)", profiles)
    counted = vouched if log.is_kept else [item for item in vouched if is_here_for_us(db, item.key)]
    replies = sorted((item.of, item.sort, item.key) for item in counted if item.kind == Kind.NOTE and item.of)
    db.executemany("INSERT OR IGNORE INTO reply VALUES (?, ?, ?)", replies)
    _collect_counted(db, log, [item for item in counted if item.held and item.id not in retracted], index)


def _collect_counted(db: sqlite3.Connection, log: LogRow, shown: Sequence[Item], index: IndexBatch) -> None:
    """Of what is shown that which is here for us: it stands somewhere, is news, and counts."""
    listed = [item for item in shown if item.kind in IN_TIMELINES and _is_listed(log, item)]
    index.feed += [feed_record(log.owner, item.sort, item.key) for item in listed]
    if listed and author_of(db, log.owner).at_home:
        index.home += [place_record(item.sort, item.key) for item in listed]
    notes = [item for item in shown if item.kind == Kind.NOTE]
    under = [(word, item) for item in notes for word in _words(log, item, item.tags, item.groups)]
    tagged = sorted((word, item.sort, item.key) for word, item in under)
    db.executemany("INSERT OR IGNORE INTO tag VALUES (?, ?, ?)", tagged)
    _enter_news(db, log, shown)
    pins = [(log.owner, item.sort, item.key) for item in shown if item.kind == Kind.PIN]
    db.executemany("INSERT OR IGNORE INTO pin VALUES (?, ?, ?)", pins)
    enter_dms(db, log, [(item.sort, item.key) for item in shown if item.kind == Kind.DM])
    reactions = sorted((item.of, item.kind, log.owner, item.key) for item in shown if item.kind in REACTIONS)
    db.executemany("INSERT OR IGNORE INTO reaction VALUES (?, ?, ?, ?)", reactions)
    votes = sorted((item.of, log.owner, item.key, item.choice) for item in shown if item.kind == Kind.VOTE)
    db.executemany("INSERT OR IGNORE INTO vote VALUES (?, ?, ?, ?)", votes)
    enter_vouches(db, log.owner, _vouches(shown))


def _vouches(items: Sequence[Item]) -> list[tuple[IdentityHash, int]]:
    return [(subject, item.key) for item in items if item.kind == Kind.VOUCH for subject in item.to]


def _is_listed(log: LogRow, item: Item) -> bool:
    """Whether it stands in timelines, if it is shown: no stray does, and nothing of whose identity is not kept."""
    return log.is_kept and not item.stray


def _words(log: LogRow, item: Item, tags: Sequence[str], groups: Sequence[str]) -> list[str]:
    """Under what a shown notice with these tags and groups stands: of what is not listed only the groups count."""
    return [*(tags if _is_listed(log, item) else ()), *map(group_word, groups)]


def _collect_edits(
    db: sqlite3.Connection, log: LogRow, items: Sequence[Item], shown: Sequence[Item], index: IndexBatch
) -> None:
    edits = [(log.owner, item.of, item.key) for item in shown if item.kind == Kind.EDIT and item.of is not None]
    db.executemany("INSERT OR IGNORE INTO edit VALUES (?, ?, ?)", edits)
    index.edited.update(dict.fromkeys((author, target) for author, target, _ in edits))
    if author_of(db, log.owner).has_edits:
        note_edited(db, log, [item.id for item in items if item.kind == Kind.NOTE], index)


def note_edited(db: sqlite3.Connection, log: LogRow, ids: Sequence[EntryId], index: IndexBatch) -> None:
    """Of notices that come, those whose edits came before them; their author has edits."""
    for asked in in_steps(ids, IDS_PER_QUESTION):
        marks = ",".join("?" * len(asked))
        rows = db.execute(
            f"SELECT DISTINCT target FROM edit WHERE author = ? AND target IN ({marks})",  # noqa: S608 - only marks
            (log.owner, *asked),
        )
        index.edited.update(dict.fromkeys((log.owner, target) for (target,) in rows.fetchall()))


def settle_tags(db: sqlite3.Connection, author: int, notice: EntryId) -> None:
    """A notice comes to stand under the tags and groups that its words have now, and no others, and to be found by its
    words."""
    key = key_of_id(db, notice)
    found = [] if key is None else read_items(db, [key])
    if not found or found[0].kind != Kind.NOTE:
        return
    item, log = found[0], log_of_key(db, found[0].key)
    if log.owner != author:  # an edit of somebody else's notice means nothing
        return
    await_words(db, [(item.key, item.key)])
    db.execute("DELETE FROM tag WHERE key = ?", (item.key,))
    is_retracted = db.execute("SELECT 1 FROM retracted WHERE key = ?", (item.key,)).fetchone() is not None
    if not item.held or is_retracted or item.seq > log.shown_to:
        return
    if not (log.is_kept or item.stray or is_here_for_us(db, item.key)):
        return
    edit = edit_of(db, author, notice)
    said = item if edit is None else meaning_of(edit.payload)
    words = sorted(_words(log, item, said.tags, said.groups))
    db.executemany("INSERT OR IGNORE INTO tag VALUES (?, ?, ?)", [(word, item.sort, item.key) for word in words])


def edit_of(db: sqlite3.Connection, author: int, notice: EntryId) -> Version | None:
    """The edit whose words stand for a notice of this author; None without one."""
    if db.execute("SELECT 1 FROM edit WHERE author = ? AND target = ? LIMIT 1", (author, notice)).fetchone() is None:
        return None
    rows = (db.execute(LAST_EDIT, (author, notice, *log.keys)).fetchone() for log in logs_of_owner(db, author))
    return current([version_of(row) for row in rows if row is not None])


def version_of(row: Sequence[Any]) -> Version:
    identifier, key, time_ms, payload = row
    return Version(identifier, key >> 32, key & SEQ_MASK, time_ms, payload)


LAST_EDIT = """SELECT e.id, e.key, e.time, e.payload FROM edit d JOIN entry e ON e.key = d.key
               WHERE d.author = ? AND d.target = ? AND d.key BETWEEN ? AND ? ORDER BY d.key DESC LIMIT 1"""


def _enter_news(db: sqlite3.Connection, log: LogRow, shown: Sequence[Item]) -> None:
    addressed = [item for item in shown if item.to and item.kind in SAID]
    own = own_identity(db) if addressed else None
    if own is None or own == log.identity:
        return
    said = [Said(item.key, item.sort, item.kind, item.at, log.owner) for item in addressed if own in item.to]
    enter_news(db, own, said)


def _enter_gaps(db: sqlite3.Connection, items: Sequence[Item], retracted: dict[EntryId, int]) -> None:
    gaps = [(not item.stray and item.id not in retracted, item.key) for item in items if not item.held]
    db.executemany("UPDATE gap SET wanted = ? WHERE key = ?", gaps)


def leave(
    db: sqlite3.Connection, log: LogRow, items: Sequence[Item], edited: dict[EntryId, None] | None = None
) -> None:
    """Take items out of every index but the one of ids. With `edited`, the notices whose edits leave come to stand
    there, and their words are the caller's to settle: once for all their edits, when no more leave."""
    keys = [(item.key,) for item in items]
    listed = [item for item in items if item.kind in IN_TIMELINES and item.held and not item.stray]
    db.executemany("DELETE FROM retracted WHERE key = ?", keys)
    if author_of(db, log.owner).at_home:
        HOME.discard(db, sorted(place_record(item.sort, item.key) for item in listed))
    FEED.discard(db, sorted(feed_record(log.owner, item.sort, item.key) for item in listed))
    files = [(file, item.key) for item in items for file in item.files]
    db.executemany("DELETE FROM attachment WHERE file = ? AND key = ?", files)
    if log.identity == own_identity(db):  # that a poll has closed stays told while its own entry is held
        leave_reactions(db, (item.id for item in items if item.kind in IN_TIMELINES))
    else:
        db.executemany("DELETE FROM news WHERE key = ?", keys)
    edits = [(log.owner, item.of, item.key) for item in items if item.kind == Kind.EDIT and item.of is not None]
    db.executemany("DELETE FROM edit WHERE author = ? AND target = ? AND key = ?", edits)
    left = dict.fromkeys(target for _, target, _ in edits)
    if edited is not None:
        edited.update(left)
        left.clear()
    for target in left:
        settle_tags(db, log.owner, target)
    notes = [(item.key,) for item in items if item.kind == Kind.NOTE and item.held]
    db.executemany("DELETE FROM tag WHERE key = ?", notes)  # also those that an edit which leaves put back just now
    profiles = [(log.owner, item.sort, item.key) for item in items if item.kind == Kind.PROFILE]
    db.executemany("DELETE FROM profile WHERE author = ? AND sort = ? AND key = ?", profiles)
    pins = [(log.owner, item.sort, item.key) for item in items if item.kind == Kind.PIN]
    db.executemany("DELETE FROM pin WHERE author = ? AND sort = ? AND key = ?", pins)
    dms = [(item.sort, item.key) for item in items if item.kind == Kind.DM]
    db.executemany("DELETE FROM dm WHERE sort = ? AND key = ?", dms)
    replies = [(item.of, item.sort, item.key) for item in items if item.kind == Kind.NOTE and item.of]
    db.executemany("DELETE FROM reply WHERE parent = ? AND sort = ? AND key = ?", replies)
    reactions = [(item.of, item.kind, log.owner, item.key) for item in items if item.kind in REACTIONS]
    db.executemany("DELETE FROM reaction WHERE target = ? AND kind = ? AND author = ? AND key = ?", reactions)
    votes = [(item.of, log.owner, item.key) for item in items if item.kind == Kind.VOTE]
    db.executemany("DELETE FROM vote WHERE target = ? AND author = ? AND key = ?", votes)
    drop_vouches(db, log.owner, _vouches(items))


class AuthorRow(Value):
    """What holds for all entries of an identity. `at_home`: its notices stand in the home timeline. `has_retractions`:
    a delete of it is in force. `has_edits`: some notice of it was edited."""

    at_home: bool
    has_retractions: bool
    has_edits: bool


def author_of(db: sqlite3.Connection, owner: int) -> AuthorRow:
    """The three together take one statement."""
    return AuthorRow(*map(bool, db.execute(AUTHOR, (owner,)).fetchone()))


AUTHOR = """SELECT i.at_home, EXISTS (SELECT 1 FROM retraction r WHERE r.author = i.no),
            EXISTS (SELECT 1 FROM edit e WHERE e.author = i.no) FROM identity i WHERE i.no = ?"""


def _retracted_ids(db: sqlite3.Connection, owner: int, items: Sequence[Item]) -> dict[EntryId, int]:
    """Those that a delete in force names, with the time when we first saw one."""
    if not author_of(db, owner).has_retractions:
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
    """The identity vouches for another part of a log, or is kept from now on, or another one vouches: what this hides
    or shows follows."""
    if (before.owner, before.shown_to, before.is_kept) == (after.owner, after.shown_to, after.is_kept):
        return
    db.execute("UPDATE log SET owner = ?, shown_to = ? WHERE no = ?", (after.owner, after.shown_to, after.no))
    whole = before.owner != after.owner or before.is_kept != after.is_kept
    low = after.key(1 if whole else min(before.shown_to, after.shown_to) + 1)
    high = after.key(SEQ_MASK if whole else max(before.shown_to, after.shown_to))
    deletes = deletes_within(db, low, high)
    lift(db, before, deletes)
    while items := read_range(db, low, high):
        leave(db, before, items)
        enter(db, after, items)
        low = items[-1].key + 1
    force(db, after, [(key, ids) for key, ids in deletes if key & SEQ_MASK <= after.shown_to])


def forget(db: sqlite3.Connection, log: LogRow, low: int, high: int) -> None:
    """Forget the entries in a range of keys, and what their deletes hid. Spans are the caller's."""
    lift(db, log, deletes_within(db, low, high))
    take_out(db, low, high)
    start = low
    edited: dict[EntryId, None] = {}
    while items := read_range(db, start, high):
        leave(db, log, items, edited)
        IDS.discard(db, sorted(id_record(item.id, item.key) for item in items))
        start = items[-1].key + 1
    for table in ("entry", "signature", "gap", "deletion", "stray", "lent", "dm_aside", "dm_told", "news", "poll_due"):
        db.execute(f"DELETE FROM {table} WHERE key BETWEEN ? AND ?", (low, high))  # noqa: S608 - names from above
    for notice in edited:
        settle_tags(db, log.owner, notice)


def drop_stray(db: sqlite3.Connection, log: LogRow, key: int) -> None:
    """Forget one stray, and its log if nothing else of it is left."""
    forget(db, log, key, key)
    drop_bare(db, log)


def drop_bare(db: sqlite3.Connection, log: LogRow) -> None:
    """Take a log out of which nothing is held or known, and which no identity that is kept names, and its owner if that
    was all. Strangers make as many as they like; a number of an identity is given again, that of a log never."""
    kept = kept_identity(db, log.identity)
    if kept is not None and log.device in kept.devices:
        return
    if db.execute(BARE_LOG, (log.no, *log.keys)).rowcount:
        db.execute("DELETE FROM news_read WHERE key BETWEEN ? AND ?", log.keys)
    drop_nameless(db, log.owner)


def drop_nameless(db: sqlite3.Connection, owner: int) -> None:
    """Take an identity out of which no log and no statement is held."""
    db.execute(BARE_IDENTITY, (owner,))


BARE_LOG = """DELETE FROM log WHERE no = ?1 AND fork IS NULL AND floor = 0 AND pruned = 0
    AND NOT EXISTS (SELECT 1 FROM span WHERE log = ?1)
    AND NOT EXISTS (SELECT 1 FROM entry WHERE key BETWEEN ?2 AND ?3)"""
BARE_IDENTITY = """DELETE FROM identity WHERE no = ?1 AND wire IS NULL AND NOT at_home
    AND NOT EXISTS (SELECT 1 FROM log WHERE owner = ?1)"""


def set_at_home(db: sqlite3.Connection, owner: int, at_home: bool) -> None:
    """An identity's notices come to stand in the home timeline, or go."""
    if author_of(db, owner).at_home == at_home:
        return
    db.execute("UPDATE identity SET at_home = ? WHERE no = ?", (at_home, owner))
    settle(db, owner)
    settle_subjects(db, owner)
    for step in in_steps(feed_of(db, owner)):
        places = [place_record(sort, key) for sort, key in reversed(step)]
        if at_home:
            HOME.add(db, places)
        else:
            HOME.discard(db, places)
