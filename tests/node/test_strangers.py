"""Scenes of strangers: what they say waits, until one lets them in or somebody whom one follows vouches for them."""

from __future__ import annotations

from typing import Any

import pytest
from builders import NOON
from trio.testing import MockClock, trio_test
from worlds import World, open_world

from p2pblog.cases import strangers
from p2pblog.core import payload
from p2pblog.core.keys import EntryId
from p2pblog.core.payload import Unknown
from p2pblog.errors import NotFound, UsageError, UserError
from p2pblog.node import Node
from p2pblog.store.meaning import Kind


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


async def an_answer_comes(world: World) -> tuple[dict[str, Any], dict[str, Any]]:
    """Alice and bob follow each other; eve, whom alice does not know, answers alice's notice, and bob boosts that, so
    that alice's node asks for it. Gives both notices."""
    alice = await world.start("alice")
    bob = await world.follower("bob", "alice")
    eve = await world.follower("eve", "alice")
    await alice.follow(world.home("bob").address, "bob")
    await bob.follow(world.home("eve").address, "eve")
    mine = await alice.post("mine")
    await world.reads("eve", "mine")
    answer = await eve.post("hello, alice", reply_to=mine["id"])
    await world.reads("bob", "hello, alice")
    await bob.boost(answer["id"])
    await world.until("eve's answer has come", lambda: waits(alice, answer["id"]))
    return dict(mine), dict(answer)


async def waits(node: Node, notice: str) -> bool:
    return notice in [row["id"] for row in await node.timeline(strangers=True)]


async def is_told(node: Node, notice: str) -> bool:
    return notice in [row["id"] for row in await node.notifications(unread=True)]


async def why_told(node: Node, notice: str) -> list[str]:
    """The reasons for which what is said to one is told, or waits."""
    return [reason for reason in (await node.why(notice))["reasons"] if "what they say to you" in reason]


async def in_thread(node: Node, notice: str) -> tuple[list[str], int]:
    found = await node.thread(notice)
    return [row["text"] for row in found["notices"]], found["strangers"]


@trio_test
async def test_an_answer_waits_until_its_author_is_admitted(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        mine, answer = await an_answer_comes(world)
        alice, eve = world.home("alice").node, world.home("eve").address
        assert [row["text"] for row in await alice.timeline(strangers=True)] == ["hello, alice"]
        assert await alice.timeline(strangers=True, before=answer["id"]) == []
        assert await alice.notifications() == []
        assert await in_thread(alice, mine["id"]) == (["mine"], 1)
        assert await in_thread(alice, answer["id"]) == (["mine", "hello, alice"], 0)
        assert (await alice.show(answer["id"]))["text"] == "hello, alice"
        assert (await alice.read_notifications())["read"] == 0
        stranger = f"{eve[:8]} is a stranger to you, so what they say to you waits: see p2pblog timeline --strangers"
        assert stranger in (await alice.why(answer["id"]))["reasons"]

        admitted = await alice.admit(eve)
        assert admitted == {"address": eve, "since": admitted["since"], "admitted": True, "vouch": None}
        assert admitted["since"] > NOON and await alice.admit(eve) == admitted
        assert await alice.admitted() == [admitted]
        assert not await waits(alice, answer["id"])
        (news,) = await alice.notifications(unread=True)
        assert (news["id"], news["type"], news["from"], news["notice"]) == (answer["id"], "reply", eve, mine["id"])
        assert await in_thread(alice, mine["id"]) == (["mine", "hello, alice"], 0)
        told = f"you admitted {eve[:8]}, so you are told what they say to you"
        assert told in (await alice.why(answer["id"]))["reasons"]
        assert (await alice.read_notifications())["read"] == 1

        await world.kill("alice")
        alice = await world.start("alice", "bob")
        assert await alice.admitted() == [admitted]
        assert (await alice.unadmit(eve))["admitted"] is False
        assert await waits(alice, answer["id"]) and await alice.notifications() == []
        with pytest.raises(NotFound):
            await alice.unadmit(eve)


@trio_test
async def test_who_is_vouched_for_by_somebody_one_follows_is_let_in(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        mine, answer = await an_answer_comes(world)
        alice, bob, eve = world.home("alice").node, world.home("bob").node, world.home("eve").address
        vouch = await bob.vouch("eve")
        assert vouch["type"] == "vouch" and await bob.vouch(eve) == vouch
        await world.until("alice is told", lambda: is_told(alice, answer["id"]))
        assert await in_thread(alice, mine["id"]) == (["mine", "hello, alice"], 0)
        told = f"bob, whom you follow, vouched for {eve[:8]}, so you are told what they say to you"
        assert told in (await alice.why(answer["id"]))["reasons"]
        assert await alice.admitted() == []

        await alice.unfollow("bob")
        assert await waits(alice, answer["id"])
        await alice.follow(world.home("bob").address, "bob")
        assert await is_told(alice, answer["id"])
        assert (await bob.unvouch("eve"))["type"] == "delete"
        await world.until("the vouch is gone", lambda: waits(alice, answer["id"]))
        again = await bob.vouch("eve")
        await world.until("alice is told again", lambda: is_told(alice, answer["id"]))
        await bob.delete(again["id"])
        await world.until("that one is gone too", lambda: waits(alice, answer["id"]))
        with pytest.raises(NotFound):
            await bob.unvouch("eve")


@trio_test
async def test_ones_own_vouch_lets_in_too_and_is_listed(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        _, answer = await an_answer_comes(world)
        alice, eve = world.home("alice").node, world.home("eve").address
        vouch = await alice.vouch(eve)
        assert await is_told(alice, answer["id"])
        assert f"you vouched for {eve[:8]}, so you are told what they say to you" in (
            await alice.why(answer["id"])
        )["reasons"]  # fmt: skip
        row = {"address": eve, "since": vouch["time"], "admitted": False, "vouch": vouch["id"]}
        assert await alice.admitted() == [row]
        await alice.admit(eve)
        assert await alice.admitted() == [{**row, "admitted": True}]
        await alice.unvouch(eve)
        assert await is_told(alice, answer["id"])
        await alice.unadmit(eve)
        assert await waits(alice, answer["id"])


@trio_test
async def test_what_is_muted_or_blocked_is_in_neither_place(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world:
        mine, answer = await an_answer_comes(world)
        alice, eve = world.home("alice").node, world.home("eve").address
        await alice.mute(word="hello")
        assert not await waits(alice, answer["id"])
        assert await in_thread(alice, mine["id"]) == (["mine"], 0)
        waiting = f"{eve[:8]} is a stranger to you, so what they say to you waits"
        assert await why_told(alice, answer["id"]) == [waiting]  # and no list shows it
        await alice.unmute(word="hello")
        await alice.mute(eve)
        assert await alice.timeline(strangers=True) == await why_told(alice, answer["id"]) == []
        await alice.admit(eve)
        assert await alice.notifications() == await why_told(alice, answer["id"]) == []
        await alice.unmute(eve)
        assert await is_told(alice, answer["id"])
        await alice.block(eve)
        assert await alice.timeline(strangers=True) == await alice.notifications() == await alice.admitted() == []
        for refused in (alice.admit, alice.vouch):
            with pytest.raises(UserError, match="blocked"):
                await refused(eve)
            with pytest.raises(UsageError, match="your own address"):
                await refused(world.home("alice").address)
        for beside in ({"author": "bob"}, {"tag": "bees"}, {"of_list": "tea"}):
            with pytest.raises(UsageError, match="without a person, a tag, a list or a group"):
                await alice.timeline(strangers=True, **beside)  # type: ignore[arg-type]

        async def is_full(*_: object) -> bool:
            return False

        monkeypatch.setattr(world.home("alice").store, "put_admitted", is_full)
        with pytest.raises(UserError, match=f"{strangers.ADMITTED_MAX:,} people already"):
            await alice.admit(world.home("carol").address)


@trio_test
async def test_why_agrees_with_the_news_about_what_was_edited(autojump_clock: MockClock) -> None:
    """What a notice said first counts, for both."""
    async with open_world() as world:
        alice = await world.start("alice")
        eve = await world.follower("eve", "alice")
        await alice.follow(world.home("eve").address)
        named = f"@{world.home('alice').address}"
        to_nobody, to_alice = await eve.post("hello"), await eve.post(f"psst {named}")
        await eve.edit(to_nobody["id"], f"hello {named}")
        await eve.edit(to_alice["id"], "nothing")
        await world.reads("alice", "nothing")
        assert (await alice.show(to_nobody["id"]))["mentions"] == [world.home("alice").address]
        assert [news["id"] for news in await alice.notifications()] == [to_alice["id"]]

        eves = world.home("eve").address
        await alice.unfollow(eves)
        await alice.admit(eves)
        assert await why_told(alice, to_nobody["id"]) == []
        assert await why_told(alice, to_alice["id"]) == [
            f"you admitted {eves[:8]}, so you are told what they say to you"
        ]


@trio_test
async def test_a_node_that_does_not_know_vouches_carries_them_on(autojump_clock: MockClock) -> None:
    """Olga's is of an earlier version; alice has bob's log from her."""
    async with open_world() as world:
        await world.start("bob")
        bob = world.home("bob").node
        vouch = await bob.vouch(world.home("eve").address)
        await bob.post("done")
        known = payload._known

        def known_of_old(kind: str, fields: dict[str, Any]) -> payload.Payload:
            return Unknown(kind) if kind == "vouch" else known(kind, fields)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(payload, "_known", known_of_old)
            await world.follower("olga", "bob")
            await world.reads("olga", "done")
            held = world.home("olga").store._by_id[EntryId(bytes.fromhex(vouch["id"]))]
            assert held.meaning.kind == Kind.OTHER
            await world.kill("bob")
        alice = await world.start("alice", "olga")
        await alice.follow(world.home("bob").address)
        await world.reads("alice", "done")
        (voucher,) = await world.home("alice").store.vouchers(world.home("eve").keyring.inception.identity)
        assert voucher == world.home("bob").keyring.inception.identity
