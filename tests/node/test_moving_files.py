"""Scenes of files that come back to a node out of an archive."""

from __future__ import annotations

import pytest
from test_files import PICTURE, SMALL, fetch, hand_over, post
from test_moving import autojump_clock, runs_of, take_back
from trio.testing import MockClock, trio_test
from worlds import open_world

from p2pblog.errors import NotFound, UsageError, UserError
from p2pblog.store.blobs import MemoryBlobs
from p2pblog.store.memory import MemoryStore

__all__ = ["autojump_clock"]


@trio_test
async def test_a_lost_file_is_ours_again_and_reaches_followers(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        said = await post(alice, thumb=SMALL)
        file = said["hash"]
        await world.kill("alice")
        world.home("alice").blobs = MemoryBlobs()
        alice = await world.start("alice")
        assert (await alice.media(file))["state"] == "elsewhere"

        assert await alice.import_file(file, await hand_over(alice, PICTURE)) == {"hash": file, "new": True}
        assert await alice.import_file(said["thumb"], await hand_over(alice, SMALL)) == {
            "hash": said["thumb"],
            "new": True,
        }
        assert await alice.import_file(file, await hand_over(alice, PICTURE)) == {"hash": file, "new": False}
        assert [held.hex() for held in await world.home("alice").blobs.own()] == sorted([file, said["thumb"]])
        bob = await world.follower("bob", "alice")
        await world.reads("bob", "Look!")
        assert await fetch(bob, file) == PICTURE


@trio_test
async def test_a_file_comes_after_its_notice(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        file = (await post(alice))["hash"]
        identity, runs = (await alice.export_logs())["identity"], await runs_of(alice)
        await world.kill("alice")
        world.home("alice").store, world.home("alice").blobs = MemoryStore(), MemoryBlobs()
        alice = await world.start("alice")
        with pytest.raises(NotFound):
            await alice.media(file)
        assert await alice.import_file(file, await hand_over(alice, PICTURE)) == {"hash": file, "new": False}
        assert await world.home("alice").blobs.own() == []

        await take_back(alice, identity, runs)
        assert (await alice.import_file(file, await hand_over(alice, PICTURE)))["new"]
        assert await fetch(alice, file) == PICTURE


@trio_test
async def test_what_is_not_the_file_is_refused(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        file = (await post(alice))["hash"]
        before = await world.home("alice").blobs.own()
        for name in (file, "", file[:10], "../" + file):
            with pytest.raises((UserError, UsageError)):
                await alice.import_file(name, await hand_over(alice, PICTURE[:-1]))
        with pytest.raises(UserError, match="are not the file of that hash"):
            await alice.import_file(file, await hand_over(alice, PICTURE[:-1]))
        with pytest.raises(UsageError, match="upload is not here"):
            await alice.import_file(file, "nothing")
        assert await world.home("alice").blobs.own() == before
