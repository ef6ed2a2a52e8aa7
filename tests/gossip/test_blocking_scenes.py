"""Blocking somebody: what is on its way is left aside, nothing is relayed, asked for or given; nobody is to blame."""

from __future__ import annotations

from builders import person
from gossip_scenes import Scene, Table, done, node_key

from p2pblog.core.logs import Batch, Located
from p2pblog.core.payload import Ref
from p2pblog.gossip import events as ev
from p2pblog.gossip.keeper import Keeper, holdings_of
from p2pblog.gossip.messages import Fetch, Found, Relay
from p2pblog.store import Block, Contents, Follow

ALICE = person("alice")


def syncing() -> tuple[Scene, Table, Table]:
    """Bob follows alice, and the first run of hers waits for his store."""
    scene = Scene()
    alice, bob = scene.node("alice"), scene.node("bob", "alice")
    for number in range(80):
        alice.post(f"note {number}")
    scene.link("bob", "alice")
    scene.until(lambda: any(isinstance(effect, ev.StoreRun) for effect in bob.effects))
    assert bob.numbers(alice.person) == []
    return scene, alice, bob


def holds_nothing(table: Table) -> bool:
    holdings, loaded = table.machine.holdings, done(table.store.load())
    return (
        ALICE.hash not in holdings.identities
        and not holdings.cares_for(ALICE.hash)
        and ALICE.key not in holdings.logs
        and not any(state.identity == ALICE.hash for state in loaded.logs)
    )


def is_idle(table: Table) -> bool:
    queues = table.machine.replication.queues.values()
    return not table.machine.replication.fetching and not any(q.awaiting or q.storing for q in queues)


def block(table: Table) -> None:
    table.feed(ev.Blocked(ALICE.hash))
    assert done(table.store.put_block(Block(ALICE.hash, 0)))


def test_a_run_that_waits_for_the_store_is_left_aside_and_its_place_is_free_again() -> None:
    scene, alice, bob = syncing()
    block(bob)
    scene.run(30)
    assert holds_nothing(bob) and is_idle(bob)
    queue = bob.machine.replication.queues[node_key("alice")]
    assert not queue.doubted and queue.lacks == 0 and scene.closed == []
    alice.post("live")
    scene.run(30)
    assert holds_nothing(bob)

    bob.feed(ev.Unblocked(ALICE.hash))
    assert done(bob.store.drop_block(ALICE.hash))
    assert ALICE.key not in bob.machine.holdings.owners
    bob.follow("alice")
    scene.until(lambda: len(bob.numbers(ALICE)) == len(alice.person.log.entries))


def test_a_run_that_was_just_written_when_the_block_came_goes() -> None:
    scene, _alice, bob = syncing()
    run = next(effect for effect in bob.effects if isinstance(effect, ev.StoreRun))
    (state,) = done(bob.store.append([run.batch], 0))
    bob.feed(ev.Blocked(ALICE.hash))
    scene.run(1)
    bob.feed(ev.Stored(run.source, run.batch, state, run.live))
    bob.feed(ev.PayloadsStored(node_key("alice"), state, ()))
    assert ALICE.key not in bob.machine.holdings.logs
    scene.run(1)
    assert holds_nothing(bob) and is_idle(bob)


def test_nobody_is_doubted_for_payloads_of_a_log_that_went_meanwhile() -> None:
    scene, alice, bob = syncing()
    scene.until(lambda: len(bob.numbers(ALICE)) == len(alice.person.log.entries))
    session, keeper = node_key("alice"), Keeper(bob.machine.holdings, bob.store, lambda: 0)
    done(bob.store.drop_log(ALICE.key))
    held = alice.person.log.entries[-1]
    waiting = [ev.StorePayloads(session, ALICE.key, ((held.seq, held.payload or b""),))]
    number, (gone,) = done(keeper.write(waiting))
    assert (number, gone) == (1, ev.PayloadsUnfit(session, ALICE.key, None))
    bob.feed(gone)
    queue = bob.machine.replication.queues[session]
    assert not queue.doubted and queue.lacks == 0 and scene.closed == []


def test_the_keeper_writes_nothing_of_somebody_blocked() -> None:
    bob = Scene().node("bob")
    alice, carol, holdings = ALICE, person("carol"), bob.machine.holdings
    alice.log.note("a note")
    carol.log.note("carol's")
    holdings.learn(alice.identity)
    holdings.blocked[alice.hash] = None
    keeper = Keeper(holdings, bob.store, lambda: 0)
    theirs, mine = Batch(alice.hash, alice.log.run()), Batch(carol.hash, carol.log.run())
    waiting: list[ev.StoreRun] = [ev.StoreRun(None, mine, False), ev.StoreRun(node_key("x"), theirs, True)]
    number, (stored,) = done(keeper.write(waiting))
    assert number == 1 and isinstance(stored, ev.Stored)
    unwanted = ev.Unwanted(node_key("x"), alice.key)
    assert done(keeper.write(waiting[1:])) == (1, [unwanted])
    assert done(keeper.write([ev.StorePayloads(node_key("x"), alice.key, ((2, b"x"),))])) == (1, [unwanted])
    for writing in (ev.StoreIdentity(alice.identity), ev.StoreStray(Located(alice.hash, alice.log.entries[-1], ()))):
        assert done(keeper.write([writing])) == (1, [])
    dave = person("dave")
    stated = [ev.StoreIdentity(who.identity) for who in (carol, dave, alice, carol)]
    assert done(keeper.write([*stated, *waiting])) == (2, [])  # up to her, together
    loaded = done(bob.store.load())
    assert {state.identity for state in loaded.logs} == {carol.hash, bob.person.hash}
    assert {carol.hash, dave.hash} <= {identity.hash for identity in loaded.identities}
    assert alice.hash not in {identity.hash for identity in loaded.identities}


def test_a_relay_drops_its_lease_and_takes_up_no_other() -> None:
    scene = Scene()
    alice, carol, bob = (scene.node(name) for name in ("alice", "carol", "bob"))
    alice.post("before")
    scene.link("carol", "alice")
    scene.link("bob", "carol")
    bob.follow("alice")
    scene.until(lambda: "before" in bob.texts(alice.person))
    assert carol.machine.holdings.leases
    block(carol)
    scene.run(1)
    assert holds_nothing(carol) and carol.relayed == () and not carol.machine.holdings.leases
    alice.post("after")
    scene.run(120)
    assert scene.said(Relay, "bob", "carol", since=scene.now - 100)  # who is asked again and says nothing
    assert holds_nothing(carol) and not carol.machine.holdings.leases and scene.closed == []
    assert bob.texts(alice.person) == ["before"]


def test_what_a_boost_refers_to_is_not_asked_for_nor_taken() -> None:
    scene = Scene()
    alice, bob = scene.node("alice"), scene.node("bob")
    note = alice.post("boosted")
    scene.link("bob", "alice")
    scene.run(1)
    ref = Ref(alice.person.hash, note.device, note.seq, note.id)
    bob.feed(ev.Ask(ref))
    block(bob)  # while the answer is on its way
    scene.run(1)
    assert scene.said(Fetch, "bob") == [Fetch(ref)]
    assert done(bob.store.locate(note.id)) is None and not bob.machine.strays.asked
    assert scene.said(Found, "alice") and not any(isinstance(effect, ev.StoreStray) for effect in bob.effects)
    assert bob.feed(ev.Ask(ref)) == []
    assert bob.feed(ev.Learned(alice.person.identity)) == []


def test_blocks_and_private_follows_outlive_a_start() -> None:
    bob = person("bob")
    follows = (Follow(person("carol").hash), Follow(person("dave").hash, private=True))
    loaded = Contents(follows=follows, blocks=(Block(ALICE.hash, 5),))
    holdings = holdings_of(bob.hash, loaded)
    assert (list(holdings.blocked), list(holdings.private)) == ([ALICE.hash], [follows[1].identity])


def test_a_block_ends_a_private_follow_for_good() -> None:
    bob = Scene().node("bob")
    bob.feed(ev.Interested(ALICE.hash, private=True))
    block(bob)
    bob.feed(ev.Unblocked(ALICE.hash))
    assert not bob.machine.holdings.private


def test_of_a_run_written_while_its_feed_was_unfollowed_no_tree_stays() -> None:
    scene, _alice, bob = syncing()
    bob.feed(ev.Uninterested(ALICE.hash))
    scene.run(30)
    assert not bob.machine.broadcast.trees.get(ALICE.key) and scene.closed == []
