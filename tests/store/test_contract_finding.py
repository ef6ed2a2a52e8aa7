"""What every store must answer about tags, bookmarks, edits, quotes and news."""

from __future__ import annotations

from typing import Any

import pytest
from builders import NOON, person, ref
from store_kit import LATER, add, keep, on_both_stores

from p2pblog.config import BOOKMARKS_MAX, VERSIONS_MAX
from p2pblog.core.address import spell
from p2pblog.core.entry import Entry
from p2pblog.core.keys import EntryId
from p2pblog.core.logs import Batch
from p2pblog.core.payload import Edit, Note, Quote, Ref
from p2pblog.errors import NotFound
from p2pblog.store import OWN_IDENTITY, Follow, Store, TimelineQuery
from p2pblog.store.later import later_than


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


async def texts(store: Store, query: TimelineQuery) -> list[str]:
    return [row.text for row in await store.timeline(query)]


async def texts_of(store: Store, *notices: Entry) -> list[tuple[str, bool]]:
    return [(row.text, row.edited_ms is not None) for row in await store.rows([each.id for each in notices])]


@on_both_stores
async def test_an_edit_changes_the_words_and_nothing_else(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    first = alice.log.note("teh #bees")
    alice.log.note("between")
    bob.log.boost(first)
    once = alice.log.edit(first, "the #honey")
    alice.log.edit(first, "the #honey, twice", [once])
    bob.log.edit(first, "I was here")  # somebody else's means nothing
    await keep(store, alice, bob)

    assert await texts_of(store, first) == [("the #honey, twice", True)]
    row = (await store.rows([first.id]))[0]
    assert (row.id, row.tags, row.time_ms) == (first.id, ("honey",), first.time_ms)
    assert sorted(await texts(store, TimelineQuery(9))) == ["between", "the #honey, twice", "the #honey, twice"]
    assert await texts(store, TimelineQuery(9, tag="bees")) == []
    assert await texts(store, TimelineQuery(9, tag="honey")) == ["the #honey, twice"]
    assert [each.id for each in await store.versions(first.id)] == [first.id, once.id, alice.log.entries[-1].id]
    assert await store.versions(once.id) == []
    stands = [ref(each) for each in (first, alice.log.entries[-1], once)]
    assert await store.refs([first.id, once.id, EntryId(bytes(32))]) == [tuple(stands[:2]), (stands[2],), ()]

    alice.log.delete(alice.log.entries[-1])  # the last edit is taken back
    await add(store, alice.log)
    assert await texts_of(store, first) == [("the #honey", True)]
    alice.log.delete(first, [once])
    await add(store, alice.log)
    assert await store.rows([first.id]) == [] and await store.refs([first.id]) == [()]
    assert await texts(store, TimelineQuery(9, tag="honey")) == []


@on_both_stores
async def test_edits_of_two_devices_have_one_winner_whatever_comes_first(store: Store) -> None:
    alice = person("alice")
    laptop = alice.add_device("laptop")
    note = alice.log.note("first")
    here, there = alice.log.edit(note, "here #bees"), laptop.edit(note, "there #wax")
    await store.put_identity(alice.identity)
    await store.put_follow(Follow(alice.hash))
    await store.append([Batch(alice.hash, laptop.run())], LATER)
    assert await texts(store, TimelineQuery(9, tag="wax")) == []  # the notice has not come
    await store.append([Batch(alice.hash, alice.log.run())], LATER)
    wins = max(here, there, key=lambda each: each.id)
    tag, text = ("bees", "here #bees") if wins is here else ("wax", "there #wax")
    assert await texts_of(store, note) == [(text, True)]
    assert await texts(store, TimelineQuery(9, tag=tag)) == [text]

    laptop.edit(note, "settled", [here, there])
    await add(store, laptop)
    assert await texts_of(store, note) == [("settled", True)]
    assert await texts(store, TimelineQuery(9, tag=tag)) == []


@on_both_stores
async def test_an_edited_notice_that_goes_leaves_no_tag_behind(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    for someone in (alice, bob):
        note = someone.log.note("teh #bees")
        someone.log.edit(note, "the #honey")
    alice.log.delete(alice.log.entries[1], [alice.log.entries[2]])
    await keep(store, alice, bob)
    assert await texts(store, TimelineQuery(9, tag="bees")) == []
    assert await texts(store, TimelineQuery(9, tag="honey")) == ["the #honey"]
    await store.drop_log(bob.key)
    for tag in ("bees", "honey"):
        assert await texts(store, TimelineQuery(9, tag=tag)) == []


@on_both_stores
async def test_a_quote_shows_the_words_that_it_quoted(store: Store) -> None:
    alice, bob, carol = person("alice"), person("bob"), person("carol")
    note = alice.log.note("as it was")
    edit = alice.log.write(Edit(ref(note), "as it is", warning="the end"))
    bob.log.quote(note, "old words")
    bob.log.quote(note, "new words", edit)
    lie = Ref(carol.hash, note.device, note.seq, note.id)
    bob.log.write(Note("carol said so", quote=Quote(lie)))
    bob.log.quote(carol.log.note("away"), "of what is not here")
    await keep(store, alice, bob)
    rows = await store.rows([each.id for each in bob.log.entries[1:]])
    assert [row.quoted_text for row in rows] == ["as it was", "as it is", None, None]
    assert [row.quoted_warning for row in rows] == [None, "the end", None, None]
    assert rows[0].quote is not None
    assert rows[0].quote.of.id == note.id
    alice.log.delete(note)  # which does not name the edit
    await add(store, alice.log)
    assert [row.quoted_text for row in await store.rows([row.id for row in rows])] == [None] * 4


@on_both_stores
async def test_what_others_say_to_us_is_news_until_it_is_read(store: Store) -> None:
    alice, bob = person("alice"), person("bob")
    await store.put_setting(OWN_IDENTITY, alice.hash)
    note = alice.log.note("mine")
    alice.log.note(f"to myself @{spell(alice.hash)}", reply_to=note)
    said = [
        bob.log.note("an answer", reply_to=note),
        bob.log.note(f"hello @{spell(alice.hash)}"),
        bob.log.like(note),
        bob.log.boost(note),
        bob.log.quote(note, "look"),
    ]
    bob.log.like(Ref(alice.hash, note.device, 9, EntryId(bytes(32))))  # of nothing of ours
    bob.log.note("to nobody")
    await keep(store, alice, bob)

    news = await store.news(9)
    assert {(each.type.value, each.id, each.notice) for each in news} == {
        ("reply", said[0].id, note.id),
        ("mention", said[1].id, said[1].id),
        ("like", said[2].id, note.id),
        ("boost", said[3].id, note.id),
        ("mention", said[4].id, said[4].id),
    }
    assert [each.id for each in await store.news(2, news[1].id)] == [each.id for each in news[2:4]]
    assert not any(each.is_read for each in news)
    assert await store.mark_news_read() == len(said)
    assert await store.mark_news_read() == 0
    assert await store.news(9, unread=True) == []
    assert all(each.is_read for each in await store.news(9))

    bob.log.delete(said[2])
    late = bob.log.note("late", reply_to=note, time_ms=0)
    await add(store, bob.log)
    assert [each.id for each in await store.news(9, unread=True)] == [late.id]
    assert said[2].id not in [each.id for each in await store.news(9)]
    with pytest.raises(NotFound):
        await store.news(9, note.id)


@on_both_stores
async def test_what_was_said_of_a_notice_since_is_what_stands_however_often_it_was_edited(store: Store) -> None:
    alice = person("alice")
    note = alice.log.note("first")
    edits = [alice.log.edit(note, f"words {number}") for number in range(VERSIONS_MAX + 1)]
    await keep(store, alice)
    located = await later_than(store, alice.hash, note.id)
    assert located is not None and located.entry.id == edits[-1].id
    assert await later_than(store, person("bob").hash, edits[0].id) is None
    delete = alice.log.delete(note)
    await add(store, alice.log)
    located = await later_than(store, alice.hash, note.id)
    assert located is not None and located.entry.id == delete.id
