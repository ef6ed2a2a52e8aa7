"""Killed at any moment, a node loses no post that returned and never signs two entries with one number."""

from __future__ import annotations

import os
import random
import selectors
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import trio

from p2pblog import keyring
from p2pblog.bridge import open_bridge
from p2pblog.config import RUN_BYTES_MAX
from p2pblog.core.keys import DeviceKey
from p2pblog.core.runs import check_run, encode_run
from p2pblog.home import Home
from p2pblog.store import LogState
from p2pblog.store.sqlite import open_sqlite

KILLS_PER_HOME = 26
CHILD = Path(__file__).with_name("posting_child.py")

Said = dict[tuple[str, int], str]


def test_no_kill_loses_a_post_or_uses_a_number_twice(tmp_path: Path) -> None:
    homes = [Home(tmp_path / name) for name in ("alice", "bob")]
    with ThreadPoolExecutor(max_workers=len(homes)) as pool:  # one home a core
        for home, said in zip(homes, pool.map(post_and_be_killed, homes, (1, 2)), strict=True):
            assert len(said) > KILLS_PER_HOME, "too few posts returned for the test to mean something"
            trio.run(check_home, home, said)


def post_and_be_killed(home: Home, seed: int) -> Said:
    """What each life of the node said of its posts, over many lives that all end in SIGKILL."""
    rng = random.Random(seed)
    keyring.create(home, None, rng.randbytes(32))
    said: Said = {}
    for life in range(KILLS_PER_HOME):
        # Some lives end while the node is still starting, the others a while after their first post.
        patience_s = rng.uniform(0.1, 0.9) if life % 4 == 0 else None
        for device, seq, entry in one_life(home, patience_s, rng.uniform(0.0, 0.15)):
            assert said.setdefault((device, seq), entry) == entry, f"two entries with number {seq}"
    return said


def one_life(home: Home, patience_s: float | None, after_first_s: float) -> list[tuple[str, int, str]]:
    environment = {**os.environ, "PYTHONPATH": str(CHILD.parents[2])}
    child = subprocess.Popen([sys.executable, str(CHILD), str(home.folder)], stdout=subprocess.PIPE, env=environment)
    assert child.stdout is not None
    heard, deadline = b"", time.monotonic() + (patience_s if patience_s is not None else 60)
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while time.monotonic() < deadline:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                break
            piece = os.read(child.stdout.fileno(), 65_536)
            assert piece, "the node ended by itself"
            if not heard and patience_s is None:
                deadline = time.monotonic() + after_first_s
            heard += piece
    child.kill()
    heard += child.stdout.read()
    child.stdout.close()
    child.wait()
    lines = heard.decode().splitlines(keepends=True)
    posts = [line.split() for line in lines if line.endswith("\n")]
    return [(device, int(seq), entry) for device, seq, entry in posts]


async def check_home(home: Home, said: Said) -> None:
    """Everything that returned is there, in logs that a peer would accept."""
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, home.database)
        try:
            loaded = await store.load()
            held: Said = {}
            for state in loaded.logs:
                held |= await read_log(store, state)
            assert {key: held.get(key) for key in said} == said
            assert len(loaded.logs) == 1, "the same home opened another device log"
        finally:
            await store.aclose()


async def read_log(store, state: LogState) -> Said:  # type: ignore[no-untyped-def]
    ids: Said = {}
    before = None
    (span,) = state.spans
    first = span.low
    while first <= span.high:
        entries = await store.run(DeviceKey(state.device), first, span.high, RUN_BYTES_MAX)
        for entry in check_run(encode_run(entries), before):
            ids[entry.device.hex(), entry.seq] = entry.id.hex()
            before = entry.id
        first = entries[-1].seq + 1
    return ids
