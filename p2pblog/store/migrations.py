"""The database's schema as numbered steps, and what keeps us from touching a file that is not ours to write.

A step is one transaction, its number included, so a database always is of one version. A released step is never
edited: what it got wrong, the next one mends. docs/store.md tells why each table is there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

from p2pblog.errors import StoreError
from p2pblog.store import OWN_IDENTITY
from p2pblog.store.meaning import Kind, meaning_of, ref_of
from p2pblog.store.sql_index import edit_of, settle_tags
from p2pblog.store.sql_news import is_own
from p2pblog.store.sql_strangers import is_stranger

APPLICATION_ID = int.from_bytes(b"p2pb", "big")
"""SQLite's header field that says whose file this is (https://www.sqlite.org/pragma.html#pragma_application_id)."""

_FIRST_TABLES = """
CREATE TABLE identity (no INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, wire BLOB, at_home INTEGER NOT NULL);
CREATE TABLE log (no INTEGER PRIMARY KEY AUTOINCREMENT, device BLOB NOT NULL UNIQUE, owner INTEGER NOT NULL,
                  shown_to INTEGER NOT NULL, fork BLOB);
CREATE INDEX log_by_owner ON log (owner);
CREATE TABLE span (log INTEGER, low INTEGER, high INTEGER NOT NULL, low_prev BLOB,
                   PRIMARY KEY (log, low)) WITHOUT ROWID;

CREATE TABLE entry (key INTEGER PRIMARY KEY, time INTEGER NOT NULL, sort INTEGER NOT NULL, kind INTEGER NOT NULL,
                    id BLOB NOT NULL, "of" BLOB, payload BLOB);
CREATE TABLE signature (key INTEGER PRIMARY KEY, signature BLOB NOT NULL);
CREATE TABLE gap (key INTEGER PRIMARY KEY, size INTEGER NOT NULL, hash BLOB NOT NULL, seen INTEGER NOT NULL,
                  wanted INTEGER NOT NULL);
CREATE INDEX gap_wanted ON gap (key) WHERE wanted;
CREATE TABLE stray (key INTEGER PRIMARY KEY, prev BLOB, seen INTEGER NOT NULL, chain BLOB NOT NULL);
CREATE INDEX stray_by_age ON stray (seen, key);

CREATE TABLE entry_id (prefix BLOB, key INTEGER, PRIMARY KEY (prefix, key)) WITHOUT ROWID;
CREATE TABLE home (sort INTEGER, key INTEGER, PRIMARY KEY (sort, key)) WITHOUT ROWID;
CREATE TABLE feed (author INTEGER, sort INTEGER, key INTEGER, PRIMARY KEY (author, sort, key)) WITHOUT ROWID;
CREATE TABLE profile (author INTEGER, sort INTEGER, key INTEGER, PRIMARY KEY (author, sort, key)) WITHOUT ROWID;
CREATE TABLE reply (parent BLOB, sort INTEGER, key INTEGER, PRIMARY KEY (parent, sort, key)) WITHOUT ROWID;
CREATE TABLE reaction (target BLOB, kind INTEGER, author INTEGER, key INTEGER,
                       PRIMARY KEY (target, kind, author, key)) WITHOUT ROWID;
CREATE TABLE deletion (key INTEGER PRIMARY KEY, seen INTEGER NOT NULL);
CREATE TABLE retraction (author INTEGER, target BLOB, key INTEGER, PRIMARY KEY (author, target, key)) WITHOUT ROWID;
CREATE TABLE retracted (key INTEGER PRIMARY KEY, seen INTEGER NOT NULL);
CREATE INDEX retracted_by_age ON retracted (seen, key);

CREATE TABLE follow (identity BLOB PRIMARY KEY, petname TEXT, since INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE peer (endpoint TEXT PRIMARY KEY, node BLOB, seen INTEGER NOT NULL,
                   failures INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX peer_by_age ON peer (seen, endpoint);
CREATE TABLE setting (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""


_REGISTERS = """
CREATE TABLE generation (no INTEGER PRIMARY KEY, register INTEGER NOT NULL, records INTEGER NOT NULL,
                         hot INTEGER NOT NULL, target INTEGER);
CREATE TABLE page (no INTEGER PRIMARY KEY, generation INTEGER NOT NULL, first BLOB NOT NULL, records BLOB NOT NULL);
CREATE UNIQUE INDEX page_by_first ON page (generation, first);
"""


def _to_registers(db: sqlite3.Connection) -> None:
    """The ids and the two timelines move from rows of their own into registers (store/register.py): an identity's
    number in 4 bytes, every other number in 8, highest byte first."""
    for statement in statements(_REGISTERS):
        db.execute(statement)
    ids = db.execute("SELECT prefix, key FROM entry_id ORDER BY prefix, key")
    _pack(db, 1, 16, (prefix + key.to_bytes(8, "big") for prefix, key in ids))
    home = db.execute("SELECT sort, key FROM home ORDER BY sort, key")
    _pack(db, 2, 16, (sort.to_bytes(8, "big") + key.to_bytes(8, "big") for sort, key in home))
    feed = db.execute("SELECT author, sort, key FROM feed ORDER BY author, sort, key")
    _pack(
        db, 3, 20,
        (author.to_bytes(4, "big") + sort.to_bytes(8, "big") + key.to_bytes(8, "big") for author, sort, key in feed),
    )  # fmt: skip
    for table in ("entry_id", "home", "feed"):
        db.execute(f"DROP TABLE {table}")


def _pack(db: sqlite3.Connection, register: int, width: int, records: Iterable[bytes]) -> None:
    """Records in ascending order as one generation, in pages of at most 1,984 bytes."""
    cursor = db.execute("INSERT INTO generation (register, records, hot) VALUES (?, 0, 0)", (register,))
    rest, count = iter(records), 0
    while page := list(islice(rest, 1_984 // width)):
        db.execute("INSERT INTO page VALUES (NULL, ?, ?, ?)", (cursor.lastrowid, page[0], b"".join(page)))
        count += len(page)
    db.execute("UPDATE generation SET records = ? WHERE no = ?", (count, cursor.lastrowid))
    if not count:
        db.execute("DELETE FROM generation WHERE no = ?", (cursor.lastrowid,))


_TAGS = """
CREATE TABLE tag (tag TEXT, sort INTEGER, key INTEGER, PRIMARY KEY (tag, sort, key)) WITHOUT ROWID;
CREATE TABLE bookmark (id BLOB PRIMARY KEY, since INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX bookmark_by_age ON bookmark (since, id);
"""
_MAY_HAVE_TAGS = """
SELECT e.sort, e.key, e.payload FROM entry e JOIN log l ON l.no = e.key >> 32
WHERE e.kind = 1 AND instr(e.payload, X'23') AND (e.key & 4294967295) <= l.shown_to
AND NOT EXISTS (SELECT 1 FROM retracted r WHERE r.key = e.key)
AND NOT EXISTS (SELECT 1 FROM stray s WHERE s.key = e.key)
"""


def _to_tags(db: sqlite3.Connection) -> None:
    """Notices that are shown come to stand under their tags; bookmarks begin."""
    for statement in statements(_TAGS):
        db.execute(statement)
    rows = db.execute(_MAY_HAVE_TAGS)
    db.executemany(
        "INSERT INTO tag VALUES (?, ?, ?)",
        ((tag, sort, key) for sort, key, payload in rows for tag in meaning_of(payload).tags),
    )


_DMS = """
CREATE TABLE dm (sort INTEGER, key INTEGER, PRIMARY KEY (sort, key)) WITHOUT ROWID;
CREATE TABLE dm_aside (key INTEGER PRIMARY KEY);
"""
_MAY_BE_DM = """
SELECT e.key, e.sort, e.payload, (e.key & 4294967295) <= l.shown_to
    AND NOT EXISTS (SELECT 1 FROM retracted r WHERE r.key = e.key)
    AND NOT EXISTS (SELECT 1 FROM stray s WHERE s.key = e.key)
FROM entry e JOIN log l ON l.no = e.key >> 32
WHERE e.kind = 6 AND instr(e.payload, X'A474797065A2646D')
"""
"""With the key `type` and the text `dm` in it."""


def _to_dms(db: sqlite3.Connection) -> None:
    """Direct messages, which were of no known type, get their kind, and those that are shown their index."""
    for statement in statements(_DMS):
        db.execute(statement)
    for key, sort, payload, is_shown in db.execute(_MAY_BE_DM).fetchall():
        kind = meaning_of(payload).kind
        if kind == Kind.DM:
            db.execute("UPDATE entry SET kind = ? WHERE key = ?", (int(kind), key))
            if is_shown:
                db.execute("INSERT INTO dm VALUES (?, ?)", (sort, key))


_WORD_INDEX = """
CREATE VIRTUAL TABLE word USING fts5(said, content='', columnsize=0, tokenize="ascii tokenchars '#@:_'");
CREATE TABLE found (number INTEGER PRIMARY KEY, key INTEGER NOT NULL UNIQUE, version INTEGER NOT NULL);
CREATE INDEX found_by_version ON found (version);
CREATE TABLE unread (no INTEGER PRIMARY KEY, low INTEGER NOT NULL, high INTEGER NOT NULL);
CREATE TABLE word_form (form TEXT NOT NULL);
"""
"""Nothing is indexed yet: without a form `sql_words.prepare` begins with all that is held."""


_LISTS = """
CREATE TABLE list (no INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE member (list INTEGER, identity BLOB, PRIMARY KEY (list, identity)) WITHOUT ROWID;
CREATE INDEX member_by_identity ON member (identity, list);
"""


_QUIET = """
ALTER TABLE follow ADD COLUMN no_boosts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE follow ADD COLUMN budget TEXT;
ALTER TABLE follow ADD COLUMN private INTEGER NOT NULL DEFAULT 0;
CREATE TABLE mute (kind INTEGER, what BLOB, since INTEGER NOT NULL, until INTEGER,
                   PRIMARY KEY (kind, what)) WITHOUT ROWID;
CREATE TABLE block (identity BLOB PRIMARY KEY, since INTEGER NOT NULL) WITHOUT ROWID;
"""
"""Mutes and blocks begin, and terms on which one follows."""


_VOTES = """
CREATE TABLE vote (target BLOB, author INTEGER, key INTEGER, choice INTEGER NOT NULL,
                   PRIMARY KEY (target, author, key)) WITHOUT ROWID;
CREATE TABLE pin (author INTEGER, sort INTEGER, key INTEGER, PRIMARY KEY (author, sort, key)) WITHOUT ROWID;
"""
_NOT_UNDERSTOOD = """
SELECT key, sort, payload FROM entry WHERE kind = 6 AND (instr(payload, ?1) OR instr(payload, ?2))
"""
_WHOSE_IF_SHOWN = """
SELECT l.owner FROM log l WHERE l.no = ?1 >> 32 AND (?1 & 4294967295) <= l.shown_to
AND NOT EXISTS (SELECT 1 FROM retracted r WHERE r.key = ?1)
"""


def _to_votes(db: sqlite3.Connection) -> None:
    """Votes and pins that came before this version understood them are entered."""
    for statement in statements(_VOTES):
        db.execute(statement)
    for key, sort, payload in db.execute(_NOT_UNDERSTOOD, (b"vote", b"pin")).fetchall():
        meaning = meaning_of(payload)
        kind, of = int(meaning.kind), meaning.of
        if kind not in (Kind.VOTE, Kind.PIN):
            continue
        db.execute('UPDATE entry SET kind = ?, "of" = ? WHERE key = ?', (kind, of, key))
        for (author,) in db.execute(_WHOSE_IF_SHOWN, (key,)).fetchall():
            if kind == Kind.VOTE:
                db.execute("INSERT INTO vote VALUES (?, ?, ?, ?)", (of, author, key, meaning.choice))
            else:
                db.execute("INSERT INTO pin VALUES (?, ?, ?)", (author, sort, key))
                db.execute("INSERT INTO reaction VALUES (?, ?, ?, ?)", (of, kind, author, key))


_EDITS = """
CREATE TABLE edit (author INTEGER, target BLOB, key INTEGER, PRIMARY KEY (author, target, key)) WITHOUT ROWID;
CREATE INDEX tag_by_key ON tag (key);
CREATE TABLE news (no INTEGER PRIMARY KEY AUTOINCREMENT, key INTEGER NOT NULL UNIQUE);
"""
_NEWS_READ = "notifications read"
"""The setting that said up to which news all was read, until version 12."""
_MAY_BE_NEWS = """
SELECT e.key, e.payload FROM entry e JOIN log l ON l.no = e.key >> 32 JOIN identity i ON i.no = l.owner
WHERE e.kind IN (1, 2, 3) AND e.payload IS NOT NULL AND (e.key & 4294967295) <= l.shown_to AND i.hash != ?1
AND (instr(e.payload, ?1) OR instr(e.payload, X'40'))
AND NOT EXISTS (SELECT 1 FROM retracted r WHERE r.key = e.key) ORDER BY e.sort, e.key
"""
_MAY_BE_EDITS = """
SELECT e.key, e.payload, l.owner, l.shown_to FROM entry e JOIN log l ON l.no = e.key >> 32
WHERE e.kind = 6 AND e.payload IS NOT NULL
"""


def _to_edits(db: sqlite3.Connection) -> None:
    """Edits that came before this version knew them count now; what was said to us becomes news, all of it read."""
    for statement in statements(_EDITS):
        db.execute(statement)
    for key, payload, owner, shown_to in db.execute(_MAY_BE_EDITS).fetchall():
        meaning = meaning_of(payload)
        if meaning.kind != Kind.EDIT:
            continue
        db.execute('UPDATE entry SET kind = ?, "of" = ? WHERE key = ?', (int(meaning.kind), meaning.of, key))
        is_retracted = db.execute("SELECT 1 FROM retracted WHERE key = ?", (key,)).fetchone() is not None
        if key & 0xFFFFFFFF <= shown_to and not is_retracted:
            db.execute("INSERT INTO edit VALUES (?, ?, ?)", (owner, meaning.of, key))
    for (own,) in db.execute("SELECT value FROM setting WHERE name = ?", (OWN_IDENTITY,)).fetchall():
        rows = db.execute(_MAY_BE_NEWS, (own,)).fetchall()
        said = [(key,) for key, payload in rows if own in meaning_of(payload).to]
        db.executemany("INSERT INTO news (key) VALUES (?)", said)
    db.execute("INSERT OR REPLACE INTO setting SELECT ?, CAST(max(no) AS BLOB) FROM news HAVING max(no)", (_NEWS_READ,))


_FILES = "CREATE TABLE attachment (file BLOB, key INTEGER, PRIMARY KEY (file, key)) WITHOUT ROWID;\n"
_MAY_HAVE_FILES = """
SELECT e.key, e.payload FROM entry e JOIN log l ON l.no = e.key >> 32
WHERE e.kind = 1 AND instr(e.payload, X'A56D65646961') AND (e.key & 4294967295) <= l.shown_to
AND NOT EXISTS (SELECT 1 FROM retracted r WHERE r.key = e.key)
"""


def _to_files(db: sqlite3.Connection) -> None:
    """Notices that are shown come to stand under their files: those that came before this version knew of any."""
    for statement in statements(_FILES):
        db.execute(statement)
    _enter_files(db, _MAY_HAVE_FILES)


def _enter_files(db: sqlite3.Connection, which: str) -> None:
    rows = db.execute(which).fetchall()
    files = sorted((file, key) for key, payload in rows for file in meaning_of(payload).files)
    db.executemany("INSERT OR IGNORE INTO attachment VALUES (?, ?)", files)


_MAY_HAVE_PICTURES = """
SELECT e.key, e.payload FROM profile p JOIN entry e ON e.key = p.key
WHERE instr(e.payload, X'A6617661746172') OR instr(e.payload, X'A662616E6E6572')
"""


def _to_pictures(db: sqlite3.Connection) -> None:
    """Profiles that are shown come to stand under their pictures: those that came from nodes of a later version."""
    _enter_files(db, _MAY_HAVE_PICTURES)


_STRANGERS = """
CREATE TABLE admitted (identity BLOB PRIMARY KEY, since INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE vouch (subject BLOB, author INTEGER, key INTEGER, PRIMARY KEY (subject, author, key)) WITHOUT ROWID;
CREATE INDEX vouch_by_author ON vouch (author, subject);
ALTER TABLE news ADD COLUMN sort INTEGER NOT NULL DEFAULT 0;
ALTER TABLE news ADD COLUMN is_notice INTEGER NOT NULL DEFAULT 0;
ALTER TABLE news ADD COLUMN waits INTEGER NOT NULL DEFAULT 0;
ALTER TABLE news ADD COLUMN is_read INTEGER NOT NULL DEFAULT 0;
CREATE INDEX news_told ON news (no) WHERE NOT waits;
CREATE INDEX news_unread ON news (no) WHERE NOT waits AND NOT is_read;
CREATE INDEX news_of_strangers ON news (sort, key) WHERE waits AND is_notice;
"""
_MAY_BE_VOUCHES = """
SELECT key, payload FROM entry WHERE kind = 6 AND instr(payload, X'A474797065A5766F756368')
"""
"""With the key `type` and the text `vouch` in it."""


def _to_strangers(db: sqlite3.Connection) -> None:
    """Vouches that came before this version knew them count; of what was said to us that of strangers waits now, and
    what was read is so still."""
    for statement in statements(_STRANGERS):
        db.execute(statement)
    for key, payload in db.execute(_MAY_BE_VOUCHES).fetchall():
        meaning = meaning_of(payload)
        if meaning.kind != Kind.VOUCH:
            continue
        db.execute("UPDATE entry SET kind = ? WHERE key = ?", (int(meaning.kind), key))
        for (author,) in db.execute(_WHOSE_IF_SHOWN, (key,)).fetchall():
            db.executemany("INSERT INTO vouch VALUES (?, ?, ?)", [(subject, author, key) for subject in meaning.to])
    read_to = db.execute("SELECT value FROM setting WHERE name = ?", (_NEWS_READ,)).fetchone()
    db.execute("DELETE FROM setting WHERE name = ?", (_NEWS_READ,))
    db.execute("UPDATE news SET is_read = no <= ?", (0 if read_to is None else int(read_to[0]),))
    db.execute(
        """UPDATE news SET (sort, is_notice) = (SELECT e.sort, e.kind = ? FROM entry e WHERE e.key = news.key)""",
        (int(Kind.NOTE),),
    )
    authors = db.execute("SELECT n.key, l.owner FROM news n JOIN log l ON l.no = n.key >> 32").fetchall()
    strange = {owner: is_stranger(db, owner) for _, owner in authors}
    db.executemany("UPDATE news SET waits = ? WHERE key = ?", [(strange[owner], key) for key, owner in authors])


_PRUNING = """
ALTER TABLE log ADD COLUMN floor INTEGER NOT NULL DEFAULT 0;
ALTER TABLE log ADD COLUMN pruned INTEGER NOT NULL DEFAULT 0;
ALTER TABLE stray ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;
CREATE INDEX stray_to_go ON stray (seen, key) WHERE NOT kept;
"""
"""Pruning begins: up to which number of a log all went, how much that was, and which strays stay when others go."""


_POLL_ENDS = """
CREATE TABLE poll_due (key INTEGER PRIMARY KEY, since INTEGER NOT NULL, due INTEGER NOT NULL);
CREATE INDEX poll_due_by_time ON poll_due (due, key);
"""
"""Own polls and votes from now on: of older ones nobody can tell when they came here."""


_GROUPS = "CREATE TABLE joined (name TEXT PRIMARY KEY, since INTEGER NOT NULL) WITHOUT ROWID;\n"
_TAGS_OF_NOTHING = """
DELETE FROM tag WHERE key NOT IN (SELECT e.key FROM entry e JOIN log l ON l.no = e.key >> 32
    WHERE e.key = tag.key AND e.payload IS NOT NULL AND (e.key & 4294967295) <= l.shown_to
    AND NOT EXISTS (SELECT 1 FROM retracted r WHERE r.key = e.key))
"""
_MAY_NAME_GROUPS = """
SELECT e.sort, e.key, e.id, e.payload, l.owner FROM entry e JOIN log l ON l.no = e.key >> 32
WHERE e.kind = 1 AND e.payload IS NOT NULL AND (e.key & 4294967295) <= l.shown_to
AND (instr(e.payload, X'21') OR EXISTS (SELECT 1 FROM edit d WHERE d.author = l.owner AND d.target = e.id))
AND NOT EXISTS (SELECT 1 FROM retracted r WHERE r.key = e.key)
"""
"""Every notice is looked at, once in a database's life."""


def _to_groups(db: sqlite3.Connection) -> None:
    """All notices that are shown, strays too, come to stand under their groups, by the words that they have now. Tags
    of what went go, which an edit left behind until now."""
    for statement in statements(_GROUPS):
        db.execute(statement)
    db.execute(_TAGS_OF_NOTHING)
    for sort, key, notice, payload, author in db.execute(_MAY_NAME_GROUPS):
        edit = edit_of(db, author, notice)
        for group in meaning_of(payload if edit is None else edit.payload).groups:
            db.execute("INSERT OR IGNORE INTO tag VALUES (?, ?, ?)", (f"!{group}", sort, key))


def _to_edited_tags(db: sqlite3.Connection) -> None:
    """Notices that were edited come to stand under the tags of their words as they are now, and to be found by these.
    Version 9, from which on edits count, had left them under the first ones."""
    for author, notice in db.execute("SELECT DISTINCT author, target FROM edit").fetchall():
        settle_tags(db, author, notice)


_REACTIONS_TOLD = """
SELECT n.key, e.payload FROM news n JOIN entry e ON e.key = n.key WHERE e.kind IN (2, 3)
"""


def _to_news_of_ours(db: sqlite3.Connection) -> None:
    """Likes and boosts are news only while an own notice or boost is shown where they say. To version 17, and once more
    to 21: until then those of what was deleted were."""
    for (own,) in db.execute("SELECT value FROM setting WHERE name = ?", (OWN_IDENTITY,)).fetchall():
        named = ((key, ref_of(payload)) for key, payload in db.execute(_REACTIONS_TOLD).fetchall())
        untold = [(key,) for key, at in named if at is None or not is_own(db, own, at)]
        db.executemany("DELETE FROM news WHERE key = ?", untold)


_NEWS_READ_BY_KEY = """
CREATE TABLE news_read (key INTEGER PRIMARY KEY, no INTEGER NOT NULL);
INSERT INTO news_read SELECT key, no FROM news WHERE is_read;
"""


_DMS_TOLD = """
CREATE TABLE dm_told (key INTEGER PRIMARY KEY, no INTEGER NOT NULL);
INSERT OR IGNORE INTO news_read
    SELECT d.key, row_number() OVER (ORDER BY d.sort, d.key) - 1 - (SELECT count(*) FROM dm) FROM dm d;
"""
"""Direct messages become news. Those that are here already will stand below all others, and are read."""


_LENT = """
CREATE TABLE lent (key INTEGER PRIMARY KEY, prev BLOB, seen INTEGER NOT NULL, chain BLOB NOT NULL,
                   kept INTEGER NOT NULL);
"""
"""Strays of somebody whose feed is held for others become strays again."""


Step = str | Callable[[sqlite3.Connection], None]
"""Statements, or a function that runs them, inside a transaction that others end."""
MIGRATIONS: tuple[Step, ...] = (
    _FIRST_TABLES,  # 1
    _to_registers,  # 2
    _to_tags,  # 3
    _to_dms,  # 4
    _WORD_INDEX,  # 5
    _LISTS,  # 6
    _QUIET,  # 7
    _to_votes,  # 8
    _to_edits,  # 9
    _to_files,  # 10
    _to_pictures,  # 11
    _to_strangers,  # 12
    _PRUNING,  # 13
    _POLL_ENDS,  # 14
    _to_groups,  # 15
    _to_edited_tags,  # 16
    _to_news_of_ours,  # 17
    _NEWS_READ_BY_KEY,  # 18
    _DMS_TOLD,  # 19
    _LENT,  # 20
    _to_news_of_ours,  # 21
)
"""Step n brings a database of version n - 1 to version n."""


def inspect(path: Path, newest: int = len(MIGRATIONS)) -> None:
    """Look at a file without writing to it or to what lies beside it.

    Raises StoreError if it is no database, another program's, damaged at its head, or of a newer version.
    """
    try:
        if not path.exists() or path.stat().st_size == 0:
            return
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as error:
        raise StoreError(f"the database {path} can't be read: {error.strerror}") from error
    if len(header) < 100 or not header.startswith(b"SQLite format 3\0"):
        raise StoreError(f"the file {path} is not a p2pblog database, or it is damaged")
    application, version, tables = _read_state(path, header)
    if application != APPLICATION_ID and (application or tables):
        raise StoreError(f"the database {path} belongs to another program")
    if version > newest:
        raise StoreError(
            f"the database {path} was written by a newer p2pblog (version {version}, this one reads up to {newest})"
        )


def _read_state(path: Path, header: bytes) -> tuple[int, int, bool]:
    """(application id, version, whether it has tables), from SQLite's own header where that is enough.

    After a crash the newest header is in the journal beside the file. A read-only connection sees it and, unlike any
    other, does not move it into the file when it closes.
    """
    application = int.from_bytes(header[68:72], "big")
    journal = path.with_name(path.name + "-wal").exists()
    if application and not journal:
        return application, int.from_bytes(header[60:64], "big"), True
    mode = "mode=ro" if journal else "mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)) as db:
            (application,) = db.execute("PRAGMA application_id").fetchone()
            (version,) = db.execute("PRAGMA user_version").fetchone()
            (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        raise StoreError(f"the database {path} is damaged: {error}") from error
    return application, version, bool(tables)


def migrate(db: sqlite3.Connection, migrations: Sequence[Step] = MIGRATIONS) -> None:
    """Bring an open database (autocommit) to the newest version, step by step. Raises sqlite3.Error; a step that fails
    leaves the version before it."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    for number in range(version + 1, len(migrations) + 1):
        db.execute("BEGIN IMMEDIATE")
        try:
            step = migrations[number - 1]
            if callable(step):
                step(db)
            else:
                for statement in statements(step):
                    db.execute(statement)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {number}")
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise


def statements(script: str) -> list[str]:
    """The statements of a step: sqlite3's own executescript would commit between them."""
    return [part.strip() for part in script.split(";\n") if part.strip()]
