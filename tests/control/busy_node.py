"""A node in memory that has something to answer to every route."""

from __future__ import annotations

from fake_node import FakeNode


async def busy_node() -> tuple[FakeNode, str]:
    """The node, and the hash of a file that one of its notices has."""
    node = FakeNode()
    news = {
        "id": "5" * 64,
        "type": "like",
        "from": "b" * 56,
        "name": None,
        "notice": "6" * 64,
        "time": 1,
        "read": False,
    }
    node.news.append(news)
    file = node.file(b"hello", {"name": "hello.txt", "alt": ""})
    node.bookmarked.append(node.add(media=[file]))
    await node.follow("c" * 56, "carol")
    await node.mute(word="spoiler")
    await node.block("d" * 56)
    await node.let_somebody_in("c" * 56)
    await node.create_list("tea")
    await node.join_group("birds")
    await node.add_peer("192.0.2.1:1000")
    await node.dm(["c" * 56], "hello")
    return node, file["hash"]
