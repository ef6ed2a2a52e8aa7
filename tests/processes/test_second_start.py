"""Alice starts her node once more: what is on its disk already is not written anew."""

from __future__ import annotations

import errno
import resource
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from builders import key_pair, person

from p2pblog import daemon, descriptors, installation, keyring, logbook
from p2pblog.cases.desk import Place
from p2pblog.core.address import Endpoint
from p2pblog.daemon import DHT_SETTING, HOST_SETTING, PORT_SETTING, open_node
from p2pblog.home import Home
from p2pblog.keyring import Keyring
from p2pblog.store import OWN_IDENTITY
from p2pblog.store.sqlite import SqliteStore

HERE = Endpoint("127.0.0.1", 0)
EVERYWHERE = Endpoint("0.0.0.0", 0)


def a_home(folder: Path) -> Home:
    """Alice's, with her keys."""
    alice, home = person("alice"), Home(folder)
    keyring.save(home, Keyring(alice.root, alice.identity.inception, alice.device, key_pair("alice/node"), "alice"))
    return home


def test_a_second_start_writes_no_setting_that_the_database_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = a_home(tmp_path)
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
        assert {HOST_SETTING, PORT_SETTING, OWN_IDENTITY} <= {*written}
        assert await start() == first
        assert {*written} <= {DHT_SETTING}  # at the end
        with trio.socket.socket() as somebody:
            await somebody.bind((first.host, first.port))
            somebody.listen()
            assert await start() != first
        assert PORT_SETTING in written and not {HOST_SETTING, OWN_IDENTITY} & {*written}

    trio.run(scene)


async def listens(home: Home, listen: Endpoint | None) -> Endpoint:
    """Where her node listens, started once."""
    async with open_node(home, keyring.load(home), listen, []) as node:
        return node._place.listen


def test_a_node_that_was_kept_to_this_machine_stays_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = a_home(tmp_path)
    bound = binds(monkeypatch)

    async def scene() -> None:
        first = await listens(home, HERE)
        assert await listens(home, None) == first
        await listens(home, EVERYWHERE)
        await listens(home, None)

    trio.run(scene)
    assert bound == ["127.0.0.1", "127.0.0.1", "0.0.0.0", "0.0.0.0"]


@pytest.mark.parametrize(("host", "instead"), [("192.0.2.1", "0.0.0.0"), ("::1", "127.0.0.1")])
def test_a_host_that_is_gone_keeps_no_node_from_starting_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, host: str, instead: str
) -> None:
    """Of two that are gone, one led to this machine alone; so does what stands in for it."""
    home = a_home(tmp_path)
    bound = binds(monkeypatch, gone=host)

    async def scene() -> None:
        async with open_node(home, keyring.load(home), HERE, []) as node:
            await node._store.put_setting(HOST_SETTING, host.encode())
        bound.clear()
        await listens(home, None)
        await listens(home, None)

    trio.run(scene)
    assert bound == [instead, instead]
    told = [each.getMessage() for each in caplog.records if each.name == "p2pblog.daemon"]
    assert [each for each in told if host in each and f"listens on {instead}" in each] == told[-2:]


def test_a_kept_port_that_is_busy_once_comes_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    home = a_home(tmp_path)

    async def scene() -> None:
        first = await listens(home, HERE)
        with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as somebody:
            await somebody.bind((first.host, first.port))
            assert not said(first.port)
            instead = await listens(home, None)
            assert instead.port != first.port
            assert [f"port {instead.port} for this time" in each for each in said(first.port)] == [True]
        assert await listens(home, None) == first

    def said(port: int) -> list[str]:
        told = [each.getMessage() for each in caplog.records if each.name == "p2pblog.daemon"]
        return [each for each in told if each.startswith(f"port {port},")]

    trio.run(scene)


def test_the_first_port_that_was_taken_is_kept(tmp_path: Path) -> None:
    home = a_home(tmp_path)

    async def scene() -> None:
        first = await listens(home, None)
        assert (await listens(home, None)).port == first.port
        asked = await listens(home, HERE)
        assert asked.port == first.port  # port 0 takes the one of the last time

    trio.run(scene)


def test_keys_are_read_when_no_other_daemon_can_change_them_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = a_home(tmp_path)
    opened = keyring.load(home).on_device(key_pair("alice/another"))
    lock, run = installation.sole_daemon, list[object]()

    @contextmanager
    def after_another(of: Home) -> Iterator[None]:
        """The daemon before us opens a new device, and then lets go of the lock."""
        keyring.save(of, opened)
        with lock(of):
            yield

    monkeypatch.setattr(installation, "sole_daemon", after_another)
    monkeypatch.setattr(logbook, "begin", lambda: None)
    monkeypatch.setattr(descriptors, "make_room", lambda: None)
    monkeypatch.setattr(sys, "setswitchinterval", lambda seconds: None)
    monkeypatch.setattr(trio, "run", lambda *given: run.append(given[2]))
    daemon.run(home, None, [], False, "p2pblog")
    assert run == [opened]


def stands(monkeypatch: pytest.MonkeyPatch, host: str | None) -> list[str]:
    """The machine has this address from now on, or none. Gives the times at which it was asked for it."""
    asked = list[str]()
    at = host or "127.0.0.1"

    def place(bound: Endpoint) -> Place:
        asked.append(at)
        endpoint = Endpoint(at, bound.port)
        return Place(endpoint, () if host is None else (endpoint,))

    monkeypatch.setattr(daemon, "_place", place)
    return asked


async def until(held: Callable[[], bool]) -> None:
    """A node asks itself where it stands every few milliseconds here."""
    with trio.fail_after(20):
        while not held():  # noqa: ASYNC110 - it signals nothing
            await trio.sleep(0.01)


def test_a_node_that_was_there_before_its_network_stands_where_the_machine_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a boot, on a server that has a public address of its own."""
    home = a_home(tmp_path)
    monkeypatch.setattr(daemon, "REACHABLE_EVERY_S", 0.01)

    async def scene() -> None:
        stands(monkeypatch, None)
        async with open_node(home, keyring.load(home), EVERYWHERE, []) as node:
            port, protocol = node._place.listen.port, node._meeting._directory._server.protocol  # type: ignore[attr-defined]
            assert protocol.test_network
            protocol._seen_as[b"block"] = Endpoint("5.9.1.2", port)
            await until(lambda: protocol.client)
            stands(monkeypatch, "5.9.1.2")
            await until(lambda: node._place.listen == Endpoint("5.9.1.2", port))
            await until(lambda: node._meeting.machine._endpoint == Endpoint("5.9.1.2", port))
            await until(lambda: not protocol.client)
            assert not protocol.test_network
            assert (await node.status())["listen"] == f"5.9.1.2:{port}"
            assert f"peer=5.9.1.2:{port}" in (await node.invite())["uri"]
            protocol._seen_as[b"block"] = Endpoint("5.9.1.2", port)

            stands(monkeypatch, "5.9.1.9")
            await until(lambda: node._meeting.machine._endpoint == Endpoint("5.9.1.9", port))
            assert not protocol.client
            protocol._seen_as[b"block"] = Endpoint("5.9.1.77", port)
            await until(lambda: protocol.client)

            stands(monkeypatch, "192.168.7.7")
            await until(lambda: protocol.test_network and not protocol.client)
            asked = stands(monkeypatch, None)
            await until(lambda: len(asked) > 1)
            assert node._place.listen == Endpoint("192.168.7.7", port)

    trio.run(scene)


def test_a_node_that_listens_on_ipv4_alone_is_at_no_address_of_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    class Routes(socket.socket):
        def connect(self, address: Any) -> None:
            if self.family == socket.AF_INET:
                raise OSError(errno.ENETUNREACH, "Network is unreachable")

        def getsockname(self) -> Any:
            return ("2001:db8::7", 9, 0, 0)

    monkeypatch.setattr(daemon.socket, "socket", Routes)
    assert daemon._place(Endpoint("0.0.0.0", 4711)) == Place(Endpoint("127.0.0.1", 4711), ())
    at = Endpoint("2001:db8::7", 4711)
    assert daemon._place(Endpoint("::", 4711)) == Place(at, (at,))


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_who_has_no_descriptor_left_to_look_stands_nowhere_else(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """Each socket of the kind that is looked with fails once; the next would be had again."""
    left = [socket.AF_INET]

    def sockets(family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
        if family in left:
            left.remove(family)
            raise OSError(errno.EMFILE, "Too many open files")
        raise AssertionError("the other version of IP must not stand in")

    monkeypatch.setattr(daemon.socket, "socket", sockets)
    assert daemon._place(Endpoint(host, 4711)).reachable == ()


@pytest.mark.parametrize(
    ("soft", "hard", "then", "is_said"),
    [
        (256, 4096, descriptors.WANTED, False),
        (256, resource.RLIM_INFINITY, descriptors.WANTED, False),
        (128, 300, 300, True),
        (4096, 4096, 4096, False),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, resource.RLIM_INFINITY, False),
    ],
)
def test_a_node_takes_as_many_descriptors_as_its_limits_add_up_to(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, soft: int, hard: int, then: int, is_said: bool
) -> None:
    limits = [(soft, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda what: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda what, wanted: limits.append(wanted))
    descriptors.make_room()
    assert limits[-1] == (then, hard)
    assert bool(caplog.records) == is_said


def binds(monkeypatch: pytest.MonkeyPatch, gone: str | None = None) -> list[str]:
    """The hosts that are bound, as they are; `gone` cannot be."""
    real: Callable[..., Any] = daemon.open_tcp
    bound = list[str]()

    def open_tcp(node: object, listen: Endpoint) -> Any:
        if listen.host == gone:
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        bound.append(listen.host)
        return real(node, listen)

    monkeypatch.setattr(daemon, "open_tcp", open_tcp)
    return bound
