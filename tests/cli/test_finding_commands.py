"""What the commands answer that find notices: searches."""

from __future__ import annotations

import json

import pytest
from fake_node import FakeNode
from terminal_scene import Alice

from p2pblog.control import api


def fields(shape: type) -> list[str]:
    return list(shape.__annotations__)


def test_a_search_shows_notices_and_says_aside_what_it_did_not_look_into(alice: Alice, node: FakeNode) -> None:
    node.add(text="honey bees")
    newest = node.add(text="bees")
    assert [row["text"] for row in alice.gets("search", "bees", "-n", "5")] == ["bees", "honey bees"]
    assert [list(row) for row in alice.gets("search", " honey", "bees ")] == [fields(api.NoticeDocument)]
    assert "honey bees" in alice.types("search", "bees").stdout
    alice.gets("search", "--before", newest["id"], "--", "bees", "-wasps")
    assert node.calls[-1] == ("search", {"query": "bees -wasps", "limit": 20, "before": newest["id"]})
    assert alice.types("search", "wasps").stdout == "Nothing that is here fits.\n"
    assert alice.types("search", "wasps", "--before", newest["id"]).stdout == "Nothing older.\n"
    node.unread = 1_200
    result = alice.types("search", "honey", "--json")
    assert [row["text"] for row in json.loads(result.stdout)] == ["honey bees"]
    assert result.stderr == "1,200 entries came in too lately to be searched yet: ask again in a while.\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["search"], "missing argument 'QUERY...'"),
        (["search", " "], "there is nothing to look for"),
        (["search", '"bees'], 'a " is opened and not closed'),
        (["search", "since:yesterday"], "since: takes a day like 2026-11-01"),
        (["search", "x" * 501], "501 characters"),
        (["search", "\udcff"], "not valid UTF-8"),
        (["search", "bees", "--before", "abc"], "6 digits"),
    ],
)
def test_wrong_words_are_2(alice: Alice, node: FakeNode, words: list[str], sentence: str) -> None:
    result = alice.types(*words)

    assert (result.exit_code, result.stdout, node.calls) == (2, "", [])
    assert sentence.lower() in result.stderr.lower()
