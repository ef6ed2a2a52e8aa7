"""Scenes of profiles between whole nodes: how one is seen by others."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from builders import person
from trio.testing import MockClock, trio_test
from worlds import Home, open_world

from p2pblog.core.keys import IdentityHash
from p2pblog.core.logs import Batch, Located
from p2pblog.errors import NotFound, NotPermitted, UsageError
from p2pblog.node import Node
from p2pblog.store import FollowRow
from p2pblog.store.memory import MemoryStore


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


async def is_found(node: Node) -> bool:
    return [follow["state"] for follow in await node.following()] == ["found"]


async def hold_the_first_entry_alone(home: Home) -> None:
    """As a first start leaves it that ended before the name was written."""
    alice = person("alice")
    await home.store.put_identity(alice.identity)
    await home.store.append([Batch(alice.hash, alice.log.run(1, 1), newest=True)], 0, durable=True)


@trio_test
async def test_a_name_is_told_also_where_the_first_start_ended_before_it(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await hold_the_first_entry_alone(world.home("alice"))
        for _ in range(2):
            alice = await world.start("alice")
            assert (await alice.profile())["name"] == "alice"
            assert [log["entries"] for log in (await alice.export_logs())["logs"]] == [2]
            await world.kill("alice")


@trio_test
async def test_a_name_to_be_told_waits_until_the_log_is_compared(autojump_clock: MockClock) -> None:
    """Another copy of this home may have told it already, at the same number."""
    async with open_world() as world:
        await hold_the_first_entry_alone(world.home("alice"))
        await world.start("bob")
        alice = await world.start("alice", "bob")
        assert (await alice.profile())["name"] is None
        told = await alice.profile(bio="Bees")
        assert (told["name"], told["bio"]) == ("alice", "Bees")
        assert [log["entries"] for log in (await alice.export_logs())["logs"]] == [3]


@trio_test
async def test_a_follower_sees_name_bio_links_and_pins(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        bob = await world.start("bob", "alice")
        address = world.home("alice").address
        with pytest.raises(NotFound, match="nothing of theirs") as refused:
            await bob.profile(address=address)
        assert refused.value.hint == f"p2pblog follow {address}"
        await bob.follow(address, "al")
        with pytest.raises(NotFound, match="nothing of theirs") as refused:
            await bob.profile(address="al")
        assert refused.value.hint == "p2pblog following"
        await world.until("bob has heard of her", lambda: is_found(bob))
        await alice.profile(name="Alice", bio="Bees")
        await alice.profile(links=["https://example.org", "mailto:a@example.org"])
        notice = (await alice.post("read this"))["id"]
        await alice.pin(notice)
        own = await alice.profile()
        assert own == {
            "address": address,
            "name": "Alice",
            "bio": "Bees",
            "links": ["https://example.org", "mailto:a@example.org"],
            "avatar": None,
            "banner": None,
            "pinned": [notice],
            "petname": None,
            "lookalike": None,
        }

        async def seen() -> bool:
            return await bob.profile(address="al") == {**own, "petname": "al"}

        await world.until("bob sees all of it", seen)
        assert await bob.profile(address=f"p2pblog:{address}") == {**own, "petname": "al"}
        await bob.unfollow("al")
        assert await bob.profile(address=address) == own  # it is held still
        assert await alice.profile(address=address) == own


@trio_test
async def test_it_is_said_why_there_is_no_profile(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice, bob = await world.start("alice"), person("bob")
        await world.home("alice").store.put_stray(Located(bob.hash, bob.log.note("hello"), ()), 0)

        with pytest.raises(NotFound, match="only single notices of theirs are here") as refused:
            await alice.profile(address=bob.address)
        assert refused.value.hint == f"p2pblog search from:{bob.address}\np2pblog follow {bob.address}"
        assert [each["text"] for each in (await alice.search(f"from:{bob.address}"))["notices"]] == ["hello"]

        await alice.mute(bob.address)
        with pytest.raises(NotFound, match="only single notices of theirs are here") as refused:
            await alice.profile(address=bob.address)
        assert refused.value.hint == f"p2pblog unmute {bob.address}\np2pblog follow {bob.address}"

        await alice.block(bob.address)
        with pytest.raises(NotFound, match="you have blocked that address") as refused:
            await alice.profile(address=bob.address)
        assert refused.value.hint == f"p2pblog unblock {bob.address}"


@trio_test
async def test_what_one_does_not_name_stays(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        await alice.profile(name="Alice", bio="Bees", links=["https://example.org"])
        changed = await alice.profile(name="Al")
        assert (changed["name"], changed["bio"], changed["links"]) == ("Al", "Bees", ["https://example.org"])
        changed = await alice.profile(bio="")
        assert (changed["name"], changed["bio"], changed["links"]) == ("Al", None, ["https://example.org"])
        changed = await alice.profile(links=[])
        assert (changed["name"], changed["bio"], changed["links"]) == ("Al", None, [])
        changed = await alice.profile(address=world.home("alice").address, links=["gemini://example.org"])
        assert changed["links"] == ["gemini://example.org"]


@trio_test
async def test_somebody_elses_profile_is_not_changed(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        for change in ({"name": "x"}, {"bio": "x"}, {"links": []}):
            with pytest.raises(NotPermitted, match="somebody else's"):
                await alice.profile(address=person("bob").address, **change)  # type: ignore[arg-type]
        with pytest.raises(UsageError):
            await alice.profile(links=["javascript:alert(1)"])
        with pytest.raises(UsageError):
            await alice.profile(address="mistyped")


@trio_test
async def test_one_person_is_shown_without_counting_what_is_held_of_all(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        asked = list[object]()
        rows = MemoryStore.follow_rows

        async def follow_rows(store: MemoryStore, of: Collection[IdentityHash] | None = None) -> list[FollowRow]:
            asked.append(of)
            return await rows(store, of)

        monkeypatch.setattr(MemoryStore, "follow_rows", follow_rows)
        for name in ("bob", "carol"):
            await alice.follow(person(name).address, name)
        assert (await alice.unfollow("bob"))["petname"] == "bob"
        await alice.profile()
        with pytest.raises(UsageError, match="neither an address nor a petname"):
            await alice.follow("bob")
        bob, carol = person("bob").hash, person("carol").hash
        assert asked == [[bob], [carol], [bob]]
