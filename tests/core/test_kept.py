"""What a person keeps for themselves, sealed beside the secret keys: it comes back as it was, and within limits."""

from __future__ import annotations

from typing import Any

import pytest
from builders import NOON, person

from p2pblog.config import (
    ADMITTED_MAX,
    ARCHIVED_PEERS_MAX,
    BLOCKS_MAX,
    BOOKMARKS_MAX,
    FOLLOWS_MAX,
    GROUPS_JOINED_MAX,
    LIST_MEMBERS_MAX,
    LISTS_MAX,
    MUTED_WORDS_CHARACTERS_MAX,
    MUTES_MAX,
)
from p2pblog.core import codec
from p2pblog.core.address import Endpoint
from p2pblog.core.archive import Secrets
from p2pblog.core.kept import Kept, KeptFollow
from p2pblog.core.quiet import Mute, MuteKind
from p2pblog.errors import RemoteProtocolError


def test_what_is_kept_for_oneself_alone_goes_with_the_secret_keys() -> None:
    alice, bob = person("alice"), person("bob")
    kept = Kept(
        (bob.log.entries[0].id,),
        (KeptFollow(bob.hash, "bob", True, "3/day", True), KeptFollow(bob.hash, private=True)),
        (("tea", (bob.hash, alice.hash)), ("empty", ())),
        (
            Mute(MuteKind.PERSON, bob.hash),
            Mute(MuteKind.TAG, b"bees", 0, NOON),
            Mute(MuteKind.WORD, "wächter".encode()),
        ),
        (bob.hash,),
        (bob.hash, alice.hash),
        ("birds", "bädeker", "paral\u00b7lel", "1\u20442price"),
        (Endpoint.parse("192.0.2.1:4711"), Endpoint.parse("[2001:db8::1]:4711")),
    )
    told = Secrets(alice.root.seed, alice.device.seed, kept)
    assert Secrets.decode(told.encode()) == told
    before = codec.pack({"device": told.device, "root": told.root})  # as archives were before
    assert Secrets.decode(before) == Secrets(told.root, told.device)


@pytest.mark.parametrize(
    ("name", "row", "most"),
    [
        ("bookmarks", bytes(32), BOOKMARKS_MAX),
        ("blocks", bytes(32), BLOCKS_MAX),
        ("admitted", bytes(32), ADMITTED_MAX),
        ("groups", "birds", GROUPS_JOINED_MAX),
        ("mutes", [3, b"bees", None], MUTES_MAX),
        ("peers", "192.0.2.1:4711", ARCHIVED_PEERS_MAX),
        ("lists", ["tea", []], LISTS_MAX),
        ("follows", [bytes(32), None, 0, None, 1], FOLLOWS_MAX),
    ],
)
def test_no_more_is_kept_than_a_home_keeps(name: str, row: Any, most: int) -> None:
    for count in (most - 1, most):
        assert len(getattr(Kept.from_value({name: [row] * count}), name)) == count
    with pytest.raises(RemoteProtocolError):
        Kept.from_value({name: [row] * (most + 1)})


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("bookmarks", bytes(31)),
        ("groups", ""),
        ("groups", "x" * 65),
        ("groups", "bi\trds"),
        ("groups", "birds\u2028"),
        ("groups", "birds\x9b"),
        ("groups", b"birds"),
        ("follows", [bytes(32), None, 0, "3/year", 1]),
        ("follows", [bytes(32), "x" * 201, 0, None, 1]),
        ("follows", [bytes(32), None, 2, None, 1]),
        ("lists", ["tea", [bytes(32)] * (LIST_MEMBERS_MAX + 1)]),
        ("mutes", [4, b"bees", None]),
        ("peers", "peer.example:4711"),
        ("peers", b"192.0.2.1:4711"),
        ("mutes", [1, b"bees", None]),
        ("mutes", [3, b"\xff", None]),
        ("mutes", [3, b"x" * (4 * MUTED_WORDS_CHARACTERS_MAX + 1), None]),
        ("mutes", [3, b"bees", -1]),
    ],
)
def test_what_could_not_be_kept_is_refused(name: str, row: Any) -> None:
    with pytest.raises(RemoteProtocolError):
        Kept.from_value({name: [row]})


def test_a_group_of_a_later_unicode_is_kept_and_others_are_normal() -> None:
    names = ["\U0003fffd\u5b57", "Birds", "cafe\u200d\u0301"]  # the first is not assigned yet
    assert Kept.from_value({"groups": names}).groups == (names[0], "birds", "caf\u00e9")
