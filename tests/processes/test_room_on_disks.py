"""A cap on a real disk: a node with a real database fetches a long history over TCP, and stays below what was set."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio
from builders import Person, key_pair, person

from p2pblog import installation, keyring
from p2pblog.bridge import open_bridge
from p2pblog.core.address import Endpoint
from p2pblog.core.logs import Batch
from p2pblog.daemon import open_node
from p2pblog.home import Home
from p2pblog.keyring import Keyring
from p2pblog.node import Node
from p2pblog.store.sqlite import open_sqlite

CAP = 10_000_000
WORDS = "words of all kinds that people write and read " * 100
MANY = 3_000
HERE = Endpoint("127.0.0.1", 0)


def home_of(folder: Path, name: str) -> tuple[Home, Keyring]:
    who, home = person(name), Home(folder / name)
    home.folder.mkdir(mode=0o700)
    keys = Keyring(who.root, who.identity.inception, who.device, key_pair(f"{name}/node"), name)
    keyring.save(home, keys)
    return home, keys


async def write_history(home: Home, author: Person) -> None:
    since_ms = time.time_ns() // 1_000_000 - MANY * 60_000
    for number in range(MANY):
        author.log.note(f"{number} {WORDS}", time_ms=since_ms + number * 60_000)
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, home.database)
        await store.put_identity(author.identity)
        for first in range(1, MANY + 2, 250):
            await store.append([Batch(author.hash, author.log.run(first, first + 249))], since_ms + MANY * 60_000)
        assert (await store.usage()).used > CAP * 1.3
        await store.aclose()
    installation.mark(home)


async def until(held: Callable[[], Awaitable[bool]]) -> None:
    begun = time.monotonic()
    while not await held():
        assert time.monotonic() - begun < 60
        await trio.sleep(0.05)


async def until_below(node: Node, file: Path) -> int:
    """Until the node has pruned and its file fits the cap, too; gives how many entries it holds."""

    async def is_below() -> bool:
        store = (await node.status())["store"]
        size = (await trio.Path(file).stat()).st_size
        return store["pruned"] > 0 and store["used"] <= CAP and size <= CAP * 1.2

    await until(is_below)
    return (await node.status())["entries"]


async def until_read(node: Node, text: str) -> None:
    async def is_read() -> bool:
        return [row["text"] for row in await node.timeline(limit=1)] == [text]

    await until(is_read)


async def until_linked(node: Node) -> None:
    async def is_linked() -> bool:
        return bool(await node.peers())

    await until(is_linked)


def test_a_node_fetches_a_long_history_and_stays_below_its_cap(tmp_path: Path) -> None:
    alice = person("alice")

    async def main() -> None:
        (at_alice, keys), (at_bob, bobs) = home_of(tmp_path, "alice"), home_of(tmp_path, "bob")
        await write_history(at_alice, alice)
        async with open_node(at_alice, keys, HERE, []) as author:
            place = (await author.status())["listen"]
            async with open_node(at_bob, bobs, HERE, [place]) as node:
                await node.config_set("store.max", "10MB")
                await node.follow(alice.address)
                held = await until_below(node, at_bob.database)
                assert 200 < held < MANY
                await author.post("the newest")
                await until_read(node, "the newest")
            async with open_node(at_bob, bobs, HERE, [place]) as node:
                await until_linked(node)
                await author.post("one more")
                await until_read(node, "one more")
                assert await until_below(node, at_bob.database) <= held + 4  # and nothing of the old ones

    trio.run(main)
