"""Alice shows an avatar and a banner from her terminal."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from fake_node import BOB, NOW_MS, FakeNode
from PIL import Image
from terminal_scene import Alice, lines_of

from p2pblog.core.media import may_tell_places
from p2pblog.pages import notices, people
from p2pblog.terminal import width


def picture(path: Path, kind: str = "JPEG") -> str:
    """With the place where it was taken."""
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 0.0)})
    out = io.BytesIO()
    Image.effect_noise((500, 400), 90).convert("RGB").save(out, kind, exif=exif)
    assert may_tell_places(out.getvalue()) or kind != "JPEG"
    path.write_bytes(out.getvalue())
    return str(path)


def test_pictures_are_handed_over_without_their_place(alice: Alice, node: FakeNode, tmp_path: Path) -> None:
    face, hills = picture(tmp_path / "me.jpg"), picture(tmp_path / "hills.png", "PNG")
    told = alice.gets("profile", "--avatar", face, "--banner", hills, "--name", "al")
    assert (told["name"], told["avatar"]["name"], told["banner"]["name"]) == ("al", "me.jpg", "hills.png")
    assert (told["avatar"]["type"], told["banner"]["type"]) == ("image/jpeg", "image/png")
    assert len(node.files) == 2
    assert not any(may_tell_places(data) for data in node.files.values())
    ((file,),) = (arguments["avatar"] for route, arguments in node.calls if route == "profile")
    assert Image.open(io.BytesIO(node.uploads[file["thumb"]])).size == (320, 256)

    page = alice.types("profile").stdout
    assert f"  avatar: me.jpg · {told['avatar']['size'] // 1000}" in page
    assert f" · {told['avatar']['hash'][:10]}\n" in page
    assert f" · {told['banner']['hash'][:10]}\n" in page


def test_what_is_not_named_stays_and_an_empty_path_takes_it_away(alice: Alice, node: FakeNode, tmp_path: Path) -> None:
    face = picture(tmp_path / "me.jpg")
    alice.gets("profile", "--avatar", face, "--banner", face)
    assert alice.gets("profile", "--avatar", "", "--bio", "Bees")["avatar"] is None
    arguments: Any = node.calls[-1][1]
    assert (arguments["avatar"], arguments["banner"]) == ([], None)
    assert alice.gets("profile")["banner"]["name"] == "me.jpg"
    assert alice.types("profile", "--banner", "").exit_code == 0
    assert "banner" not in alice.types("profile").stdout
    alice.gets("profile", "--avatar", face, "--banner", "")
    arguments = node.calls[-1][1]
    assert (len(arguments["avatar"]), arguments["banner"]) == (1, [])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"a letter", "is no banner: it has to be a JPEG"),
        (b"\0\0\0\x18ftypheic", "is no banner: it has to be a JPEG"),
        (b"\xff\xd8\xff and no picture", "broken picture"),
        (b"", "is empty"),
        (None, "cannot be read"),
    ],
)
def test_what_cannot_be_shown_is_said_before_anything_is_handed_over(
    alice: Alice, node: FakeNode, tmp_path: Path, data: bytes | None, says: str
) -> None:
    if data is not None:
        (tmp_path / "wide.jpg").write_bytes(data)
    face = picture(tmp_path / "me.jpg")
    result = alice.types("profile", "--avatar", face, "--banner", str(tmp_path / "wide.jpg"))
    assert (result.exit_code, node.calls) == (2, [])
    assert says in result.stderr


def test_a_hostile_name_of_a_picture_stays_in_its_place() -> None:
    file = {
        "hash": "5" * 64,
        "name": "x\x1b[2J\u202e" + "y" * 200,
        "type": "image/png",
        "size": 5,
        "alt": "",
        "thumb": None,
    }
    profile: Any = {
        "address": BOB, "name": None, "bio": None, "petname": None, "pinned": [], "lookalike": None, "links": [],
        "avatar": file, "banner": file,
    }  # fmt: skip
    page = people.profile_page(profile, [], NOW_MS, 80, notices.NOTHING_KNOWN)
    shown = lines_of(page)
    assert [text.split()[0] for text in shown[2:]] == ["avatar:", "banner:"]
    assert all(width(text) <= 80 for text in shown)
    assert not any(character in "".join(shown) for character in "\x1b\u202e\r")
