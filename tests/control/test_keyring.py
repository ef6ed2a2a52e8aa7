"""Alice's keys on disk: who can read them, what a crash leaves, and what is refused."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from p2pblog import installation, keyring
from p2pblog.config import FORMER_DEVICES_MAX, NAME_CHARACTERS_MAX
from p2pblog.core import keys
from p2pblog.core.identity import Identity
from p2pblog.core.value import replace
from p2pblog.errors import UserError
from p2pblog.home import Home

ENTROPY = bytes(range(32))


@pytest.fixture
def alice(tmp_path: Path) -> Home:
    return Home(tmp_path / "homes" / "alice")


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0o000)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def refused(home: Home) -> UserError:
    with pytest.raises(UserError) as caught:
        keyring.load(home)
    assert caught.value.exit_code == 1
    return caught.value


def test_what_alice_creates_she_loads_again(alice: Home) -> None:
    made, words = keyring.create(alice, "alice", ENTROPY)

    assert keyring.load(alice) == made
    assert keys.entropy_of(words) == ENTROPY
    assert made.inception == Identity.begin(keys.root_key(ENTROPY, 0), keys.root_key(ENTROPY, 1).public).inception
    assert len({made.root.public, made.device.public, made.node.public}) == 3


def test_two_installations_share_nothing_but_the_words(tmp_path: Path) -> None:
    one, _ = keyring.create(Home(tmp_path / "one"), None, ENTROPY)
    other, _ = keyring.create(Home(tmp_path / "other"), None, ENTROPY)

    assert one.inception == other.inception
    assert one.device.public != other.device.public
    assert one.node.public != other.node.public


def test_the_disk_holds_neither_the_words_nor_the_next_root(alice: Home) -> None:
    keyring.create(alice, "alice", ENTROPY)

    held = alice.keys.read_bytes()
    for secret in (ENTROPY, keys.root_key(ENTROPY, 1).seed, keys.root_key(ENTROPY, 1).public):
        assert secret.hex().encode() not in held
    assert keys.root_key(ENTROPY, 0).seed.hex().encode() in held


@pytest.mark.usefixtures("open_umask")
def test_an_open_umask_opens_nothing(alice: Home) -> None:
    keyring.create(alice, None, ENTROPY)

    assert mode(alice.keys) == 0o600
    assert mode(alice.folder) == 0o700
    assert mode(alice.folder.parent) == 0o700
    keyring.save(alice, replace(keyring.load(alice), name="alice"))
    assert mode(alice.keys) == 0o600


def test_a_closed_umask_locks_nobody_out(alice: Home) -> None:
    before = os.umask(0o777)
    try:
        keyring.create(alice, None, ENTROPY)
    finally:
        os.umask(before)

    assert (mode(alice.keys), mode(alice.folder)) == (0o600, 0o700)


def test_an_empty_folder_is_closed_and_a_lived_in_one_is_not_touched(tmp_path: Path) -> None:
    empty, lived_in = tmp_path / "empty", tmp_path / "lived-in"
    for folder in (empty, lived_in):
        folder.mkdir()
        folder.chmod(0o755)
    (lived_in / "letters.txt").write_text("dear bob")

    keyring.create(Home(empty), None, ENTROPY)
    with pytest.raises(UserError, match="choose a folder of its own"):
        keyring.create(Home(lived_in), None, ENTROPY)

    assert (mode(empty), mode(lived_in)) == (0o700, 0o755)
    assert [path.name for path in lived_in.iterdir()] == ["letters.txt"]


def test_a_second_init_changes_nothing(alice: Home) -> None:
    keyring.create(alice, "alice", ENTROPY)
    before = alice.keys.read_bytes()

    with pytest.raises(UserError, match="already") as caught:
        keyring.create(alice, "mallory", bytes(32))

    assert caught.value.hint == "p2pblog id"
    assert alice.keys.read_bytes() == before
    assert [path.name for path in alice.folder.iterdir()] == ["keys.json"]


def test_no_identity_names_init(alice: Home) -> None:
    assert refused(alice).hint == "p2pblog init"


@pytest.mark.parametrize("others", [0o640, 0o604, 0o620, 0o601])
def test_a_file_that_others_can_touch_is_refused(alice: Home, others: int) -> None:
    keyring.create(alice, None, ENTROPY)
    alice.keys.chmod(others)

    assert refused(alice).hint == f"chmod 600 {alice.keys}"


def test_a_symbolic_link_is_refused_and_not_followed(alice: Home) -> None:
    keyring.create(alice, None, ENTROPY)
    elsewhere = alice.folder / "elsewhere.json"
    alice.keys.rename(elsewhere)
    alice.keys.symlink_to(elsewhere)

    assert "symbolic link" in refused(alice).sentence
    with pytest.raises(UserError, match="already"):
        keyring.create(alice, None, bytes(32))


def test_a_draft_that_is_a_link_is_not_written_through(alice: Home, tmp_path: Path) -> None:
    keyring.create(alice, None, ENTROPY)
    (target := tmp_path / "target").write_text("precious")
    alice.keys.with_name("keys.json.new").symlink_to(target)

    keyring.save(alice, keyring.load(alice))

    assert target.read_text() == "precious"


def test_a_pipe_in_its_place_does_not_hang(alice: Home) -> None:
    alice.folder.mkdir(parents=True)
    os.mkfifo(alice.keys, 0o600)

    assert "is not a file" in refused(alice).sentence


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-40],
        lambda text: "",
        lambda text: "[]",
        lambda text: "[" * 50_000,
        lambda text: "\x00" * 100_000,
        lambda text: text.replace('"version": 1', '"version": true'),
        lambda text: text.replace('"version": 1', '"version": 0'),
        lambda text: text.replace('"node"', '"nodes"'),
        lambda text: text.replace('"name": null', '"name": 7'),
        lambda text: _changed(text, "name", "half of a pair: \ud83d"),
        lambda text: _changed(text, "name", "a" * (NAME_CHARACTERS_MAX + 1)),
        lambda text: _changed(text, "root", "00" * 32),
        lambda text: _changed(text, "device", "00" * 31),
        lambda text: _changed(text, "device", "zz" * 32),
        lambda text: _changed(text, "former", ["00" * 31]),
        lambda text: _changed(text, "former", 5),
        lambda text: _changed(text, "inception", "92c4"),
        lambda text: _changed(text, "inception", 5),
    ],
)
def test_a_damaged_file_is_named_and_left_alone(alice: Home, damage: object) -> None:
    keyring.create(alice, None, ENTROPY)
    alice.keys.write_text(damage(alice.keys.read_text()))  # type: ignore[operator]
    before = alice.keys.read_bytes()

    assert "is damaged" in refused(alice).sentence
    assert alice.keys.read_bytes() == before


def _changed(text: str, field: str, value: object) -> str:
    return json.dumps({**json.loads(text), field: value})


def test_a_newer_file_asks_for_an_update(alice: Home) -> None:
    keyring.create(alice, None, ENTROPY)
    alice.keys.write_text(_changed(alice.keys.read_text(), "version", 2))

    assert "newer p2pblog (version 2)" in refused(alice).sentence


def test_a_new_name_and_device_are_kept(alice: Home) -> None:
    made, _ = keyring.create(alice, "alice", ENTROPY)
    renamed = replace(made, name="Alice ☼", device=keys.KeyPair.from_seed(bytes(32)))

    keyring.save(alice, renamed)

    assert keyring.load(alice) == renamed
    assert [path.name for path in alice.folder.iterdir()] == ["keys.json"]


def test_keys_of_devices_that_were_left_are_kept_within_bounds(alice: Home) -> None:
    made, _ = keyring.create(alice, "alice", ENTROPY)
    devices = [keys.KeyPair.from_seed(number.to_bytes(32, "big")) for number in range(FORMER_DEVICES_MAX + 1)]
    held = made
    for device in devices[:-1]:
        held = held.on_device(device)
    assert held.former == (made.device, *devices[:-2])
    keyring.save(alice, held)
    assert keyring.load(alice) == held
    held = held.on_device(devices[-1])
    assert (held.device, held.former) == (devices[-1], tuple(devices[:-1]))
    keyring.save(alice, held)
    assert keyring.load(alice) == held


def test_a_key_file_from_before_there_were_such_keys_is_read(alice: Home) -> None:
    made, _ = keyring.create(alice, "alice", ENTROPY)
    document = json.loads(alice.keys.read_text())
    del document["former"]
    alice.keys.write_text(json.dumps(document))
    assert keyring.load(alice) == made


CRASHING_SAVE = """
import os, sys
from pathlib import Path
from p2pblog import installation, keyring
from p2pblog.home import Home
from p2pblog.core.value import replace

home = Home(Path(sys.argv[1]))
kept = keyring.load(home)
moment = sys.argv[2]
if moment == "before the draft is whole":
    os.fsync = lambda file: os._exit(9)
if moment == "before it is in place":
    Path.replace = lambda *paths: os._exit(9)
if moment == "after it is in place":
    put = Path.replace
    Path.replace = lambda *paths: (put(*paths), os._exit(9))
keyring.save(home, replace(kept, name="renamed"))
"""


@pytest.mark.parametrize(
    ("moment", "name"),
    [
        ("before the draft is whole", "alice"),
        ("before it is in place", "alice"),
        ("after it is in place", "renamed"),
    ],
)
def test_a_crash_leaves_the_old_keys_or_the_new_ones(alice: Home, moment: str, name: str) -> None:
    made, _ = keyring.create(alice, "alice", ENTROPY)

    crash = subprocess.run([sys.executable, "-c", CRASHING_SAVE, str(alice.folder), moment], timeout=30)

    assert crash.returncode == 9
    assert keyring.load(alice) == replace(made, name=name)
    keyring.save(alice, replace(made, name="later"))  # what the crash left is no obstacle
    assert keyring.load(alice).name == "later"
    assert [path.name for path in alice.folder.iterdir()] == ["keys.json"]


def test_a_full_disk_leaves_the_old_keys(alice: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = keyring.create(alice, "alice", ENTROPY)

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left on device"):
        keyring.save(alice, replace(made, name="renamed"))

    assert keyring.load(alice) == made
    assert [path.name for path in alice.folder.iterdir()] == ["keys.json"]


def test_a_new_key_file_that_may_not_outlive_a_crash_is_taken_back(
    alice: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The draft gets to the disk, its new name does not; so `init` fails, and shows no words."""
    sync, synced = os.fsync, []

    def full(file: int) -> None:
        if synced:
            raise OSError(28, "No space left on device")
        synced.append(sync(file))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left on device"):
        keyring.create(alice, "alice", ENTROPY)

    assert list(alice.folder.iterdir()) == []


@pytest.mark.parametrize("write", [installation.mark, installation.mark_written])
def test_a_mark_that_finds_no_room_says_where(
    alice: Home, monkeypatch: pytest.MonkeyPatch, write: Callable[[Home], None]
) -> None:
    keyring.create(alice, "alice", ENTROPY)

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=f"can't write in {alice.folder}: No space left on device"):
        write(alice)
