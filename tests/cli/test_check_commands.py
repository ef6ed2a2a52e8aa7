"""What a person types whose database may be damaged, and what becomes of it."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from builders import Person, key_pair, person
from terminal_scene import Alice

from p2pblog import installation, keyring
from p2pblog.bridge import open_bridge
from p2pblog.core.identity import Identity
from p2pblog.core.logs import Batch
from p2pblog.daemon import settle
from p2pblog.errors import StoreFull
from p2pblog.home import Home
from p2pblog.store import OWN_DEVICE, OWN_IDENTITY, Contents, Follow, mending
from p2pblog.store.sqlite import open_sqlite

LATER = 2**41


@pytest.fixture
def owner(alice: Alice) -> Iterator[Person]:
    """Alice, who wrote ten notes and follows bob; her node has stopped."""
    someone, bob = person("alice"), person("bob")
    someone.notes(10)
    keyring.make_private(alice.home.folder)
    keyring.save(
        alice.home,
        keyring.Keyring(someone.root, someone.identity.inception, someone.device, key_pair("alice/node"), "alice"),
    )
    installation.mark(alice.home, written=True)

    async def write() -> None:
        async with open_bridge() as bridge:
            store = await open_sqlite(bridge, alice.home.database)
            await store.put_setting(OWN_IDENTITY, someone.hash)
            await store.put_setting(OWN_DEVICE, someone.device.public)
            await store.put_identity(someone.identity)
            await store.append([Batch(someone.hash, tuple(someone.log.entries))], LATER)
            await store.put_follow(Follow(bob.hash, "bob"))
            await store.aclose()

    trio.run(write)
    yield someone


def contents(alice: Alice) -> Contents:
    async def load() -> Contents:
        async with open_bridge() as bridge:
            store = await open_sqlite(bridge, alice.home.database)
            loaded = await store.load()
            await store.aclose()
            return loaded

    return trio.run(load)


def break_table(path: Path, name: str) -> bytes:
    """Break its first page, and give the file as it is then."""
    with closing(sqlite3.connect(path)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    data = bytearray(path.read_bytes())
    data[(page - 1) * 4_096] ^= 0x20
    path.write_bytes(data)
    return bytes(data)


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(statement)
        db.commit()


def checked(alice: Alice, *words: str) -> tuple[int, dict[str, Any]]:
    result = alice.types("--json", "check", *words)
    return result.exit_code, json.loads(result.stdout)


@pytest.mark.usefixtures("owner")
def test_a_whole_database_is_left_as_it_is(alice: Alice) -> None:
    before = alice.home.database.read_bytes()
    told = {"damaged": False, "faults": [], "entries": 11, "lost": 0, "lost_own": 0, "kept_as": None}
    assert checked(alice) == (0, told)
    assert checked(alice, "--mend") == (0, told)
    assert alice.home.database.read_bytes() == before
    assert alice.types("check").stdout == "Your database is whole: 11 entries, each as it was signed.\n"


@pytest.mark.parametrize("table", ["identity", "log", "span", "word_form"])
def test_a_damaged_one_is_mended_and_the_node_goes_on_as_a_new_device(alice: Alice, owner: Person, table: str) -> None:
    broken = break_table(alice.home.database, table)
    code, told = checked(alice)
    assert (code, told["damaged"], told["kept_as"], told["entries"]) == (1, True, None, 11)
    assert alice.home.database.read_bytes() == broken
    page = alice.types("check").stdout
    assert "Damaged: " in page
    assert page.endswith("check --mend\n")
    code, told = checked(alice, "--mend")
    kept = alice.home.database.with_name("store.sqlite3-damaged-1")
    assert (code, told["damaged"], told["kept_as"], told["entries"], told["lost"]) == (0, True, str(kept), 11, 0)
    assert kept.read_bytes() == broken
    assert stat.S_IMODE(alice.home.database.stat().st_mode) == 0o600
    assert not list(alice.home.folder.glob("*-mended*"))
    loaded = contents(alice)
    assert [(each.petname) for each in loaded.follows] == ["bob"]
    assert [span.high for state in loaded.logs for span in state.spans] == [11]
    assert owner.key in loaded.identities[0].devices
    own = keyring.load(alice.home)
    assert own.former[-1].seed == owner.device.seed != own.device.seed
    assert settle(alice.home, own, loaded) == own  # it is new enough
    assert checked(alice)[0] == 0


def test_a_former_devices_log_is_vouched_for_though_the_statements_are_lost(alice: Alice, owner: Person) -> None:
    keys = keyring.load(alice.home)
    keyring.save(alice.home, keys.on_device(keyring.new_key()))
    break_table(alice.home.database, "identity")
    assert checked(alice, "--mend")[0] == 0
    identity = contents(alice).identities[0]
    assert owner.key in identity.devices
    assert Identity.decode(identity.wire, owner.hash) == identity


def test_ones_own_entries_are_signed_again_where_signatures_are_lost(alice: Alice, owner: Person) -> None:
    change(alice.home.database, f"UPDATE entry SET payload = x'00' WHERE id = x'{owner.log.entries[4].id.hex()}'")
    break_table(alice.home.database, "signature")
    code, told = checked(alice)
    assert (code, told["entries"], told["lost_own"]) == (1, 0, 11)
    code, told = checked(alice, "--mend")
    assert (code, told["entries"], told["lost_own"]) == (0, 10, 1)  # no key vouches for what was changed
    assert [(span.low, span.high) for state in contents(alice).logs for span in state.spans] == [(1, 4), (6, 11)]
    assert checked(alice) == (0, {**told, "damaged": False, "faults": [], "lost": 0, "lost_own": 0, "kept_as": None})


def test_a_damaged_file_that_is_put_back_has_nothing_signed_twice(alice: Alice, owner: Person) -> None:
    path = alice.home.database
    change(path, f"UPDATE entry SET payload = x'00' WHERE id = x'{owner.log.entries[4].id.hex()}'")
    assert checked(alice, "--mend")[0] == 0
    own = keyring.load(alice.home)
    assert settle(alice.home, own, contents(alice)) == own  # from now on it signs
    path.with_name("store.sqlite3-damaged-1").replace(path)
    assert settle(alice.home, own, contents(alice)).device not in (own.device, owner.device)


@pytest.mark.usefixtures("owner")
def test_a_second_damage_is_kept_beside_the_first(alice: Alice) -> None:
    for number in (1, 2):
        break_table(alice.home.database, "follow")
        page = alice.types("check", "--mend")
        assert f"kept as {alice.home.database}-damaged-{number}" in page.stdout
        assert "Your node goes on as a new device." in page.stdout
    assert contents(alice).follows == ()


@pytest.mark.usefixtures("owner")
def test_what_stands_in_the_journal_only_is_mended_too(alice: Alice) -> None:
    """As a kill leaves it: the newest pages are beside the file."""
    path = alice.home.database
    break_table(path, "peer")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute("INSERT INTO setting VALUES ('config.store.max', x'')")
        copies = {end: Path(f"{path}{end}").read_bytes() for end in ("", "-wal")}
    for end, data in copies.items():
        Path(f"{path}{end}").write_bytes(data)
    assert checked(alice, "--mend")[0] == 0
    assert "config.store.max" in contents(alice).settings


def test_a_running_node_is_not_disturbed(alice: Alice, owner: Person) -> None:
    broken = break_table(alice.home.database, "log")
    with installation.sole_daemon(alice.home):
        for words in ("check",), ("check", "--mend"):
            result = alice.types(*words)
            assert result.exit_code == 1
            assert f"(process {os.getpid()}) is running" in result.stderr
    assert alice.home.database.read_bytes() == broken
    assert keyring.load(alice.home).device.seed == owner.device.seed


def test_a_device_that_a_node_opened_while_it_was_ending_is_not_forgotten(
    alice: Alice, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, lock = keyring.load(alice.home).on_device(key_pair("alice/another")), installation.sole_daemon

    @contextmanager
    def after_another(home: Home) -> Iterator[None]:
        keyring.save(home, opened)
        with lock(home):
            yield

    break_table(alice.home.database, "log")
    monkeypatch.setattr(installation, "sole_daemon", after_another)
    assert checked(alice, "--mend")[0] == 0
    assert [each.seed for each in keyring.load(alice.home).former] == [owner.device.seed, opened.device.seed]


def test_without_room_all_stays_as_it_was(alice: Alice, owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = break_table(alice.home.database, "log")

    def fill_the_disk(path: Path, made: Path, *_: Any, **__: Any) -> mending.Looked:
        made.write_bytes(b"half of it")
        raise StoreFull("there is no room")

    monkeypatch.setattr(mending, "mend", fill_the_disk)
    result = alice.types("check", "--mend")
    assert (result.exit_code, "there is no room" in result.stderr) == (1, True)
    assert alice.home.database.read_bytes() == broken
    assert keyring.load(alice.home).device.seed == owner.device.seed
    assert not {path.name for path in alice.home.folder.glob("store*")} - {"store.sqlite3", "store.sqlite3-reserve"}


@pytest.mark.usefixtures("owner")
def test_where_nothing_can_be_read_it_says_what_is_left_to_do(alice: Alice) -> None:
    data = bytearray(alice.home.database.read_bytes())
    data[100:108] = bytes(8)  # how the list of tables begins
    alice.home.database.write_bytes(data)
    for words in ("check",), ("check", "--mend"):
        result = alice.types(*words)
        assert result.exit_code == 1
        assert "move it and the files beside it that begin so out of the home" in result.stderr
        assert "--mend" not in result.stderr
    assert alice.home.database.read_bytes() == data


def test_a_home_without_a_database_says_so(alice: Alice, owner: Person) -> None:
    alice.home.database.unlink()
    result = alice.types("check", "--mend")
    assert result.exit_code == 1
    assert "there is no database" in result.stderr


@pytest.mark.usefixtures("owner")
def test_a_node_that_can_not_start_for_it_says_what_helps(alice: Alice) -> None:
    break_table(alice.home.database, "follow")
    result = alice.starts(["run", "--listen", "127.0.0.1:0"])
    assert result.returncode == 1
    said = result.stderr.decode()
    assert "is damaged" in said
    assert "check --mend" in said.splitlines()[-1]
