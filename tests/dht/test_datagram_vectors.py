"""Every case of tests/vectors/dht-datagrams.json, and that the file is what its maker makes."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from make_datagram_vectors import FILE, read, render
from vectors.parts import in_hex

from p2pblog.config import DHT_REPLY_FACTOR
from p2pblog.errors import RemoteProtocolError

CASES: list[dict[str, Any]] = json.loads(FILE.read_text())
BYTES = {case["name"]: bytes.fromhex(next(iter(case["input"].values()))) for case in CASES}
PAGE = FILE.parents[2] / "docs" / "protocol" / "dht.md"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_case(case: dict[str, Any]) -> None:
    if case["accept"]:
        assert in_hex(read(case["input"])) == case["expect"]
        return
    with pytest.raises(RemoteProtocolError) as caught:
        read(case["input"])
    assert caught.value.name == case["error"]


def test_the_file_is_what_its_maker_makes() -> None:
    assert render() == FILE.read_text()


def test_there_are_enough_of_them_and_names_are_unique() -> None:
    assert len(BYTES) == len(CASES)
    said = [case["expect"].get("call", case["expect"].get("answer"))["kind"] for case in CASES if case["accept"]]
    assert {kind: said.count(kind) for kind in said} == {"ping": 8, "find": 5, "store": 4, "refusal": 1}
    assert {case["error"] for case in CASES} == {
        None, "malformed", "not-canonical", "too-large", "bad-handshake", "bad-key", "bad-signature"
    }  # fmt: skip


def test_the_examples_on_the_page_are_in_the_vectors() -> None:
    """A line of hex and the deeper ones after it are one byte string."""
    blocks = re.findall(r"^    ([0-9a-f]{20,}(?:\n      [0-9a-f]+)*)$", PAGE.read_text(), re.MULTILINE)
    shown = {re.sub(r"\s", "", block) for block in blocks}
    said = {BYTES[case["name"]].hex() for case in CASES if case["accept"]}
    records = {case["record"] for case in json.loads(FILE.with_name("dht-records.json").read_text()) if case["accept"]}
    assert len(shown & said) >= 5 and shown & records
    assert shown <= said | records


def test_the_sizes_on_the_page_are_those_of_the_vectors() -> None:
    """What a request has at least to be, for a reply with a proof to be three times as long."""
    proof, longest = BYTES["an answer that proves its node's id"], BYTES["a proof to a client with IPv6"]
    told = re.search(
        r"proof has (\d+) bytes and needs a request of (\d+); .* IPv6, (\d+) and (\d+)\.", PAGE.read_text()
    )
    assert told
    sizes = [(len(reply), -(-len(reply) // DHT_REPLY_FACTOR)) for reply in (proof, longest)]
    assert [number for pair in sizes for number in pair] == list(map(int, told.groups()))
