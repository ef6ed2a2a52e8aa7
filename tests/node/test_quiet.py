"""Scenes of who wants less: mutes, budgets, private follows, and why a notice shows or does not."""

from __future__ import annotations

import pytest
import trio
from builders import NOON, person
from trio.testing import MockClock, trio_test
from worlds import open_world

from p2pblog.cases import quiet
from p2pblog.config import QUIET_ROWS_MAX, RUN_ENTRIES_MAX
from p2pblog.control.documents import WhyDocument
from p2pblog.core.keys import NodeKey
from p2pblog.core.logs import Batch
from p2pblog.dht.records import Replica, replica_key
from p2pblog.errors import NotFound, UsageError
from p2pblog.gossip.events import Effect
from p2pblog.gossip.messages import Fetch
from p2pblog.gossip.sharing import Session
from p2pblog.gossip.strays import Strays
from p2pblog.node import Node


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


async def shown(node: Node, **query: str | int) -> list[str]:
    """The texts of a page, a boost's with a sign before it."""
    rows = await node.timeline(**query)  # type: ignore[arg-type]
    return [("+" if row["type"] == "boost" else "") + row["text"] for row in rows]


async def has_likes(node: Node, notice: str, likes: int) -> bool:
    return (await node.show(notice))["likes"] == likes


async def says(node: Node, notice: str) -> tuple[bool, list[str]]:
    told: WhyDocument = await node.why(notice)
    return told["shown"], told["reasons"]


@trio_test
async def test_a_mute_hides_a_person_a_tag_or_a_word_until_it_ends(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.friends("alice", "bob", "carol")
        alice, bob, carol = (world.home(name).node for name in ("alice", "bob", "carol"))
        first = await bob.post("hello from bob")
        await carol.post("I love #Bees")
        await world.reads("carol", "hello from bob")
        boost = await carol.boost(first["id"])
        await carol.post("No SPOILER, please")
        reply = await carol.post("what?", reply_to=first["id"])
        await world.reads("alice", "what?", "No SPOILER, please", "hello from bob", "I love #Bees", "hello from bob")

        assert (await alice.mute("bob", lasting="12h"))["kind"] == "person"
        await alice.mute(tag="#BEES")
        await alice.mute(word="spoiler")
        assert await shown(alice) == ["what?"]
        assert await shown(alice, tag="bees") == []
        assert await shown(alice, author="bob") == ["hello from bob"]
        assert await shown(alice, author="carol") == ["what?", "No SPOILER, please", "+hello from bob", "I love #Bees"]
        assert (await alice.show(first["id"]))["muted"] and not (await alice.show(reply["id"]))["muted"]
        assert [notice["muted"] for notice in (await alice.thread(reply["id"]))["notices"]] == [True, False]
        assert await says(alice, boost["id"]) == (False, ["you muted bob"])
        assert await says(alice, reply["id"]) == (True, ["you follow carol, who wrote it"])

        rows = await alice.muted()
        assert [(row["kind"], row["what"]) for row in rows] == [
            ("person", world.home("bob").address), ("tag", "bees"), ("word", "spoiler"),
        ]  # fmt: skip
        assert rows[0]["until"] is not None and rows[1]["until"] is None
        await world.kill("alice")
        alice = await world.start("alice", "bob")
        assert await alice.muted() == rows
        assert await shown(alice) == ["what?"]
        world.home("alice").skew_ms += 12 * 3_600_000
        assert [row["kind"] for row in await alice.muted()] == ["tag", "word"]
        assert await shown(alice) == ["what?", "+hello from bob", "hello from bob"]
        for row in ({"tag": "bees"}, {"word": "Spoiler!"}):
            await alice.unmute(**row)
            with pytest.raises(NotFound):
                await alice.unmute(**row)
        assert len(await shown(alice)) == 5
        with pytest.raises(UsageError):
            await alice.mute(world.home("alice").address)
        with pytest.raises(UsageError):
            await alice.mute("bob", tag="bees")
        stranger = world.home("dave").address  # whom she does not follow
        assert (await alice.mute(stranger))["what"] == stranger


@trio_test
async def test_who_is_muted_stands_in_no_notifications(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.friends("alice", "bob", "carol")
        alice, bob, carol = (world.home(name).node for name in ("alice", "bob", "carol"))
        await alice.mute("bob")
        mine = await alice.post("mine")
        await world.reads("bob", "mine")
        await world.reads("carol", "mine")
        await bob.like(mine["id"])
        await carol.like(mine["id"])

        async def is_told() -> bool:
            return bool(await alice.notifications(1))

        await world.until("alice is told of carol's like", is_told)
        await world.until("bob's came too", lambda: has_likes(alice, mine["id"], 2))
        assert [news["from"] for news in await alice.notifications(1)] == [world.home("carol").address]
        assert (await alice.read_notifications())["read"] == 1
        await alice.unmute("bob")
        assert [news["read"] for news in await alice.notifications()] == [True, True]


@trio_test
async def test_however_much_somebody_muted_says_the_rest_is_told(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice, bob, carol = world.home("alice"), person("bob"), person("carol")
        node = await world.start("alice")
        mine = await node._notice_ref((await node.post("mine"))["id"])
        carol.log.note("an answer", reply_to=mine)
        for _ in range(QUIET_ROWS_MAX + 1):
            bob.log.like(mine)
        for someone in (carol, bob):
            await node.follow(someone.address)
            await alice.store.put_identity(someone.identity)
            for first in range(1, len(someone.log.entries) + 1, RUN_ENTRIES_MAX):
                run = someone.log.run(first, first + RUN_ENTRIES_MAX - 1)
                await alice.store.append([Batch(someone.hash, run)], NOON)
        await node.mute(bob.address)
        for unread in (False, True):
            assert [each["from"] for each in await node.notifications(1_000, unread=unread)] == [carol.address]


@trio_test
async def test_a_live_timeline_leaves_out_what_a_page_does(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.friends("alice", "bob", "carol")
        alice, bob, carol = (world.home(name).node for name in ("alice", "bob", "carol"))
        await world.reads("alice")
        await alice.mute("bob")
        came: dict[str, list[str]] = {"home": [], "bob": []}

        async def watch(what: str, author: str | None) -> None:
            async for notice in alice.watch(author):
                came[what].append(notice["text"])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch, "home", None)
            nursery.start_soon(watch, "bob", "bob")
            await trio.testing.wait_all_tasks_blocked()
            await bob.post("from bob")
            await carol.post("from carol")

            async def has_come() -> bool:
                return bool(came["home"] and came["bob"])

            await world.until("both came", has_come)
            nursery.cancel_scope.cancel()
        assert came == {"home": ["from carol"], "bob": ["from bob"]}


@trio_test
async def test_a_page_is_full_whatever_is_hidden_and_the_next_goes_on(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quiet, "ROWS_AT_ONCE", 3)
    async with open_world() as world:
        alice = await world.start("alice")
        bob = await world.follower("bob", "alice")
        await bob.mute(word="dull")
        for number in range(40):
            await alice.post(f"dull {number}" if number % 10 else f"bright {number}")
        await world.until("bob has all", lambda: holds(bob, 40))

        async def pages(limit: int) -> list[list[str]]:
            found, before = [], None
            while rows := await bob.timeline(limit, before):
                found.append([row["text"] for row in rows])
                before = rows[-1]["id"]
            return found

        bright = ["bright 30", "bright 20", "bright 10", "bright 0"]
        assert await pages(2) == [bright[:2], bright[2:]]
        monkeypatch.setattr(quiet, "QUIET_ROWS_MAX", 15)  # beyond it a page is short, and the next one goes on
        assert await pages(4) == [bright[:1], bright[1:3], bright[3:]]
        assert await pages(1) == [[text] for text in bright]
        monkeypatch.setattr(quiet, "QUIET_ROWS_EMPTY_MAX", 5)
        assert await pages(4) == []  # nothing within five lines
        asked = bright[:1]
        monkeypatch.setattr(quiet, "QUIET_ROWS_EMPTY_MAX", 10)
        assert [row["text"] for row in await bob.timeline(1)] == asked
        below = (await bob.timeline(1))[0]["id"]
        await bob.mute(tag="other")  # which makes it forget where pages stopped
        monkeypatch.setattr(quiet, "QUIET_ROWS_EMPTY_MAX", 5)
        assert await bob.timeline(1, below) == []
        assert [row["text"] for row in await bob.timeline(1, below)] == bright[1:2]  # asked again, it goes on
        await bob.unmute(word="dull")
        assert (await bob.timeline(1, below))[0]["text"] == "dull 29"


@trio_test
async def test_where_a_page_stopped_is_remembered_for_a_while_and_of_few(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quiet, "QUIET_ROWS_EMPTY_MAX", 5)
    async with open_world() as world:
        alice = await world.start("alice")
        bob = await world.follower("bob", "alice")
        await bob.mute(word="dull")
        ids = [(await alice.post(f"{'dull' if number % 10 else 'bright'} {number}"))["id"] for number in range(30)]
        await world.until("bob has all", lambda: holds(bob, 30))
        low, high = ids[17], ids[18]  # ten lines, and nine, above where "bright 10" stands

        async def below(notice: str) -> list[str]:
            return [row["text"] for row in await bob.timeline(1, notice)]

        assert await below(low) == []
        world.home("bob").skew_ms += quiet.STOP_LASTS_MS - 1
        assert await below(low) == ["bright 10"]
        world.home("bob").skew_ms += 1
        assert await below(low) == []
        monkeypatch.setattr(quiet, "STOPS_MAX", 1)
        assert await below(high) == []
        assert await below(high) == ["bright 10"]
        assert await below(low) == []


@trio_test
async def test_a_search_is_full_whoever_is_muted(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.friends("alice", "bob")
        alice, bob = world.home("alice").node, world.home("bob").node
        await alice.post("old bees")
        await world.reads("bob", "old bees")
        for number in range(4):
            await bob.post(f"bees {number}")
        await world.reads("alice", "bees 3", "bees 2", "bees 1", "bees 0", "old bees")
        await alice.mute("bob")

        found = await alice.search("bees", limit=2)
        assert [notice["text"] for notice in found["notices"]] == ["old bees"]
        assert (await alice.search("bees", limit=2, before=found["notices"][0]["id"]))["notices"] == []
        await alice.unmute("bob")
        found = await alice.search("bees", limit=2)
        assert [notice["text"] for notice in found["notices"]] == ["bees 3", "bees 2"]
        below = await alice.search("bees", limit=3, before=found["notices"][-1]["id"])
        assert [notice["text"] for notice in below["notices"]] == ["bees 1", "bees 0", "old bees"]


async def holds(node: Node, notices: int) -> bool:
    (follow,) = await node.following()
    return len(await node.timeline(1_000, author=follow["address"])) == notices


@trio_test
async def test_a_budget_lets_the_best_of_a_day_through(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.friends("alice", "bob", "carol")
        alice, bob, carol = (world.home(name).node for name in ("alice", "bob", "carol"))
        question = await alice.post("how are you?")
        await world.reads("bob", "how are you?")
        posted = [await bob.post(f"bob {number}") for number in range(4)]
        answer = await bob.post("well", reply_to=question["id"])
        await world.reads("carol", "well", "bob 3", "bob 2", "bob 1", "bob 0")
        await bob.like(posted[3]["id"])  # his own counts for nothing
        await carol.like(posted[2]["id"])
        await carol.like(posted[1]["id"])
        boost = await carol.boost(posted[1]["id"])
        await world.reads("alice", "bob 1", "well", "bob 3", "bob 2", "bob 1", "bob 0", "how are you?")

        row = await alice.follow("bob", budget="2/day")
        assert (row["budget"], row["no_boosts"], row["petname"]) == ("2/day", False, "bob")
        assert await shown(alice) == ["+bob 1", "well", "bob 2", "bob 1", "how are you?"]
        assert len(await shown(alice, author="bob")) == 5
        within = "it is within the budget of 2/day: number 1 of 4 of bob in that day"
        within += ", by likes and boosts of those you follow"
        assert await says(alice, posted[1]["id"]) == (True, ["you follow bob, who wrote it", within])
        (over,) = (await alice.why(posted[0]["id"]))["reasons"]
        assert over.startswith("it is over the budget of 2/day: number 3 of 4 of bob")
        assert await says(alice, answer["id"]) == (
            True, ["you follow bob, who wrote it", "it answers you, so no budget counts"],
        )  # fmt: skip

        await alice.follow("bob", budget="1/week")
        assert await shown(alice) == ["+bob 1", "well", "bob 1", "how are you?"]
        assert (await alice.why(posted[2]["id"]))["shown"] is False
        await carol.unlike(posted[1]["id"])
        await carol.unboost(boost["id"])
        await world.until("the votes are gone", lambda: lacks(alice, "+bob 1"))
        assert await shown(alice) == ["well", "bob 2", "how are you?"]
        for name in ("alice", "bob"):
            world.home(name).skew_ms += 7 * 24 * 3_600_000
        await bob.post("next week")
        await world.reads("alice", "next week", "well")
        assert (await alice.follow("bob", budget="none"))["budget"] is None
        assert len(await shown(alice)) == 7


async def lacks(node: Node, text: str) -> bool:
    return text not in await shown(node)


@trio_test
async def test_boosts_of_one_person_stay_out_and_come_back(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.friends("alice", "bob", "carol")
        alice, bob, carol = (world.home(name).node for name in ("alice", "bob", "carol"))
        await alice.unfollow("carol")
        await carol.post("from carol")
        await world.reads("bob", "from carol")
        (theirs,) = await bob.timeline(1)
        boost = await bob.boost(theirs["id"])
        await bob.post("from bob")
        await world.reads("alice", "from bob", "from carol")
        carol_said = world.home("carol").address[:8]
        assert await says(alice, theirs["id"]) == (
            True, [f"you do not follow {carol_said}, who wrote it", "you follow bob, who boosted it"],
        )  # fmt: skip
        assert (await alice.follow("bob", no_boosts=True))["no_boosts"]
        assert await shown(alice) == ["from bob"]
        assert await shown(alice, author="bob") == ["from bob", "+from carol"]
        assert not (await alice.show(boost["id"]))["muted"]
        told = await says(alice, theirs["id"])
        assert told == (False, [f"you do not follow {carol_said}, who wrote it", "you do not want boosts by bob"])
        await alice.follow("bob", no_boosts=False)
        assert await shown(alice) == ["from bob", "+from carol"]


@trio_test
async def test_why_tells_of_what_does_not_stand_at_all(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.friends("alice", "bob")
        alice, bob = (world.home(name).node for name in ("alice", "bob"))
        mine = await alice.post("mine")
        doomed = await bob.post("doomed")
        await world.reads("alice", "doomed")
        await world.reads("bob", "mine")
        like = await bob.like(mine["id"])
        await bob.delete(doomed["id"])
        await world.until("it is gone", lambda: lacks(alice, "doomed"))
        assert await says(alice, doomed["id"]) == (False, ["its author deleted it"])
        assert await says(alice, mine["id"]) == (True, ["you wrote it"])
        assert await says(alice, like["id"]) == (False, ["it is no notice"])
        kept = await bob.post("kept")
        await world.reads("alice", "kept")
        await alice.unfollow("bob")
        bobs = world.home("bob").address[:8]
        assert await says(alice, kept["id"]) == (False, [f"you do not follow {bobs}, who wrote it"])
        with pytest.raises(NotFound):
            await alice.why("0" * 64)


@trio_test
async def test_a_private_follow_announces_nothing(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        bob = await world.start("bob", "alice")
        carol = await world.start("carol", "alice")
        assert (await bob.follow(world.home("alice").address, private=True))["private"]
        assert not (await carol.follow(world.home("alice").address))["private"]
        await alice.post("hello")
        await world.reads("bob", "hello")
        await world.reads("carol", "hello")

        async def announced() -> set[bytes]:
            directory = world.dht.open(world.home("dave").endpoint)
            await directory.add_contacts([world.home("alice").endpoint])
            records = await directory.find(replica_key(person("alice").hash))
            directory.close()
            return {record.node for record in records if isinstance(record, Replica)}

        async def has_carol() -> bool:
            return world.home("carol").keyring.node.public in await announced()

        await world.until("carol announces herself", has_carol, within_s=120)
        await trio.sleep(120)
        bobs = world.home("bob").keyring.node.public
        assert bobs not in await announced()
        await world.kill("bob")
        bob = await world.start("bob", "alice")
        await trio.sleep(120)
        assert (await bob.following())[0]["private"] and bobs not in await announced()

        await bob.follow(world.home("alice").address, private=False)

        async def has_bob() -> bool:
            return bobs in await announced()

        await world.until("bob announces himself", has_bob, within_s=120)


@trio_test
async def test_what_somebody_followed_in_private_boosts_is_asked_of_who_shares_the_feed(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it comes and when somebody looks at it: dave, who follows nobody of them, would learn of the follow."""
    asked: list[tuple[Strays, NodeKey]] = []
    answer = Strays.on_fetch

    def heard(strays: Strays, session: Session, message: Fetch) -> list[Effect]:
        asked.append((strays, session.peer))
        return answer(strays, session, message)

    monkeypatch.setattr(Strays, "on_fetch", heard)
    async with open_world() as world:
        bob = await world.start("bob")
        carol, dave = await world.start("carol", "bob"), await world.start("dave", "bob")
        alice = await world.start("alice", "dave")
        await bob.follow(world.home("carol").address)
        await alice.follow(world.home("bob").address, private=True)
        said = await carol.post("carol says")
        await world.reads("bob", "carol says")
        await trio.sleep(30)
        await bob.boost(said["id"])
        await world.reads("alice", "carol says")
        alices = world.home("alice").keyring.node.public
        assert (bob._driver.machine.strays, alices) in asked
        assert (dave._driver.machine.strays, alices) not in asked
