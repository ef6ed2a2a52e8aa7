"""A real test network on loopback: honest nodes, liars, crashes, and what a stranger's datagrams can't do."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
import trio
from dht_scenes import DAY, MINUTE, NOW, alice, bob, key_of, mallory
from dht_world import LOOPBACK, Stranger, stranger, world_of
from test_dht_guard import MALFORMED
from trio.testing import trio_test

from p2pblog import bridge
from p2pblog.config import DHT_NEIGHBOURS_EVERY_MS, DHT_RESTORE_EVERY_MS, MANY_PER_KEY_MAX
from p2pblog.dht import Directory, Published, lookup, records, server, shelf, upkeep, wire
from p2pblog.dht.adapter import Dht
from p2pblog.dht.contacts import Contact, NodeId, node_id
from p2pblog.dht.protocol import Heard
from p2pblog.dht.records import DhtKey, Head, Record, Replica, encode, head_key, replica_key, sign_pointer, sign_replica
from p2pblog.dht.server import read_state
from p2pblog.dht.shelf import Limits

REJECTED = [
    case
    for case in json.loads((Path(__file__).parent.parent / "vectors" / "dht-records.json").read_text())
    if not case["accept"] and case["now"] == NOW and 0 < len(case["record"]) <= 2_000
]


# --- the ordinary way -------------------------------------------------------------------------------------------------


@trio_test
async def test_bob_finds_the_head_that_alice_published_after_she_left() -> None:
    async with world_of(4) as world:
        author, *others = world.nodes
        directory: Directory = author
        assert await directory.publish([alice.head()]) == [Published(3)]
        await world.kill(author)
        for node in others:
            assert await node.find(alice.head().key) == [alice.head()]


@trio_test
async def test_a_lone_node_publishes_to_nobody_and_finds_its_own() -> None:
    async with world_of(1) as world:
        assert await world.nodes[0].publish([alice.head(), alice.notice()]) == [Published(0, is_heard=False)] * 2
        assert await world.nodes[0].find(alice.head().key) == [alice.head()]
        assert await world.nodes[0].find(bob.head().key) == []


@trio_test
async def test_what_nobody_would_take_is_not_held_either_and_ends_no_node() -> None:
    """A notice from a clock that ran ahead, or a record that expires while it is on its way."""
    async with world_of(3) as world:
        early, late = alice.notice(time_ms=NOW + DAY), alice.pointer(expires_ms=NOW - 1)
        told = await world.nodes[0].publish([early, late, alice.head()])
        assert told == [Published(0), Published(0), Published(2)]
        assert await world.nodes[0].find(early.key) == await world.nodes[0].find(late.key) == []


@trio_test
async def test_a_full_neighbour_is_not_counted_as_a_holder() -> None:
    async with world_of(2, limits=Limits(in_all=0, exempt_private=True)) as world:
        assert await world.nodes[1].publish([alice.head()]) == [Published(0)]


@trio_test
async def test_the_highest_counter_wins_whoever_stores_last() -> None:
    async with world_of(5) as world:
        old, new = alice.head(counter=1, seq=9), alice.head(counter=2, seq=8)
        assert await world.nodes[0].publish([new]) == [Published(4)]
        assert await world.nodes[1].publish([old]) == [Published(0)]
        for node in world.nodes:
            assert await node.find(new.key) == [new]


@trio_test
async def test_twenty_replicas_of_one_feed_are_all_found() -> None:
    async with world_of(20) as world:
        for key, node in zip(world.keys, world.nodes, strict=True):
            record = sign_replica(key, alice.identity.hash, node.endpoint, NOW + DAY)
            (published,) = await node.publish([record])
            assert published.holders >= 15
        found = await world.nodes[7].find(replica_key(alice.identity.hash))
        assert {record.node for record in found if isinstance(record, Replica)} == {key.public for key in world.keys}


@trio_test
async def test_what_the_first_holder_says_is_told_while_others_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world_of(20) as world:
        await world.nodes[0].publish([alice.head()])
        told: list[Sequence[Record]] = []
        told_before: list[int] = []
        """Each answer with a record, when the look-up goes on with it."""
        handle = lookup.Find.handle

        def watched(machine: lookup.Find, event: lookup.Event, now: float) -> list[lookup.Effect]:
            if isinstance(event, lookup.Answered) and event.records:
                told_before.append(len(told))
            return handle(machine, event, now)

        monkeypatch.setattr(lookup.Find, "handle", watched)
        monkeypatch.setattr(bridge, "TELL_S", 60.0)  # however busy the machine is
        assert await world.nodes[1].find(alice.head().key, early=told.append) == [alice.head()] == told[0]
        assert len(told_before) > 1 and set(told_before) == {1}
        assert await world.nodes[1].find(bob.head().key, early=told.append) == []  # nobody had it
        assert len(told) == 1


@trio_test
async def test_half_of_the_nodes_killed_and_finds_are_still_quick() -> None:
    async with world_of(20) as world:
        heads = [alice.head(counter=3), bob.head(counter=3), mallory.head(counter=3)]
        published = await world.nodes[0].publish(heads)
        assert all(one.holders >= 15 for one in published)
        for node in world.nodes[1:20:2]:
            await world.kill(node)
        times = []
        for node in world.nodes[:5]:
            for head in heads:
                begun = trio.current_time()
                assert await node.find(head.key) == [head]
                times.append(trio.current_time() - begun)
        assert max(times) < 2.0, "a stock node waits five seconds for the first dead contact"
        begun = trio.current_time()
        assert (await world.nodes[0].publish([alice.head(counter=4)]))[0].holders >= 5
        assert trio.current_time() - begun < 3.0


@trio_test
async def test_the_dead_leave_the_routing_table() -> None:
    async with world_of(4) as world:
        node = world.nodes[0]
        for other in world.nodes[2:]:
            await world.kill(other)
        assert node.size == 3
        with trio.fail_after(20):
            while node.size > 1:
                await node.find(alice.head().key)
                world.clock.ms += DHT_NEIGHBOURS_EVERY_MS
                await node.upkeep()


@trio_test
async def test_what_many_hold_alike_is_verified_once_in_a_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world_of(20) as world:
        await world.nodes[0].publish([alice.head()])
        reader = await world.add("reader")
        await reader.add_contacts([world.nodes[3].endpoint])
        verified: list[bytes] = []

        def decode(key: DhtKey, data: bytes, now_ms: int) -> Record:
            verified.append(data)
            return records.decode(key, data, now_ms)

        monkeypatch.setattr(server, "decode", decode)
        assert await reader.find(alice.head().key) == [alice.head()]
        assert verified == [encode(alice.head())]


@trio_test
async def test_what_is_newest_is_worked_out_once_in_a_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the square of the records that came, on the loop: a few hostile holders, who gave more pointers than
    have room, kept it for seconds when it was done again for each that was too many."""
    async with world_of(3) as world, stranger() as mal:
        old, new = alice.head(counter=1), alice.head(counter=2)
        await mal.store(world.nodes[0], old.key, encode(old))
        await mal.store(world.nodes[1], new.key, encode(new))
        worked_out = 0

        def newest(records: Iterable[Record], now_ms: int) -> list[Record]:
            nonlocal worked_out
            worked_out += 1
            return shelf.newest(records, now_ms)

        monkeypatch.setattr(lookup, "newest", newest)
        monkeypatch.setattr(server, "newest", newest)
        assert await world.nodes[2].find(new.key) == [new]
        assert worked_out == 1
        with trio.fail_after(5):
            while await mal.held_by(world.nodes[:1], new.key) != [encode(new)]:
                pass  # the repair is on its way


# --- forged, stale, oversized -----------------------------------------------------------------------------------------


@trio_test
async def test_every_honest_node_refuses_every_bad_record() -> None:
    async with world_of(20) as world, stranger() as mal:
        await world.nodes[0].publish([alice.head(counter=5)])
        for node in world.nodes:
            token = await mal.token_of(node)
            for case in REJECTED:
                call = wire.Store(bytes.fromhex(case["key"]), bytes.fromhex(case["record"]))
                reply = await mal.ask(node, call, token)
                assert reply.answer == wire.Stored(case["error"]), case["name"]
            assert await mal.store(node, alice.head().key, encode(alice.head(counter=4))) == "stale"
        for case in REJECTED:
            records = await mal.held_by(world.nodes[:3], bytes.fromhex(case["key"]))
            assert bytes.fromhex(case["record"]) not in records
        assert await world.nodes[9].find(alice.head().key) == [alice.head(counter=5)]


@trio_test
async def test_an_oversized_record_never_reaches_the_shelves() -> None:
    async with world_of(1) as world, stranger() as mal:
        node = world.nodes[0]
        token = await mal.token_of(node)
        body = [None, False, token, [wire.Kind.STORE, bytes(alice.head().key), bytes(1_001)], b""]
        await mal.send(wire.NETWORK_TAG + b"\0" + bytes(16) + wire.codec.pack(body), node)
        await mal.send(bytes(60_000), node)
        await mal.token_of(node)  # both are read by now
        assert node.dropped == {"too-large": 2}


class Liar:
    """Proves its id and answers every find with one forged record and one stale one."""

    def __init__(self, mal: Stranger, named: tuple[Contact, ...] = ()) -> None:
        self.mal = mal
        self.named = named
        self.asked = 0

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        forged = encode(bob.head()).replace(bob.head().entry, b"f" * 32)
        while True:
            data, address = await self.mal.socket.recvfrom(2_000)
            if wire.peek(data)[0] != wire.REQUEST:
                continue
            request = wire.decode_request(data)
            you = type(self.mal.endpoint).of(*address[:2])
            proof = wire.prove(self.mal.node, request.call_id, request.sender, you)
            answer: wire.Answer = wire.Pong()
            if isinstance(request.call, wire.Find):
                self.asked += request.call.key is not None
                answer = wire.Found(self.named, (forged, encode(bob.head(counter=1))))
            elif isinstance(request.call, wire.Store):
                answer = wire.Stored("held")  # it swallows what it is given
            await self.mal.socket.sendto(
                wire.encode_reply(wire.Reply(request.call_id, answer, b"token  t", you, proof)), address
            )


@trio_test
async def test_a_liar_is_heard_and_not_believed() -> None:
    async with world_of(5) as world, stranger() as mal, trio.open_nursery() as nursery:
        liar = Liar(mal)
        await nursery.start(liar.serve)
        for node in world.nodes:
            assert await node.add_contacts([mal.endpoint]) == 1
        newest = bob.head(counter=2)
        await world.nodes[0].publish([newest])
        assert await world.nodes[4].find(newest.key) == [newest]
        assert liar.asked >= 1 and world.nodes[4].refused["bad-signature"] >= 1
        nursery.cancel_scope.cancel()


@trio_test
async def test_a_peer_that_names_routers_and_names_sends_nobody_there() -> None:
    from p2pblog.core.address import Endpoint

    bad = [Endpoint.of("224.0.0.1", 53), Endpoint.of("255.255.255.255", 9), Endpoint.of("127.0.0.1", 0)]
    async with world_of(1) as world, stranger() as mal, trio.open_nursery() as nursery:
        liar = Liar(mal, tuple(Contact(NodeId(bytes([n]) * 20), endpoint) for n, endpoint in enumerate(bad)))
        await nursery.start(liar.serve)
        await world.nodes[0].add_contacts([mal.endpoint])
        with trio.fail_after(3):
            assert await world.nodes[0].find(alice.head().key) == []
        assert world.nodes[0].size == 1
        nursery.cancel_scope.cancel()


@trio_test
async def test_who_answers_from_a_public_address_sends_nobody_to_a_private_one() -> None:
    """Behind a home router nodes of the house are called at private addresses, and a stranger's word led there too."""
    from p2pblog.core.address import Endpoint

    router = Endpoint.of("192.168.1.1", 80)
    record = sign_replica(key_of("mallory"), alice.identity.hash, router, NOW + DAY)
    said = wire.Found((Contact(NodeId(bytes(20)), router),), (encode(record),), False)
    async with world_of(1) as world:
        server = world.nodes[0]._server

        def told_by(host: str) -> tuple[list[Contact], list[Record]]:
            contact = Contact(NodeId(b"c" * 20), Endpoint.of(host, 4711))
            event = server._answered(contact, record.key, {}, Heard(contact, said, router))
            assert isinstance(event, lookup.Answered)
            return list(event.contacts), list(event.records)

        assert told_by("8.8.4.4") == ([], [])
        assert told_by("192.168.1.7") == (list(said.contacts), [record])


# --- the door ---------------------------------------------------------------------------------------------------------


@trio_test
async def test_malformed_datagrams_are_dropped_and_counted_and_the_node_lives() -> None:
    async with world_of(2) as world, stranger() as mal:
        node = world.nodes[0]
        sent: dict[str, int] = {}
        for data, reason in MALFORMED.values():
            await mal.send(data, node)
            sent[reason] = sent.get(reason, 0) + 1
        await mal.token_of(node)
        assert node.dropped == sent
        assert (await world.nodes[1].publish([alice.head()]))[0].holders == 1


@trio_test
async def test_a_small_request_of_an_unproven_source_draws_a_small_reply() -> None:
    async with world_of(20) as world, stranger() as mal:
        for number in range(20):
            record = sign_replica(world.keys[number], alice.identity.hash, world.nodes[number].endpoint, NOW + DAY)
            await world.nodes[number].publish([record])
        key = replica_key(alice.identity.hash)
        for padded in (120, 200, 300, 467):
            before = len(mal.received)
            await mal.ask(world.nodes[3], wire.Find(key, key), padded=padded)
            assert sum(len(data) for data in mal.received[before:]) <= 3 * padded
        proven = await mal.ask(world.nodes[3], wire.Find(key, key), await mal.token_of(world.nodes[3]))
        assert len(wire.encode_reply(proven)) > 3 * 120


@trio_test
async def test_a_store_needs_the_token_that_was_sent_to_that_address() -> None:
    async with world_of(2) as world, stranger("one") as one, stranger("other") as other:
        node, head = world.nodes[0], alice.head()
        call = wire.Store(head.key, encode(head))
        assert (await one.ask(node, call)).answer == wire.Stored("token")
        assert (await one.ask(node, call, await other.token_of(node))).answer == wire.Refusal("token")
        assert await one.held_by([node], head.key) == []
        assert await one.store(node, head.key, encode(head)) == "held"


@trio_test
async def test_a_replica_of_another_host_is_refused() -> None:
    async with world_of(1) as world, stranger() as mal:
        away = sign_replica(mal.node, alice.identity.hash, type(LOOPBACK).of("127.0.0.2", 4711), NOW + DAY)
        here = sign_replica(mal.node, alice.identity.hash, mal.endpoint, NOW + DAY)
        assert await mal.store(world.nodes[0], away.key, encode(away)) == "refused"
        assert await mal.store(world.nodes[0], here.key, encode(here)) == "held"


@trio_test
async def test_a_thousand_ids_from_one_socket_enter_no_table() -> None:
    """Weakness 6: 3,000 pings of one socket filled 257 entries of a stock node."""
    async with world_of(3) as world, stranger() as mal:
        node = world.nodes[0]
        token = await mal.token_of(node)
        for number in range(150):  # within the rate of one source
            await mal.ask(node, wire.Ping(), token, NodeId(number.to_bytes(20, "big")))
        assert node.size == 2
        beside_the_key = NodeId(bytes(alice.head().key))
        await mal.ask(node, wire.Ping(), token, beside_the_key)
        assert node.size == 2


@trio_test
async def test_who_answers_the_challenge_with_another_id_stays_outside() -> None:
    async with world_of(1) as world, stranger() as mal, trio.open_nursery() as nursery:
        node = world.nodes[0]
        token = await mal.token_of(node)
        await mal.ask(node, wire.Ping(), token, NodeId(bytes(20)))
        await nursery.start(Liar(mal).serve)  # signs with its own key, which has another id
        with trio.fail_after(5):
            while not node.dropped.get("bad-handshake"):
                await node.upkeep()
        assert node.size == 0
        nursery.cancel_scope.cancel()


# --- clients, state, upkeep -------------------------------------------------------------------------------------------


@trio_test
async def test_a_client_reads_and_writes_and_is_nobodys_contact() -> None:
    async with world_of(3) as world:
        client = await world.add("client", client=True)
        assert await client.add_contacts([world.nodes[0].endpoint]) == 1
        assert client.size == 3
        assert await client.publish([alice.head()]) == [Published(3)]
        assert await client.find(alice.head().key) == [alice.head()]
        assert [node.size for node in world.nodes[:3]] == [2, 2, 2]
        assert await world.nodes[0].add_contacts([client.endpoint]) == 0


@trio_test
async def test_a_restarted_node_finds_the_others_by_its_saved_state() -> None:
    async with world_of(4) as world:
        state = await world.nodes[3].state()
        assert len(read_state(state)) == 3
        await world.nodes[0].publish([alice.head()])
        await world.kill(world.nodes[3])
        again = await world.add("node 3", state=state)
        with trio.fail_after(5):
            while again.size < 3:
                await again.add_contacts([])
        assert await again.find(alice.head().key) == [alice.head()]


def test_a_damaged_state_is_an_empty_one() -> None:
    for damaged in (b"", b"\x80\x04N.", b"\x92\x01\x91\xc4\x02ab", b"\x92\x02\x90", bytes(100_000)):
        assert read_state(damaged) == []


@trio_test
async def test_what_expired_is_neither_found_nor_kept() -> None:
    async with world_of(3) as world:
        await world.nodes[0].publish([alice.head(expires_ms=NOW + MINUTE)])
        world.clock.ms += MINUTE
        for node in world.nodes:
            assert await node.find(alice.head().key) == []
            await node.upkeep()
            assert len(node._server.protocol.storage.store) == 0


@trio_test
async def test_a_holder_stores_the_unchanged_bytes_again_when_nobody_did_for_long() -> None:
    async with world_of(4) as world, stranger() as mal:
        holder, *others = world.nodes
        head = alice.head(expires_ms=NOW + 3 * DAY)
        assert await mal.store(holder, head.key, encode(head)) == "held"
        await holder.upkeep()
        assert await mal.held_by(others, head.key) == []
        world.clock.ms += DHT_RESTORE_EVERY_MS
        await holder.upkeep()
        assert await mal.held_by(others, head.key) == [encode(head)] * 3
        world.clock.ms = NOW + 3 * DAY  # storing it again moved no expiry
        assert await mal.held_by(world.nodes, head.key) == []


@trio_test
async def test_a_fresh_record_of_a_key_keeps_no_other_from_being_stored_again() -> None:
    """One pointer every six hours, of whomever, kept all others of its target where they were first put for 28 days."""
    async with world_of(4) as world, stranger() as mal:
        holder, *others = world.nodes
        old, fresh = alice.pointer(), bob.pointer()
        assert await mal.store(holder, old.key, encode(old)) == "held"
        world.clock.ms += DHT_RESTORE_EVERY_MS // 2
        assert await mal.store(holder, fresh.key, encode(fresh)) == "held"
        world.clock.ms += DHT_RESTORE_EVERY_MS // 2
        await holder.upkeep()
        assert await mal.held_by(others, old.key) == [encode(old)] * 3
        world.clock.ms += DHT_RESTORE_EVERY_MS // 2
        await holder.upkeep()
        assert set(await mal.held_by(others, old.key)) == {encode(old), encode(fresh)}


@trio_test
async def test_a_full_key_is_stored_again_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world_of(3) as world:
        holder, *others = world.nodes
        target = b"t" * 32
        pointers = [
            sign_pointer(key_of(f"device {number}"), target, alice.identity.hash, 1, NOW + 3 * DAY)
            for number in range(MANY_PER_KEY_MAX)
        ]
        for pointer in pointers:
            assert holder._server.protocol.rpc_store(others[0].endpoint, pointer.key, encode(pointer)) == "held"
        sizes: list[int] = []
        store = holder._server.store_at_nearest

        async def counted(key: DhtKey, of: list[Record]) -> lookup.Publish:
            sizes.append(len(of))
            return await store(key, of)

        monkeypatch.setattr(holder._server, "store_at_nearest", counted)
        world.clock.ms += DHT_RESTORE_EVERY_MS
        await holder.upkeep()
        assert sizes == [upkeep.RESTORED_AT_ONCE] * (MANY_PER_KEY_MAX // upkeep.RESTORED_AT_ONCE)
        assert all(len(other._server.protocol.storage.store) == MANY_PER_KEY_MAX for other in others)


@trio_test
async def test_who_was_alone_at_its_start_meets_the_others_at_the_next_turn() -> None:
    async with world_of(2) as world:
        first, second = world.nodes
        endpoint = first.endpoint
        await world.kill(first)
        newcomer = await world.add("newcomer")
        assert await newcomer.add_contacts([endpoint, second.endpoint]) == 1
        assert newcomer.size == 1


@trio_test
async def test_others_tell_a_node_where_it_is_seen() -> None:
    async with world_of(2) as world:
        assert await world.nodes[1].seen_as(4) == world.nodes[1].endpoint


@trio_test
async def test_a_node_of_the_open_world_calls_nobody_on_loopback() -> None:
    async with world_of(1) as world:
        public = await world.add("public", test_network=False)
        assert await public.add_contacts([world.nodes[0].endpoint]) == 0


@trio_test
async def test_who_moves_into_the_open_world_forgets_loopback_and_what_he_was_seen_as() -> None:
    async with world_of(2) as world:
        other, mover = world.nodes
        await mover.move(test_network=False)
        assert (mover.size, await mover.seen_as(4)) == (0, None)
        assert await mover.add_contacts([other.endpoint]) == 0
        await mover.move(test_network=True)
        assert await mover.add_contacts([other.endpoint]) == 1
        assert (mover.size, await mover.seen_as(4)) == (1, mover.endpoint)


@trio_test
async def test_a_cancelled_find_leaves_the_node_as_it_was() -> None:
    async with world_of(3) as world:
        await world.nodes[0].publish([alice.head()])
        with trio.CancelScope() as scope:
            scope.cancel()
            await world.nodes[1].find(alice.head().key)
        assert scope.cancelled_caught
        assert await world.nodes[1].find(alice.head().key) == [alice.head()]


@trio_test
async def test_many_look_ups_at_once_all_come_back() -> None:
    async with world_of(8) as world:
        people = [alice, bob, mallory]
        await world.nodes[0].publish([person.head() for person in people])
        found: list[bool] = []

        async def one(node: Dht, head: Head) -> None:
            found.append(await node.find(head.key) == [head])

        async with trio.open_nursery() as nursery:
            for turn in range(60):
                nursery.start_soon(one, world.nodes[turn % 8], people[turn % 3].head())
        assert found == [True] * 60


def test_ids_are_hashes_of_node_keys() -> None:
    assert len(node_id(key_of("anybody").public)) == 20
    assert head_key(alice.identity.hash) != node_id(alice.identity.hash)
