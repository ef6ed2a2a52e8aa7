"""Files as a node keeps them: pieces in any order, parts that outlive a crash, room that others' files share."""

from __future__ import annotations

import errno
import functools
import os
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from p2pblog.config import FILE_BYTES_MAX, PIECE_BYTES
from p2pblog.core.media import FileHash, PieceTable, pieces_of, table_of
from p2pblog.errors import BadPiece, StoreError, StoreFull
from p2pblog.store.blobs import Blobs, DiskBlobs, MemoryBlobs

ROOM = 5 * PIECE_BYTES


def a_file(number: int, size: int = 3 * PIECE_BYTES) -> bytes:
    return bytes([number]) * (size - 7) + b"the end"


def on_both_kinds(scene: Callable[[Blobs], Awaitable[None]]) -> Callable[..., None]:
    """The scene as two tests: in memory and in a folder, each with room for ROOM bytes of others."""

    @pytest.mark.parametrize("kind", ["memory", "disk"])
    @functools.wraps(scene)
    def test(kind: str, tmp_path: Path) -> None:
        blobs: Blobs = MemoryBlobs(ROOM) if kind == "memory" else DiskBlobs(tmp_path / "files", ROOM)
        trio.run(scene, blobs)

    del test.__wrapped__  # type: ignore[attr-defined]
    return test


async def fetch(blobs: Blobs, data: bytes, *indexes: int) -> FileHash:
    """These pieces of a file come, or all of them."""
    table = table_of(data)
    await blobs.begin(table)
    for index in indexes or range(len(table.pieces)):
        await blobs.put_piece(table.file, index, pieces_of(data)[index])
    return table.file


async def read(blobs: Blobs, file: FileHash) -> bytes:
    held = await blobs.held(file)
    assert held is not None
    return b"".join([await blobs.piece(file, index) or b"" for index in range(len(held.table.pieces))])


@on_both_kinds
async def test_pieces_come_in_any_order(blobs: Blobs) -> None:
    data, table = a_file(1, 2 * PIECE_BYTES + 100), table_of(a_file(1, 2 * PIECE_BYTES + 100))
    assert await blobs.held(table.file) is None
    assert (await blobs.begin(table)).pieces == frozenset()

    for index, whole in ((2, False), (0, False), (0, False), (1, True)):
        held = await blobs.put_piece(table.file, index, pieces_of(data)[index])
        assert held is not None
        assert held.is_whole == whole
    assert await read(blobs, table.file) == data
    assert (await blobs.begin(table)).is_whole
    assert await blobs.own() == []


@on_both_kinds
async def test_a_piece_of_something_else_is_refused(blobs: Blobs) -> None:
    data = a_file(1)
    table = table_of(data)
    assert await blobs.put_piece(table.file, 0, pieces_of(data)[0]) is None  # never begun
    await blobs.begin(table)
    for index, piece in ((0, pieces_of(data)[0][:-1]), (0, pieces_of(data)[2]), (3, b""), (-1, pieces_of(data)[2])):
        with pytest.raises(BadPiece):
            await blobs.put_piece(table.file, index, piece)
    held = await blobs.held(table.file)
    assert held is not None
    assert held.pieces == frozenset()


@on_both_kinds
async def test_others_files_make_room_and_own_ones_stay(blobs: Blobs) -> None:
    own = await blobs.put_own(a_file(0, FILE_BYTES_MAX))
    first = await fetch(blobs, a_file(1, 2 * PIECE_BYTES))
    second = await fetch(blobs, a_file(2, 2 * PIECE_BYTES))
    await blobs.piece(first, 0)  # used last
    third = await fetch(blobs, a_file(3, 2 * PIECE_BYTES))

    assert await blobs.held(second) is None
    for file in (own, first, third):
        held = await blobs.held(file)
        assert held is not None
        assert held.is_whole
    assert await blobs.own() == [own]


@pytest.mark.parametrize(
    ("size", "goes"), [(3 * PIECE_BYTES - 1, False), (3 * PIECE_BYTES, False), (3 * PIECE_BYTES + 1, True)]
)
def test_room_is_counted_to_the_byte(size: int, goes: bool, tmp_path: Path) -> None:
    async def scene(blobs: Blobs) -> None:
        first = await fetch(blobs, a_file(1, 2 * PIECE_BYTES))
        await fetch(blobs, a_file(2, size))
        assert (await blobs.held(first) is None) == goes

    trio.run(scene, MemoryBlobs(ROOM))
    trio.run(scene, DiskBlobs(tmp_path / "files", ROOM))


@on_both_kinds
async def test_a_part_makes_room_too_and_can_be_dropped(blobs: Blobs) -> None:
    part = await fetch(blobs, a_file(1), 1)
    assert await blobs.piece(part, 1) == pieces_of(a_file(1))[1]
    assert await blobs.piece(part, 0) is None
    other = await fetch(blobs, a_file(2, ROOM))
    assert await blobs.held(part) is None
    await blobs.drop(other)
    assert await blobs.held(other) is None
    own = await blobs.put_own(b"mine")
    await blobs.drop(own)
    assert await blobs.own() == []


@on_both_kinds
async def test_files_of_others_can_be_dropped_and_ours_stay(blobs: Blobs) -> None:
    own = await blobs.put_own(b"mine")
    whole, part = await fetch(blobs, a_file(1)), await fetch(blobs, a_file(2), 1)
    begun = table_of(a_file(3))
    await blobs.begin(begun)
    assert await blobs.others() == sorted([whole, part, begun.file])
    for file in (own, whole, part, begun.file):
        await blobs.drop_other(file)
        await blobs.drop_other(file)
    assert await blobs.others() == []
    assert await blobs.used() == len(b"mine")
    assert await read(blobs, own) == b"mine"
    assert await blobs.held(whole) is await blobs.held(part) is await blobs.held(begun.file) is None


@on_both_kinds
async def test_a_file_larger_than_all_the_room_stays_until_the_next_comes(blobs: Blobs) -> None:
    large = await fetch(blobs, a_file(1, ROOM + 1))
    assert await read(blobs, large) == a_file(1, ROOM + 1)
    await fetch(blobs, a_file(2))
    assert await blobs.held(large) is None


@on_both_kinds
async def test_a_lower_cap_takes_those_used_longest_ago(blobs: Blobs) -> None:
    await blobs.limit(None)
    own = await blobs.put_own(a_file(9, 1_000))
    files = [await fetch(blobs, a_file(number)) for number in range(4)]
    assert await blobs.used() == 1_000 + 4 * 3 * PIECE_BYTES
    await blobs.piece(files[0], 0)
    await blobs.limit(2 * 3 * PIECE_BYTES)
    assert [await blobs.held(file) is not None for file in files] == [True, False, False, True]
    assert await blobs.used() == 1_000 + 2 * 3 * PIECE_BYTES
    await blobs.limit(0)
    assert await blobs.used() == 1_000
    assert await blobs.own() == [own]


@on_both_kinds
async def test_posting_what_was_fetched_makes_it_ours(blobs: Blobs) -> None:
    file = await fetch(blobs, a_file(1))
    assert await blobs.put_own(a_file(1)) == file
    held = await blobs.held(file)
    assert held is not None
    assert held.own
    for number in (2, 3):
        await fetch(blobs, a_file(number))
    assert await read(blobs, file) == a_file(1)


# --- on disk ----------------------------------------------------------------------------------------------------------


def test_a_start_finds_whole_files_and_parts(tmp_path: Path) -> None:
    async def scene() -> None:
        before = DiskBlobs(tmp_path)
        own = await before.put_own(b"mine")
        part = await fetch(before, a_file(1), 0, 2)
        whole = await fetch(before, a_file(2))

        after = DiskBlobs(tmp_path)
        held = await after.held(part)
        assert held is not None
        assert held.pieces == {0, 2}
        assert await read(after, whole) == a_file(2)
        assert await read(after, own) == b"mine"
        assert await after.own() == [own]
        (left,) = {0, 1, 2} - held.pieces
        await after.put_piece(part, left, pieces_of(a_file(1))[left])
        assert await read(after, part) == a_file(1)
        assert list((tmp_path / "parts").iterdir()) == []

    trio.run(scene)


def test_what_a_crash_left_half_written_is_fetched_again(tmp_path: Path) -> None:
    async def scene() -> None:
        part = await fetch(DiskBlobs(tmp_path), a_file(1), 0, 1)
        path = tmp_path / "parts" / part.hex()
        path.write_bytes(path.read_bytes()[: PIECE_BYTES + 100])
        held = await DiskBlobs(tmp_path).held(part)
        assert held is not None
        assert held.pieces == {0}

        whole = await fetch(DiskBlobs(tmp_path), a_file(2))
        (tmp_path / "kept" / whole.hex()).write_bytes(b"something else")
        assert await DiskBlobs(tmp_path).held(whole) is None

        (tmp_path / "parts" / f"{part.hex()}.table").write_bytes(b"\x92\x01")
        assert await DiskBlobs(tmp_path).held(part) is None

    trio.run(scene)


def paths_in(folder: Path) -> set[Path]:
    return set(folder.glob("*/*"))


def no_room(*_: object) -> None:
    raise OSError(errno.ENOSPC, "no space left on device")


def test_a_file_for_which_there_was_no_room_becomes_whole_once_there_is(tmp_path: Path) -> None:
    async def scene(blobs: DiskBlobs) -> None:
        data = a_file(1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(DiskBlobs, "_write_whole", no_room)
            with pytest.raises(StoreFull):
                await fetch(blobs, data)
            file = table_of(data).file
            held = await blobs.held(file)
            assert held is not None
            assert held.pieces == {0, 1}  # the last one is asked for again
            assert await blobs.piece(file, 0) == pieces_of(data)[0]

        await blobs.put_piece(file, 2, pieces_of(data)[2])
        assert await read(blobs, file) == data
        assert list((tmp_path / "parts").iterdir()) == []
        assert await blobs.used() == len(data)

    trio.run(scene, DiskBlobs(tmp_path))


def test_a_node_that_was_killed_before_a_file_was_whole_makes_it_whole(tmp_path: Path) -> None:
    async def scene() -> None:
        data = a_file(1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(DiskBlobs, "_write_whole", no_room)
            with pytest.raises(StoreFull):
                await fetch(DiskBlobs(tmp_path), data)

        after = DiskBlobs(tmp_path)
        assert await read(after, table_of(data).file) == data
        assert list((tmp_path / "parts").iterdir()) == []
        assert (tmp_path / "kept" / table_of(data).file.hex()).read_bytes() == data

    trio.run(scene)


def test_where_there_is_no_room_nothing_half_written_stays(tmp_path: Path) -> None:
    async def scene(blobs: DiskBlobs) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fsync", no_room)
            for number in range(3):
                with pytest.raises(StoreFull):
                    await blobs.put_own(a_file(number))
            with pytest.raises(StoreFull):
                await fetch(blobs, a_file(4))
        assert [path.name for path in paths_in(tmp_path) if path.suffix == ".new"] == []
        assert await blobs.put_own(a_file(0)) == table_of(a_file(0)).file

    trio.run(scene, DiskBlobs(tmp_path))


def test_a_start_takes_away_what_a_crash_left(tmp_path: Path) -> None:
    async def scene() -> None:
        before = DiskBlobs(tmp_path)
        own, whole = await before.put_own(b"mine"), await fetch(before, a_file(1))
        part = await fetch(before, a_file(2), 0)
        begun = table_of(a_file(3))
        await before.begin(begun)
        stay = {path for path in paths_in(tmp_path) if begun.file.hex() not in path.name}
        (tmp_path / "own" / f"{begun.file.hex()}.new").write_bytes(a_file(3)[:1_000])
        (tmp_path / "kept" / f"{whole.hex()}.new").write_bytes(a_file(1)[:1_000])
        (tmp_path / "parts" / whole.hex()).write_bytes(a_file(1))
        (tmp_path / "parts" / f"{whole.hex()}.table").write_bytes(b"")
        stay.add(tmp_path / "own" / "theirs.new")
        (tmp_path / "own" / "theirs.new").write_bytes(b"not ours")

        after = DiskBlobs(tmp_path)
        assert await after.used() == len(b"mine") + len(a_file(1)) + PIECE_BYTES
        assert paths_in(tmp_path) == stay
        assert await read(after, own) == b"mine"
        assert await read(after, whole) == a_file(1)
        held = await after.held(part)
        assert held is not None
        assert held.pieces == {0}
        assert await after.held(begun.file) is None

    trio.run(scene)


def test_a_crash_while_a_fetched_file_became_ours_does_not_cost_us_it(tmp_path: Path) -> None:
    """It was in both folders, and what makes room for others took it out of both."""

    async def scene() -> None:
        own = await DiskBlobs(tmp_path).put_own(a_file(1))
        (tmp_path / "kept").mkdir()
        (tmp_path / "kept" / own.hex()).write_bytes(a_file(1))

        after = DiskBlobs(tmp_path)
        await after.limit(0)
        assert await after.used() == len(a_file(1))
        assert await read(after, own) == a_file(1)

    trio.run(scene)


def test_a_file_that_was_changed_under_us_is_not_given_on(tmp_path: Path) -> None:
    async def scene() -> None:
        blobs = DiskBlobs(tmp_path)
        whole = await fetch(blobs, a_file(2))
        assert await blobs.piece(whole, 0) is not None
        (tmp_path / "kept" / whole.hex()).write_bytes(b"something else")
        assert await blobs.piece(whole, 0) is None
        assert await blobs.held(whole) is None

    trio.run(scene)


def test_only_their_owner_can_read_them_and_what_was_used_outlives_a_start(tmp_path: Path) -> None:
    async def scene() -> None:
        blobs = DiskBlobs(tmp_path / "files", ROOM)
        first, second = await fetch(blobs, a_file(1, 2 * PIECE_BYTES)), await fetch(blobs, a_file(2, 2 * PIECE_BYTES))
        for age, file in enumerate((second, first)):
            os.utime(tmp_path / "files" / "kept" / file.hex(), (1_000 + age, 1_000 + age))
        after = DiskBlobs(tmp_path / "files", ROOM)
        await fetch(after, a_file(3, 2 * PIECE_BYTES))
        assert await after.held(second) is None
        assert await after.held(first) is not None

        assert stat.S_IMODE((tmp_path / "files").stat().st_mode) == 0o700
        for path in (tmp_path / "files").rglob("*"):
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)

    trio.run(scene)


def test_a_folder_that_cannot_be_used_is_an_error_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "files").write_text("in the way")

    async def scene() -> None:
        with pytest.raises(StoreError, match="can't be used"):
            await DiskBlobs(tmp_path / "files").put_own(b"mine")

    trio.run(scene)


def test_a_table_is_not_trusted_for_lying_on_our_disk(tmp_path: Path) -> None:
    table = PieceTable(9, (bytes(32),))

    async def scene() -> None:
        await DiskBlobs(tmp_path).begin(table)
        (tmp_path / "parts" / table.file.hex()).write_bytes(b"not this!")
        held = await DiskBlobs(tmp_path).held(table.file)
        assert held is not None
        assert held.pieces == frozenset()

    trio.run(scene)


def test_a_home_that_was_moved_away_is_not_made_again(tmp_path: Path) -> None:
    """A picture that was put there was lost at the next start, where the home is now."""
    home = tmp_path / "home"

    async def scene() -> None:
        home.mkdir()
        blobs = DiskBlobs(home / "media")
        await blobs.put_own(a_file(1))
        home.rename(tmp_path / "moved")
        with pytest.raises(StoreError, match="the home was moved"):
            await blobs.put_own(a_file(2))
        with pytest.raises(StoreError, match="the home was moved"):
            await fetch(blobs, a_file(3))
        assert not home.exists()
        assert await DiskBlobs(tmp_path / "moved" / "media").own() == [table_of(a_file(1)).file]

    trio.run(scene)


def test_a_folder_on_a_disk_that_is_not_there_is_no_moved_home(tmp_path: Path) -> None:
    folder = tmp_path / "media"
    folder.symlink_to(tmp_path / "disk" / "media")

    async def scene() -> None:
        with pytest.raises(StoreError, match=f"{folder} can't be used"):
            await DiskBlobs(folder).put_own(a_file(1))

    trio.run(scene)
