"""What every store must answer about tags and bookmarks."""

from __future__ import annotations

from typing import Any

from builders import NOON, person
from store_kit import add, keep, on_both_stores

from p2pblog.config import BOOKMARKS_MAX
from p2pblog.core.keys import EntryId
from p2pblog.store import Store, TimelineQuery


@on_both_stores
async def test_notices_with_a_tag_of_everybody_or_of_one(store: Store) -> None:
    alice, bob, carol = person("alice"), person("bob"), person("carol")
    for number in range(6):
        (alice if number % 2 else bob).log.note(f"{number} #Bees", time_ms=NOON + 10 * number)
    carol.log.note("6 #bees and #honey", time_ms=NOON + 60)
    bob.log.boost(carol.log.note("7", time_ms=NOON + 70), time_ms=NOON + 80)
    await keep(store, alice, bob, carol)
    await store.drop_follow(carol.hash)  # what is here is found, whoever wrote it

    async def under(tag: str, **of: Any) -> list[str]:
        return [row.text.split()[0] for row in await store.timeline(TimelineQuery(9, tag=tag, **of))]

    assert await under("bees") == ["6", "5", "4", "3", "2", "1", "0"]
    assert await under("honey") == ["6"]
    assert await under("wax") == []
    assert await under("bees", identities=(alice.hash,)) == ["5", "3", "1"]
    assert await under("bees", identities=(alice.hash, carol.hash), before=alice.log.entries[-1].id) == ["3", "1"]
    (row,) = await store.timeline(TimelineQuery(9, tag="honey"))
    assert row.tags == ("bees", "honey")

    bob.log.delete(bob.log.entries[-2])
    await add(store, bob.log)
    assert await under("bees") == ["6", "5", "3", "2", "1", "0"]
    await store.drop_log(carol.key)
    assert await under("honey") == []


@on_both_stores
async def test_bookmarks_have_a_limit(store: Store) -> None:
    notices = [EntryId(number.to_bytes(32, "big")) for number in range(BOOKMARKS_MAX + 1)]
    assert all([await store.put_bookmark(notice, NOON) for notice in notices[:-1]])
    assert not await store.put_bookmark(notices[-1], NOON)
    assert await store.put_bookmark(notices[0], NOON)  # it has its place
    assert await store.drop_bookmark(notices[0])
    assert not await store.drop_bookmark(notices[0])
    assert await store.put_bookmark(notices[-1], NOON)
