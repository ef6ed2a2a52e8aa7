"""What the stock library does wrong, shown on the stock class, and shown not to happen on ours.

Each scene is told twice: `stock_…` is true where the unchanged classes of kademlia 2.2.3 and rpcudp 5.0.1 fail, and
`ours_…` is true where ours fail. The numbers are only to tell them apart.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import random
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kademlia.storage
import pytest
from dht_scenes import DAY, NOW, alice, bob, key_of
from kademlia.crawling import NodeSpiderCrawl
from kademlia.network import Server
from kademlia.node import Node
from kademlia.protocol import KademliaProtocol
from kademlia.routing import RoutingTable
from kademlia.storage import ForgetfulStorage
from stock_worlds import (
    OUR_MARKER,
    STOCK_MARKER,
    Peer,
    Scene,
    at,
    ours,
    peer,
    recorded,
    request,
    scenes_in,
    stock,
    stock_answer,
    stock_request,
    stored,
    tell_twice,
)

from p2pblog.core.address import Endpoint
from p2pblog.dht import wire
from p2pblog.dht.contacts import Contact, NodeId, node_id
from p2pblog.dht.lookup import Answered, Begin, Find
from p2pblog.dht.parameters import Parameters
from p2pblog.dht.protocol import GuardedProtocol
from p2pblog.dht.records import encode, head_key
from p2pblog.dht.round_trips import RoundTrips
from p2pblog.dht.server import GuardedServer, read_state
from p2pblog.dht.shelf import Outcome, Shelf
from p2pblog.dht.table import GuardedTable, ProvenNode
from p2pblog.dht.walk import Ask, Walk

HEAD = alice.head(counter=9)


# --- the scenes -------------------------------------------------------------------------------------------------------


async def stock_1_stores_anything() -> bool:
    async with stock() as server, peer() as mal:
        await mal.ask(stock_request("store", bytes(20), b"k", b"x" * 8_000), server.address)
        await mal.ask(stock_request("store", bytes(20), b"d" * 20, {"a": "dict"}), server.address)
        return server.storage.get(b"k") == b"x" * 8_000 and server.storage.get(b"d" * 20) == {"a": "dict"}


async def ours_1_stores_anything() -> bool:
    async with ours() as server, peer() as mal:
        outcomes = [await stored(mal, server, head_key(alice.identity.hash), b"x" * size) for size in (1, 20, 1_000)]
        forged = encode(HEAD).replace(HEAD.entry, b"f" * 32)
        outcomes.append(await stored(mal, server, HEAD.key, forged))
        return "held" in outcomes or len(server.protocol.storage.store) > 0


async def stock_3_amplifies() -> bool:
    async with stock() as server, peer() as mal:
        server.storage[b"k" * 20] = b"x" * 60_000
        asked = stock_request("find_value", bytes(20), b"k" * 20)
        return len(await mal.ask(asked, server.address)) > 100 * len(asked)


async def ours_3_amplifies() -> bool:
    async with ours() as server, peer() as mal:
        for person in (alice, bob):
            server.protocol.hold(person.replica(alice.identity))
        key = alice.replica(alice.identity).key
        asked = request(wire.Find(key, key), padded=100)
        return len(await mal.ask(asked, at(server))) > 3 * len(asked)


async def stock_4_pushes_what_it_holds_to_a_stranger() -> bool:
    async with stock() as server, peer() as mal:
        for number in range(50):
            server.storage[bytes([number]) * 20] = b"x" * 1_000
        asked = stock_request("ping", bytes(20))
        mal.transport.sendto(asked, server.address)
        return await mal.bytes_before(STOCK_MARKER, server.address) > 100 * len(asked)


async def ours_4_pushes_what_it_holds_to_a_stranger() -> bool:
    async with ours() as server, peer() as mal:
        server.protocol.hold(HEAD)
        asked = request(wire.Ping(), sender=NodeId(bytes(20)))
        mal.transport.sendto(asked, at(server))
        return await mal.bytes_before(OUR_MARKER, at(server)) > 3 * len(asked)


async def stock_6_believes_any_id() -> bool:
    async with stock() as server, peer() as mal:
        believed = 0  # counted at once: who does not answer to its ping leaves again after a while
        for number in range(100):
            invented = Node(number.to_bytes(20, "big"))
            await mal.ask(stock_request("ping", invented.id), server.address)
            believed += any(not bucket.is_new_node(invented) for bucket in server.protocol.router.buckets)
        return believed > 0


async def ours_6_believes_any_id() -> bool:
    async with ours() as server, peer() as mal:
        token = wire.decode_reply(await mal.ask(request(wire.Ping()), at(server))).token
        for number in range(100):
            mal.transport.sendto(request(wire.Ping(), token, NodeId(number.to_bytes(20, "big"))), at(server))
        await mal.bytes_before(OUR_MARKER, at(server))
        return server.protocol.router.size > 0


def crowd(count: int) -> list[Contact]:
    """Proven ids of one /24."""
    return [
        Contact(node_id(key_of(f"crowd {n}").public), Endpoint.of(f"8.8.8.{n % 250 + 1}", n + 1)) for n in range(count)
    ]


def others(count: int) -> list[Contact]:
    """Contacts in an address block each, with ids all over the space."""
    return [Contact(NodeId(bytes([13 * n]) * 20), Endpoint.of(f"9.9.{n}.1", 4711)) for n in range(count)]


def of_the_crowd(table: RoutingTable) -> int:
    """How many contacts of the crowd's are in the table."""
    ids = {contact.id for contact in crowd(20)}
    return sum(node.id in ids for bucket in table.buckets for node in bucket.get_nodes())


async def stock_7_keeps_a_crowd_from_one_block() -> bool:
    async def call_ping(_: Node) -> None:
        """The head of a full bucket lives."""

    table = RoutingTable(SimpleNamespace(call_ping=call_ping), 20, Node(b"\x80" + bytes(19)))
    for contact in [*crowd(20), *others(19)]:
        table.add_contact(Node(contact.id, contact.endpoint.host, contact.endpoint.port))
    return of_the_crowd(table) > 3


async def ours_7_keeps_a_crowd_from_one_block() -> bool:
    checks = SimpleNamespace(check_contact=lambda contact: None)
    table = GuardedTable(checks, 20, Node(b"\x80" + bytes(19)), test_network=False)
    for contact in [*crowd(20), *others(19)]:
        table.add_contact(ProvenNode(contact))
    assert table.size >= 20
    return of_the_crowd(table) > 3


async def stock_8_believes_a_forger() -> bool:
    async with stock() as server, peer(stock_answer({"value": "forged"})) as mal:
        server.protocol.router.add_contact(Node(b"m" * 20, *mal.address))
        return bool(await server.get("alice") == "forged")


class Our:
    """One of our nodes as a liar plays it: a real proof of its id, and then whatever answer."""

    def __init__(self, answer: wire.Answer | bytes) -> None:
        self.answer = answer
        self.node = key_of("liar")

    def __call__(self, data: bytes) -> bytes | None:
        if wire.peek(data)[0] != wire.REQUEST:
            return None
        asked = wire.decode_request(data)
        if isinstance(self.answer, bytes) and not isinstance(asked.call, wire.Ping):
            return wire.NETWORK_TAG + bytes([wire.REPLY]) + asked.call_id + self.answer
        you = Endpoint.of("127.0.0.1", self.you)
        answer = wire.Pong() if isinstance(asked.call, wire.Ping) or isinstance(self.answer, bytes) else self.answer
        proof = wire.prove(self.node, asked.call_id, asked.sender, you)
        return wire.encode_reply(wire.Reply(asked.call_id, answer, b"token  t", you, proof))

    you = 1


async def ours_hearing(server: GuardedServer, answer: wire.Answer | bytes) -> list[Any]:
    """What our node finds under alice's key while its one neighbour answers so."""
    liar = Our(answer)
    liar.you = server.endpoint.port
    async with peer(liar) as mal:
        assert await server.add_contacts([Endpoint.of(*mal.address)]) == 1
        return list(await server.find(HEAD.key, 3.0))


async def ours_8_believes_a_forger() -> bool:
    async with ours() as server:
        forged = encode(HEAD).replace(HEAD.entry, b"f" * 32)
        return bool(await ours_hearing(server, wire.Found((), (forged,))))


async def stock_9_lets_an_older_value_win() -> bool:
    async with stock() as server, peer() as mal:
        for value in ("number 9", "number 1"):
            await mal.ask(stock_request("store", bytes(20), b"k" * 20, value), server.address)
        return bool(server.storage.get(b"k" * 20) == "number 1")


async def ours_9_lets_an_older_value_win() -> bool:
    async with ours() as server, peer() as mal:
        assert await stored(mal, server, HEAD.key, encode(HEAD)) == "held"
        outcome = await stored(mal, server, HEAD.key, encode(alice.head(counter=1)))
        return outcome != "stale" or await server.find(HEAD.key, 1.0) != [HEAD]


async def stock_10_lets_a_republish_prolong_a_value() -> bool:
    clock, kept = SimpleNamespace(now=0.0), kademlia.storage.time
    kademlia.storage.time = SimpleNamespace(monotonic=lambda: clock.now)
    try:
        storage = ForgetfulStorage(ttl=100)
        for clock.now in (0.0, 99.0):
            storage[b"k"] = b"v"
        clock.now = 150.0
        return storage.get(b"k") is not None
    finally:
        kademlia.storage.time = kept


async def ours_10_lets_a_republish_prolong_a_value() -> bool:
    shelf, head = Shelf(), alice.head(expires_ms=NOW + DAY)
    assert [shelf.put(head, None, NOW + hour) for hour in (0, DAY - 1)] == [Outcome.HELD] * 2
    return bool(shelf.records(NOW + DAY))


async def stock_11_stops_republishing_at_a_poison_pill() -> bool:
    """The pill lies first; the good value behind it never reaches the neighbour."""
    async with stock() as server, stock() as neighbour:
        neighbour.node = Node(b"n" * 20)
        server.protocol.router.add_contact(Node(b"n" * 20, *neighbour.address))
        server.storage[b"p" * 20] = b"x" * 9_000
        server.storage[b"g" * 20] = b"good"
        for key, value in list(server.storage):
            try:
                await server.set_digest(key, value)
            except Exception:  # the stock refresh has no such try, and ends here
                return neighbour.storage.get(b"g" * 20) is None
        return False


async def ours_11_stops_republishing_at_a_poison_pill() -> bool:
    async with ours() as server, ours("neighbour") as neighbour, peer() as mal:
        pill = head_key(bob.identity.hash)
        mal.transport.sendto(bytes(9_000), at(server))
        assert await stored(mal, server, pill, b"x" * 1_000) != "held"
        server.protocol.hold(HEAD)
        await server.add_contacts([neighbour.endpoint])
        await server._upkeep.store_again(NOW + DAY // 2)
        return neighbour.protocol.storage.get(HEAD.key) != [encode(HEAD)]


class Refusing(KademliaProtocol):  # type: ignore[misc]
    def rpc_store(self, *_: Any) -> bool:
        return False


async def stock_13_calls_a_refused_set_a_success() -> bool:
    async with stock() as server, stock(Refusing) as refusing:
        server.protocol.router.add_contact(Node(refusing.node.id, *refusing.address))
        return bool(await server.set("key", "value")) and not list(refusing.storage)


async def ours_13_calls_a_refused_set_a_success() -> bool:
    async with ours() as server, peer() as mal:
        liar = Our(wire.Stored("full"))
        liar.you = server.endpoint.port
        mal.answer = liar
        await server.add_contacts([Endpoint.of(*mal.address)])
        return any(told.holders for told in await server.publish([HEAD]))


async def stock_14_raises_where_nobody_answers() -> bool:
    async with stock() as server, peer() as silent:
        server.protocol.router.add_contact(Node(b"s" * 20, *silent.address))
        try:
            await server.set("key", "value")
        except ValueError:
            return True
        return False


async def ours_14_raises_where_nobody_answers() -> bool:
    async with ours() as server, peer() as silent:
        server.protocol.router.add_contact(ProvenNode(Contact(NodeId(b"s" * 20), Endpoint.of(*silent.address))))
        return any(told.holders for told in await server.publish([HEAD]))


STOCK_BAD_REPLIES: list[Any] = [{}, {"value": {}}, [1, 2, 3], [[b"i" * 30, "127.0.0.1", 1]]]
OUR_BAD_REPLIES = [
    b"\x80", b"\xc1", wire.codec.pack([]), wire.codec.pack([1, 2, 3, 4]),
    wire.codec.pack([b"t" * 8, bytes(6), None, [2, [bytes(46)], [], False]]),
    wire.codec.pack([b"t" * 8, bytes(6), None, [2, [1, 2, 3], [{}], False]]), b"\x91" * 500,
]  # fmt: skip


async def stock_15_ends_the_look_up_at_a_bad_reply() -> bool:
    raised = 0
    for value in STOCK_BAD_REPLIES:
        async with stock() as server, peer(stock_answer(value)) as mal:
            server.protocol.router.add_contact(Node(b"m" * 20, *mal.address))
            try:
                await server.get("alice")
            except Exception:
                raised += 1
    return raised == len(STOCK_BAD_REPLIES)


async def ours_15_ends_the_look_up_at_a_bad_reply() -> bool:
    for answer in OUR_BAD_REPLIES:
        async with ours() as server:
            server.protocol.hold(HEAD)
            if await ours_hearing(server, answer) != [HEAD]:
                return True
    return False


GARBAGE = [bytes(30), b"\0" + bytes(20) + b"\xc1", b"\1" + bytes(20) + b"\x92\x01", b"\0" + bytes(20) + b"\x91" * 5_000]


async def garbage_raises(send_to: tuple[str, int], mal: Peer, marker: bytes) -> bool:
    raised: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
    for data in GARBAGE:
        mal.transport.sendto(data, send_to)
    for data in GARBAGE:
        mal.transport.sendto(wire.NETWORK_TAG + data, send_to)
    await mal.bytes_before(marker, send_to)
    return bool(raised)


async def stock_16_raises_at_garbage() -> bool:
    async with stock() as server, peer() as mal:
        return await garbage_raises(server.address, mal, STOCK_MARKER)


async def ours_16_raises_at_garbage() -> bool:
    async with ours() as server, peer() as mal:
        return await garbage_raises(at(server), mal, OUR_MARKER) or server.protocol.guard.dropped.total() < len(GARBAGE)


async def stock_17_goes_where_it_is_sent() -> bool:
    async with stock() as server:
        sent = recorded(server.protocol)
        crawl = NodeSpiderCrawl(server.protocol, Node(bytes(20)), [], 20, 3)
        crawl.protocol = SimpleNamespace(call_find_node=server.protocol.call_find_node)
        await crawl._nodes_found({b"p": (True, [(b"h" * 20, "router.local", 80), (b"b" * 20, "255.255.255.255", 9)])})
        return {host for host, _ in sent} == {"router.local", "255.255.255.255"}


async def ours_17_goes_where_it_is_sent() -> bool:
    async with ours() as server:
        sent = recorded(server.protocol)
        for host in ("255.255.255.255", "224.0.0.1", "0.0.0.0"):
            server.protocol.check_contact(Contact(NodeId(b"h" * 20), Endpoint.of(host, 80)))
        with suppress(Exception):
            Contact.from_wire(b"h" * 20 + b"router.local:80")
            return True
        return bool(sent)


def nearer_than(identifier: bytes) -> list[NodeId]:
    """Twenty invented ids, each half as far from zero."""
    half = int.from_bytes(identifier, "big") // 2
    return [NodeId(max(1, half - n).to_bytes(20, "big")) for n in range(20)]


async def stock_18_follows_invented_ids_without_end() -> bool:
    calls = 0

    async def call_find_node(contact: Node, _: Node) -> Any:
        nonlocal calls
        calls += 1
        return True, [(identifier, "127.0.0.1", 1) for identifier in nearer_than(contact.id)]

    crawl = NodeSpiderCrawl(
        SimpleNamespace(call_find_node=call_find_node), Node(bytes(20)), [Node(b"\xff" * 20, "127.0.0.1", 1)], 20, 3
    )
    await crawl.find()
    return calls > 300


async def ours_18_follows_invented_ids_without_end() -> bool:
    here = Endpoint.of("127.0.0.1", 1)
    walk = Walk(bytes(20), NodeId(b"o" * 20), [Contact(NodeId(b"\xff" * 20), here)], RoundTrips(), Parameters())
    machine, calls = Find(walk), 0
    waiting = [effect for effect in machine.handle(Begin(), 0.0) if isinstance(effect, Ask)]
    while waiting and not machine.done:
        calls += 1
        asked = waiting.pop(0).contact
        named = tuple(Contact(identifier, here) for identifier in nearer_than(asked.id))
        effects = machine.handle(Answered(asked, named), calls / 1_000)
        waiting += [effect for effect in effects if isinstance(effect, Ask)]
    return calls > 200


async def stock_19_drops_a_contact_after_one_loss() -> bool:
    async with stock() as server, peer() as silent:
        server.protocol.router.add_contact(Node(b"s" * 20, *silent.address))
        await server.protocol.call_ping(Node(b"s" * 20, *silent.address))
        return not server.protocol.router.find_neighbors(Node(bytes(20)))


async def ours_19_drops_a_contact_after_one_loss() -> bool:
    async with ours() as server:
        contact = Contact(NodeId(b"s" * 20), Endpoint.of("127.0.0.1", 9))
        server.protocol.router.add_contact(ProvenNode(contact))
        server.protocol.router.missed(contact)
        once = server.protocol.router.size
        server.protocol.router.missed(contact)
        return (once, server.protocol.router.size) != (1, 0)


async def stock_21_names_one_host_in_two_ways() -> bool:
    async with stock() as server:
        server.protocol.rpc_ping(("::ffff:192.0.2.1", 9, 0, 0), b"s" * 20)
        return bool(server.protocol.router.find_neighbors(Node(bytes(20)))[0].ip == "::ffff:192.0.2.1")


async def ours_21_names_one_host_in_two_ways() -> bool:
    async with ours() as server:
        sent = recorded(server.protocol)
        server.protocol.datagram_received(request(wire.Ping()), ("::ffff:192.0.2.1", 9, 0, 0))
        return sent != [("192.0.2.1", 9)]


class Evil:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


async def stock_22_runs_what_its_state_says(folder: Path) -> bool:
    file = folder / "state"
    file.write_bytes(pickle.dumps(Evil(folder / "evil")))
    with suppress(Exception):
        await Server.load_state(str(file), 0, "127.0.0.1")
    return (folder / "evil").exists()


async def ours_22_runs_what_its_state_says(folder: Path) -> bool:
    assert read_state(pickle.dumps(Evil(folder / "evil"))) == []
    return (folder / "evil").exists()


async def stock_23_draws_guessable_ids() -> bool:
    ids = []
    for _ in range(2):
        random.seed(7)
        ids.append(Server().node.id)
    return ids[0] == ids[1]


async def ours_23_draws_guessable_ids() -> bool:
    async with ours("one") as one:
        return one.protocol.id != node_id(key_of("one").public)


async def stock_24_leaves_callers_waiting_at_its_end() -> bool:
    async with peer() as silent:
        async with stock() as server:
            waiting = server.protocol.ping(silent.address, b"i" * 20)
        return not waiting.done()


async def ours_24_leaves_callers_waiting_at_its_end() -> bool:
    ended: list[Any] = []
    async with peer() as silent:
        async with ours() as server:
            assert server.protocol.call(Endpoint.of(*silent.address), None, wire.Ping(), ended.append)
        return ended != [None]


async def stock_25_takes_a_reply_from_anywhere() -> bool:
    async with stock() as server, peer() as asked, peer() as other:
        waiting = server.protocol.ping(asked.address, b"i" * 20)
        call = await asyncio.wait_for(asked.inbox.get(), 5)
        other.transport.sendto(stock_answer(b"o" * 20)(call), server.address)
        return bool((await waiting)[0])


async def ours_25_takes_a_reply_from_anywhere() -> bool:
    ended: list[Any] = []
    async with ours() as server, peer() as asked, peer() as other:
        server.protocol.call(Endpoint.of(*asked.address), None, wire.Ping(), ended.append)
        call = await asyncio.wait_for(asked.inbox.get(), 5)
        liar = Our(wire.Pong())
        liar.you = server.endpoint.port
        other.transport.sendto(liar(call), at(server))
        other.transport.sendto(request(wire.Ping()), at(server))
        await asyncio.wait_for(other.inbox.get(), 5)  # the reply before it has been read
        return bool(ended) or server.protocol.guard.dropped["unasked"] != 1


async def stock_26_lets_others_call_by_name() -> bool:
    class Careless(KademliaProtocol):  # type: ignore[misc]
        def rpc_helper(self, _: Any) -> str:
            return "not meant for others"

    async with stock(Careless) as server, peer() as mal:
        return b"not meant" in await mal.ask(stock_request("helper"), server.address)


async def ours_26_lets_others_call_by_name() -> bool:
    async with ours() as server, peer() as mal:
        for name in ("stun", "ping", "store", "__init__"):
            mal.transport.sendto(stock_request(name, bytes(20)), at(server))
        return await mal.bytes_before(OUR_MARKER, at(server)) > 0


SCENES = scenes_in(globals())


@pytest.mark.parametrize(("on_stock", "on_ours"), SCENES, ids=[ours.__name__[5:] for _, ours in SCENES])
def test_the_stock_class_fails_and_ours_does_not(on_stock: Scene, on_ours: Scene, tmp_path: Path) -> None:
    tell_twice(on_stock, on_ours, tmp_path)


def test_every_scene_is_told_on_both_sides() -> None:
    assert len(SCENES) >= 22
    assert isinstance(GuardedProtocol, type) and issubclass(GuardedProtocol, KademliaProtocol)
    assert issubclass(GuardedServer, Server) and issubclass(GuardedTable, RoutingTable)
