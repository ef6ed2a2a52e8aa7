"""A database made anew of what can be read of a damaged one: it answers as the whole one did, but for what is lost."""

from __future__ import annotations

import random
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import test_agreement as agreement
from builders import NOON, Person, person
from damage_kit import change, run_on_small_disk, spoil_leaf, spoil_root
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_kit import LATER, add, keep, open_kind, own
from trio.testing import trio_test

from p2pblog.core.keys import IdentityHash
from p2pblog.core.logs import Located
from p2pblog.core.quiet import Mute, MuteKind
from p2pblog.core.search import parse
from p2pblog.errors import StoreError
from p2pblog.store import Block, KnownPeer, SearchQuery, Store, TimelineQuery, mending, migrations, salvage
from p2pblog.store.memory import MemoryStore

pytestmark = pytest.mark.damages


def untold(share: float) -> None:
    assert 0 <= share <= 1


def mended(path: Path, someone: Person) -> tuple[Path, mending.Looked]:
    """A folder with the new database, and what was found while it was made."""
    folder = path.parent / "mended"
    folder.mkdir()
    return folder, mending.mend(path, folder / path.name, someone.identity, LATER, untold)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_database_that_is_made_anew_gives_the_same_answers(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = agreement.draw_world(data)
        path, made = Path(folder) / "old", Path(folder) / "new"
        memory = MemoryStore()
        steps: list[agreement.Step] = [("put_setting", ("identity", world.people[0].hash))]
        steps += agreement.draw_news(data, world)
        for _ in range(data.draw(st.integers(1, 20), "steps")):
            draw = data.draw(st.sampled_from(DRAWS), "how")
            steps += draw(data, world)
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("PRAGMA synchronous = OFF")
            migrations.migrate(db)
            for name, args in steps:
                agreement.answer(lambda: agreement.finish(getattr(memory, name)(*args)))  # noqa: B023 - asked at once
                agreement.answer(lambda: agreement.change(db, name, args))  # noqa: B023
        whose = [args[1] for name, args in steps if name == "put_setting"][-1]
        me = next(someone.identity for someone in world.people if someone.hash == whose)
        looked = mending.mend(path, made, me, agreement.NOWS[-1], untold)
        assert (looked.faults, looked.lost) == ([], 0)
        with closing(sqlite3.connect(made, isolation_level=None)) as db:
            agreement.compare(memory, db, world, thorough=True)
            agreement.compare_news(memory, db)


def one_step(data: st.DataObject, world: agreement.World) -> list[agreement.Step]:
    return [agreement.draw_step(data, world)]


DRAWS: list[Callable[[st.DataObject, agreement.World], list[agreement.Step]]] = [
    *[one_step] * 6, agreement.draw_return, agreement.draw_relay, agreement.draw_strays
]  # fmt: skip


# --- damage -----------------------------------------------------------------------------------------------------------


async def make(path: Path) -> list[Person]:
    """A database of alice's, who follows bob and carol, with something in each table that no log fills."""
    alice, bob, carol, dave = people = [person(name) for name in ("alice", "bob", "carol", "dave")]
    bob.log.note("hello", reply_to=alice.log.note("hi"))
    for someone in (alice, bob, carol):
        someone.notes(100)
    bob.log.profile("Bob")
    async with open_kind("sqlite", path.parent) as store:
        await own(store, alice)
        await keep(store, bob, carol)
        await store.put_identity(alice.identity)
        await add(store, alice.log)
        await store.put_stray(Located(dave.hash, dave.log.note("by the way"), ()), LATER)
        await store.put_mute(Mute(MuteKind.TAG, b"bees", LATER, None), LATER)
        await store.put_block(Block(person("eve").hash, LATER))
        await store.put_bookmark(carol.log.entries[5].id, LATER)
        await store.put_list("friends")
        await store.put_members("friends", [bob.hash])
        await store.put_group("tea", LATER)
        await store.put_peers([KnownPeer("192.0.2.1:4711")])
        await store.put_setting("config.store.max", b"")
        await store.put_setting(f"memory.{bytes(32).hex()}", b"what a peer and we told each other")
        assert await store.mark_news_read() == 1
        await store.search(NOTES)
    return people


NOTES = SearchQuery(999, None, parse("note", NOON).wanted)


async def everything(store: Store, people: list[Person]) -> dict[str, Any]:
    """What a person sees, by the table that it would be gone with."""
    loaded = await store.load()
    return {
        "identity": [each.hash for each in loaded.identities],
        "log": loaded.logs,
        "follow": [each.identity for each in loaded.follows],
        "peer": loaded.peers,
        "setting": [name for name in loaded.settings if not name.startswith("memory.")],
        "mute": loaded.mutes,
        "block": loaded.blocks,
        "home": [row.id for row in await store.timeline(TimelineQuery(999))],
        "bookmark": [row.id for row in await store.bookmarks(9)],
        "stray": [row.text for row in await store.rows([people[3].log.entries[1].id])],
        "member": [(row.name, row.members) for row in await store.lists()],
        "joined": [(row.name, row.notices) for row in await store.groups()],
        "news": [(each.notice, each.is_read) for each in await store.news(9)],
        "word": [row.id for row in (await store.search(NOTES)).rows],
    }


async def answers(folder: Path, people: list[Person]) -> dict[str, Any]:
    """The same of the database that lies in a folder."""
    async with open_kind("sqlite", folder) as store:
        return await everything(store, people)


GONE = {
    "identity": {"identity", "home", "news", "word"},
    "follow": {"follow", "home", "news"},
    "setting": {"setting"},
    "member": {"member"},
    "stray": {"stray"},
    **{name: {name} for name in ("peer", "mute", "block", "bookmark", "joined")},
    **{name: {"news"} for name in ("news_read",)},
}
"""What is missing where all of a table is lost; nothing where others tell what stood in it. People come again, and so
does what stands at home of them."""


@pytest.mark.parametrize(
    "broken",
    ["block", "bookmark", "edit", "follow", "gap_wanted", "generation", "identity", "joined", "log", "log_by_owner",
     "member", "mute", "page", "page_by_first", "peer", "profile", "reaction", "retraction", "setting", "span",
     "sqlite_autoindex_identity_1", "sqlite_autoindex_log_1", "stray", "unread", "word_data", "word_form", "word_idx"],
)  # fmt: skip
@trio_test
async def test_whatever_part_of_the_file_is_broken_the_rest_is_there_again(tmp_path: Path, broken: str) -> None:
    path = tmp_path / "store.sqlite3"
    people = await make(path)
    before = await answers(tmp_path, people)
    assert not mending.look(path, people[0].hash, untold).is_damaged
    spoil_root(path, broken)
    assert mending.look(path, people[0].hash, untold).is_damaged
    folder, looked = mended(path, people[0])
    assert looked.lost == 0
    async with open_kind("sqlite", folder) as store:
        after = await everything(store, people)
        assert {name for name in before if before[name] != after[name]} == GONE.get(broken, set())
        await keep(store, people[1])
        for someone in people[:2]:
            someone.log.note("note after all")
            await add(store, someone.log, len(someone.log.entries))
        assert (await store.search(NOTES)).rows[0].text == "note after all"


@trio_test
async def test_what_is_lost_of_a_log_is_a_hole_that_peers_fill(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    alice, bob, *_ = people = await make(path)
    before = await answers(tmp_path, people)
    change(path, f"UPDATE entry SET payload = x'00' WHERE id = x'{alice.log.entries[30].id.hex()}'")
    spoil_leaf(path, bob.log.entries[80].id)
    looked = mending.look(path, alice.hash, untold)
    assert looked.lost > looked.lost_own == 31  # of a run only checkpoints are signed
    assert len(looked.faults) >= 1
    folder, again = mended(path, alice)
    assert (again.entries, again.lost, again.lost_own) == (looked.entries, looked.lost, looked.lost_own)
    async with open_kind("sqlite", folder) as store:
        spans = {state.device: state.spans for state in (await store.load()).logs}
        assert [(span.low, span.high) for span in spans[alice.key]] == [(32, len(alice.log.entries))]
        assert all(span.low > 80 for span in spans[bob.key])
        for someone in (alice, bob):
            await add(store, someone.log)
        after = await everything(store, people)
        assert {name: sorted(map(repr, after[name])) for name in after} == {
            name: sorted(map(repr, before[name])) for name in before
        }


SMALL_DISK_CHILD = """
import os, sys
from pathlib import Path
from builders import person
from p2pblog.errors import StoreFull
from p2pblog.store import mending
made, place, ballast = (Path(sys.argv[1], name) for name in ("made", "place", "ballast"))
old, alice = Path(sys.argv[2]), person("alice")
for taken in range(3 * old.stat().st_size, 0, -131_072):
    ballast.write_bytes(bytes(taken))
    try:
        mending.mend(old, made, alice.identity, 1, lambda share: None)
        place.touch()
    except StoreFull:
        print("full")
    else:
        kept = mending.put_in_place(place, made)
        print(mending.look(place, alice.hash, lambda share: None).entries)
        place.unlink()
        kept.unlink()
    mending.drop_half_made(made)
"""


@trio_test
async def test_what_a_disk_has_no_room_for_is_not_taken_for_mended(tmp_path: Path) -> None:
    path, disk, alice = tmp_path / "store.sqlite3", tmp_path / "disk", person("alice")
    disk.mkdir()
    alice.notes(2_000)
    async with open_kind("sqlite", tmp_path) as store:
        await store.put_identity(alice.identity)
        await add(store, alice.log)
    ran = run_on_small_disk(disk, 4 * path.stat().st_size, SMALL_DISK_CHILD, str(path))
    told = ran.stdout.split()
    assert (told[0], told[-1]) == ("full", "2001"), ran.stderr
    assert set(told) == {"full", "2001"}


@trio_test
async def test_however_much_of_the_end_of_a_log_is_lost_what_stands_before_is_kept(tmp_path: Path) -> None:
    """More than a node looks through for it."""
    path, alice, bob = tmp_path / "store.sqlite3", person("alice"), person("bob")
    bob.notes(3_000)
    async with open_kind("sqlite", tmp_path) as store:
        await own(store, alice)
        await keep(store, bob)
    for entry in bob.log.entries[:700:-8]:
        with suppress(StopIteration):  # it stands in a leaf that is spoilt already
            spoil_leaf(path, entry.id)
    looked = mending.look(path, alice.hash, untold)
    assert looked.entries > 600
    assert looked.entries + looked.lost == len(bob.log.entries)
    folder, again = mended(path, alice)
    assert (again.entries, again.lost) == (looked.entries, looked.lost)
    async with open_kind("sqlite", folder) as store:
        assert (await store.load()).logs[0].spans[0].low == 1


@pytest.mark.parametrize("high", ["40", "high + 65536"])
@trio_test
async def test_where_a_log_ends_is_seen_by_its_entries(tmp_path: Path, high: str) -> None:
    """As where the disk kept an old page of the small table, or a bit changed there."""
    path = tmp_path / "store.sqlite3"
    people = alice, *_ = await make(path)
    change(path, f"UPDATE span SET high = {high} WHERE log = (SELECT log FROM span ORDER BY log DESC LIMIT 1)")
    assert mending.look(path, alice.hash, untold).is_damaged
    folder, _ = mended(path, alice)
    async with open_kind("sqlite", folder) as store:
        spans = [(span.low, span.high) for state in (await store.load()).logs for span in state.spans]
    assert sorted(spans) == sorted((1, len(someone.log.entries)) for someone in people if someone.name != "dave")


ROTTEN = {
    "a table of one's own": "UPDATE mute SET kind = 99",
    "a number": "UPDATE follow SET since = 'long ago'",
    "a hash": "UPDATE bookmark SET id = 'text'",
    "a single entry": "UPDATE entry SET payload = x'00' WHERE key IN (SELECT key FROM stray)",
    "whose a log is": "UPDATE log SET owner = 99 WHERE no = 2",
    "what froze a log": "UPDATE log SET fork = x'00' WHERE no = 2",
    "where a log was pruned": "UPDATE log SET floor = 4000000000 WHERE no = 2",
    "where an entry stands": "UPDATE entry SET sort = 'first' WHERE key & 4294967295 = 9",
    "what an entry is": "UPDATE entry SET kind = 99 WHERE key & 4294967295 = 9",
}


@pytest.mark.parametrize("statement", ROTTEN.values(), ids=ROTTEN)
@trio_test
async def test_what_sqlite_takes_for_whole_is_seen_and_mended(tmp_path: Path, statement: str) -> None:
    """A bit that changed in a row breaks no page."""
    path = tmp_path / "store.sqlite3"
    people = alice, *_ = await make(path)
    change(path, statement)
    assert mending.look(path, alice.hash, untold).is_damaged
    folder, _ = mended(path, alice)
    assert not mending.look(folder / path.name, alice.hash, untold).is_damaged
    async with open_kind("sqlite", folder) as store:
        for someone in people:
            await keep(store, someone)
        spans = [(span.low, span.high) for state in (await store.load()).logs for span in state.spans]
        assert sorted(spans) == sorted((1, len(someone.log.entries)) for someone in people)
        await everything(store, people)


@trio_test
async def test_whose_statements_are_whole_is_known_by_them(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    people = alice, bob, *_ = await make(path)
    before = await answers(tmp_path, people)
    data, row = path.read_bytes(), bob.hash + bob.identity.wire[:9]
    assert data.count(row) == 1
    path.write_bytes(data.replace(row, bytes([row[0] ^ 1]) + row[1:]))
    folder, looked = mended(path, alice)
    assert (looked.entries, looked.lost) == (306, 0)
    assert await answers(folder, people) == before


@trio_test
async def test_where_an_index_tells_something_else_the_table_counts(tmp_path: Path) -> None:
    """A bit of a number in the index of identities is another."""
    path = tmp_path / "store.sqlite3"
    people = alice, *_ = await make(path)
    before = await answers(tmp_path, people)
    with closing(sqlite3.connect(path)) as db:
        whose, no = db.execute("SELECT hash, no FROM identity WHERE wire IS NOT NULL ORDER BY no DESC").fetchone()
    data, record = path.read_bytes(), whose + bytes([no])
    assert data.count(record) == 1
    path.write_bytes(data.replace(record, whose + bytes([no ^ 64])))
    assert "missing from index sqlite_autoindex_identity_1" in mending.look(path, alice.hash, untold).faults[0]
    folder, looked = mended(path, alice)
    assert (looked.entries, looked.lost) == (306, 0)
    assert await answers(folder, people) == before


@trio_test
async def test_whose_device_a_log_is_of_is_known_by_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    people = alice, bob, *_ = await make(path)
    before = await answers(tmp_path, people)
    with closing(sqlite3.connect(path)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'log'").fetchone()
    data = bytearray(path.read_bytes())
    data[data.index(bob.key, (page - 1) * 4_096)] ^= 1
    path.write_bytes(data)
    folder, looked = mended(path, alice)
    assert (looked.entries, looked.lost) == (306, 0)
    assert await answers(folder, people) == before


@trio_test
async def test_ones_own_signatures_are_made_again_wherever_they_are_not_what_they_were(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    alice, *_ = await make(path)
    change(path, "UPDATE signature SET signature = zeroblob(64)")
    looked = mending.look(path, alice.hash, untold)
    again = mending.mend(path, tmp_path / "made", alice.identity, LATER, untold, [alice.device])
    assert (looked.lost_own, again.lost_own) == (102, 0)


@trio_test
async def test_between_broken_pages_rows_are_found(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    bob = person("bob")
    bob.notes(400)
    async with open_kind("sqlite", tmp_path) as store:
        await keep(store, bob)
    entries, broken = bob.log.entries, (50, 200, 350)
    for at in broken:
        spoil_leaf(path, entries[at].id)
    with closing(sqlite3.connect(path)) as db:
        found, is_whole = salvage.numbered(db, "entry", "key", "id", 0, salvage.ROW_LAST)
    ids = {row[1] for row in found}
    assert not is_whole
    assert {entries[at].id for at in (1, 125, 275, 400)} <= ids
    assert not {entries[at].id for at in broken} & ids
    assert len(found) > 401 - 3 * 60
    assert [row[0] for row in found] == sorted(row[0] for row in found)


def rot(data: bytes, chance: random.Random) -> bytes:
    """A file after some accidents of a disk: bits, lost sectors, and sectors that hold what belongs elsewhere."""
    rotten = bytearray(data)
    for _ in range(chance.choice([1, 1, 3, 10])):
        at, other = (chance.randrange(8_192, len(data)) for _ in range(2))  # not where the tables are listed
        sector, from_sector = at // 512 * 512, other // 512 * 512
        match chance.randrange(3):
            case 0:
                rotten[at] ^= 1 << chance.randrange(8)
            case 1:
                rotten[sector : sector + 512] = bytes(512)
            case _:
                rotten[sector : sector + 512] = data[from_sector : from_sector + 512]
    return bytes(rotten)


@trio_test
async def test_whatever_rots_ends_in_a_database_that_peers_fill_or_in_a_named_error(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    alice, bob, carol, _dave = await make(path)
    whole, chance = path.read_bytes(), random.Random(9)
    mended_ones = 0
    for number in range(20):
        path.write_bytes(rot(whole, chance))
        folder = tmp_path / f"{number}"
        folder.mkdir()
        try:
            mending.look(path, alice.hash, untold)
            mending.mend(path, folder / path.name, alice.identity, LATER, untold, [alice.device])
        except StoreError:  # where the list of tables is hit, which is longer than a page
            continue
        mended_ones += 1
        async with open_kind("sqlite", folder) as store:
            await store.timeline(TimelineQuery(999))
            for someone in (bob, carol):
                await keep(store, someone)
            loaded = await store.load()
            spans = {state.device: [(span.low, span.high) for span in state.spans] for state in loaded.logs}
            assert spans[bob.key] == [(1, len(bob.log.entries))]
            assert spans[carol.key] == [(1, len(carol.log.entries))]
            assert loaded.damaged == ()
        assert not mending.look(folder / path.name, alice.hash, untold).is_damaged
    assert mended_ones > 10


@trio_test
async def test_numbers_of_logs_and_news_are_not_given_again(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    alice, _bob, carol, _dave = await make(path)
    async with open_kind("sqlite", tmp_path) as store:
        await store.drop_follow(carol.hash)
        await store.put_block(Block(carol.hash, LATER))
    with closing(sqlite3.connect(path)) as db:
        before = dict(db.execute("SELECT name, seq FROM sqlite_sequence").fetchall())
    folder, _ = mended(path, alice)
    with closing(sqlite3.connect(folder / path.name)) as db:
        assert dict(db.execute("SELECT name, seq FROM sqlite_sequence").fetchall()) == before


def test_what_is_no_database_of_this_version_is_named(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    with pytest.raises(StoreError, match="there is no database"):
        mending.look(path, IdentityHash(bytes(32)), untold)
    path.write_bytes(b"no database " * 99)
    with pytest.raises(StoreError, match="is not a p2pblog database"):
        mending.look(path, IdentityHash(bytes(32)), untold)
    path.unlink()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        migrations.migrate(db, migrations.MIGRATIONS[:5])
    with pytest.raises(StoreError, match="of an older p2pblog"):
        mending.look(path, IdentityHash(bytes(32)), untold)
