"""Answers reach people who don't follow who answers: what waits at a replica, and no DHT."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import pytest
import trio
from builders import person
from pointer_scenes import cut_off_from_the_dht, reads_of, told
from trio.testing import MockClock, trio_test
from worlds import World, open_world

from p2pblog.config import OFFER_VISIT_EVERY_S, OFFER_VISIT_S, OFFER_VISITS_MAX
from p2pblog.core.address import Endpoint
from p2pblog.core.keys import NodeKey
from p2pblog.dht.records import DhtKey, Record, Replica
from p2pblog.errors import UserError
from p2pblog.gossip.offers import Offers
from p2pblog.gossip.sharing import Session
from p2pblog.node import Node
from p2pblog.rendezvous import visiting


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


async def until_kept(world: World, name: str, count: int) -> None:
    async def held() -> bool:
        offers: Offers = world.home(name).node._driver.machine.offers
        return sum(waiting.kept for waiting in offers.waiting.values()) == count

    await world.until(f"{count} answers wait at {name}", held)


async def alice_asks(world: World) -> tuple[Node, str]:
    """Alice asks, ruth follows her, and alice is away; gives ruth and the question."""
    alice = await world.start("alice")
    ruth = await world.follower("ruth", "alice")
    question = await alice.post("tea?")
    await world.reads("ruth", "tea?")
    await world.kill("alice")
    return ruth, question["id"]


@trio_test
async def test_a_stranger_answers_while_the_author_is_away(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Carol reads alice's notice at ruth's, answers and goes; ruth tells alice, who never met carol."""
    cut_off_from_the_dht(monkeypatch)
    async with open_world() as world:
        _ruth, question = await alice_asks(world)
        carol = await world.start("carol", "ruth")
        await reads_of(world, "carol", "alice", question)
        await carol.post("tea!", reply_to=question)
        await carol.post(f"@{person('alice').address} hello")
        await until_kept(world, "ruth", 2)
        await world.kill("carol")
        alice = await world.start("alice")
        await world.until("alice hears of it", partial(told, alice, f"@{person('alice').address} hello", "tea!"))
        await alice.admit(person("carol").address)
        news = await alice.notifications(unread=True)
        assert [each["type"] for each in news] == ["mention", "reply"]
        assert {each["from"] for each in news} == {person("carol").address}
        assert [row["text"] for row in await alice.timeline()] == ["tea?"]
        assert [row["text"] for row in (await alice.thread(question))["notices"]] == ["tea?", "tea!"]


@trio_test
async def test_it_waits_over_a_restart_of_who_keeps_it(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off_from_the_dht(monkeypatch)
    async with open_world() as world:
        _ruth, question = await alice_asks(world)
        carol = await world.start("carol", "ruth")
        await reads_of(world, "carol", "alice", question)
        await carol.post("tea!", reply_to=question)
        await until_kept(world, "ruth", 1)
        await world.kill("carol")
        await world.kill("ruth")
        ruth = await world.start("ruth")
        assert [row["text"] for row in (await ruth.thread(question))["notices"]] == ["tea?", "tea!"]
        alice = await world.start("alice")
        await world.until("alice hears of it", partial(told, alice, "tea!"))


@trio_test
async def test_a_blocked_stranger_is_not_heard(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_off_from_the_dht(monkeypatch)
    async with open_world() as world:
        _ruth, question = await alice_asks(world)
        carol = await world.start("carol", "ruth")
        await reads_of(world, "carol", "alice", question)
        await carol.post("tea!", reply_to=question)
        await until_kept(world, "ruth", 1)
        await world.kill("carol")
        alice = await world.start("alice")
        await alice.block(person("carol").address)
        await trio.sleep(60)
        assert await told(alice)
        assert len((await alice.thread(question))["notices"]) == 1


@trio_test
async def test_a_replica_is_visited_where_no_link_leads_to_one(autojump_clock: MockClock) -> None:
    """Carol knows ruth from the DHT alone: they are not linked, and pointers lead to nobody who looks for them."""
    async with open_world() as world:
        ruth, _question = await alice_asks(world)
        carol = await world.start("carol")
        await ruth._meeting.meet([world.home("carol").endpoint])
        await trio.sleep(30)  # ruth announces herself
        assert await carol.peers() == [] == await ruth.peers()
        await carol.post(f"@{person('alice').address} hello")
        await until_kept(world, "ruth", 1)
        assert len(await carol.peers()) == 1  # links are few, so she keeps this one
        assert carol._driver.machine.offers.unheard() == []


@trio_test
async def test_a_visit_ends_where_links_are_enough_and_is_seldom_tried_again(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visiting, "LINKS_ENOUGH", 0)
    monkeypatch.setattr(visiting, "OFFER_VISIT_AGAIN_S", 200.0)
    monkeypatch.setattr(Offers, "_offer_to", lambda offers, session, now, some: [])  # nothing is ever told
    async with open_world() as world:
        ruth, _question = await alice_asks(world)
        carol = await world.start("carol")
        await ruth._meeting.meet([world.home("carol").endpoint])
        await trio.sleep(30)
        calls: list[tuple[Endpoint, float]] = []
        ended: list[NodeKey] = []
        connect, hang_up = carol._driver.connect, carol._driver.hang_up

        async def counted(endpoint: Endpoint) -> Session:
            calls.append((endpoint, trio.current_time()))
            return await connect(endpoint)

        def hung_up(peer: NodeKey) -> None:
            ended.append(peer)
            hang_up(peer)

        monkeypatch.setattr(carol._driver, "connect", counted)
        monkeypatch.setattr(carol._driver, "hang_up", hung_up)
        await carol.post(f"@{person('alice').address} hello")
        await trio.sleep(2 * OFFER_VISIT_EVERY_S + OFFER_VISIT_S)
        assert {endpoint for endpoint, _at in calls} == {world.home(name).endpoint for name in ("ruth", "alice")}
        assert [peer.hex() for peer in ended] == [world.home("ruth").keyring.node.public.hex()]
        await trio.sleep(3600)  # ruth is dialed again since links are few, but alice is away
        tried = [at for endpoint, at in calls if endpoint == world.home("alice").endpoint]
        assert [round((later - first) / 200) for first, later in pairwise(tried)] == [1, 2, 4]
        assert len(tried) == OFFER_VISITS_MAX  # another would have been due within the hour


@trio_test
async def test_nobody_is_visited_who_is_linked_or_where_no_more_links_may_be(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world:
        tom, alice, elsewhere = world.home("tom"), person("alice").hash, Endpoint("10.9.9.9", 4000)
        await world.start("tom")
        carol = await world.start("carol", "tom")
        await world.until("carol and tom are linked", partial(is_linked, carol))
        known, calls = carol._meeting._visiting, list[Endpoint]()

        async def lie(key: DhtKey) -> list[Record]:
            nodes = {tom.keyring.node.public: tom.endpoint, bytes(32): elsewhere}
            return [Replica(alice, NodeKey(node), endpoint, 1, bytes(64)) for node, endpoint in nodes.items()]

        async def connect(endpoint: Endpoint) -> Session:
            calls.append(endpoint)
            raise UserError("nobody is there")

        monkeypatch.setattr(known, "_look_up", lie)
        monkeypatch.setattr(carol._driver, "connect", connect)
        await known._visit(alice)
        assert calls == [elsewhere]
        monkeypatch.setattr(visiting, "LINKS_CHOSEN_MAX", 1)
        monkeypatch.setattr(visiting, "LINKS_ACCEPTED_MAX", 0)
        await known._visit(alice)
        assert calls == [elsewhere]


@trio_test
async def test_a_visit_ends_no_link_that_stood_before(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody announces, as a replica of alice, a node of his where tom is, with whom carol is linked."""
    monkeypatch.setattr(visiting, "LINKS_ENOUGH", 0)
    async with open_world() as world:
        await world.start("tom")
        carol = await world.start("carol", "tom")
        await world.until("carol and tom are linked", partial(is_linked, carol))
        replica = Replica(person("alice").hash, NodeKey(bytes(32)), world.home("tom").endpoint, 1, bytes(64))
        asked: list[DhtKey] = []

        async def lie(key: DhtKey) -> list[Record]:
            asked.append(key)
            return [replica]

        monkeypatch.setattr(carol._meeting._visiting, "_look_up", lie)
        ended: list[NodeKey] = []
        monkeypatch.setattr(carol._driver, "hang_up", ended.append)
        await carol.post(f"@{person('alice').address} hello")
        await trio.sleep(60 + 2 * OFFER_VISIT_EVERY_S + OFFER_VISIT_S)
        assert asked and ended == [] and await is_linked(carol)


async def is_linked(node: Node) -> bool:
    return len(await node.peers()) == 1
