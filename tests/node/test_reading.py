"""Scenes of what people read: likes, boosts, deletes and threads, odd clocks, odd payloads, two histories."""

from __future__ import annotations

import copy
from unittest.mock import ANY

import pytest
import trio
import trio.testing
from builders import NOON, person
from trio.testing import MockClock, trio_test
from worlds import World, open_world

from p2pblog.cases import reading
from p2pblog.config import RUN_BYTES_MAX
from p2pblog.control.documents import NoticeDocument
from p2pblog.core.address import read
from p2pblog.core.keys import EntryId
from p2pblog.core.logs import Batch
from p2pblog.core.payload import REPLACES_MAX, Edit, Like, Payload, Unknown, decode
from p2pblog.errors import NotFound, NotPermitted, UsageError, UserError
from p2pblog.gossip.events import Learned
from p2pblog.node import Node
from p2pblog.store import meaning

YEAR_MS = 365 * 24 * 3600 * 1000


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


async def has_row(world: World, reader: str, text: str, **expected: object) -> None:
    async def held() -> bool:
        rows = [row for row in await world.home(reader).node.timeline() if row["text"] == text]
        return any(all(row[key] == value for key, value in expected.items()) for row in rows)  # type: ignore[literal-required]

    await world.until(f"{reader} sees {text} with {expected}", held)


@trio_test
async def test_likes_and_boosts_count_people_not_clicks(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.friends("alice", "bob", "carol")
        written = await world.home("alice").node.post("tea?")
        for name in ("bob", "carol"):
            await world.reads(name, "tea?")
            await world.home(name).node.like(written["id"])
        await world.home("bob").node.like(written["id"])
        await world.home("bob").node.boost(written["id"][:8])
        await has_row(world, "alice", "tea?", type="note", likes=2, boosts=1)
        await has_row(world, "carol", "tea?", type="boost", boost_of=written["id"])


@trio_test
async def test_a_like_or_boost_is_taken_back_and_can_be_said_again(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.friends("alice", "bob")
        written = await world.home("alice").node.post("tea?")
        await world.reads("bob", "tea?")
        node = world.home("bob").node
        for verb, undo, counted in ((node.like, node.unlike, "likes"), (node.boost, node.unboost, "boosts")):
            with pytest.raises(NotFound):
                await undo(written["id"])
            first = await verb(written["id"])
            assert await verb(written["id"]) == first
            await has_row(world, "alice", "tea?", type="note", **{counted: 1})
            assert (await undo(written["id"]))["type"] == "delete"
            await has_row(world, "alice", "tea?", type="note", **{counted: 0})
            with pytest.raises(NotFound):
                await undo(written["id"])
            assert (await verb(written["id"]))["id"] != first["id"]
            await has_row(world, "alice", "tea?", type="note", **{counted: 1})


@trio_test
async def test_bookmarks_are_ones_own(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.friends("alice", "bob")
        posted = [await world.home("alice").node.post(text) for text in ("one", "two", "three")]
        await world.reads("bob", "three")
        node = world.home("bob").node
        entries = (await node.status())["entries"]
        for written in (posted[2], posted[0], posted[2]):
            assert (await node.bookmark(written["id"]))["id"] == written["id"]
            await trio.sleep(1)
        assert [notice["text"] for notice in await node.bookmarks()] == ["one", "three"]
        assert [notice["text"] for notice in await node.bookmarks(9, posted[0]["id"])] == ["three"]
        with pytest.raises(NotFound):
            await node.bookmarks(9, posted[1]["id"])
        await world.home("alice").node.delete(posted[0]["id"])
        await world.until("the deleted one goes", lambda: _is_alone(node))
        for written in (posted[0], posted[2]):  # the deleted one, too
            assert await node.unbookmark(written["id"]) == {"id": written["id"], "bookmarked": False}
        with pytest.raises(NotFound):
            await node.unbookmark(posted[2]["id"])
        assert await node.bookmarks() == []
        assert (await node.status())["entries"] == entries + 1  # the delete: bookmarks are no entries
        mine = await node.post("four")
        edit = await node.edit(mine["id"], "five")
        for use_case, bookmarked in ((node.bookmark, True), (node.unbookmark, False)):
            assert await use_case(edit["id"]) == {"id": mine["id"], "bookmarked": bookmarked}


async def _is_alone(node: Node) -> bool:
    return len(await node.bookmarks()) == 1


@trio_test
async def test_likes_that_were_said_more_than_once_are_all_taken_back(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.friends("alice", "bob")
        written = await world.home("alice").node.post("tea?")
        await world.reads("bob", "tea?")
        bob = world.home("bob").node
        ref = await bob._notice_ref(written["id"])
        for _ in range(REPLACES_MAX + 3):  # as a version that did not look would
            await bob._author.write(Like(ref))
        await bob.unlike(written["id"])
        await has_row(world, "alice", "tea?", type="note", likes=0)


@trio_test
async def test_a_tag_is_read_by_whoever_follows_and_watched(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.friends("alice", "bob")
        node = world.home("bob").node
        seen: list[NoticeDocument] = []

        async def watch() -> None:
            async for notice in node.watch(tag="bees"):
                seen.append(notice)  # noqa: PERF401 - it does not end

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await trio.testing.wait_all_tasks_blocked()
            for text in ("nothing", "of #Bees", "more of #bees and #honey"):
                await world.home("alice").node.post(text)
            await world.reads("bob", "more of #bees and #honey")
            rows = await node.timeline(tag="#BEES")
            nursery.cancel_scope.cancel()
        assert [row["text"] for row in rows] == ["more of #bees and #honey", "of #Bees"]
        assert rows[0]["tags"] == ["bees", "honey"]
        assert [row["text"] for row in await node.timeline(tag="bees", author=world.home("bob").address)] == []
        assert [notice["text"] for notice in seen] == ["of #Bees", "more of #bees and #honey"]
        with pytest.raises(UsageError):
            await node.timeline(tag="two words")


@trio_test
async def test_a_live_timeline_that_is_not_read_says_why_it_ends(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CONTROL_WATCH_LAG_MAX", 5)
    monkeypatch.setattr(reading, "CONTROL_WATCH_ROWS_MAX", 2)
    async with open_world() as world:
        alice = await world.start("alice")
        watched = alice.watch()
        seen: list[str] = []
        go_on = trio.Event()

        async def watch() -> None:
            async for notice in watched:
                seen.append(notice["text"])
                await go_on.wait()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await trio.testing.wait_all_tasks_blocked()
            for number in range(6):
                await alice.post(f"number {number}")
            go_on.set()
            await world.until("all have come, two at a time", lambda: has_all(seen, 6))
            nursery.cancel_scope.cancel()

        stalled = alice.watch()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(anext, stalled)
            await trio.testing.wait_all_tasks_blocked()
            for number in range(6, 20):  # it takes one or two, and five may wait
                await alice.post(f"number {number}")
        rest: list[str] = []
        with pytest.raises(UserError, match="more than 5 notices"):
            async for notice in stalled:
                rest.append(notice["text"])  # noqa: PERF401 - it ends in an error
        assert len(rest) in (5, 6)
        assert rest == [f"number {number}" for number in range(7, 7 + len(rest))]


async def has_all(seen: list[str], count: int) -> bool:
    return len(seen) == count


@trio_test
async def test_boosting_twice_is_boosting_once(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.friends("alice", "bob")
        written = await world.home("alice").node.post("tea?")
        await world.reads("bob", "tea?")
        bob = world.home("bob").node
        first = await bob.boost(written["id"])
        assert await bob.boost(written["id"]) == first
        await bob.delete(first["id"])
        assert (await bob.boost(written["id"]))["seq"] > first["seq"]


@trio_test
async def test_a_boost_of_a_stranger_brings_the_text_along(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        bob = await world.follower("bob", "alice")
        carol = await world.follower("carol", "bob")
        written = await alice.post("from somebody carol does not know")
        await world.reads("bob", "from somebody carol does not know")
        await bob.boost(written["id"])
        await has_row(world, "carol", "from somebody carol does not know", type="boost")
        assert (await carol.show(written["id"]))["author"] == world.home("alice").address


@trio_test
async def test_a_page_asks_its_store_once_whatever_it_shows(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        bob = await world.follower("bob", "alice")
        written = [await alice.post(f"notice {number}") for number in range(5)]
        await world.reads("bob", "notice 4")
        for each in written:
            await bob.boost(each["id"])
        await bob.quote(written[0]["id"], "well said")
        carol = await world.follower("carol", "bob")
        await world.reads("carol", "well said")
        await carol.timeline()  # what is held singly is asked for again when it is first seen, and then not for a while
        asked: list[str] = []
        store = carol._store

        class Counted:
            def __getattr__(self, name: str) -> object:
                asked.append(name)
                return getattr(store, name)

        monkeypatch.setattr(carol, "_store", Counted())
        monkeypatch.setattr(carol._quiet, "_store", Counted())
        page = await carol.timeline()
        assert len(page) >= 6 and asked == ["timeline"], asked
        asked.clear()
        below = await carol.timeline(before=page[0]["id"])
        assert below == page[1:] and asked == ["timeline"], asked
        asked.clear()
        with pytest.raises(NotFound, match="no such entry"):
            await carol.timeline(before="0" * 64)


@trio_test
async def test_a_delete_hides_everywhere_and_only_its_author_may(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.friends("alice", "bob")
        alice, bob = world.home("alice").node, world.home("bob").node
        written = await alice.post("regretted")
        await world.reads("bob", "regretted")
        with pytest.raises(NotPermitted):
            await bob.delete(written["id"])
        await alice.delete(written["id"])
        assert await alice.timeline() == []

        async def gone() -> bool:
            return await bob.timeline() == []

        await world.until("bob no longer sees it", gone)
        with pytest.raises(NotFound):
            await bob.show(written["id"])


@trio_test
async def test_an_edited_notice_goes_with_all_its_words(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.friends("alice", "bob")
        alice, bob, last = world.home("alice").node, world.home("bob").node, 2 * REPLACES_MAX + 3
        written = await alice.post("words 0")
        for number in range(1, last + 1):
            await alice.edit(written["id"], f"words {number}")
        await has_row(world, "bob", f"words {last}", id=written["id"])
        quoted = await bob.quote(written["id"], "look")
        boosted = await bob.boost(written["id"])
        await has_row(world, "alice", f"words {last}", id=boosted["id"])
        before = len(await alice.versions(written["id"]))
        assert (before, (await bob.show(quoted["id"]))["quote"]) == (last + 1, _quote_of(written["id"], world, last))
        await alice.delete(written["id"])

        async def gone() -> bool:
            return [row["id"] for row in await bob.timeline()] == [boosted["id"], quoted["id"]]

        await world.until("bob no longer sees it", gone)
        quote = (await bob.show(quoted["id"]))["quote"]
        assert quote is not None and quote["text"] is None
        store, author = world.home("bob").store, read(world.home("alice").address)
        assert await store.drop_retracted(2**53) == last + 1
        (log,) = (log for log in (await store.load()).logs if log.identity == author)
        entries = await store.run(log.device, 1, log.spans[-1].high, RUN_BYTES_MAX)
        assert not [entry for entry in entries if b"words" in (entry.payload or b"")]
        assert log.missing == ()  # nobody asks for them any more

        for refused in (bob.edit, bob.quote):
            with pytest.raises(NotFound, match="deleted"):
                await refused(boosted["id"], "of what is gone")
        with pytest.raises(NotFound, match="deleted"):
            await alice.pin(boosted["id"])


def _quote_of(notice: str, world: World, number: int) -> object:
    words = {"text": f"words {number}", "cw": None, "deleted": False}
    return {"id": notice, "version": ANY, "author": world.home("alice").address} | words


@trio_test
async def test_a_reaction_is_deleted_once_and_long_words_are_edited_for_ever(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        written = await alice.post("€" * 5_000, cw="😀" * 200, lang="en-Latn-US")
        for reaction in (await alice.like(written["id"]), await alice.pin(written["id"])):
            await alice.delete(reaction["id"])
            with pytest.raises(NotFound, match="deleted already"):
                await alice.delete(reaction["id"])
        for number in range(REPLACES_MAX + 2):
            await alice.edit(written["id"], f"{number:2}" + "€" * 4_998)
        assert (await alice.show(written["id"]))["text"].startswith(f"{number:2}")


@trio_test
async def test_a_thread_says_what_it_lacks(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        bob = await world.follower("bob", "alice")
        root = await alice.post("question")
        await world.reads("bob", "question")
        reply = await bob.post("answer", reply_to=root["id"])
        carol = await world.follower("carol", "bob")
        await world.reads("carol", "answer")

        whole = await bob.thread(reply["id"])
        assert [row["text"] for row in whole["notices"]] == ["question", "answer"]
        assert (whole["root"], whole["missing"]) == (root["id"], 0)
        partial = await carol.thread(reply["id"])
        assert [row["text"] for row in partial["notices"]] == ["answer"] and partial["missing"] == 1


@trio_test
async def test_a_thread_of_which_nothing_shows_is_not_found(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        root = await alice.post("question")
        answer = await alice.post("answer", reply_to=root["id"])
        like = await alice.like(root["id"])
        assert [row["text"] for row in (await alice.thread(like["id"]))["notices"]] == ["question", "answer"]
        deleted = await alice.delete(root["id"])
        assert [row["text"] for row in (await alice.thread(root["id"]))["notices"]] == ["answer"]
        await alice.delete(answer["id"])
        for entry in (root, answer, like, deleted):
            with pytest.raises(NotFound, match="that is no notice, or it was deleted"):
                await alice.thread(entry["id"])


@trio_test
async def test_a_clock_a_year_ahead_does_not_sit_on_top(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        world.home("alice").skew_ms = YEAR_MS
        await world.friends("bob", "alice")
        await world.home("alice").node.post("from the future")
        await world.reads("bob", "from the future")
        await trio.sleep(10)
        await world.home("bob").node.post("now")
        await world.reads("bob", "now", "from the future")


@trio_test
async def test_our_own_clock_a_year_ahead_lets_us_sit_on_top_only_until_we_write_again(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        await world.friends("bob", "alice")
        alice = world.home("alice")
        await alice.node.follow(world.home("bob").address)
        await alice.node.post("before")
        alice.skew_ms = YEAR_MS
        await alice.node.post("from the future")
        alice.skew_ms = 0
        await alice.node.post("the clock is right again")
        await trio.sleep(10)
        await world.home("bob").node.post("now")
        await world.reads("alice", "now", "the clock is right again", "from the future", "before")


@trio_test
async def test_a_clock_a_year_behind_is_read_all_the_same(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        world.home("alice").skew_ms = -YEAR_MS
        await world.friends("bob", "alice")
        await world.home("bob").node.post("now")
        await world.home("alice").node.post("from last year")
        await world.reads("bob", "now", "from last year")
        (row,) = [row for row in await world.home("bob").node.timeline() if row["text"] == "from last year"]
        assert row["time"] < NOON


@trio_test
async def test_a_payload_nobody_here_knows_is_kept_and_passed_on(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.friends("bob", "carol")
        dora = person("dora")
        dora.write_all([b"\x82\xa3now\x01\xa4type\xa6poll 9", b"\xc1 not even msgpack"])
        dora.notes(1, "understood")
        for name in ("bob", "carol"):
            await world.home(name).node.follow(dora.address)
        bob = world.home("bob").node
        bob._driver.feed(Learned(dora.identity))
        bob._driver.take_run(Batch(dora.hash, dora.log.run()))
        await world.reads("bob", "understood 1")
        await world.kill("bob")
        await world.start("bob", "carol")  # links anew, and tells what it holds
        await world.reads("carol", "understood 1")
        held = await world.home("carol").store.run(dora.key, 2, 3, 100_000)
        assert [entry.payload for entry in held][:2] == [entry.payload for entry in dora.log.entries[1:3]]


@pytest.mark.parametrize("posts", [1, 2], ids=["of one length", "of two lengths"])
@trio_test
async def test_two_histories_are_found_out_and_the_owner_goes_on(posts: int, autojump_clock: MockClock) -> None:
    """A disk cloned block by block, both halves writing while they can't see each other."""
    async with open_world() as world:
        alice = await world.start("alice")
        await world.follower("bob", "alice")
        await alice.post("common")
        await world.reads("bob", "common")
        world.copy(world.home("alice"), "clone", copy.deepcopy(world.home("alice").store))
        await alice.post("one history")
        await world.reads("bob", "one history", "common")
        await world.kill("bob")
        await world.kill("alice")
        clone = await world.start("clone")
        for number in range(posts):
            await clone.post(f"another history {number}")
        await world.follower("carol", "clone")
        await world.reads("carol", "common")  # and one of the histories, or the proof, whichever reaches her first

        await world.start("bob", "carol")

        async def disputed() -> bool:
            nodes = [world.home(name).node for name in ("bob", "carol", "clone")]
            return all(node._driver.machine.holdings.is_frozen(person("alice").key) for node in nodes)

        await world.until("everybody holds the proof", disputed)
        assert [row["state"] for row in await world.home("bob").node.following()] == ["disputed"]
        alice = await world.start("alice", "bob")
        after = await alice.post("alice goes on with a new device log")
        assert after["device"] != person("alice").key.hex()
        await world.reads("bob", "alice goes on with a new device log", "one history", "common")


@trio_test
async def test_what_a_person_mistypes_is_told_apart(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        address = world.home("bob").address
        for wrong in (address[:-1], address[:-1] + "z", "q" + address[1:], "p2pblog:" + address[1:], "nobody"):
            with pytest.raises(UsageError):
                await alice.follow(wrong)
        with pytest.raises(UsageError):
            await alice.follow(world.home("alice").address)
        with pytest.raises(NotFound):
            await alice.unfollow(address)
        with pytest.raises(UsageError):
            await alice.show("abc12")
        with pytest.raises(UsageError):
            await alice.show("not hex")
        with pytest.raises(NotFound):
            await alice.show("abcdef12")
        with pytest.raises(UsageError):
            await alice.post("x" * 5_001)
        with pytest.raises(UsageError):
            await alice.post(chr(0x1F600) * 3_751)  # 15,004 bytes
        assert (await alice.post("x" * 5_000))["seq"] > 1
        assert (await alice.post(chr(0x1F600) * 3_750))["seq"] > 1
        await alice.follow(address.upper(), petname="Bob")
        assert (await alice.follow("Bob"))["petname"] == "Bob"
        with pytest.raises(UsageError):
            await alice.follow(world.home("carol").address, petname="Bob")
        assert (await alice.follow("Bob", petname=""))["petname"] is None
        assert [row["petname"] for row in await alice.following()] == [None]
        with pytest.raises(UsageError, match=r"^n\[0m is neither an address nor a petname of yours$"):
            await alice.follow("\x9b1mn\x1b\x07[0m\n")


@trio_test
async def test_a_name_that_is_no_petname_is_told_apart(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.friends("alice", "bob")
        alice, bob = world.home("alice"), world.home("bob")
        await bob.node.profile(name="Bob B")
        await has_name(world, "alice", "Bob B")

        with pytest.raises(UsageError, match=r"^Bob B is no petname of yours; somebody whom you follow") as caught:
            await alice.node.unfollow("Bob B")
        assert caught.value.hint == f"p2pblog follow {bob.address} --petname 'Bob B'"
        with pytest.raises(UsageError, match=r"^Bob is neither an address nor a petname of yours$"):
            await alice.node.mute("Bob")


async def has_name(world: World, reader: str, name: str) -> None:
    async def heard() -> bool:
        return name in [row["name"] for row in await world.home(reader).node.following()]

    await world.until(f"{reader} hears of {name}", heard)


@trio_test
async def test_an_edit_a_quote_and_a_mention_reach_who_follows(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.friends("alice", "bob")
        alice, bob = world.home("alice").node, world.home("bob").node
        written = await alice.post("teh tea", cw="drinks", lang="en")
        await world.reads("bob", "teh tea")
        await alice.edit(written["id"], "the tea", lang="")
        await has_row(world, "bob", "the tea", id=written["id"], cw="drinks", lang=None)
        (shown,) = [row for row in await bob.timeline() if row["text"] == "the tea"]
        assert shown["edited"] is not None
        assert [each["text"] for each in await bob.versions(written["id"])] == ["teh tea", "the tea"]
        edit = (await bob.versions(written["id"]))[1]["id"]
        assert (await bob.show(edit))["id"] == written["id"]

        await bob.follow(world.home("alice").address, "ally")
        quoted = await bob.quote(edit, "@ally makes it well")
        await alice.edit(written["id"], "the coffee")
        await has_row(world, "bob", "the coffee", id=written["id"])

        async def is_told() -> bool:
            return bool(await alice.notifications(unread=True))

        await world.until("alice hears of it", is_told)
        (told,) = await alice.notifications()
        assert (told["type"], told["from"], told["id"]) == ("mention", world.home("bob").address, quoted["id"])
        notice = await alice.show(told["notice"])
        assert notice["mentions"] == [world.home("alice").address]
        assert notice["text"] == f"@{world.home('alice').address} makes it well"
        assert notice["quote"] == {
            "id": written["id"], "version": edit, "author": world.home("alice").address,
            "text": "the tea", "cw": "drinks", "deleted": False,
        }  # fmt: skip
        assert await alice.read_notifications() == {"read": 1}

        with pytest.raises(NotPermitted):
            await bob.edit(written["id"], "mine now")
        with pytest.raises(NotFound):
            await alice.edit((await alice.like(quoted["id"]))["id"], "a like has no words")


@trio_test
async def test_a_node_that_knows_no_edits_passes_them_on(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bob's node is of before edits: what it can't read it keeps, shows nothing of and gives to carol."""
    async with open_world() as world:
        await world.friends("alice", "bob")
        alice = world.home("alice").node
        written = await alice.post("teh tea")
        edited = await alice.edit(written["id"], "the tea")
        bob = world.home("bob")

        async def held() -> bool:
            return await bob.store.locate(EntryId(bytes.fromhex(edited["id"]))) is not None

        await world.until("bob holds the edit", held)
        await world.kill("alice")
        with monkeypatch.context() as patch:
            patch.setattr(meaning, "decode", without_edits)
            await world.start("carol", "bob")
            await world.home("carol").node.follow(world.home("alice").address)
            await has_row(world, "carol", "teh tea", edited=None)

            async def passed_on() -> bool:
                return await world.home("carol").store.locate(EntryId(bytes.fromhex(edited["id"]))) is not None

            await world.until("carol holds the edit", passed_on)


def without_edits(data: bytes) -> Payload:
    said = decode(data)
    return Unknown("edit") if isinstance(said, Edit) else said
