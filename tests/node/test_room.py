"""A cap on disk, with whole nodes: old notices of others go, for good, and what a person holds on to stays."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
import trio
from builders import NOON, person
from test_blocking import held_of
from trio.testing import MockClock, trio_test
from worlds import World, open_world

from p2pblog.config import NEWEST_FIRST
from p2pblog.core.entry import Entry
from p2pblog.core.keys import DeviceKey, IdentityHash
from p2pblog.core.logs import Batch, LogState
from p2pblog.core.value import replace
from p2pblog.errors import NotFound, StoreDamaged, StoreFull, UsageError
from p2pblog.node import Node
from p2pblog.store.memory import MemoryStore

LARGE = "蜂" * 4_950
"""14,850 bytes: 640 of them are 10 MB, the least cap there is."""
MANY = 900
CAP = "10MB"


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


async def history(
    world: World, name: str, count: int = MANY, since_ms: int = NOON - 10_000_000, said: str = LARGE
) -> None:
    """Somebody without a name has written so many notices, a second apart, before the world begins."""
    someone = person(name)
    world.home(name).keyring = replace(world.home(name).keyring, name=None)
    for number in range(count):
        someone.log.note(f"{name} {number} {said}", time_ms=since_ms + 1_000 * number)
    store = world.home(name).store
    await store.put_identity(someone.identity)
    for first in range(1, count + 2, 100):
        await store.append([Batch(someone.hash, someone.log.run(first, first + 99))], NOON)
    world.home(name).store = store


def held_within(world: World, holder: str, author: str) -> tuple[int, int, int]:
    """(floor, lowest, highest) of what is held of an author's log."""
    store = world.home(holder).store
    state = next(state for state in store.logs() if state.device == person(author).key)
    return state.floor, state.spans[0].low, state.spans[-1].high


async def pruned(node: Node) -> int:
    return (await node.status())["store"]["pruned"]


def fits(node: Node) -> Callable[[], Coroutine[Any, Any, bool]]:
    """Whether the node has pruned, and is below its cap."""

    async def held() -> bool:
        store = (await node.status())["store"]
        assert store["max"] is not None
        return store["pruned"] > 0 and store["used"] <= store["max"]

    return held


async def stays_the_same(world: World, node: Node, seconds: float = 300) -> bool:
    """Whether nothing more is fetched or dropped: after a while, no history comes any more."""
    await trio.sleep(20)
    before = (await node.status())["store"], sum(row["bytes_in"] for row in await node.peers())
    await trio.sleep(seconds)
    after = (await node.status())["store"], sum(row["bytes_in"] for row in await node.peers())
    return before[0] == after[0] and after[1] - before[1] < 60_000


@trio_test
async def test_a_long_history_is_pruned_once_and_others_have_it_all(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await history(world, "alice")
        alice, bob = await world.start("alice"), await world.start("bob", "alice")
        assert (await bob.status())["store"]["max"] is None
        told = await bob.config_set("store.max", CAP)
        assert (told["key"], told["value"], told["default"]) == ("store.max", "10MB", "none")
        await bob.follow(world.home("alice").address, "alice")
        await world.until("bob prunes", fits(bob), within_s=120)
        assert await stays_the_same(world, bob)
        floor, low, high = held_within(world, "bob", "alice")
        assert (floor + 1, high) == (low, MANY + 1)
        assert high - low > NEWEST_FIRST and await pruned(bob) > 0
        page = await bob.timeline(limit=3)
        assert [row["text"].split()[:2] for row in page] == [["alice", str(MANY - 1 - at)] for at in range(3)]

        await world.follower("carol", "alice", "bob", "alice")  # bob has half of it, alice all

        async def carol_has_all() -> bool:
            return await held_of(world, "carol", "alice") == MANY + 1

        await world.until("carol has it all", carol_has_all, within_s=120)
        await alice.post("news")
        await world.reads("bob", "news")

        await world.kill("bob")
        bob = await world.start("bob", "alice")
        assert (await bob.status())["store"]["max"] == 10_000_000
        assert await stays_the_same(world, bob)
        assert held_within(world, "bob", "alice") == (floor, low, MANY + 2)

        await bob.config_unset("store.max")  # what was pruned is fetched again

        async def bob_has_all() -> bool:
            return await held_of(world, "bob", "alice") == MANY + 2

        await world.until("bob has it all", bob_has_all, within_s=120)
        assert (await bob.status())["store"] == {**(await bob.status())["store"], "max": None, "pruned": 0}
        await bob.config_set("store.max", "500MB")
        assert await stays_the_same(world, bob) and await pruned(bob) == 0


@trio_test
async def test_what_one_holds_on_to_stays_and_the_rest_is_known_as_pruned(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await history(world, "alice")
        await world.start("alice")
        bob = await world.start("bob", "alice")
        await bob.follow(world.home("alice").address, "alice")

        async def has_all() -> bool:
            return await held_of(world, "bob", "alice") == MANY + 1

        await world.until("bob has it all", has_all, within_s=120)
        early = [entry.id.hex() for entry in person_log(world, "alice")[1:9]]
        mine = [(await bob.post(f"mine {number}"))["id"] for number in range(3)]
        await bob.bookmark(early[0])
        await bob.like(early[1])
        answer = await bob.post("an answer", reply_to=early[2])
        await bob.config_set("store.max", CAP)
        await world.until("bob prunes", fits(bob), within_s=120)
        assert await stays_the_same(world, bob)

        assert [row["id"] for row in await bob.bookmarks()] == [early[0]]
        for notice in (*early[:3], *mine):
            assert (await bob.show(notice))["id"] == notice
        why = await bob.why(early[0])
        assert not why["shown"] and why["reasons"][0].startswith("it is kept by itself")
        assert [row["id"] for row in await bob.timeline(author=world.home("bob").address)] == [
            answer["id"],
            *mine[::-1],
        ]
        with pytest.raises(NotFound, match="no such entry"):
            await bob.show(early[3])  # nothing here speaks of it any more
        thread = await bob.thread(answer["id"])
        assert (len(thread["notices"]), thread["missing"], thread["pruned"]) == (2, 0, 0)


def person_log(world: World, name: str) -> list[Any]:
    held = world.home(name).store.held(person(name).key)
    return [held[seq] for seq in sorted(held)]


@trio_test
async def test_a_conversation_says_what_of_it_was_pruned(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await history(world, "alice")
        await world.start("alice")
        early = person_log(world, "alice")[5].id.hex()
        carol = await world.follower("carol", "alice")

        async def carol_has_it() -> bool:
            return bool(await world.home("carol").store.find_ids(early))

        await world.until("carol has it", carol_has_it, within_s=60)
        answer = await carol.post("carol answers", reply_to=early)
        bob = await world.follower("bob", "alice", "alice", "carol")
        await bob.follow(world.home("carol").address)
        await world.reads("bob", "carol answers")
        await bob.config_set("store.max", CAP)
        await world.until("bob prunes", fits(bob), within_s=120)
        thread = await bob.thread(answer["id"])
        assert [row["text"] for row in thread["notices"]] == ["carol answers"]
        assert (thread["root"], thread["missing"], thread["pruned"]) == (early, 1, 1)
        with pytest.raises(NotFound, match="pruned to save room"):
            await bob.show(early)
        fetched = await bob.thread(answer["id"], fetch=True)  # a person may have it back
        assert (len(fetched["notices"]), fetched["missing"], fetched["pruned"]) == (2, 0, 0)


@trio_test
async def test_whom_one_follows_least_goes_first(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await history(world, "alice", 300, NOON - 2_000_000)  # newer than dave's
        await history(world, "dave", 300, NOON - 9_000_000)
        await history(world, "erin", 60)
        for name in ("alice", "dave", "erin"):
            await world.start(name, *["alice"][: name != "alice"])
        bob = await world.start("bob", "alice", "dave", "erin")
        for name in ("alice", "dave", "erin"):
            await bob.follow(world.home(name).address, name)

        async def has_all() -> bool:
            return [await held_of(world, "bob", name) for name in ("alice", "dave", "erin")] == [301, 301, 61]

        await world.until("bob has it all", has_all, within_s=120)
        await bob.create_list("bees")
        await bob.add_to_list("bees", ["dave"])
        await bob.unfollow("erin")
        await bob.config_set("store.max", "9.5MB".replace("9.5", "10"))
        await world.until("bob is below his cap", fits(bob), within_s=60)
        assert await held_of(world, "bob", "erin") == 0  # a stranger now
        assert await held_of(world, "bob", "dave") == 301  # older, but in a list
        assert 64 < await held_of(world, "bob", "alice") < 301
        assert (await bob.following())[0]["name"] is None

        await bob.follow(world.home("erin").address, "erin")  # and her newest come again

        async def has_erin() -> bool:
            return await held_of(world, "bob", "erin") >= NEWEST_FIRST

        await world.until("bob has erin's newest", has_erin, within_s=60)


@trio_test
async def test_own_notices_stay_whatever_the_cap(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await history(world, "bob")
        await history(world, "alice", 200)
        alice, bob = await world.start("alice"), await world.start("bob", "alice")
        await bob.follow(world.home("alice").address)
        await bob.config_set("store.max", CAP)
        await trio.sleep(120)
        store = (await bob.status())["store"]
        assert store["used"] > 10_000_000 and store["pruned"] > 0
        assert await held_of(world, "bob", "bob") == MANY + 1
        assert await held_of(world, "bob", "alice") == 1
        await alice.post("news")  # what is new comes all the same, and makes the one before it go
        await world.reads("bob", "news")
        await world.kill("bob")
        bob = await world.start("bob", "alice")
        await trio.sleep(60)
        assert 1 <= await held_of(world, "bob", "alice") <= 2
        assert (await bob.timeline(limit=1, author=world.home("alice").address))[0]["text"] == "news"


@trio_test
async def test_history_is_fetched_again_once_there_is_room_by_other_means(autojump_clock: MockClock) -> None:
    """What fills the store here may not go, until its author is blocked."""
    async with open_world() as world:
        to_bob = f"@{world.home('bob').address} {LARGE}"[:4_900]
        await history(world, "alice", 760, said=to_bob)
        await history(world, "carol", 200, said="carol's")
        await world.start("alice")
        await world.start("carol", "alice")
        bob = await world.start("bob", "alice", "carol")
        await bob.config_set("store.max", CAP)
        await bob.follow(world.home("alice").address)
        holdings = bob._driver.machine.holdings

        async def is_full() -> bool:
            store = (await bob.status())["store"]
            return holdings.is_full and store["used"] > 10_000_000

        await world.until("bob is full", is_full, within_s=120)
        await trio.sleep(30)
        assert await is_full()
        await bob.block(world.home("alice").address)
        assert (await bob.status())["store"]["used"] < 1_000_000
        await bob.follow(world.home("carol").address)

        async def has_carol() -> bool:
            return await held_of(world, "bob", "carol") == 201

        await world.until("bob has all of carol", has_carol, within_s=120)


@trio_test
async def test_people_are_followed_though_the_disk_takes_nothing_more(autojump_clock: MockClock) -> None:
    """Nor does anything else wait for the disk that a person asks for."""
    async with open_world() as world:
        alice, bob = await world.start("alice"), await world.start("bob", "alice")
        await bob.follow(world.home("alice").address)
        for number in range(70):
            await alice.post(f"notice {number}")
        await world.reads("bob", "notice 69")
        store = world.home("bob").store
        await store.prune(person("alice").key, 64, NOON)
        refused = Refused(store)
        await alice.post("news")
        await world.until("bob's disk is full", refused.once)
        with trio.fail_after(30):
            await bob.follow(world.home("carol").address)
            await bob.create_list("bees")
            await bob.config_set("store.max", CAP)
            await bob.config_unset("store.max")
            await bob.block(world.home("carol").address)
        assert (await bob.status())["store"]["pruned"] > 0 and [row["name"] for row in await bob.lists()] == ["bees"]
        refused.is_over = True
        await world.reads("bob", "news")
        assert (await bob.status())["store"]["pruned"] == 0


@trio_test
async def test_room_is_made_beside_what_is_damaged(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await history(world, "alice")
        bob = await world.start("bob", "alice")
        await world.start("alice")

        async def meet_damage(*_args: Any, **_kwargs: Any) -> Any:
            raise StoreDamaged("the database is damaged")

        store = world.home("bob").store
        store.prune_strays = store.dms = meet_damage  # type: ignore[method-assign]
        await bob.config_set("store.max", CAP)
        await bob.follow(world.home("alice").address, "alice")
        await world.until("bob prunes", fits(bob), within_s=120)


class Refused:
    """Counts the runs that a store has no room for, and the floors that it could not lift for that."""

    def __init__(self, store: MemoryStore) -> None:
        self.count, self.is_over = 0, False
        self._append, self._lift_floors = store.append, store.lift_floors
        store.append, store.lift_floors = self.append, self.lift_floors  # type: ignore[method-assign]

    async def append(self, batches: Sequence[Batch], now_ms: int, durable: bool = False) -> list[LogState]:
        self._check()
        return await self._append(batches, now_ms, durable)

    async def lift_floors(self, identity: IdentityHash | None = None) -> list[LogState]:
        self._check()
        return await self._lift_floors(identity)

    def _check(self) -> None:
        if not self.is_over:
            self.count += 1
            raise StoreFull("no room")

    async def once(self) -> bool:
        return self.count > 0


@trio_test
async def test_a_list_may_go_while_room_is_made(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await history(world, "alice", 700)
        await world.start("alice")
        bob = await world.start("bob", "alice")
        await bob.follow(world.home("alice").address)
        for name in ("bees", "wasps"):
            await bob.create_list(name)
            await bob.add_to_list(name, [world.home("alice").address])

        async def has_all() -> bool:
            return await held_of(world, "bob", "alice") == 701

        await world.until("bob has it all", has_all, within_s=120)
        store = world.home("bob").store
        members = store.members

        async def members_of(name: str) -> list[IdentityHash]:
            """A reader takes its time, and meanwhile a list is deleted."""
            if "wasps" in store._lists:
                await store.drop_list("wasps")
            return await members(name)

        store.members = members_of  # type: ignore[method-assign]
        await bob.config_set("store.max", CAP)
        await world.until("bob prunes", fits(bob), within_s=120)


@trio_test
async def test_direct_messages_stay_if_they_are_for_us(autojump_clock: MockClock) -> None:
    """Whether they are is tried before room is made, though nobody has looked at them."""
    async with open_world() as world:
        mallory, alice, bob_himself = (person(name) for name in ("mallory", "alice", "bob"))
        world.home("mallory").keyring = replace(world.home("mallory").keyring, name=None)
        mallory.log.dm("for bob", bob_himself, by=mallory)
        for_alice = mallory.log.dm("x" * 6_900, alice, by=mallory).payload
        assert for_alice is not None
        for number in range(1_200):
            mallory.log.write(for_alice, time_ms=NOON - 10_000_000 + 1_000 * number)
        store = world.home("mallory").store
        await store.put_identity(mallory.identity)
        for first in range(1, 1_203, 100):
            await store.append([Batch(mallory.hash, mallory.log.run(first, first + 99))], NOON)
        await world.start("mallory")
        bob = await world.start("bob", "mallory")
        await bob.config_set("store.max", CAP)
        await bob.follow(world.home("mallory").address)
        await world.until("bob prunes", fits(bob), within_s=120)
        assert await stays_the_same(world, bob)
        assert [dm["text"] for dm in await bob.dms()] == ["for bob"]


@trio_test
async def test_whom_one_answered_last_is_close_however_much_one_wrote_before(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await history(world, "bob", 200)
        await history(world, "alice", 300, NOON - 9_000_000)
        await history(world, "carol", 300, NOON - 2_000_000)  # newer than alice's
        await world.start("alice")
        await world.start("carol", "alice")
        bob = await world.start("bob", "alice", "carol")
        for name in ("alice", "carol"):
            await bob.follow(world.home(name).address)

        async def has_all() -> bool:
            return [await held_of(world, "bob", name) for name in ("alice", "carol")] == [301, 301]

        await world.until("bob has it all", has_all, within_s=120)
        await bob.post(f"hello @{world.home('alice').address}")
        await bob.config_set("store.max", CAP)
        await world.until("bob is below his cap", fits(bob), within_s=60)
        assert await held_of(world, "bob", "alice") == 301
        assert await held_of(world, "bob", "carol") < 301


@trio_test
async def test_room_is_made_also_where_ones_own_log_can_not_be_read(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await history(world, "alice")
        await world.start("alice")
        bob, store = await world.start("bob", "alice"), world.home("bob").store
        await bob.post("mine")
        run = store.run

        async def damaged(device: DeviceKey, first: int, last: int, bytes_max: int) -> Sequence[Entry]:
            if device == person("bob").key:
                raise StoreDamaged("the database is damaged")
            return await run(device, first, last, bytes_max)

        store.run = damaged  # type: ignore[method-assign]
        await bob.config_set("store.max", CAP)
        await bob.follow(world.home("alice").address)
        await world.until("bob is below his cap", fits(bob), within_s=120)


@trio_test
async def test_settings_are_kept_and_checked(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        bob = await world.start("bob")
        assert [(row["key"], row["value"]) for row in await bob.config()] == [
            ("files.max", "1GiB"),
            ("store.max", "none"),
        ]
        for key in ("store.max", "files.max"):
            for wrong in ("", "2", "-1GB", "9999kB", "2 Gigabytes", "1001TB", "1e9B", "0GB"):
                with pytest.raises(UsageError):
                    await bob.config_set(key, wrong)
        with pytest.raises(UsageError):
            await bob.config_set("store.min", "2GB")
        assert (await bob.config_set("STORE.max", " 1.5 gib"))["value"] == "1536MiB"
        assert (await bob.config_set("files.max", "none"))["value"] == "none"
        parts = world.home("bob").parts
        assert parts is not None and parts.room.files_max == 768 * 2**20  # half of the store's
        await world.kill("bob")
        bob = await world.start("bob")
        assert [row["value"] for row in await bob.config()] == ["none", "1536MiB"]
        assert (await bob.config_unset("store.max"))["value"] == "none"
        assert (await bob.config_get("store.max"))["value"] == "none"
