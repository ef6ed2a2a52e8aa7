"""Real daemons on real homes: copies, locks, ports, damaged files, and the demo that a newcomer runs first."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from p2pblog.errors import NotRunning, UsageError, UserError
from simulations.demo import Person, reads, until

ROOT = Path(__file__).parents[2]


@pytest.fixture
def people(tmp_path: Path) -> Iterator[dict[str, Person]]:
    """Alice, bob and carol with fresh homes; whatever daemon is left at the end is killed."""
    made = {name: Person(name, tmp_path / name) for name in ("alice", "bob", "carol")}
    for person in made.values():
        person.address = person.ask("init", "--name", person.name)["address"]
    yield made
    for person in made.values():
        person.kill()


def fails(person: Person, *words: str) -> tuple[int, str]:
    """The exit code and what the person reads of a command that does not work."""
    done = subprocess.run(person.command(*words), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def is_answered(person: Person) -> bool:
    return subprocess.run(person.command("status"), capture_output=True, timeout=60, check=False).returncode == 0


def test_the_demo_walks_the_whole_way(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "simulations.demo"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert not [*tmp_path.glob("p2pblog-demo-*"), *tmp_path.rglob("*.sock")], "the demo left something behind"


def test_a_copied_home_beside_the_original_writes_its_own_log(people: dict[str, Person], tmp_path: Path) -> None:
    alice, bob = people["alice"], people["bob"]
    alice.start()
    original = alice.ask("post", "before the copy")
    assert alice.stop() == 0
    shutil.copytree(alice.home, tmp_path / "clone")
    clone = Person("clone", tmp_path / "clone", address=alice.address)
    alice.start()
    try:
        clone.start(alice.listen)
        copied = clone.ask("post", "from the copy")
        again = alice.ask("post", "from the original")
        assert copied["author"] == original["author"]
        assert copied["device"] != original["device"] == again["device"]
        assert again["seq"] == original["seq"] + 1
        bob.start(alice.listen)
        bob.ask("follow", alice.address)
        reads(bob, ["from the original", "from the copy", "before the copy"])
    finally:
        clone.kill()


def test_a_copy_that_was_started_and_stopped_is_still_a_copy(people: dict[str, Person], tmp_path: Path) -> None:
    alice = people["alice"]
    alice.start()
    original = alice.ask("post", "before the copy")
    alice.stop()
    shutil.copytree(alice.home, tmp_path / "clone")
    clone = Person("clone", tmp_path / "clone", address=alice.address)
    try:
        clone.start()
        assert clone.ask("id")["device"] != original["device"]
        assert clone.stop() == 0
        clone.start()
        copied = clone.ask("post", "from the copy, at its second start")
        assert copied["device"] not in (original["device"], None)
        assert (copied["author"], clone.texts()[0]) == (alice.address, "from the copy, at its second start")
    finally:
        clone.kill()


@pytest.mark.parametrize("what", ["the home before its first start", "the key file alone"])
def test_keys_without_a_log_write_another_one_elsewhere(people: dict[str, Person], tmp_path: Path, what: str) -> None:
    alice = people["alice"]
    clone = Person("clone", tmp_path / "clone", address=alice.address)
    if what == "the key file alone":
        clone.home.mkdir(mode=0o700)
        shutil.copy2(alice.home / "keys.json", clone.home)
    else:
        shutil.copytree(alice.home, clone.home)
    alice.start()
    try:
        clone.start(alice.listen)
        assert alice.ask("post", "from the original")["device"] != clone.ask("post", "from the copy")["device"]
    finally:
        clone.kill()


def test_a_restore_of_what_differs_is_noticed(people: dict[str, Person], tmp_path: Path) -> None:
    """As rsync does it: files of the same size and time stay as they are, and so keep their inodes."""
    alice, backup = people["alice"], tmp_path / "backup"
    alice.start()
    before = alice.ask("post", "before the backup")
    alice.stop()
    shutil.copytree(alice.home, backup)
    alice.start()
    assert alice.ask("post", "after the backup")["device"] == before["device"]
    alice.stop()
    put_back(backup, alice.home)
    alice.start()
    assert alice.ask("post", "after the restore")["device"] != before["device"]


def put_back(backup: Path, home: Path) -> None:
    for file in home.iterdir():
        if not (backup / file.name).exists():
            file.unlink()
    for kept in backup.iterdir():
        file = home / kept.name
        if not kept.is_file():
            continue
        if file.exists() and (file.stat().st_size, file.stat().st_mtime) == (kept.stat().st_size, kept.stat().st_mtime):
            continue
        draft = home / "draft"
        shutil.copy2(kept, draft)
        draft.replace(file)


def test_a_lost_database_never_makes_a_number_be_signed_again(people: dict[str, Person]) -> None:
    alice, bob = people["alice"], people["bob"]
    alice.start()
    bob.start(alice.listen)
    bob.ask("follow", alice.address)
    before = alice.ask("post", "before the loss")
    reads(bob, ["before the loss"])
    alice.stop()
    for file in alice.home.glob("store.sqlite3*"):
        file.unlink()
    alice.start(bob.listen)
    after = alice.ask("post", "after the loss")
    assert after["device"] != before["device"]
    reads(bob, ["after the loss", "before the loss"])
    reads(alice, ["after the loss", "before the loss"])  # her own old log comes back from bob


def test_a_second_ctrl_c_changes_nothing(people: dict[str, Person]) -> None:
    alice = people["alice"]
    alice.start()
    assert alice.daemon is not None
    alice.daemon.send_signal(signal.SIGINT)
    assert alice.stop() == 0


ENDING = """
import atexit, os, signal
from p2pblog.__main__ import start

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

def again():
    for number in STOPS:
        os.kill(os.getpid(), number)

for number in STOPS:
    signal.signal(number, signal.SIG_DFL)  # whatever runs these tests may ignore some of them, as nohup does
atexit.register(again)
start()
"""


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_nor_does_one_that_comes_when_the_node_has_stopped(people: dict[str, Person], first: int) -> None:
    alice = people["alice"]
    words = alice.command("run", "--listen", "127.0.0.1:0", "--json")[3:]  # after `python -m p2pblog`
    with subprocess.Popen([sys.executable, "-c", ENDING, *words], stdout=subprocess.PIPE) as daemon:
        try:
            assert daemon.stdout is not None and daemon.stdout.readline()
            daemon.send_signal(first)
            assert daemon.wait(60) == 0
        finally:
            daemon.kill()


def test_a_terminal_that_closes_ends_no_node_that_nohup_started(people: dict[str, Person]) -> None:
    alice = people["alice"]
    command = ["nohup", *alice.command("run", "--listen", "127.0.0.1:0", "--json")]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as daemon:
        try:
            assert daemon.stdout is not None and daemon.stdout.readline()
            daemon.send_signal(signal.SIGHUP)
            assert alice.ask("status")["pid"] == daemon.pid
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(60) == 0
        finally:
            daemon.kill()


def test_who_reads_only_the_first_line_leaves_a_node_that_runs(people: dict[str, Person]) -> None:
    alice = people["alice"]
    command = alice.command("run", "--listen", "127.0.0.1:0")
    reader, writer = os.pipe()
    os.close(reader)
    daemon = subprocess.Popen(command, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert daemon.stderr is not None
    try:
        until("the node answers", lambda: is_answered(alice), lambda: daemon.poll())
        daemon.send_signal(signal.SIGINT)
        assert daemon.wait(60) == 0
    finally:
        daemon.kill()
        daemon.stderr.close()


def test_a_greeting_that_the_output_cannot_spell_leaves_a_node_that_runs(tmp_path: Path) -> None:
    alice = Person("alice", tmp_path / "€")
    alice.ask("init")
    daemon = subprocess.Popen(
        alice.command("run", "--listen", "127.0.0.1:0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
    )
    assert daemon.stdout is not None
    try:
        until("the node answers", lambda: is_answered(alice), lambda: daemon.poll())
        daemon.send_signal(signal.SIGINT)
        said, _ = daemon.communicate(timeout=60)
    finally:
        daemon.kill()
    assert daemon.returncode == 0
    assert f"{tmp_path}/?".encode() in said and said.endswith(b"Ctrl-C stops the node.\n")
    assert b"\nThis link works on this machine only.\n" in said


def test_a_greeting_is_broken_for_a_narrow_terminal_and_not_what_is_to_be_typed(people: dict[str, Person]) -> None:
    alice = people["alice"]
    terminal, end = pty.openpty()
    command, env = alice.command("run", "--listen", "127.0.0.1:0"), {**os.environ, "COLUMNS": "40"}
    with subprocess.Popen(command, stdout=end, stderr=subprocess.DEVNULL, env=env) as daemon:
        try:
            said = b""
            while not said.endswith(b"Ctrl-C stops the node.\r\n"):
                said += os.read(terminal, 4_096)
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(60) == 0
        finally:
            daemon.kill()
    os.close(end)
    os.close(terminal)
    lines = said.decode().splitlines()
    assert lines[3:5] == ["In another terminal, from this folder,", "  type for example:"]
    assert lines[5].startswith("  ") and lines[5].endswith(f'{alice.home} post "Hello, world"')


def test_the_demo_cleans_up_when_it_is_told_to_stop(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "simulations.demo"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert demo.stdout is not None
    while "listens on" not in (line := demo.stdout.readline()):
        assert line, "the demo ended before a daemon listened"
    (folder,) = tmp_path.glob("p2pblog-demo-*")
    demo.terminate()
    demo.wait(timeout=30)
    demo.stdout.close()
    assert not folder.exists()
    running = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [line for line in running if str(folder).encode() in line and b"\0run\0" in line]


def test_a_second_daemon_on_one_home_is_refused_by_name(people: dict[str, Person]) -> None:
    alice = people["alice"]
    alice.start()
    code, said = fails(alice, "run", "--listen", "127.0.0.1:0")
    assert code == UserError.exit_code
    assert str(alice.home) in said and str(alice.ask("status")["pid"]) in said


def test_a_free_port_is_kept_and_one_in_use_is_refused(people: dict[str, Person]) -> None:
    alice, bob = people["alice"], people["bob"]
    alice.start()
    first = alice.listen
    alice.stop()
    alice.start()
    assert alice.listen == first

    code, said = fails(bob, "run", "--listen", first)
    assert code == UserError.exit_code and first in said
    alice.stop()
    with socket.create_server(("127.0.0.1", int(first.rpartition(":")[2]))):
        alice.start()  # somebody took it: port 0 finds another one
        assert alice.listen != first


def test_a_first_start_that_fails_leaves_the_device_as_it_is(people: dict[str, Person]) -> None:
    alice = people["alice"]
    device = alice.ask("id")["device"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for _ in range(2):
            _code, said = fails(alice, "run", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
            assert "copied" not in said
    alice.start()
    assert alice.ask("id")["device"] == device == alice.ask("post", "at last")["device"]


def test_a_socket_left_by_a_kill_means_not_running(people: dict[str, Person]) -> None:
    alice = people["alice"]
    alice.start()
    alice.kill()
    code, _said = fails(alice, "status")
    assert code == NotRunning.exit_code
    alice.start()
    assert alice.ask("status")["pid"] == alice.daemon.pid  # type: ignore[union-attr]


def test_a_home_deeper_than_a_socket_path_works(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["a folder with a long name"] * 6)
    alice = Person("alice", deep / "alice")
    deep.mkdir(parents=True)
    alice.ask("init")
    alice.start()
    try:
        alice.ask("post", "from the deep")
        assert alice.texts() == ["from the deep"]
    finally:
        assert alice.stop() == 0


def test_a_key_file_that_others_can_read_is_refused(people: dict[str, Person]) -> None:
    alice = people["alice"]
    (alice.home / "keys.json").chmod(0o644)
    code, said = fails(alice, "run")
    assert code == UserError.exit_code and "chmod 600" in said


@pytest.mark.parametrize("damage", ["garbage", "newer"])
def test_a_database_that_is_not_ours_to_read_stays_untouched(people: dict[str, Person], damage: str) -> None:
    alice = people["alice"]
    alice.start()
    alice.stop()
    database = alice.home / "store.sqlite3"
    if damage == "garbage":
        database.write_bytes(b"this is no database " * 1000)
    else:
        with sqlite3.connect(database) as db:
            db.execute("PRAGMA user_version = 9999")
        db.close()
    before = database.read_bytes()
    code, said = fails(alice, "run", "--listen", "127.0.0.1:0")
    assert code == UserError.exit_code and str(database) in said
    assert database.read_bytes() == before


def test_without_an_identity_run_names_init(tmp_path: Path) -> None:
    nobody = Person("nobody", tmp_path / "nobody")
    code, said = fails(nobody, "run")
    assert code == UserError.exit_code and "init" in said


def test_a_mistyped_listen_address_is_a_usage_error(people: dict[str, Person]) -> None:
    code, _said = fails(people["alice"], "run", "--listen", "127.0.0.1")
    assert code == UsageError.exit_code


def test_id_is_the_same_with_and_without_a_daemon(people: dict[str, Person]) -> None:
    alice = people["alice"]
    without = alice.ask("id")
    alice.start()
    assert alice.ask("id") == without
    alice.ask("profile", "--name", "Alice A.")
    renamed = alice.ask("id")
    alice.stop()
    assert alice.ask("id") == renamed and renamed["name"] == "Alice A."


def test_an_invitation_is_enough_to_find_each_other(people: dict[str, Person]) -> None:
    alice, bob = people["alice"], people["bob"]
    alice.start()
    alice.ask("post", "come in")
    bob.start()
    bob.ask("follow", alice.ask("invite")["uri"])
    reads(bob, ["come in"])
    assert json.dumps(bob.ask("peers")).count(alice.ask("id")["node"]) == 1


def test_entries_can_be_checked_with_other_tools(people: dict[str, Person]) -> None:
    """Only msgpack, hashlib and a plain Ed25519 are used here, as a stranger would."""
    import hashlib

    import msgpack
    from nacl.signing import VerifyKey

    alice, bob = people["alice"], people["bob"]
    alice.start()
    posted = [alice.ask("post", f"number {number}") for number in range(3)]
    bob.start(alice.listen)
    bob.ask("follow", alice.address)
    reads(bob, ["number 2", "number 1", "number 0"])
    for holder in (alice, bob):
        raw = holder.ask("entry", posted[0]["id"], "--raw")
        bodies = [bytes.fromhex(body) for body in (raw["body"], *raw["chain"])]
        ids = [hashlib.blake2b(body, digest_size=32, person=b"p2pblog entry 1").digest() for body in bodies]
        assert ids[0].hex() == raw["id"] == posted[0]["id"]
        for before, body in zip(ids, bodies[1:], strict=False):
            assert msgpack.unpackb(body)[3] == before
        device = msgpack.unpackb(bodies[0])[1]
        VerifyKey(device).verify(b"p2pblog entry 1\0" + ids[-1], bytes.fromhex(raw["signature"]))
        assert msgpack.unpackb(bytes.fromhex(raw["payload"])) == {"text": "number 0", "type": "note"}
    assert alice.ask("entry", posted[0]["id"], "--raw")["chain"] == []
