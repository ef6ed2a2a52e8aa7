"""Alice's photographs lose what they tell of her before anybody sees them, and hostile ones are refused."""

from __future__ import annotations

import builtins
import io
import sys
import tomllib
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageCms, ImageSequence, PngImagePlugin

from p2pblog import extras, pictures
from p2pblog.config import THUMB_BYTES_MAX, THUMB_PIXELS
from p2pblog.core.media import may_tell_places, sniff
from p2pblog.errors import UsageError, UserError

GPS, ORIENTATION, MAKE = 0x8825, 0x0112, 0x010F
SECRETS = (b"Exif", b"SECRET", b"GPS", b"xmpmeta", b"ICC_PROFILE", b"iCCP", b"tEXt", b"zTXt", b"iTXt", b"eXIf")


def photograph(kind: str, size: tuple[int, int] = (400, 100), *, orientation: int = 6, **more: Any) -> bytes:
    """The left half red, the right half blue, as a camera writes it that was held upright."""
    picture = Image.new("RGB", size, "red")
    picture.paste("blue", (size[0] // 2, 0, *size))
    exif = Image.Exif()
    exif[MAKE] = "SECRET camera"
    exif[ORIENTATION] = orientation
    exif.get_ifd(GPS).update({1: "N", 2: (52.0, 31.0, 0.0)})
    out = io.BytesIO()
    picture.save(out, kind, exif=exif, **more)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_where_a_picture_was_taken_is_gone_and_it_stands_upright(kind: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    before = photograph(kind, icc_profile=profile)
    assert opened(before).getexif().get_ifd(GPS)
    assert b"SECRET" in before

    after, _ = pictures.cleaned(before, "bees")

    picture = opened(after)
    assert dict(picture.getexif()) == {}
    assert picture.getexif().get_ifd(GPS) == {}
    assert not any(secret in after for secret in SECRETS)
    assert not may_tell_places(after)
    assert sniff(after) == sniff(before)
    assert picture.size == (100, 400)  # turned by 90 degrees
    red, blue = picture.convert("RGB").getpixel((50, 20)), picture.convert("RGB").getpixel((50, 380))
    assert isinstance(red, tuple)
    assert isinstance(blue, tuple)
    assert red[0] > 200 > 60 > red[2]
    assert blue[2] > 200 > 60 > blue[0]


def test_words_in_a_png_and_comments_in_others_are_gone() -> None:
    words = PngImagePlugin.PngInfo()
    words.add_text("Location", "SECRET place")
    words.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta>SECRET</x:xmpmeta>")
    for before in (
        photograph("PNG", pnginfo=words),
        photograph("JPEG", comment=b"SECRET comment"),
        _saved("GIF", comment=b"SECRET comment"),
        _saved("WEBP", xmp=b"<x:xmpmeta>SECRET</x:xmpmeta>"),
    ):
        assert b"SECRET" in before
        after, _ = pictures.cleaned(before, "bees")
        assert not any(secret in after for secret in SECRETS)


def _saved(kind: str, **more: Any) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (10, 10), "red").save(out, kind, **more)
    return out.getvalue()


def test_the_pixels_of_a_png_stay_as_they_are() -> None:
    picture = Image.effect_noise((64, 64), 80).convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize((64, 64)))
    out = io.BytesIO()
    picture.save(out, "PNG")
    after, thumb = pictures.cleaned(out.getvalue(), "bees")
    assert opened(after).tobytes() == picture.tobytes()
    assert thumb is None


def moving(kind: str, frames: list[Image.Image], **more: Any) -> bytes:
    out = io.BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:], **more)
    return out.getvalue()


def shown(data: bytes) -> list[tuple[Image.Image, float | None]]:
    """The frames as they are seen, and how long each stays."""
    seen = []
    for frame in ImageSequence.Iterator(Image.open(io.BytesIO(data))):
        pixels = frame.convert("RGBA")
        seen.append((pixels, frame.info.get("duration")))
    return seen


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_a_moving_picture_still_moves_as_fast(kind: str) -> None:
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "green", "blue")]
    before = moving(kind, frames, duration=[40, 200, 300], loop=0)
    assert [time for _, time in shown(pictures.cleaned(before, "bees")[0])] == [40, 200, 300]


def a_bee(*places: int, frame: bool = False) -> Image.Image:
    """Red squares on nothing, in a black frame or without."""
    picture = Image.new("RGBA", (40, 40))
    if frame:
        picture.paste("black", (0, 0, 40, 40))
        picture.paste((0, 0, 0, 0), (4, 4, 36, 36))
    for at in places:
        picture.paste("red", (at, 10, at + 6, 16))
    return picture


@pytest.mark.parametrize("has_frame", [False, True])
def test_nothing_stays_behind_what_moves(has_frame: bool) -> None:
    bees = [a_bee(6), a_bee(14, frame=has_frame), a_bee(22)]
    after = shown(pictures.cleaned(moving("GIF", bees, duration=80, disposal=2), "bees.gif")[0])
    assert [on_green(frame) for frame, _ in after] == [on_green(bee) for bee in bees]


def test_what_is_drawn_bit_by_bit_keeps_its_colours() -> None:
    bees = [a_bee(6), a_bee(6, 14), a_bee(6, 14, 22)]
    after = shown(pictures.cleaned(moving("GIF", bees, duration=80), "bees.gif")[0])
    assert [on_green(frame) for frame, _ in after] == [on_green(bee) for bee in bees]


def on_green(picture: Image.Image) -> bytes:
    return Image.alpha_composite(Image.new("RGBA", picture.size, "green"), picture).tobytes()


def test_a_gif_of_which_nothing_vanishes_stays_small() -> None:
    """What optimizers make: a frame has the pixels that are others than before, and the rest is seen through."""
    noise = Image.effect_noise((200, 200), 80).convert("RGB")
    frames = []
    for number in range(8):
        frames.append(noise.copy())
        frames[-1].paste("red", (number * 8, 10, number * 8 + 6, 16))
    before = moving("GIF", frames, duration=80, optimize=True)
    assert len(pictures.cleaned(before, "bees.gif")[0]) < 2 * len(before)


def test_what_is_shown_where_nothing_moves_is_no_frame() -> None:
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("white", "red", "green", "blue")]
    before = moving("PNG", frames, duration=[40, 200, 300], loop=0, default_image=True)
    after = pictures.cleaned(before, "bees.png")[0]
    assert [time for _, time in shown(after)] == [time for _, time in shown(before)] == [None, 40, 200, 300]
    assert getattr(opened(after), "default_image", False)
    assert opened(after).convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def _depth(more: dict[str, Any]) -> bytes:
    """A PNG of 512 greys of 16 bits, from black to white, each a column."""
    greys = b"".join((number * 65_535 // 511).to_bytes(2, "little") for number in range(512))
    out = io.BytesIO()
    Image.frombytes("I;16", (512, 2), greys * 2).save(out, "PNG", **more)
    return out.getvalue()


def test_greys_of_16_bits_stay_greys() -> None:
    before = _depth({})
    assert opened(before).mode.startswith("I;16")

    after, thumb = pictures.cleaned(before, "moon.png")

    picture = opened(after)
    assert picture.mode == "L"
    assert [picture.getpixel((at, 0)) for at in range(512)] == [at * 65_535 // 511 // 256 for at in range(512)]
    assert thumb is not None
    middle = opened(thumb).convert("L").getpixel((THUMB_PIXELS // 2, 0))
    assert isinstance(middle, int)
    assert 120 < middle < 136


def test_greys_of_16_bits_are_turned_and_seen_through_as_before() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    picture = opened(pictures.cleaned(_depth({"exif": exif, "transparency": 65_535}), "moon.png")[0])
    assert picture.size == (2, 512)
    assert picture.info["transparency"] == 255
    assert picture.convert("RGBA").getpixel((0, 511)) == (255, 255, 255, 0)
    assert picture.convert("RGBA").getpixel((0, 0)) == (0, 0, 0, 255)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_colours_that_mean_nothing_to_a_screen_are_refused(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No version of Pillow that we ask for makes them of these four kinds; the ones before did."""
    monkeypatch.setattr(pictures, "FORMATS", {sniff(b"II*\0"): "TIFF"})
    out = io.BytesIO()
    Image.new(mode, (10, 10)).save(out, "TIFF")
    with pytest.raises(UsageError, match=r"moon\.png has colours that can't be kept"):
        pictures.cleaned(out.getvalue(), "moon.png")


def test_what_a_phone_keeps_behind_its_picture_is_gone() -> None:
    """A portrait is stored with the view before its background was blurred, or a map of depths, as more pictures in one
    file (CIPA DC-007, Multi-Picture Format)."""
    shown, kept = Image.effect_noise((400, 300), 80).convert("RGB"), Image.new("RGB", (400, 300), "blue")
    before, alone = io.BytesIO(), io.BytesIO()
    shown.save(before, "MPO", save_all=True, append_images=[kept], quality=95)
    shown.save(alone, "JPEG", quality=95)
    assert getattr(opened(before.getvalue()), "n_frames", 1) == 2

    after, thumb = pictures.cleaned(before.getvalue(), "portrait.jpg")

    assert opened(after).format == "JPEG"
    assert after.count(b"\xff\xd8\xff") == 1
    assert b"MPF" not in after
    assert (after, thumb) == pictures.cleaned(alone.getvalue(), "alone.jpg")


@pytest.mark.parametrize("more", [{}, {"loop": 0}, {"loop": 3}])
def test_a_gif_is_shown_as_often_as_before(more: dict[str, int]) -> None:
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "green", "blue")]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=100, **more)  # type: ignore[arg-type]
    after = opened(pictures.cleaned(out.getvalue(), "bees.gif")[0])
    assert {key: after.info[key] for key in ("loop",) if key in after.info} == more


@pytest.mark.parametrize("size", [(THUMB_PIXELS, 20), (THUMB_PIXELS + 1, 20), (900, 1200)])
def test_a_large_picture_has_a_small_one_beside_it(size: tuple[int, int]) -> None:
    _, thumb = pictures.cleaned(photograph("JPEG", size, orientation=1), "bees")
    assert (thumb is not None) == (max(size) > THUMB_PIXELS)
    if thumb is not None:
        assert len(thumb) <= THUMB_BYTES_MAX
        assert max(opened(thumb).size) == THUMB_PIXELS
        assert dict(opened(thumb).getexif()) == {}


def _bomb() -> bytes:
    """A PNG of 100,000 by 100,000 pixels in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    head = (100_000).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def _many_frames() -> bytes:
    out = io.BytesIO()
    frames = [Image.new("1", (1000, 1000), number % 2) for number in range(65)]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    return out.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        _bomb(),
        _many_frames(),
        photograph("JPEG")[:300],
        b"\xff\xd8\xff\xe0 and no more",
        b"GIF89a",
        b"\x89PNG\r\n\x1a\n" + bytes(50),
        b"RIFF\xff\xff\xff\xffWEBPVP8X" + bytes(50),
    ],
    ids=["bomb", "bomb of frames", "cut short", "no jpeg", "no gif", "no png", "no webp"],
)
def test_a_hostile_picture_is_refused_by_its_name(data: bytes) -> None:
    with pytest.raises(UsageError, match="evil"):
        pictures.cleaned(data, "evil.png")


def test_without_the_library_a_picture_is_not_posted_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.partition(".")[0] == "PIL":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match="Pillow") as caught:
        pictures.cleaned(b"\xff\xd8\xff", "bees.jpg", "p2pblog post TEXT --keep-metadata")
    installs = f"{sys.executable} -m pip install 'pillow >=11,<14'"
    assert caught.value.hint == f"{installs}\np2pblog post TEXT --keep-metadata"


def test_what_is_told_to_be_installed_is_what_the_project_takes() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["optional-dependencies"]["media"] == [extras.PILLOW]
    assert project["optional-dependencies"]["sim"] == [extras.MATPLOTLIB]
