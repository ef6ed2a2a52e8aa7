"""A database in which bits have changed that SQLite can't see, or rows are lost: what leaves it is as it was signed."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import Person, person
from damage_kit import change, spoil_leaf
from store_kit import LATER, keep, open_kind
from trio.testing import trio_test

from p2pblog.config import RUN_BYTES_MAX
from p2pblog.core.logs import Batch, Located
from p2pblog.core.runs import check_run, encode_run
from p2pblog.errors import StoreDamaged
from p2pblog.store import Follow, Store, sql_damage, sql_transactions

pytestmark = pytest.mark.damages

ROT = "UPDATE entry SET payload = CAST(payload || ' ' AS BLOB) WHERE key & 0xffff = {}"
LOST = "DELETE FROM entry WHERE key & 0xffff = {}"
OTHER_ID = "UPDATE entry SET id = zeroblob(32) WHERE key & 0xffff = {}"
OTHER_TIME = "UPDATE entry SET time = 'noon' WHERE key & 0xffff = {}"
UNSIGNED = "UPDATE signature SET signature = zeroblob(64) WHERE key & 0xffff = {}"


async def make(path: Path, *statements: str, all_signed: bool = True) -> Person:
    """A database with 120 notices of bob's, each signed as on his own disk or one in 64 as on a follower's, and then
    changed by these statements as no store would."""
    bob = person("bob")
    bob.notes(120)
    async with open_kind("sqlite", path.parent) as store:
        await store.put_identity(bob.identity)
        run = tuple(bob.log.entries) if all_signed else bob.log.run()
        await store.append([Batch(bob.hash, run)], LATER)
    change(path, *statements)
    return bob


async def given(store: Store, whose: Person) -> set[int]:
    """The numbers that a peer gets who asks on and on; it finds no fault in any run."""
    found, first = set[int](), 1
    while run := await store.run(whose.key, first, 121, RUN_BYTES_MAX):
        check_run(encode_run(run))
        assert [entry.id for entry in run] == [whose.log.entries[entry.seq - 1].id for entry in run]
        found |= {entry.seq for entry in run}
        first = run[-1].seq + 1
    return found


@pytest.mark.parametrize(
    ("statement", "all_signed", "lost"),
    [
        (ROT.format(101), True, {101}),
        (ROT.format(1), True, {1}),
        (ROT.format(120), True, {120}),
        (LOST.format(101), True, {101, 102}),
        (OTHER_ID.format(101), True, {101, 102}),
        (OTHER_TIME.format(101), True, {101}),
        (UNSIGNED.format(64), True, {64}),
        (UNSIGNED.format(100), True, set()),
        (ROT.format(70), False, {*range(65, 71)}),
        (LOST.format(10), False, {*range(1, 12)}),
    ],
)
@trio_test
async def test_a_peer_is_given_all_around_what_is_damaged(
    tmp_path: Path, statement: str, all_signed: bool, lost: set[int]
) -> None:
    path = tmp_path / "store.sqlite3"
    bob = await make(path, statement, all_signed=all_signed)
    async with open_kind("sqlite", path.parent) as store:
        for _ in range(2):
            assert await given(store, bob) == {*range(1, 122)} - lost


@trio_test
async def test_whoever_asks_on_and_on_for_what_is_damaged_fills_no_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does he use up what is said once: of other damage the log would say nothing any more."""
    path = tmp_path / "store.sqlite3"
    monkeypatch.setattr(sql_transactions, "_told", set())
    bob = await make(path, ROT.format(101), LOST.format(102))
    async with open_kind("sqlite", path.parent) as store:
        for first in range(1, 102):
            await store.run(bob.key, first, 121, RUN_BYTES_MAX)
    assert len(caplog.messages) == 1
    assert f"device {bob.key.hex()[:10]} only a part" in caplog.messages[0]


@trio_test
async def test_what_is_damaged_is_given_as_a_single_entry_no_more(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    bob = await make(path, ROT.format(70), LOST.format(100), all_signed=False)
    async with open_kind("sqlite", path.parent) as store:
        for seq in 65, 70, 90:  # what vouches for them leads past what is damaged
            with pytest.raises(StoreDamaged):
                await store.locate(bob.log.entries[seq - 1].id)
        located = await store.locate(bob.log.entries[2].id)
        assert located is not None and len(located.chain) == 61


@trio_test
async def test_what_vouches_for_a_single_entry_is_all_that_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    bob = await make(path, LOST.format(100))
    async with open_kind("sqlite", path.parent) as store:
        assert await store.locate(bob.log.entries[98].id) == Located(bob.hash, bob.log.entries[98], ())


@trio_test
async def test_a_damaged_stray_is_given_no_more(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    bob, dave = person("bob"), person("dave")
    notes = dave.notes(2)
    async with open_kind("sqlite", path.parent) as store:
        await keep(store, bob)
        for note in notes:
            await store.put_stray(Located(dave.hash, note, ()), LATER)
    change(path, f"UPDATE entry SET time = time + 1 WHERE id = x'{notes[0].id.hex()}'")
    async with open_kind("sqlite", path.parent) as store:
        with pytest.raises(StoreDamaged, match="not as it was signed"):
            await store.locate(notes[0].id)
        assert await store.locate(notes[1].id) == Located(dave.hash, notes[1], ())


@trio_test
async def test_a_stretch_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = list[tuple[int, int]]()
    look = sql_damage.is_as_signed
    monkeypatch.setattr(sql_damage, "is_as_signed", lambda run: (looked_at.append((run.first, len(run))), look(run))[1])
    path = tmp_path / "store.sqlite3"
    bob = await make(path)
    async with open_kind("sqlite", path.parent) as store:
        await given(store, bob)
        assert looked_at == [(1, 64), (65, 57)]
        looked_at.clear()
        await given(store, bob)
        assert looked_at == [(65, 57)]


@trio_test
async def test_a_stretch_that_was_stored_since_the_start_is_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = list[int]()
    look = sql_damage.is_as_signed
    monkeypatch.setattr(sql_damage, "is_as_signed", lambda run: (looked_at.append(run.first), look(run))[1])
    bob = person("bob")
    bob.notes(300)
    async with open_kind("sqlite", tmp_path) as store:
        await store.append([Batch(bob.hash, bob.log.run(100, 290))], LATER)
        await store.run(bob.key, 100, 290, RUN_BYTES_MAX)
        assert looked_at == [100, 257]  # no whole stretches, which come from 129 to 256


# --- ends of logs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", ["leaf", "row"])
@trio_test
async def test_a_log_whose_end_is_lost_is_held_as_far_as_it_can_be_read(tmp_path: Path, broken: str) -> None:
    path = tmp_path / "store.sqlite3"
    bob, carol = await make(path), person("carol")
    carol.notes(100)  # her beginning shares a leaf with his end
    async with open_kind("sqlite", path.parent) as store:
        await keep(store, carol)
        await store.put_follow(Follow(bob.hash, "bob"))
    if broken == "leaf":
        spoil_leaf(path, bob.log.entries[-1].id)
    else:
        change(path, f"DELETE FROM entry WHERE id = x'{bob.log.entries[-1].id.hex()}'")
    async with open_kind("sqlite", path.parent) as store:
        loaded = await store.load()
        assert bob.key in loaded.damaged
        states = {state.device: state for state in loaded.logs}
        assert [span.high for span in states[carol.key].spans] == [101]
        (span,) = states[bob.key].spans
        assert 80 < span.high < 121 and span.high_id == bob.log.entries[span.high - 1].id
        assert await given(store, bob) == {*range(1, span.high + 1)}
        with pytest.raises(StoreDamaged):
            await store.append([Batch(bob.hash, (bob.log.note("and on"),))], LATER)
        assert {row.identity: row.newest_ms for row in await store.follow_rows()} == {
            bob.hash: None,
            carol.hash: carol.log.entries[-1].time_ms,
        }


@trio_test
async def test_a_log_whose_beginning_is_lost_is_held_from_above_it(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    bob = await make(path, LOST.format(1))
    async with open_kind("sqlite", path.parent) as store:
        ((span,),) = [state.spans for state in (await store.load()).logs]
        assert (span.low, span.low_prev, span.high) == (3, bob.log.entries[1].id, 121)
        assert (await store.run(bob.key, 3, 9, RUN_BYTES_MAX))[0] == bob.log.entries[2]


@trio_test
async def test_a_log_of_which_nothing_can_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    bob = await make(path, "DELETE FROM entry")
    async with open_kind("sqlite", path.parent) as store:
        loaded = await store.load()
        assert (loaded.logs, loaded.damaged) == ((), (bob.key,))
