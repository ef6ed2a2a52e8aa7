"""Alice posts files from her terminal and saves those of others: what is read, refused, warned of and written."""

from __future__ import annotations

import io
import os
import resource
import signal
from pathlib import Path
from typing import Any

import pytest
from fake_node import FakeNode
from PIL import Image
from terminal_scene import Alice, lines_of

from p2pblog import pictures
from p2pblog.commands import files
from p2pblog.config import FILE_BYTES_MAX, FILES_PER_NOTE_MAX, PIECE_BYTES
from p2pblog.core.media import may_tell_places
from p2pblog.errors import NotFound, TimedOut
from p2pblog.pages.files import file_lines, media_page
from p2pblog.terminal import width

LONG = b"".join(bytes([number]) * PIECE_BYTES for number in range(5)) + b"\xff"


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    """As a telephone takes it, with the place."""
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 0.0)})
    out = io.BytesIO()
    Image.effect_noise((500, 400), 90).convert("RGB").save(out, "JPEG", exif=exif)
    path = tmp_path / "bees.jpg"
    path.write_bytes(out.getvalue())
    return path


def written(folder: Path, data: bytes, name: str = "file.bin") -> str:
    (folder / name).write_bytes(data)
    return str(folder / name)


def posted(node: FakeNode) -> list[dict[str, Any]]:
    (files,) = (arguments["media"] for route, arguments in node.calls if route == "post")
    return list(files)


# --- posting ----------------------------------------------------------------------------------------------------------


def test_a_photograph_is_handed_over_without_its_place(alice: Alice, node: FakeNode, photograph: Path) -> None:
    assert may_tell_places(photograph.read_bytes())
    result = alice.types("post", "Look!", "--media", str(photograph), "--alt", "Bees on a flower")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("Posted")

    (file,) = posted(node)
    assert (file["name"], file["alt"]) == ("bees.jpg", "Bees on a flower")
    (held,) = node.files.values()
    assert held != photograph.read_bytes()
    assert not may_tell_places(held)
    thumb = Image.open(io.BytesIO(node.uploads[file["thumb"]]))
    assert thumb.size == (320, 256)
    assert "has no description" not in result.stderr


def test_who_wants_to_tell_the_place_can(alice: Alice, node: FakeNode, photograph: Path) -> None:
    assert alice.types("post", "Look!", "--media", str(photograph), "--keep-metadata").exit_code == 0
    assert list(node.files.values()) == [photograph.read_bytes()]


def test_files_and_descriptions_go_together_in_their_order(alice: Alice, node: FakeNode, tmp_path: Path) -> None:
    one, two, three = (written(tmp_path, f"number {n}".encode(), f"{n}.txt") for n in (1, 2, 3))
    result = alice.types(
        "post", "three", "--media", one, "--alt", "first", "--media", two, "--alt", "", "--media", three
    )
    assert [(file["name"], file["alt"]) for file in posted(node)] == [("1.txt", "first"), ("2.txt", ""), ("3.txt", "")]
    assert [line.split()[0] for line in result.stderr.splitlines() if "no description" in line] == ["2.txt", "3.txt"]
    notice = alice.gets("timeline")[0]
    assert [(file["name"], file["type"]) for file in notice["media"]] == [
        ("1.txt", "text/plain"),
        ("2.txt", "text/plain"),
        ("3.txt", "text/plain"),
    ]


def test_a_large_file_goes_over_in_requests_that_the_socket_takes(alice: Alice, node: FakeNode, tmp_path: Path) -> None:
    data = os.urandom(FILE_BYTES_MAX)
    assert alice.gets("post", "all", "--keep-metadata", "--media", written(tmp_path, data))["type"] == "note"
    assert list(node.files.values()) == [data]


@pytest.mark.parametrize(
    ("data", "name", "says"),
    [
        (None, "missing.jpg", "cannot be read"),
        (b"", "empty.txt", "is empty"),
        (bytes(FILE_BYTES_MAX + 1), "large.bin", "8,388,608 bytes"),
        (b"\xff\xd8\xff and no picture", "broken.jpg", "broken picture"),
        (b"\0\0\0\x18ftypheic", "photo.heic", "make a JPEG or PNG"),
        (b"\0\0\0\x24moov\0\0\0\x1cudta\0\0\0\x14\xa9xyz+48.1+011.5/", "film.mov", "may tell where"),
    ],
)
def test_what_cannot_be_posted_is_said_before_anything_is(
    alice: Alice, node: FakeNode, tmp_path: Path, data: bytes | None, name: str, says: str
) -> None:
    path = str(tmp_path / name) if data is None else written(tmp_path, data, name)
    result = alice.types("post", "x", "--media", written(tmp_path, b"fine", "fine.txt"), "--media", path)
    assert result.exit_code == 2
    assert says in result.stderr
    assert node.calls == []


def test_a_picture_that_grows_too_large_without_its_metadata_is_refused(
    alice: Alice, node: FakeNode, photograph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "cleaned", lambda *_: (bytes(FILE_BYTES_MAX + 1), None))
    result = alice.types("post", "x", "--media", str(photograph))
    assert (result.exit_code, node.calls) == (2, [])
    assert "bytes without its metadata" in result.stderr


def test_a_pipe_is_no_file_and_is_not_waited_for(alice: Alice, node: FakeNode, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    result = alice.types("post", "x", "--media", str(tmp_path / "pipe"))
    assert (result.exit_code, node.calls) == (2, [])
    assert "pipe cannot be read: it is no file" in result.stderr


class Written(io.FileIO):
    """A file to which somebody writes between two looks at it."""

    left = b""

    def readinto(self, buffer: Any) -> int | None:
        Path(str(self.name)).write_bytes(self.left)
        return super().readinto(buffer)


@pytest.mark.parametrize("left", [b"hello, everybody", b"hel", b""])
def test_a_file_that_changes_while_it_is_read_is_not_posted(
    alice: Alice, node: FakeNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: bytes
) -> None:
    monkeypatch.setattr(Written, "left", left)
    monkeypatch.setattr(files, "open_file", Written)
    result = alice.types("post", "x", "--media", written(tmp_path, b"hello"))
    assert (result.exit_code, node.calls) == (2, [])
    assert "changed while it was read" in result.stderr


def test_a_file_of_which_no_size_is_told_is_read_to_its_end(
    alice: Alice, node: FakeNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Written, "left", b"Linux version 6.1")
    monkeypatch.setattr(files, "open_file", Written)
    assert alice.types("post", "x", "--media", written(tmp_path, b"")).exit_code == 0
    assert list(node.files.values()) == [b"Linux version 6.1"]


def test_a_name_that_is_empty_is_called_so(alice: Alice, node: FakeNode) -> None:
    """An empty path is the folder that one is in, and stands where a variable of a script was not set."""
    file = node.file(b"hello", {"name": "hello.txt"})
    node.add(media=[file])
    for words in (["post", "x", "--media", ""], ["media", file["hash"], "--save", ""], ["sim", "plot", ""]):
        result = alice.types(*words)
        assert result.exit_code == 2
        assert "name is empty" in result.stderr


def test_the_words_of_the_command(alice: Alice, node: FakeNode, tmp_path: Path) -> None:
    path = written(tmp_path, b"hello")
    assert alice.types("post", "x", *(["--media", path] * (FILES_PER_NOTE_MAX + 1))).exit_code == 2
    assert alice.types("post", "x", "--alt", "of nothing").exit_code == 2
    assert alice.types("post", "x", "--media", path, "--alt", "x" * 1_001).exit_code == 2
    assert alice.types("post", "x", "--media", str(tmp_path)).exit_code == 2
    assert node.calls == []


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def file(node: FakeNode) -> dict[str, Any]:
    """A file of Bob's, of which nothing is here."""
    told = node.file(LONG, {"name": "bees.jpg", "alt": "Bees on a flower"})
    node.add(author="b" * 56, name="bob", media=[told])
    return told


def test_what_is_known_of_a_file(alice: Alice, node: FakeNode, file: dict[str, Any]) -> None:
    document = alice.gets("media", file["hash"][:10])
    assert document["hash"] == file["hash"]
    assert document["state"] == "elsewhere"
    page = alice.types("media", file["hash"][:10]).stdout
    for word in ("bees.jpg", "327.7 kB", "not here", "Bees on a flower"):
        assert word in page
    assert [route for route, _ in node.calls] == ["media", "media"]  # nothing is fetched by looking


def test_a_file_is_fetched_and_saved(alice: Alice, node: FakeNode, file: dict[str, Any], tmp_path: Path) -> None:
    result = alice.types("media", file["hash"], "--save", str(tmp_path / "mine.jpg"))
    assert result.exit_code == 0, result.output
    assert (tmp_path / "mine.jpg").read_bytes() == LONG
    assert [arguments["known"] for route, arguments in node.calls if route == "fetch_media"] == list(range(6))

    assert alice.gets("media", file["hash"], "--save", str(tmp_path))["saved"] == str(tmp_path / "bees.jpg")
    assert (tmp_path / "bees.jpg").read_bytes() == LONG


def test_nothing_is_written_over_and_nothing_left_where_it_fails(
    alice: Alice, node: FakeNode, file: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "there.jpg").write_text("mine")
    for place in ("there.jpg", "nowhere/bees.jpg", "nowhere/", "there.jpg/"):
        assert alice.types("media", file["hash"], "--save", f"{tmp_path}/{place}").exit_code in (1, 2)
    assert (tmp_path / "there.jpg").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["there.jpg"]
    for error, code in ((NotFound("nobody who is linked has it"), 4), (TimedOut("nobody answered in time"), 6)):
        node.fetched = 0
        node.faults["fetch_media"] = error
        assert alice.types("media", file["hash"], "--save", str(tmp_path / "new.jpg")).exit_code == code
    assert not (tmp_path / "new.jpg").exists()
    assert alice.types("media", "f" * 64).exit_code == 4
    assert alice.types("media", "xyz").exit_code == 2


def test_a_disk_that_fills_up_leaves_no_part_under_the_name(
    alice: Alice, node: FakeNode, file: dict[str, Any], tmp_path: Path
) -> None:
    """A limit of the process stands for the end of the disk; writing past it would be a signal, which is ignored."""
    target = str(tmp_path / "bees.jpg")
    before, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        result = alice.types("media", file["hash"], "--save", target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert result.exit_code == 1
    assert "bees.jpg cannot be written: File too large" in result.stderr
    assert list(tmp_path.iterdir()) == []
    assert alice.types("media", file["hash"], "--save", target).exit_code == 0
    assert (tmp_path / "bees.jpg").read_bytes() == LONG


def test_what_is_not_the_file_is_not_saved(alice: Alice, node: FakeNode, file: dict[str, Any], tmp_path: Path) -> None:
    node.fetched = 6
    node.files[file["hash"]] = LONG[:-1] + b"\xfe"
    result = alice.types("media", file["hash"], "--save", str(tmp_path / "new.jpg"))
    assert result.exit_code == 1
    assert not (tmp_path / "new.jpg").exists()


# --- pages ------------------------------------------------------------------------------------------------------------


def test_a_notice_shows_name_size_and_what_is_to_be_seen(alice: Alice, node: FakeNode, file: dict[str, Any]) -> None:
    page = alice.types("timeline", env={"COLUMNS": "80"}).stdout
    assert f"+ bees.jpg · 327.7 kB · {file['hash'][:10]}" in page
    assert "    Bees on a flower" in page
    node.notices[-1]["cw"] = "insects"
    page = alice.types("timeline").stdout
    assert "bees.jpg" not in page
    assert "(1 file)" in page
    assert "bees.jpg" in alice.types("show", node.notices[-1]["id"]).stdout


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_no_words_of_a_file_leave_the_page(columns: int, file: dict[str, Any]) -> None:
    """What the daemon says is made harmless once more, for the daemon may be another one."""
    alt = "alt \x1b]52;c;aGk=\x07\nalice · just now" * 9
    hostile: Any = {**file, "name": "\x1b[31m" + "日" * 90 + "\u202egpj.exe", "alt": alt}
    media: Any = {**hostile, "author": "b" * 56, "notice": "0" * 64, "held": 0, "pieces": 0, "state": "elsewhere"}
    assert "notice  0000000000" in lines_of(media_page(media, 80))
    assert "profile  of (bbbbbbbb)" in lines_of(media_page({**media, "notice": None}, 80))
    lines = lines_of(file_lines([hostile], "  ", columns, is_hidden=False))
    for text in (*lines, *lines_of(media_page(media, max(80, columns)))):
        assert not {"\x1b", "\x07", "\u202e"} & set(text)
    for text in lines[1:]:
        assert text.startswith("    ")  # below the name: no head of another notice can be drawn
        assert width(text) <= columns
    assert all(width(text) <= 80 for text in lines_of(media_page(media, 80)))
    assert columns < 40 or width(lines[0]) <= columns
