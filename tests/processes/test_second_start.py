"""Alice starts her node once more: what is on its disk already is not written anew."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from builders import key_pair, person

from p2pblog import keyring
from p2pblog.config import Home
from p2pblog.core.address import Endpoint
from p2pblog.daemon import DHT_SETTING, PORT_SETTING, open_node
from p2pblog.keyring import Keyring
from p2pblog.store import OWN_IDENTITY
from p2pblog.store.sqlite import SqliteStore

HERE = Endpoint("127.0.0.1", 0)


def test_a_second_start_writes_no_setting_that_the_database_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, home = person("alice"), Home(tmp_path)
    keys = Keyring(alice.root, alice.identity.inception, alice.device, key_pair("alice/node"), "alice")
    keyring.save(home, keys)
    put, written = SqliteStore.put_setting, list[str]()

    async def spy(store: SqliteStore, name: str, value: bytes | None) -> None:
        written.append(name)
        await put(store, name, value)

    monkeypatch.setattr(SqliteStore, "put_setting", spy)

    async def start() -> Endpoint:
        written.clear()
        async with open_node(home, keyring.load(home), HERE, []) as node:
            status = await node.status()
        return Endpoint.parse(status["listen"])

    async def scene() -> None:
        first = await start()
        assert {PORT_SETTING, OWN_IDENTITY} <= {*written}
        assert await start() == first
        assert {*written} <= {DHT_SETTING}  # at the end
        with trio.socket.socket() as somebody:
            await somebody.bind((first.host, first.port))
            somebody.listen()
            assert await start() != first
        assert PORT_SETTING in written and OWN_IDENTITY not in written

    trio.run(scene)
