"""Whose notice an answer, a quote, a pin or a delete is about: the entry itself decides, and not who speaks of it."""

from __future__ import annotations

import pytest
from test_reading import has_row
from trio.testing import MockClock, trio_test
from worlds import open_world

from p2pblog.cases.desk import ref_to
from p2pblog.cases.writing import _replaced
from p2pblog.core.address import read
from p2pblog.core.keys import EntryId
from p2pblog.core.payload import REPLACES_MAX, Boost, Edit, Pin
from p2pblog.core.value import replace
from p2pblog.errors import NotFound, NotPermitted
from p2pblog.store.meaning import Version


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


@trio_test
async def test_a_boost_does_not_say_whose_notice_it_boosts(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.friends("alice", "bob", "mallory")
        alice, bob, mallory = (world.home(name).node for name in ("alice", "bob", "mallory"))
        written = await alice.post("tea?")
        await has_row(world, "bob", "tea?", id=written["id"])
        located = await world.home("bob").store.locate(EntryId(bytes.fromhex(written["id"])))
        assert located is not None
        quotes = []
        for claimed in ("mallory", "bob"):
            lie = replace(ref_to(located), identity=read(world.home(claimed).address))
            boost = await mallory._author.write(Boost(lie))
            await has_row(world, "bob", "tea?", id=boost.id.hex(), type="boost")
            quoted = await bob.quote(boost.id.hex(), f"quoted beside {claimed}")
            quotes.append(quoted["id"])
            quote = (await bob.show(quoted["id"]))["quote"]
            assert quote is not None
            assert (quote["author"], quote["text"]) == (world.home("alice").address, "tea?")
            with pytest.raises(NotPermitted, match="somebody else's"):
                await bob.edit(boost.id.hex(), "mine now")
            with pytest.raises(NotPermitted, match="somebody else's"):
                await bob.pin(boost.id.hex())
        edit = await mallory._author.write(Edit(ref_to(located), "not hers"))
        await world.until("bob has it", lambda: world_holds(world, edit.id))
        with pytest.raises(NotFound):
            await bob.like(edit.id.hex())

        async def is_told() -> bool:
            return len([each for each in await alice.notifications() if each["id"] in quotes]) == 2

        await world.until("alice is told", is_told)


async def world_holds(world: object, entry: EntryId) -> bool:
    return await world.home("bob").store.locate(entry) is not None  # type: ignore[attr-defined]


@trio_test
async def test_whatever_was_taken_back_is_not_taken_back_again(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.friends("alice", "bob")
        alice = world.home("alice").node
        await world.home("bob").node.post("hi")
        await has_row(world, "alice", "hi")
        poll = await alice.post("tea?", poll=["yes", "no"])
        notice = await alice.post("hello")
        written = [
            await alice.vote(poll["id"], 1),
            await alice.dm([world.home("bob").address], "psst"),
            await alice.edit(notice["id"], "hello again"),
            notice,
        ]
        for each in written:
            delete = await alice.delete(each["id"])
            with pytest.raises(NotFound, match="deleted already"):
                await alice.delete(each["id"])
            with pytest.raises(NotPermitted, match="taken back"):
                await alice.delete(delete["id"])
        assert await world.home("alice").store.drop_retracted(2**53) == len(written)
        for each in written:
            with pytest.raises(NotFound, match="deleted already"):
                await alice.delete(each["id"])


@trio_test
async def test_an_old_pin_that_counts_no_more_is_none(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        notices = [await alice.post(f"notice {number}") for number in range(6)]
        for notice in notices:  # as two devices may
            located = await alice._locate(notice["id"])
            await alice._author.write(Pin(ref_to(located)))
        with pytest.raises(NotPermitted, match="pinned already"):
            await alice.pin(notices[0]["id"])
        await alice.unpin(notices[-1]["id"])
        assert (await alice.pin(notices[1]["id"]))["type"] == "pin"  # counts: the same again


def test_an_edit_takes_the_place_of_the_last_of_each_device() -> None:
    def edit(log: int, seq: int) -> Version:
        return Version(EntryId(bytes([log, seq]) * 16), log, seq, 0, b"")

    once, many = edit(2, 7), [edit(1, seq) for seq in range(30)]
    named = _replaced([once, *many])
    assert len(named) == REPLACES_MAX and {once.id, many[-1].id, many[-2].id} <= set(named)
    assert named[-2:] == (once.id, many[-1].id)  # so that long words leave room for these
