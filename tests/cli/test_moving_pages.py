"""What of a person's own goes into an archive, and what they read of what came out of one."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from builders import person
from fake_node import ALICE, NOW_MS, FakeNode, an_id
from terminal_scene import Alice

from p2pblog import archives
from p2pblog.commands.kept import kept_of
from p2pblog.core.kept import KeptFollow
from p2pblog.pages import moving
from p2pblog.session import Session
from p2pblog.terminal import Page, render


def text(page: Page) -> str:
    return render(page, colour=False)


@pytest.fixture
def session(alice: Alice, node: FakeNode) -> Session:
    made = Session()
    made.folder = str(alice.home.folder)
    return made


@pytest.mark.parametrize("terms", [{"no_boosts": True}, {"budget": "3/day"}, {"private": True}], ids=str)
def test_any_of_the_terms_of_a_follow_has_it_kept(session: Session, terms: dict[str, Any]) -> None:
    bob, plain = person("bob"), {"petname": None, "no_boosts": False, "budget": None, "private": False}
    rows: Any = [{"address": bob.address, **plain, **terms}, {"address": person("carol").address, **plain}]
    assert kept_of(session, rows, nullcontext).follows == (KeptFollow(bob.hash, None, **terms),)


def test_whom_one_vouched_for_is_not_kept_as_admitted(session: Session, node: FakeNode) -> None:
    """The vouch is an entry of one's own, and comes back with it."""
    bob, carol = person("bob"), person("carol")
    for someone, is_admitted in ((bob, True), (carol, False)):
        row = {"address": someone.address, "since": NOW_MS, "admitted": is_admitted, "vouch": an_id(1)}
        node.let_in[someone.address] = row
    assert kept_of(session, [], nullcontext).admitted == (bob.hash,)


def test_an_archive_is_checked_as_a_whole_before_anything_is_taken(
    alice: Alice, node: FakeNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, asked_before = str(tmp_path / "a.zip"), []
    assert alice.types("export", target).exit_code == 0
    node.calls.clear()
    monkeypatch.setattr(archives.Archive, "check", lambda _, tick: asked_before.append(len(node.calls)))
    alice.types("import", target)
    assert asked_before == [0]


def test_what_came_of_an_archive_is_told() -> None:
    came: Any = {"address": ALICE, "entries": 3, "new": 3, "refused": 0, "followed": 0, "files": 2, "skipped": []}
    page = text(moving.import_page({**came, "restored": True}, "p2pblog"))
    assert "Took back 2 files.\n" in page
    assert f"This home is yours again, as a new device: {ALICE}\n" in page
    assert "are each device's own from now on.\nTry: p2pblog run" in page
    again = text(moving.import_page({**came, "restored": False, "files": 0}, "p2pblog"))
    assert again == "Looked at 3 entries; 3 were not here.\n"


def test_what_came_from_elsewhere_is_told() -> None:
    page = text(moving.brought_page({"imported": 1, "already": 2, "skipped": 3}))
    assert page.startswith("Imported 1 notice.\n2 were imported before.\nLeft aside 3: ")
    assert text(moving.brought_page({"imported": 0, "already": 0, "skipped": 0})) == "Imported 0 notices.\n"
    rows: Any = [{"line": number, "reason": "no"} for number in range(moving.SKIPPED_SHOWN_MAX + 3)]
    page = text(moving.list_page({"followed": 0, "already": 4, "skipped": rows}))
    assert page.startswith("Followed 0 people.\n4 you follow already.\nLine 0: no\n")
    assert page.endswith("Line 19: no\n… and 3 more rows that were refused.\n")
