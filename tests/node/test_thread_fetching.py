"""`thread --fetch`: what a conversation lacks comes from peers or the DHT, or the person hears soon that it doesn't."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio
from builders import person
from trio.testing import MockClock, trio_test
from worlds import World, open_world

from p2pblog.cases.desk import ref_to
from p2pblog.config import THREAD_FETCH_DEPTH_MAX, THREAD_FETCH_REFS_MAX, THREAD_FETCH_S
from p2pblog.core.logs import Batch, Located
from p2pblog.core.payload import Note, Quote, Ref
from p2pblog.core.value import replace
from p2pblog.dht.contacts import ID_BYTES
from p2pblog.dht.shelf import RecordStore
from p2pblog.errors import NotFound
from p2pblog.gossip.strays import Strays
from p2pblog.node import Node
from p2pblog.rendezvous.driver import Meeting


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


async def carol_reads_an_answer(world: World, above: int = 1) -> tuple[Node, str]:
    """Alice talks to herself, bob answers her last notice, and carol follows bob alone; gives the answer's id."""
    await world.start("dave")
    alice = await world.start("alice", "dave")
    bob = await world.follower("bob", "alice", "alice", "dave")
    told: str | None = None
    for number in range(above):
        told = (await alice.post(f"question {number}", reply_to=told))["id"]
    await world.reads("bob", f"question {above - 1}")
    answer = await bob.post("answer", reply_to=told)
    carol = await world.follower("carol", "bob")
    await world.reads("carol", "answer")
    lacking = await carol.thread(answer["id"])
    assert (texts(lacking), lacking["missing"]) == (["answer"], 1)
    return carol, answer["id"]


def texts(thread: Any) -> list[str]:
    return [notice["text"] for notice in thread["notices"]]


async def all_ready(node: Node) -> bool:
    return all(session.ready for session in node._driver.machine.sharing.sessions.values())


@trio_test
async def test_what_bob_answered_comes_from_him(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        carol, answer = await carol_reads_an_answer(world, above=3)
        begun = trio.current_time()
        fetched = await carol.thread(answer, fetch=True)
        assert texts(fetched) == ["question 0", "question 1", "question 2", "answer"]
        assert fetched["missing"] == 0 and fetched["root"] == fetched["notices"][0]["id"]
        assert trio.current_time() - begun < THREAD_FETCH_S / 2
        assert await carol.thread(answer) == fetched
        assert [row["text"] for row in await carol.timeline()] == ["answer"]  # she doesn't follow alice
        with pytest.raises(NotFound):
            await carol.thread("abcdef", fetch=True)


@trio_test
async def test_what_no_peer_gives_comes_from_the_dht(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world:
        carol, answer = await carol_reads_an_answer(world)
        await trio.sleep(60)  # alice has published it by now
        await world.kill("alice")
        monkeypatch.setattr(Strays, "on_fetch", lambda *_: [])  # bob is asked, and keeps silent
        begun = trio.current_time()
        fetched = await carol.thread(answer, fetch=True)
        assert (texts(fetched), fetched["missing"]) == (["question 0", "answer"], 0)
        assert trio.current_time() - begun < THREAD_FETCH_S / 2


@trio_test
async def test_nobody_has_it(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        carol, answer = await carol_reads_an_answer(world)
        await carol.add_peer(str(world.home("dave").endpoint))
        await world.until("dave and carol are linked", partial(all_ready, carol))
        await world.kill("alice")
        await world.kill("bob")
        world.dht.store = RecordStore(bytes(ID_BYTES), world.dht.store.limits)  # the DHT forgot all
        begun = trio.current_time()
        fetched = await carol.thread(answer, fetch=True)
        assert (texts(fetched), fetched["missing"]) == (["answer"], 1)
        assert trio.current_time() - begun < 1  # dave said no, and there is nobody else to wait for
        assert [peer["node"] for peer in await carol.peers()] == [world.home("dave").keyring.node.public.hex()]


@trio_test
async def test_a_peer_that_never_answers_is_not_waited_for_longer_than_is_told(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world:
        carol, answer = await carol_reads_an_answer(world)
        monkeypatch.setattr(Strays, "on_fetch", lambda *_: [])
        monkeypatch.setattr("p2pblog.rendezvous.driver.entry_in", lambda *_: None)
        begun = trio.current_time()
        fetched = await carol.thread(answer, fetch=True)
        assert (texts(fetched), fetched["missing"]) == (["answer"], 1)
        assert trio.current_time() - begun == pytest.approx(THREAD_FETCH_S, abs=0.5)


@trio_test
async def test_nobody_is_asked_for_what_a_blocked_author_wrote(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[Ref] = []
    find_entry = Meeting.find_entry

    async def counted(self: Meeting, ref: Ref) -> Located | None:
        looked_up.append(ref)
        return await find_entry(self, ref)

    monkeypatch.setattr(Meeting, "find_entry", counted)
    async with open_world() as world:
        carol, answer = await carol_reads_an_answer(world)
        await trio.sleep(60)
        await carol.block(person("alice").address)
        fetched = await carol.thread(answer, fetch=True)
        assert (texts(fetched), fetched["missing"]) == (["answer"], 1)
        assert not looked_up


@pytest.mark.parametrize("above", [THREAD_FETCH_DEPTH_MAX - 1, THREAD_FETCH_DEPTH_MAX, THREAD_FETCH_DEPTH_MAX + 1])
@trio_test
async def test_a_long_way_up_is_gone_in_parts(above: int, autojump_clock: MockClock) -> None:
    async with open_world() as world:
        carol, answer = await carol_reads_an_answer(world, above)
        fetched = await carol.thread(answer, fetch=True)
        assert len(fetched["notices"]) == 1 + min(above, THREAD_FETCH_DEPTH_MAX)
        assert fetched["missing"] == max(0, above - THREAD_FETCH_DEPTH_MAX)
        fetched = await carol.thread(answer, fetch=True)
        assert (len(fetched["notices"]), fetched["missing"]) == (1 + above, 0)


@trio_test
async def test_who_lies_about_where_a_notice_is_hides_it_from_nobody(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        mallory, bob = await world.follower("mallory", "alice"), await world.follower("bob", "alice")
        question = await alice.post("question")
        await world.reads("mallory", "question")
        await world.reads("bob", "question")
        true = await mallory._notice_ref(question["id"])

        async def elsewhere(prefix: str) -> Ref:
            return replace(true, seq=true.seq + 1)

        monkeypatch.setattr(mallory, "_notice_ref", elsewhere)
        lie = await mallory.post("lie", reply_to=question["id"])
        await trio.sleep(1)
        await bob.post("answer", reply_to=question["id"])
        carol = await world.follower("carol", "bob")
        await carol.follow(world.home("mallory").address)
        await world.reads("carol", "answer", "lie")
        fetched = await carol.thread(lie["id"], fetch=True)
        assert (texts(fetched), fetched["missing"]) == (["question", "lie", "answer"], 0)


@trio_test
async def test_a_notice_whose_words_are_lacking_is_fetched_too(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        carol, _answer = await carol_reads_an_answer(world)
        aside = await world.home("alice").node.post("aside")  # nothing but its own log leads to it
        await world.reads("bob", "aside")
        alice = person("alice")
        entries = await world.home("alice").store.run(alice.key, 1, 100, 1024 * 1024)
        bare = tuple(entry.without_payload() for entry in entries)
        await world.home("carol").store.put_identity(alice.identity)
        await world.home("carol").store.append([Batch(alice.hash, bare)], world.wall_ms())
        assert (await carol.thread(aside["id"]))["missing"] == 1
        fetched = await carol.thread(aside["id"], fetch=True)
        assert (texts(fetched), fetched["missing"]) == (["aside"], 0)


async def carol_reads_a_quote(world: World) -> tuple[Node, str]:
    """Alice writes and edits, bob quotes what he read of both, the second time in an answer to himself; carol follows
    bob alone."""
    alice = await world.start("alice")
    bob = await world.follower("bob", "alice")
    said = (await alice.post("first words"))["id"]
    await world.reads("bob", "first words")
    quoting = await bob.quote(said, "look")
    await alice.edit(said, "second words")
    await world.reads("bob", "look", "second words")
    there = await bob._notice_ref(said)
    _, newer = await bob.versions(said)
    edit = await bob._locate(newer["id"])
    await bob._author.write(Note("again", await bob._notice_ref(quoting["id"]), quote=Quote(there, ref_to(edit))))
    carol = await world.follower("carol", "bob")
    await world.reads("carol", "again", "look")
    return carol, quoting["id"]


@trio_test
async def test_what_is_quoted_is_fetched_too(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        carol, quoting = await carol_reads_a_quote(world)
        lacking = await carol.thread(quoting)
        assert (texts(lacking), lacking["known"], lacking["missing"]) == (["look", "again"], 4, 2)
        fetched = await carol.thread(quoting, fetch=True)
        assert [notice["quote"] and notice["quote"]["text"] for notice in fetched["notices"]] == [
            "first words",
            "second words",
        ]
        assert (fetched["known"], fetched["missing"]) == (4, 0)


def asked_in_vain(monkeypatch: pytest.MonkeyPatch) -> list[Ref]:
    """What is asked for from now on, of which nothing comes."""
    asked: list[Ref] = []

    async def in_vain(_self: Node, ref: Ref) -> bool:
        asked.append(ref)
        return False

    monkeypatch.setattr(Node, "_fetch_entry", in_vain)
    return asked


@trio_test
async def test_no_more_quoted_notices_are_asked_for_than_is_told(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asked_in_vain(monkeypatch)
    monkeypatch.setattr("p2pblog.cases.threads.THREAD_FETCH_QUOTED_MAX", 1)
    async with open_world() as world:
        carol, quoting = await carol_reads_a_quote(world)
        assert (await carol.thread(quoting, fetch=True))["missing"] == 2
        assert len(asked) == 1  # the same one is not asked for twice in one go


@trio_test
async def test_no_more_places_of_one_notice_are_tried_than_is_told(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of bob's answers says of it that it stands elsewhere."""
    asked = asked_in_vain(monkeypatch)
    async with open_world() as world:
        alice = await world.start("alice")
        bob = await world.follower("bob", "alice")
        said = (await alice.post("question"))["id"]
        await world.reads("bob", "question")
        there = await bob._notice_ref(said)
        places = [replace(there, seq=there.seq + number) for number in range(THREAD_FETCH_REFS_MAX + 2)]
        written = [await bob._author.write(Note(f"answer {place.seq}", place)) for place in places]
        carol = await world.follower("carol", "bob")
        await world.reads("carol", *[f"answer {place.seq}" for place in reversed(places)])
        await carol.thread(written[-1].id.hex(), fetch=True)
        assert asked[0] == places[-1]  # as what was asked for says
        assert len({*asked}) == len(asked) == THREAD_FETCH_REFS_MAX


@trio_test
async def test_what_a_boost_boosts_is_fetched_by_the_boost(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        bob = await world.follower("bob", "alice")
        said = await alice.post("worth it")
        await world.reads("bob", "worth it")
        like = await bob.like(said["id"])
        carol = await world.follower("carol", "bob")
        await world.until("carol has the like", partial(carol_holds, carol, like["id"]))
        lacking = await carol.thread(like["id"])
        assert (lacking["root"], lacking["known"], lacking["missing"]) == (said["id"], 1, 1)
        fetched = await carol.thread(like["id"], fetch=True)
        assert (texts(fetched), fetched["missing"]) == (["worth it"], 0)


async def carol_holds(carol: Node, entry: str) -> bool:
    return bool(await carol._store.find_ids(entry))
