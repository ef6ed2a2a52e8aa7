"""What a person mistypes when data is taken out or brought in, and what they are told."""

from __future__ import annotations

import shlex
import zipfile
from pathlib import Path

import click
import pytest
from fake_node import FakeNode
from terminal_scene import Alice

from p2pblog.commands import moving
from p2pblog.errors import UsageError


def test_two_different_passphrases_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = iter(["correct horse", "correct house"])
    monkeypatch.delenv(moving.PASSPHRASE, raising=False)
    monkeypatch.setattr(click, "prompt", lambda *_, **__: next(typed))
    monkeypatch.setattr(moving, "_is_at_terminal", lambda: True)

    with pytest.raises(UsageError, match="the two passphrases are not the same"):
        moving.ask_passphrase(is_new=True)


@pytest.mark.parametrize(("name", "kind"), [("outbox.json", "mastodon"), ("F.CSV", "csv"), ("a b.tar.gz", "mastodon")])
def test_what_is_no_archive_may_come_with_from(
    alice: Alice, node: FakeNode, tmp_path: Path, name: str, kind: str
) -> None:
    file = tmp_path / name
    file.write_text("{}")

    result = alice.types("import", str(file))

    assert result.exit_code == 1
    assert result.stderr.splitlines()[1].endswith(f" import --from {kind} {shlex.quote(str(file))}")
    file.rename(tmp_path / "else")
    assert "Try" not in alice.types("import", str(tmp_path / "else")).stderr


@pytest.mark.parametrize(("member", "is_mastodons"), [("outbox.json", True), ("a/outbox.json", True), ("x", False)])
def test_a_zip_file_of_mastodon_is_known_by_what_it_holds(
    alice: Alice, node: FakeNode, tmp_path: Path, member: str, is_mastodons: bool
) -> None:
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as opened:
        opened.writestr("avatar.png", b"")
        opened.writestr(member, "{}")

    result = alice.types("import", str(tmp_path / "archive.zip"))

    assert result.exit_code == 1
    assert (f"import --from mastodon {tmp_path / 'archive.zip'}" in result.stderr) == is_mastodons


@pytest.mark.parametrize("name", ["nowhere.csv", "folder.json"])
def test_of_what_cannot_be_read_nobody_says_what_it_is(alice: Alice, tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.json").mkdir()

    result = alice.types("import", str(tmp_path / name))

    assert result.exit_code == 1
    assert "cannot be read" in result.stderr and "Try" not in result.stderr


def test_a_picture_is_no_list(alice: Alice, node: FakeNode, tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_bytes(b"\x89PNG\r\n\x1a\n")

    result = alice.types("import", "--from", "csv", str(tmp_path / "f.csv"))

    assert result.exit_code == 1
    assert "it is not UTF-8 (malformed)" in result.stderr and "codec" not in result.stderr


@pytest.mark.parametrize("command", ["export", "import"])
def test_an_archive_is_no_stream(
    alice: Alice, node: FakeNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = alice.types(command, "-")
    assert result.exit_code == 2
    assert "an archive is a file" in result.stderr
    assert list(tmp_path.iterdir()) == []
