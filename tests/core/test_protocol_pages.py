"""The protocol pages say what the code does: their limits, their errors and their examples are checked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from vectors.generate import FILES, FOLDER
from vectors.parts import ALICE, ROOT_1

from p2pblog import config
from p2pblog.core import codec
from p2pblog.core.groups import group_id
from p2pblog.core.identity import Policy
from p2pblog.errors import RemoteProtocolError

PAGES = Path(__file__).parents[2] / "docs" / "protocol"
VECTORS = "".join((FOLDER / f"{name}.json").read_text() for name in FILES)
UNTOLD = [ALICE.inception.policy_hash, codec.pack(Policy.of_one(ROOT_1.public).value)]
"""What no vector holds by itself."""


def test_the_limits_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| [^|]+ \| (\d+) \| `(\w+)` \|$", (PAGES / "README.md").read_text(), re.MULTILINE)
    assert len(rows) >= 14
    assert {name: int(value) for value, name in rows} == {name: getattr(config, name) for _, name in rows}


def test_the_errors_are_those_of_the_code() -> None:
    named = re.findall(r"^\| `([a-z-]+)` \|", (PAGES / "README.md").read_text(), re.MULTILINE)
    assert named == [kind.name for kind in RemoteProtocolError.__subclasses__()]


@pytest.mark.parametrize("page", ["identity", "entry", "payloads", "runs", "forks"])
def test_the_examples_are_in_the_vectors(page: str) -> None:
    """A line of hex and the deeper ones after it are one byte string."""
    text = (PAGES / f"{page}.md").read_text()
    blocks = re.findall(r"^    ([0-9a-f]{20,}(?:\n      [0-9a-f]+)*)$", text, re.MULTILINE)
    assert blocks
    for block in blocks:
        example = re.sub(r"\s", "", block)
        assert example in VECTORS or bytes.fromhex(example) in UNTOLD


def test_the_id_of_a_group_is_on_the_page() -> None:
    assert f"`{group_id('birds').hex()}`" in (PAGES / "payloads.md").read_text()


def test_alices_address_is_on_the_page() -> None:
    address = re.search(r"`([a-z2-7]{56})`", (PAGES / "identity.md").read_text())
    assert address
    assert f'"{address[1]}"' in VECTORS
