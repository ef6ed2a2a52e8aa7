"""A node whose database is damaged somewhere: what is there can't be stored or read, and all else goes on."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio
from builders import NOON, person
from gossip_scenes import node_key
from test_driver import WilfulStore, open_room, until
from trio.testing import MockClock, trio_test

from p2pblog.config import RUN_BYTES_MAX
from p2pblog.core.entry import Entry
from p2pblog.core.identity import Identity
from p2pblog.core.keys import DeviceKey, EntryId, IdentityHash
from p2pblog.core.logs import Batch, Located, LogState
from p2pblog.core.payload import Ref
from p2pblog.errors import StoreDamaged
from p2pblog.gossip.events import LoadedOne, LoadOne, StoreIdentity, StoreRun, StoreStray, Unstored
from p2pblog.gossip.keeper import Keeper
from p2pblog.gossip.room_events import PruneLog
from p2pblog.store import PrunedLog
from p2pblog.store.stretch import first_whole_run


class DamagedStore(WilfulStore):
    """A store that raises wherever these people, or their logs, are touched."""

    def __init__(self, *hurt: IdentityHash | DeviceKey) -> None:
        super().__init__()
        self.hurt = hurt
        self.tries = 0

    def _check(self, *touched: IdentityHash | DeviceKey) -> None:
        if set(touched) & set(self.hurt):
            raise StoreDamaged("the database is damaged")

    async def append(self, batches: Sequence[Batch], now_ms: int, durable: bool = False) -> list[LogState]:
        self.tries += 1
        self._check(*(batch.identity for batch in batches))
        return await super().append(batches, now_ms, durable)

    async def put_identities(self, identities: Sequence[Identity]) -> None:
        self._check(*(identity.hash for identity in identities))
        await super().put_identities(identities)

    async def put_stray(self, located: Located, now_ms: int) -> None:
        self._check(located.identity)
        await super().put_stray(located, now_ms)

    async def prune(self, device: DeviceKey, up_to: int, now_ms: int) -> PrunedLog:
        self._check(device)
        return await super().prune(device, up_to, now_ms)

    async def run(self, device: DeviceKey, first: int, last: int, bytes_max: int) -> list[Entry]:
        self._check(device)
        return await super().run(device, first, last, bytes_max)

    async def locate(self, entry: EntryId) -> Located | None:
        raise StoreDamaged("the database is damaged")


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


@trio_test
async def test_what_meets_damage_is_left_aside_and_keeps_nothing_waiting(autojump_clock: MockClock) -> None:
    async with open_room() as room:
        alice, carol = await room.station("alice"), await room.station("carol")
        store = DamagedStore(person("alice").hash)
        bob = await room.station("bob", "alice", "carol", store=store)
        for author in alice, carol:
            await bob.driver.connect(author.transport.endpoint)
        for number in range(5):
            await alice.post(f"notice {number}")
            await carol.post(f"notice {number}")
            await trio.sleep(1)
        await until(lambda: bob.high(carol.person) == 6)
        assert bob.high(alice.person) == 0 and len(bob.driver.lanes) == 2
        await trio.sleep(60)
        assert not bob.driver._writings
        assert store.tries < 20  # it is not fetched and refused in circles


@trio_test
async def test_a_cut_that_meets_damage_is_answered(autojump_clock: MockClock) -> None:
    async with open_room() as room:
        bob = await room.station("bob", store=DamagedStore(person("alice").key))
        with trio.fail_after(60):
            assert await bob.driver.carry_out(PruneLog(person("alice").key, 64)) == []


@trio_test
async def test_who_asks_for_what_is_damaged_is_told_that_it_is_not_here(autojump_clock: MockClock) -> None:
    async with open_room() as room:
        alice = await room.station("alice", store=DamagedStore(person("alice").key))
        bob, carol = await room.station("bob", "alice"), await room.station("carol")
        for other in bob, carol:
            await other.driver.connect(alice.transport.endpoint)
        await alice.post("a notice that can be read by nobody")
        await trio.sleep(30)
        assert len(alice.driver.lanes) == 2
        assert bob.high(alice.person) == 0


@trio_test
async def test_identities_and_strays_beside_what_is_damaged_are_kept() -> None:
    alice, carol = person("alice"), person("carol")
    async with open_room() as room:
        bob = await room.station("bob", store=DamagedStore(alice.hash))
        keeper = Keeper(bob.driver.machine.holdings, bob.store, lambda: NOON)
        identities = [StoreIdentity(alice.identity), StoreIdentity(carol.identity)]
        assert await keeper.write(identities) == (1, [])
        assert await keeper.write(identities[1:]) == (1, [])
        assert [identity.hash for identity in (await bob.store.load()).identities] == [carol.hash]
        entry = alice.log.entries[0]
        assert await keeper.write([StoreStray(Located(alice.hash, entry, ()))]) == (1, [])
        ref = Ref(alice.hash, alice.key, 1, entry.id)
        asked = LoadOne(node_key("carol"), ref)
        assert await keeper.load(asked) == LoadedOne(node_key("carol"), ref, None, None)


@trio_test
async def test_a_run_that_contradicts_what_cannot_be_read_keeps_nothing_waiting() -> None:
    alice, twin, source = person("alice"), person("alice"), node_key("carol")
    alice.notes(3)
    twin.log.note("said otherwise")
    async with open_room() as room:
        bob = await room.station("bob", store=DamagedStore(alice.key))
        holdings = bob.driver.machine.holdings
        keeper = Keeper(holdings, bob.store, lambda: NOON)
        (state,) = await bob.store.append([Batch(alice.hash, alice.log.run())], NOON)
        holdings.learn(alice.identity)
        holdings.take(state)
        other = StoreRun(source, Batch(alice.hash, twin.log.run()), live=False)
        assert await keeper.write([other]) == (1, [Unstored(source, alice.key)])


class RottenStore(WilfulStore):
    """A store in which entries of some numbers, whosever, are not any more what was signed."""

    def __init__(self, *rotten: int) -> None:
        super().__init__()
        self.rotten = rotten

    async def run(self, device: DeviceKey, first: int, last: int, bytes_max: int) -> Sequence[Entry]:
        found = await super().run(device, first, last, bytes_max)
        whole = (None if entry.seq in self.rotten else entry for entry in found)
        return first_whole_run(whole, last, bytes_max, RUN_BYTES_MAX)


@pytest.mark.parametrize("rotten", [(1,), (70,), (30, 31, 95), (91,)])
@trio_test
async def test_a_follower_gets_all_but_what_is_damaged_and_shuns_nobody(
    rotten: tuple[int, ...], autojump_clock: MockClock
) -> None:
    """The author alone has the feed, and one bit of it has changed on the disk."""
    async with open_room() as room:
        alice = await room.station("alice", store=RottenStore(*rotten))
        for number in range(90):
            await alice.post(f"before {number}")
        bob = await room.station("bob", "alice")
        await bob.driver.connect(alice.transport.endpoint)
        for number in range(3):
            await trio.sleep(60)
            await alice.post(f"live {number}")
        await trio.sleep(60)
        state = bob.driver.machine.holdings.logs[person("alice").key]
        held = [seq for span in state.spans for seq in range(span.low, span.high + 1)]
        assert held == [seq for seq in range(1, 95) if seq not in rotten]
        assert len(bob.driver.lanes) == len(alice.driver.lanes) == 1


@trio_test
async def test_what_cannot_be_given_is_asked_for_a_few_times_and_no_more(autojump_clock: MockClock) -> None:
    async with open_room() as room:
        store = RottenStore(70)
        alice = await room.station("alice", store=store)
        for number in range(90):
            await alice.post(f"before {number}")
        bob = await room.station("bob", "alice")
        await bob.driver.connect(alice.transport.endpoint)
        await trio.sleep(600)
        assert store.runs < 12
