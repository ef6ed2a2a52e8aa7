"""Every case of tests/vectors/dht-records.json, and that the file is what its maker makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from make_dht_vectors import all_cases

from p2pblog.dht.records import DhtKey, decode, encode
from p2pblog.errors import RemoteProtocolError

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent.parent / "vectors" / "dht-records.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_case(case: dict[str, Any]) -> None:
    key, data, now_ms = DhtKey(bytes.fromhex(case["key"])), bytes.fromhex(case["record"]), case["now"]
    if case["accept"]:
        record = decode(key, data, now_ms)
        assert encode(record) == data and record.key == key
        assert type(record).__name__.lower() == case["kind"]
    else:
        with pytest.raises(RemoteProtocolError) as caught:
            decode(key, data, now_ms)
        assert caught.value.name == case["error"]


def test_the_file_is_what_its_maker_makes() -> None:
    assert all_cases() == CASES


def test_there_are_enough_of_them_and_names_are_unique() -> None:
    assert sum(case["accept"] for case in CASES) >= 8
    assert sum(not case["accept"] for case in CASES) >= 25
    assert len({case["name"] for case in CASES}) == len(CASES)
    for name in ("bad-record", "expired"):
        assert sum(case["error"] == name for case in CASES) >= 3
