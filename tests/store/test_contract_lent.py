"""What every store must answer about a log that is held for others: how it is shown, and what stays when it goes."""

from __future__ import annotations

from collections.abc import Sequence

from builders import NOON, Log, Person, person
from store_kit import LATER, add, alice_is_here, keep, on_both_stores, texts

from p2pblog.core.entry import Entry
from p2pblog.core.keys import EntryId
from p2pblog.core.logs import Batch, Located
from p2pblog.core.payload import Profile
from p2pblog.core.search import parse
from p2pblog.core.value import replace
from p2pblog.store import OWN_IDENTITY, Follow, SearchQuery, Store, TimelineQuery


async def put(store: Store, log: Log, *entries: Entry) -> None:
    for entry in entries:
        await store.put_stray(Located(log.identity, entry, ()), LATER)


async def relay(store: Store, someone: Person) -> None:
    """Hold a log for others for a while."""
    await add(store, someone.log)
    await store.leave_log(someone.key, LATER)


async def here(store: Store, entries: Sequence[Entry]) -> list[EntryId]:
    return [entry.id for entry in entries if await store.locate(entry.id) is not None]


async def spans(store: Store, someone: Person) -> list[tuple[int, int]]:
    logs = [log for log in (await store.load()).logs if log.device == someone.key]
    return [(span.low, span.high) for log in logs for span in log.spans]


@on_both_stores
async def test_what_was_a_stray_is_shown_all_the_while_and_stays(store: Store) -> None:
    """With all that is read of it: a bookmark, what is news, its conversation, its group, a boost of it, a search."""
    _alice, note = await alice_is_here(store)
    bob, dave = person("bob"), person("dave")
    answer = dave.log.note("I do !bees", reply_to=note)
    dave.notes(3)
    bob.log.boost(answer)
    bob.log.quote(answer, "look")
    await keep(store, bob)
    await put(store, dave.log, answer)
    await store.put_admitted(dave.hash, LATER)
    await store.put_bookmark(answer.id, LATER)

    async def seen() -> tuple[object, ...]:
        home = await store.timeline(TimelineQuery(9))
        thread, found = await store.thread(note.id), await store.search(SearchQuery(9, None, parse("do", NOON).wanted))
        return (
            [(row.id, row.text, row.quoted_text) for row in home],
            [row.text for row in await store.bookmarks(9)],
            [each.id for each in await store.news(9)],
            ([row.text for row in thread.notices], thread.missing),
            [row.text for row in await store.timeline(TimelineQuery(9, group="bees"))],
            [row.text for row in found.rows],
            await store.locate(answer.id) is not None,
        )

    before = await seen()
    assert before[1] == before[4] == before[5] == ["I do !bees"]
    await add(store, dave.log)
    assert await seen() == before
    await store.leave_log(dave.key, LATER)
    assert await seen() == before
    assert await here(store, dave.log.entries) == [answer.id]
    assert await spans(store, dave) == []


@on_both_stores
async def test_a_log_held_for_others_stands_in_no_timeline_until_its_identity_is_kept(store: Store) -> None:
    await alice_is_here(store)
    dave = person("dave")
    said = [dave.log.note("#bees"), dave.log.note("!birds")]
    await add(store, dave.log)
    assert await texts(store, dave) == []
    assert await store.timeline(TimelineQuery(9, tag="bees")) == []
    assert await store.timeline(TimelineQuery(9, group="birds")) == []
    assert [row.text for row in await store.rows([entry.id for entry in said])] == ["#bees", "!birds"]
    await store.put_follow(Follow(dave.hash, None, NOON))
    assert "#bees" not in await texts(store)
    await store.put_identity(dave.identity)
    assert await texts(store, dave) == ["!birds", "#bees"]
    assert [row.text for row in await store.timeline(TimelineQuery(9, tag="bees"))] == ["#bees"]
    assert [row.text for row in await store.timeline(TimelineQuery(9, group="birds"))] == ["!birds"]


@on_both_stores
async def test_what_a_stranger_has_us_hold_stays_only_where_somebody_here_did_something_with_it(store: Store) -> None:
    """Else whoever asks us to relay ever new people would fill our disk."""
    alice, note = await alice_is_here(store)
    dave = person("dave")
    dave.log.write(Profile("Dave"))
    liked, other = dave.log.note("liked"), dave.log.note("other", reply_to=note)
    dave.log.pin(other)
    dave.log.dm("psst", alice, by=dave)
    first, last = dave.log.edit(liked, "liked, first"), dave.log.edit(liked, "liked, as it stands")
    await add(store, dave.log)
    alice.log.like(liked)
    await add(store, alice.log)
    await store.leave_log(dave.key, LATER)
    assert await here(store, dave.log.entries) == [liked.id, last.id]
    assert [row.text for row in await store.rows([liked.id])] == ["liked, as it stands"]
    assert await store.locate(first.id) is None
    assert (await store.usage()).pruned == 0

    eve = person("eve")
    eve.log.write(Profile("Eve"))
    eve.log.note("nothing of ours")
    await relay(store, eve)
    assert await here(store, eve.log.entries) == [] and eve.hash not in {
        log.identity for log in (await store.load()).logs
    }


@on_both_stores
async def test_of_whom_is_no_stranger_all_stays_that_would_stay_of_a_log_that_is_pruned(store: Store) -> None:
    _alice, note = await alice_is_here(store)
    dave = person("dave")
    dave.log.write(Profile("Dave"))
    answer, other = dave.log.note("an answer", reply_to=note), dave.log.note("another", reply_to=note)
    await store.put_admitted(dave.hash, LATER)
    await put(store, dave.log, answer)
    await relay(store, dave)
    stays = [dave.log.entries[1], answer]
    assert await here(store, dave.log.entries) == [each.id for each in stays]
    assert await store.locate(other.id) is None
    assert [row.name for row in await store.rows([answer.id])] == ["Dave"]


@on_both_stores
async def test_any_number_of_deletes_of_one_notice_leave_one(store: Store) -> None:
    alice, _ = await alice_is_here(store)
    dave = person("dave")
    liked = dave.log.note("liked")
    await put(store, dave.log, liked)
    alice.log.like(liked)
    await add(store, alice.log)
    deletes = [dave.log.delete(liked) for _ in range(5)]
    await relay(store, dave)
    assert await here(store, dave.log.entries) == [liked.id, deletes[0].id]
    assert await store.rows([liked.id]) == []


@on_both_stores
async def test_deletes_of_one_notice_do_not_pile_up_lease_after_lease(store: Store) -> None:
    """Each run is the newest of its log, and does not cover the delete that stayed when the last one went."""
    await alice_is_here(store)
    dave = person("dave")
    marked = dave.log.note("marked")
    await put(store, dave.log, marked)
    await store.put_bookmark(marked.id, LATER)
    deletes = []
    for _ in range(3):
        deletes.append(dave.log.delete(marked))
        await add(store, dave.log, deletes[-1].seq)
        await store.leave_log(dave.key, LATER)
    assert await here(store, dave.log.entries) == [marked.id, deletes[0].id]
    assert await store.rows([marked.id]) == []


@on_both_stores
async def test_a_run_without_payloads_takes_nothing_from_what_is_here(store: Store) -> None:
    await alice_is_here(store)
    dave = person("dave")
    words = dave.log.note("words of dave")
    dave.notes(2)
    await put(store, dave.log, words)
    located = await store.locate(words.id)
    bare = tuple(replace(entry.without_payload(), signature=None) for entry in dave.log.run()[:-1])
    await store.append([Batch(dave.hash, (*bare, dave.log.entries[-1]))], LATER)
    assert [row.text for row in await store.rows([words.id])] == ["words of dave"]
    await store.leave_log(dave.key, LATER)
    assert await store.locate(words.id) == located
    assert [row.text for row in await store.rows([words.id])] == ["words of dave"]


@on_both_stores
async def test_a_stray_that_comes_while_the_log_is_held_for_others_stays_as_well(store: Store) -> None:
    """As a mention by a stranger, that is told of while a neighbour has us carry his feed."""
    _alice, note = await alice_is_here(store)
    dave = person("dave")
    answer = dave.log.note("an answer", reply_to=note)
    dave.notes(2)
    await add(store, dave.log)
    await put(store, dave.log, answer)
    await put(store, dave.log, answer)
    before = [row.text for row in await store.timeline(TimelineQuery(9, strangers=True))]
    await store.leave_log(dave.key, LATER)
    assert await here(store, dave.log.entries) == [answer.id]
    assert [row.text for row in await store.timeline(TimelineQuery(9, strangers=True))] == before == ["an answer"]


@on_both_stores
async def test_what_is_followed_meanwhile_is_lent_no_more(store: Store) -> None:
    await alice_is_here(store)
    dave = person("dave")
    notes = [dave.log.note("first"), dave.log.note("second")]
    await put(store, dave.log, notes[0])
    await add(store, dave.log)
    await store.put_identity(dave.identity)
    await store.put_follow(Follow(dave.hash, None, NOON))
    assert await texts(store, dave) == ["second", "first"]
    await store.prune(dave.key, 2, LATER)
    assert await store.locate(notes[0].id) is None


@on_both_stores
async def test_of_whom_we_followed_once_it_is_the_same(store: Store) -> None:
    """His identity is kept still, though nothing of his log may be left."""
    alice, note = await alice_is_here(store)
    dave = person("dave")
    first, said = dave.log.note("!bees"), dave.log.note("an answer", reply_to=note)
    letter = dave.log.dm("psst", alice, by=dave)
    await store.put_identity(dave.identity)
    await put(store, dave.log, first)
    await add(store, dave.log)
    await put(store, dave.log, said)
    await store.leave_log(dave.key, LATER)
    assert await here(store, dave.log.entries) == [first.id, said.id]
    assert await texts(store, dave) == [] and await store.locate(letter.id) is None

    await add(store, dave.log)
    await store.put_follow(Follow(dave.hash, None, NOON))
    await store.prune(dave.key, 2, LATER)
    assert await store.locate(first.id) is None


@on_both_stores
async def test_a_log_held_for_others_may_be_pruned_too(store: Store) -> None:
    await alice_is_here(store)
    dave = person("dave")
    notes = [dave.log.note(f"{number}") for number in range(4)]
    await put(store, dave.log, notes[0], notes[3])
    await add(store, dave.log)
    done = await store.prune(dave.key, 3, LATER)
    assert done.dropped == 2 and await spans(store, dave) == [(4, 5)]
    assert await here(store, notes) == [notes[0].id, notes[2].id, notes[3].id]
    await store.leave_log(dave.key, LATER)
    assert await here(store, notes) == [notes[0].id, notes[3].id]
    assert await store.prune_strays(0, 9) == (0, 2)


@on_both_stores
async def test_pruning_what_is_held_for_others_keeps_nothing_that_tells_of_a_stranger(store: Store) -> None:
    """Such strays never go: whoever asks us to relay ever new people would fill our disk while it is full."""
    await alice_is_here(store)
    dave = person("dave")
    dave.log.write(Profile("Dave"))
    pinned = dave.log.note("pinned")
    dave.log.pin(pinned)
    dave.notes(3)
    await add(store, dave.log)
    await store.prune(dave.key, 4, LATER)
    assert await here(store, dave.log.entries[:4]) == []
    await store.leave_log(dave.key, LATER)
    assert await here(store, dave.log.entries) == []


@on_both_stores
async def test_no_direct_message_is_listed_of_a_log_that_is_held_for_others(store: Store) -> None:
    """Anybody can have us hold his log for a while; what was listed before, of whom we followed once, still is."""
    alice, _ = await alice_is_here(store)
    dave, eve = person("dave"), person("eve")
    letters = [dave.log.dm(f"psst {number}", alice, by=dave) for number in range(2)]
    await put(store, dave.log, letters[0])
    for _ in range(2):
        await add(store, dave.log)
        assert await store.dms(9) == []
        await store.leave_log(dave.key, LATER)
        assert await here(store, letters) == [letters[0].id]

    letter = eve.log.dm("psst", alice, by=eve)
    await keep(store, eve)
    await store.prune(eve.key, 2, LATER)
    assert [row.id for row in await store.dms(9)] == [letter.id]
    await relay(store, eve)
    assert [row.id for row in await store.dms(9)] == [letter.id]


@on_both_stores
async def test_who_has_ever_new_people_carried_puts_nothing_before_the_person(store: Store) -> None:
    """What waits of strangers and stands in groups is bounded where they come one by one; a log is not."""
    alice, note = await alice_is_here(store)
    poll = alice.log.poll("yes", "no")
    await add(store, alice.log)
    dave, erin = person("dave"), person("erin")
    answers = [dave.log.note(f"@{alice.address} buy !bees", reply_to=note) for _ in range(3)]
    reactions = [dave.log.like(note), dave.log.boost(note), dave.log.vote(poll, 1)]
    erin.log.note("me too", reply_to=answers[0])
    await keep(store, erin)

    async def seen() -> tuple[object, ...]:
        thread, found = await store.thread(note.id), await store.search(SearchQuery(9, None, parse("buy", NOON).wanted))
        row, voted = await store.rows([note.id, poll.id])
        return (
            len(await store.timeline(TimelineQuery(9, strangers=True))),
            len(await store.timeline(TimelineQuery(9, group="bees"))),
            len(found.rows),
            len(thread.waiting),
            (row.likes, row.boosts, voted.poll is not None and voted.poll.votes),
        )

    nothing = await seen()
    await add(store, dave.log)
    assert await seen() == nothing
    assert [row.text for row in await store.rows([answers[1].id])] == [f"@{alice.address} buy !bees"]
    assert answers[0].id in [row.id for row in (await store.thread(erin.log.entries[1].id)).notices]
    assert answers[2].id in [row.id for row in (await store.thread(answers[2].id)).notices]

    await put(store, dave.log, answers[1], *reactions)
    lent = await seen()
    assert lent[:4] == (1, 1, 1, 1) and lent != nothing
    assert lent[4] == (1, 1, (1, 0))
    await store.put_setting(OWN_IDENTITY, dave.hash)
    await store.put_setting(OWN_IDENTITY, alice.hash)  # what is news is found anew
    assert await seen() == lent
    await store.leave_log(dave.key, LATER)
    assert await seen() == lent

    await add(store, dave.log)
    assert await seen() == lent
    await store.put_identity(dave.identity)
    assert (await seen())[:4] == (3, 3, 3, 3)


@on_both_stores
async def test_what_a_person_holds_on_to_counts_as_a_stray_does_once_the_log_has_gone(store: Store) -> None:
    await alice_is_here(store)
    dave = person("dave")
    marked = dave.log.note("!bees")
    await add(store, dave.log)
    await store.put_bookmark(marked.id, LATER)
    assert await store.timeline(TimelineQuery(9, group="bees")) == []
    await store.leave_log(dave.key, LATER)
    assert [row.text for row in await store.timeline(TimelineQuery(9, group="bees"))] == ["!bees"]
    await store.leave_log(dave.key, LATER)  # of what is not held nothing goes
    assert await here(store, [marked]) == [marked.id]
