"""Scenes of direct messages: who reads them, who only carries them, and what cannot be sent."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest
import trio
from builders import NOON, key_pair, person
from trio.testing import MockClock, trio_test
from worlds import World, open_world

from p2pblog.cases.private import TRIED_AT_ONCE
from p2pblog.config import DM_BOXES_MAX, DM_BYTES_MAX, DM_RECIPIENTS_MAX
from p2pblog.control.documents import DmDocument
from p2pblog.core import payload
from p2pblog.core.address import spell
from p2pblog.core.keys import EntryId
from p2pblog.core.logs import Batch
from p2pblog.core.payload import Dm, Unknown
from p2pblog.core.sealed import read
from p2pblog.core.value import replace
from p2pblog.errors import NotFound, NotPermitted, StoreDamaged, StoreFull, UsageError, UserError
from p2pblog.gossip.events import Learned
from p2pblog.node import Node
from p2pblog.store import DmRow, Follow
from p2pblog.store.meaning import Kind


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


async def until_read(world: World, reader: str, *texts: str) -> list[DmDocument]:
    """The reader's list comes to be these, newest first."""
    node = world.home(reader).node

    async def held() -> bool:
        return [dm["text"] for dm in await node.dms()] == list(texts)

    await world.until(f"{reader} reads {texts}", held)
    return await node.dms()


async def until_known(world: World, node: Node, *names: str) -> None:
    """The node learns of their devices."""

    async def known() -> bool:
        identities = node._driver.machine.holdings.identities
        return all(person(name).hash in identities and identities[person(name).hash].devices for name in names)

    await world.until(f"{names} are known", known)


async def circle(world: World, *names: str) -> None:
    """The first follows all others, and they the first."""
    first = await world.start(names[0])
    for name in names[1:]:
        await world.follower(name, names[0])
        await first.follow(world.home(name).address, name)
    await until_known(world, first, *names[1:])


async def sealed_of(world: World, name: str, identifier: str) -> Dm:
    """The payload as this node holds it."""
    located = await world.home(name).store.locate(EntryId(bytes.fromhex(identifier)))
    assert located is not None
    assert located.entry.payload is not None
    dm = payload.decode(located.entry.payload)
    assert isinstance(dm, Dm)
    return dm


# --- who reads it -----------------------------------------------------------------------------------------------------


@trio_test
async def test_recipients_read_it_and_who_holds_the_log_does_not(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await circle(world, "alice", "bob", "carol", "mallory")
        alice = world.home("alice").node
        written = await alice.dm(["bob", world.home("carol").address, "bob"], "tea at five?")
        assert list(written) == ["id", "type", "author", "device", "seq", "time"]
        assert written["type"] == "dm"
        notice = (await alice.post("a notice"))["id"]
        assert await alice.dms(before=written["id"]) == []
        with pytest.raises(NotFound, match="no direct message"):
            await alice.dms(before=notice)
        expected = {
            "id": written["id"],
            "from": world.home("alice").address,
            "to": [world.home("bob").address, world.home("carol").address],
            "text": "tea at five?",
            "time": written["time"],
        }
        for name in ("alice", "bob", "carol"):
            assert await until_read(world, name, "tea at five?") == [expected]
        await world.reads("mallory", "a notice")
        mallory = world.home("mallory")
        assert await mallory.node.dms() == []
        dm = await sealed_of(world, "mallory", written["id"])  # she holds it, and passes it on
        every_key = (mallory.keyring.device, mallory.keyring.root, mallory.keyring.node)
        for somebody in ("alice", "bob", "mallory"):
            assert read(dm, person("alice").hash, person(somebody).hash, every_key) is None
        assert await mallory.store.dms(9) == []  # and does not try it again


@trio_test
async def test_whom_it_is_for_is_told_of_it_once(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await circle(world, "alice", "bob", "mallory")
        written = await world.home("alice").node.dm(["bob"], "tea at five?")
        await until_read(world, "bob", "tea at five?")
        bob, mallory = world.home("bob").node, world.home("mallory")
        for is_read in False, True:
            news = await bob.notifications()
            assert news == [
                {
                    "id": written["id"],
                    "type": "dm",
                    "from": world.home("alice").address,
                    "name": "alice",
                    "notice": written["id"],
                    "time": written["time"],
                    "read": is_read,
                }
            ]
            assert await bob.notifications(unread=True) == ([] if is_read else news)
            assert await bob.read_notifications() == {"read": 0 if is_read else 1}

        async def is_with_mallory() -> bool:
            return bool(await mallory.store.locate(EntryId(bytes.fromhex(written["id"]))))

        await world.until("mallory holds it", is_with_mallory)
        assert await mallory.node.notifications() == await world.home("alice").node.notifications() == []
        assert await mallory.store.dms(9) == []  # and does not try it again
        await world.home("alice").node.delete(written["id"])
        await until_read(world, "bob")
        assert await bob.notifications() == []


@trio_test
async def test_many_are_told_in_the_order_in_which_they_stand_and_a_reader_waits_for_some_of_them_only(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world:
        bob, mallory = await world.start("bob"), person("mallory")
        await bob.follow(spell(mallory.hash))
        written = [mallory.log.dm(f"{number}", person("bob"), by=mallory) for number in range(2 * TRIED_AT_ONCE + 1)]
        newest_first = [dm.id.hex() for dm in reversed(written)]
        store = world.home("bob").store
        await store.put_identity(mallory.identity)
        await store.append([Batch(mallory.hash, mallory.log.run())], NOON)
        monkeypatch.setattr("p2pblog.cases.news.NEWS_WAITED_FOR_S", 0)
        assert [news["id"] for news in await bob.notifications(200)] == newest_first[-TRIED_AT_ONCE:]
        assert await bob.read_notifications() == {"read": 2 * TRIED_AT_ONCE}
        await bob.gather_news()
        told = await bob.notifications(200)
        assert [news["id"] for news in told] == newest_first
        assert [news["id"] for news in told if not news["read"]] == newest_first[:1]


@trio_test
async def test_it_stands_in_no_timeline_and_nobody_can_answer_or_mark_it(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await circle(world, "alice", "bob")
        written = await world.home("alice").node.dm(["bob"], "tea at five?")
        await until_read(world, "bob", "tea at five?")
        for name in ("alice", "bob"):
            node = world.home(name).node
            assert await node.timeline() == []
            assert await node.timeline(author=world.home("alice").address) == []
            for use_case in (node.show, node.thread, node.like, node.boost, node.bookmark):
                with pytest.raises(NotFound, match="direct message") as told:
                    await use_case(written["id"])
                assert told.value.hint == "p2pblog dm"
            with pytest.raises(NotFound, match="direct message"):
                await node.post("tea!", written["id"])


@trio_test
async def test_its_author_takes_it_back_and_nobody_else(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await circle(world, "alice", "bob")
        alice, bob = world.home("alice").node, world.home("bob").node
        written = await alice.dm(["bob"], "regretted")
        await until_read(world, "bob", "regretted")
        with pytest.raises(NotPermitted):
            await bob.delete(written["id"])
        assert (await alice.delete(written["id"]))["type"] == "delete"
        assert await alice.dms() == []
        await until_read(world, "bob")


@trio_test
async def test_a_list_is_paged_and_what_is_for_others_costs_once(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await circle(world, "alice", "bob", "carol")
        alice, bob = world.home("alice").node, world.home("bob").node
        for number in range(3):
            await alice.dm(["bob"], f"{number}")
            for _ in range(TRIED_AT_ONCE):
                await alice.dm(["carol"], "for carol")
        await world.until("bob holds them", lambda: _holds(world, "bob", 3 * (1 + TRIED_AT_ONCE)))
        assert [dm["text"] for dm in await bob.dms(1)] == ["2"]
        first = await bob.dms(2)
        assert [dm["text"] for dm in first] == ["2", "1"]
        assert [dm["text"] for dm in await bob.dms(2, first[-1]["id"])] == ["0"]
        assert await bob.dms(2, (await bob.dms())[-1]["id"]) == []
        assert len(await world.home("bob").store.dms(999)) == 3
        assert len(await alice.dms(999)) == 3 * (1 + TRIED_AT_ONCE)
        with pytest.raises(UsageError):
            await bob.dms(0)


@trio_test
async def test_while_many_are_tried_the_rest_of_the_node_has_its_turn(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        bob, mallory = world.home("bob"), person("mallory")
        bob.keyring = replace(bob.keyring, former=tuple(key_pair(f"bob's former {number}") for number in range(3)))
        for number in range(TRIED_AT_ONCE):
            mallory.log.dm(f"{number}", person("carol"), by=mallory)
        await bob.store.put_identity(mallory.identity)
        await bob.store.append([Batch(mallory.hash, mallory.log.run())], NOON)
        node, turns = await world.start("bob"), 0
        async with trio.open_nursery() as nursery:

            async def others() -> None:
                nonlocal turns
                while True:
                    turns += 1
                    await trio.lowlevel.checkpoint()

            nursery.start_soon(others)
            assert await node.dms() == []
            nursery.cancel_scope.cancel()
        assert turns > 3 * TRIED_AT_ONCE  # of four keys each


@trio_test
async def test_on_a_full_disk_people_still_read(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        bob, mallory = world.home("bob"), person("mallory")
        mallory.log.dm("for bob", person("bob"), by=mallory)
        mallory.log.dm("for carol", person("carol"), by=mallory)
        await bob.store.put_identity(mallory.identity)
        await bob.store.append([Batch(mallory.hash, mallory.log.run())], NOON)

        async def full(for_us: Sequence[EntryId], for_others: Sequence[EntryId], now_ms: int) -> None:
            raise StoreFull("no room")

        node, settle = await world.start("bob"), bob.store.settle_dms
        bob.store.settle_dms = full  # type: ignore[method-assign]
        assert [dm["text"] for dm in await node.dms()] == ["for bob"]
        bob.store.settle_dms = settle  # type: ignore[method-assign]
        assert [dm["text"] for dm in await node.dms()] == ["for bob"]
        assert len(await bob.store.dms(9)) == 1


@trio_test
async def test_one_that_the_disk_lost_keeps_no_other_from_being_read_and_told(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_world() as world:
        bob, mallory = world.home("bob"), person("mallory")
        mallory.log.dm("lost", person("bob"), by=mallory)
        mallory.log.dm("for bob", person("bob"), by=mallory)
        await bob.store.put_identity(mallory.identity)
        await bob.store.put_follow(Follow(mallory.hash))
        await bob.store.append([Batch(mallory.hash, mallory.log.run())], NOON)
        (lost, _) = bob.store._dms.values()
        lost.entry = replace(lost.entry, payload=payload.encode(payload.Note("no direct message")))
        node = await world.start("bob")
        await node.gather_news()
        for _ in range(2):
            assert [dm["text"] for dm in await node.dms()] == ["for bob"]
            assert [each["type"] for each in await node.notifications()] == ["dm"]
        await node._room._try_dms()
    assert [record.levelname for record in caplog.records if lost.entry.id.hex() in record.message] == ["ERROR"]


@trio_test
async def test_one_that_can_be_neither_told_nor_set_aside_is_tried_once_a_time(autojump_clock: MockClock) -> None:
    """Else a node that looks for them in the background would do nothing else any more."""
    async with open_world() as world:
        bob, node = world.home("bob"), await world.start("bob")
        row = DmRow(EntryId(bytes(32)), person("bob").hash, NOON, payload.encode(payload.Note("no direct message")))

        asked = 0

        async def mixed_up(limit: int, before: EntryId | None = None, untold: bool = False) -> list[DmRow]:
            nonlocal asked
            asked += 1
            assert asked < 9
            return [row]

        bob.store.dms = mixed_up  # type: ignore[method-assign]
        await node.gather_news()


@trio_test
async def test_what_goes_while_the_rest_is_tried_ends_nothing(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world:
        bob, mallory = world.home("bob"), person("mallory")
        for number in range(TRIED_AT_ONCE + 1):
            mallory.log.dm(f"{number}", person("carol"), by=mallory)
        await bob.store.put_identity(mallory.identity)
        await bob.store.append([Batch(mallory.hash, mallory.log.run())], NOON)
        node, settle = await world.start("bob"), bob.store.settle_dms

        async def lose(for_us: Sequence[EntryId], for_others: Sequence[EntryId], now_ms: int) -> None:
            await settle(for_us, for_others, now_ms)
            await bob.store.drop_log(mallory.key)

        with monkeypatch.context() as patch:
            patch.setattr(bob.store, "settle_dms", lose)
            await node.try_dms()
        assert await bob.store.dms(9) == []


async def _holds(world: World, name: str, dms: int) -> bool:
    return len(await world.home(name).store.dms(999)) == dms


@trio_test
async def test_one_writes_to_oneself(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        own = world.home("alice").address
        await alice.dm([own], "buy tea")
        (dm,) = await alice.dms()
        assert (dm["from"], dm["to"], dm["text"]) == (own, [own], "buy tea")


# --- who carries it ---------------------------------------------------------------------------------------------------


@trio_test
async def test_a_node_that_does_not_know_the_type_carries_it_to_one_that_does(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await circle(world, "alice", "bob")
        await world.kill("bob")
        alice = world.home("alice").node
        written = await alice.dm(["bob"], "by way of an old node")
        await alice.post("a notice")
        known = payload._known

        def known_of_old(kind: str, fields: dict[str, Any]) -> payload.Payload:
            return Unknown(kind) if kind == "dm" else known(kind, fields)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(payload, "_known", known_of_old)
            await world.follower("olga", "alice")
            await world.reads("olga", "a notice")
            assert await world.home("olga").node.dms() == []
            store = world.home("olga").store
            assert store._by_id[EntryId(bytes.fromhex(written["id"]))].meaning.kind == Kind.OTHER
            await world.kill("alice")
        await world.start("bob", "olga")
        await until_read(world, "bob", "by way of an old node")


@trio_test
async def test_a_copy_in_another_log_is_not_taken_for_its_authors(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await circle(world, "alice", "bob", "mallory")
        written = await world.home("alice").node.dm(["bob"], "tea at five?")
        bob, mallory = world.home("bob").node, world.home("mallory").node
        await bob.follow(world.home("mallory").address)
        await world.until("mallory holds it", lambda: _holds(world, "mallory", 1))
        await mallory._author.write(await sealed_of(world, "mallory", written["id"]))
        await mallory.post("done")
        await world.reads("bob", "done")
        assert [(dm["id"], dm["from"]) for dm in await bob.dms()] == [(written["id"], world.home("alice").address)]


# --- devices ----------------------------------------------------------------------------------------------------------


@trio_test
async def test_every_device_of_both_reads_it_also_the_one_that_a_home_has_left(autojump_clock: MockClock) -> None:
    """Alice's disk is put back: she goes on as a new device beside her old one."""
    async with open_world() as world:
        await circle(world, "bob", "alice")
        alice, bob = world.home("alice").node, world.home("bob").node
        await bob.dm(["alice"], "before")
        await until_read(world, "alice", "before")
        await until_known(world, alice, "bob")
        old = copy.deepcopy(world.home("alice").store)
        await alice.dm([world.home("bob").address], "lost by the disk")
        await until_read(world, "bob", "lost by the disk", "before")
        await world.kill("alice")
        world.home("alice").store = old
        alice = await world.start("alice", "bob")
        await alice.post("after the roll-back")
        await world.reads("bob", "after the roll-back")

        await until_read(world, "alice", "lost by the disk", "before")
        after = await bob.dm(["alice"], "after")
        await until_read(world, "alice", "after", "lost by the disk", "before")
        dm, keyring = await sealed_of(world, "bob", after["id"]), world.home("alice").keyring
        assert keyring.former == (person("alice").device,)
        for device in (keyring.device, *keyring.former):
            message = read(dm, person("bob").hash, person("alice").hash, (device,))
            assert message is not None
            assert message.text == "after"


@trio_test
async def test_ones_own_other_devices_read_what_one_wrote(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await circle(world, "alice", "bob")
        alice, tablet = person("alice"), key_pair("alice/tablet")
        alice.add_device("tablet")
        world.home("alice").node._driver.feed(Learned(alice.identity))
        written = await world.home("alice").node.dm(["bob"], "from the laptop")
        dm = await sealed_of(world, "alice", written["id"])
        assert read(dm, alice.hash, alice.hash, (tablet,)) is not None


@trio_test
async def test_a_retired_device_gets_nothing_more(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await circle(world, "alice", "bob")
        alice, bob = world.home("alice").node, person("bob")
        bob.add_device("stolen tablet")
        bob.add_device("phone")
        tablet, phone = key_pair("bob/stolen tablet"), key_pair("bob/phone")
        alice._driver.feed(Learned(bob.retire(tablet.public, 0, None)))  # type: ignore[arg-type]
        written = await alice.dm(["bob"], "change the locks")
        dm = await sealed_of(world, "alice", written["id"])
        assert read(dm, person("alice").hash, bob.hash, (phone,)) is not None
        assert read(dm, person("alice").hash, bob.hash, (tablet,)) is None


# --- what cannot be sent ----------------------------------------------------------------------------------------------


@trio_test
async def test_somebody_of_whom_nothing_is_here_is_told_apart(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        address = world.home("bob").address
        with pytest.raises(NotFound, match="follow them first") as caught:
            await alice.dm([address], "hello?")
        assert caught.value.hint == f"p2pblog follow {address}"
        await alice.follow(address)
        with pytest.raises(NotFound, match="wait until"):
            await alice.dm([address], "hello?")
        with pytest.raises(UsageError):
            await alice.dm(["nobody"], "hello?")
        await alice.block(address)
        with pytest.raises(UserError, match=f"you have blocked {address}") as refused:  # who can't be followed either
            await alice.dm([address], "hello?")
        assert refused.value.hint == f"p2pblog unblock {address}"
        assert await alice.dms() == []


@trio_test
async def test_a_message_has_limits(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await circle(world, "alice", "bob")
        alice, bob = world.home("alice").node, person("bob")
        names = [f"somebody {number}" for number in range(DM_RECIPIENTS_MAX)]
        for name in names:
            alice._driver.feed(Learned(person(name).identity))
        everybody = [person(name).address for name in names]
        await alice.dm(everybody[1:], "x" * (DM_BYTES_MAX - 1))
        await alice.dm(everybody, "é" * (DM_BYTES_MAX // 2))
        with pytest.raises(UsageError, match="16 people"):
            await alice.dm([*everybody, "bob"], "hello")
        for text in ("", " \n", "\u200b", "é" * (DM_BYTES_MAX // 2) + "x", "half a pair: \ud800"):
            with pytest.raises(UsageError):
                await alice.dm(["bob"], text)
        with pytest.raises(UsageError):
            await alice.dm([], "hello")

        for number in range(2, DM_BOXES_MAX - 1):  # with bob's first one and alice's own: one under
            bob.add_device(f"device {number}")
        for over in (-1, 0, 1):
            alice._driver.feed(Learned(bob.identity))
            if over <= 0:
                await alice.dm(["bob"], "to many devices")
            else:
                with pytest.raises(UserError, match="65 devices"):
                    await alice.dm(["bob"], "to too many devices")
            bob.add_device(f"one more {over}")


@trio_test
async def test_where_it_is_not_seen_which_polls_have_closed_direct_messages_are_told(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await circle(world, "alice", "bob")
        store, bob = world.home("bob").store, world.home("bob").node

        async def damaged(now_ms: int) -> int:
            raise StoreDamaged("the database is damaged")

        async def told() -> bool:
            return [each["type"] for each in await bob.notifications()] == ["dm"]

        store.end_polls = damaged  # type: ignore[method-assign]
        await world.home("alice").node.dm(["bob"], "hello")
        await world.until("bob is told", told)
        with pytest.raises(StoreDamaged):
            await bob.gather_news()
