"""Every case of tests/vectors/gossip-messages.json, and that the file is what its maker makes."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, get_args

import pytest
from make_gossip_vectors import FILE, meaning, render

from p2pblog.errors import RemoteProtocolError
from p2pblog.gossip.messages import Decoder, Encoder, Message

CASES: list[dict[str, Any]] = json.loads(FILE.read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_case(case: dict[str, Any]) -> None:
    *before, last = [bytes.fromhex(item) for item in case["input"]]
    decoder, encoder = Decoder(), Encoder()
    for data in before:
        assert encoder.encode(decoder.decode(data)) == data
    if case["accept"]:
        message = decoder.decode(last)
        assert meaning(message) == case["expect"]
        assert encoder.encode(message) == last
        return
    with pytest.raises(RemoteProtocolError) as caught:
        decoder.decode(last)
    assert caught.value.name == case["error"]


def test_the_file_is_what_its_maker_makes() -> None:
    assert render() == FILE.read_text()


def test_every_kind_is_accepted_once_and_enough_is_refused() -> None:
    told = {case["expect"]["kind"] for case in CASES if case["accept"]}
    assert told == {kind.__name__ for kind in get_args(Message)}
    assert sum(not case["accept"] for case in CASES) >= 30
    tally = Counter(case["error"] for case in CASES if not case["accept"])
    assert all(tally[name] >= 3 for name in ("malformed", "not-canonical", "too-large", "bad-message"))
    assert len({case["name"] for case in CASES}) == len(CASES)
