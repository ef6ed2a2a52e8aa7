"""What every store must answer to a search."""

from __future__ import annotations

from typing import Any

import pytest
from builders import NOON, person, ref
from store_kit import LATER, add, keep, on_both_stores

from p2pblog.config import SEARCH_CATCH_UP_MAX
from p2pblog.core.identity import Identity
from p2pblog.core.keys import EntryId
from p2pblog.core.logs import Batch, Located
from p2pblog.core.media import Attachment, FileHash
from p2pblog.core.payload import Edit, Note
from p2pblog.core.search import parse
from p2pblog.errors import NotFound
from p2pblog.store import Follow, SearchQuery, Store, TimelineQuery


async def found(store: Store, text: str, limit: int = 100, before: EntryId | None = None, **more: Any) -> list[str]:
    query = parse(text, LATER)
    assert not (query.people or query.not_people)
    asked = SearchQuery(
        limit, before, query.wanted, query.unwanted, since_ms=query.since_ms, until_ms=query.until_ms, **more
    )
    answer = await store.search(asked)
    assert answer.unread == 0
    return [row.text for row in answer.rows]


@on_both_stores
async def test_words_phrases_beginnings_and_what_must_not_be_there(store: Store) -> None:
    alice = person("alice")
    for text in ("The bee keeper", "Keeper of bées", "a beetle, a keeper", "東京タワーに行く", "nothing"):
        alice.log.note(text)
    await keep(store, alice)
    assert await found(store, "keeper") == ["a beetle, a keeper", "Keeper of bées", "The bee keeper"]
    assert await found(store, "BEES keeper") == ["Keeper of bées"]
    assert await found(store, '"bee keeper"') == ["The bee keeper"]
    assert await found(store, '"keeper bee"') == []
    assert await found(store, "bee* -beetle") == ["Keeper of bées", "The bee keeper"]
    assert await found(store, '"the bee kee"*') == ["The bee keeper"]
    assert await found(store, "keeper -bee* x") == []
    assert await found(store, "keeper -bee*") == []
    assert await found(store, "東京") == await found(store, "タワー") == ["東京タワーに行く"]
    assert await found(store, "京東") == []
    assert await found(store, "beekeeper") == []


@on_both_stores
async def test_what_only_looks_like_syntax_is_words(store: Store) -> None:
    alice = person("alice")
    notes = ["NOT near", "said word", "a ^ b* -c", "word : said"]
    for text in notes:
        alice.log.note(text)
    await keep(store, alice)
    assert await found(store, "NOT NEAR") == ["NOT near"]
    assert await found(store, "said:word") == ["said word"]
    assert await found(store, "(near OR word)") == []
    assert await found(store, "^a") == await found(store, "{a} + b") == ["a ^ b* -c"]
    assert await found(store, "@1") == []  # no sign that the index has for itself
    assert await found(store, "'; DROP TABLE word; --") == []


@on_both_stores
async def test_tags_media_warnings_people_and_times(store: Store) -> None:
    alice, bob, carol = person("alice"), person("bob"), person("carol")
    laptop = alice.add_device("laptop")
    alice.log.note("#Bees_2 are here", time_ms=NOON + 10)
    bob.log.note("bees are here", time_ms=NOON + 20)
    laptop.note("bees, from the laptop", time_ms=NOON + 30)
    bob.log.write(Note("the end", warning="Spoilers about bees"), time_ms=NOON + 40)
    await keep(store, alice, bob, carol)
    await add(store, laptop)
    all_of_it = ["the end", "bees, from the laptop", "bees are here", "#Bees_2 are here"]
    assert await found(store, "bees") == all_of_it
    assert await found(store, "#bees_2") == ["#Bees_2 are here"]
    assert await found(store, "#bees") == []
    assert await found(store, "has:media") == []
    assert await found(store, "bees -has:media") == all_of_it
    assert await found(store, '"about bees"') == ["the end"]
    assert await found(store, '"bees the"') == []  # from the warning to the text is no phrase
    assert await found(store, "bees", authors=(alice.hash,)) == ["bees, from the laptop", "#Bees_2 are here"]
    assert await found(store, "bees", authors=(alice.hash, bob.hash)) == all_of_it
    assert await found(store, "bees", authors=(carol.hash, person("dave").hash)) == []
    assert await found(store, "bees", authors=()) == []
    assert await found(store, "bees", not_authors=(alice.hash,)) == ["the end", "bees are here"]
    assert await found(store, "bees -laptop", not_authors=(bob.hash,)) == ["#Bees_2 are here"]

    async def within(**bounds: int) -> list[str]:
        return [row.text for row in (await store.search(SearchQuery(9, **bounds))).rows]

    assert await within(since_ms=NOON + 30) == all_of_it[:2]
    assert await within(since_ms=NOON + 31) == all_of_it[:1]
    assert await within(since_ms=NOON + 20, until_ms=NOON + 30) == all_of_it[2:3]
    assert await within(until_ms=NOON + 10) == []
    assert await within(since_ms=2**53) == []
    assert await found(store, "bees", authors=(bob.hash,)) == ["the end", "bees are here"]


@on_both_stores
async def test_options_of_polls_and_what_pictures_show_are_found(store: Store) -> None:
    bob = person("bob")
    poll = bob.log.poll("honey", "bees wax")
    bob.log.write(Note("look", media=(Attachment(FileHash(bytes(32)), "a.jpg", "image/jpeg", 9, "A wasp"),)))
    await keep(store, bob)
    for asked in ("honey", '"bees wax"', "one wax"):
        assert await found(store, asked) == ["which one?"]
    assert await found(store, "wasp has:media") == await found(store, '"a wasp"') == ["look"]
    for asked in ('"honey bees"', '"one honey"', '"look a"', "jpg"):  # no phrase goes from one to the next
        assert await found(store, asked) == []
    bob.log.edit(poll, "which?")
    await add(store, bob.log)
    assert await found(store, "honey") == ["which?"]
    bob.log.delete(poll)
    await add(store, bob.log)
    await store.drop_retracted(2 * LATER)
    assert await found(store, "honey") == []


@on_both_stores
async def test_a_notice_whose_edit_came_before_it_is_found_by_the_words_it_has_now(store: Store) -> None:
    bob = person("bob")
    first, _ = bob.notes(2)
    bob.log.edit(first, "an early #wasp")
    await store.put_identity(bob.identity)
    await store.put_follow(Follow(bob.hash))
    await add(store, bob.log, 4)
    await add(store, bob.log, 1, 3)
    assert await found(store, "wasp") == ["an early #wasp"] and await found(store, "note") == ["note 2"]
    assert [row.id for row in await store.timeline(TimelineQuery(9, tag="wasp"))] == [first.id]


@on_both_stores
async def test_a_page_ends_where_the_next_one_begins_also_within_one_moment(store: Store) -> None:
    people = [person(name) for name in ("alice", "bob", "carol")]
    for number in range(12):
        people[number % 3].log.note(f"bee {number}", time_ms=NOON)
    await keep(store, *people)
    whole = await found(store, "bee")
    assert len(whole) == 12
    pages, before = [], None
    while rows := (await store.search(SearchQuery(5, before, parse("bee", 0).wanted))).rows:
        assert len(rows) <= 5
        pages += [row.text for row in rows]
        before = rows[-1].id
    assert pages == whole
    assert await found(store, "bee", limit=0) == await found(store, "bee", limit=-1) == []
    with pytest.raises(NotFound):
        await found(store, "bee", before=EntryId(bytes(32)))


@on_both_stores
async def test_only_what_is_shown_is_found(store: Store) -> None:
    alice, bob, carol = person("alice"), person("bob"), person("carol")
    notes = [alice.log.note(f"bee {number}") for number in range(5)]
    stray = bob.log.note("bee, a stray")
    carol.log.boost(notes[0])
    carol.log.like(notes[0])
    await store.append([Batch(alice.hash, alice.log.run())], LATER)
    assert await found(store, "bee") == []  # it may be held for others
    await keep(store, carol)
    await store.put_identity(alice.identity)
    assert await found(store, "bee") == [f"bee {number}" for number in (4, 3, 2, 1, 0)]
    await store.put_stray(Located(bob.hash, stray, ()), LATER)
    assert "bee, a stray" in await found(store, "bee")
    assert await found(store, "bee", authors=(bob.hash,)) == ["bee, a stray"]
    await store.put_identity(bob.identity)
    await add(store, bob.log)  # the run takes the stray's place
    assert await found(store, "bee", authors=(bob.hash,)) == ["bee, a stray"]

    alice.log.delete(notes[4])
    await add(store, alice.log, 7)
    assert await found(store, "bee", authors=(alice.hash,)) == ["bee 3", "bee 2", "bee 1", "bee 0"]
    assert await store.drop_retracted(LATER + 1) == 1
    assert await found(store, "bee", authors=(alice.hash,)) == ["bee 3", "bee 2", "bee 1", "bee 0"]
    await store.put_identity(alice.retire(alice.key, 3, alice.log.entries[2].id))
    assert await found(store, "bee", authors=(alice.hash,)) == ["bee 1", "bee 0"]
    await store.drop_log(bob.key)
    assert await found(store, "stray") == []


@on_both_stores
async def test_a_deletion_that_loses_its_force_lets_a_notice_be_found_again(store: Store) -> None:
    alice = person("alice")
    laptop = alice.add_device("laptop")
    note = alice.log.note("bee")
    laptop.delete(note)
    await keep(store, alice)
    await add(store, laptop)
    assert await found(store, "bee") == []
    assert await store.drop_retracted(LATER + 1) == 1
    gone: Identity = alice.retire(laptop.key, 1, laptop.entries[0].id)
    await store.put_identity(gone)
    assert await found(store, "bee") == []
    assert note.payload is not None
    await store.put_payloads(alice.key, [(note.seq, note.payload)])
    assert await found(store, "bee") == ["bee"]


@on_both_stores
async def test_a_gap_is_found_when_it_is_filled(store: Store) -> None:
    alice = person("alice")
    alice.log.note("first bee")
    note = alice.log.note("second bee")
    run = tuple(entry.without_payload() if entry.id == note.id else entry for entry in alice.log.run())
    await store.put_identity(alice.identity)
    await store.append([Batch(alice.hash, run)], LATER)
    assert await found(store, "bee") == ["first bee"]
    assert note.payload is not None
    await store.put_payloads(alice.key, [(note.seq, note.payload)])
    assert await found(store, "bee") == ["second bee", "first bee"]


@on_both_stores
async def test_a_search_tells_what_it_could_not_look_into(store: Store) -> None:
    alice = person("alice")
    alice.notes(SEARCH_CATCH_UP_MAX + 700)
    await store.put_identity(alice.identity)
    for first in range(1, SEARCH_CATCH_UP_MAX + 701, 1_000):
        await add(store, alice.log, first, min(first + 999, len(alice.log.entries)))
    query = SearchQuery(5, wanted=parse("note", 0).wanted)
    answers = [await store.search(query)]
    while answers[-1].unread:
        answers.append(await store.search(query))
        assert answers[-1].unread < answers[-2].unread
    assert {tuple(row.text for row in answer.rows) for answer in answers} == {
        tuple(f"note {SEARCH_CATCH_UP_MAX + 700 - number}" for number in range(5))
    }


@on_both_stores
async def test_a_notice_is_found_by_the_words_that_it_has_now(store: Store) -> None:
    alice = person("alice")
    note = alice.log.note("bee #old")
    alice.log.note("bee, the second")
    await keep(store, alice)
    assert await found(store, "bee") == ["bee, the second", "bee #old"]
    edit = alice.log.write(Edit(ref(note), "wasp #new", (), "stings"))
    await add(store, alice.log, 4)
    assert await found(store, "bee") == ["bee, the second"]
    assert await found(store, "wasp #new stings") == await found(store, "wasp") == ["wasp #new"]
    assert await found(store, "#old") == []
    second = alice.log.edit(note, "hornet", [edit])
    await add(store, alice.log, 5)
    assert await found(store, "wasp") == []
    assert await found(store, "hornet") == ["hornet"]
    alice.log.delete(second)
    await add(store, alice.log, 6)
    assert await found(store, "wasp") == ["wasp #new"]
    alice.log.delete(edit)
    await add(store, alice.log, 7)
    assert await store.drop_retracted(LATER + 1) == 2
    assert await found(store, "wasp") == await found(store, "hornet") == []
    assert await found(store, "bee") == ["bee, the second", "bee #old"]
