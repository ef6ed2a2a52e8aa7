"""Homes made of archives: stored first, keys last, and always as a new device."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest
import trio
from builders import NOON, Person, person
from test_archives import members_of, packed

from p2pblog import installation, keyring, restoring
from p2pblog.archives import open_archive
from p2pblog.bridge import open_bridge
from p2pblog.core import archive
from p2pblog.core.address import Endpoint, Link
from p2pblog.core.archive import Secrets
from p2pblog.core.identity import Policy, state_rotate
from p2pblog.core.kept import Kept, KeptFollow
from p2pblog.core.keys import KeyPair
from p2pblog.core.media import Attachment, table_of
from p2pblog.core.payload import Note, Profile
from p2pblog.core.quiet import Mute, MuteKind
from p2pblog.errors import UserError
from p2pblog.home import Home
from p2pblog.store import Block, Follow
from p2pblog.store.sqlite import open_sqlite


@pytest.fixture
def alice() -> Person:
    alice = person("alice")
    alice.notes(69)
    alice.log.profile("Alice")
    return alice


FORMER = KeyPair.from_seed(b"f" * 32)


def restored(alice: Person, home: Home, file: Path, kept: Kept = archive.NOTHING_KEPT) -> int:
    secrets = Secrets(alice.root.seed, alice.device.seed, kept, (FORMER.seed,))
    follows = [(Link(person("bob").hash), "bob"), (Link(alice.hash), "me"), (Link(person("carol").hash), None)]
    with open_archive(file) as opened:
        return restoring.restore(home, opened, secrets, follows, NOON, lambda share: None).entries


def held(home: Home, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(home.database) as db:
        rows = db.execute(query).fetchall()
    db.close()
    return rows


def test_a_home_is_made_with_keys_of_its_own(alice: Person, tmp_path: Path) -> None:
    file = packed(tmp_path / "a.zip", alice, members_of(alice))
    homes = [Home(tmp_path / "one"), Home(tmp_path / "two")]
    made = []
    for home in homes:
        assert restored(alice, home, file) == 71
        made.append(keyring.load(home))
        assert stat.S_IMODE(home.folder.stat().st_mode) == 0o700
        assert installation.is_in_place(home)
        assert held(home, "SELECT petname FROM follow ORDER BY petname") == [(None,), ("bob",)]
    assert {keys.root for keys in made} == {alice.root}
    assert {keys.former for keys in made} == {(FORMER, alice.device)}  # which open what was sealed to them
    assert {keys.inception for keys in made} == {alice.identity.inception}
    assert {keys.name for keys in made} == {"Alice"}
    assert len({alice.device.public, *(key.public for keys in made for key in (keys.device, keys.node))}) == 5


def test_the_pictures_of_a_profile_come_too(alice: Person, tmp_path: Path) -> None:
    face = b"\xff\xd8\xffface"
    file = table_of(face).file
    alice.log.write(Profile("Alice", avatar=Attachment(file, "me.jpg", "image/jpeg", len(face))))
    members = members_of(alice) | {archive.file_name(file): face}
    home = Home(tmp_path / "home")
    with open_archive(packed(tmp_path / "a.zip", alice, members, entries=72)) as opened:
        opened.check(lambda share: None)
        restoring.restore(home, opened, Secrets(alice.root.seed, alice.device.seed), [], NOON, lambda share: None)
    assert (home.media / "own" / file.hex()).read_bytes() == face


def test_files_come_with_the_notices_that_are_shown(alice: Person, tmp_path: Path) -> None:
    pictures = {table_of(data).file: data for data in (b"bees" * 40_000, b"wasps")}
    bees, wasps = pictures
    alice.log.write(Note("look", media=(Attachment(bees, "bees.jpg", "image/jpeg", 160_000),)))
    gone = alice.log.write(Note("ugh", media=(Attachment(wasps, "wasps.jpg", "image/jpeg", 5),)))
    alice.log.delete(gone)
    members = members_of(alice) | {archive.file_name(file): data for file, data in pictures.items()}
    home, shares = Home(tmp_path / "home"), list[float]()
    with open_archive(packed(tmp_path / "a.zip", alice, members, entries=74)) as opened:
        opened.check(lambda share: None)
        made = restoring.restore(home, opened, Secrets(alice.root.seed, alice.device.seed), [], NOON, shares.append)

    assert made == (74, 1, 0, 0, {})
    assert [path.name for path in (home.media / "own").iterdir()] == [bees.hex()]
    assert (home.media / "own" / bees.hex()).read_bytes() == pictures[bees]
    assert stat.S_IMODE((home.media / "own" / bees.hex()).stat().st_mode) == 0o600
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_a_home_with_an_identity_stays_as_it_is(alice: Person, tmp_path: Path) -> None:
    file, home = packed(tmp_path / "a.zip", alice, members_of(alice)), Home(tmp_path / "home")
    restored(alice, home, file)
    before = home.keys.read_bytes()
    with pytest.raises(UserError, match="there is an identity"):
        restored(alice, home, file)
    assert home.keys.read_bytes() == before


def test_the_data_of_somebody_else_is_left_alone(alice: Person, tmp_path: Path) -> None:
    bob, home = person("bob"), Home(tmp_path / "home")
    bob.notes(70)
    with open_archive(packed(tmp_path / "b.zip", bob, members_of(bob))) as opened:
        restoring.restore(home, opened, Secrets(bob.root.seed, bob.device.seed), [], NOON, lambda share: None)
    home.keys.unlink()
    with pytest.raises(UserError, match="holds the data of another identity"):
        restored(alice, home, packed(tmp_path / "a.zip", alice, members_of(alice)))
    assert not home.keys.exists()


def test_what_broke_off_can_be_done_again(alice: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, home = packed(tmp_path / "a.zip", alice, members_of(alice, piece=1)), Home(tmp_path / "home")
    shares: list[float] = []

    def power_cut(share: float) -> None:
        shares.append(share)
        if len(shares) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), open_archive(file) as opened:
        restoring.restore(home, opened, Secrets(alice.root.seed, alice.device.seed), [], NOON, power_cut)
    assert not home.keys.exists(), "no identity without its data"
    had = shares[-1] * 71
    assert restored(alice, home, file) == 71 - had
    assert held(home, "SELECT count(*) FROM entry") == [(71,)]
    assert home.keys.exists()


def test_a_mute_that_stands_is_not_overruled(alice: Person, tmp_path: Path) -> None:
    """Since the archive bob was muted for good, and the mute of bees had ended."""
    bob = person("bob")
    kept = Kept(mutes=(Mute(MuteKind.PERSON, bob.hash, 0, NOON + 1), Mute(MuteKind.TAG, b"bees", 0, NOON + 2)))
    file, home = packed(tmp_path / "a.zip", alice, members_of(alice)), Home(tmp_path / "home")
    restored(alice, home, file)
    home.keys.unlink()
    trio.run(change, home, "put_mute", Mute(MuteKind.PERSON, bob.hash, NOON - 9), NOON - 9)
    trio.run(change, home, "put_mute", Mute(MuteKind.TAG, b"bees", NOON - 9, NOON - 1), NOON - 9)
    restored(alice, home, file, kept)
    assert sorted(held(home, "SELECT what, until FROM mute"), key=str) == sorted(
        [(bob.hash, None), (b"bees", NOON + 2)], key=str
    )


async def change(home: Home, name: str, *args: object) -> None:
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, home.database)
        await getattr(store, name)(*args)
        await store.aclose()


def test_what_a_home_that_lost_only_its_keys_says_itself_stands(alice: Person, tmp_path: Path) -> None:
    """It is newer than the archive: since then bob was blocked, and carol is followed in private by another name."""
    bob, carol, dave, eve = (person(name) for name in ("bob", "carol", "dave", "eve"))
    bees = b"bees" * 40_000
    picture = Attachment(table_of(bees).file, "bees.jpg", "image/jpeg", len(bees))
    alice.log.write(Note("look", media=(picture,)))
    members = members_of(alice) | {archive.file_name(picture.file): bees}
    file, home = packed(tmp_path / "a.zip", alice, members, entries=72), Home(tmp_path / "home")
    follows = [(Link(bob.hash), "bob"), (Link(carol.hash), "carol"), (Link(dave.hash), "bee"), (Link(eve.hash), "eve")]
    kept = Kept(follows=(KeptFollow(eve.hash, "eve", True, "3/day"),), admitted=(bob.hash,))
    secrets = Secrets(alice.root.seed, alice.device.seed, kept)

    def again() -> restoring.Restored:
        with open_archive(file) as opened:
            return restoring.restore(home, opened, secrets, follows, NOON, lambda share: None)

    assert again() == (72, 1, 4, 0, {})
    home.keys.unlink()
    trio.run(change, home, "drop_follow", bob.hash)
    trio.run(change, home, "drop_follow", dave.hash)
    trio.run(change, home, "put_block", Block(bob.hash, NOON))
    trio.run(change, home, "put_follow", Follow(carol.hash, "bee", NOON, private=True))
    assert again() == (0, 0, 1, 0, {bob.hash: "you have blocked that address"})
    rows = held(home, "SELECT identity, petname, no_boosts, budget, private FROM follow")
    assert sorted(rows) == sorted(
        [(carol.hash, "bee", 0, None, 1), (dave.hash, None, 0, None, 0), (eve.hash, "eve", 1, "3/day", 0)]
    )
    assert held(home, "SELECT identity FROM block") == [(bob.hash,)]
    assert held(home, "SELECT identity FROM admitted") == []


def test_a_log_that_goes_on_otherwise_there_keeps_nothing_else_out(alice: Person, tmp_path: Path) -> None:
    home, other = Home(tmp_path / "home"), person("alice")
    restored(alice, home, packed(tmp_path / "a.zip", alice, members_of(alice)))
    home.keys.unlink()
    other.log.note("another history")
    tablet = other.add_device("tablet")
    tablet.note("from the tablet")
    members = members_of(other) | {archive.log_name(tablet.key): archive.frame_run(tablet.run())}
    assert restored(other, home, packed(tmp_path / "b.zip", other, members, entries=4)) == 2
    assert held(home, "SELECT count(*) FROM entry") == [(73,)]


@pytest.mark.parametrize(
    "cuts", [((1, 64), (65, 128), (129, 192), (193, 261)), ((1, 40), (41, 90)), ((1, 69),), ((92, 128), (129, 261))]
)
def test_no_run_of_another_history_is_mixed_with_what_is_held(
    cuts: tuple[tuple[int, int], ...], tmp_path: Path
) -> None:
    """Of all these runs one or two touch what is held, which is 70 to 91."""
    alice, other = person("alice"), person("alice")
    alice.notes(90)
    for number in range(30):
        other.log.note(f"notice {number}")
    for number in range(230):
        other.log.note(f"another {number}")
    tablet = other.add_device("tablet")
    tablet.note("from the tablet")
    name, home = archive.log_name(alice.key), Home(tmp_path / "home")
    some = {name: archive.frame_run(alice.log.run(70, 91))}
    assert restored(alice, home, packed(tmp_path / "a.zip", alice, members_of(alice) | some, entries=22)) == 22
    home.keys.unlink()
    logs = {
        name: b"".join(archive.frame_run(other.log.run(first, last)) for first, last in cuts),
        archive.log_name(tablet.key): archive.frame_run(tablet.run()),
    }
    entries = sum(last + 1 - first for first, last in cuts)
    file = packed(tmp_path / "b.zip", other, members_of(other) | logs, entries=entries + 2)
    with open_archive(file) as opened:
        opened.check(lambda share: None)
        secrets = Secrets(other.root.seed, other.device.seed)
        made = restoring.restore(home, opened, secrets, [], NOON, lambda share: None)
    assert (made.entries, made.refused) == (2, entries)
    assert held(home, "SELECT count(*) FROM entry") == [(24,)]


@pytest.mark.parametrize(
    ("cuts", "count"), [(((1, 20), (70, 91)), 91), (((1, 64), (65, 91)), 91), (((30, 91),), 71), (((1, 9),), 58)]
)
def test_what_is_of_the_history_that_is_held_is_taken(
    cuts: tuple[tuple[int, int], ...], count: int, tmp_path: Path
) -> None:
    alice = person("alice")
    alice.notes(90)
    name, home = archive.log_name(alice.key), Home(tmp_path / "home")
    for file, pieces in (("a.zip", ((21, 69),)), ("b.zip", cuts)):
        home.keys.unlink(missing_ok=True)
        log = {name: b"".join(archive.frame_run(alice.log.run(first, last)) for first, last in pieces)}
        entries = sum(last + 1 - first for first, last in pieces)
        restored(alice, home, packed(tmp_path / file, alice, members_of(alice) | log, entries=entries))
    assert held(home, "SELECT count(*) FROM entry") == [(count,)]


def test_whom_a_full_home_does_not_follow_is_told(
    alice: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restoring, "FOLLOWS_MAX", 2)
    file, home = packed(tmp_path / "a.zip", alice, members_of(alice)), Home(tmp_path / "home")
    people = [person(name).hash for name in ("bob", "carol", "dave")]
    secrets = Secrets(alice.root.seed, alice.device.seed)
    with open_archive(file) as opened:
        made = restoring.restore(home, opened, secrets, [(Link(each), None) for each in people], NOON, lambda _: None)
    full = "you follow 2 people already, which is as many as a node keeps up with"
    assert (made.followed, made.left) == (2, {people[2]: full})


def test_only_one_at_a_time(alice: Person, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    keyring.make_private(home.folder)
    with installation.sole_daemon(home), pytest.raises(UserError, match="another p2pblog daemon"):
        restored(alice, home, packed(tmp_path / "a.zip", alice, members_of(alice)))


def test_an_identity_that_changed_its_root_is_refused(alice: Person, tmp_path: Path) -> None:
    later = person("later").root
    rotated = state_rotate(
        [alice.next_root], alice.hash, 1, Policy.of_one(alice.next_root.public), alice.next_root.public,
        Policy.of_one(later.public),
    )  # fmt: skip
    alice.identity = alice.identity.merge([rotated])
    members = {name: data for name, data in members_of(alice).items() if not name.startswith("logs/")}
    with pytest.raises(UserError, match="changed its root key"):
        restored(alice, Home(tmp_path / "home"), packed(tmp_path / "a.zip", alice, members, entries=0))
    assert not (tmp_path / "home").exists()


def test_what_was_kept_for_oneself_alone_comes_back(alice: Person, tmp_path: Path) -> None:
    bob, carol, dave, eve = (person(name) for name in ("bob", "carol", "dave", "eve"))
    noted = [entry.id for entry in alice.log.entries[3:6]]
    kept = Kept(
        (*noted, bob.log.entries[0].id),
        (
            KeptFollow(bob.hash, "bobby", True, "3/day"),
            KeptFollow(dave.hash, None, private=True),
            KeptFollow(alice.hash),
        ),
        (("tea", (carol.hash, dave.hash, eve.hash)),),
        (
            Mute(MuteKind.TAG, b"bees", 5),
            Mute(MuteKind.WORD, b"wasps", 0, NOON),
            Mute(MuteKind.WORD, b"x", 0, NOON + 1),
        ),
        (eve.hash, carol.hash, alice.hash),
        (person("frank").hash,),
        ("birds",),
        (Endpoint.parse("192.0.2.1:4711"),),
    )
    home = Home(tmp_path / "one")
    restored(alice, home, packed(tmp_path / "a.zip", alice, members_of(alice)), kept)
    assert held(home, "SELECT id FROM bookmark ORDER BY since") == [(id,) for id in kept.bookmarks]
    follows = held(home, "SELECT identity, petname, no_boosts, budget, private FROM follow")
    assert sorted(follows) == sorted(
        [(bob.hash, "bobby", 1, "3/day", 0), (carol.hash, None, 0, None, 0), (dave.hash, None, 0, None, 1)]
    )
    members = held(home, "SELECT l.name, m.identity FROM list l JOIN member m ON m.list = l.no")
    assert sorted(members) == sorted([("tea", carol.hash), ("tea", dave.hash)])
    assert held(home, "SELECT what, until FROM mute ORDER BY what") == [(b"bees", None), (b"x", NOON + 1)]
    assert held(home, "SELECT name FROM joined") == [("birds",)]
    assert held(home, "SELECT endpoint, node, failures FROM peer") == [("192.0.2.1:4711", None, 0)]
    assert held(home, "SELECT identity FROM admitted") == [(person("frank").hash,)]
    assert held(home, "SELECT identity FROM block") == [(eve.hash,)]  # nobody whom one follows, nor oneself
