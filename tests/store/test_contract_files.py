"""What every store must answer about files: which of them a shown notice refers to."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from builders import NOON, person
from store_kit import LATER, add, keep, on_both_stores

from p2pblog.config import THUMB_BYTES_MAX
from p2pblog.core.entry import Entry
from p2pblog.core.logs import Batch, Located
from p2pblog.core.media import Attachment, FileHash, table_of
from p2pblog.core.payload import Note
from p2pblog.core.value import replace
from p2pblog.store import (
    REFERENCES_MAX,
    Block,
    Follow,
    Reference,
    Store,
    TimelineQuery,
    migrations,
    sql_read,
    sql_write,
)


def attached(number: int, *, thumb: bool = False) -> Attachment:
    file = table_of(b"picture %d" % number).file
    small = table_of(b"small %d" % number).file if thumb else None
    return Attachment(file, f"bees {number}.jpg", "image/jpeg", 10, "bees", small)


def pictured(*attachments: Attachment) -> Note:
    return Note("look", media=attachments)


@on_both_stores
async def test_a_row_has_the_files_of_its_notice_and_of_the_one_it_boosts(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    entry = alice.log.write(pictured(attached(1, thumb=True), attached(2)))
    bob.log.boost(entry)
    await keep(store, alice, bob)

    boost, note = await store.timeline(TimelineQuery(2))
    assert note.media == boost.media == (attached(1, thumb=True), attached(2))


@on_both_stores
async def test_a_file_is_referred_to_while_a_notice_that_has_it_is_shown(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    one, other = attached(1, thumb=True), attached(2)
    first = alice.log.write(pictured(one, other))
    bob.log.write(pictured(one))
    await keep(store, alice, bob)
    assert one.thumb is not None

    expected = [Reference(first.id, alice.hash, one), Reference(bob.log.entries[-1].id, bob.hash, one)]
    assert await store.references(one.file) == await store.references(one.thumb) == expected
    assert [found.attachment for found in await store.references(other.file)] == [other]
    assert await store.references(FileHash(bytes(32))) == []

    alice.log.delete(first)
    await add(store, alice.log)
    assert await store.references(one.file) == expected[1:]
    assert await store.references(other.file) == []
    assert await store.find_files(other.file.hex()) == []
    await store.drop_log(bob.key)
    assert await store.references(one.file) == []


@on_both_stores
async def test_files_without_a_notice_are_told_apart(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    shared, hers, gone, his = (attached(number) for number in range(4))
    alice.log.write(pictured(shared, hers))
    alice.log.delete(alice.log.write(pictured(gone)))
    bob.log.write(pictured(shared, his))
    await keep(store, alice, bob)

    never = FileHash(bytes(32))
    files = [his.file, gone.file, never, hers.file, shared.file]
    assert await store.unreferred(files) == [gone.file, never]
    assert await store.unreferred([]) == []
    await store.put_block(Block(bob.hash, LATER))
    assert await store.unreferred(files) == [his.file, gone.file, never]


@on_both_stores
async def test_a_file_is_found_by_how_its_hash_begins(store: Store) -> None:
    alice = person("alice")
    files = sorted(attached(number).file for number in range(40))
    for number in range(40):
        alice.log.write(pictured(attached(number)))
    await keep(store, alice)

    assert await store.find_files(files[7].hex()) == [files[7]]
    assert await store.find_files(files[7].hex()[:16].upper()) == [files[7]]
    assert await store.find_files("") == files[:2]
    assert await store.find_files("xyz") == []


@on_both_stores
async def test_nobody_takes_the_places_of_others_who_refer_to_a_file(store: Store) -> None:
    """Bob, whose log came first, refers to alice's picture again and again, from two devices, and lies of it."""
    alice, bob = person("alice"), person("bob")
    lied = replace(attached(1), name="wasps.txt", size=1)
    phone = bob.add_device("phone")
    for log in (bob.log, phone):
        for _ in range(2 * REFERENCES_MAX):
            log.write(pictured(lied))
    hers = alice.log.write(pictured(attached(1)))
    await keep(store, bob, alice)
    await store.append([Batch(bob.hash, phone.run())], LATER)

    his, other = await store.references(attached(1).file)
    assert (his.author, his.attachment) == (bob.hash, lied)
    assert other == Reference(hers.id, alice.hash, attached(1))
    assert await store.promised_size(attached(1).file) == attached(1).size
    assert await store.promised_size(attached(2).file) == 0


@on_both_stores
async def test_only_so_many_authors_are_told_of(store: Store) -> None:
    """And all of them are heard about its size."""
    people = [person(f"bob {number}") for number in range(REFERENCES_MAX + 1)]
    for number, someone in enumerate(people):
        someone.log.write(pictured(replace(attached(1), size=number + 1)))
    await keep(store, *people)
    told = await store.references(attached(1).file)
    assert [found.author for found in told] == [someone.hash for someone in people[:-1]]
    assert await store.promised_size(attached(1).file) == REFERENCES_MAX + 1


@on_both_stores
async def test_a_thumbnail_promises_what_a_thumbnail_may_have(store: Store) -> None:
    alice, small = person("alice"), attached(1, thumb=True).thumb
    assert small is not None
    alice.log.write(pictured(attached(1, thumb=True)))
    await keep(store, alice)
    assert await store.promised_size(small) == THUMB_BYTES_MAX


@on_both_stores
async def test_the_file_of_a_stray_is_referred_to_too(store: Store) -> None:
    """Somebody whom we follow boosted it."""
    carol = person("carol")
    entry: Entry = carol.log.write(pictured(attached(3)))
    await store.put_stray(Located(carol.hash, entry, ()), LATER)
    assert [found.notice for found in await store.references(attached(3).file)] == [entry.id]
    assert await store.find_files(attached(3).file.hex()) == [attached(3).file]


@on_both_stores
async def test_a_payload_that_comes_later_brings_its_files(store: Store) -> None:
    alice = person("alice")
    entry = alice.log.write(pictured(attached(4)))
    await store.put_identity(alice.identity)
    await store.put_follow(Follow(alice.hash, None, NOON))
    run = alice.log.run()
    await store.append([Batch(alice.hash, (run[0], run[1].without_payload()))], LATER)
    assert await store.references(attached(4).file) == []
    assert entry.payload is not None
    await store.put_payloads(alice.key, [(entry.seq, entry.payload)])
    assert [found.notice for found in await store.references(attached(4).file)] == [entry.id]


def test_notices_from_before_the_index_come_to_stand_in_it() -> None:
    alice = person("alice")
    shown, gone = alice.log.write(pictured(attached(1))), alice.log.write(pictured(attached(2)))
    alice.log.delete(gone)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrations.migrate(db)
        sql_write.put_identity(db, alice.identity)
        sql_write.append(db, [Batch(alice.hash, alice.log.run())], LATER)
        db.execute("DROP TABLE attachment")
        migrations._to_files(db)
        assert [found.notice for found in sql_read.references(db, attached(1).file)] == [shown.id]
        assert sql_read.references(db, attached(2).file) == []
