"""What every store must answer once our own clock, which was ahead, is right again."""

from __future__ import annotations

from builders import NOON, person
from store_kit import LATER, add, keep, on_both_stores, own, texts

from p2pblog.core.payload import Profile
from p2pblog.core.search import parse
from p2pblog.core.timelines import AHEAD_MAX_MS
from p2pblog.store import SearchQuery, Store, TimelineQuery


@on_both_stores
async def test_what_we_wrote_while_our_clock_was_ahead_stands_here_and_now_once_it_is_right(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    asked = bob.log.note("asked", time_ms=NOON)
    await own(store, alice)
    await keep(store, bob)
    await keep(store, alice, now_ms=NOON)
    alice.log.note("before", time_ms=NOON)
    await add(store, alice.log, now_ms=NOON)
    ahead_ms = LATER + 365 * 24 * 3_600_000
    first = alice.log.note("ahead #birds", time_ms=ahead_ms)
    alice.log.note("an answer", asked, time_ms=ahead_ms)
    alice.log.write(Profile("Alice of next year"))
    alice.log.edit(first, "ahead #cats")
    await add(store, alice.log, now_ms=ahead_ms)
    assert await texts(store) == ["an answer", "ahead #cats", "before", "asked"]
    alice.log.note("here", time_ms=LATER)
    alice.log.write(Profile("Alice"))
    await add(store, alice.log, now_ms=LATER)
    bob.log.note("bob's newest", time_ms=LATER + 1)
    await add(store, bob.log, now_ms=LATER + 1)

    in_order = ["bob's newest", "here", "an answer", "ahead #cats", "before", "asked"]
    assert await texts(store) == in_order
    assert await texts(store, alice) == [text for text in in_order if text not in ("asked", "bob's newest")]
    assert [row.text for row in await store.timeline(TimelineQuery(9, tag="cats"))] == ["ahead #cats"]
    assert await store.names([alice.hash]) == {alice.hash: "Alice"}
    assert [row.text for row in (await store.thread(asked.id)).notices] == ["asked", "an answer"]
    rows = await store.timeline(TimelineQuery(9))
    assert [row.place_ms - LATER for row in rows[:4]] == [1, 0, 0, 0]
    found = await store.search(SearchQuery(9, wanted=parse("ahead", 0).wanted, until_ms=LATER + 1))
    assert [row.text for row in found.rows] == ["ahead #cats"]


@on_both_stores
async def test_a_clock_that_is_put_back_a_little_changes_no_place(store: Store) -> None:
    alice = person("alice")
    await own(store, alice)
    await keep(store, alice)
    for number, back_ms in enumerate((0, AHEAD_MAX_MS)):
        alice.log.note(f"{number}", time_ms=LATER - back_ms)
        await add(store, alice.log, now_ms=LATER - back_ms)
    assert [(row.text, row.place_ms) for row in await store.timeline(TimelineQuery(9))] == [("1", LATER), ("0", LATER)]


@on_both_stores
async def test_while_our_clock_is_behind_what_stands_stays_where_it_is(store: Store) -> None:
    """A small computer without a battery begins each start some time ago; its own history is not to fall down there."""
    alice, bob = person("alice"), person("bob")
    bob.log.note("bob's", time_ms=LATER - 1)
    alice.log.note("alice's", time_ms=LATER)
    await own(store, alice)
    await keep(store, bob, alice)
    alice.log.note("by a clock that is behind", time_ms=NOON)
    await add(store, alice.log, now_ms=NOON)
    rows = await store.timeline(TimelineQuery(9))
    assert [(row.text, row.place_ms) for row in rows] == [
        ("by a clock that is behind", LATER),
        ("alice's", LATER),
        ("bob's", LATER - 1),
    ]


@on_both_stores
async def test_where_all_that_is_here_lies_ahead_it_is_now_that_the_clock_is_wrong(store: Store) -> None:
    alice = person("alice")
    alice.log.note("alone here", time_ms=LATER)
    await own(store, alice)
    await keep(store, alice)
    alice.log.note("in 1970", time_ms=0)
    await add(store, alice.log, now_ms=0)
    assert [row.place_ms for row in await store.timeline(TimelineQuery(9))] == [LATER, LATER]
