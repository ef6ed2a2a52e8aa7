"""What every store must answer about lists of people."""

from __future__ import annotations

import pytest
from builders import NOON, person
from store_kit import keep, on_both_stores, texts

from p2pblog.config import LIST_MEMBERS_MAX, LISTS_MAX
from p2pblog.core.keys import IdentityHash
from p2pblog.errors import NotFound
from p2pblog.store import ListRow, Store, TimelineQuery


@on_both_stores
async def test_lists_hold_people_once_and_lose_whom_one_follows_no_longer(store: Store) -> None:
    alice, bob, carol = (person(name) for name in ("alice", "bob", "carol"))
    for number, someone in enumerate((alice, bob, carol)):
        someone.log.note(someone.name, time_ms=NOON + number)
    await keep(store, alice, bob, carol)
    assert await store.lists() == await store.listed() == []
    assert await store.put_list("tea")
    assert await store.put_list("Ärzte")
    assert await store.put_list("tea")
    assert await store.put_members("tea", [alice.hash, bob.hash, alice.hash])
    assert await store.put_members("tea", [bob.hash])
    assert await store.put_members("Ärzte", [bob.hash])
    assert await store.lists() == [ListRow("tea", 2), ListRow("Ärzte", 1)]
    assert await store.members("tea") == sorted([alice.hash, bob.hash])
    assert await store.listed() == sorted([alice.hash, bob.hash])  # bob, who is in both, once
    rows = await store.timeline(TimelineQuery(9, None, tuple(await store.members("tea"))))
    assert [row.text for row in rows] == ["bob", "alice"]
    assert await store.timeline(TimelineQuery(9, None, ())) == []
    await store.drop_follow(bob.hash)
    assert await store.lists() == [ListRow("tea", 1), ListRow("Ärzte", 0)]
    await store.drop_members("tea", [alice.hash, carol.hash])
    assert await store.members("tea") == []
    await store.put_members("tea", [carol.hash])
    await store.drop_list("tea")
    await store.put_list("tea")
    assert await store.members("tea") == []
    assert await texts(store) == ["carol", "alice"]


@on_both_stores
async def test_a_list_that_is_not_there(store: Store) -> None:
    for attempt in (
        store.drop_list("tea"),
        store.put_members("tea", [person("alice").hash]),
        store.drop_members("tea", []),
        store.members("tea"),
    ):
        with pytest.raises(NotFound, match="no list"):
            await attempt


@on_both_stores
async def test_lists_and_members_have_limits(store: Store) -> None:
    assert all([await store.put_list(f"{number}") for number in range(LISTS_MAX)])
    assert not await store.put_list("one more")
    assert await store.put_list("1")  # there already
    await store.drop_list("2")
    assert await store.put_list("one more")

    people = [IdentityHash(number.to_bytes(32, "big")) for number in range(LIST_MEMBERS_MAX + 1)]
    assert await store.put_members("1", people[:-2])
    assert not await store.put_members("1", people[-2:])  # all or none
    assert len(await store.members("1")) == LIST_MEMBERS_MAX - 1
    assert await store.put_members("1", people[:-1])
    assert not await store.put_members("1", people[-1:])
    assert await store.put_members("1", people[:1])
    assert len(await store.members("1")) == LIST_MEMBERS_MAX
