"""What `export` writes of a node whose database is damaged: all that can be read, and how much could not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_node import BOB, FakeNode
from terminal_scene import Alice

from p2pblog import keyring
from p2pblog.archives import open_archive
from p2pblog.errors import UserError

PASS = {"P2PBLOG_PASSPHRASE": "correct horse"}


def test_what_cannot_be_read_is_left_out_and_said(
    alice: Alice, node: FakeNode, keys: keyring.Keyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is what one is told to do with a damaged database: one bad entry must not cost all that is kept."""
    node.owner.notes(6)
    told = {"address": BOB, "name": None, "petname": "bob", "entries": 0, "newest": None, "state": "found"}
    node.follows[BOB] = {**told, "no_boosts": False, "budget": None, "private": False, "pruned": 0, "lookalike": None}
    whole = node.export_run

    async def export_run(device: str, first: int) -> dict[str, Any]:
        if first == 1:
            return {"run": None, "next": 3}
        return await whole(device, first)

    monkeypatch.setattr(node, "export_run", export_run)
    damage = UserError("the database is damaged")
    node.faults |= {"timeline": damage, "bookmarks": damage, "profile": damage}
    target = tmp_path / "alice.zip"

    result = alice.types("--json", "export", "--secrets", str(target), env=PASS)

    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert (document["entries"], document["missing_entries"]) == (5, 2)
    assert document["faults"] == ["the database is damaged"]
    with open_archive(target) as opened:
        opened.check(lambda share: None)
        assert [entry.seq for run in opened.runs(node.owner.key) for entry in run] == [3, 4, 5, 6, 7]
        assert BOB in opened.follows().decode()
        assert opened.secrets(PASS["P2PBLOG_PASSPHRASE"]).root == keys.root.seed
    page = alice.types("export", "--force", str(target))
    assert page.exit_code == 1
    assert "2 entries of yours could not be read." in page.stdout
    assert "Not all could be read: the database is damaged." in page.stdout


@pytest.mark.usefixtures("keys")
def test_an_entry_that_rots_on_its_way_out_spoils_no_archive(
    alice: Alice, node: FakeNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.owner.notes(6)
    whole = node.export_run

    async def export_run(device: str, first: int) -> dict[str, Any]:
        piece = await whole(device, first)
        return {**piece, "run": piece["run"].replace(b"note 2".hex(), b"note 6".hex())} if first == 3 else piece

    monkeypatch.setattr(node, "export_run", export_run)
    target = tmp_path / "alice.zip"
    assert alice.types("export", str(target)).exit_code == 1
    with open_archive(target) as opened:
        opened.check(lambda share: None)
        assert [entry.seq for run in opened.runs(node.owner.key) for entry in run] == [1, 2, 5, 6, 7]
