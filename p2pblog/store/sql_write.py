"""What changes the database: one function a use case, each run inside one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from p2pblog.config import BLOCKS_MAX, BOOKMARKS_MAX, KNOWN_PEERS_MAX, MUTES_MAX, STRAYS_MAX
from p2pblog.core import codec
from p2pblog.core.entry import Entry, with_payload
from p2pblog.core.forks import ForkProof
from p2pblog.core.identity import Identity
from p2pblog.core.keys import DeviceKey, EntryId, IdentityHash
from p2pblog.core.logs import Batch, Located, LogState, Span
from p2pblog.core.quiet import Mute, MuteKind
from p2pblog.core.value import replace
from p2pblog.errors import BadChain, LocalProtocolError
from p2pblog.store import OWN_IDENTITY, Block, Follow, KnownPeer
from p2pblog.store.meaning import PLAIN, Kind, Meaning, meaning_of, vouched_to
from p2pblog.store.rows import insert_rows
from p2pblog.store.spans import above_floor, check_newest, fit, neighbours, span_of
from p2pblog.store.sql_ahead import bring_back
from p2pblog.store.sql_base import (
    SEQ_MASK,
    LogRow,
    id_at,
    id_record,
    identity_no,
    kept_identity,
    log_of_device,
    log_of_key,
    logs_of_owner,
    may_add,
    read_log_state,
    read_marks,
    read_missing,
    read_spans,
    sort_at,
)
from p2pblog.store.sql_damage import Checked
from p2pblog.store.sql_index import (
    IndexBatch,
    Item,
    author_of,
    collect,
    collect_plain,
    drop_bare,
    drop_nameless,
    drop_stray,
    enter,
    enter_deletes,
    forget,
    note_edited,
    read_items,
    restand,
    said_by,
    set_at_home,
)
from p2pblog.store.sql_lent import Lent, is_ours, lend, lend_no_more, strays_within
from p2pblog.store.sql_lists import leave_lists
from p2pblog.store.sql_news import enter_reactions, mark_read, own_identity, own_no, renew_news
from p2pblog.store.sql_polls import await_filled, await_polls
from p2pblog.store.sql_read import told
from p2pblog.store.sql_rows import RowReader
from p2pblog.store.sql_strangers import drop_admitted
from p2pblog.store.sql_words import await_words
from p2pblog.store.stretch import Stretch, meanings_of, payloads_beside, places, signatures_of, stretch_of

# --- runs -------------------------------------------------------------------------------------------------------------


def append(
    db: sqlite3.Connection, batches: Sequence[Batch], now_ms: int, checked: Checked | None = None
) -> list[LogState]:
    index, own, sound = IndexBatch(), own_identity(db), checked or Checked()
    held = [_append_run(db, batch, now_ms, own, index, sound) for batch in batches]
    index.bring_in(db)
    last = {log.device: (log, spans, marks) for log, spans, marks in held}  # two runs of a log: what the second left
    return [_state_of(db, *last[log.device]) for log, *_ in held]


_Spans = tuple[Span, ...]
_Marks = tuple[ForkProof | None, int]


def _state_of(db: sqlite3.Connection, log: LogRow, spans: _Spans, marks: _Marks) -> LogState:
    """As `read_log_state`, of what is known already."""
    return LogState(log.device, log.identity, spans, read_missing(db, log), *marks)


def _append_run(
    db: sqlite3.Connection, batch: Batch, now_ms: int, own: IdentityHash | None, index: IndexBatch, checked: Checked
) -> tuple[LogRow, _Spans, _Marks]:
    """Gives the log, what is held of it now, and its marks."""
    if not batch.entries:
        raise LocalProtocolError("an empty run to be stored")
    device = batch.entries[0].device
    log = log_of_device(db, device) or _add_log(db, device, batch.identity)
    spans, marks = read_spans(db, log.no), read_marks(db, log)
    _fork, floor = marks
    run = above_floor(batch.entries, floor)
    if not run:
        return log, spans, marks
    log = _claim_for_run(db, log, batch.identity, spans, index)
    check_newest(spans, batch)
    fitted = fit(spans, run, lambda seq: id_at(db, log.key(seq)))
    lent: list[Lent] = []
    for fresh in fitted.fresh:
        stretch = stretch_of(fresh)
        lent += _forget_strays(db, log, stretch, index)
        if log.identity == own:
            bring_back(db, log, spans, now_ms, index)
        _insert(db, log, stretch, _stretch_places(db, log, spans, stretch, now_ms), now_ms, False, index)
        checked.note(log.no, stretch.first, stretch.last)
        if log.identity == own:
            await_polls(db, log, stretch, now_ms)
            enter_reactions(db, log.identity, stretch.ids)
    _write_spans(db, log, spans, fitted.spans)
    index.signatures += [(log.key(seq), signature) for seq, signature in signatures_of(run)]
    index.signatures += [(stray.key, stray.signature) for stray in lent if stray.signature is not None]
    held = [(stray.seq, stray.payload) for stray in lent if stray.payload is not None]
    beside = sorted([*payloads_beside(run, fitted.fresh), *held])
    if beside and db.execute(HAS_GAPS, (log.key(beside[0][0]), log.key(beside[-1][0]))).fetchone():
        index.bring_in(db)
        _fill(db, log, beside)
    return log, fitted.spans, marks


HAS_GAPS = "SELECT 1 FROM gap INDEXED BY gap_wanted WHERE wanted AND key BETWEEN ? AND ? LIMIT 1"


def _forget_strays(db: sqlite3.Connection, log: LogRow, stretch: Stretch, index: IndexBatch) -> list[Lent]:
    """Strays that are now of the log make room for it; gives those that are only lent to it."""
    keys = log.key(stretch.first), log.key(stretch.last)
    if not db.execute("SELECT 1 FROM stray WHERE key BETWEEN ? AND ? LIMIT 1", keys).fetchone():
        return []
    lent = strays_within(db, log, stretch)
    index.bring_in(db)
    forget(db, log, *keys)
    lend(db, lent)
    return lent


def _claim_for_run(
    db: sqlite3.Connection, log: LogRow, identity: IdentityHash, spans: Sequence[Span], index: IndexBatch
) -> LogRow:
    """The log as its first run finds it: a stray may have named another owner."""
    if spans:
        if log.identity != identity:
            raise BadChain("a run under another identity than the log that is held")
        return log
    if log.identity == identity:
        return log
    index.bring_in(db)
    forget(db, log, *log.keys)
    return reclaim(db, log, identity)


def _stretch_places(
    db: sqlite3.Connection, log: LogRow, spans: Sequence[Span], stretch: Stretch, now_ms: int
) -> list[int]:
    below, above = neighbours(spans, stretch.first, stretch.last)
    return places(stretch.times, now_ms, _place_at(db, log, below), _place_at(db, log, above))


def _place_at(db: sqlite3.Connection, log: LogRow, seq: int | None) -> int | None:
    return None if seq is None else sort_at(db, log.key(seq))


def _insert(
    db: sqlite3.Connection,
    log: LogRow,
    stretch: Stretch,
    sorts: Sequence[int],
    now_ms: int,
    stray: bool,
    index: IndexBatch,
) -> None:
    """Entries that the database does not have, with all that follows from them."""
    keys = range(log.key(stretch.first), log.key(stretch.last) + 1)
    meanings = meanings_of(stretch.payloads, stretch.notes)
    other = [at for at, meaning in enumerate(meanings) if meaning is not PLAIN]
    index.ids += map(id_record, stretch.ids, keys)
    _insert_rows(db, stretch, keys, sorts, meanings if other else None)
    if len(other) < len(stretch) or any(meaning.kind == Kind.NOTE for meaning in meanings):
        index.unread.append((keys[0], keys[-1]))
    author = author_of(db, log.owner)
    if not stray and not author.has_retractions:
        collect_plain(log, keys, sorts, other, author.at_home, index)
        if author.has_edits:
            note_edited(db, log, stretch.ids, index)
    else:
        other = list(range(len(stretch)))
    if other:
        _insert_other(db, log, stretch, sorts, [(at, meanings[at]) for at in other], now_ms, stray, index)


def _insert_rows(
    db: sqlite3.Connection, stretch: Stretch, keys: range, sorts: Sequence[int], meanings: Sequence[Meaning] | None
) -> None:
    """The rows of `entry`; without `meanings` all are plain notices."""
    if meanings is None:
        insert_rows(db, "entry", PLAIN_ROW, zip(keys, stretch.times, sorts, stretch.ids, stretch.payloads, strict=True))
        return
    kinds, targets = [int(meaning.kind) for meaning in meanings], [meaning.of for meaning in meanings]
    rows = zip(keys, stretch.times, sorts, kinds, stretch.ids, targets, stretch.payloads, strict=True)
    insert_rows(db, "entry", "(?, ?, ?, ?, ?, ?, ?)", rows)


PLAIN_ROW = f"(?, ?, ?, {int(PLAIN.kind)}, ?, NULL, ?)"
"""What is the same in all rows is no value of each: to bind one takes a tenth of a microsecond."""


def _insert_other(
    db: sqlite3.Connection,
    log: LogRow,
    stretch: Stretch,
    sorts: Sequence[int],
    meanings: Sequence[tuple[int, Meaning]],
    now_ms: int,
    stray: bool,
    index: IndexBatch,
) -> None:
    """What follows from entries that are not plain, or not plainly shown."""
    base = log.key(stretch.first)
    items, gaps, deletes = [], [], []
    for at, meaning in meanings:
        held = stretch.payloads[at] is not None
        items.append(_item_of(meaning, base + at, sorts[at], stretch.ids[at], held, stray))
        if not held:
            gaps.append((base + at, stretch.sizes[at], stretch.hashes[at], now_ms, 0))
        if meaning.deletes:
            deletes.append((base + at, now_ms, meaning.deletes))
    db.executemany("INSERT INTO gap VALUES (?, ?, ?, ?, ?)", gaps)
    collect(db, log, items, index)
    if deletes:
        index.bring_in(db)
        enter_deletes(db, log, deletes)


def _item_of(meaning: Meaning, key: int, sort: int, identifier: EntryId, held: bool, stray: bool) -> Item:
    return Item(key, sort, identifier, int(meaning.kind), meaning.of, held, stray, *said_by(meaning))


def _write_spans(db: sqlite3.Connection, log: LogRow, before: Sequence[Span], after: Sequence[Span]) -> None:
    had, have = set(before), set(after)
    gone = [(log.no, span.low) for span in before if span not in have]
    new = [(log.no, span.low, span.high, span.low_prev) for span in after if span not in had]
    if len(gone) == len(new) == 1:  # nearly always: one grows
        db.execute("UPDATE span SET low = ?, high = ?, low_prev = ? WHERE log = ? AND low = ?", (*new[0][1:], *gone[0]))
        return
    db.executemany("DELETE FROM span WHERE log = ? AND low = ?", gone)
    db.executemany("INSERT INTO span VALUES (?, ?, ?, ?)", new)


# --- payloads ---------------------------------------------------------------------------------------------------------


def put_payloads(db: sqlite3.Connection, device: DeviceKey, payloads: Sequence[tuple[int, bytes]]) -> LogState:
    log = log_of_device(db, device)
    spans = () if log is None else read_spans(db, log.no)
    if log is None or not spans:
        raise BadChain("payloads for a log that is not held")
    _fill(db, log, [(seq, payload) for seq, payload in payloads if span_of(spans, seq) is not None])
    return read_log_state(db, log)


def _fill(db: sqlite3.Connection, log: LogRow, payloads: Sequence[tuple[int, bytes]]) -> None:
    """Payloads for entries held; those that are not wanted (held already, or retracted) are left aside."""
    if not payloads:
        return
    low, high = min(seq for seq, _ in payloads), max(seq for seq, _ in payloads)
    rows = db.execute(
        """SELECT g.key, g.size, g.hash, g.seen, e.id FROM gap g INDEXED BY gap_wanted JOIN entry e ON e.key = g.key
           WHERE g.wanted AND g.key BETWEEN ? AND ?""",
        (log.key(low), log.key(high)),
    )
    wanted = {key & SEQ_MASK: gap for key, *gap in rows.fetchall()}
    filling = [(seq, payload) for seq, payload in payloads if seq in wanted]
    for seq, payload in filling:
        size, hashed, _, identifier = wanted[seq]
        with_payload(Entry(log.device, seq, None, 0, size, hashed, identifier), payload)
    for seq, payload in filling:
        key = log.key(seq)
        if db.execute("SELECT 1 FROM gap WHERE key = ? AND wanted", (key,)).fetchone():  # no delete before it named it
            _fill_one(db, log, key, payload, meaning_of(payload), wanted[seq][2])


def _fill_one(db: sqlite3.Connection, log: LogRow, key: int, payload: bytes, meaning: Meaning, seen: int) -> None:
    db.execute(
        'UPDATE entry SET kind = ?, "of" = ?, payload = ? WHERE key = ?', (int(meaning.kind), meaning.of, payload, key)
    )
    db.execute("DELETE FROM gap WHERE key = ?", (key,))
    enter(db, log, read_items(db, [key]))
    await_filled(db, log, key, payload, seen)
    if meaning.kind == Kind.NOTE:
        await_words(db, [(key, key)])
    if meaning.deletes:
        enter_deletes(db, log, [(key, seen, meaning.deletes)])


# --- strays -----------------------------------------------------------------------------------------------------------


def put_stray(db: sqlite3.Connection, located: Located, now_ms: int) -> None:
    entry = located.entry
    last = located.chain[-1] if located.chain else entry
    if last.signature is None:
        raise LocalProtocolError("a stray that no signature vouches for")
    log = _log_for_stray(db, located)
    if log is None:
        return
    key, spans = log.key(entry.seq), read_spans(db, log.no)
    chain = [] if entry.signature is not None else [[after.body for after in located.chain], last.signature]
    row = (key, entry.prev, now_ms, codec.pack(chain))
    if span_of(spans, entry.seq) is not None:
        if id_at(db, key) == entry.id:
            _put_into_run(db, log, Lent((*row, 0), entry.signature, entry.payload))
        return
    held = db.execute("SELECT id, payload IS NULL FROM entry WHERE key = ?", (key,)).fetchone()
    if held is not None:
        if held[0] != entry.id or not held[1] or entry.payload is None:
            return
        forget(db, log, key, key)  # now it comes with its payload
    db.execute("INSERT INTO stray (key, prev, seen, chain) VALUES (?, ?, ?, ?)", row)
    index = IndexBatch()
    _insert(db, log, stretch_of([entry]), [min(entry.time_ms, now_ms)], now_ms, True, index)
    index.bring_in(db)
    if log.identity == own_identity(db):
        enter_reactions(db, log.identity, [entry.id])
    if entry.signature is not None:
        db.execute("INSERT OR IGNORE INTO signature VALUES (?, ?)", (key, entry.signature))
    _make_room(db)


def _put_into_run(db: sqlite3.Connection, log: LogRow, stray: Lent) -> None:
    """What is held in a run already; if that is held for others it is lent to it, as if it had come before."""
    if stray.payload is not None:
        _fill(db, log, [(stray.seq, stray.payload)])
    if not is_ours(db, log):
        lend(db, [stray])
        if not log.is_kept:  # until now it was here for others only
            enter(db, log, read_items(db, [stray.key]))
        if stray.signature is not None:
            db.execute("INSERT OR IGNORE INTO signature VALUES (?, ?)", (stray.key, stray.signature))


def _log_for_stray(db: sqlite3.Connection, located: Located) -> LogRow | None:
    """The log that a stray belongs to; None if that log is known as another identity's."""
    log = log_of_device(db, located.entry.device)
    if log is None:
        return _add_log(db, located.entry.device, located.identity)
    if log.identity == located.identity:
        return log
    if log.shown_to or read_spans(db, log.no):
        return None
    forget(db, log, *log.keys)
    return reclaim(db, log, located.identity)


def _make_room(db: sqlite3.Connection) -> None:
    (count,) = db.execute("SELECT count(*) FROM stray WHERE NOT kept").fetchone()
    if count <= STRAYS_MAX:
        return
    over = (count - STRAYS_MAX,)
    oldest = db.execute("SELECT key FROM stray WHERE NOT kept ORDER BY seen, key LIMIT ?", over).fetchall()
    me = own_no(db)
    for (key,) in oldest:
        if db.execute(HELD_BY_HAND, (key, me)).fetchone():
            db.execute("UPDATE stray SET kept = 1 WHERE key = ?", (key,))
        else:
            drop_stray(db, log_of_key(db, key), key)


BY_HAND = """EXISTS (SELECT 1 FROM bookmark b WHERE b.id = e.id)
    OR EXISTS (SELECT 1 FROM reaction r WHERE r.target = e.id AND r.kind IN (2, 3) AND r.author = ?2)
    OR EXISTS (SELECT 1 FROM vote v WHERE v.target = e.id AND v.author = ?2)
    OR EXISTS (SELECT 1 FROM reply r JOIN log l ON l.no = r.key >> 32 WHERE r.parent = e.id AND l.owner = ?2)"""
"""What a person holds on to by something that they did: who floods us with strays must not drive that out."""
HELD_BY_HAND = f"SELECT 1 FROM entry e WHERE e.key = ?1 AND e.kind = {int(Kind.NOTE)} AND ({BY_HAND})"  # noqa: S608


# --- logs and identities ----------------------------------------------------------------------------------------------


def _owner_no(db: sqlite3.Connection, identity: IdentityHash) -> int:
    no = identity_no(db, identity)
    if no is not None:
        return no
    cursor = db.execute("INSERT INTO identity (hash, at_home) VALUES (?, ?)", (identity, belongs_home(db, identity)))
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def _add_log(db: sqlite3.Connection, device: DeviceKey, identity: IdentityHash) -> LogRow:
    shown_to = vouched_to(kept_identity(db, identity), device)
    db.execute(
        "INSERT INTO log (device, owner, shown_to) VALUES (?, ?, ?)", (device, _owner_no(db, identity), shown_to)
    )
    log = log_of_device(db, device)
    assert log is not None
    return log


def reclaim(db: sqlite3.Connection, log: LogRow, identity: IdentityHash) -> LogRow:
    """The log under this identity, with what it vouches for now."""
    kept = kept_identity(db, identity)
    owner, shown_to = _owner_no(db, identity), vouched_to(kept, log.device)
    after = replace(log, owner=owner, identity=identity, shown_to=shown_to, is_kept=kept is not None)
    restand(db, log, after)
    if after.owner != log.owner:
        drop_nameless(db, log.owner)
    return after


def put_identities(db: sqlite3.Connection, identities: Sequence[Identity]) -> None:
    for identity in identities:
        put_identity(db, identity)


def put_identity(db: sqlite3.Connection, identity: Identity) -> None:
    owner, was_kept = _owner_no(db, identity.hash), kept_identity(db, identity.hash) is not None
    db.execute("UPDATE identity SET wire = ? WHERE no = ?", (identity.wire, owner))
    for device in identity.devices:
        _claim_for_identity(db, identity, device)
    for log in logs_of_owner(db, owner):
        lend_no_more(db, *log.keys)
        restand(db, replace(log, is_kept=was_kept), replace(log, shown_to=vouched_to(identity, log.device)))


def _claim_for_identity(db: sqlite3.Connection, identity: Identity, device: DeviceKey) -> None:
    """Number the log of a device that the identity names. Another owner keeps it who holds a run or names it too."""
    log = log_of_device(db, device)
    if log is None:
        _add_log(db, device, identity.hash)
        return
    if log.identity == identity.hash or read_spans(db, log.no):
        return
    rival = kept_identity(db, log.identity)
    if rival is None or device not in rival.devices:
        forget(db, log, *log.keys)
        reclaim(db, log, identity.hash)


def freeze(db: sqlite3.Connection, proof: ForkProof) -> None:
    db.execute("UPDATE log SET fork = ? WHERE device = ? AND fork IS NULL", (proof.wire, proof.device))


def drop_log(db: sqlite3.Connection, device: DeviceKey) -> None:
    log = log_of_device(db, device)
    if log is None:
        return
    forget(db, log, *log.keys)
    db.execute("DELETE FROM span WHERE log = ?", (log.no,))
    db.execute("UPDATE log SET fork = NULL, floor = 0, pruned = 0 WHERE no = ?", (log.no,))
    drop_bare(db, log)


# --- bookmarks --------------------------------------------------------------------------------------------------------


def put_bookmark(db: sqlite3.Connection, notice: EntryId, now_ms: int) -> bool:
    if db.execute("SELECT 1 FROM bookmark WHERE id = ?", (notice,)).fetchone():
        return True
    if not may_add(db, "bookmark", BOOKMARKS_MAX):
        return False
    db.execute("INSERT INTO bookmark VALUES (?, ?)", (notice, now_ms))
    return True


def drop_bookmark(db: sqlite3.Connection, notice: EntryId) -> bool:
    return db.execute("DELETE FROM bookmark WHERE id = ?", (notice,)).rowcount > 0


def mark_news_read(db: sqlite3.Connection) -> int:
    """Of what others say each row tells something; of a poll only while that is here."""
    polls = _unread_polls(db)
    untold = len(polls) - sum(1 for _ in told(RowReader(db), polls))
    return mark_read(db) - untold


def _unread_polls(db: sqlite3.Connection) -> list[tuple[int, int]]:
    owner = own_no(db)
    logs = [] if owner is None else logs_of_owner(db, owner)
    return [row for log in logs for row in db.execute(UNREAD_WITHIN, log.keys).fetchall()]


UNREAD_WITHIN = "SELECT key, is_read FROM news WHERE key BETWEEN ? AND ? AND NOT is_read"


# --- what a person does not want --------------------------------------------------------------------------------------


def put_mute(db: sqlite3.Connection, mute: Mute, now_ms: int) -> bool:
    db.execute("DELETE FROM mute WHERE until <= ?", (now_ms,))
    is_there = db.execute("SELECT 1 FROM mute WHERE kind = ? AND what = ?", (int(mute.kind), mute.what)).fetchone()
    if not is_there and not may_add(db, "mute", MUTES_MAX):
        return False
    row = (int(mute.kind), mute.what, mute.since_ms, mute.until_ms)
    db.execute("INSERT OR REPLACE INTO mute (kind, what, since, until) VALUES (?, ?, ?, ?)", row)
    return True


def drop_mute(db: sqlite3.Connection, kind: MuteKind, what: bytes) -> bool:
    return db.execute("DELETE FROM mute WHERE kind = ? AND what = ?", (int(kind), what)).rowcount > 0


def put_block(db: sqlite3.Connection, block: Block) -> bool:
    if not db.execute("SELECT 1 FROM block WHERE identity = ?", (block.identity,)).fetchone():
        if not may_add(db, "block", BLOCKS_MAX):
            return False
        db.execute("INSERT INTO block (identity, since) VALUES (?, ?)", (block.identity, block.since_ms))
    drop_admitted(db, block.identity)
    owner = identity_no(db, block.identity)
    if owner is not None:
        db.execute("UPDATE identity SET wire = NULL WHERE no = ?", (owner,))
        for log in logs_of_owner(db, owner):
            db.execute("DELETE FROM bookmark WHERE id IN (SELECT id FROM entry WHERE key BETWEEN ? AND ?)", log.keys)
            drop_log(db, log.device)
    return True


def drop_block(db: sqlite3.Connection, identity: IdentityHash) -> bool:
    return db.execute("DELETE FROM block WHERE identity = ?", (identity,)).rowcount > 0


# --- follows, peers, settings -----------------------------------------------------------------------------------------


def belongs_home(db: sqlite3.Connection, identity: IdentityHash) -> bool:
    row = db.execute(
        """SELECT EXISTS (SELECT 1 FROM follow WHERE identity = ?)
                OR EXISTS (SELECT 1 FROM setting WHERE name = ? AND value = ?)""",
        (identity, OWN_IDENTITY, identity),
    ).fetchone()
    return bool(row[0])


def _settle_home(db: sqlite3.Connection, identity: IdentityHash) -> None:
    owner = identity_no(db, identity)
    if owner is not None:
        set_at_home(db, owner, belongs_home(db, identity))
        drop_nameless(db, owner)


def put_follow(db: sqlite3.Connection, follow: Follow) -> None:
    terms = follow.no_boosts, follow.budget, follow.private
    row = (follow.identity, follow.petname, follow.since_ms, *terms)
    names = "identity, petname, since, no_boosts, budget, private"
    db.execute(f"INSERT OR REPLACE INTO follow ({names}) VALUES (?, ?, ?, ?, ?, ?)", row)  # noqa: S608 - from above
    _settle_home(db, follow.identity)


def drop_follow(db: sqlite3.Connection, identity: IdentityHash) -> None:
    db.execute("DELETE FROM follow WHERE identity = ?", (identity,))
    leave_lists(db, identity)
    _settle_home(db, identity)


def put_peers(db: sqlite3.Connection, peers: Sequence[KnownPeer]) -> None:
    rows = [(peer.endpoint, peer.node, peer.seen_ms, peer.failures) for peer in peers]
    db.executemany("INSERT OR REPLACE INTO peer VALUES (?, ?, ?, ?)", rows)
    (count,) = db.execute("SELECT count(*) FROM peer").fetchone()
    if count > KNOWN_PEERS_MAX:
        db.execute(
            """DELETE FROM peer WHERE endpoint IN
               (SELECT endpoint FROM peer ORDER BY seen, endpoint LIMIT ?)""",
            (count - KNOWN_PEERS_MAX,),
        )


def put_setting(db: sqlite3.Connection, name: str, value: bytes | None) -> None:
    """Nothing is written where it stands so already: what is remembered of a peer may have hundreds of kilobytes."""
    row = db.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
    before = row[0] if row else None
    if value == before:
        return
    if value is None:
        db.execute("DELETE FROM setting WHERE name = ?", (name,))
    else:
        db.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, value))
    if name == OWN_IDENTITY:
        renew_news(db)
        db.execute("DELETE FROM poll_due")
        for identity in (before, value):
            if identity is not None:
                _settle_home(db, IdentityHash(identity))
