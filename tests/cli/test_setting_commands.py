"""What alice sets for her node: which sizes there are, what reaches the node, and what her pages say of it."""

from __future__ import annotations

import json

import pytest
from fake_node import BOB, FakeNode
from terminal_scene import Alice

from p2pblog.config import STORE_BYTES_MAX, STORE_BYTES_MIN
from p2pblog.control.settings import check_size, spell_size
from p2pblog.errors import UsageError, UserError

CAROL = "c" * 56


def test_sizes() -> None:
    assert check_size("500MB") == 500_000_000
    assert check_size(" 2 gib ") == 2 * 2**30
    assert check_size("1.5GB") == 1_500_000_000
    assert check_size("None") is None
    for size in (STORE_BYTES_MIN, STORE_BYTES_MAX):
        assert check_size(f"{size // 1000}kB") == size
    assert check_size("12345678 b") == 12_345_678
    for wrong in (
        f"{STORE_BYTES_MIN // 1000 - 1}kB",
        f"{STORE_BYTES_MAX // 1000 + 1}kB",
        "",
        "2",
        "2G",
        "GB",
        "-2GB",
        "2,5GB",
        "2 GB GB",
        "２GB",
        "9" * 30 + "GB",
    ):
        with pytest.raises(UsageError):
            check_size(wrong)


@pytest.mark.parametrize("spelled", ["none", "10MB", "2GB", "2GiB", "1536MiB", "10240001kB", "12345678B", "1000TB"])
def test_sizes_are_spelled_as_they_are_typed(spelled: str) -> None:
    assert spell_size(check_size(spelled)) == spelled


def test_every_size_that_is_shown_can_be_typed() -> None:
    for typed in ("10.001MiB", "1.001TiB", "10.999GiB", "12345.678kB"):
        size = check_size(typed)
        assert check_size(spell_size(size)) == size


def test_what_is_set_reaches_the_node(alice: Alice, node: FakeNode) -> None:
    told = alice.gets("config", "set", "store.max", "2GB")
    assert told == {
        "key": "store.max",
        "value": "2GB",
        "default": "none",
        "caption": "room on the disk; beyond, old notices of others go",
    }
    assert alice.gets("config", "get", "STORE.MAX") == told
    assert [row["key"] for row in alice.gets("config")] == ["files.max", "store.max"]
    assert alice.gets("config", "list") == alice.gets("config")
    assert alice.gets("config", "unset", "store.max")["value"] == "none"
    assert node.calls[:2] == [
        ("config_set", {"key": "store.max", "value": "2GB"}),
        ("config_get", {"key": "store.max"}),
    ]


def test_what_is_no_setting_never_reaches_it(alice: Alice, node: FakeNode) -> None:
    for words, code in (
        (("set", "store.min", "2GB"), 2),
        (("get", "nothing"), 2),
        (("unset", ""), 2),
        (("set", "store.max", "much"), 2),
        (("set", "store.max", "1MB"), 2),
        (("set", "store.max"), 2),
        (("nonsense",), 2),
    ):
        result = alice.types("config", *words)
        assert (result.exit_code, result.stdout) == (code, ""), words
    assert node.calls == []


def test_pages_about_settings_and_room(alice: Alice, node: FakeNode) -> None:
    rows = [text.split()[:3] for text in alice.types("config").stdout.splitlines()]
    assert rows == [["KEY", "VALUE", "DEFAULT"], ["files.max", "1GiB", "1GiB"], ["store.max", "none", "none"]]
    page = alice.types("config", "set", "store.max", "2GB").stdout
    assert page.startswith("store.max is 2GB (by default none)\n")

    def room() -> str:
        return next(text for text in alice.types("status").stdout.splitlines() if text.startswith("room"))

    assert room().split(maxsplit=1)[1] == "123.5 kB of 2.0 GB"
    node.pruned = 1_234
    assert room().endswith(" of 2.0 GB, 1,234 entries pruned")
    node.set.clear()
    assert "of 2.0" not in room()
    assert "can't be kept" not in alice.types("status").stdout
    node.failing = "there is no room to write the database"
    assert "\n\nWhat comes can't be kept: there is no room to write the database.\n" in alice.types("status").stdout
    assert json.loads(alice.types("status", "--json").stdout)["store"] == {
        "used": 123_456,
        "max": None,
        "pruned": 1_234,
        "failing": node.failing,
    }


def test_a_timeline_says_where_it_was_cut(alice: Alice, node: FakeNode) -> None:
    for number in range(3):
        node.add(text=f"notice {number}", author=BOB)
    alice.gets("follow", BOB)
    assert "pruned" not in alice.types("timeline").stdout
    node.follows[BOB]["pruned"] = 1
    assert alice.types("timeline").stdout.endswith("\n\n1 older entry pruned to save room.\n")
    assert "pruned" not in alice.types("timeline", "--limit", "2").stdout  # there is more
    node.follows[BOB]["pruned"] = 5_000
    assert alice.types("timeline", "--author", BOB).stdout.endswith("\n\n5,000 older entries pruned to save room.\n")
    assert "pruned" not in alice.types("timeline", "--tag", "bees").stdout
    last = alice.gets("timeline")[-1]["id"]  # the page below a full one is empty
    node.follows[CAROL] = {**node.follows[BOB], "address": CAROL, "petname": "carol", "pruned": 30}
    node.listed["tea"] = [CAROL]
    for words, count in (([], "5,030"), (["--author", BOB], "5,000"), (["--list", "tea"], "30")):
        below = alice.types("timeline", "--before", last, *words).stdout
        assert below == f"Nothing older.\n\n{count} older entries pruned to save room.\n"
    assert alice.types("timeline", "--author", "carol").stdout.endswith("\n\n30 older entries pruned to save room.\n")
    node.faults["show_list"] = UserError("it is gone")
    assert "pruned" not in alice.types("timeline", "--list", "tea").stdout
    row, _ = alice.gets("following")
    assert row["pruned"] == 5_000
