"""More of what the stock library does wrong, where nodes pass things on to each other; told as in the other file."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from dht_scenes import NOW, alice
from kademlia.node import Node
from kademlia.utils import digest
from rpcudp.exceptions import MalformedMessage
from stock_worlds import (
    OUR_MARKER,
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
    tell_twice,
)

from p2pblog.dht import wire
from p2pblog.dht.records import encode

HEAD = alice.head(counter=9)


async def stock_2_takes_what_it_may_not_send() -> bool:
    async with stock() as server, peer() as mal:
        await mal.ask(stock_request("store", bytes(20), b"k" * 20, b"x" * 20_000), server.address)
        return len(server.storage.get(b"k" * 20) or b"") == 20_000


async def ours_2_takes_what_it_may_not_send() -> bool:
    async with ours() as server, peer() as mal:
        token = wire.decode_reply(await mal.ask(request(wire.Ping()), at(server))).token
        small = request(wire.Store(HEAD.key, encode(HEAD)), token)
        mal.transport.sendto(small + bytes(wire.DATAGRAM_BYTES_MAX + 1 - len(small)), at(server))
        await mal.bytes_before(OUR_MARKER, at(server))
        return len(server.protocol.storage.store) > 0


def handed_off_wrongly(own: bytes) -> tuple[bytes, bytes, bytes]:
    """(key, neighbour, newcomer): the newcomer is nearer to the key than the neighbour, to its digest it is not, and
    the node itself is nearest to both. Section 2.5 of the paper has such a key handed over."""
    chance = random.Random(5)
    while True:
        key, neighbour, newcomer = (chance.randbytes(20) for _ in range(3))
        hashed = digest(key)
        if gap(own, key) < gap(newcomer, key) < gap(neighbour, key) and gap(newcomer, hashed) > gap(neighbour, hashed):
            return key, neighbour, newcomer


def gap(one: bytes, other: bytes) -> int:
    return int.from_bytes(one, "big") ^ int.from_bytes(other, "big")


async def stock_5_hashes_the_key_of_a_hand_off_once_more() -> bool:
    async with stock() as server:
        key, neighbour, newcomer = handed_off_wrongly(server.node.id)
        server.storage[key] = "value"
        server.protocol.router.add_contact(Node(neighbour, "127.0.0.1", 9))
        sent = recorded(server.protocol)
        server.protocol.welcome_if_new(Node(newcomer, "127.0.0.1", 10))
        await asyncio.sleep(0)
        return ("127.0.0.1", 10) not in sent


async def ours_5_hashes_the_key_of_a_hand_off_once_more() -> bool:
    """There is no hand-off to a newcomer: what is held is stored again at the nodes nearest to the key itself."""
    async with ours() as server, ours("neighbour") as other:
        server.protocol.hold(HEAD)
        await server.add_contacts([other.endpoint])
        await server.publish([HEAD])
        return not other.protocol.storage.store.get(HEAD.key, NOW)


async def stock_12_loses_a_find_by_storing_it() -> bool:
    big = stock_answer({"value": "x" * 9_000})
    async with stock() as server, peer(big) as holder, peer(stock_answer([])) as lacking:
        server.protocol.router.add_contact(Node(b"h" * 20, *holder.address))
        server.protocol.router.add_contact(Node(b"l" * 20, *lacking.address))
        try:
            return await server.get("key") is None
        except MalformedMessage:
            return True


async def ours_12_loses_a_find_by_storing_it() -> bool:
    async with ours() as server, ours("holder") as holder, ours("lacking") as lacking:
        holder.protocol.hold(HEAD)
        await server.add_contacts([holder.endpoint, lacking.endpoint])
        return await server.find(HEAD.key, 5.0) != [HEAD]


async def stock_20_makes_a_contact_of_whoever_asks() -> bool:
    async with stock() as server, peer() as client:
        await client.ask(stock_request("find_node", b"c" * 20, b"t" * 20), server.address)
        return not server.protocol.router.is_new_node(Node(b"c" * 20))


async def ours_20_makes_a_contact_of_whoever_asks() -> bool:
    """A client proves its id and address like any node, says that it is one, and is nobody's contact."""
    async with ours() as server, ours("client") as client:
        client.protocol.client = True
        await client.add_contacts([server.endpoint])
        await client.find(HEAD.key, 5.0)
        return server.protocol.router.size > 0 or client.protocol.router.size == 0


SCENES = scenes_in(globals())


@pytest.mark.parametrize(("on_stock", "on_ours"), SCENES, ids=[ours.__name__[5:] for _, ours in SCENES])
def test_the_stock_class_fails_and_ours_does_not(on_stock: Scene, on_ours: Scene, tmp_path: Path) -> None:
    tell_twice(on_stock, on_ours, tmp_path)


def test_all_four_are_told() -> None:
    assert len(SCENES) == 4
