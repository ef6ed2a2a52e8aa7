"""What a person types to take data out and bring it in, and what they read of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import click
import pytest
from builders import person
from fake_node import ALICE, BOB, FakeNode
from terminal_scene import Alice, fields

from p2pblog import archives, keyring
from p2pblog.archives import open_archive
from p2pblog.commands import importing, moving
from p2pblog.commands.kept import as_typed
from p2pblog.control import documents
from p2pblog.core import archive
from p2pblog.core.archive import Secrets
from p2pblog.core.kept import Kept, KeptFollow
from p2pblog.core.media import Attachment, table_of
from p2pblog.core.payload import Note, Profile
from p2pblog.core.value import replace
from p2pblog.errors import TimedOut, UsageError, UserError
from p2pblog.restoring import Restored

PUBLIC = "https://www.w3.org/ns/activitystreams#Public"
ACTOR = "https://m.example/users/alice"
PASS = {"P2PBLOG_PASSPHRASE": "correct horse"}


def follow_row(address: str, petname: str | None) -> dict[str, Any]:
    told = {"address": address, "name": None, "petname": petname, "entries": 0, "newest": None, "state": "found"}
    return {**told, "no_boosts": False, "budget": None, "private": False, "pruned": 0, "lookalike": None}


# --- out --------------------------------------------------------------------------------------------------------------


def test_an_export_holds_all_that_the_node_gives(alice: Alice, node: FakeNode, tmp_path: Path) -> None:
    node.owner.notes(6)
    node.follows[BOB] = follow_row(BOB, "bob")
    node.add(text="a notice\nof two lines ☼", author=node.owner.address)

    target = tmp_path / "alice.zip"
    document = alice.gets("export", str(target))

    assert list(document) == fields(documents.ExportDocument)
    told = {"file": str(target), "entries": 7, "bytes": target.stat().st_size, "secrets": False}
    told |= {"files": 0, "missing_files": 0, "missing_follows": 0, "missing_entries": 0, "faults": []}
    assert document == told
    with open_archive(target) as opened:
        opened.check(lambda share: None)
        assert [entry.id for run in opened.runs(node.owner.key) for entry in run] == [
            e.id for e in node.owner.log.entries
        ]
        assert opened.follows().decode() == f"petname,address\nbob,{BOB}\n"
        assert not opened.has_secrets
    with zipfile.ZipFile(target) as plain:
        rows = [json.loads(line) for line in plain.read(archive.NOTICES).splitlines()]
    assert [row["text"] for row in rows] == ["a notice\nof two lines ☼"]
    asked = [arguments["first"] for route, arguments in node.calls if route == "export_run"]
    assert asked == [1, 3, 5, 7, 8]


def test_a_page_says_where_it_went(alice: Alice, node: FakeNode, tmp_path: Path) -> None:
    result = alice.types("export", str(tmp_path / "a\x1b[31m.zip"))
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("Wrote ")
    assert "\x1b" not in result.stdout
    assert "1 entry" in result.stdout.replace("\n", " ")
    assert "without your secret keys" in result.stdout.replace("\n", " ")


@pytest.mark.usefixtures("node")
def test_an_export_replaces_nothing_unasked(alice: Alice, tmp_path: Path) -> None:
    target = tmp_path / "alice.zip"
    target.write_text("precious")
    result = alice.types("export", str(target))
    assert result.exit_code == 1
    assert "say --force" in result.stderr
    assert target.read_text() == "precious"
    assert alice.types("export", str(target), "--force").exit_code == 0
    assert zipfile.is_zipfile(target)


@pytest.mark.parametrize("file", ["", "a\0b"])
@pytest.mark.usefixtures("node")
def test_what_is_no_file_is_2(alice: Alice, file: str) -> None:
    assert alice.types("export", file).exit_code == 2
    assert alice.types("import", file).exit_code == 2


def test_an_export_that_breaks_off_leaves_nothing(alice: Alice, node: FakeNode, tmp_path: Path) -> None:
    node.faults["following"] = ZeroDivisionError("a bug")
    assert alice.types("export", str(tmp_path / "alice.zip")).exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_secret_keys_leave_only_under_a_passphrase(
    alice: Alice, node: FakeNode, keys: keyring.Keyring, tmp_path: Path
) -> None:
    target = tmp_path / "alice.zip"
    result = alice.types("export", "--secrets", str(target))
    assert result.exit_code == 2
    assert "set P2PBLOG_PASSPHRASE" in result.stderr
    assert not target.exists()
    assert alice.types("export", "--secrets", str(target), env={"P2PBLOG_PASSPHRASE": "horse"}).exit_code == 2

    result = alice.types("--json", "export", "--secrets", str(target), env=PASS)
    assert json.loads(result.stdout)["secrets"] is True
    with open_archive(target) as opened:
        assert opened.secrets("correct horse") == Secrets(keys.root.seed, keys.device.seed)
    everything = b"".join(json.dumps(call).encode() for call in node.calls) + target.read_bytes()
    for secret in (keys.root.seed, keys.device.seed):
        assert secret not in everything
        assert secret.hex().encode() not in everything


def test_what_one_keeps_for_oneself_leaves_only_under_a_passphrase(
    alice: Alice, node: FakeNode, keys: keyring.Keyring, tmp_path: Path
) -> None:
    bob, carol = person("bob"), person("carol")
    for someone, more in ((bob, {"petname": "bob", "private": True}), (carol, {"budget": "3/day"})):
        row = {"address": someone.address, "name": None, "petname": None, "entries": 0, "newest": None}
        terms = {"no_boosts": False, "budget": None, "private": False, "lookalike": None}
        node.follows[someone.address] = {**row, "state": "found", **terms, **more}
    node.listed["tea"] = [bob.address]
    node.bookmarked.append(node.add(text="one"))
    plain, target = tmp_path / "plain.zip", tmp_path / "secret.zip"

    assert "Left out 1 person whom you follow in private" in alice.types("export", str(plain)).stdout
    assert alice.types("export", "--secrets", str(target), env=PASS).exit_code == 0

    with open_archive(plain) as opened:
        assert bob.address.encode() not in opened.follows()
        assert carol.address.encode() in opened.follows()
    with open_archive(target) as opened:
        assert bob.address.encode() not in opened.follows()
        kept = opened.secrets("correct horse").kept
    assert kept.follows == (
        KeptFollow(bob.hash, "bob", private=True),
        KeptFollow(carol.hash, None, budget="3/day"),
    )
    assert kept.lists == (("tea", (bob.hash,)),)
    assert [each.hex() for each in kept.bookmarks] == [node.bookmarked[0]["id"]]


def test_names_from_an_archive_are_taken_as_a_person_types_them() -> None:
    bob = person("bob")
    follows = tuple(KeptFollow(bob.hash, name) for name in ("bob", "b\nb", " ", None))
    typed = as_typed(Kept(follows=follows, lists=(("tea", ()), ("t\x1ba", ()))))
    assert [each.petname for each in typed.follows] == ["bob", None, None, None]
    assert typed.lists == (("tea", ()),)


def test_a_person_types_a_new_passphrase_twice(
    alice: Alice, node: FakeNode, keys: keyring.Keyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def prompt(text: str, **how: Any) -> str:
        asked.append(how)
        return "correct horse"

    monkeypatch.setattr(click, "prompt", prompt)
    monkeypatch.setattr(moving, "_is_at_terminal", lambda: True)
    target = tmp_path / "alice.zip"
    assert alice.types("export", "--secrets", str(target)).exit_code == 0
    assert asked == [{"hide_input": True, "err": True}] * 2
    alice.home.keys.unlink()
    monkeypatch.setattr(importing, "_restore_into", lambda *_: Restored(1, 2, 3, 0, {}))
    told = alice.gets("import", str(target))
    assert (told["restored"], told["new"], told["files"], told["followed"]) == (True, 1, 2, 3)
    assert told["skipped"] == []
    assert len(asked) == 3, "the passphrase of what there is is asked for once"


@pytest.mark.parametrize(("length", "is_fine"), [(7, False), (8, True), (1_000, True), (1_001, False)])
def test_the_limits_of_a_passphrase(length: int, is_fine: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("P2PBLOG_PASSPHRASE", "x" * length)
    if is_fine:
        assert len(moving.ask_passphrase(is_new=True)) == length
    else:
        with pytest.raises(UsageError):
            moving.ask_passphrase(is_new=True)


# --- in ---------------------------------------------------------------------------------------------------------------


def exported(alice: Alice, tmp_path: Path) -> Path:
    target = tmp_path / "alice.zip"
    alice.gets("export", str(target))
    return target


def test_ones_own_archive_goes_to_the_node(
    alice: Alice, node: FakeNode, keys: keyring.Keyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.owner.notes(6)
    bob = person("bob").address
    node.follows[bob] = follow_row(bob, "bob")
    target = exported(alice, tmp_path)
    node.calls.clear()

    result = alice.types("import", str(target))
    assert result.exit_code == 5
    assert f"the archive of {node.owner.address}" in result.stderr
    assert f"your address is {ALICE}" in result.stderr
    assert [route for route, _ in node.calls] == ["id"]

    node.address = node.owner.address
    document = alice.gets("import", str(target))
    assert list(document) == fields(documents.ImportDocument)
    runs = [arguments["run"] for route, arguments in node.calls if route == "import_run"]
    assert document == {
        "address": node.address,
        "entries": 7,
        "new": 2 * len(runs),
        "refused": 0,
        "followed": 0,
        "restored": False,
        "files": 0,
        "skipped": [],
    }
    taken = [entry.id for run in runs for entry in archive.read_run(bytes.fromhex(run))]
    assert taken == [entry.id for entry in node.owner.log.entries]
    told = [arguments["identity"] for route, arguments in node.calls if route == "import_identity"]
    assert told == [node.owner.identity.wire.hex()]


def test_a_log_of_which_the_node_refuses_a_run_is_left(
    alice: Alice, node: FakeNode, keys: keyring.Keyring, tmp_path: Path
) -> None:
    """What else there is of another history may touch nothing that the node holds, which would then take it in."""
    node.owner.notes(6)
    target = exported(alice, tmp_path)
    node.address, node.refuses_runs = node.owner.address, True
    document = alice.gets("import", str(target))
    assert (document["entries"], document["new"], document["refused"]) == (7, 0, 7)
    assert len([route for route, _ in node.calls if route == "import_run"]) == 1
    page = alice.types("import", str(target)).stdout
    assert "Left out 7 entries: their log goes on otherwise here, or is disputed.\n" in page
    node.refuses_runs = False
    assert "Left out" not in alice.types("import", str(target)).stdout


def test_whom_a_restored_home_can_not_follow_is_told(
    alice: Alice, node: FakeNode, keys: keyring.Keyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob, carol = person("bob"), person("carol")
    node.follows = {each.address: follow_row(each.address, None) for each in (bob, carol)}
    node.follows["x"] = follow_row("x", None)
    target = tmp_path / "alice.zip"
    assert alice.types("export", "--secrets", str(target), env=PASS).exit_code == 0
    alice.home.keys.unlink()
    made = Restored(1, 0, 1, 9, {carol.hash: "you have blocked that address"})
    monkeypatch.setattr(importing, "_restore_into", lambda *_: made)
    document = json.loads(alice.types("--json", "import", str(target), env=PASS).stdout)
    assert list(document) == fields(documents.ImportDocument)
    assert document["refused"] == 9
    assert document["skipped"] == [
        {"line": 3, "reason": "you have blocked that address"},
        {"line": 4, "reason": "that is not an address of p2pblog"},
    ]


def test_whom_an_archive_can_not_follow_is_told(
    alice: Alice, node: FakeNode, keys: keyring.Keyring, tmp_path: Path
) -> None:
    bob, carol = person("bob").address, person("carol").address
    node.follows = {each: follow_row(each, name) for each, name in ((bob, "friend"), (carol, "carol"))}
    node.follows["x"] = follow_row("x", None)
    target = exported(alice, tmp_path)
    node.address = node.owner.address
    node.follows = {BOB: follow_row(BOB, "friend")}
    node.faults["follow"] = UserError("you have blocked that address")
    document = alice.gets("import", str(target))
    reasons = ["you have blocked that address"] * 2 + ["that is not an address of p2pblog"]
    assert (document["followed"], [each["reason"] for each in document["skipped"]]) == (0, reasons)
    assert [each["line"] for each in document["skipped"]] == [2, 3, 4]
    page = alice.types("import", str(target)).stdout
    assert "follows.csv, line 2: you have blocked that address\n" in page

    del node.faults["follow"]
    document = alice.gets("import", str(target))
    assert (document["followed"], [each["line"] for each in document["skipped"]]) == (2, [4])
    assert [node.follows[each]["petname"] for each in (bob, carol)] == [None, "carol"]


def has_files(node: FakeNode, *files: bytes) -> list[str]:
    """A notice of the owner with each of these files, in the log and shown; gives their hashes."""
    node.address = node.owner.address
    for data in files:
        file = Attachment(table_of(data).file, "bees.jpg", "image/jpeg", len(data))
        node.owner.log.write(Note("look", media=(file,)))
        node.files[file.file.hex()] = data
        told = {"hash": file.file.hex(), "name": file.name, "type": file.type, "size": len(data), "alt": ""}
        node.add(text="look", author=node.owner.address, media=[{**told, "thumb": None}])
    return [table_of(data).file.hex() for data in files]


def test_files_leave_and_come_back(alice: Alice, node: FakeNode, keys: keyring.Keyring, tmp_path: Path) -> None:
    node.fetched = 2
    small, large, elsewhere = has_files(node, b"bees", b"wasps" * 20_000, b"moths" * 80_000)
    files = {small: b"bees", large: b"wasps" * 20_000}
    posted = node.add(text="after the logs were read", author=node.owner.address)
    posted["media"] = [{**node.notices[0]["media"][0], "hash": "5f" * 32}]
    stranger = {**posted["media"][0], "hash": elsewhere[::-1]}
    node.add(text="of bob", author=BOB, media=[stranger])

    document = alice.gets("export", str(tmp_path / "alice.zip"))
    assert (document["files"], document["missing_files"]) == (2, 1)
    with zipfile.ZipFile(tmp_path / "alice.zip") as plain:
        held = {name[6:]: plain.read(name) for name in plain.namelist() if name.startswith("files/")}
    assert held == files

    del node.files[large]
    document = alice.gets("import", str(tmp_path / "alice.zip"))
    assert document["files"] == 1
    assert node.files[large] == files[large]
    page = alice.types("export", "--force", str(tmp_path / "alice.zip"))
    assert "2 files, " in page.stdout.replace("\n", " ")
    assert "Left out 1 file: not all of it is here" in page.stdout.replace("\n", " ")


def test_the_pictures_of_a_profile_leave_too(alice: Alice, node: FakeNode, tmp_path: Path) -> None:
    node.fetched = 1
    files = face, small, hills = b"face", b"small", b"hills"
    hashes = [table_of(data).file for data in files]
    shown = [Attachment(table_of(data).file, "me.jpg", "image/jpeg", len(data)) for data in (face, hills)]
    node.owner.log.write(Profile("Alice", avatar=replace(shown[0], thumb=hashes[1]), banner=shown[1]))
    for what, data in (("avatar", face), ("banner", hills)):
        node.pictures[what] = node.file(data, {"name": "me.jpg"})
    node.pictures["avatar"]["thumb"] = hashes[1].hex()
    node.file(small, {"name": ""})

    document = alice.gets("export", str(tmp_path / "alice.zip"))
    assert (document["files"], document["missing_files"]) == (3, 0)
    with open_archive(tmp_path / "alice.zip") as opened:
        opened.check(lambda share: None)
        assert {file: opened.file(file) for file in opened.files} == dict(zip(hashes, files, strict=True))
    del node.files[hashes[2].hex()]
    document = alice.gets("export", "--force", str(tmp_path / "alice.zip"))
    assert (document["files"], document["missing_files"]) == (2, 1)


def test_an_archive_that_is_full_leaves_the_oldest_files_out(
    alice: Alice, node: FakeNode, keys: keyring.Keyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.fetched = 1
    _oldest, middle, newest = has_files(node, b"moths", b"wasps", b"bees")
    monkeypatch.setattr(archives, "ARCHIVE_MEMBERS_MAX", 7)  # five of them are the other members
    document = alice.gets("export", str(tmp_path / "alice.zip"))
    assert (document["files"], document["missing_files"]) == (2, 1)
    with open_archive(tmp_path / "alice.zip") as opened:
        opened.check(lambda share: None)
        assert {file.hex() for file in opened.files} == {middle, newest}


def test_a_file_that_the_node_got_wrong_stays_out(alice: Alice, node: FakeNode, tmp_path: Path) -> None:
    node.fetched = 1
    (file,) = has_files(node, b"bees")
    node.files[file] = b"wasp"
    assert alice.gets("export", str(tmp_path / "a.zip"))["missing_files"] == 1
    node.faults["media"] = TimedOut("nobody answered")
    assert alice.types("export", str(tmp_path / "b.zip")).exit_code == 6
    assert [path.name for path in tmp_path.glob("*.zip")] == ["a.zip"]


def test_nothing_of_a_damaged_archive_reaches_the_node(
    alice: Alice, node: FakeNode, keys: keyring.Keyring, tmp_path: Path
) -> None:
    node.owner.notes(6)
    target = exported(alice, tmp_path)
    node.address = node.owner.address
    node.calls.clear()
    data = target.read_bytes()
    for cut in (len(data) // 2, 0):
        target.write_bytes(data[:cut])
        result = alice.types("import", str(target))
        assert result.exit_code == 1
        assert "is refused, nothing of it was taken: no ZIP file" in result.stderr
    assert node.calls == []


@pytest.mark.usefixtures("node")
def test_a_home_without_an_identity_needs_the_secret_keys(alice: Alice, tmp_path: Path) -> None:
    target = exported(alice, tmp_path)
    result = alice.types("import", str(target))
    assert result.exit_code == 1
    assert "holds no secret keys" in result.stderr
    assert f"--home {alice.home.folder} init" in result.stderr


@pytest.mark.parametrize("words", [(), ("--from", "mastodon")])
@pytest.mark.usefixtures("node")
def test_a_pipe_is_no_file_and_is_not_waited_for(alice: Alice, tmp_path: Path, words: tuple[str, ...]) -> None:
    os.mkfifo(tmp_path / "pipe")
    result = alice.types("import", *words, str(tmp_path / "pipe"))
    assert result.exit_code == 1
    assert "pipe cannot be read: it is no file" in result.stderr


def test_a_wrong_kind_is_2(alice: Alice) -> None:
    result = alice.types("import", "--from", "myspace", "x")
    assert result.exit_code == 2
    assert "mastodon or csv" in result.stderr


# --- follows ----------------------------------------------------------------------------------------------------------


def test_a_list_is_followed_row_by_row(alice: Alice, node: FakeNode, tmp_path: Path) -> None:
    person = node.owner.address
    (tmp_path / "list.csv").write_text(
        f"petname,address\nally,{person}\nnobody,nowhere\n,{person}\np2pblog:x,{person}x\n"
    )
    document = alice.gets("import", "--from", "csv", str(tmp_path / "list.csv"))
    assert list(document) == fields(documents.FollowedDocument)
    assert (document["followed"], document["already"]) == (1, 1)
    assert [list(each) for each in document["skipped"]] == [fields(documents.SkippedDocument)] * 2
    assert [each["line"] for each in document["skipped"]] == [3, 5]
    assert node.follows[person]["petname"] == "ally"
    again = alice.types("import", "--from", "csv", str(tmp_path / "list.csv"))
    assert again.stdout.splitlines()[:3] == [
        "Followed 0 people.",
        "2 you follow already.",
        "Line 3: that is not an address of p2pblog",
    ]


def test_a_row_that_the_node_refuses_does_not_end_the_list(alice: Alice, node: FakeNode, tmp_path: Path) -> None:
    node.faults["follow"] = UsageError("you call somebody else by that petname")
    (tmp_path / "list.csv").write_text(node.owner.address)
    document = alice.gets("import", "--from", "csv", str(tmp_path / "list.csv"))
    assert document["skipped"] == [{"line": 1, "reason": "you call somebody else by that petname"}]
    node.faults["follow"] = TimedOut("nobody answered")
    assert alice.types("import", "--from", "csv", str(tmp_path / "list.csv")).exit_code == 6


def test_what_is_no_list_is_1(alice: Alice, node: FakeNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "list.csv").write_bytes(b"\xff\xfe")
    for file in ("list.csv", "nothing.csv", "."):
        assert alice.types("import", "--from", "csv", str(tmp_path / file)).exit_code == 1
    monkeypatch.setattr(archive, "FOLLOWS_BYTES_MAX", 100)
    for size, code in ((99, 0), (100, 0), (101, 1)):
        (tmp_path / "list.csv").write_bytes(b"\n" * size)
        assert alice.types("import", "--from", "csv", str(tmp_path / "list.csv")).exit_code == code
    assert node.follows == {}


# --- Mastodon ---------------------------------------------------------------------------------------------------------


def a_post(number: int, content: str, **more: Any) -> dict[str, Any]:
    note = {"id": f"{ACTOR}/statuses/{number}", "type": "Note", "published": f"2019-03-02T12:30:{number:02}Z",
            "to": [PUBLIC], "content": content, **more}  # fmt: skip
    return {"type": "Create", "actor": ACTOR, "object": note}


def an_outbox(file: Path, *items: Any) -> Path:
    file.write_text(json.dumps({"type": "OrderedCollection", "orderedItems": items}))
    return file


def test_posts_come_oldest_first_and_only_once(alice: Alice, node: FakeNode, tmp_path: Path) -> None:
    node.address = ALICE
    long = "a" * 5_000 + "b" * 10
    outbox = an_outbox(
        tmp_path / "outbox.json",
        a_post(3, "<p>an answer</p>", inReplyTo=f"{ACTOR}/statuses/1", summary="bees"),
        a_post(2, f"<p>{long}</p>", contentMap={"en": long}),
        a_post(1, "<p>first</p>"),
        a_post(4, "<p>\u200b</p>"),
        {"type": "Announce"},
    )
    document = alice.gets("import", "--from", "mastodon", str(outbox))
    assert list(document) == fields(documents.BroughtDocument)
    assert document == {"imported": 4, "skipped": 2, "already": 0}
    written = [arguments for route, arguments in node.calls if route == "import_note"]
    ids = [notice["id"] for notice in node.notices]
    assert [(each["text"][:2], each["reply_to"]) for each in written] == [
        ("fi", None),
        ("aa", None),
        ("bb", ids[1]),
        ("an", ids[0]),
    ]
    assert [each["time"] - 1_551_529_800_000 for each in written] == [1_000, 2_000, 2_000, 3_000]
    assert (written[3]["cw"], written[1]["lang"]) == ("bees", "en")

    assert alice.gets("import", "--from", "mastodon", str(outbox)) == {"imported": 0, "skipped": 2, "already": 4}
    assert len(node.notices) == 4
    page = alice.types("import", "--from", "mastodon", str(outbox)).stdout.splitlines()
    assert page[:2] == ["Imported 0 notices.", "4 were imported before."]


def test_what_is_said_twice_comes_twice(alice: Alice, node: FakeNode, tmp_path: Path) -> None:
    outbox = an_outbox(
        tmp_path / "outbox.json",
        a_post(1, "<p>Test</p>"),
        {**a_post(2, "<p>Test</p>"), "object": {**a_post(1, "<p>Test</p>")["object"], "id": f"{ACTOR}/statuses/2"}},
        a_post(3, "<p>an answer</p>", inReplyTo=f"{ACTOR}/statuses/2"),
        a_post(4, f"<p>{'x' * 12_000}</p>"),
        a_post(4, f"<p>{'x' * 12_000}</p>"),
    )
    assert alice.gets("import", "--from", "mastodon", str(outbox)) == {"imported": 6, "skipped": 0, "already": 3}
    ids = [notice["id"] for notice in node.notices]
    assert [notice["text"][:4] for notice in node.notices] == ["Test", "Test", "an a", "xxxx", "xxxx", "xxxx"]
    assert sum(len(notice["text"]) for notice in node.notices[3:]) == 12_000
    assert [notice["reply_to"] for notice in node.notices] == [None, None, ids[1], None, ids[3], ids[4]]

    assert alice.gets("import", "--from", "mastodon", str(outbox)) == {"imported": 0, "skipped": 0, "already": 9}
    del node.notices[2]
    assert alice.gets("import", "--from", "mastodon", str(outbox)) == {"imported": 1, "skipped": 0, "already": 8}
    assert (node.notices[5]["text"], node.notices[5]["reply_to"]) == ("an answer", ids[1])
    del node.notices[1]
    assert alice.gets("import", "--from", "mastodon", str(outbox)) == {"imported": 1, "skipped": 0, "already": 8}
    assert node.notices[5]["text"] == "Test"


def test_what_was_edited_since_is_not_imported_again(alice: Alice, node: FakeNode, tmp_path: Path) -> None:
    outbox = an_outbox(tmp_path / "outbox.json", *(a_post(number, f"<p>{number}</p>") for number in range(3)))
    assert alice.gets("import", "--from", "mastodon", str(outbox))["imported"] == 3
    alice.gets("edit", node.notices[1]["id"], "one, corrected")
    assert node.notices[1]["text"] == "one, corrected"
    assert alice.gets("import", "--from", "mastodon", str(outbox)) == {"imported": 0, "skipped": 0, "already": 3}


def test_an_import_that_broke_off_goes_on(alice: Alice, node: FakeNode, tmp_path: Path) -> None:
    outbox = an_outbox(tmp_path / "outbox.json", *(a_post(number, f"<p>{number}</p>") for number in range(5)))
    assert alice.gets("import", "--from", "mastodon", str(outbox))["imported"] == 5
    del node.notices[3:]
    assert alice.gets("import", "--from", "mastodon", str(outbox)) == {"imported": 2, "skipped": 0, "already": 3}
    assert [notice["text"] for notice in node.notices] == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("data", [b"", b"{}", b"PK\x03\x04", b"\x1f\x8b\x08", b'{"orderedItems": []}'])
@pytest.mark.usefixtures("node")
def test_what_is_no_outbox_is_1(alice: Alice, data: bytes, tmp_path: Path) -> None:
    (tmp_path / "outbox").write_bytes(data)
    result = alice.types("import", "--from", "mastodon", str(tmp_path / "outbox"))
    assert result.exit_code == 1
    assert "is refused, nothing of it was taken" in result.stderr


def test_other_commands_do_not_pay_for_this() -> None:
    """What reads archives is imported by the two commands alone."""

    code = (
        "import sys, p2pblog.commands.writing, p2pblog.commands.reading, p2pblog.commands.people; print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"zipfile", "tarfile", "csv", "html.parser", "p2pblog.archives"} & set(loaded)
