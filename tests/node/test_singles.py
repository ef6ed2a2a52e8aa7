"""What is held singly follows its author: edits and deletes of what came through boosts, groups, answers."""

from __future__ import annotations

from functools import partial

import pytest
import trio
from pointer_scenes import heard, told
from trio.testing import MockClock, trio_test
from worlds import World, open_world

from p2pblog.cases.again import SINGLE_AGAIN_MAX, SINGLE_AGAIN_S, SINGLES_ASKED_MAX, Again
from p2pblog.config import POINTED_S, THREAD_FETCH_S
from p2pblog.core.keys import EntryId
from p2pblog.core.logs import Located
from p2pblog.core.payload import Ref
from p2pblog.errors import NotFound, StoreDamaged
from p2pblog.gossip.strays import Strays
from p2pblog.node import Node
from p2pblog.store.memory import MemoryStore

ID = [EntryId(bytes([0, *number.to_bytes(2, "big")]) + bytes(29)) for number in range(SINGLES_ASKED_MAX + 2)]


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


async def carol_reads_a_boost(world: World, quotes: bool = False, edited: bool = False) -> tuple[Node, Node, str]:
    """Alice posts, and edits it perhaps; bob boosts or quotes it, and carol follows bob alone. Gives alice, carol and
    alice's notice."""
    await world.start("dave")
    alice = await world.start("alice", "dave")
    bob = await world.follower("bob", "alice", "alice", "dave")
    notice = (await alice.post("call me" if edited else "my number is 555"))["id"]
    if edited:
        await world.reads("bob", "call me")
        await alice.edit(notice, "my number is 555")
    await world.reads("bob", "my number is 555")
    await (bob.quote(notice, "look") if quotes else bob.boost(notice))
    carol = await world.follower("carol", "bob", "dave")
    await world.until("carol reads it", partial(reads, carol, "my number is 555"))
    await world.until("she asks for no more", partial(is_answered, carol))
    return alice, carol, notice


async def is_answered(node: Node) -> bool:
    return not node._driver.machine.strays.asked


async def reads(node: Node, text: str | None) -> bool:
    """Whether the newest notice at home shows these words, as its own or as the quoted ones."""
    row = next(iter(await node.timeline()), None)
    if row is None:
        return False
    return (row["quote"]["text"] if row["quote"] is not None else row["text"] or None) == text


async def bob_has(world: World, notice: str, texts: list[str]) -> None:
    async def has() -> bool:
        return [each["text"] for each in await world.home("bob").node.versions(notice)] == texts

    await world.until("bob has heard of it", has)


@trio_test
async def test_a_reader_of_a_boost_reads_the_edit_and_not_what_was_deleted(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice, carol, notice = await carol_reads_a_boost(world)
        await alice.edit(notice, "call me")
        await bob_has(world, notice, ["my number is 555", "call me"])
        assert await reads(carol, "my number is 555")  # she asked as she looked last
        await trio.sleep(SINGLE_AGAIN_S)
        assert await world.until("carol reads the edit", partial(reads, carol, "call me")) < 2
        await alice.delete(notice)
        await world.until("bob hears of the delete", partial(reads, world.home("bob").node, None))
        await trio.sleep(SINGLE_AGAIN_S)
        assert await world.until("it is gone for carol", partial(reads, carol, None)) < 2
        (row,) = await carol.timeline()
        assert row["boost_deleted"]
        assert (await carol.search("555"))["notices"] == (await carol.search("call"))["notices"] == []
        assert (await carol.why(notice))["reasons"] == ["its author deleted it"]


@trio_test
async def test_a_page_is_shown_beside_a_single_notice_that_is_not_as_it_was_signed(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What peers are asked about is only where it stands: nothing is read of it that may be damaged."""
    async with open_world() as world:
        alice, carol, notice = await carol_reads_a_boost(world)
        await alice.edit(notice, "call me")
        await bob_has(world, notice, ["my number is 555", "call me"])
        await trio.sleep(SINGLE_AGAIN_S)
        locate = MemoryStore.locate

        async def damaged(store: MemoryStore, entry: EntryId) -> Located | None:
            if store is world.home("carol").store:
                raise StoreDamaged("entry 2 of log 3 is not as it was signed")
            return await locate(store, entry)

        monkeypatch.setattr(MemoryStore, "locate", damaged)
        assert await reads(carol, "my number is 555")
        await world.until("carol reads the edit", partial(reads, carol, "call me"))


@pytest.mark.parametrize("edited", [False, True], ids=["first words", "other words"])
@trio_test
async def test_what_somebody_quotes_is_gone_with_a_word_why(autojump_clock: MockClock, edited: bool) -> None:
    """Of a notice that was edited before somebody quoted it only the edit is here."""
    async with open_world() as world:
        alice, carol, notice = await carol_reads_a_boost(world, quotes=True, edited=edited)
        await alice.delete(notice)
        await trio.sleep(SINGLE_AGAIN_S)
        assert await world.until("the words are gone for carol", partial(reads, carol, None)) < 2
        (row,) = await carol.timeline()
        assert row["quote"] is not None and row["quote"]["deleted"]


@trio_test
async def test_who_comes_late_to_a_boost_hears_at_once_that_it_was_deleted(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice, _carol, notice = await carol_reads_a_boost(world)
        await alice.delete(notice)
        await world.until("bob hears of the delete", partial(reads, world.home("bob").node, None))
        await world.kill("alice")
        erin = await world.follower("erin", "bob", "dave")

        async def is_told() -> bool:
            return [(row["text"], row["boost_deleted"]) for row in await erin.timeline()] == [("", True)]

        await world.until("erin is told", is_told)
        assert await world.home("erin").store.locate(EntryId(bytes.fromhex(notice))) is None


@trio_test
async def test_who_fetches_a_thread_hears_at_once_what_became_of_it(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice, carol, notice = await carol_reads_a_boost(world)
        await alice.edit(notice, "call me")
        begun = trio.current_time()
        assert [row["text"] for row in (await carol.thread(notice, fetch=True))["notices"]] == ["call me"]
        await alice.delete(notice)
        with pytest.raises(NotFound, match="deleted"):
            await carol.thread(notice, fetch=True)
        assert trio.current_time() - begun < THREAD_FETCH_S
        assert await reads(carol, None)


@pytest.mark.parametrize("fillers", [0, 12], ids=["deleted last", "much was said since"])
@trio_test
async def test_what_no_peer_tells_the_dht_does(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, fillers: int
) -> None:
    """Alice has gone, and nobody whom carol is linked with says anything."""
    async with open_world() as world:
        alice, carol, notice = await carol_reads_a_boost(world)
        await alice.delete(notice)
        for number in range(fillers):
            await trio.sleep(20)  # each is published
            await alice.post(f"filler {number}")
        await trio.sleep(60)
        await world.kill("alice")
        monkeypatch.setattr(Strays, "on_fetch", lambda *_: [])
        assert await reads(carol, "my number is 555")
        with pytest.raises(NotFound, match="deleted"):
            await carol.thread(notice, fetch=True)
        assert await reads(carol, None)


@trio_test
async def test_a_stranger_takes_an_answer_back(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.start("dave")
        alice = await world.start("alice", "dave")
        zoe = await world.follower("zoe", "alice", "alice", "dave")
        notice = (await alice.post("tea?"))["id"]
        await world.reads("zoe", "tea?")
        answer = (await zoe.post("my number is 555", reply_to=notice))["id"]
        await world.until("it waits for alice", partial(told, alice, "my number is 555"))
        await zoe.edit(answer, "yes")
        await trio.sleep(SINGLE_AGAIN_S)
        await world.until("alice reads the edit", partial(told, alice, "yes"))
        await zoe.delete(answer)
        await trio.sleep(SINGLE_AGAIN_S)
        await heard(alice)
        assert await world.until("it is gone", partial(told, alice)) < 2


@trio_test
async def test_a_group_forgets_what_its_author_deleted(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world:
        await world.start("dave")
        alice, bob = [await world.start(name, "dave") for name in ("alice", "bob")]
        await bob.join_group("birds")
        notice = (await alice.post("!birds my number is 555"))["id"]

        async def is_read(*texts: str) -> bool:
            return [row["text"] for row in await bob.timeline(group="birds")] == list(texts)

        await world.until("bob reads it", partial(is_read, "!birds my number is 555"))
        await world.until("he asks for no more", partial(is_answered, bob))
        await alice.delete(notice)
        await trio.sleep(60)
        await world.kill("alice")
        monkeypatch.setattr(Strays, "on_fetch", lambda *_: [])
        assert await is_read("!birds my number is 555")
        assert await bob.timeline(group="birds", fetch=True) == []


@trio_test
async def test_who_fetches_a_group_waits_ten_seconds_though_look_ups_take_longer(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world:
        await world.start("dave")
        alice, bob = [await world.start(name, "dave") for name in ("alice", "bob")]
        await bob.join_group("birds")
        await alice.post("!birds hello")

        async def is_read() -> bool:
            return [row["text"] for row in await bob.timeline(group="birds")] == ["!birds hello"]

        await world.until("bob reads it", is_read)

        async def find_later(ref: Ref, *, thorough: bool) -> list[Located]:
            await trio.sleep_forever()
            raise AssertionError

        monkeypatch.setattr(bob._meeting, "find_later", find_later)
        with trio.fail_after(POINTED_S + 1):
            assert len(await bob.timeline(group="birds", fetch=True)) == 1


def test_a_notice_is_asked_for_again_once_in_ten_minutes_and_a_page_at_once() -> None:
    again = Again()
    assert again.take([ID[0], ID[0]], 0.0) == ID[:1]
    assert again.take(ID[:2], SINGLE_AGAIN_S - 1) == ID[1:2]
    assert again.take(ID[:2], SINGLE_AGAIN_S) == ID[:1]
    assert again.take(ID[:2], SINGLE_AGAIN_S, at_once=True) == ID[:2]
    assert again.take(ID[2:], SINGLE_AGAIN_S) == ID[2 : 2 + SINGLE_AGAIN_MAX]


def test_of_few_notices_it_is_remembered_when_they_were_asked_for() -> None:
    again = Again()
    for entry in ID[: SINGLES_ASKED_MAX + 1]:
        again.take([entry], 0.0)
    assert again.take(ID[1:2], 1.0) == [] and again.take(ID[:1], 1.0) == ID[:1]
