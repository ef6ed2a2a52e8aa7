"""Pictures before they are posted: turned upright, without metadata, and with a small one beside them.

Pillow does it (an extra, see extras.py), in the process of the one command that posts: a node takes no picture
apart, its own or anybody's.
"""

from __future__ import annotations

import io
import warnings
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from p2pblog import extras
from p2pblog.config import PICTURE_PIXELS_MAX, THUMB_BYTES_MAX, THUMB_PIXELS
from p2pblog.core.media import sniff
from p2pblog.errors import UsageError, UserError

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF", "image/webp": "WEBP"}
"""Media type -> what Pillow calls it. It is told to try no other, whatever a file says."""
QUALITY = 90
"""Of a JPEG or WebP that is written again: what most cameras use."""
THUMB_QUALITIES = (80, 60, 40)


def cleaned(data: bytes, name: str, instead: str | None = None) -> tuple[bytes, bytes | None]:
    """(a picture without metadata, upright; a JPEG of at most 320 pixels of it, or None where it is that small).

    `data` is a picture by `core.media.sniff`. Raises UsageError for one that is broken, or larger than
    PICTURE_PIXELS_MAX once it is taken apart, or of colours that can't be kept; UserError without Pillow, which names
    the command `instead` too.
    """
    try:
        from PIL import Image
    except ImportError as error:
        hint = "\n".join(filter(None, (extras.install(extras.PILLOW), instead)))
        raise UserError(f"metadata can't be taken out of {name} without Pillow", hint) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Image.MAX_IMAGE_PIXELS = PICTURE_PIXELS_MAX
            kind = FORMATS[sniff(data)]
            with Image.open(io.BytesIO(data), formats=[kind]) as picture:
                _check(picture, kind, name)
                return _written_again(picture, kind), _thumbnail(picture)
    except UsageError:
        raise
    except Exception as error:  # what a broken picture makes of Pillow is any of its libraries' errors
        raise UsageError(f"{name} is a broken picture, so its metadata can't be taken out") from error


def _check(picture: Image, kind: str, name: str) -> None:
    frames = 1 if kind == "JPEG" else getattr(picture, "n_frames", 1)
    if picture.width * picture.height * frames > PICTURE_PIXELS_MAX:
        raise UsageError(f"{name} has over {PICTURE_PIXELS_MAX // 1_000_000} million pixels")
    if picture.mode in ("I", "F"):  # numbers of which nobody says what is white
        raise UsageError(f"{name} has colours that can't be kept where its metadata is taken out")


def _written_again(picture: Image, kind: str) -> bytes:
    """The picture's pixels, and how long each frame stays and how often all are shown, and nothing else.

    A JPEG's further pictures are left out: they are no frames but what a phone keeps beside the one that it shows, as
    the view before its background was blurred.
    """
    from PIL import ImageSequence

    frames, durations = [], []
    for frame in [picture] if kind == "JPEG" else ImageSequence.Iterator(picture):
        frames.append(_plain(frame))
        durations.append(frame.info.get("duration", 100))  # a WebP tells it once the frame's pixels are there
    options: dict[str, Any] = {}
    if len(frames) > 1:
        if kind == "GIF" and _vanishes(frames):
            frames = [frame.convert("RGBA") for frame in frames]  # else Pillow cuts away a margin of some colour
            options["disposal"] = 2  # the ground is cleared after each frame
        if getattr(picture, "default_image", False):  # what of an APNG is shown where nothing moves, and is no frame
            options["default_image"] = True
            durations = durations[1:]
        options |= {"save_all": True, "append_images": frames[1:], "duration": durations}
        if "loop" in picture.info:  # a GIF without it is shown once
            options["loop"] = picture.info["loop"]
    if kind in ("JPEG", "WEBP"):
        options["quality"] = QUALITY
    if kind == "PNG":
        options["optimize"] = True
    out = io.BytesIO()
    frames[0].save(out, kind, **options)
    return out.getvalue()


def _vanishes(frames: list[Image]) -> bool:
    """Whether the ground is seen somewhere where the frame before it had a colour: frames that are painted over one
    another would keep that colour."""
    from PIL import ImageChops

    # of a copy: to convert one gives its palette another form, of which Pillow writes wrong colours afterwards
    grounds = (frame.copy().convert("RGBA").getchannel("A") for frame in frames)
    return any(ImageChops.subtract(before, after).getbbox() is not None for before, after in pairwise(grounds))


def _plain(frame: Image) -> Image:
    """A copy of the pixels, turned as the metadata says, in the colours that a screen expects, without any of it."""
    from PIL import ImageOps

    upright = _of_8_bits(_in_screen_colours(ImageOps.exif_transpose(frame)))
    if upright.mode not in ("RGB", "RGBA", "L", "LA", "P", "1"):
        upright = upright.convert("RGBA" if "A" in upright.mode else "RGB")
    transparency = upright.info.get("transparency")
    plain = upright.copy()
    plain.info = {} if transparency is None else {"transparency": transparency}
    plain.getexif().clear()
    return plain


def _of_8_bits(picture: Image) -> Image:
    """Greys of 16 bits have 8 afterwards, by our own scale: convert() alone makes white of all but the darkest."""
    if not picture.mode.startswith("I;16"):
        return picture
    scaled = picture.convert("I").point(lambda grey: grey * (1 / 256)).convert("L")
    if "transparency" in picture.info:  # one grey of 65,536; its 255 neighbours go with it
        scaled.info["transparency"] = picture.info["transparency"] >> 8
    return scaled


def _in_screen_colours(picture: Image) -> Image:
    """Colours as sRGB has them: the profile goes with the rest, and tells of a device."""
    profile = picture.info.get("icc_profile")
    if not profile or picture.mode not in ("RGB", "RGBA"):
        return picture
    from PIL import ImageCms

    try:
        given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        screen = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(picture, given, screen, outputMode=picture.mode)
    except (ImageCms.PyCMSError, OSError, ValueError):  # a profile that can't be read leaves colours as they are
        return picture
    return converted if converted is not None else picture


def _thumbnail(picture: Image) -> bytes | None:
    from PIL import Image as Images

    picture.seek(0)
    small = _plain(picture)
    if max(small.size) <= THUMB_PIXELS:
        return None
    small = small.convert("RGBA")
    small.thumbnail((THUMB_PIXELS, THUMB_PIXELS))
    ground = Images.new("RGB", small.size, "white")
    ground.paste(small, mask=small.getchannel("A"))
    for quality in THUMB_QUALITIES:
        out = io.BytesIO()
        ground.save(out, "JPEG", quality=quality)
        if out.tell() <= THUMB_BYTES_MAX:
            return out.getvalue()
    return None
