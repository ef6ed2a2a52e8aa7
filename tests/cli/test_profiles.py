"""Profiles on the command line, with what is pinned beside them."""

from __future__ import annotations

from fake_node import BOB, FakeNode, an_id
from terminal_scene import Alice


def test_pinned_notices_stand_below_the_profile(alice: Alice, node: FakeNode) -> None:
    first, second = node.add(text="read this"), node.add(text="and that \x1b[2J")
    said = alice.types("pin", first["id"][:8]).stdout
    assert said == f"Pinned {first['id'][:10]} (entry {first['id'][:10]}; unpin takes it back)\n"
    alice.gets("pin", second["id"])
    assert alice.gets("profile")["pinned"] == [second["id"], first["id"]]
    node.pinned.append(an_id(99))  # taken back meanwhile
    page = alice.types("profile").stdout.splitlines()
    at = page.index("Pinned (3):")
    assert [text for text in page[at:] if text.startswith("  ")] == ["  and that", "  read this"]
    assert page[-1] == an_id(99)[:10]
    said = alice.types("unpin", first["id"]).stdout
    assert said.startswith(f"Took back your pin of {first['id'][:10]} (entry ")
    assert alice.gets("profile")["pinned"] == [second["id"], an_id(99)]


def test_somebody_elses_notice_is_not_pinned(alice: Alice, node: FakeNode) -> None:
    theirs = node.add(author=BOB)
    assert alice.types("pin", theirs["id"]).exit_code == 5
