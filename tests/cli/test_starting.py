"""Alice's commands answer at once: what each of them imports and asks is counted, for time depends on the machine."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest
from fake_node import BOB, FakeNode
from terminal_scene import Alice

from p2pblog import terminal
from p2pblog.home import find_home

DEAR = {"asyncio", "concurrent", "email", "hashlib", "http", "multiprocessing", "nacl", "platformdirs", "shutil",
        "ssl", "subprocess", "tempfile", "trio"}  # fmt: skip
"""What earlier versions imported, or would be easy to import again; each costs more than asking the daemon."""


def modules(*words: str) -> set[str]:
    """Every module that a Python process imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *words], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return imported_in(done.stderr)


def imported_in(told: str) -> set[str]:
    """Every module that `-X importtime` tells of."""
    return set(re.findall(r"^import time:.*\|\s+(\S+)$", told, re.MULTILINE))


@pytest.mark.parametrize(
    ("command", "file", "more_max"), [(("post", "hello"), "writing", 50), (("timeline",), "reading", 50)]
)
def test_a_command_imports_little_more_than_click(
    alice: Alice, node: FakeNode, command: tuple[str, ...], file: str, more_max: int
) -> None:
    node.add(text="a dash – and a face 🙂")
    needed = modules("-c", "import click")

    more = modules(*map(str, alice.argv(*command)[1:])) - needed

    assert not {name.partition(".")[0] for name in more} & (DEAR - {name.partition(".")[0] for name in needed})
    assert {name for name in more if name.startswith("p2pblog")} <= {
        "p2pblog", "p2pblog.__main__", "p2pblog.cli", "p2pblog.commands", f"p2pblog.commands.{file}", "p2pblog.config",
        "p2pblog.control", "p2pblog.control.client", "p2pblog.control.words", "p2pblog.errors", "p2pblog.home",
        "p2pblog.pages", "p2pblog.pages.files", "p2pblog.pages.notices", "p2pblog.pages.values", "p2pblog.session",
        "p2pblog.terminal",
    }  # fmt: skip
    assert len(more) <= more_max, sorted(more)


UNNEEDED = {"anyio", "cryptography", "csv", "email", "h2", "html", "http", "hypercorn", "mnemonic", "multiprocessing",
            "PIL", "segno", "starlette", "urllib.request", "wsproto", "zipfile", "p2pblog.core.archive",
            "p2pblog.core.mastodon", "p2pblog.pages", "p2pblog.pictures", "p2pblog.sim"}  # fmt: skip
"""What a node had in memory once, or would be easy to import again, and needs for a few commands at most."""


def test_a_node_has_nothing_in_memory_that_it_does_not_need(tmp_path: Path) -> None:
    words = ["-m", "p2pblog", "--home", str(tmp_path / "home")]
    subprocess.run([sys.executable, *words, "init"], capture_output=True, timeout=30, check=True)
    command = [sys.executable, "-X", "importtime", *words, "run", "--listen", "127.0.0.1:0", "--json"]

    with (tmp_path / "log").open("w") as log:
        node = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert node.stdout is not None
        started = node.stdout.readline()
        node.send_signal(signal.SIGINT)
        node.communicate(timeout=30)

    assert '"listen"' in started and node.returncode == 0, (tmp_path / "log").read_text()[-2_000:]
    imported = imported_in((tmp_path / "log").read_text())
    assert {"trio", "p2pblog.daemon"} <= imported
    assert imported & UNNEEDED == set()


def test_a_post_is_one_question_and_a_timeline_two(alice: Alice, node: FakeNode) -> None:
    alice.types("follow", BOB, "--petname", "bob")
    node.calls.clear()

    alice.types("post", "hello")
    assert [route for route, _ in node.calls] == ["post"]

    alice.types("timeline")
    assert [route for route, _ in node.calls[1:]] == ["timeline", "following"]


@pytest.mark.parametrize("data", [None, "", "/somewhere", "relative", " "])
@pytest.mark.parametrize("home", ["/home/alice", "relative"])
def test_a_home_that_nobody_names_lies_where_the_platform_keeps_it(
    data: str | None, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("P2PBLOG_HOME", raising=False)
    monkeypatch.setenv("HOME", home)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    if data is not None:
        monkeypatch.setenv("XDG_DATA_HOME", data)

    assert find_home(None).folder == Path(platformdirs.user_data_dir("p2pblog")).resolve()


def test_what_is_not_cleaned_needs_no_cleaning() -> None:
    """Most pages skip the patterns, so whatever may skip them has to pass them unchanged, piled up as well."""
    every = map(chr, range(sys.maxunicode + 1))
    skipping = [character for character in every if terminal._is_harmless(5 * character)]
    assert len(skipping) > 100_000
    piled = "".join(5 * character for character in skipping)
    assert terminal._cleaned(piled) == piled
    assert os.linesep in terminal.clean_text("two\nlines")
