"""Alice's home, and her node behind the control socket."""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import trio
from builders import key_pair

from p2pblog import keyring
from p2pblog.control.server import serve_control
from p2pblog.home import Home

sys.path.insert(0, str(Path(__file__).parent.parent / "control"))
from fake_node import FakeNode
from terminal_scene import Alice


@pytest.fixture
def alice(monkeypatch: pytest.MonkeyPatch) -> Iterator[Alice]:
    """A home in a short folder: pytest's own are too deep for a socket path on some machines."""
    for name in ("P2PBLOG_HOME", "NO_COLOR", "COLUMNS", "P2PBLOG_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    folder = Path(tempfile.mkdtemp(prefix="p2pb-")).resolve()
    yield Alice(Home(folder / "home"))
    shutil.rmtree(folder)


@pytest.fixture
def node(alice: Alice) -> Iterator[FakeNode]:
    """Alice's node, running: a fake one behind the real socket, in a thread of its own."""
    made, started, scopes = FakeNode(), threading.Event(), []

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(serve_control, alice.home, made))
            made.token = trio.lowlevel.current_trio_token()
            scopes.append(nursery.cancel_scope)
            started.set()

    thread = threading.Thread(target=trio.run, args=(run,))
    thread.start()
    assert started.wait(10)
    yield made
    assert made.token is not None
    made.token.run_sync_soon(scopes[0].cancel)
    thread.join()


@pytest.fixture
def keys(alice: Alice, node: FakeNode) -> keyring.Keyring:
    """The key file of the home whose node answers."""
    owner = node.owner
    made = keyring.Keyring(owner.root, owner.identity.inception, owner.device, key_pair("alice/node"), "alice")
    keyring.save(alice.home, made)
    return made
