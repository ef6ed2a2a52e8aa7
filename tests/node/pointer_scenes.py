"""What scenes share in which strangers answer: what a node was told, and a stranger that reads a notice."""

from __future__ import annotations

from functools import partial

import pytest
from builders import person
from worlds import World

from p2pblog.cases.desk import ref_to
from p2pblog.core.keys import EntryId
from p2pblog.dht.memory import MemoryDirectory
from p2pblog.gossip.events import Ask
from p2pblog.node import Node


def cut_off_from_the_dht(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows anybody there."""
    monkeypatch.setattr(MemoryDirectory, "size", property(lambda directory: 0))


async def heard(node: Node) -> list[str]:
    """What strangers said to its person, newest first."""
    return [row["text"] for row in await node.timeline(strangers=True)]


async def told(node: Node, *texts: str) -> bool:
    return await heard(node) == list(texts)


async def reads_of(world: World, reader: str, author: str, notice: str) -> None:
    """The reader comes across somebody's notice, as one that was boosted or answered, and fetches it from a peer."""
    located = await world.home(author).store.locate(EntryId(bytes.fromhex(notice)))
    assert located is not None and located.identity == person(author).hash
    node = world.home(reader).node

    async def has_it() -> bool:
        node._driver.feed(Ask(ref_to(located)))
        return bool(await node._store.rows([located.entry.id]))

    await world.until(f"{reader} reads it", partial(has_it))
