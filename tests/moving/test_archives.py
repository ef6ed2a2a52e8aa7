"""Archives that are whole, and archives that somebody made to deceive: refused in one sentence, with nothing taken."""

from __future__ import annotations

import json
import os
import stat
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import patch

import pytest
from builders import NOON, Person, person

from p2pblog.archives import open_archive, write_archive
from p2pblog.config import ARCHIVE_MEMBERS_MAX, FILE_BYTES_MAX, FORMER_DEVICES_MAX, MESSAGE_BYTES_MAX, PIECE_BYTES
from p2pblog.core import archive, codec, passphrase
from p2pblog.core.archive import Manifest, Member, Secrets
from p2pblog.core.identity import IDENTITY_BYTES_MAX
from p2pblog.core.keys import digest
from p2pblog.core.media import Attachment, table_of
from p2pblog.core.payload import Note
from p2pblog.core.runs import encode_run
from p2pblog.errors import RemoteProtocolError, UserError

Members = dict[str, bytes]


@pytest.fixture
def alice() -> Person:
    alice = person("alice")
    alice.notes(70)
    return alice


def members_of(alice: Person, piece: int = 50) -> Members:
    """What an honest export of alice holds, but for its manifest."""
    runs = [alice.log.run(first, first + piece - 1) for first in range(1, len(alice.log.entries) + 1, piece)]
    return {
        archive.IDENTITY: alice.identity.wire,
        archive.log_name(alice.key): b"".join(map(archive.frame_run, runs)),
        archive.NOTICES: b"{}\n",
        archive.FOLLOWS: b"petname,address\n",
    }


def packed(file: Path, alice: Person, members: Members, manifest: bytes | None = None, entries: int = 71) -> Path:
    """A ZIP file of these members, with a manifest that fits them unless another is given."""
    if manifest is None:
        told = {name: Member(len(data), digest(data, 32)) for name, data in members.items()}
        manifest = Manifest(alice.hash, NOON, entries, told).encode()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in {**members, archive.MANIFEST: manifest}.items():
            opened.writestr(name, data)
    return file


def refused(file: Path) -> str:
    """The one sentence that a person reads."""
    with pytest.raises(UserError) as caught, open_archive(file) as opened:
        opened.check(lambda share: None)
    return caught.value.sentence


# --- whole ones -------------------------------------------------------------------------------------------------------


def test_what_was_written_is_read(alice: Person, tmp_path: Path) -> None:
    target, members = tmp_path / "alice.zip", members_of(alice)
    with write_archive(target, force=False) as writer:
        for name, data in members.items():
            writer.add(name, data)
        writer.finish(alice.hash, NOON, 71)

    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["alice.zip"]
    shares: list[float] = []
    with open_archive(target) as opened:
        opened.check(shares.append)
        assert opened.identity == alice.identity
        assert (opened.manifest.created_ms, opened.manifest.entries) == (NOON, 71)
        assert opened.devices == [alice.key]
        runs = list(opened.runs(alice.key))
        assert [entry.id for run in runs for entry in run] == [entry.id for entry in alice.log.entries]
        assert opened.follows() == members[archive.FOLLOWS]
        assert not opened.has_secrets
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_a_log_with_holes_is_whole_for_what_it_is(alice: Person, tmp_path: Path) -> None:
    members = members_of(alice)
    runs = [alice.log.run(5, 9), alice.log.run(20, 70)]
    members[archive.log_name(alice.key)] = b"".join(map(archive.frame_run, runs))
    with open_archive(packed(tmp_path / "a.zip", alice, members, entries=56)) as opened:
        opened.check(lambda share: None)
        assert [(run.first, len(run)) for run in opened.runs(alice.key)] == [(5, 5), (20, 51)]


def test_a_log_without_entries_says_nothing(alice: Person, tmp_path: Path) -> None:
    members = {**members_of(alice), archive.log_name(person("bob").key): b""}
    with open_archive(packed(tmp_path / "a.zip", alice, members)) as opened:
        opened.check(lambda share: None)


def test_an_archive_never_replaces_a_file_unasked(alice: Person, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("mine")
    with pytest.raises(UserError, match=r"exists already: .* say --force"), write_archive(target, force=False):
        pass
    with write_archive(target, force=True) as writer:
        writer.add(archive.IDENTITY, alice.identity.wire)
    assert zipfile.is_zipfile(target)

    late = tmp_path / "late"
    with pytest.raises(UserError, match="exists already"), write_archive(late, force=False) as writer:
        writer.add(archive.IDENTITY, alice.identity.wire)
        late.write_text("somebody was faster")
    assert late.read_text() == "somebody was faster"


def test_the_longest_name_that_the_disk_takes(alice: Person, tmp_path: Path) -> None:
    target = tmp_path / ("a" * (os.pathconf(tmp_path, "PC_NAME_MAX") - 4) + ".zip")
    with write_archive(target, force=False) as writer:
        writer.add(archive.IDENTITY, alice.identity.wire)
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_an_export_that_fails_leaves_what_was_there(alice: Person, tmp_path: Path) -> None:
    target = tmp_path / "old.zip"
    target.write_text("the old one")
    with pytest.raises(ZeroDivisionError), write_archive(target, force=True) as writer:
        writer.add(archive.IDENTITY, alice.identity.wire)
        raise ZeroDivisionError
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("old.zip", "the old one")]
    with pytest.raises(UserError, match="cannot be written: No such file"), write_archive(tmp_path / "a" / "b", False):
        pass


# --- files of notices -------------------------------------------------------------------------------------------------


def with_file(alice: Person, data: bytes) -> Members:
    """An honest archive of a note that has this file."""
    file = table_of(data).file
    alice.log.write(Note("look", media=(Attachment(file, "bees.jpg", "image/jpeg", len(data)),)))
    return members_of(alice) | {archive.file_name(file): data}


@pytest.mark.parametrize("size", [1, PIECE_BYTES, PIECE_BYTES + 1, FILE_BYTES_MAX])
def test_a_file_of_a_notice_is_kept_as_it_is(alice: Person, tmp_path: Path, size: int) -> None:
    data, target = bytes(size), tmp_path / "alice.zip"
    members = with_file(alice, data)
    with write_archive(target, force=False) as writer:
        before = writer.room
        for name, each in members.items():
            writer.add(name, each)
        assert writer.room == before - len(members)
        writer.finish(alice.hash, NOON, 72)

    name = archive.file_name(table_of(data).file)
    with zipfile.ZipFile(target) as plain:
        packing = {info.filename: info.compress_type for info in plain.infolist()}
    assert {each for each in packing if packing[each] == zipfile.ZIP_STORED} == {name}
    with open_archive(target) as opened:
        opened.check(lambda share: None)
        assert [opened.file(file) == data for file in opened.files] == [True]


def test_the_room_of_an_archive_is_what_a_reader_allows(tmp_path: Path) -> None:
    with write_archive(tmp_path / "a.zip", force=False) as writer:
        assert writer.room == ARCHIVE_MEMBERS_MAX - 1


def test_files_that_are_not_what_they_are_called(alice: Person, tmp_path: Path) -> None:
    members = with_file(alice, b"bees" * PIECE_BYTES)
    (name,) = (name for name in members if name.startswith("files/"))
    for data in (b"", b"wasp" * PIECE_BYTES, members[name] + b"s", members[name][:-1]):
        sentence = refused(packed(tmp_path / "a.zip", alice, members | {name: data}, entries=72))
        assert f"{name} is another file than its name says" in sentence
    big = packed(tmp_path / "a.zip", alice, members | {name: bytes(FILE_BYTES_MAX + 1)}, b"{}")
    assert f"{name} unpacks to 8,388,609 bytes, where at most 8,388,608" in refused(big)
    with pytest.raises(UserError, match="too much for one archive"), write_archive(tmp_path / "b", False) as writer:
        writer.add(name, bytes(FILE_BYTES_MAX + 1))


def test_a_file_that_no_notice_has(alice: Person, tmp_path: Path) -> None:
    stray = archive.file_name(table_of(b"who put this here").file)
    members = with_file(alice, b"bees") | {stray: b"who put this here"}
    sentence = refused(packed(tmp_path / "a.zip", alice, members, entries=72))
    assert f"{stray} belongs to no notice of the archive" in sentence


def test_a_thumbnail_belongs_to_its_notice(alice: Person, tmp_path: Path) -> None:
    bees, small = table_of(b"bees").file, table_of(b"bee").file
    alice.log.write(Note("look", media=(Attachment(bees, "bees.jpg", "image/jpeg", 4, thumb=small),)))
    members = members_of(alice) | {archive.file_name(small): b"bee"}
    with open_archive(packed(tmp_path / "a.zip", alice, members, entries=72)) as opened:
        opened.check(lambda share: None)
        assert opened.files == [small]


# --- hostile ones -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["files/", f"files/{'A' * 64}", f"files/{'a' * 65}", f"files/{'a' * 63}g", f"files/../{'a' * 64}",
     "../identity.bin", "/etc/passwd", "logs/../../x.entries", "logs\\..\\x", "C:\\x", "notes.txt", "logs/",
     "Manifest.json", f"logs/{'A' * 64}.entries", f"logs/{'a' * 64}.entries.exe", f"files/{'a' * 63}", "a\x1b[31m"],
)  # fmt: skip
def test_names_that_have_no_place(alice: Person, tmp_path: Path, name: str) -> None:
    sentence = refused(packed(tmp_path / "a.zip", alice, {**members_of(alice), "zz": b""} | {name: b"x"}))
    assert "has no place in an archive" in sentence
    assert "nothing of it was taken" in sentence
    assert "\x1b" not in sentence


def test_a_name_that_only_zip_tools_disagree_about(alice: Person, tmp_path: Path) -> None:
    """Python ends a name at a null byte, others don't: what is checked is the whole of it."""
    file = packed(tmp_path / "a.zip", alice, {**members_of(alice), archive.SECRETS + "?x": b"x"}, b"{}")
    file.write_bytes(file.read_bytes().replace(b"secrets.box?x", b"secrets.box\0x"))
    assert "has no place" in refused(file)


def test_a_name_of_64_kib_does_not_flood_the_terminal(alice: Person, tmp_path: Path) -> None:
    """The list says manifest.json; the member itself, which is the last, another and endless name."""
    file = packed(tmp_path / "named.zip", alice, members_of(alice))
    with zipfile.ZipFile(file) as opened:
        head, listed = opened.getinfo(archive.MANIFEST).header_offset, opened.start_dir
    data, more = file.read_bytes(), 60_000
    named = (len(archive.MANIFEST) + more).to_bytes(2, "little")
    end = data.rindex(b"PK\x05\x06")
    file.write_bytes(
        data[: head + 26] + named + data[head + 28 : head + 30] + b"\x01" * more + data[head + 30 : end + 16]
        + (listed + more).to_bytes(4, "little") + data[end + 20 :]
    )  # fmt: skip
    said = refused(file)
    assert "damaged" in said and len(said) < 500


def test_a_bomb_is_refused_before_it_is_unpacked(alice: Person, tmp_path: Path) -> None:
    bomb = {**members_of(alice), archive.IDENTITY: bytes(50 * 1024 * 1024)}
    assert f"at most {IDENTITY_BYTES_MAX:,} are allowed" in refused(packed(tmp_path / "a.zip", alice, bomb, b"{}"))


@pytest.mark.parametrize("over", [0, 1])
def test_the_limit_of_a_member(over: int) -> None:
    if over:
        with pytest.raises(archive.TooLarge):
            archive.check_member(archive.IDENTITY, IDENTITY_BYTES_MAX + 1)
    archive.check_member(archive.IDENTITY, IDENTITY_BYTES_MAX)


def test_a_member_that_lies_about_its_size(alice: Person, tmp_path: Path) -> None:
    """The list says 10 bytes, and 50 MiB come out: only 10 are ever read, and they are not what was promised."""
    members = members_of(alice)
    members[archive.NOTICES] = bytes(50 * 1024 * 1024)
    told = {name: Member(len(data), digest(data, 32)) for name, data in members.items()}
    told[archive.NOTICES] = Member(10, digest(bytes(10), 32))
    file = packed(tmp_path / "a.zip", alice, members, Manifest(alice.hash, NOON, 71, told).encode())
    size = (50 * 1024 * 1024).to_bytes(4, "little")
    data = file.read_bytes()
    assert data.count(size) == 2  # in the member's own head and in the list
    file.write_bytes(data.replace(size, (10).to_bytes(4, "little")))
    assert "damaged" in refused(file)


@pytest.mark.parametrize(("summed", "said"), [(1_000, "damaged"), (1_001, "unpacks to more than the list")])
@pytest.mark.parametrize("name", [archive.MANIFEST, archive.IDENTITY])
def test_what_is_read_first_lies_about_its_size(
    alice: Person, tmp_path: Path, name: str, summed: int, said: str
) -> None:
    """The list says 1,000 bytes, with the checksum of these or of one more, and 50 MiB come out: no more of it is
    unpacked than is needed to see that."""
    size = 50 * 1024 * 1024
    members = members_of(alice) | ({name: bytes(size)} if name == archive.IDENTITY else {})
    told = {each: Member(len(data), digest(data, 32)) for each, data in members.items()}
    told[archive.IDENTITY] = Member(1_000 if name == archive.IDENTITY else told[archive.IDENTITY].size, bytes(32))
    manifest = Manifest(alice.hash, NOON, 71, told).encode() if name == archive.IDENTITY else bytes(size)
    file = packed(tmp_path / "a.zip", alice, members, manifest)
    data = file.read_bytes()
    for whole, cut in ((size, 1_000), (zlib.crc32(bytes(size)), zlib.crc32(bytes(summed)))):
        assert data.count(whole.to_bytes(4, "little")) == 2  # in the member's own head and in the list
        data = data.replace(whole.to_bytes(4, "little"), cut.to_bytes(4, "little"))
    file.write_bytes(data)
    tracemalloc.start()
    try:
        assert said in refused(file)
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_less_comes_out_than_the_list_says(alice: Person, tmp_path: Path) -> None:
    file = packed(tmp_path / "a.zip", alice, members_of(alice), b"{}" + bytes(2_345))
    size, more = (2_347).to_bytes(4, "little"), (2_348).to_bytes(4, "little")
    assert file.read_bytes().count(size) == 2
    file.write_bytes(file.read_bytes().replace(size, more))
    assert "unpacks to less than the list of members says" in refused(file)


def test_a_second_name_changes_nothing_of_what_is_read(alice: Person, tmp_path: Path) -> None:
    """Newer Pythons look a member up by a name that may stand in a field beside its own. Whose sizes and names were
    looked at are those that are read, whatever they are also called."""
    with zipfile.ZipFile(packed(tmp_path / "a.zip", alice, members_of(alice))) as opened:
        for info in opened.infolist():
            info.filename = archive.MANIFEST
        opened.NameToInfo.clear()
        with (
            patch("p2pblog.archives.open_zip", lambda file: nullcontext(opened)),
            open_archive(tmp_path / "a.zip") as read,
        ):
            read.check(lambda share: None)


def test_a_list_of_too_many_members(alice: Person, tmp_path: Path) -> None:
    names = {f"files/{number:064x}": b"" for number in range(ARCHIVE_MEMBERS_MAX)}
    assert "over 16,384 members" in refused(packed(tmp_path / "a.zip", alice, names, b"{}"))
    names.popitem()
    assert "the manifest" in refused(packed(tmp_path / "b.zip", alice, names, b"{}"))  # which is looked at next


def test_a_list_that_fills_the_memory(alice: Person, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as opened:
        for number in range(100):
            info = zipfile.ZipInfo(f"files/{number:064x}")
            info.comment = bytes(60_000)
            opened.writestr(info, b"")
    assert "a list of members that is too long" in refused(tmp_path / "a.zip")


def _swap_two(members: Members, alice: Person) -> None:
    name = archive.log_name(alice.key)
    members[name] = archive.frame_run(alice.log.run(51, 71)) + archive.frame_run(alice.log.run(1, 50))


def _twice(members: Members, alice: Person) -> None:
    members[archive.log_name(alice.key)] += archive.frame_run(alice.log.run(71, 71))


def _forge(members: Members, alice: Person) -> None:
    name = archive.log_name(alice.key)
    members[name] = members[name].replace(b"note 40", b"note 41")


def _unsign(members: Members, alice: Person) -> None:
    value = encode_run(alice.log.run())
    value[5] = bytes(64) + value[5][64:]
    data = codec.pack(value)
    members[archive.log_name(alice.key)] = len(data).to_bytes(4, "big") + data


def _cut_log(members: Members, alice: Person) -> None:
    members[archive.log_name(alice.key)] = members[archive.log_name(alice.key)][:-1]


def _cut_length(members: Members, alice: Person) -> None:
    members[archive.log_name(alice.key)] += b"\0\0"


def _endless_run(members: Members, alice: Person) -> None:
    members[archive.log_name(alice.key)] = (MESSAGE_BYTES_MAX + 1).to_bytes(4, "big") + bytes(100)


def _zeros(members: Members, alice: Person) -> None:
    members[archive.log_name(alice.key)] = bytes(1024 * 1024)


def _of_bob(members: Members, alice: Person) -> None:
    bob = person("bob")
    members[archive.log_name(bob.key)] = archive.frame_run(bob.log.run())


def _of_another_device(members: Members, alice: Person) -> None:
    tablet = alice.add_device("tablet")
    members[archive.IDENTITY] = alice.identity.wire
    members[archive.log_name(alice.key)] = archive.frame_run(tablet.run())


def _of_another_beginning(members: Members, alice: Person) -> None:
    thief = person("bob").log
    thief.device = alice.device
    thief.entries.clear()
    thief.note("no start")
    members[archive.log_name(alice.key)] = archive.frame_run(thief.run())


def _beyond_retirement(members: Members, alice: Person) -> None:
    other = alice.log.branch(40)
    other.note("another history")
    alice.retire(alice.key, 41, other.entries[-1].id)
    members[archive.IDENTITY] = alice.identity.wire


def _no_identity(members: Members, alice: Person) -> None:
    del members[archive.IDENTITY]


def _identity_of_bob(members: Members, alice: Person) -> None:
    members[archive.IDENTITY] = person("bob").identity.wire


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_swap_two, "do not ascend (bad-chain)"),
        (_twice, "do not ascend (bad-chain)"),
        (_forge, "(bad-signature)"),
        (_unsign, "(bad-signature)"),
        (_cut_log, "cut short (malformed)"),
        (_cut_length, "cut short (malformed)"),
        (_endless_run, "(too-large)"),
        (_zeros, "cut short (malformed)"),
        (_of_bob, "does not state (bad-statement)"),
        (_of_another_device, "another device than its log's (bad-chain)"),
        (_of_another_beginning, "does not name this identity (bad-chain)"),
        (_beyond_retirement, "than the retirement names (bad-chain)"),
        (_no_identity, "no identity.bin (malformed)"),
        (_identity_of_bob, "another identity (bad-statement)"),
    ],
)
def test_what_only_looks_like_alices(
    alice: Person, tmp_path: Path, change: Callable[[Members, Person], None], said: str
) -> None:
    members = members_of(alice)
    change(members, alice)
    assert said in refused(packed(tmp_path / "a.zip", alice, members))


def test_a_run_that_does_not_follow_the_one_before(alice: Person, tmp_path: Path) -> None:
    other = alice.log.branch(50)
    other.note("another history")
    other.note("that goes on")
    members = members_of(alice)
    runs = [alice.log.run(1, 51), other.run(52, 52)]
    members[archive.log_name(alice.key)] = b"".join(map(archive.frame_run, runs))
    assert "does not follow the one before it (bad-chain)" in refused(packed(tmp_path / "a.zip", alice, members))


def test_a_count_that_is_not_so(alice: Person, tmp_path: Path) -> None:
    assert "71 entries where the manifest counts 72" in refused(
        packed(tmp_path / "a.zip", alice, members_of(alice), entries=72)
    )


def test_hashes_that_are_not_so(alice: Person, tmp_path: Path) -> None:
    for name in members_of(alice):
        if name == archive.IDENTITY:
            continue
        members = members_of(alice)
        told = {each: Member(len(data), digest(data, 32)) for each, data in members.items()}
        told[name] = Member(len(members[name]), bytes(32))
        file = packed(tmp_path / "a.zip", alice, members, Manifest(alice.hash, NOON, 71, told).encode())
        assert f"{name} is not what the manifest says" in refused(file)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.99])
def test_a_file_that_is_cut(alice: Person, tmp_path: Path, share: float) -> None:
    file = packed(tmp_path / "a.zip", alice, members_of(alice))
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    assert "no ZIP file, or a damaged one" in refused(file)


def test_any_byte_that_is_changed_is_noticed_or_means_nothing(alice: Person, tmp_path: Path) -> None:
    file = packed(tmp_path / "a.zip", alice, members_of(alice))
    data = file.read_bytes()
    for at in range(0, len(data), 37):
        file.write_bytes(data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1 :])
        try:
            with open_archive(file) as opened:
                opened.check(lambda share: None)
                assert [entry.id for run in opened.runs(alice.key) for entry in run] == [
                    entry.id for entry in alice.log.entries
                ]
        except UserError as error:
            assert "refused" in error.sentence or "cannot be read" in error.sentence


def test_files_that_are_no_archive(alice: Person, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    assert "no ZIP file" in refused(tmp_path / "text")
    assert "cannot be read: Is a directory" in refused(tmp_path)
    assert "cannot be read: No such file" in refused(tmp_path / "nothing")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as opened:
        opened.writestr("files/" + "0" * 64, b"")
    assert "no manifest.json" in refused(tmp_path / "other.zip")
    members = members_of(alice)
    members[archive.NOTICES] = b"1"
    with zipfile.ZipFile(packed(tmp_path / "twice.zip", alice, members), "a") as opened, pytest.warns(UserWarning):
        opened.writestr(archive.NOTICES, b"2")
    assert "two members of the name notices.jsonl" in refused(tmp_path / "twice.zip")
    with zipfile.ZipFile(tmp_path / "packed.zip", "w", zipfile.ZIP_LZMA) as opened:
        opened.writestr(archive.MANIFEST, b"{}")
    assert "packed in another way" in refused(tmp_path / "packed.zip")


def changed(manifest: bytes, **fields: object) -> bytes:
    return json.dumps({**json.loads(manifest), **fields}).encode()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"format": "tarball"}, "not one of a p2pblog archive"),
        ({"version": 2}, "format version 2, and this p2pblog reads version 1"),
        ({"version": True}, "not an integer"),
        ({"version": 1.0}, "not an integer"),
        ({"address": "\ud800"}, "not JSON"),
        ({"address": "wpyfa52t"}, "(bad-address)"),
        ({"created": -1}, "is not within"),
        ({"entries": "71"}, "not an integer"),
        ({"members": []}, "not a map"),
        ({"members": {"../x": {"bytes": 1, "blake2b": "00" * 32}}}, "has no place"),
        ({"members": {"identity.bin": {"bytes": 1, "blake2b": "00" * 31}}}, "31 bytes where 32 are due"),
        ({"members": {"identity.bin": {"bytes": 1, "blake2b": "zz" * 32}}}, "not hexadecimal"),
        ({"members": {"identity.bin": 1}}, "not a map"),
        ({"members": {}}, "are not those that the manifest names"),
    ],
)
def test_manifests_that_are_none(alice: Person, tmp_path: Path, fields: dict[str, object], said: str) -> None:
    whole = packed(tmp_path / "a.zip", alice, members_of(alice))
    with zipfile.ZipFile(whole) as opened:
        manifest = opened.read(archive.MANIFEST)
    assert said in refused(packed(tmp_path / "b.zip", alice, members_of(alice), changed(manifest, **fields)))
    with open_archive(packed(tmp_path / "c.zip", alice, members_of(alice), changed(manifest, new="field"))):
        pass


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_secret_keys_open_with_their_passphrase_only(alice: Person, tmp_path: Path) -> None:
    told = Secrets(alice.root.seed, alice.device.seed, former=(b"f" * 32, b"g" * 32))
    sealed = passphrase.seal(told.encode(), "Pässword", b"s" * 16, b"n" * 24)
    assert alice.root.seed not in sealed
    assert alice.root.seed.hex() not in repr(told)
    file = packed(tmp_path / "a.zip", alice, {**members_of(alice), archive.SECRETS: sealed})
    with open_archive(file) as opened:
        opened.check(lambda share: None)
        assert opened.has_secrets
        assert opened.secrets("Pa\u0308ssword") == told  # from another keyboard
        with pytest.raises(UserError, match="the passphrase does not open"):
            opened.secrets("Password")


def test_of_former_devices_no_more_are_taken_than_a_home_keeps() -> None:
    seeds = tuple(number.to_bytes(32, "big") for number in range(FORMER_DEVICES_MAX + 1))
    told = Secrets(bytes(32), bytes(32), former=seeds[1:])
    assert Secrets.decode(told.encode()) == told
    with pytest.raises(RemoteProtocolError):
        Secrets.decode(Secrets(bytes(32), bytes(32), former=seeds).encode())


def test_secret_keys_of_somebody_else(alice: Person, tmp_path: Path) -> None:
    bob = person("bob")
    sealed = passphrase.seal(Secrets(bob.root.seed, bob.device.seed).encode(), "x", b"s" * 16, b"n" * 24)
    file = packed(tmp_path / "a.zip", alice, {**members_of(alice), archive.SECRETS: sealed})
    with pytest.raises(UserError, match="not those of this identity"), open_archive(file) as opened:
        opened.secrets("x")


@pytest.mark.parametrize("rest", [b"1", b"1" + bytes(40), b"2" + bytes(99), b"1" + bytes(passphrase.SEALED_BYTES_MAX)])
def test_a_box_that_is_none(rest: bytes) -> None:
    with pytest.raises(archive.Malformed):
        passphrase.unseal(b"p2pblog sealed " + rest, "x")
