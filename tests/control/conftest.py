"""A home in a short folder, and a daemon's control socket over a real Unix socket with a fake node behind it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from p2pblog.control.api import NodeApi
from p2pblog.control.server import serve_control
from p2pblog.home import Home


@pytest.fixture
def home() -> Iterator[Home]:
    """pytest's own temporary folders are too deep for a socket path on some machines."""
    folder = Path(tempfile.mkdtemp(prefix="p2pb-"))
    yield Home(folder.resolve())
    shutil.rmtree(folder)


@asynccontextmanager
async def served(home: Home, api: NodeApi) -> AsyncIterator[Path]:
    """The control socket, open while the block runs."""
    async with trio.open_nursery() as nursery:
        path: Path = await nursery.start(lambda task_status: serve_control(home, api, task_status=task_status))
        yield path
        nursery.cancel_scope.cancel()


@pytest.fixture(name="served")
def _served() -> object:
    return served
