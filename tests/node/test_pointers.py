"""Answers reach people who don't follow who answers: pointers in the DHT lead to them."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import pytest
import trio
from builders import NOON, Person, key_pair, person
from pointer_scenes import heard, reads_of, told
from rendezvous_scenes import head_of
from trio.testing import MockClock, trio_test
from worlds import open_world

from p2pblog.config import (
    POINTED_AGAIN_MS,
    POINTED_CROWDED,
    POINTED_EVERY_S,
    POINTED_S,
    POINTER_LIFETIME_MS,
)
from p2pblog.core.keys import EntryId
from p2pblog.core.logs import Located
from p2pblog.dht.records import DhtKey, Notice, Pointer, Record, notice_record, pointer_key, sign_pointer
from p2pblog.errors import StoreError
from p2pblog.gossip.offers import Offers
from p2pblog.rendezvous import pointed
from p2pblog.rendezvous.pointed import LATER, SOON_MS, Pointed
from p2pblog.rendezvous.single import in_turn, pointed_in


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


@pytest.fixture(autouse=True)
def without_offers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing comes by the other way."""
    monkeypatch.setattr(Offers, "_pass_on", lambda offers, now: [])


@trio_test
async def test_a_stranger_answers_while_the_author_is_away(autojump_clock: MockClock) -> None:
    """Carol reads alice's notice through a thread, is linked with neither, and is gone when alice comes back."""
    async with open_world() as world:
        await world.start("dave")
        alice = await world.start("alice", "dave")
        question = await alice.post("tea?")
        await trio.sleep(30)
        await world.kill("alice")
        carol = await world.start("carol", "dave")
        at = person("alice")
        theirs = await world.home("alice").store.locate(bytes.fromhex(question["id"]))  # type: ignore[arg-type]
        assert theirs is not None
        world.home("carol").node._driver.take_stray(Located(at.hash, theirs.entry, ()))
        await trio.sleep(1)
        await carol.post("tea!", reply_to=question["id"])
        await carol.post(f"@{at.address} hello")
        await trio.sleep(30)
        await world.kill("carol")
        alice = await world.start("alice", "dave")
        await world.until("alice hears of it", partial(told, alice, "@" + at.address + " hello", "tea!"))
        assert await alice.notifications() == []
        await alice.admit(person("carol").address)
        news = {each["type"]: each for each in await alice.notifications(unread=True)}
        assert news.keys() == {"mention", "reply"} and news["reply"]["notice"] == question["id"]
        assert [row["text"] for row in await alice.timeline()] == ["tea?"]  # she doesn't follow carol
        assert [row["text"] for row in (await alice.thread(question["id"]))["notices"]] == ["tea?", "tea!"]


# --- what a pointer proves --------------------------------------------------------------------------------------------


class Claim:
    """Alice's answer to bob's question, with the records that the DHT has of it."""

    def __init__(self) -> None:
        self.alice, self.bob = person("alice"), person("bob")
        self.question = self.bob.log.note("tea?")
        self.answer = self.alice.log.note("tea!", reply_to=self.question)
        self.pointer = self.signed(self.alice, self.question.id)

    def signed(self, by: Person, target: bytes, seq: int = 2) -> Pointer:
        return sign_pointer(by.device, target, by.hash, seq, NOON + POINTER_LIFETIME_MS)

    def notices(self) -> list[Record]:
        record = notice_record(self.answer)
        assert isinstance(record, Notice)
        return [record]

    def leads(self, pointer: Pointer, heads: list[Record] | None = None) -> Located | None:
        records = [head_of(self.alice)] if heads is None else heads
        return pointed_in(pointer, records, self.notices(), self.bob.hash)


def test_a_pointer_leads_to_an_entry_that_refers_to_its_target() -> None:
    claim = Claim()
    for target in (claim.question.id, claim.bob.hash):
        assert claim.leads(claim.signed(claim.alice, target)) == Located(claim.alice.hash, claim.answer, ())


def test_a_lie_leads_nowhere() -> None:
    claim, mallory = Claim(), person("mallory")
    other = claim.bob.log.note("coffee?")
    assert claim.leads(claim.signed(claim.alice, other.id)) is None  # it answers something else
    assert claim.leads(claim.signed(claim.alice, claim.question.id, seq=1)) is None  # another entry
    assert claim.leads(claim.pointer, []) is None  # nothing proves whose device it is
    assert claim.leads(claim.pointer, [head_of(mallory)]) is None
    stolen = sign_pointer(claim.alice.device, claim.bob.hash, mallory.hash, 2, NOON + POINTER_LIFETIME_MS)
    assert claim.leads(stolen, [head_of(claim.alice), head_of(mallory)]) is None
    assert claim.leads(claim.signed(mallory, claim.bob.hash), [head_of(mallory)]) is None
    assert pointed_in(claim.pointer, [head_of(claim.alice)], [], claim.bob.hash) is None
    assert pointed_in(claim.pointer, [head_of(claim.alice)], claim.notices(), claim.alice.hash) is None


def test_who_points_often_keeps_nobody_waiting() -> None:
    claim, carol = Claim(), person("carol")
    many = [claim.signed(claim.alice, claim.bob.hash, seq) for seq in range(2, 8)]
    one = sign_pointer(carol.device, claim.bob.hash, carol.hash, 5, NOON + 1)
    turns = in_turn([*many, one], random.Random(1))
    assert turns[0] == many[-1] and one in turns[:3]
    assert len(turns) == 7 and set(turns) == {*many, one}


def test_pointers_that_look_newest_keep_no_others_waiting_for_ever() -> None:
    claim, carol = Claim(), person("carol")
    honest = sign_pointer(carol.device, claim.bob.hash, carol.hash, 5, NOON + 1)
    liars = [person(f"liar {number}") for number in range(60)]
    forged = [sign_pointer(liar.device, claim.bob.hash, liar.hash, 5, NOON + 2) for liar in liars]
    looks = [in_turn([*forged, honest], random.Random(number))[:16] for number in range(100)]
    assert 5 <= sum(honest in look for look in looks) <= 30


@trio_test
async def test_lies_are_followed_once_and_the_rest_has_its_turn(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world:
        await world.start("dave")
        alice = await world.start("alice", "dave")
        target = person("alice").hash
        liars = [person(f"liar {number}") for number in range(6)]
        bob = await world.start("bob", "dave")
        await trio.sleep(1)
        await bob.post(f"@{person('alice').address} hello")
        await trio.sleep(30)
        until_ms = world.wall_ms() + POINTER_LIFETIME_MS
        lies = [sign_pointer(liar.device, target, liar.hash, 2, until_ms) for liar in liars]
        assert all(one.holders for one in await bob._meeting._directory.publish(lies))
        looked: list[bytes] = []
        pointed = alice._meeting._pointed
        look_up = pointed._look_up

        async def counted(key: Any) -> Any:
            looked.append(key)
            return await look_up(key)

        monkeypatch.setattr(pointed, "_look_up", counted)
        found = await alice._meeting.find_pointed(target, 4)
        assert (found, len(looked)) == ([], 1 + 2 * 4)
        looked.clear()
        (found,) = [await alice._meeting.find_pointed(target, 4)]
        assert [located.identity for located in found] == [person("bob").hash]
        assert len(looked) == 1 + 2 * 3
        alice._driver.take_stray(found[0])
        await world.until("it is stored", partial(told, alice, f"@{person('alice').address} hello"))
        looked.clear()
        assert await alice._meeting.find_pointed(target, 4) == []
        assert len(looked) == 1  # what is held and what led nowhere is not looked for again


@trio_test
async def test_what_is_proved_only_after_somebody_looked_is_found_at_the_next_look(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the first word of somebody whose head comes after it."""
    async with open_world() as world:
        await world.start("dave")
        alice, target, bob = await world.start("alice", "dave"), person("alice").hash, person("bob")
        await trio.sleep(1)
        directory = alice._meeting._directory
        liars = [person(f"liar {number}") for number in range(4)]
        until_ms = NOON + POINTER_LIFETIME_MS
        note = bob.log.note(f"@{person('alice').address} hello")
        early, record = sign_pointer(bob.device, target, bob.hash, note.seq, until_ms), notice_record(note)
        assert record is not None and all(one.holders for one in await directory.publish([early, record]))
        assert await alice._meeting.find_pointed(target, 4) == []
        await directory.publish([head_of(bob)])
        assert await alice._meeting.find_pointed(target, 4) == []  # asking at once and again costs nothing
        await trio.sleep(SOON_MS / 1000)
        await directory.publish([sign_pointer(liar.device, target, liar.hash, 2, until_ms) for liar in liars])
        assert await alice._meeting.find_pointed(target, 4) == []  # who has had no turn yet goes first
        (found,) = await alice._meeting.find_pointed(target, 4)
        assert found.entry == note


def test_what_leads_to_nothing_again_and_again_is_followed_ever_later() -> None:
    now_ms, waits = NOON, list[int]()
    pointed = Pointed(None, None, None, None, lambda: now_ms)  # type: ignore[arg-type]
    lie = Claim().pointer
    for _ in range(9):
        pointed._remember_vain(lie)
        again_ms, _wait_ms = pointed._vain[lie]
        waits.append(again_ms - now_ms)
        assert pointed._is_vain(lie, again_ms - 1) and not pointed._is_vain(lie, again_ms)
        now_ms = again_ms
    assert waits[:2] == [SOON_MS, LATER * SOON_MS]
    assert waits == sorted(waits) and waits[-2:] == [POINTED_AGAIN_MS, POINTED_AGAIN_MS]


@trio_test
async def test_what_led_to_nothing_while_the_clock_ran_ahead_is_followed_once_it_is_put_right(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world:
        await world.start("dave")
        world.home("alice").skew_ms = 24 * 3600 * 1000
        alice, target = await world.start("alice", "dave"), person("alice").hash
        bob = person("bob")
        await trio.sleep(30)  # her node has looked once
        early = sign_pointer(bob.device, target, bob.hash, 2, world.wall_ms() + POINTER_LIFETIME_MS)
        await world.home("dave").node._meeting._directory.publish([early])
        pointed = alice._meeting._pointed
        followed: list[Pointer] = []

        async def follow(pointer: Pointer) -> None:
            followed.append(pointer)

        monkeypatch.setattr(pointed, "_follow", follow)
        for _ in range(2):
            assert await alice._meeting.find_pointed(target, 4) == []
        assert followed == [early]
        world.home("alice").skew_ms = 0
        for _ in range(2):
            assert await alice._meeting.find_pointed(target, 4) == []
        assert followed == [early, early]


@trio_test
async def test_nobody_hears_of_who_is_blocked_and_all_is_looked_for_again_later(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.start("dave")
        alice, bob = await world.start("alice", "dave"), await world.start("bob", "dave")
        await alice.block(person("bob").address)
        await trio.sleep(1)
        await bob.post(f"@{person('alice').address} hello")
        carol = await world.start("carol", "dave")
        await trio.sleep(1)
        await carol.post(f"@{person('alice').address} hi")
        within = await world.until(
            "carol's came", partial(told, alice, f"@{person('alice').address} hi"), POINTED_EVERY_S + 30
        )
        assert within > 30
        await trio.sleep(2 * POINTED_EVERY_S)
        assert await alice._meeting.find_pointed(person("alice").hash, 9) == []
        assert await heard(alice) == [f"@{person('alice').address} hi"]


@trio_test
async def test_a_conversation_is_fetched_with_the_answers_of_strangers(autojump_clock: MockClock) -> None:
    """Bob reads alice's notice; carol has answered it, and dave her answer; bob knows neither."""
    async with open_world() as world:
        await world.start("hub")
        alice = await world.start("alice", "hub")
        question = (await alice.post("tea?"))["id"]
        carol, dave = await world.start("carol", "hub"), await world.start("dave", "hub")
        bob = await world.follower("bob", "alice", "hub")
        await world.reads("bob", "tea?")
        for name in ("carol", "dave"):
            await world.home(name).node.add_peer(str(world.home("alice").endpoint))
            await reads_of(world, name, "alice", question)
        answer = (await carol.post("tea!", reply_to=question))["id"]
        await dave.follow(person("carol").address)
        await world.reads("dave", "tea!")
        await dave.post("with milk", reply_to=answer)
        await trio.sleep(30)
        assert len((await bob.thread(question))["notices"]) == 1
        fetched = await bob.thread(question, fetch=True)
        assert [row["text"] for row in fetched["notices"]] == ["tea?", "tea!"]
        fetched = await bob.thread(answer, fetch=True)
        assert [row["text"] for row in fetched["notices"]] == ["tea?", "tea!", "with milk"]
        assert [row["text"] for row in await bob.timeline()] == ["tea?"]


@pytest.mark.parametrize("count", [POINTED_CROWDED - 1, POINTED_CROWDED])
@trio_test
async def test_where_many_answer_it_is_looked_at_the_notices_too(
    count: int, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world:
        await world.start("dave")
        alice, target = await world.start("alice", "dave"), person("alice").hash
        question = EntryId(bytes.fromhex((await alice.post("tea?"))["id"]))
        await trio.sleep(30)
        until_ms = world.wall_ms() + POINTER_LIFETIME_MS
        crowd = [key_pair(f"one of many {number}") for number in range(count)]
        signed = [sign_pointer(each, target, target, 2, until_ms) for each in crowd]
        await world.home("dave").node._meeting._directory.publish(signed)
        looked: list[bytes] = []
        pointed = alice._meeting._pointed
        look_up = pointed._look_up

        async def counted(key: Any) -> Any:
            looked.append(key)
            return await look_up(key)

        monkeypatch.setattr(pointed, "_look_up", counted)
        await trio.sleep(POINTED_EVERY_S)
        assert looked.count(pointer_key(target)) == 1
        assert looked.count(pointer_key(question)) == (count >= POINTED_CROWDED)
        assert set(looked) <= {pointer_key(target), pointer_key(question)}  # nobody follows what is said to be his own


@trio_test
async def test_a_look_has_an_end_and_outlives_a_failing_store(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world:
        await world.start("dave")
        alice, target = await world.start("alice", "dave"), person("alice").hash
        pointed = alice._meeting._pointed
        await trio.sleep(30)  # her node has looked once

        async def wait(_: DhtKey) -> None:
            await trio.sleep_forever()

        with monkeypatch.context() as patch:
            patch.setattr(pointed, "_look_up", wait)
            begun = trio.current_time()
            assert await alice._meeting.find_pointed(target, 4) == []
            assert trio.current_time() - begun == pytest.approx(POINTED_S)
        looked: list[bytes] = []

        async def fail(target: bytes, limit: int) -> list[Located]:
            looked.append(target)
            raise StoreError("the disk is gone")

        monkeypatch.setattr(pointed, "find", fail)
        await trio.sleep(POINTED_EVERY_S)
        assert looked == [target]


@trio_test
async def test_of_few_pointers_it_is_remembered_that_they_led_nowhere(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pointed, "POINTED_VAIN_MAX", 2)
    async with open_world() as world:
        machine, bob = (await world.start("alice"))._meeting._pointed, person("bob")
        lies = [sign_pointer(bob.device, bytes(32), bob.hash, seq, NOON) for seq in (2, 3, 4)]
        for lie in (*lies, lies[1]):
            machine._remember_vain(lie)
        assert list(machine._vain) == [lies[2], lies[1]]
