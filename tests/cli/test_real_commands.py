"""`run`, and commands as processes of their own: what they print where, how they end."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import types
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import pytest
import trio
from fake_node import FakeNode
from terminal_scene import Alice

from p2pblog import __main__, installation
from p2pblog.errors import StoreDamaged, StoreError, UserError
from p2pblog.session import INTERRUPTED, _program


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """A daemon module that only notes how it was called, so that no node starts."""
    calls: list[tuple[Any, ...]] = []
    module = types.ModuleType("p2pblog.daemon")
    module.run = lambda *arguments: calls.append(arguments)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "p2pblog.daemon", module)
    monkeypatch.setattr("p2pblog.daemon", module, raising=False)
    return calls


def test_run_hands_everything_to_the_daemon(alice: Alice, daemon: list[tuple[Any, ...]]) -> None:
    result = alice.types("run", "--listen", "127.0.0.1:0", "--bootstrap", "a:1", "--bootstrap", "b:2", "--json")

    command = f"{_program(sys.argv[0])} --home {alice.home.folder}"
    assert result.exit_code == 0
    assert daemon == [(alice.home, "127.0.0.1:0", ["a:1", "b:2"], True, command)]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (StoreError("store.sqlite3 is damaged"), "store.sqlite3 is damaged"),
        (StoreDamaged("store.sqlite3 is damaged"), "/home check --mend\n"),
        (UserError("port 4711 is in use"), "port 4711 is in use"),
        (ExceptionGroup("nursery", [UserError("port 4711 is in use")]), "port 4711 is in use"),
        (OSError(28, "x"), "No space left on device"),
        (RuntimeError("what"), "internal error (RuntimeError)"),
    ],
)
def test_a_daemon_that_cannot_start_says_why(
    alice: Alice, daemon: list[tuple[Any, ...]], error: Exception, sentence: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    sys.modules["p2pblog.daemon"].run = fail  # type: ignore[attr-defined]
    result = alice.types("run")
    assert result.exit_code == 1
    assert sentence in result.stderr


def test_bytes_that_are_not_utf8_are_2(alice: Alice, node: FakeNode) -> None:
    done = alice.starts(["post", b"\xff\xfe"])
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"p2pblog: the text is not valid UTF-8.")
    assert node.calls == []


def test_a_reader_that_goes_is_no_error(alice: Alice, node: FakeNode) -> None:
    for _ in range(100):
        node.add(text="x" * 5000)
    for words in (["timeline", "-n", "100"], ["timeline", "-n", "100", "--json"]):
        reader, writer = os.pipe()
        os.close(reader)
        process = subprocess.run(alice.argv(*words), stdout=writer, stderr=subprocess.PIPE, timeout=30, check=False)
        os.close(writer)
        assert (process.returncode, process.stderr) == (0, b"")


@pytest.mark.usefixtures("node")
def test_a_live_timeline_without_an_output_ends(alice: Alice) -> None:
    argv = ["sh", "-c", 'exec "$@" >&-', "sh", *alice.argv("timeline", "-f")]
    done = subprocess.run(argv, capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["post", "--help"]])
def test_help_that_nobody_reads_to_its_end_is_no_error(alice: Alice, words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.run(alice.argv(*words), stdout=writer, stderr=subprocess.PIPE, timeout=30, check=False)
    os.close(writer)
    assert (process.returncode, process.stderr) == (0, b"")


@pytest.mark.parametrize("words", [["post", "hello"], ["post", "hello", "--json"]])
def test_what_was_done_is_not_said_to_have_failed_where_the_output_takes_no_answer(
    alice: Alice, node: FakeNode, tmp_path: Path, words: list[str]
) -> None:
    """A limit on the size of files, as on every system: the write itself fails, as it does on a full disk."""
    limited = 'ulimit -f 0; exec "$@"'
    with (tmp_path / "output").open("wb") as full:
        argv = ["sh", "-c", limited, "sh", *alice.argv(*words)]
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, timeout=30, check=False)
    assert done.returncode == 1
    sentence = "the node did what you asked, but its answer cannot be printed"
    assert done.stderr == f"p2pblog: {sentence}: {os.strerror(errno.EFBIG)}.\n".encode()
    assert [notice["text"] for notice in node.notices] == ["hello"]


@pytest.mark.parametrize("words", [["init"], ["init", "--json"]])
def test_words_that_nobody_could_read_make_no_identity(alice: Alice, words: list[str]) -> None:
    reader, broken = os.pipe()
    os.close(reader)
    with Path(__file__).open("rb") as not_for_writing:
        for output in (not_for_writing.fileno(), broken):
            done = subprocess.run(alice.argv(*words), stdout=output, stderr=subprocess.PIPE, timeout=30, check=False)
            assert done.returncode == 1
            assert done.stderr.startswith(b"p2pblog: nobody could read the recovery words, so no identity was made: ")
            assert done.stderr.count(b"\n") == 1
            assert not alice.home.keys.exists()
    os.close(broken)
    assert alice.types(*words).exit_code == 0


def a_full_pipe() -> tuple[int, int]:
    """One whose reader has paused: who writes waits."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    os.set_blocking(writer, True)
    return reader, writer


def test_words_that_wait_for_a_reader_until_ctrl_c_make_no_identity(alice: Alice) -> None:
    reader, writer = a_full_pipe()
    process = subprocess.Popen(alice.argv("init"), stdout=writer, stderr=subprocess.PIPE)
    while not (alice.home.folder / "installation").exists():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    for end in (reader, writer):
        os.close(end)
    assert (process.returncode, errors.strip()) == (INTERRUPTED, b"")
    assert list(alice.home.folder.iterdir()) == []


@pytest.mark.parametrize("error", [OSError(28, "x"), KeyboardInterrupt()])
def test_a_disk_that_fills_up_half_way_through_init_keeps_no_identity(
    alice: Alice, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def full(*_: object) -> None:
        raise error

    monkeypatch.setattr(installation, "_write", full)
    result = alice.types("init")
    assert result.exit_code == (INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1)
    assert "No space left on device" in result.stderr or result.exit_code == INTERRUPTED
    assert list(alice.home.folder.iterdir()) == []
    monkeypatch.undo()
    assert alice.types("init").exit_code == 0


@pytest.mark.parametrize("words", [["timeline", "-f"], ["timeline", "-f", "--json"]])
def test_a_live_timeline_goes_on_until_ctrl_c(alice: Alice, node: FakeNode, words: list[str]) -> None:
    for text in ("first", "second"):
        node.add(text=text)
    with subprocess.Popen(alice.argv(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        late = threading.Timer(20, process.kill)
        late.start()
        assert process.stdout is not None
        if "--json" not in words:
            shown = [process.stdout.readline() for _ in range(5)]
            assert [text.strip() for text in shown[1::3]] == ["first", "second"]  # the newest last
        else:
            while not node.watching:
                assert process.poll() is None
        node.add(text="third")
        live = process.stdout.readline()
        while "third" not in live:
            assert live, "the timeline ended before the third notice"
            live = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=30)
        late.cancel()
    assert (process.returncode, rest, errors) == (0, "", "")
    if "--json" in words:
        assert json.loads(live)["text"] == "third"


@pytest.mark.parametrize("words", [["timeline", "-f"], ["timeline", "-f", "--json"]])
def test_a_live_timeline_ends_with_its_reader(alice: Alice, node: FakeNode, words: list[str]) -> None:
    """As with `| head -1`: no notice needs to come for it."""
    with subprocess.Popen(alice.argv(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while not node.watching:
            assert process.poll() is None
        node.add(text="first")
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        late = threading.Timer(20, process.kill)
        late.start()
        assert (process.wait(), process.stderr.read()) == (0, b"")
        late.cancel()


def test_a_live_timeline_does_not_ask_what_its_output_is(alice: Alice, node: FakeNode, tmp_path: Path) -> None:
    argv = alice.argv("timeline", "-f", "--json")
    with (tmp_path / "lines").open("wb") as file, subprocess.Popen(argv, stdout=file) as process:
        while not node.watching:
            assert process.poll() is None
        for text in ("first", "second"):
            node.add(text=text)
            while text not in (tmp_path / "lines").read_text():
                assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0


def test_ctrl_c_ends_a_command_that_has_hardly_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: str) -> NoReturn:
        raise KeyboardInterrupt

    module = types.ModuleType("p2pblog.cli")
    module.__getattr__ = interrupted  # type: ignore[method-assign]
    monkeypatch.setitem(sys.modules, "p2pblog.cli", module)
    monkeypatch.setattr("p2pblog.__main__.gc", types.SimpleNamespace(disable=lambda: None))
    with pytest.raises(SystemExit) as ended:
        __main__.start()
    assert ended.value.code == __main__.INTERRUPTED == INTERRUPTED


def test_ctrl_c_ends_a_command_without_a_traceback(alice: Alice, node: FakeNode) -> None:
    node.gate = trio.Event()  # never set: the node takes its time
    process = subprocess.Popen(alice.argv("status"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not node.calls:
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=30)
    assert (process.returncode, out, errors.strip()) == (INTERRUPTED, b"", b"")
