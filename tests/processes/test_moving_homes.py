"""Real homes that are taken out and brought back, by the commands that a person types."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulations.demo import Person, reads

PAGE = Path(__file__).parents[2] / "docs" / "archive.md"


@pytest.fixture
def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Person]]:
    """Alice and bob with fresh homes, and two homes for alice that are not made yet."""
    monkeypatch.setenv("P2PBLOG_PASSPHRASE", "correct horse")
    made = {name: Person(name, tmp_path / name) for name in ("alice", "bob", "again", "third")}
    for name in ("alice", "bob"):
        made[name].address = made[name].ask("init", "--name", name)["address"]
    yield made
    for person in made.values():
        person.kill()


def fails(person: Person, *words: str) -> tuple[int, str]:
    done = subprocess.run(person.command(*words), capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_a_home_is_taken_out_and_restored_as_a_new_device(people: dict[str, Person], tmp_path: Path) -> None:
    alice, bob, again, third = people.values()
    alice.start()
    bob.start(alice.listen)
    alice.ask("follow", bob.address, "--petname", "bobby")
    bob.ask("follow", alice.address)
    (tmp_path / "bees.txt").write_text("bees\n" * 30_000)
    first = alice.ask("post", "from the old home", "--media", str(tmp_path / "bees.txt"))
    (file,) = alice.ask("show", first["id"])["media"]
    reads(bob, ["from the old home"])

    alice.ask("follow", bob.address, "--private", "--budget", "3/day")
    alice.ask("bookmark", first["id"])
    alice.ask("mute", "--tag", "wasps")
    alice.ask("list", "create", "tea")
    alice.ask("list", "add", "tea", "bobby")

    told = alice.ask("export", str(tmp_path / "alice.zip"), "--secrets")
    left_out = {"missing_files": 0, "missing_follows": 0, "missing_entries": 0, "faults": []}
    assert told == left_out | {
        "file": str(tmp_path / "alice.zip"),
        "entries": 3,  # the start of the log, the name, the notice
        "bytes": (tmp_path / "alice.zip").stat().st_size,
        "secrets": True,
        "files": 1,
    }
    assert (tmp_path / "alice.zip").stat().st_mode & 0o777 == 0o600
    alice.stop()
    shutil.rmtree(alice.home)

    restored = again.ask("import", told["file"])
    assert restored == {
        "address": alice.address,
        "entries": 3,
        "new": 3,
        "refused": 0,
        "followed": 1,
        "restored": True,
        "files": 1,
        "skipped": [],
    }
    again.start()  # nobody has to name it a node: the archive did
    assert again.ask("id")["name"] == "alice"
    assert again.ask("id")["device"] != first["device"]
    (row,) = again.ask("following")
    assert (row["petname"], row["private"], row["budget"]) == ("bobby", True, "3/day")
    assert [each["id"] for each in again.ask("bookmarks")] == [first["id"]]
    assert again.ask("muted") == [{"kind": "tag", "what": "wasps", "until": None}]
    assert [each["petname"] for each in again.ask("list", "show", "tea")["members"]] == ["bobby"]
    assert again.texts() == ["from the old home"]
    assert again.ask("media", file["hash"])["state"] == "here"
    again.ask("post", "from the new home")
    reads(bob, ["from the new home", "from the old home"])

    code, sentence = fails(third, "import", told["file"] + "x")
    assert (code, third.home.exists()) == (1, False), sentence
    code, sentence = fails(bob, "import", told["file"])
    assert code == 5, sentence
    assert alice.address in sentence


def test_a_lost_database_comes_back_from_an_archive(people: dict[str, Person], tmp_path: Path) -> None:
    alice = people["alice"]
    alice.start()
    for number in range(70):
        alice.ask("post", f"notice {number}")
    exported = alice.ask("export", str(tmp_path / "alice.zip"))
    assert (exported["entries"], exported["secrets"]) == (72, False)
    assert alice.ask("import", exported["file"])["new"] == 0, "all of it is here"
    alice.stop()
    for file in alice.home.glob("store.sqlite3*"):
        file.unlink()
    alice.start()
    assert alice.texts() == []

    taken = alice.ask("import", exported["file"])
    assert (taken["entries"], taken["new"], taken["restored"]) == (72, 72, False)
    assert alice.texts()[:2] == ["notice 69", "notice 68"]
    assert alice.ask("import", exported["file"])["new"] == 0
    assert alice.ask("post", "on with it")["seq"] <= 3, "the old log is left as it is"


def test_an_archive_is_readable_by_the_few_lines_on_its_page(people: dict[str, Person], tmp_path: Path) -> None:
    alice = people["alice"]
    alice.start()
    for number in range(66):
        alice.ask("post", f"notice {number}")
    (tmp_path / "bees.txt").write_text("bees\n" * 30_000)
    alice.ask("post", "look", "--media", str(tmp_path / "bees.txt"))
    assert alice.ask("export", str(tmp_path / "alice.zip"))["files"] == 1
    lines = PAGE.read_text().split("```python\n")[1].split("```")[0]
    assert lines.count("\n") <= 40

    done = subprocess.run(
        [sys.executable, "-c", lines, str(tmp_path / "alice.zip")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"69 entries of {alice.address} hold\n", "")

    with zipfile.ZipFile(tmp_path / "alice.zip") as whole, zipfile.ZipFile(tmp_path / "forged.zip", "w") as forged:
        for name in whole.namelist():
            data = whole.read(name)
            forged.writestr(name, data.replace(b"notice 40", b"notice 41") if name.startswith("logs/") else data)
    with zipfile.ZipFile(tmp_path / "alice.zip") as whole, zipfile.ZipFile(tmp_path / "swapped.zip", "w") as swapped:
        for name in whole.namelist():
            data = whole.read(name)
            swapped.writestr(name, data.replace(b"bees", b"wasp", 1) if name.startswith("files/") else data)
    for file in ("forged.zip", "swapped.zip"):
        done = subprocess.run(
            [sys.executable, "-c", lines, str(tmp_path / file)], capture_output=True, text=True, check=False
        )
        assert done.returncode != 0


def test_posts_from_mastodon_come_once(people: dict[str, Person], tmp_path: Path) -> None:
    alice = people["alice"]
    alice.start()
    actor = "https://m.example/users/alice"
    note = {
        "type": "Note",
        "id": f"{actor}/statuses/1",
        "published": "2019-03-02T12:30:00Z",
        "to": ["https://www.w3.org/ns/activitystreams#Public"],
        "content": "<p>Bees &amp; <a href='https://bees.example/'>more</a></p>",
    }
    items = [{"type": "Create", "actor": actor, "object": note}, {"type": "Announce", "actor": actor, "object": "x"}]
    (tmp_path / "outbox.json").write_text(json.dumps({"type": "OrderedCollection", "orderedItems": items}))

    words = ("import", "--from", "mastodon", str(tmp_path / "outbox.json"))
    assert alice.ask(*words) == {"imported": 1, "skipped": 1, "already": 0}
    assert alice.ask(*words) == {"imported": 0, "skipped": 1, "already": 1}
    (row,) = alice.ask("timeline")
    assert (row["text"], row["imported_time"]) == ("Bees & more (https://bees.example/)", 1_551_529_800_000)
