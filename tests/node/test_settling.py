"""With which keys a home goes on that lies where it was marked: no number may be signed twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import Log, Person, key_pair, person

from p2pblog import installation, keyring
from p2pblog.core.keys import DeviceKey
from p2pblog.core.logs import LogState, Span
from p2pblog.core.value import replace
from p2pblog.daemon import settle
from p2pblog.home import Home
from p2pblog.keyring import Keyring
from p2pblog.store import OWN_DEVICE, Contents


@pytest.fixture
def alice() -> Person:
    return person("alice")


def made(folder: Path, alice: Person) -> tuple[Home, Keyring]:
    """A home in which alice has written."""
    home = Home(folder)
    own = Keyring(alice.root, alice.identity.inception, alice.device, key_pair("alice/node"), "alice")
    keyring.save(home, own)
    installation.mark(home, written=True)
    return home, own


def held(alice: Person, log: Log) -> LogState:
    first, last = log.entries[0], log.entries[-1]
    return LogState(log.key, alice.hash, (Span(1, last.seq, first.id, None, last.id),))


def test_a_whole_database_changes_nothing(tmp_path: Path, alice: Person) -> None:
    home, own = made(tmp_path, alice)
    assert settle(home, own, Contents((alice.identity,), (held(alice, alice.log),))) == own


def test_a_log_of_ours_that_is_damaged_is_left(tmp_path: Path, alice: Person) -> None:
    home, own = made(tmp_path, alice)
    loaded = Contents((alice.identity,), (held(alice, alice.log),), damaged=(DeviceKey(own.device.public),))
    assert settle(home, own, loaded).device != own.device
    assert keyring.load(home).device != own.device  # on disk, before anything is signed


def test_a_log_that_is_lost_is_left_though_another_of_our_devices_has_one(tmp_path: Path, alice: Person) -> None:
    other = alice.add_device("laptop")
    home, own = made(tmp_path, alice)
    assert settle(home, own, Contents((alice.identity,), (held(alice, other),))).device != own.device


def test_a_device_that_never_began_its_log_begins_it(tmp_path: Path, alice: Person) -> None:
    """Its key was kept, and the identity has no room for it: at each start another one would be made."""
    home, own = made(tmp_path, alice)
    unstated = own.on_device(key_pair("alice/laptop"))
    loaded = Contents((alice.identity,), (held(alice, alice.log),))
    assert settle(home, unstated, loaded).device == unstated.device
    known = replace(loaded, settings={OWN_DEVICE: unstated.device.public})
    assert settle(home, unstated, known).device == unstated.device


def test_a_device_that_began_after_a_database_was_put_aside_is_left_when_that_is_put_back(
    tmp_path: Path, alice: Person
) -> None:
    """Its log stands in another database: here its numbers would be signed again."""
    home, own = made(tmp_path, alice)
    later = own.on_device(key_pair("alice/laptop"))
    before = Contents((alice.identity,), (held(alice, alice.log),), settings={OWN_DEVICE: own.device.public})
    assert settle(home, later, before).device not in (later.device, own.device)
