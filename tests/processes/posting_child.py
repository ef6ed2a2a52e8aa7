"""A node that posts without pause and says which posts have returned; made to be killed (see test_kill_anytime.py)."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import trio

from p2pblog import keyring
from p2pblog.bridge import open_bridge
from p2pblog.cases.desk import Place
from p2pblog.core.address import Endpoint
from p2pblog.core.keys import NodeKey
from p2pblog.daemon import Parts, settle
from p2pblog.dht.memory import MemoryNetwork as MemoryDht
from p2pblog.home import Home
from p2pblog.store import OWN_IDENTITY
from p2pblog.store.sqlite import open_sqlite
from p2pblog.transport.memory import MemoryNetwork


async def main(home: Home) -> None:
    """The real keys, store and author; nobody to talk to."""
    here = Endpoint("127.0.0.1", 4000)
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, home.database)
        loaded = await store.load()
        own = settle(home, keyring.load(home), loaded)
        await store.put_setting(OWN_IDENTITY, own.inception.identity)
        parts = Parts(
            own,
            store,
            loaded,
            MemoryNetwork().transport(NodeKey(own.node.public), here),
            MemoryDht(lambda: 0).open(here),
            Place(here, (here,)),
            announced_at=lambda: None,
            save=lambda changed: keyring.save(home, changed),
            wall_ms=lambda: 1_700_000_000_000,
            rng=random.Random(1),
        )
        async with parts.at_work() as node:
            number = 0
            while True:
                written = await node.post(f"post {number}")
                print(written["device"], written["seq"], written["id"], flush=True)
                number += 1


if __name__ == "__main__":
    trio.run(main, Home(Path(sys.argv[1])))
