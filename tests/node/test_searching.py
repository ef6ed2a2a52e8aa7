"""Scenes at the rendezvous machine's one door: whom a node looks for in the DHT, when, and what it makes of answers."""

from __future__ import annotations

import pytest
from builders import NOON, Person, person
from rendezvous_scenes import HOME, Desk, crowd, head_of, looked_for, of, replica

from p2pblog.config import HEAD_LIFETIME_MS, REPLICA_LIFETIME_MS
from p2pblog.core.address import Endpoint
from p2pblog.core.identity import state_device
from p2pblog.core.keys import IdentityHash
from p2pblog.core.logs import Batch
from p2pblog.core.payload import LogStart
from p2pblog.core.value import replace
from p2pblog.dht.records import (
    Notice,
    head_key,
    notice_record,
    sign_head,
    sign_replica,
)
from p2pblog.errors import BadChain, BadSignature
from p2pblog.gossip.events import Candidates, Learned
from p2pblog.gossip.sharing import COVER_WANTING
from p2pblog.rendezvous import events as ev
from p2pblog.rendezvous.machine import LINKS_SETTLE_S, LOOK_EVERY_S, NOTICES_MAX
from p2pblog.rendezvous.searching import (
    LOOKUPS_AT_ONCE,
    LOOKUPS_OF_SEARCH,
    LOOKUPS_PER_S,
    LOST_AGAIN_S,
    SEARCH_ASTRAY_MAX_S,
    SEARCH_FIRST_S,
    SEARCH_MAX_S,
    SEARCH_WANTING_MAX_S,
    WORKERS_MAX,
)


def waits_in_vain(desk: Desk, whom: Person, slowest_s: float) -> list[float]:
    """How long it is until each search for somebody whom none finds, until they come as seldom as they may."""
    waits: list[float] = []
    begun = desk.now
    while not waits or waits[-1] < slowest_s - LOOK_EVERY_S:
        while whom.hash not in looked_for(desk.sleep(1)):
            assert desk.now - begun <= slowest_s + LOOK_EVERY_S
        waits.append(desk.now - begun)
        begun = desk.now
        search_in_vain(desk, whom)
    return waits


def search_in_vain(desk: Desk, whom: Person) -> None:
    """End a search: somebody is listed, and the heads, if they are read as well, are not there."""
    if of(desk.feed(ev.Found(ev.Replicas(whom.hash), crowd(whom, "one"))), ev.FindRecords):
        desk.feed(ev.Found(ev.Heads(whom.hash), ()))


def test_feeds_never_found_are_looked_for_first_and_a_few_at_once() -> None:
    names = [f"friend {number}" for number in range(WORKERS_MAX + 3)]
    desk = Desk(*names)
    hashes = [person(name).hash for name in names]
    for name in names[:-2]:
        desk.holdings.learn(person(name).identity)
    wanted = [*hashes[-2:], *hashes[:-2]]
    assert looked_for(desk.open()) == wanted[:WORKERS_MAX]
    nodes = crowd(person(names[0]), "one")
    for number in range(3):
        ended = desk.feed(ev.Found(ev.Replicas(wanted[2 + number]), nodes))
        assert looked_for(ended) == [wanted[WORKERS_MAX + number]]


@pytest.mark.parametrize("change", ["unfollowed", "linked"])
def test_who_is_unfollowed_or_linked_while_he_waits_loses_his_turn(change: str) -> None:
    people = [person(f"friend {number}") for number in range(WORKERS_MAX + 2)]
    desk = Desk(*(whom.name for whom in people))
    assert looked_for(desk.open()) == [whom.hash for whom in people[:WORKERS_MAX]]
    if change == "unfollowed":
        del desk.holdings.interests[people[-2].hash]
    else:
        desk.cover(people[-2])
    first = people[0]
    ended = desk.feed(ev.Found(ev.Replicas(first.hash), ())) + desk.feed(ev.Found(ev.Heads(first.hash), ()))
    assert looked_for(ended) == [people[-1].hash]


def test_what_waits_to_be_looked_for_waits_on_while_the_dht_is_out_of_reach() -> None:
    names = [f"friend {number}" for number in range(WORKERS_MAX + 3)]
    desk = Desk(*names)
    last = looked_for(desk.open())[-1]
    assert desk.feed(ev.Met(0)) == []
    assert looked_for(desk.feed(ev.Found(ev.Replicas(last), crowd(person(names[0]), "one")))) == []
    assert desk.feed(ev.Found(ev.Heads(last), ())) == []
    assert looked_for(desk.feed(ev.Met(1))) == [person(names[WORKERS_MAX]).hash]  # who had no turn yet


FEEDS = LOOKUPS_AT_ONCE // LOOKUPS_OF_SEARCH
EACH_S = LOOKUPS_PER_S // LOOKUPS_OF_SEARCH


def crowded(count: int) -> tuple[Desk, list[IdentityHash]]:
    """A desk that follows many, of whom it knows the statements and has no link."""
    people = [person(f"friend {number}") for number in range(count)]
    desk = Desk(*(each.name for each in people))
    for each in people:
        desk.holdings.learn(each.identity)
    return desk, [each.hash for each in people]


def find_all(desk: Desk, effects: list[ev.Effect]) -> list[bytes]:
    """Whose replicas are looked for, where each search gives one at once and the next one follows."""
    found, waiting = [], looked_for(effects)
    while waiting:
        found.append(identity := IdentityHash(waiting.pop(0)))
        waiting += looked_for(desk.feed(ev.Found(ev.Replicas(identity), (replica(identity, "somebody"),))))
        if identity in desk.machine._steps:
            waiting += looked_for(desk.feed(ev.Found(ev.Heads(identity), ())))
    return found


def test_who_follows_hundreds_looks_for_a_few_each_second() -> None:
    desk, hashes = crowded(FEEDS + 2 * EACH_S + 3)
    begun = [find_all(desk, desk.open()), *(find_all(desk, desk.sleep(1)) for _ in range(3))]
    assert [len(found) for found in begun] == [FEEDS, EACH_S, EACH_S, 3]
    assert [identity for found in begun for identity in found] == hashes


def test_notices_that_are_read_count_as_well() -> None:
    """Of authors who are away the newest ones are: with them a search takes five times as many look-ups."""
    people = [person(f"friend {number}") for number in range(100)]
    desk = Desk(*(each.name for each in people))
    by_hash = {each.hash: each for each in people}
    effects, lookups = desk.open(), list[int]()
    for _ in range(10):
        lookups.append(0)
        while effects:
            match effects.pop(0):
                case ev.FindRecords(ev.Heads(identity) as query):
                    known = () if identity == desk.alice.hash else (head_of(by_hash[identity]),)
                    effects += desk.feed(ev.Found(query, known))
                case ev.FindRecords(ev.Replicas() | ev.OneNotice() as query):
                    effects += desk.feed(ev.Found(query, ()))
                case _:
                    continue
            lookups[-1] += 1
        effects = desk.sleep(1)
    assert lookups[0] <= LOOKUPS_AT_ONCE + NOTICES_MAX
    assert sum(lookups[1:]) <= 9 * LOOKUPS_PER_S + NOTICES_MAX


def test_each_of_many_has_its_turn_although_all_begin_anew_each_minute() -> None:
    """The DHT is lost and met again, and so are links: those who had no turn before come first."""
    desk, hashes = crowded(12 * FEEDS)
    found = set(find_all(desk, desk.open()))
    for second in range(200):
        if second % 10 == 5:
            desk.feed(ev.Met(0))
        again = desk.feed(ev.Met(3)) if second % 10 == 6 else desk.feed(ev.LinksLost())
        found |= {*find_all(desk, again), *find_all(desk, desk.sleep(1))}
    assert found == set(hashes)


def test_meeting_somebody_again_does_not_make_the_searches_begin_anew_each_time() -> None:
    desk, (bob,) = crowded(1)

    def meet_again() -> list[ev.Effect]:
        return desk.feed(ev.Met(0)) + desk.feed(ev.Met(3))

    find_all(desk, desk.open())
    for _ in range(5):
        find_all(desk, desk.sleep(SEARCH_FIRST_S))
    assert find_all(desk, meet_again()) == [bob]
    assert find_all(desk, meet_again()) == []
    assert find_all(desk, desk.sleep(SEARCH_FIRST_S)) == [bob]
    assert find_all(desk, meet_again()) == []
    desk.sleep(LOST_AGAIN_S - SEARCH_FIRST_S)
    desk.feed(ev.Found(ev.Replicas(bob), ()))
    desk.feed(ev.Found(ev.Heads(bob), ()))
    assert find_all(desk, meet_again()) == [bob]


def test_our_own_heads_are_asked_for_once_by_those_who_want_them() -> None:
    desk = Desk()
    desk.uncover(desk.alice)
    desk.feed(ev.Started())
    heads = ev.FindRecords(ev.Heads(desk.alice.hash), head_key(desk.alice.hash))
    begun = desk.feed(ev.Met(1))
    assert heads in begun and looked_for(begun) == [desk.alice.hash]
    assert desk.feed(ev.Found(ev.Replicas(desk.alice.hash), ())) == []
    assert desk.feed(ev.Found(heads.query, ())) == [ev.OwnHeads(())]
    assert looked_for(desk.sleep(SEARCH_FIRST_S)) == [desk.alice.hash]
    assert desk.feed(ev.Found(ev.Replicas(desk.alice.hash), ())) == [heads]


def test_nobody_found_means_looking_ever_more_seldom() -> None:
    bob = person("bob")
    desk = Desk("bob")
    assert looked_for(desk.open()) == [bob.hash]
    waits = []
    for _ in range(9):
        begun = desk.now
        assert desk.feed(ev.Found(ev.Replicas(bob.hash), ())) == [
            ev.FindRecords(ev.Heads(bob.hash), head_key(bob.hash))
        ]
        assert desk.feed(ev.Found(ev.Heads(bob.hash), ())) == []
        while not looked_for(desk.sleep(0.5)):
            assert desk.now - begun <= SEARCH_MAX_S + 1
        waits.append(desk.now - begun)
    assert waits == pytest.approx([5, 10, 20, 40, 80, 160, 320, 600, 600], abs=1)


def test_replicas_are_dialed_and_heads_left_alone_once_the_statements_are_known() -> None:
    bob = person("bob")
    desk = Desk("bob")
    desk.holdings.learn(bob.identity)
    desk.open()
    records = (*crowd(bob, "two", "one"), sign_replica(desk.node, bob.hash, HOME, NOON + REPLICA_LIFETIME_MS))
    endpoints = (Endpoint("10.9.1.1", 4000), Endpoint("10.9.2.1", 4000))  # and not our own
    assert desk.feed(ev.Found(ev.Replicas(bob.hash), records)) == [ev.TellGossip(Candidates(endpoints, bob.hash))]


def test_of_somebody_never_found_the_heads_are_read_as_well() -> None:
    bob = person("bob")
    desk = Desk("bob")
    desk.open()
    assert desk.feed(ev.Found(ev.Replicas(bob.hash), crowd(bob, "one"))) == [
        ev.TellGossip(Candidates((Endpoint("10.9.1.1", 4000),), bob.hash)),
        ev.FindRecords(ev.Heads(bob.hash), head_key(bob.hash)),
    ]


def test_where_whoever_is_listed_does_not_answer_the_heads_are_read_next_time() -> None:
    """A record of a replica lives for days after its node has gone."""
    bob = person("bob")
    desk = Desk("bob")
    desk.holdings.learn(bob.identity)
    desk.open()
    listed = ev.Found(ev.Replicas(bob.hash), crowd(bob, "gone"))
    assert of(desk.feed(listed), ev.FindRecords) == []
    assert looked_for(desk.sleep(SEARCH_FIRST_S + 1)) == [bob.hash]
    assert of(desk.feed(listed), ev.FindRecords) == [ev.FindRecords(ev.Heads(bob.hash), head_key(bob.hash))]


def test_only_what_is_new_and_would_be_taken_from_a_link_is_taken() -> None:
    bob, carol = person("bob"), person("carol")
    bob.notes(3)
    liar = bob.add_device("liar")
    liar.entries.clear()
    liar.write(LogStart(carol.hash))
    desk = Desk("bob")
    desk.hold(bob)
    bob.notes(2)
    desk.open()
    desk.feed(ev.Found(ev.Replicas(bob.hash), ()))
    head = sign_head(bob.identity, liar.device, 1, 1, liar.entries[0].id, NOON + HEAD_LIFETIME_MS)
    assert head is not None
    heads = sorted([head, head_of(bob)], key=lambda head: head.device)
    effects = desk.feed(ev.Found(ev.Heads(bob.hash), tuple(heads)))
    taken = list[ev.Effect]()
    desk.holdings.learn(bob.identity)
    while queries := [find.query for find in of(effects, ev.FindRecords)]:
        effects = []
        for query in queries:
            assert isinstance(query, ev.OneNotice)
            assert query.seq > (4 if query.device == bob.key else 0)  # what we hold is not asked for
            log = bob.log if query.device == bob.key else liar
            effects += desk.feed(ev.Found(query, (Notice(log.entries[query.seq - 1]),)))
        taken += effects
    assert of(taken, ev.TakeRun) == [ev.TakeRun(Batch(bob.hash, tuple(bob.log.entries[4:])))]
    assert [type(refused.error) for refused in of(taken, ev.Refused)] == [BadChain]


def test_nothing_beyond_a_retirement_is_taken() -> None:
    bob = person("bob")
    bob.notes(3)
    retired = bob.log.entries[1]
    desk = Desk("bob")
    desk.open()
    desk.feed(ev.Found(ev.Replicas(bob.hash), ()))
    finds = of(desk.feed(ev.Found(ev.Heads(bob.hash), (head_of(bob),))), ev.FindRecords)
    desk.holdings.learn(bob.retire(bob.key, retired.seq, retired.id))
    for find, entry in zip(finds, bob.log.entries, strict=True):
        assert of(desk.feed(ev.Found(find.query, (Notice(entry),))), ev.TakeRun) == []


def test_nothing_is_taken_of_a_device_that_writes_for_somebody_else() -> None:
    bob = person("bob")
    bob.notes(3)
    desk = Desk("bob")
    desk.open()
    desk.feed(ev.Found(ev.Replicas(bob.hash), ()))
    finds = of(desk.feed(ev.Found(ev.Heads(bob.hash), (head_of(bob),))), ev.FindRecords)
    carol = person("carol")
    thief = state_device(carol.root, bob.device, carol.hash, 0, carol.identity.next_counter)
    desk.holdings.identities[carol.hash] = carol.identity.merge([thief])
    desk.holdings.owners[bob.key] = carol.hash
    for find, entry in zip(finds, bob.log.entries, strict=True):
        assert of(desk.feed(ev.Found(find.query, (Notice(entry),))), ev.TakeRun) == []


def test_an_offline_author_is_read_from_the_dht() -> None:
    bob = person("bob")
    bob.notes(12)
    desk = Desk("bob")
    desk.open()
    desk.feed(ev.Found(ev.Replicas(bob.hash), ()))
    learned, *finds = desk.feed(ev.Found(ev.Heads(bob.hash), (head_of(bob),)))
    assert learned == ev.TellGossip(Learned(head_of(bob).partial_identity()))
    desk.holdings.learn(bob.identity)
    queries = [find.query for find in of(finds, ev.FindRecords)]
    assert [query.seq for query in queries if isinstance(query, ev.OneNotice)] == list(range(6, 14))
    for query in queries[:-1]:
        assert isinstance(query, ev.OneNotice)
        found = () if query.seq == 9 else (notice_record(bob.log.entries[query.seq - 1]),)
        assert desk.feed(ev.Found(query, found)) == []  # type: ignore[arg-type]
    newest = bob.log.entries
    assert desk.feed(ev.Found(queries[-1], (Notice(newest[-1]),))) == [
        ev.TakeRun(Batch(bob.hash, tuple(newest[9:13]))),
        ev.TakeRun(Batch(bob.hash, tuple(newest[5:8]))),
    ]
    assert looked_for(desk.sleep(SEARCH_FIRST_S)) == [bob.hash]


def test_a_head_that_contradicts_is_left_aside_and_the_next_one_read() -> None:
    bob = person("bob")
    phone = bob.add_device("phone")
    desk = Desk("bob")
    desk.open()
    desk.feed(ev.Found(ev.Replicas(bob.hash), ()))
    good = head_of(bob)
    statement = bob.identity.statement_of(phone.key)
    assert statement is not None
    bad = replace(good, statement=replace(statement, signatures=(bytes(64),)))
    effects = desk.feed(ev.Found(ev.Heads(bob.hash), (good, bad)))
    assert desk.holdings.identities == {desk.alice.hash: desk.alice.identity}
    (refused,) = of(effects, ev.Refused)
    assert refused.identity == bob.hash and isinstance(refused.error, BadSignature)
    assert of(effects, ev.TellGossip) == [ev.TellGossip(Learned(good.partial_identity()))]


def test_somebody_unfollowed_while_he_is_looked_for_is_let_go() -> None:
    bob = person("bob")
    bob.notes(2)
    phone = bob.add_device("phone")
    desk = Desk("bob")
    desk.open()
    desk.feed(ev.Found(ev.Replicas(bob.hash), ()))
    another = sign_head(bob.identity, phone.device, 1, 1, phone.entries[0].id, NOON + HEAD_LIFETIME_MS)
    assert another is not None
    heads = (head_of(bob), another)
    first, *others = of(desk.feed(ev.Found(ev.Heads(bob.hash), heads)), ev.FindRecords)
    desk.holdings.learn(bob.identity)
    del desk.holdings.interests[bob.hash]
    for find in (*others, first):
        assert desk.feed(ev.Found(find.query, (Notice(bob.log.entries[0]),))) == []
    assert bob.hash not in looked_for(desk.sleep(SEARCH_MAX_S))
    desk.holdings.interests[bob.hash] = None
    assert looked_for(desk.feed(ev.Followed(bob.hash))) == [bob.hash]


def test_an_answer_about_somebody_unfollowed_leads_nowhere() -> None:
    bob = person("bob")
    desk = Desk("bob")
    desk.open()
    del desk.holdings.interests[bob.hash]
    assert desk.feed(ev.Found(ev.Replicas(bob.hash), crowd(bob, "one"))) == []


def test_a_feed_that_loses_its_last_link_is_looked_for_within_a_second() -> None:
    bob = person("bob")
    desk = Desk("bob")
    desk.cover(bob)
    assert looked_for(desk.open() + desk.sleep(100)) == []
    desk.uncover(bob)
    for _ in range(16):  # the links of a crash end one after another
        desk.feed(ev.LinksChanged())
    before = desk.alarms
    assert looked_for(desk.sleep(LINKS_SETTLE_S)) == [bob.hash]
    assert desk.alarms - before == 1


def test_lost_links_make_the_searches_begin_anew_but_not_each_time() -> None:
    bob, carol = person("bob"), person("carol")
    desk = Desk("bob", "carol")
    desk.holdings.learn(bob.identity)
    desk.cover(carol)
    desk.open()
    for _ in range(6):
        search_in_vain(desk, bob)
        while not looked_for(desk.sleep(1)):
            pass
    search_in_vain(desk, bob)  # the next search is minutes away
    assert looked_for(desk.feed(ev.LinksLost())) == [bob.hash]
    search_in_vain(desk, bob)
    desk.uncover(carol)
    desk.feed(ev.LinksChanged())
    found = looked_for(desk.sleep(LINKS_SETTLE_S))
    assert found == [carol.hash]
    assert looked_for(desk.sleep(SEARCH_FIRST_S)) == [bob.hash]
    search_in_vain(desk, bob)
    assert looked_for(desk.feed(ev.LinksLost())) == []
    desk.sleep(LOST_AGAIN_S - 8)
    search_in_vain(desk, bob)
    desk.sleep(2)
    assert looked_for(desk.feed(ev.LinksLost())) == [bob.hash]


def test_a_feed_whose_links_owe_an_answer_is_looked_for_before_they_end() -> None:
    bob = person("bob")
    desk = Desk("bob")
    desk.cover(bob, "first")
    desk.cover(bob, "second")
    assert looked_for(desk.open() + desk.sleep(100)) == []
    first, second = desk.sharing.sessions_of(bob.hash)
    first.is_late = True
    assert looked_for(desk.feed(ev.LinksLost())) == []  # the other one may yet answer
    second.is_late = True
    assert looked_for(desk.sleep(LINKS_SETTLE_S)) == [bob.hash]


def test_peers_that_a_person_names_make_it_look_again() -> None:
    bob = person("bob")
    desk = Desk("bob")
    desk.holdings.learn(bob.identity)
    desk.open()
    for _ in range(2):
        desk.feed(ev.Found(ev.Replicas(bob.hash), crowd(bob, "one")))
        assert looked_for(desk.feed(ev.PeersGiven())) == [bob.hash]


def test_nobody_is_asked_while_the_dht_knows_nobody() -> None:
    desk = Desk("bob")
    assert desk.feed(ev.Started()) == desk.feed(ev.Followed(person("bob").hash)) == desk.sleep(3600) == []
    assert looked_for(desk.feed(ev.Met(1))) == [person("bob").hash]


def test_a_clock_that_rounds_does_not_make_it_spin() -> None:
    """A driver that counts whole microseconds rings a little early."""
    desk = Desk("bob")
    desk.holdings.learn(person("bob").identity)
    desk.now = 1 / 3
    desk.open()
    desk.feed(ev.Found(ev.Replicas(person("bob").hash), crowd(person("bob"), "one")))
    while desk.alarm < 1 / 3 + SEARCH_FIRST_S:
        desk.sleep(desk.alarm - desk.now)
    desk.now = int(desk.alarm * 1e6) / 1e6
    assert desk.now < desk.alarm
    assert looked_for(desk.feed(ev.Woken())) == [person("bob").hash]


def test_a_feed_is_looked_for_while_nobody_tells_of_entries() -> None:
    bob = person("bob")
    desk = Desk("bob")
    desk.hold(bob)
    desk.cover(bob)
    (session,) = desk.sharing.sessions_of(bob.hash)
    del session.clocks[bob.key]
    desk.open()
    assert looked_for(desk.sleep(SEARCH_FIRST_S)) == [bob.hash]


def test_a_feed_whose_links_lack_what_is_known_to_exist_is_looked_for_ever_more_seldom() -> None:
    """Bob began a second log, of which nobody who is linked has anything; it may be on its way, or lost for good."""
    bob = person("bob")
    desk = Desk("bob")
    desk.hold(bob)
    desk.cover(bob)
    desk.open()
    assert looked_for(desk.sleep(60)) == []
    bob.add_device("second")
    desk.holdings.learn(bob.identity)
    waits = waits_in_vain(desk, bob, SEARCH_WANTING_MAX_S)
    assert waits[0] <= LOOK_EVERY_S + SEARCH_FIRST_S
    assert waits[1:5] == pytest.approx([5, 10, 20, 40], abs=1)
    assert waits[-2:] == pytest.approx([5 * 2**12, SEARCH_WANTING_MAX_S], rel=0.01)


def test_a_feed_that_few_tell_of_without_a_way_to_the_author_is_looked_for_ever_more_seldom() -> None:
    """Neighbours relayed bob's first notices to alice and lost him since; or he is away, and they have all there is."""
    bob = person("bob")
    desk = Desk("bob")
    desk.hold(bob)
    for number in range(COVER_WANTING - 1):
        desk.cover(bob, f"peer {number}")
        desk.sharing.sessions_of(bob.hash)[-1].near.clear()
    desk.open()
    waits = waits_in_vain(desk, bob, SEARCH_ASTRAY_MAX_S)
    assert waits[:5] == pytest.approx([5, 5, 10, 20, 40], abs=1)
    assert waits[-2:] == pytest.approx([5 * 2**9, SEARCH_ASTRAY_MAX_S], rel=0.01)


def test_a_feed_astray_for_long_is_looked_for_at_once_when_its_last_link_ends() -> None:
    bob = person("bob")
    desk = Desk("bob")
    desk.hold(bob)
    desk.cover(bob)
    desk.sharing.sessions_of(bob.hash)[0].near.clear()
    desk.open()
    begun = desk.now
    while desk.now < begun + 4 * SEARCH_ASTRAY_MAX_S:
        if bob.hash in looked_for(desk.sleep(60)):
            search_in_vain(desk, bob)
    desk.uncover(bob)
    desk.feed(ev.LinksChanged())
    assert looked_for(desk.sleep(LINKS_SETTLE_S)) == [bob.hash]


@pytest.mark.parametrize("found", ["a way", "company"])
def test_a_feed_is_astray_only_while_few_share_it_and_none_knows_a_way(found: str) -> None:
    bob = person("bob")
    desk = Desk("bob")
    desk.hold(bob)
    for number in range(COVER_WANTING if found == "company" else 1):
        desk.cover(bob, f"peer {number}")
        desk.sharing.sessions_of(bob.hash)[-1].near.clear()
    if found == "a way":
        desk.sharing.sessions_of(bob.hash)[0].near[bob.hash] = 3
    desk.open()
    assert looked_for(desk.sleep(60)) == []
