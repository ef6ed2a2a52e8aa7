"""Alice shows an avatar and a banner; Bob sees what they are in her profile and fetches the files."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import trio
from trio.testing import MockClock, trio_test, wait_all_tasks_blocked
from worlds import fetch, open_world

from p2pblog.config import PIECE_BYTES, UPLOADS_MAX
from p2pblog.errors import NotFound, NotPermitted, UsageError
from p2pblog.node import Node

FACE = b"\xff\xd8\xff" + b"a" * PIECE_BYTES + b"face"
SMALL = b"\xff\xd8\xffsmall"
HILLS = b"\x89PNG\r\n\x1a\nhills"


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


async def picture(node: Node, data: bytes, name: str, thumb: bytes | None = None) -> list[Any]:
    """As the command line hands it over."""
    told = {"upload": (await _upload(node, data)), "name": name}
    return [told if thumb is None else {**told, "thumb": await _upload(node, thumb)}]


async def _upload(node: Node, data: bytes) -> str:
    return (await node.upload(base64.b64encode(data).decode()))["upload"]


@trio_test
async def test_a_follower_sees_an_avatar_and_fetches_it(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        bob = await world.follower("bob", "alice")
        address = world.home("alice").address

        async def is_found() -> bool:
            return [follow["state"] for follow in await bob.following()] == ["found"]

        await world.until("bob has heard of her", is_found)
        own = await alice.profile(avatar=await picture(alice, FACE, "../me.jpg", SMALL))
        assert own["avatar"] is not None
        assert own["banner"] is None
        assert (own["avatar"]["name"], own["avatar"]["type"], own["avatar"]["size"]) == (
            "me.jpg",
            "image/jpeg",
            len(FACE),
        )

        async def seen() -> bool:
            return (await bob.profile(address=address))["avatar"] == own["avatar"]

        await world.until("bob sees it", seen)
        file, thumb = own["avatar"]["hash"], own["avatar"]["thumb"]
        assert thumb is not None
        told = await bob.media(file[:10])
        assert (told["state"], told["name"], told["author"]) == ("elsewhere", "me.jpg", address)
        assert told["notice"] is None  # an entry that `show` does not show
        assert await fetch(bob, file[:10]) == FACE
        assert await fetch(bob, thumb) == SMALL
        await alice.drop_unreferred(-1)  # what a profile has is referred to
        await alice.drop_unreferred(-1)
        assert await fetch(alice, file) == FACE


@trio_test
async def test_one_picture_leaves_the_rest_as_it_is(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        await alice.profile(name="Alice", bio="Bees", links=["https://example.org"])
        both = await alice.profile(
            avatar=await picture(alice, FACE, "me.jpg"), banner=await picture(alice, HILLS, "hills.png")
        )
        assert (both["name"], both["bio"], both["links"]) == ("Alice", "Bees", ["https://example.org"])
        assert both["banner"] is not None
        assert (both["banner"]["name"], both["banner"]["type"]) == ("hills.png", "image/png")
        renamed = await alice.profile(name="Al")
        assert renamed == {**both, "name": "Al"}
        bare = await alice.profile(avatar=[])
        assert bare == {**renamed, "avatar": None}
        assert (await alice.profile(banner=[]))["banner"] is None
        assert await alice.profile() == {**bare, "banner": None}


@trio_test
async def test_what_is_no_picture_is_refused(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        bob = await world.start("bob")
        before = await alice.profile()
        with pytest.raises(UsageError, match="no avatar"):
            await alice.profile(avatar=await picture(alice, b"a letter", "letter.jpg"))
        with pytest.raises(UsageError, match="one banner"):
            await alice.profile(banner=[*await picture(alice, FACE, "1"), *await picture(alice, HILLS, "2")])
        with pytest.raises(UsageError, match="not here any more"):
            await alice.profile(avatar=[{"upload": "0" * 32}])
        with pytest.raises(NotPermitted, match="somebody else's"):
            await alice.profile(address=world.home("bob").address, avatar=[])
        assert await alice.profile() == before
        with pytest.raises(NotFound, match="no notice or profile"):
            await bob.media("00" * 32)


@trio_test
async def test_a_picture_is_read_before_its_profile_waits(autojump_clock: MockClock) -> None:
    """Other uploads take its place meanwhile; and what is no picture is refused at once."""
    async with open_world() as world:
        alice = await world.start("alice")
        face, hills = await picture(alice, FACE, "me.jpg"), await picture(alice, HILLS, "hills.png")

        async def change() -> None:
            told = await alice.profile(name="Alice", avatar=face, banner=hills)
            assert told["avatar"] is not None and told["avatar"]["size"] == len(FACE)
            assert told["banner"] is not None and told["banner"]["size"] == len(HILLS)

        async with trio.open_nursery() as nursery, alice._in_turn():
            nursery.start_soon(change)
            await wait_all_tasks_blocked()
            for number in range(UPLOADS_MAX):
                await _upload(alice, b"another %d" % number)
            for name in ("avatar", "banner"):
                with pytest.raises(UsageError, match=f"no {name}"):
                    await alice.profile(**{name: await picture(alice, b"words", "words.txt")})
        assert await fetch(alice, (await alice.profile())["avatar"]["hash"]) == FACE
