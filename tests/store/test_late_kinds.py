"""What came before this version understood it is entered when the database is brought to it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from builders import Person, person, ref
from store_kit import LATER

from p2pblog.core.keys import EntryId
from p2pblog.core.logs import Batch, Located
from p2pblog.core.value import replace
from p2pblog.store import OWN_IDENTITY, Follow, TimelineQuery, migrations, sql_dms, sql_read, sql_write

VERSION_1 = Path(__file__).with_name("version_1.sql")


def home_of(db: sqlite3.Connection, own: Person, followed: Person, *others: Person) -> None:
    """What a person's node holds who follows one of the others."""
    sql_write.put_setting(db, OWN_IDENTITY, own.hash)
    sql_write.put_follow(db, Follow(followed.hash))
    for someone in (own, followed, *others):
        sql_write.put_identity(db, someone.identity)
        sql_write.append(db, [Batch(someone.hash, someone.log.run())], LATER)


def test_votes_and_pins_that_came_before_they_were_understood_are_entered() -> None:
    alice, bob, carol = person("alice"), person("bob"), person("carol")
    poll = alice.log.poll("yes", "no")
    bob.log.vote(poll, 1)
    bob.log.delete(carol.log.vote(poll, 2))  # which means nothing
    alice.log.delete(alice.log.vote(poll, 1))
    alice.log.pin(poll)
    alice.log.delete(alice.log.pin(poll))
    bob.log.like(poll)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrations.migrate(db)
        for someone in (alice, bob, carol):
            sql_write.put_identity(db, someone.identity)
            sql_write.append(db, [Batch(someone.hash, someone.log.run())], LATER)
        kept = ("vote", "pin", "reaction", "entry")
        tables = [db.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in kept]
        assert list(map(len, tables)) == [2, 1, 2, 13]

        for later in ("vote", "pin"):
            db.execute(f"DROP TABLE {later}")
        db.execute("DELETE FROM reaction WHERE kind = 9")
        db.execute('UPDATE entry SET kind = 6, "of" = NULL WHERE kind IN (8, 9)')
        before = migrations.MIGRATIONS.index(migrations._to_votes)
        db.execute(f"PRAGMA user_version = {before}")
        migrations.migrate(db, migrations.MIGRATIONS[: before + 1])  # this step alone

        again = [db.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in kept]
        assert again == tables


def test_notices_that_were_edited_before_edits_were_known_stand_under_the_tags_that_they_have_now() -> None:
    """Version 1 kept edits as entries of no known type."""
    alice = person("alice")
    alice.log.note("from version 1")
    alice.log.edit(alice.log.note("#bees and #honey"), "#honey and #wax")
    alice.log.note("#bees")
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.executescript(VERSION_1.read_text())
        for entry in alice.log.entries[2:]:
            key, kind = 1 << 32 | entry.seq, 6 if b"edit" in (entry.payload or b"") else 1
            row = (key, entry.time_ms, entry.time_ms, kind, entry.id, entry.payload)
            db.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?, NULL, ?)", row)
            db.execute("INSERT INTO entry_id VALUES (?, ?)", (entry.id[:8], key))
        db.execute("UPDATE span SET high = 5")
        db.execute("PRAGMA user_version = 1")
        migrations.migrate(db)

        pages = {tag: sql_read.timeline(db, TimelineQuery(9, tag=tag)) for tag in ("bees", "honey", "wax")}
        texts = {tag: [row.text for row in page] for tag, page in pages.items()}
        assert texts == {"bees": ["#bees"], "honey": ["#honey and #wax"], "wax": ["#honey and #wax"]}


def test_notices_that_came_before_groups_were_known_come_to_stand_under_theirs() -> None:
    alice, bob = person("alice"), person("bob")
    edited, gone, _ = (alice.log.note(f"{word} !birds") for word in ("edited", "gone", "kept"))
    alice.log.edit(edited, "now !bees")
    alice.log.edit(alice.log.note("none #wax"), "one !birds #wax")
    alice.log.delete(gone)
    alice.log.note("wow! nothing")
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrations.migrate(db)
        sql_write.put_identity(db, alice.identity)
        sql_write.append(db, [Batch(alice.hash, alice.log.run())], LATER)
        sql_write.put_stray(db, Located(bob.hash, bob.log.note("a stray !birds"), ()), LATER)
        stands = db.execute("SELECT * FROM tag ORDER BY tag, sort, key").fetchall()
        assert [word for word, _sort, _key in stands] == ["!bees", "!birds", "!birds", "!birds", "wax"]

        db.execute("DROP TABLE joined")
        db.execute("DELETE FROM tag WHERE tag LIKE '!%'")
        db.execute("INSERT INTO tag SELECT 'stale', sort, key FROM entry WHERE id = ?", (gone.id,))
        db.execute("INSERT INTO tag VALUES ('stale', 5, 77 << 32 | 5)")
        before = migrations.MIGRATIONS.index(migrations._to_groups)
        db.execute(f"PRAGMA user_version = {before}")
        migrations.migrate(db, migrations.MIGRATIONS[: before + 1])  # this step alone

        assert db.execute("SELECT * FROM tag ORDER BY tag, sort, key").fetchall() == stands


def test_vouches_come_to_count_and_what_strangers_said_waits() -> None:
    """As a node kept it that knew neither: what was read is so still."""
    alice, bob, carol, eve = (person(name) for name in ("alice", "bob", "carol", "eve"))
    note = alice.log.note("mine")
    bob.log.vouch(carol.hash)
    bob.log.delete(bob.log.vouch(eve.hash))
    bob.log.write(b"\xa4typ\xa4type\xa5vouch no map")
    said = [someone.log.note(f"by {someone.name}", reply_to=note) for someone in (bob, carol, eve)]
    said.append(bob.log.like(note))
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrations.migrate(db)
        home_of(db, alice, bob, carol, eve)
        kept = ("vouch", "entry", "news")
        tables = [db.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in kept]
        assert len(tables[0]) == 1
        waits = [row[-2:] for row in tables[2]]
        assert waits == [(0, 0), (0, 0), (0, 0), (1, 0)]

        db.execute("UPDATE entry SET kind = 6 WHERE kind = 11")
        for later in ("vouch", "admitted"):
            db.execute(f"DROP TABLE {later}")
        for index in ("news_told", "news_unread", "news_of_strangers"):
            db.execute(f"DROP INDEX {index}")
        db.execute("ALTER TABLE news RENAME TO later")
        db.execute("CREATE TABLE news (no INTEGER PRIMARY KEY AUTOINCREMENT, key INTEGER NOT NULL UNIQUE)")
        db.execute("INSERT INTO news SELECT no, key FROM later ORDER BY no")
        db.execute("DROP TABLE later")
        db.execute("INSERT INTO setting VALUES ('notifications read', ?)", (b"2",))
        before = migrations.MIGRATIONS.index(migrations._to_strangers)
        db.execute(f"PRAGMA user_version = {before}")
        migrations.migrate(db, migrations.MIGRATIONS[: before + 1])  # this step alone

        again = [db.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in kept]
        assert again[:2] == tables[:2]
        assert [row[:-1] for row in again[2]] == [row[:-1] for row in tables[2]]
        assert [row[-1] for row in again[2]] == [1, 1, 0, 0]
        assert not db.execute("SELECT 1 FROM setting WHERE name = 'notifications read'").fetchall()


def test_likes_of_nothing_of_ours_are_no_news_any_more() -> None:
    alice, bob = person("alice"), person("bob")
    note = alice.log.note("mine")
    bob.log.like(note)
    bob.log.like(replace(ref(note), id=EntryId(bytes(32))))
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrations.migrate(db)
        sql_write.put_setting(db, OWN_IDENTITY, alice.hash)
        for someone in (alice, bob):
            sql_write.put_identity(db, someone.identity)
            sql_write.append(db, [Batch(someone.hash, someone.log.run())], LATER)
        stands = db.execute("SELECT * FROM news").fetchall()
        assert len(stands) == 1

        db.execute("INSERT INTO news (key) SELECT key FROM entry WHERE kind = 3 AND key != ?", stands[0][1:2])
        before = migrations.MIGRATIONS.index(migrations._to_news_of_ours)
        db.execute(f"PRAGMA user_version = {before}")
        migrations.migrate(db, migrations.MIGRATIONS[: before + 1])  # this step alone

        assert db.execute("SELECT * FROM news").fetchall() == stands


def test_likes_of_what_was_deleted_before_version_21_are_no_news_any_more() -> None:
    alice, bob = person("alice"), person("bob")
    deleted, kept = alice.log.note("regretted"), alice.log.note("mine")
    bob.log.boost(deleted)
    like = bob.log.like(kept)
    alice.log.delete(deleted)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrations.migrate(db)
        home_of(db, alice, bob)
        db.execute("INSERT INTO news (key) SELECT key FROM reaction WHERE target = ?", (deleted.id,))
        assert len(sql_read.news(db, 9)) == 2
        db.execute("PRAGMA user_version = 20")
        migrations.migrate(db)
        assert [each.id for each in sql_read.news(db, 9)] == [like.id]
        assert sql_write.mark_news_read(db) == 1


def test_what_was_read_before_that_was_remembered_stays_read() -> None:
    alice, bob = person("alice"), person("bob")
    note = alice.log.note("mine")
    like = bob.log.like(note)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrations.migrate(db)
        home_of(db, alice, bob)
        assert sql_write.mark_news_read(db) == 1

        db.execute("DROP TABLE news_read")
        before = migrations.MIGRATIONS.index(migrations._NEWS_READ_BY_KEY)
        db.execute(f"PRAGMA user_version = {before}")
        migrations.migrate(db, migrations.MIGRATIONS[: before + 1])  # this step alone

        late = bob.log.note("late", reply_to=note)
        sql_write.drop_log(db, bob.key)
        sql_write.append(db, [Batch(bob.hash, bob.log.run())], LATER)
        assert [(each.id, each.is_read) for each in sql_read.news(db, 9)] == [(late.id, False), (like.id, True)]


def test_notices_of_version_2_come_to_stand_under_their_tags() -> None:
    alice, bob = person("alice"), person("bob")
    tagged = [alice.log.note("#bees"), alice.log.note("#Bees and #honey"), alice.log.note("none")]
    alice.log.note("#bees", reply_to=tagged[2])
    alice.log.delete(tagged[0])
    alice.log.boost(bob.log.note("#bees, a stray"))
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrations.migrate(db)
        sql_write.put_identity(db, alice.identity)
        sql_write.append(db, [Batch(alice.hash, alice.log.run())], LATER)
        sql_write.put_stray(db, Located(bob.hash, bob.log.entries[-1], ()), LATER)
        stands = db.execute("SELECT * FROM tag ORDER BY tag, sort, key").fetchall()
        assert [tag for tag, _sort, _key in stands] == ["bees", "bees", "honey"]

        for later in (
            "tag",
            "bookmark",
            "edit",
            "news",
            "attachment",
            "dm",
            "dm_aside",
            "dm_told",
            "vouch",
            "admitted",
        ):
            db.execute(f"DROP TABLE {later}")
        db.execute("PRAGMA user_version = 2")
        migrations.migrate(db, migrations.MIGRATIONS[:3])  # this step alone

        assert db.execute("SELECT * FROM tag ORDER BY tag, sort, key").fetchall() == stands


def test_direct_messages_of_version_18_are_news_that_was_read() -> None:
    """Who brings a home up to date is not told of years of them; what comes from then on is new."""
    alice, bob = person("alice"), person("bob")
    old = [bob.log.dm(f"old {number}", alice, by=bob) for number in range(3)]
    note = bob.log.note("yes", reply_to=alice.log.entries[0])
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrations.migrate(db)
        home_of(db, alice, bob)
        db.execute("DROP TABLE dm_told")
        db.execute("PRAGMA user_version = 18")
        migrations.migrate(db, migrations.MIGRATIONS[:19])  # this step alone

        new = bob.log.dm("new", alice, by=bob)
        sql_write.append(db, [Batch(bob.hash, bob.log.run(new.seq))], LATER)
        sql_dms.settle_dms(db, [new.id, *(each.id for each in old)], [], LATER)
        found = [(each.id, each.is_read) for each in sql_read.news(db, 9)]
        assert found == [(new.id, False), (note.id, False), *((each.id, True) for each in reversed(old))]
        assert [each.id for each in sql_read.news(db, 9, before=old[1].id)] == [old[0].id]


def test_direct_messages_of_version_3_come_to_be_listed() -> None:
    """As a node kept them that did not know the type."""
    alice, bob = person("alice"), person("bob")
    for number in range(3):
        alice.log.dm(f"psst {number}", bob, by=alice)
    alice.log.write(b"\xa4typ\xa4type\xa2dm no map")
    alice.log.note("\xa4type\xa2dm")
    alice.log.delete(alice.log.entries[2])
    stray = bob.log.dm("a stray", alice, by=bob)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrations.migrate(db)
        sql_write.put_identity(db, alice.identity)
        sql_write.append(db, [Batch(alice.hash, alice.log.run())], LATER)
        sql_write.put_stray(db, Located(bob.hash, stray, ()), LATER)
        kinds, listed = db.execute("SELECT key, kind FROM entry").fetchall(), sql_dms.dms(db, 9)
        assert [row.id for row in listed] == [alice.log.entries[3].id, alice.log.entries[1].id]

        for later in ("dm", "dm_aside", "dm_told"):
            db.execute(f"DROP TABLE {later}")
        db.execute("UPDATE entry SET kind = 6 WHERE kind = 7")
        db.execute("PRAGMA user_version = 3")
        migrations.migrate(db, migrations.MIGRATIONS[:4])  # this step alone

        assert db.execute("SELECT key, kind FROM entry").fetchall() == kinds
        assert sql_dms.dms(db, 9) == listed
