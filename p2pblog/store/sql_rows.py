"""The rows of one answer, read together: a page takes a few statements, however many notices it shows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from p2pblog.config import VERSIONS_MAX
from p2pblog.core.keys import EntryId
from p2pblog.core.payload import Ref
from p2pblog.core.polls import Ballot
from p2pblog.core.timelines import Row
from p2pblog.core.value import Value
from p2pblog.store import OWN_IDENTITY
from p2pblog.store.conversations import Node, Which
from p2pblog.store.meaning import IN_TIMELINES, Kind, Shown, Standing, Version, called, compose, profile_of, quoted_id
from p2pblog.store.sql_base import SEQ_MASK, in_steps, key_of_id, log_of_key
from p2pblog.store.sql_index import edit_of, version_of
from p2pblog.store.sql_news import own_identity
from p2pblog.store.sql_strangers import is_stranger
from p2pblog.store.sql_transactions import pass_over

KEYS_AT_ONCE = 64
"""Values in one question. A shorter list is filled up with NULL, which nothing equals, so that the statement is always
the same and SQLite reads it once."""
_MARKS = ",".join("?" * KEYS_AT_ONCE)
_COUNT = """(SELECT count(*) FROM (SELECT 1 FROM reaction c WHERE c.kind = {}
            AND c.target = CASE e.kind WHEN 2 THEN e."of" ELSE e.id END GROUP BY c.author))"""
SHOWN = f"""SELECT e.key, e.id, i.hash, e.kind, e."of", e.time, e.payload, e.sort, l.owner,
            EXISTS (SELECT 1 FROM edit d WHERE d.author = l.owner AND d.target = e.id),
            {_COUNT.format(int(Kind.LIKE))}, {_COUNT.format(int(Kind.BOOST))}
            FROM entry e JOIN log l ON l.no = e.key >> 32 JOIN identity i ON i.no = l.owner
            WHERE e.key IN ({_MARKS}) AND e.payload IS NOT NULL AND (e.key & 4294967295) <= l.shown_to
            AND NOT EXISTS (SELECT 1 FROM retracted r WHERE r.key = e.key)"""  # noqa: S608 - only numbers and marks
"""What may be shown, with the counts of the notice that each shows: a boost (2) the one that it boosts."""
PROFILES = f"""WITH wished (author) AS (VALUES {",".join(["(?)"] * KEYS_AT_ONCE)})
               SELECT author, (SELECT e.payload FROM profile p JOIN entry e ON e.key = p.key
               WHERE p.author = wished.author ORDER BY p.sort DESC, p.key DESC LIMIT 1) FROM wished"""  # noqa: S608
"""The newest profile of each."""


def _filled_up(values: Sequence[int]) -> tuple[int | None, ...]:
    return (*values, *[None] * (KEYS_AT_ONCE - len(values)))


class _Found(Value):
    """A row that may be shown. `owner`: its author's number."""

    shown: Shown
    owner: int
    is_edited: int
    likes: int
    boosts: int


class RowReader:
    """Rows of one answer. Whatever is looked up is kept, and what many rows need is looked up at once."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._found: dict[int, _Found | None] = {}
        self._keys: dict[EntryId, int | None] = {}
        self._names: dict[int, str | None] = {}
        self._nodes: dict[EntryId, Node] = {}
        self._strange: dict[int, bool] = {}
        self._lost: set[int] = set()
        self._own = own_identity(db)

    # --- what may be shown ---

    def rows(self, keys: Iterable[int], limit: int) -> list[Row]:
        """The first rows at these keys, all of which may be shown, at most `limit`. What is lost is passed over."""
        return self._rows(list(islice(self._seen_surely(keys, limit), limit)))

    def rows_within(self, keys: Iterable[int], limit: int) -> list[Row]:
        """The first rows at these keys that may be shown, at most `limit`."""
        return self._rows(list(islice(self._seen(keys), limit)))

    def rows_of(self, ids: Iterable[EntryId], limit: int | None = None) -> list[Row]:
        """The first notices and boosts with these ids that may be shown, at most `limit`."""
        keys = (key for entry in ids if (key := self._key(entry)) is not None)
        seen = (found for found in self._seen(keys) if found.shown.kind in IN_TIMELINES)
        return self._rows(list(islice(seen, limit)))

    def _seen(self, keys: Iterable[int]) -> Iterator[_Found]:
        for step in in_steps(keys, KEYS_AT_ONCE):
            found = (self._look_up(key) for key in self.expect(step))
            yield from (each for each in found if each is not None)

    def _seen_surely(self, keys: Iterable[int], limit: int) -> Iterator[_Found]:
        """What is to be shown, and no more looked up than that takes. It is said once that one can't be: it is lost, or
        we err."""
        for step in in_steps(keys, max(1, min(limit, KEYS_AT_ONCE))):
            for key in self.expect(step):
                found = self._look_up(key)
                if found is not None:
                    yield found
                elif key not in self._lost:
                    pass_over(AssertionError("an index of what is shown holds something hidden"))

    def expect(self, keys: Iterable[int]) -> list[int]:
        """Look up together what may be shown at these keys, which it gives as a list."""
        wished = list(keys)
        for step in in_steps((key for key in dict.fromkeys(wished) if key not in self._found), KEYS_AT_ONCE):
            self._found.update(dict.fromkeys(step))
            for row in self._ask(step):
                key, identifier, author, kind, of, time_ms, payload, sort, owner, *standing = row
                shown = Shown(identifier, author, Kind(kind), of, time_ms, payload, sort)
                self._found[key] = _Found(shown, owner, *standing)
        return wished

    def _ask(self, keys: Sequence[int]) -> list[Any]:
        """The rows of what may be shown; where SQLite does not read one, of all others."""
        try:
            return self._db.execute(SHOWN, _filled_up(keys)).fetchall()
        except sqlite3.DatabaseError as error:
            pass_over(error)
            if len(keys) > 1:
                return [row for key in keys for row in self._ask([key])]
            self._lost.update(keys)
            return []

    def shown_if(self, key: int | None) -> Shown | None:
        found = self._look_up(key)
        return None if found is None else found.shown

    def shown_by_id(self, entry: EntryId) -> Shown | None:
        return self.shown_if(self._key(entry))

    def _look_up(self, key: int | None) -> _Found | None:
        if key is None:
            return None
        if key not in self._found:
            self.expect([key])
        return self._found[key]

    def _key(self, entry: EntryId) -> int | None:
        if entry not in self._keys:
            self._keys[entry] = key_of_id(self._db, entry)
        return self._keys[entry]

    # --- how it reads ---

    def _rows(self, found: Sequence[_Found]) -> list[Row]:
        """The rows of what was found, once all is looked up that they show beside it."""
        named = (each.shown.of if each.shown.kind == Kind.BOOST else quoted_id(each.shown.payload) for each in found)
        self.expect(key for entry in named if entry is not None and (key := self._key(entry)) is not None)
        self._learn_names(each.owner for each in found)
        return [self._row(each) for each in found]

    def _learn_names(self, owners: Iterable[int]) -> None:
        for step in in_steps((owner for owner in dict.fromkeys(owners) if owner not in self._names), KEYS_AT_ONCE):
            found = self._db.execute(PROFILES, _filled_up(step)).fetchall()
            self._names.update((owner, called(profile_of(payload))[0]) for owner, payload in found)

    def _row(self, found: _Found) -> Row:
        shown, words = found.shown, found
        if shown.kind == Kind.BOOST and shown.of is not None:
            boosted = self._look_up(self._key(shown.of))
            if boosted is None:
                standing = Standing(None, None, found.likes, found.boosts)
                return compose(shown, self._names[found.owner], standing, self._ballots, self._is_taken_back)
            words = boosted
        said = words.shown
        edit = edit_of(self._db, words.owner, said.id) if words.is_edited else None
        standing = Standing(said.payload, edit, found.likes, found.boosts, self._quoted(said.payload), said.author)
        return compose(shown, self._names[found.owner], standing, self._ballots, self._is_taken_back)

    def _is_taken_back(self, ref: Ref) -> bool:
        (found,) = self._db.execute(TAKEN_BACK_BY, (ref.identity, ref.id)).fetchone()
        return found is not None

    def _quoted(self, payload: bytes | None) -> Shown | None:
        """The version that a notice quotes; of an edit only while its author has not taken back what it edits."""
        wanted = quoted_id(payload)
        found = None if wanted is None else self._look_up(self._key(wanted))
        if found is None:
            return None
        gone = found.shown.kind == Kind.EDIT and self._db.execute(TAKEN_BACK, (found.owner, found.shown.of)).fetchone()
        return None if gone else found.shown

    def versions(self, notice: EntryId) -> list[Version]:
        found, key = self._look_up(self._key(notice)), self._key(notice)
        if found is None or key is None or found.shown.kind != Kind.NOTE:
            return []
        rows = self._db.execute(VERSIONS, (found.owner, notice, VERSIONS_MAX)).fetchall()
        first = Version(notice, key >> 32, key & SEQ_MASK, found.shown.time_ms, found.shown.payload)
        edits = sorted(rows, key=lambda row: (row[-1], row[1]))
        return [first, *(version_of(row[:-1]) for row in edits)]

    def refs(self, ids: Sequence[EntryId]) -> list[tuple[Ref, ...]]:
        self.expect(key for entry in ids if (key := self._key(entry)) is not None)
        return [tuple(self._refs(entry)) for entry in ids]

    def _refs(self, entry: EntryId) -> Iterator[Ref]:
        found, key = self._look_up(self._key(entry)), self._key(entry)
        if found is None or key is None:
            return
        yield self._ref(key, entry)
        edit = edit_of(self._db, found.owner, entry) if found.is_edited and found.shown.kind == Kind.NOTE else None
        if edit is not None:
            yield self._ref(edit.log << 32 | edit.seq, edit.id)

    def _ref(self, key: int, entry: EntryId) -> Ref:
        log = log_of_key(self._db, key)
        return Ref(log.identity, log.device, key & SEQ_MASK, entry)

    def _ballots(self, notice: EntryId) -> Iterator[Ballot]:
        (own,) = self._db.execute(OWN, (OWN_IDENTITY,)).fetchone()
        for author, key, place, identifier, choice in self._db.execute(VOTES, (notice,)):
            yield Ballot(author, key >> 32, key & SEQ_MASK, place, identifier, choice, author == own)

    # --- conversations ---

    def node(self, entry: EntryId) -> Node | None:
        """An entry held, as a conversation sees it."""
        if entry not in self._nodes:
            key = self._key(entry)
            if key is None:
                return None
            self._note_node(self._db.execute(NODE, (key,)).fetchone())
        return self._nodes[entry]

    def replies(self, parent: EntryId, most: int, which: Which) -> list[EntryId]:
        return [self._note_node(row) for row in self._db.execute(REPLIES[which], (parent, most)).fetchall()]

    def _note_node(self, row: Sequence[Any]) -> EntryId:
        entry, key, kind, of, lacking, sort, owner, author, waits = row
        if owner not in self._strange:
            self._strange[owner] = is_stranger(self._db, owner)
        self._keys[entry] = key
        is_own, is_strange = author == self._own, self._strange[owner]
        self._nodes[entry] = Node(Kind(kind), of, bool(lacking), (sort, key), is_own, is_strange, bool(waits))
        return EntryId(entry)

    def is_own(self, entry: EntryId) -> bool:
        """Whether an entry held is the node's own identity's."""
        node = self.node(entry)
        return node is not None and node.is_own


OWN = "SELECT max(i.no) FROM setting s JOIN identity i ON i.hash = s.value WHERE s.name = ?"
VOTES = """SELECT v.author, v.key, e.sort, e.id, v.choice FROM vote v JOIN entry e ON e.key = v.key
           WHERE v.target = ?"""
TAKEN_BACK = "SELECT 1 FROM retraction WHERE author = ? AND target = ? LIMIT 1"
TAKEN_BACK_BY = """SELECT min(e.id) FROM identity i CROSS JOIN retraction r ON r.author = i.no
                   JOIN entry e ON e.key = r.key WHERE i.hash = ? AND r.target = ?"""
VERSIONS = """SELECT e.id, e.key, e.time, e.payload, e.sort FROM edit d JOIN entry e ON e.key = d.key
              WHERE d.author = ? AND d.target = ? ORDER BY d.key DESC LIMIT ?"""
_WAITS = "EXISTS (SELECT 1 FROM news n WHERE n.key = e.key AND n.waits)"
_NODE = """SELECT e.id, e.key, e.kind, e."of", coalesce(g.wanted, 0), e.sort, l.owner, i.hash, {} FROM {}
           JOIN log l ON l.no = e.key >> 32 JOIN identity i ON i.no = l.owner LEFT JOIN gap g ON g.key = e.key"""
NODE = _NODE.format(_WAITS, "entry e") + " WHERE e.key = ?"
_REPLIES = _NODE.format(_WAITS, "reply r JOIN entry e ON e.key = r.key") + (
    " WHERE r.parent = ?{} ORDER BY r.sort, r.key LIMIT ?"
)
REPLIES = {
    Which.ALL: _REPLIES.format(""),
    Which.TOLD: _REPLIES.format(f" AND NOT {_WAITS}"),
    Which.WAITING: _REPLIES.format(f" AND {_WAITS}"),
}
