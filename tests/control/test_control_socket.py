"""The socket of a home: who reaches it, what lies in its place, and where that of a deep home is."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from fake_node import ALICE, FakeNode
from questions import ask
from trio.testing import trio_test

from p2pblog.control import client, server
from p2pblog.errors import NotRunning, UserError
from p2pblog.home import Home, runtime_folders

Served = Callable[..., Any]


@trio_test
async def test_only_its_owner_reaches_the_socket(home: Home, served: Served) -> None:
    home.folder.chmod(0o755)
    before = os.umask(0o000)
    try:
        async with served(home, FakeNode()) as path:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    finally:
        os.umask(before)
    assert not path.exists()


def leave_a_dead_socket(path: Path) -> None:
    """What kill -9 leaves."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(os.fspath(path))
        dead.listen()


@trio_test
async def test_a_dead_socket_means_not_running_and_is_replaced(home: Home, served: Served) -> None:
    leave_a_dead_socket(home.control)
    with pytest.raises(NotRunning):
        await ask(home, "id")

    async with served(home, FakeNode()):
        assert (await ask(home, "id"))["address"] == ALICE


@trio_test
async def test_a_living_socket_is_not_taken_away(home: Home, served: Served) -> None:
    async with served(home, FakeNode()):
        with pytest.raises(UserError, match="another daemon answers"):
            await server.serve_control(home, FakeNode())
        assert (await ask(home, "id"))["address"] == ALICE


@trio_test
async def test_the_socket_of_a_successor_stays(home: Home, served: Served) -> None:
    async with served(home, FakeNode()) as path:
        path.unlink()
        leave_a_dead_socket(path)
    assert path.exists()


@trio_test
async def test_another_thing_in_its_place_is_left_alone(home: Home) -> None:
    home.control.write_text("my notes")
    with pytest.raises(UserError, match="in the way"):
        await server.serve_control(home, FakeNode())
    assert home.control.read_text() == "my notes"
    with pytest.raises(NotRunning):
        client.call(home, "id")


@pytest.fixture
def deep(home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home deeper than a socket path allows, and a runtime folder of this test's own."""
    runtime = home.folder / "run"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    folder = home.folder.joinpath(*["deeper-and-deeper"] * 8)
    folder.mkdir(parents=True, mode=0o700)
    folder.chmod(0o700)
    return Home(folder)


@trio_test
async def test_too_deep_a_home_works(deep: Home, served: Served) -> None:
    with pytest.raises(NotRunning):
        await ask(deep, "id")
    async with served(deep, FakeNode()) as path:
        assert path.parent == next(runtime_folders())
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert (await ask(deep, "id"))["address"] == ALICE
    assert not path.exists()


@trio_test
async def test_who_asks_may_have_another_runtime_folder(
    deep: Home, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from cron, or by `su`; but a copy of the home, with the link in it, leads to no daemon of another home."""
    async with served(deep, FakeNode()):
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep.folder))
        assert (await ask(deep, "id"))["address"] == ALICE
        copy = Home(deep.folder.with_name("copy"))
        shutil.copytree(deep.folder, copy.folder, symlinks=True)
        with pytest.raises(NotRunning):
            await ask(copy, "id")
    with pytest.raises(NotRunning):
        await ask(deep, "id")
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    async with served(deep, FakeNode()):  # what the other daemon left is in nobody's way
        assert (await ask(deep, "id"))["address"] == ALICE


@trio_test
async def test_a_home_that_comes_from_a_deeper_place_has_a_socket_of_its_own(deep: Home, served: Served) -> None:
    """The link of the deeper home lies in it, and leads to the other's daemon or nowhere."""
    copy = Home(deep.folder.parents[7] / "copy")
    async with served(deep, FakeNode()):
        shutil.copytree(deep.folder, copy.folder, symlinks=True)
        with pytest.raises(NotRunning):
            await ask(copy, "id")
        async with served(copy, FakeNode()) as path:
            assert path == copy.control_link and stat.S_ISSOCK(path.lstat().st_mode)
            assert (await ask(copy, "id"))["address"] == ALICE
        assert (await ask(deep, "id"))["address"] == ALICE


def test_a_runtime_folder_too_deep_for_a_socket_is_passed_over(deep: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep.folder))
    monkeypatch.setattr(tempfile, "tempdir", str(deep.folder))
    assert deep.control.parent == Path(f"/tmp/p2pblog-{os.getuid()}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "run")  # not absolute, so not to be heeded (XDG base directory specification)
    monkeypatch.setattr(tempfile, "tempdir", "/var/tmp")
    assert deep.control.parent == Path(f"/var/tmp/p2pblog-{os.getuid()}")


def test_a_system_without_a_temporary_folder_has_a_runtime_folder(deep: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a sandbox where nothing else can be written; nor is one looked for where none is needed."""
    asked: list[None] = []

    def gettempdir() -> str:
        asked.append(None)
        raise FileNotFoundError

    monkeypatch.setattr(tempfile, "gettempdir", gettempdir)
    assert deep.control.parent == next(runtime_folders()) and not asked
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert deep.control.parent == Path(f"/tmp/p2pblog-{os.getuid()}") and asked


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@trio_test
async def test_a_runtime_folder_that_is_a_link_is_refused(deep: Home, tmp_path: Path) -> None:
    """In a shared /tmp somebody else may have put it there, to listen in."""
    next(runtime_folders()).symlink_to(tmp_path)

    with pytest.raises(UserError, match="belongs to somebody else"):
        await server.serve_control(deep, FakeNode())
    with pytest.raises(UserError, match="belongs to somebody else"):
        client.call(deep, "id")
    assert names_in(tmp_path) == []


@trio_test
async def test_a_runtime_folder_of_another_user_is_refused(deep: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    another = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: another)
    folder = next(runtime_folders())
    folder.mkdir(mode=0o700)

    with pytest.raises(UserError, match="belongs to somebody else"), trio.fail_after(10):
        await server.serve_control(deep, FakeNode())
    with pytest.raises(UserError, match="belongs to somebody else"):
        client.call(deep, "id")
    assert names_in(folder) == []
