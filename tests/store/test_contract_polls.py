"""What every store must answer about polls: who chose what, as far as it holds their votes."""

from __future__ import annotations

import pytest
import trio
from builders import NOON, Person, person
from store_kit import LATER, add, keep, on_both_stores, own

from p2pblog.config import POLL_LOOK_AGAIN_MS
from p2pblog.core.entry import Entry
from p2pblog.core.keys import EntryId
from p2pblog.core.logs import Batch, Located
from p2pblog.core.value import replace
from p2pblog.store import Store
from p2pblog.store.memory import MemoryStore

CLOSES = NOON + 60_000


async def votes(store: Store, poll: Entry) -> tuple[int, ...]:
    (row,) = await store.rows([poll.id])
    assert row.poll is not None
    return row.poll.votes


def asked() -> tuple[Person, Person, Person, Entry]:
    alice, bob, carol = person("alice"), person("bob"), person("carol")
    return alice, bob, carol, alice.log.poll("tea", "coffee", closes_ms=CLOSES)


@on_both_stores
async def test_a_poll_is_counted_from_the_votes_that_are_held(store: Store) -> None:
    alice, bob, carol, poll = asked()
    bob.log.vote(poll, 2, NOON + 5_000)
    alice.log.vote(poll, 1)  # its author may, too
    first = carol.log.vote(poll, 2, NOON + 9_000)
    carol.log.vote(poll, 1)
    bob.log.boost(poll)
    plain = bob.log.note("no poll")
    await keep(store, alice, bob)
    assert await votes(store, poll) == (1, 1)
    await keep(store, carol)
    await own(store, carol)
    (row, boost, other) = await store.rows([poll.id, bob.log.entries[-2].id, plain.id])
    assert row.poll is not None
    assert (row.poll.options, row.poll.votes, row.poll.voters) == (("tea", "coffee"), (1, 2), 3)
    assert (row.poll.closes_ms, row.poll.own, row.poll.own_vote) == (CLOSES, 2, first.id)
    assert boost.poll == row.poll
    assert other.poll is None
    assert (await store.thread(first.id)).notices == (row,)  # a vote stands for its poll


@on_both_stores
async def test_a_vote_that_stands_too_late_does_not_count(store: Store) -> None:
    alice, bob, carol, poll = asked()
    bob.log.vote(poll, 1, CLOSES)
    carol.log.vote(poll, 2, CLOSES + 1)
    await keep(store, alice, bob, carol)
    assert await votes(store, poll) == (1, 0)


@on_both_stores
async def test_a_clock_that_runs_ahead_votes_when_its_vote_is_seen(store: Store) -> None:
    alice, bob, _, poll = asked()
    bob.log.vote(poll, 1, CLOSES + 1_000_000)
    await keep(store, alice, bob, now_ms=CLOSES - 1)
    assert await votes(store, poll) == (1, 0)


@on_both_stores
async def test_a_vote_that_is_taken_back_makes_room_for_another(store: Store) -> None:
    alice, bob, _, poll = asked()
    first = bob.log.vote(poll, 1)
    second = bob.log.vote(poll, 2)
    await keep(store, alice, bob)
    await own(store, bob)
    assert await votes(store, poll) == (1, 0)
    bob.log.delete(first)
    await add(store, bob.log, 4)
    assert await votes(store, poll) == (0, 1)
    bob.log.delete(second)
    await add(store, bob.log, 5)
    assert await votes(store, poll) == (0, 0)
    await store.drop_retracted(LATER + 1)
    assert await votes(store, poll) == (0, 0)


@on_both_stores
async def test_what_a_retired_device_voted_beyond_its_end_does_not_count(store: Store) -> None:
    alice, bob, _, poll = asked()
    before = bob.log.note("before")
    bob.log.vote(poll, 1)
    await keep(store, alice, bob)
    assert await votes(store, poll) == (1, 0)
    await store.put_identity(bob.retire(bob.key, before.seq, before.id))
    assert await votes(store, poll) == (0, 0)


@on_both_stores
async def test_of_two_devices_the_vote_that_stands_first_counts(store: Store) -> None:
    alice, bob, _, poll = asked()
    laptop = bob.add_device("laptop")
    bob.log.vote(poll, 1, NOON + 9_000)
    laptop.vote(poll, 2, NOON + 8_000)
    await keep(store, alice, bob)
    assert await votes(store, poll) == (1, 0)
    await add(store, laptop)
    assert await votes(store, poll) == (0, 1)


@on_both_stores
async def test_two_devices_at_one_place_are_told_apart_by_their_ids(store: Store) -> None:
    alice, bob, _, poll = asked()
    laptop = bob.add_device("laptop")
    one = bob.log.vote(poll, 1, NOON + 9_000)
    two = laptop.vote(poll, 2, NOON + 9_000)
    await keep(store, alice, bob)
    await add(store, laptop)
    assert await votes(store, poll) == ((1, 0) if one.id < two.id else (0, 1))


@on_both_stores
async def test_a_vote_whose_payload_comes_later_counts_then(store: Store) -> None:
    alice, bob, _, poll = asked()
    vote = bob.log.vote(poll, 2)
    bare = tuple(entry.without_payload() for entry in bob.log.run())
    await keep(store, alice)
    await store.put_identity(bob.identity)
    await store.append([Batch(bob.hash, bare)], LATER)
    assert await votes(store, poll) == (0, 0)
    assert vote.payload is not None
    await store.put_payloads(bob.key, [(vote.seq, vote.payload)])
    assert await votes(store, poll) == (0, 1)


@on_both_stores
async def test_a_log_that_is_dropped_takes_its_vote_along(store: Store) -> None:
    alice, bob, _, poll = asked()
    bob.log.vote(poll, 2)
    await keep(store, alice, bob)
    await store.drop_log(bob.key)
    assert await votes(store, poll) == (0, 0)


@on_both_stores
async def test_a_vote_held_alone_counts(store: Store) -> None:
    alice, bob, _, poll = asked()
    vote = bob.log.vote(poll, 2)
    await keep(store, alice)
    await store.put_stray(Located(bob.hash, vote, ()), LATER)
    assert await votes(store, poll) == (0, 1)


@on_both_stores
async def test_an_edit_changes_the_question_and_leaves_the_options_and_the_votes(store: Store) -> None:
    alice, bob, _, poll = asked()
    alice.log.edit(poll, "which one, then?")
    bob.log.vote(poll, 2)
    await keep(store, alice, bob)
    (row,) = await store.rows([poll.id])
    assert row.text == "which one, then?"
    assert row.poll is not None
    assert (row.poll.options, row.poll.votes) == (("tea", "coffee"), (0, 1))


@on_both_stores
async def test_votes_before_their_poll_wait_for_it(store: Store) -> None:
    alice, bob, carol, poll = asked()
    bob.log.vote(poll, 2)
    carol.log.vote(poll, 3)  # there is no third option
    await keep(store, bob, carol)
    await keep(store, alice)
    assert await votes(store, poll) == (0, 1)


# --- that one closes is news ------------------------------------------------------------------------------------------


async def news(store: Store) -> list[tuple[str, EntryId, bytes, EntryId, int]]:
    return [(each.type.value, each.id, each.author, each.notice, each.time_ms) for each in await store.news(99)]


@on_both_stores
async def test_polls_that_one_made_or_voted_in_are_news_when_they_close(store: Store) -> None:
    alice, bob, carol = person("alice"), person("bob"), person("carol")
    await own(store, alice)
    mine, his = alice.log.poll("a", "b", closes_ms=CLOSES), bob.log.poll("a", "b", closes_ms=CLOSES + 1)
    unasked = bob.log.poll("a", "b", closes_ms=CLOSES)
    alice.log.vote(mine, 1)
    vote = alice.log.vote(his, 1)
    carol.log.vote(mine, 1)
    carol.log.vote(unasked, 1)
    await keep(store, alice, bob, carol, now_ms=NOON)
    for early in (NOON, CLOSES):
        assert await store.end_polls(early) == 0
    assert await store.news(9) == []

    assert await store.end_polls(CLOSES + 1) == 1
    own_poll = ("poll", mine.id, alice.hash, mine.id, CLOSES)
    assert await news(store) == [own_poll]
    assert await store.end_polls(LATER) == 1
    assert await news(store) == [("poll", vote.id, bob.hash, his.id, CLOSES + 1), own_poll]
    assert await store.end_polls(LATER) == 0
    await add(store, alice.log, now_ms=LATER)  # again
    assert await store.end_polls(LATER) == 0
    assert [each.id for each in await store.news(9, before=vote.id)] == [mine.id]
    assert await store.news(9, but_of=[bob.hash]) == await store.news(9, before=vote.id)

    assert await store.mark_news_read() == 2
    assert await store.news(9, unread=True) == []
    bob.log.like(mine)
    await add(store, bob.log)
    assert [each.type.value for each in await store.news(9, unread=True)] == ["like"]
    assert await store.mark_news_read() == 1
    bob.log.delete(his)
    await add(store, bob.log)
    assert [kind for kind, *_ in await news(store)] == ["like", "poll"]


@on_both_stores
async def test_a_vote_taken_back_waits_for_nothing_and_the_next_one_does(store: Store) -> None:
    alice, bob, _, poll = asked()
    await own(store, bob)
    first = bob.log.vote(poll, 1)
    bob.log.delete(first)
    second = bob.log.vote(poll, 2)
    await keep(store, alice, bob, now_ms=NOON)
    assert await store.end_polls(LATER) == 1
    assert [id for _, id, *_ in await news(store)] == [second.id]


@on_both_stores
async def test_two_devices_that_voted_hear_of_a_poll_once(store: Store) -> None:
    alice, bob, _, poll = asked()
    laptop = bob.add_device("laptop")
    await own(store, bob)
    bob.log.vote(poll, 1)
    laptop.vote(poll, 2)
    await keep(store, bob, now_ms=NOON)
    await store.end_polls(NOON)  # the poll is not here, so it is looked for again an hour later
    await keep(store, alice, now_ms=NOON)
    await add(store, laptop, now_ms=NOON)
    assert await store.end_polls(CLOSES + 1) == 1  # by the laptop's vote
    assert await store.end_polls(CLOSES + POLL_LOOK_AGAIN_MS + 1) == 0
    assert len(await store.news(9)) == 1


@pytest.mark.parametrize(("came_ms", "told"), [(CLOSES - 1, 1), (CLOSES, 1), (CLOSES + 1, 0)])
def test_what_comes_after_a_poll_has_closed_waits_for_nothing(came_ms: int, told: int) -> None:
    async def scene() -> None:
        store = MemoryStore()
        alice, bob, _, poll = asked()
        await own(store, bob)
        bob.log.vote(poll, 1)
        await keep(store, alice, bob, now_ms=came_ms)
        assert await store.end_polls(LATER) == told

    trio.run(scene)


@on_both_stores
async def test_polls_and_votes_whose_words_come_later_are_waited_for(store: Store) -> None:
    """As from another device, by a peer who lacks what they say. They count from when the entry came."""
    alice, bob = person("alice"), person("bob")
    his = bob.log.poll("a", "b", closes_ms=CLOSES)
    mine, vote = alice.log.poll("a", "b", closes_ms=CLOSES), alice.log.vote(his, 1)
    late = alice.log.poll("a", "b", closes_ms=CLOSES)
    await own(store, alice)
    await keep(store, bob, now_ms=NOON)
    await store.put_identity(alice.identity)
    bare = [entry if entry.seq == 1 else entry.without_payload() for entry in alice.log.run()]
    for some, came_ms in ((bare[:-1], NOON), (bare, CLOSES + 1)):
        signed = replace(some[-1], signature=alice.log.entries[some[-1].seq - 1].signature)
        await store.append([Batch(alice.hash, (*some[:-1], signed))], came_ms)
    await store.put_payloads(alice.key, [(entry.seq, entry.payload or b"") for entry in (mine, vote, late)])
    assert await store.end_polls(CLOSES) == 0
    assert await store.end_polls(LATER) == 2
    assert {id for _, id, *_ in await news(store)} == {mine.id, vote.id}


@on_both_stores
async def test_a_poll_that_is_filled_again_is_not_told_again(store: Store) -> None:
    """A thief's delete had it dropped."""
    alice = person("alice")
    thief = alice.add_device("thief")
    mine, unseen = (alice.log.poll("a", "b", closes_ms=CLOSES + at) for at in (0, LATER))
    await own(store, alice)
    await keep(store, alice, now_ms=NOON)
    assert await store.end_polls(CLOSES + 1) == 1
    assert await store.mark_news_read() == 1
    thief.delete(mine)
    thief.delete(unseen)
    await add(store, thief, now_ms=CLOSES + 2)
    assert await store.drop_retracted(LATER) == 2
    assert await store.end_polls(3 * LATER) == 0
    await store.put_identity(alice.retire(thief.key, 1, thief.entries[0].id))
    payloads = [(entry.seq, entry.payload or b"") for entry in (mine, unseen)]
    await store.put_payloads(alice.key, payloads)
    assert await store.end_polls(3 * LATER) == 0
    assert [id for _, id, *_ in await news(store)] == [mine.id]
    assert await store.news(9, unread=True) == []


@on_both_stores
async def test_a_poll_that_comes_later_than_the_vote_is_waited_for(store: Store) -> None:
    alice, bob, _, poll = asked()
    await own(store, bob)
    bob.log.vote(poll, 1)
    await keep(store, bob, now_ms=NOON)
    assert await store.end_polls(LATER) == 0
    await keep(store, alice)
    assert await store.end_polls(LATER + POLL_LOOK_AGAIN_MS) == 0
    assert await store.end_polls(LATER + POLL_LOOK_AGAIN_MS + 1) == 1
    await store.drop_log(bob.key)
    assert await store.news(9) == []
