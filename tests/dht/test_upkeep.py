"""What a node does by the clock, where its line is down for a while or its clock is put back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from random import Random

import trio
from dht_scenes import DAY, HOME, MINUTE, NOW, alice, bob, key_of, mallory
from dht_world import World, stranger, world_of
from trio.testing import trio_test

from p2pblog.config import (
    DHT_BOOTSTRAPS_MAX,
    DHT_GONE_CONTACTS_MAX,
    DHT_MISSES_MAX,
    DHT_NEIGHBOURS_EVERY_MS,
    DHT_RESTORE_EVERY_MS,
    DHT_RESTORES_PER_TURN,
    HEAD_LIFETIME_MS,
    POINTERS_PASSED_ON_MAX,
)
from p2pblog.core.address import Endpoint
from p2pblog.dht.adapter import Dht
from p2pblog.dht.contacts import Contact, NodeId
from p2pblog.dht.records import DhtKey, encode, sign_pointer
from p2pblog.dht.server import GuardedServer, read_state
from p2pblog.dht.shelf import Held, Limits
from p2pblog.dht.table import ProvenNode
from p2pblog.dht.upkeep import KEYS_AT_ONCE, NOT_OURS_MS, SOON_OVER_MS, UNHEARD_AGAIN_MS, Upkeep


def server_of(node: Dht) -> GuardedServer:
    return node._server


@contextmanager
def line_down(node: Dht) -> Iterator[None]:
    """The system takes datagrams, and none gets through."""
    protocol = server_of(node).protocol
    real = protocol._send

    def lost(data: bytes, endpoint: Endpoint) -> bool:
        return True

    protocol._send = lost  # type: ignore[method-assign]
    try:
        yield
    finally:
        protocol._send = real  # type: ignore[method-assign]


def forget(node: Dht, contact: Contact) -> None:
    """The contact was silent while others were heard."""
    for _ in range(DHT_MISSES_MAX):
        server_of(node).protocol.router.missed(contact)


async def until_all_ended(node: Dht) -> None:
    """Every call under way has its reply, or its time is over."""
    with trio.fail_after(10):
        while server_of(node).protocol._awaited:
            await node.state()  # lets the other side go on


# --- while the line is down -------------------------------------------------------------------------------------------


@trio_test
async def test_who_was_off_line_for_a_while_has_its_contacts_still() -> None:
    async with world_of(5) as world:
        node = world.nodes[0]
        with line_down(node):
            for _ in range(2):
                world.clock.ms += DHT_NEIGHBOURS_EVERY_MS
                await node.upkeep()
                await until_all_ended(node)
            assert node.size == 0, "nobody is there"
            assert len(read_state(await node.state())) == 4
        await node.upkeep()
        assert node.size == 4


@trio_test
async def test_who_starts_while_the_line_is_down_keeps_what_was_saved() -> None:
    async with world_of(4) as world:
        state = await world.nodes[3].state()
        for node in list(world.nodes):
            await world.kill(node)
        again = await world.add("node 3", state=state)
        await again.upkeep()
        await until_all_ended(again)
        assert again.size == 0 and await again.state() == state


@trio_test
async def test_an_empty_table_begins_again_from_whom_it_had() -> None:
    """The first node of a network was given nobody to begin from."""
    async with world_of(4) as world:
        first = world.nodes[0]
        assert len(read_state(await first.state())) == 3
        await until_all_ended(first)
        for contact in server_of(first).protocol.router.contacts():
            forget(first, contact)
        assert first.size == 0
        assert len(read_state(await first.state())) == 3
        await first.upkeep()
        assert first.size == 3


@trio_test
async def test_who_knows_few_saves_those_it_knew_before_too() -> None:
    async with world_of(4) as world:
        node = world.nodes[3]
        gone = read_state(await node.state())[0]
        await until_all_ended(node)
        forget(node, gone)
        assert node.size == 2
        saved = read_state(await node.state())
        assert len(saved) == 3 and saved[-1] == gone


@trio_test
async def test_of_two_nodes_one_that_begins_again_at_another_address_is_found_there() -> None:
    async with world_of(2) as world:
        stays, leaves = world.nodes
        await until_all_ended(stays)
        old = leaves.endpoint
        await world.kill(leaves)
        moved = await world.add("node 1")
        assert moved.endpoint != old
        with line_down(moved):  # it can't say so yet
            await until_all_ended(moved)
            world.clock.ms += DHT_NEIGHBOURS_EVERY_MS
            await stays.upkeep()
            await until_all_ended(stays)
        assert await moved.add_contacts([stays.endpoint]) == 1
        await until_all_ended(stays)
        assert [contact.endpoint for contact in server_of(stays).protocol.router.contacts()] == [moved.endpoint]
        assert stays.size == 1


@trio_test
async def test_who_has_one_contact_left_tries_those_it_had_before_too() -> None:
    """The one may be cut off from all others as we were, and lead to nobody."""
    async with world_of(4) as world:
        node, server = world.nodes[0], server_of(world.nodes[0])
        assert len(read_state(await node.state())) == 3
        await until_all_ended(node)
        for contact in server.protocol.router.contacts()[1:]:
            forget(node, contact)

        async def leads_to_nobody() -> None:
            """The walk finds whom the node knows, and no more."""

        server.look_around = leads_to_nobody  # type: ignore[method-assign]
        await node.upkeep()
        assert node.size == 3


# --- storing again ----------------------------------------------------------------------------------------------------


async def held_for_long(world: World) -> Dht:
    """The world's first node has held bob's notice for so long that it is to be stored again."""
    holder = world.nodes[0]
    server_of(holder).protocol.storage.store.put(bob.notice(), HOME, NOW)
    world.clock.ms += DHT_RESTORE_EVERY_MS
    return holder


def held_by(node: Dht) -> int:
    return len(server_of(node).protocol.storage.store)


@trio_test
async def test_what_was_stored_again_while_the_line_was_down_is_stored_when_it_is_back() -> None:
    """It counted as done for twelve hours."""
    async with world_of(2) as world:
        holder = await held_for_long(world)
        with line_down(holder):
            await world.bridge.run(server_of(holder)._upkeep.store_again, world.clock.ms)
            await until_all_ended(holder)
        await holder.upkeep()
        assert held_by(world.nodes[1]) == 0, "in the turns until then others have theirs"
        world.clock.ms += UNHEARD_AGAIN_MS
        await holder.upkeep()
        assert held_by(world.nodes[1]) == 1


@trio_test
async def test_pointers_of_many_are_passed_on_to_a_neighbour_and_a_stranger_may_store_two() -> None:
    async with world_of(2, limits=Limits(exempt_private=False)) as world, stranger() as mal:
        holder, other = world.nodes
        pointers = [sign_pointer(key_of(f"d {n}"), b"t" * 32, alice.identity.hash, 2, NOW + DAY) for n in range(45)]
        for number, pointer in enumerate(pointers[:40]):
            server_of(holder).protocol.storage.store.put(pointer, Endpoint.of(f"198.51.{number}.1", 4711), NOW)
        outcomes = [await mal.store(other, pointer.key, encode(pointer)) for pointer in pointers[40:]]
        assert outcomes == ["held"] * 2 + ["full"] * 3
        world.clock.ms += DHT_RESTORE_EVERY_MS
        await holder.upkeep()
        assert held_by(other) == 2 + POINTERS_PASSED_ON_MAX


@trio_test
async def test_each_holder_offers_what_it_stores_again_in_an_order_of_its_own() -> None:
    """Where a newcomer takes some from each, all would have offered the same first, and the last be lost."""
    async with world_of(2) as world:
        pointers = [sign_pointer(key_of(f"d {n}"), b"t" * 32, alice.identity.hash, 2, NOW + DAY) for n in range(9)]
        orders: list[list[bytes]] = []

        async def noted(key: DhtKey, items: list[Held], now_ms: int) -> None:
            orders.append([item.wire for item in items])

        world.clock.ms += DHT_RESTORE_EVERY_MS
        for node in world.nodes:
            server = server_of(node)
            for pointer in pointers:
                server.protocol.storage.store.put(pointer, HOME, NOW)
            server._upkeep._store_these_again = noted  # type: ignore[method-assign]
            await node.upkeep()
        assert [sorted(order) for order in orders] == [sorted(map(encode, pointers))] * 2
        assert orders[0] != orders[1]


@trio_test
async def test_what_a_neighbour_passed_on_is_stored_again_and_gives_way_still() -> None:
    async with world_of(2) as world:
        holder, store = world.nodes[0], server_of(world.nodes[0]).protocol.storage.store
        neighbour = Endpoint.of("8.8.8.8", 4711)  # this network's own addresses have no bounds
        pointers = [sign_pointer(key_of(f"d {n}"), b"t" * 32, alice.identity.hash, 2, NOW + DAY) for n in range(8)]
        for pointer in pointers:
            store.put(pointer, neighbour, NOW, is_neighbour=True)
        assert [item.in_passing for item in store.get(pointers[0].key, NOW)].count(True) == 6
        world.clock.ms += DHT_RESTORE_EVERY_MS
        await holder.upkeep()
        held = store.get(pointers[0].key, world.clock.ms)
        assert [item.in_passing for item in held].count(True) == 6
        assert {item.block for item in held} == {neighbour.block}
        assert {item.stored_ms for item in held} == {world.clock.ms}


@trio_test
async def test_while_nobody_is_there_nothing_is_stored_again_and_it_is_at_once_when_somebody_is() -> None:
    async with world_of(1) as world:
        holder = await held_for_long(world)
        await holder.upkeep()
        await world.add("newcomer")
        await holder.add_contacts([world.nodes[1].endpoint])
        await holder.upkeep()
        assert held_by(world.nodes[1]) == 1


@trio_test
async def test_a_full_store_is_looked_through_in_slices_and_what_belongs_to_others_not_again_at_once() -> None:
    """Somebody filled it with keys that belong to others: each half minute nobody was answered for two seconds."""
    async with world_of(2) as world:
        holder, server = world.nodes[0], server_of(world.nodes[0])
        for number in range(3 * KEYS_AT_ONCE):
            pointer = alice.pointer(number.to_bytes(32, "big"))
            server.protocol.storage.store.put(pointer, None, NOW)
        looked_at: list[int] = [0]

        def is_not_ours(_: bytes) -> bool:
            looked_at[-1] += 1
            return False

        async def noted() -> None:
            looked_at.append(0)

        server.belongs_here, server.let_others_go_on = is_not_ours, noted  # type: ignore[assignment, method-assign]
        world.clock.ms += DHT_RESTORE_EVERY_MS
        await holder.upkeep()
        assert sum(looked_at) == 3 * KEYS_AT_ONCE and max(looked_at) <= KEYS_AT_ONCE
        world.clock.ms += NOT_OURS_MS - 1
        await holder.upkeep()
        assert sum(looked_at) == 3 * KEYS_AT_ONCE
        world.clock.ms += 1
        await holder.upkeep()
        assert sum(looked_at) == 6 * KEYS_AT_ONCE


@trio_test
async def test_what_expired_goes_in_slices() -> None:
    """Each half minute nobody was answered for as long as it takes to look at all that a full store holds."""
    async with world_of(1) as world:
        server = server_of(world.nodes[0])
        store, held = server.protocol.storage.store, [3 * KEYS_AT_ONCE]
        for number in range(3 * KEYS_AT_ONCE):
            store.put(alice.pointer(number.to_bytes(32, "big"), expires_ms=NOW + MINUTE), None, NOW)

        async def noted() -> None:
            held.append(len(store))

        server.let_others_go_on = noted  # type: ignore[method-assign]
        world.clock.ms += MINUTE
        await world.nodes[0].upkeep()
        assert len(store) == 0
        assert max(before - after for before, after in pairwise([*held, 0])) <= KEYS_AT_ONCE


@trio_test
async def test_what_expires_in_a_moment_is_not_stored_again() -> None:
    """It was over on its way: all who refused it said so, and we were told that our clock is wrong."""
    async with world_of(2) as world:
        store = server_of(world.nodes[0]).protocol.storage.store
        for number, left_ms in enumerate((SOON_OVER_MS - 1, SOON_OVER_MS)):
            until = NOW + DHT_RESTORE_EVERY_MS + left_ms
            store.put(alice.pointer(bytes([number]) * 32, expires_ms=until), None, NOW)
        world.clock.ms += DHT_RESTORE_EVERY_MS
        await world.nodes[0].upkeep()
        assert held_by(world.nodes[1]) == 1


@trio_test
async def test_what_others_refuse_is_not_offered_again_at_once() -> None:
    async with world_of(2, limits=Limits(in_all=0, exempt_private=True)) as world:
        holder = world.nodes[0]
        server_of(holder).protocol.hold(bob.notice())
        world.clock.ms += DHT_RESTORE_EVERY_MS
        for _ in range(3):
            await holder.upkeep()
            world.clock.ms += UNHEARD_AGAIN_MS
        assert world.nodes[1].refused == {"full": 1}


@trio_test
async def test_two_holders_who_stay_keep_no_retirement_alive_between_them_for_ever() -> None:
    async with world_of(2) as world:
        retired = mallory.retired()
        for node in world.nodes:
            server_of(node).protocol.storage.store.put(retired, HOME, NOW)

        async def days(count: int) -> list[int]:
            for _ in range(2 * count):
                world.clock.ms += DHT_RESTORE_EVERY_MS
                for node in world.nodes:
                    await node.upkeep()
            return [held_by(node) for node in world.nodes]

        assert await days(29) == [1, 1]
        assert await days(32) == [0, 0]


@trio_test
async def test_a_retirement_reaches_a_newcomer_in_its_time_and_who_passed_it_on_has_it_no_longer_for_that() -> None:
    async with world_of(1) as world:
        holder = world.nodes[0]
        server_of(holder).protocol.storage.store.put(mallory.retired(), HOME, NOW)
        await world.add("newcomer")
        await holder.add_contacts([world.nodes[1].endpoint])
        world.clock.ms = NOW + HEAD_LIFETIME_MS - MINUTE
        await holder.upkeep()
        assert held_by(world.nodes[1]) == 1
        world.clock.ms += MINUTE
        await holder.upkeep()
        assert held_by(holder) == 0
        assert held_by(world.nodes[1]) == 1, "it can't know how old it is"


@trio_test
async def test_of_many_keys_that_are_due_a_turn_stores_those_that_wait_longest() -> None:
    async with world_of(2) as world:
        holder, store = world.nodes[0], server_of(world.nodes[0]).protocol.storage.store
        pointers = [alice.pointer(bytes([number]) * 32) for number in range(DHT_RESTORES_PER_TURN + 10)]
        for number, pointer in enumerate(Random(1).sample(pointers, len(pointers))):
            store.put(pointer, None, NOW + number)
        oldest = sorted(store.all_keys(), key=lambda key: store.get(key, NOW)[0].stored_ms)[:DHT_RESTORES_PER_TURN]
        world.clock.ms += DHT_RESTORE_EVERY_MS + len(pointers)
        await holder.upkeep()
        assert server_of(world.nodes[1]).protocol.storage.store.all_keys() == sorted(oldest)


# --- whom it begins again from ----------------------------------------------------------------------------------------


def port(number: int) -> Endpoint:
    return Endpoint.of("127.0.0.1", number)


def test_of_many_to_begin_from_the_first_are_forgotten() -> None:
    upkeep = Upkeep(None, lambda: NOW, Random(1))  # type: ignore[arg-type]
    upkeep.remember([port(1 + number) for number in range(DHT_BOOTSTRAPS_MAX + 1)])
    assert list(upkeep._bootstraps) == [port(2 + number) for number in range(DHT_BOOTSTRAPS_MAX)]


@trio_test
async def test_with_contacts_enough_it_pings_its_neighbours_and_somebody_whom_it_has_not() -> None:
    async with world_of(1) as world:
        server = server_of(world.nodes[0])
        known = [Contact(NodeId(bytes([number]) * 20), port(1 + number)) for number in range(server.ksize)]
        for contact in known:
            server.protocol.router.add_contact(ProvenNode(contact))
        server._upkeep.remember([known[0].endpoint, port(999)])
        pinged: list[Contact] = []
        beyond: list[Endpoint] = []

        async def nowhere(endpoints: Sequence[Endpoint] = ()) -> None:
            beyond.extend(endpoints)

        server.protocol.check_contact = pinged.append  # type: ignore[method-assign]
        server.look_around = server.look_beyond = nowhere  # type: ignore[method-assign]
        world.clock.ms += DHT_NEIGHBOURS_EVERY_MS
        await world.nodes[0].upkeep()
        assert sorted(pinged) == known and beyond == [port(999)]


@trio_test
async def test_who_knows_few_asks_ever_more_seldom_and_begins_anew_when_there_were_enough() -> None:
    async with world_of(1) as world:
        server, asked_at = server_of(world.nodes[0]), list[int]()
        contacts = [Contact(NodeId(bytes([number]) * 20), port(1 + number)) for number in range(server.ksize)]
        upkeep = server._upkeep

        async def noted(_: Sequence[Endpoint]) -> int:
            asked_at.append(world.clock.ms)
            return 1

        async def waits() -> list[int]:
            """In half minutes, between one time and the next, within two hours."""
            asked_at.clear()
            for _ in range(240):
                world.clock.ms += MINUTE // 2
                await upkeep._look_for_more(world.clock.ms)
            return [(after - before) * 2 // MINUTE for before, after in pairwise(asked_at)]

        server.greet = noted  # type: ignore[method-assign]
        assert set(await waits()) == {1}, "where nobody is known"
        server.protocol.router.add_contact(ProvenNode(contacts[0]))
        upkeep._few_wait_ms = 0
        few = await waits()
        assert few[:5] == [1, 2, 4, 8, 16] and set(few[5:]) == {20}
        for contact in contacts:
            server.protocol.router.add_contact(ProvenNode(contact))
        assert await waits() == []
        forget(world.nodes[0], contacts[0])
        assert (await waits())[:3] == [1, 2, 4]


@trio_test
async def test_guests_of_one_address_block_are_no_reason_to_look_for_nobody_else() -> None:
    """They may all be one host's, who came first."""
    async with world_of(1) as world:
        server, sought = server_of(world.nodes[0]), list[Sequence[Endpoint]]()

        async def noted(endpoints: Sequence[Endpoint]) -> int:
            sought.append(endpoints)
            return 1

        server.greet = noted  # type: ignore[method-assign]
        for number in range(server.ksize):
            crowded = Contact(NodeId(bytes([number]) * 20), Endpoint.of("9.9.9.9", 1 + number))
            server.protocol.router.add_contact(ProvenNode(crowded))
        assert server.size == server.ksize
        await server._upkeep._look_for_more(world.clock.ms)
        assert len(sought) == 1


@trio_test
async def test_a_turn_walks_into_each_bucket_that_saw_no_walk() -> None:
    async with world_of(1) as world:
        server, walked, lonely = server_of(world.nodes[0]), list[bytes](), [b"a" * 20, b"b" * 20]

        async def noted(target: bytes, seeds: object = None) -> list[Contact]:
            walked.append(target)
            return []

        server.find_nodes = noted  # type: ignore[method-assign]
        server.protocol.router.lonely_targets = lambda *_: lonely  # type: ignore[method-assign]
        await world.nodes[0].upkeep()
        assert walked == lonely


@trio_test
async def test_a_key_that_twenty_others_are_nearer_to_is_not_ours_and_a_client_has_none() -> None:
    async with world_of(1) as world:
        server = server_of(world.nodes[0])
        farthest = bytes(255 - byte for byte in server.protocol.id)
        for number in range(60):
            contact = Contact(NodeId(Random(number).randbytes(20)), port(1 + number))
            server.protocol.router.add_contact(ProvenNode(contact))
        assert server.belongs_here(server.protocol.id) and not server.belongs_here(farthest)
        server.protocol.client = True
        assert not server.belongs_here(server.protocol.id)


# --- where the clock is put back --------------------------------------------------------------------------------------


@trio_test
async def test_where_the_clock_is_put_back_neighbours_are_looked_for_within_twice_the_time() -> None:
    async with world_of(4) as world:
        node, server = world.nodes[0], server_of(world.nodes[0])
        await node.upkeep()
        look_around, looked = server.look_around, []

        async def noted() -> None:
            looked.append(world.clock.ms)
            await look_around()

        server.look_around = noted  # type: ignore[method-assign]
        for back_ms in (DAY, DHT_NEIGHBOURS_EVERY_MS - MINUTE):
            world.clock.ms -= back_ms
            looked.clear()
            server._upkeep._few_wait_ms = 3 * DAY  # that it knows few is not why it looks
            for _ in range(2 * DHT_NEIGHBOURS_EVERY_MS // MINUTE):
                world.clock.ms += MINUTE
                await node.upkeep()
            assert len(looked) in (1, 2)


@trio_test
async def test_where_the_clock_is_put_back_who_knows_few_looks_for_more() -> None:
    async with world_of(4) as world:
        node = world.nodes[0]
        await node.upkeep()
        await until_all_ended(node)
        world.clock.ms -= DAY
        server_of(node)._upkeep._neighbours_ms = world.clock.ms  # these two are not why it looks
        server_of(node).protocol.router._walked_ms.clear()
        contacts = server_of(node).protocol.router.contacts()
        for contact in contacts[1:]:
            forget(node, contact)
        assert node.size == 1
        await node.upkeep()
        assert node.size == 3


@trio_test
async def test_where_the_clock_is_put_back_records_are_stored_again() -> None:
    async with world_of(2) as world:
        holder = world.nodes[0]
        server_of(holder).protocol.hold(bob.head())
        world.clock.ms -= DHT_RESTORE_EVERY_MS
        await holder.upkeep()
        assert held_by(world.nodes[1]) == 1


def test_who_left_in_a_split_is_forgotten_slowly_however_many_leave_afterwards() -> None:
    """Eighty contacts of the other part leave at once, where others had left before, and then one after the other."""

    def leave(upkeep: Upkeep, part: int, numbers: range) -> int:
        new = [Contact(NodeId(bytes([part, number]) + bytes(18)), HOME) for number in numbers]
        upkeep._left = upkeep._remembered([*upkeep._left, *new])
        assert len(upkeep._left) == DHT_GONE_CONTACTS_MAX
        return sum(contact.id[0] == 1 for contact in upkeep._left)

    remembered = [0, 0, 0]
    worlds = 40
    for seed in range(worlds):
        upkeep = Upkeep(None, lambda: NOW, Random(seed))  # type: ignore[arg-type]
        leave(upkeep, 0, range(DHT_GONE_CONTACTS_MAX))
        remembered[0] += leave(upkeep, 1, range(80))
        for part in 2, 3:
            after = [leave(upkeep, part, range(number, number + 1)) for number in range(120)]
            remembered[part - 1] += after[-1]
    at_once, later, latest = (count / worlds for count in remembered)
    assert 6 < at_once < 8 and 3 < later < 5 and 1.5 < latest < 3
