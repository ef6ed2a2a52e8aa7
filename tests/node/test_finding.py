"""Scenes of finding each other: through the DHT, peers, invitations and memory, also when the author is gone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio
from builders import person
from trio.testing import MockClock, trio_test
from worlds import open_world

from p2pblog.core.keys import DeviceKey
from p2pblog.dht import Early, Published
from p2pblog.dht.records import DhtKey, Dropped, Head, Notice, Record, notice_key, replica_key
from p2pblog.rendezvous.machine import COALESCE_S, LINKS_SETTLE_S, NOTICES_MAX


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


@trio_test
async def test_a_follower_is_found_through_its_replica_record(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.start("dave")
        alice = await world.start("alice", "dave")
        await world.follower("bob", "alice", "dave")
        for number in range(NOTICES_MAX + 4):  # more than the DHT itself would hold
            await alice.post(f"held by bob {number}")
        await world.reads("bob", f"held by bob {number}")
        await trio.sleep(30)
        await world.kill("alice")

        await world.start("erin", "dave")
        await world.kill("dave")  # erin knows the DHT now, but nobody names bob to her
        erin = world.home("erin").node
        await erin.follow(world.home("alice").address)
        await world.reads("erin", *(f"held by bob {number}" for number in reversed(range(NOTICES_MAX + 4))))


@trio_test
async def test_a_deleted_notice_does_not_hide_the_earlier_ones_in_the_dht(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.start("dave")
        alice = await world.start("alice", "dave")
        for number in range(4):
            written = await alice.post(f"notice {number}")
        await alice.delete(written["id"])
        await trio.sleep(60)
        await world.kill("alice")

        carol = await world.follower("carol", "alice", "dave")
        await world.reads("carol", "notice 2", "notice 1", "notice 0")
        assert "notice 3" not in [row["text"] for row in await carol.timeline()]


@trio_test
async def test_what_was_deleted_can_not_be_read_in_the_dht_any_more(autojump_clock: MockClock) -> None:
    """With its edit, and however many notices were written since."""
    async with open_world() as world:
        await world.start("dave")
        alice = await world.start("alice", "dave")
        note = (await alice.post("first words"))["id"]
        await alice.edit(note, "second words")
        await trio.sleep(COALESCE_S)
        ids = []
        for number in range(NOTICES_MAX + 2):
            ids.append((await alice.post(f"notice {number}"))["id"])
            await trio.sleep(COALESCE_S)
        device = world.home("alice").keyring.device.public

        def told() -> dict[int, type[Record]]:
            held = [world.dht.store.get(notice_key(device, seq), world.wall_ms()) for seq in range(2, 15)]
            return {seq: type(items[0].record) for seq, items in enumerate(held, 2) if items}

        assert set(told().values()) == {Notice} and told().keys() >= {3, 4}
        before = told().keys()
        for each in (note, *ids):
            await alice.delete(each)
        await trio.sleep(3 * COALESCE_S)
        assert [told()[seq] for seq in before] == [Notice] + [Dropped] * (len(before) - 1)  # her profile stays


@trio_test
async def test_an_author_without_followers_is_read_from_the_dht(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.start("dave")
        alice = await world.start("alice", "dave")
        for number in range(12):
            await alice.post(f"notice {number}")
        await trio.sleep(30)
        await world.kill("alice")

        carol = await world.start("carol", "dave")
        row = await carol.follow(world.home("alice").address)
        assert row["state"] == "searching"
        await world.reads("carol", *(f"notice {number}" for number in range(11, 3, -1)))
        assert [row["state"] for row in await carol.following()] == ["found"]
        assert (await carol.status())["pending"] == []


@trio_test
async def test_somebody_whom_nobody_has_stays_pending(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.start("dave")
        carol = await world.follower("carol", "alice", "dave")
        await trio.sleep(120)
        assert (await carol.status())["pending"] == [world.home("alice").address]

        alice = await world.start("alice", "dave")
        await alice.post("here I am")
        await world.reads("carol", "here I am", within_s=900)


@trio_test
async def test_an_invitation_carries_the_way_to_its_author(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        await alice.post("come in")
        bob = await world.start("bob")
        await bob.follow((await alice.invite())["uri"])
        await world.reads("bob", "come in")


@trio_test
async def test_peers_are_remembered_across_a_restart(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        await world.follower("bob", "alice", "alice")
        await alice.post("one")
        await world.reads("bob", "one")
        await world.kill("bob")
        await alice.post("two")

        await world.start("bob")
        await world.reads("bob", "two", "one")


@trio_test
async def test_peers_name_other_peers(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.start("alice")
        await world.start("bob", "alice")
        await trio.sleep(5)
        carol = await world.start("carol", "bob")

        async def knows_alice() -> bool:
            return str(world.home("alice").endpoint) in [peer["endpoint"] for peer in await carol.peers()]

        await world.until("carol is linked with alice", knows_alice)


@trio_test
async def test_a_peer_can_be_added_by_hand(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.start("alice")
        bob = await world.start("bob")
        row = await bob.add_peer(str(world.home("alice").endpoint))
        assert row["direction"] == "out"
        assert row["node"] == world.home("alice").keyring.node.public.hex()
        assert len(await bob.peers()) == 1
        again = await bob.add_peer(str(world.home("alice").endpoint))
        assert again["since"] == row["since"]  # the link that stands is left alone


@trio_test
async def test_what_was_taken_back_is_not_published_again(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.start("dave")
        alice = await world.start("alice", "dave")
        await alice.post("kept")
        regretted = await alice.post("regretted")
        await trio.sleep(30)
        await alice.delete(regretted["id"])
        await trio.sleep(30)
        await world.kill("alice")
        alice = await world.start("alice", "dave")  # a start publishes the newest notices anew
        await alice.post("later")
        await trio.sleep(30)
        held = await world.home("dave").parts.meeting._directory.find(  # type: ignore[union-attr]
            notice_key(DeviceKey(bytes.fromhex(regretted["device"])), regretted["seq"])
        )
        assert not [record for record in held if isinstance(record, Notice)]
        await world.kill("alice")

        carol = await world.follower("carol", "alice", "dave")
        await world.reads("carol", "later")
        assert "regretted" not in [row["text"] for row in await carol.timeline()]


@trio_test
async def test_notices_too_old_for_the_dht_are_not_offered_again_and_again(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world:
        await world.start("dave")
        world.home("alice").skew_ms = -3 * 24 * 3600 * 1000
        await (await world.start("alice")).post("three days ago")
        await world.kill("alice")
        world.home("alice").skew_ms = 0
        await world.start("alice", "dave")
        directory = world.home("alice").parts.meeting._directory  # type: ignore[union-attr]
        offered: list[Record] = []

        async def publish(records: Sequence[Record]) -> list[Published]:
            offered.extend(records)
            return await type(directory).publish(directory, records)  # type: ignore[arg-type]

        monkeypatch.setattr(directory, "publish", publish)
        await trio.sleep(600)
        assert len([record for record in offered if isinstance(record, Head)]) == 1
        assert not [record for record in offered if isinstance(record, Notice)]


@trio_test
async def test_who_loses_the_last_link_to_a_feed_looks_for_it_at_once(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world:
        await world.start("dave")
        alice = await world.start("alice", "dave")
        await world.follower("bob", "alice", "dave")
        await alice.post("still here")
        await world.reads("bob", "still here")
        await trio.sleep(100)
        directory = world.home("bob").parts.meeting._directory  # type: ignore[union-attr]
        asked: list[DhtKey] = []
        hurried = set[DhtKey]()

        async def find(
            key: DhtKey, timeout_s: float = 10.0, early: Early | None = None, twice_named: bool = False
        ) -> list[Record]:
            asked.append(key)
            hurried.update({key} if early is not None else ())
            return await type(directory).find(directory, key, timeout_s, early)  # type: ignore[arg-type]

        monkeypatch.setattr(directory, "find", find)
        await trio.sleep(100)
        assert replica_key(person("alice").hash) not in asked
        await world.kill("alice")
        await trio.sleep(LINKS_SETTLE_S + 0.1)
        assert replica_key(person("alice").hash) in asked
        await trio.sleep(30)
        replicas = {replica_key(person(name).hash) for name in ("alice", "bob")}
        assert hurried == replicas < set(asked)  # nothing else is for the first holder to say
