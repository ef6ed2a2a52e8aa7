"""What every store must answer about direct messages: all that may be for us, each until it was tried."""

from __future__ import annotations

import pytest
from builders import NOON, person
from store_kit import LATER, add, keep, on_both_stores, own, texts

from p2pblog.core.keys import EntryId
from p2pblog.core.logs import Batch, Located
from p2pblog.errors import NotFound
from p2pblog.store import DmRow, Store
from p2pblog.store.meaning import NewsType


async def listed(store: Store, limit: int = 9, before: EntryId | None = None) -> list[EntryId]:
    return [row.id for row in await store.dms(limit, before)]


@on_both_stores
async def test_direct_messages_are_listed_by_place_and_stand_nowhere_else(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    one = alice.log.dm("one", bob, by=alice)
    alice.log.note("a notice")
    two = alice.log.dm("two", bob, by=alice)
    three = bob.log.dm("three", alice, by=bob)
    await keep(store, alice, bob)
    await own(store, alice)
    assert await listed(store) == [two.id, three.id, one.id]  # bob's came a second after his log began
    assert await listed(store, 1) == [two.id]
    assert await listed(store, 9, two.id) == [three.id, one.id]
    assert await listed(store, 9, one.id) == []
    assert await listed(store, 0) == []
    assert one.payload is not None
    assert await store.dms(9, three.id) == [DmRow(one.id, alice.hash, one.time_ms, one.payload)]
    with pytest.raises(NotFound):
        await store.dms(9, EntryId(bytes(32)))
    assert await texts(store) == ["a notice"]
    assert await texts(store, alice) == ["a notice"]
    assert await store.rows([one.id, two.id, three.id]) == []
    assert (await store.thread(one.id)).notices == ()
    assert (await store.locate(one.id)) is not None


@on_both_stores
async def test_what_is_set_aside_is_given_no_more(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    dms = [alice.log.dm(f"{number}", bob, by=alice) for number in range(4)]
    note = alice.log.note("a notice")
    await keep(store, alice)
    await store.settle_dms([], [dms[1].id, dms[3].id, note.id, EntryId(bytes(32))], LATER)
    await store.settle_dms([], [dms[1].id], LATER)
    assert await listed(store) == [dms[2].id, dms[0].id]
    assert await listed(store, 9, dms[1].id) == [dms[0].id]  # its place is where it was
    assert await texts(store, alice) == ["a notice"]

    retired = alice.retire(alice.key, 2, alice.log.entries[1].id)
    await store.put_identity(retired)
    assert await listed(store) == [dms[0].id]
    await store.drop_log(alice.key)
    assert await listed(store) == []
    await store.put_identity(person("alice").identity)
    await add(store, alice.log, 1, 2)
    await store.settle_dms([], [dms[0].id], LATER)
    await store.drop_log(alice.key)
    await add(store, alice.log, 1, 2)
    assert await listed(store) == [dms[0].id]  # what was forgotten is tried anew


@on_both_stores
async def test_what_was_set_aside_stays_so_when_it_is_hidden_and_shown_again(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    phone = alice.add_device("phone")
    dm, other = alice.log.dm("one", bob, by=alice), alice.log.dm("two", bob, by=alice)
    phone.delete(dm)
    phone.delete(other)
    await keep(store, alice)
    await store.settle_dms([], [dm.id], LATER)
    await add(store, phone)
    assert await listed(store) == []
    await store.put_identity(alice.retire(phone.key, 0, None))  # the phone was a thief's: its deletes mean nothing
    assert await listed(store) == [other.id]


@on_both_stores
async def test_those_for_us_are_news_once_they_were_opened(store: Store) -> None:
    alice, bob, eve = person("alice"), person("bob"), person("eve")
    phone = bob.add_device("phone")
    own_one = alice.log.dm("to bob", bob, by=alice)
    for_alice, for_eve = bob.log.dm("for alice", alice, by=bob), bob.log.dm("for eve", eve, by=bob)
    regretted = bob.log.dm("regretted", alice, by=bob)
    phone.delete(regretted)
    of_stranger = eve.log.dm("hello", alice, by=eve)
    await own(store, alice)
    await keep(store, alice, bob)
    await store.put_identity(eve.identity)
    await add(store, eve.log)
    untold = [row.id for row in await store.dms(9, untold=True)]
    assert set(untold) == {for_alice.id, for_eve.id, regretted.id, of_stranger.id}
    assert untold == [row.id for row in reversed(await store.dms(9)) if row.id != own_one.id]
    assert [row.id for row in await store.dms(2, untold=True)] == untold[:2]  # the oldest come first
    for_us = [own_one.id, for_alice.id, regretted.id, of_stranger.id, for_alice.id, EntryId(bytes(32))]
    for _ in range(2):
        await store.settle_dms(for_us, [for_eve.id], LATER)
        assert await store.dms(9, untold=True) == []
        assert [(each.id, each.type, each.notice, each.author, each.is_read) for each in await store.news(9)] == [
            (dm.id, NewsType.DM, dm.id, bob.hash, False) for dm in (regretted, for_alice)
        ]

    await add(store, phone)
    assert [each.id for each in await store.news(9)] == [for_alice.id]
    assert await store.mark_news_read() == 1
    await store.put_identity(bob.retire(phone.key, 0, None))  # the phone was a thief's
    assert [(each.id, each.is_read) for each in await store.news(9)] == [(regretted.id, False), (for_alice.id, True)]
    await store.put_admitted(eve.hash, LATER)
    assert {each.id for each in await store.news(9)} == {for_alice.id, regretted.id, of_stranger.id}
    assert await store.news(9, but_of=[bob.hash]) == [each for each in await store.news(9) if each.author == eve.hash]

    await store.drop_log(bob.key)
    assert [each.id for each in await store.news(9)] == [of_stranger.id]
    await add(store, bob.log)
    assert len(await store.dms(9, untold=True)) == 3  # what was forgotten is tried anew
    await store.settle_dms([], [of_stranger.id], LATER)
    await store.settle_dms([for_alice.id], [], LATER)
    assert [(each.id, each.is_read) for each in await store.news(9)] == [(for_alice.id, True)]
    await own(store, bob)
    assert await store.news(9) == []


@on_both_stores
async def test_a_deleted_one_goes_and_its_bytes_after_it(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    dm = alice.log.dm("regretted", bob, by=alice)
    await keep(store, alice)
    alice.log.delete(dm)
    await add(store, alice.log, 3, now_ms=LATER)
    assert await listed(store) == []
    assert await store.drop_retracted(LATER + 1) == 1
    located = await store.locate(dm.id)
    assert located is not None
    assert located.entry.payload is None


@on_both_stores
async def test_a_gap_is_listed_when_it_is_filled(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    dm = alice.log.dm("late", bob, by=alice)
    held = [alice.log.entries[0], dm.without_payload()]
    await store.put_identity(alice.identity)
    await store.append([Batch(alice.hash, tuple(held))], LATER)
    assert await listed(store) == []
    await store.put_payloads(alice.key, [(2, dm.payload or b"")])
    assert await listed(store) == [dm.id]


@on_both_stores
async def test_a_stray_is_not_listed(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    dm = bob.log.dm("psst", alice, by=bob)
    await store.put_stray(Located(bob.hash, dm, ()), NOON)
    await store.settle_dms([], [dm.id], LATER)
    assert await listed(store) == []
    await keep(store, bob)
    assert await listed(store) == [dm.id]
