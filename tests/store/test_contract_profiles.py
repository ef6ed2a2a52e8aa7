"""What every store must answer about profiles beyond the name and the bio."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from builders import person
from store_kit import LATER, add, keep, on_both_stores

from p2pblog.core.logs import Batch
from p2pblog.core.media import Attachment, table_of
from p2pblog.core.payload import Profile
from p2pblog.store import Reference, Store, migrations, sql_read, sql_write


@on_both_stores
async def test_the_newest_profile_counts_as_a_whole(store: Store) -> None:
    alice = person("alice")
    alice.log.profile("Alice", "bio", ["https://example.org/1", "https://example.org/2"])
    await keep(store, alice)
    told = Profile("Alice", "bio", ("https://example.org/1", "https://example.org/2"))
    assert await store.whole_profile(alice.hash) == told
    newest = alice.log.profile("Alice")
    await add(store, alice.log)
    assert await store.whole_profile(alice.hash) == Profile("Alice")
    alice.log.delete(newest)
    await add(store, alice.log)
    assert await store.whole_profile(alice.hash) == told
    assert await store.profile(alice.hash) == ("Alice", "bio")
    bob = person("bob")
    assert await store.whole_profile(bob.hash) is None
    assert await store.names([alice.hash, bob.hash]) == {alice.hash: "Alice", bob.hash: None}


def picture(number: int, *, thumb: bool = False) -> Attachment:
    small = table_of(b"small %d" % number).file if thumb else None
    return Attachment(table_of(b"picture %d" % number).file, f"{number}.jpg", "image/jpeg", 10, "", small)


@on_both_stores
async def test_the_pictures_of_every_shown_profile_are_referred_to(store: Store) -> None:
    alice = person("alice")
    avatar, banner, later = picture(1, thumb=True), picture(2), picture(3)
    assert avatar.thumb is not None
    first = alice.log.write(Profile("Alice", avatar=avatar, banner=banner))
    newest = alice.log.write(Profile("Alice", avatar=later, banner=banner))
    await keep(store, alice)

    told = await store.whole_profile(alice.hash)
    assert told is not None
    assert (told.avatar, told.banner) == (later, banner)
    assert await store.references(avatar.file) == [Reference(first.id, alice.hash, avatar, is_profile=True)]
    assert await store.references(avatar.thumb) == [Reference(first.id, alice.hash, avatar, is_profile=True)]
    assert [found.notice for found in await store.references(banner.file)] == [first.id]  # one of each author is enough
    assert await store.promised_size(banner.file) == banner.size
    assert await store.find_files(later.file.hex()[:12]) == [later.file]

    alice.log.delete(first)
    await add(store, alice.log)
    assert await store.references(avatar.file) == []
    assert await store.find_files(avatar.file.hex()) == []
    assert await store.references(banner.file) == [Reference(newest.id, alice.hash, banner, is_profile=True)]
    await store.drop_log(alice.key)
    assert await store.references(banner.file) == []


def test_profiles_from_before_the_index_knew_of_them_come_to_stand_in_it() -> None:
    alice = person("alice")
    avatar, gone = picture(1), picture(2)
    shown = alice.log.write(Profile("Alice", avatar=avatar))
    alice.log.delete(alice.log.write(Profile("Alice", banner=gone)))
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrations.migrate(db)
        sql_write.put_identity(db, alice.identity)
        sql_write.append(db, [Batch(alice.hash, alice.log.run())], LATER)
        db.execute("DELETE FROM attachment")
        migrations._to_pictures(db)
        assert sql_read.references(db, avatar.file) == [Reference(shown.id, alice.hash, avatar, is_profile=True)]
        assert sql_read.references(db, gone.file) == []
