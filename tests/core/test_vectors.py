"""Every vector of the core is read as its file says, and the files are what the generator writes."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from vectors.generate import FILES, FOLDER, render
from vectors.parts import in_hex

from p2pblog.errors import RemoteProtocolError

OTHERS = ("dht-datagrams", "dht-records", "handshake", "gossip-messages")
"""Files of the other protocol pages, run by the tests of their own packages; they count here."""


def cases_of(name: str) -> list[dict[str, Any]]:
    told = json.loads((FOLDER / f"{name}.json").read_text())
    return list(told["cases"] if isinstance(told, dict) else told)


CASES = [pytest.param(name, case, id=f"{name}: {case['name']}") for name in FILES for case in cases_of(name)]


@pytest.mark.parametrize("name, case", CASES)
def test_vector_is_read_as_its_file_says(name: str, case: dict[str, Any]) -> None:
    _, read = FILES[name]
    if case["accept"]:
        assert in_hex(read(case["input"])) == case["expect"]
        return
    with pytest.raises(RemoteProtocolError) as caught:
        read(case["input"])
    assert caught.value.name == case["error"]


@pytest.mark.parametrize("name", FILES)
def test_generator_writes_the_file_again(name: str) -> None:
    make, _ = FILES[name]
    assert render(make()) == (FOLDER / f"{name}.json").read_text()


@pytest.mark.parametrize("name", FILES)
def test_cases_of_a_file_have_names_of_their_own(name: str) -> None:
    twice = [case for case, times in Counter(case["name"] for case in cases_of(name)).items() if times > 1]
    assert twice == []


def test_core_vectors_leave_no_error_untried() -> None:
    tally = tally_of(list(FILES))
    assert tally["accept"] >= 60
    assert sum(tally.values()) - tally["accept"] >= 100
    earned = ["malformed", "not-canonical", "too-large", "bad-key", "bad-signature", "bad-address", "bad-statement"]
    for error in [*earned, "bad-chain", "bad-fork-proof"]:
        assert tally[error] >= 3, error


def test_all_vectors_together_are_enough() -> None:
    tally = tally_of([*FILES, *OTHERS])
    assert tally["accept"] >= 60
    assert sum(tally.values()) - tally["accept"] >= 120
    for error in ("bad-record", "expired", "bad-handshake"):
        assert tally[error] >= 3, error


def tally_of(names: list[str]) -> Counter[str]:
    """How many cases are accepted, and how many each error refuses."""
    cases = [case for name in names for case in cases_of(name)]
    return Counter("accept" if case["accept"] else case["error"] for case in cases)
