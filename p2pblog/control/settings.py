"""What a person may set, key by key: which values there are, what they mean, and how they are spelled."""

from __future__ import annotations

import re
from dataclasses import dataclass

from p2pblog.config import FILES_KEPT_BYTES_MAX, STORE_BYTES_MAX, STORE_BYTES_MIN
from p2pblog.control.words import check_utf8
from p2pblog.errors import UsageError

UNITS = {
    "TB": 10**12, "GB": 10**9, "MB": 10**6, "kB": 10**3,
    "TiB": 2**40, "GiB": 2**30, "MiB": 2**20, "KiB": 2**10, "B": 1,
}  # fmt: skip
"""Bytes of each unit, by which a size is written."""
NONE = "none"


@dataclass(frozen=True, slots=True)
class Setting:
    """A size that a person may set. `default`: in bytes; None is no limit."""

    caption: str
    default: int | None


SETTINGS: dict[str, Setting] = {
    "files.max": Setting("room for pictures and other files of others", FILES_KEPT_BYTES_MAX),
    "store.max": Setting("room on the disk; beyond, old notices of others go", None),
}


def check_key(key: str) -> str:
    """A key as it is spelled. Raises UsageError."""
    found = check_utf8(key, "the key").strip().lower()
    if found not in SETTINGS:
        raise UsageError("there is no such setting", hint="p2pblog config list")
    return found


def check_size(text: str) -> int | None:
    """How many bytes `500MB`, `2GB` or `1.5 GiB` is, None for `none`. Raises UsageError: no such thing, too small or
    too large to be meant."""
    given = check_utf8(text, "the size").strip().lower()
    if given == NONE:
        return None
    found = re.fullmatch(r"([0-9]{1,15})(\.[0-9]{1,3})? ?((?:[kmgt]i?)?b)", given)
    if found is None:
        raise UsageError("a size is written 500MB, 2GB or 2GiB; none is no limit")
    unit = next(size for name, size in UNITS.items() if name.lower() == found[3])
    size = int(found[1]) * unit + round(float(found[2] or 0) * unit)
    if not STORE_BYTES_MIN <= size <= STORE_BYTES_MAX:
        raise UsageError(f"a size is {spell_size(STORE_BYTES_MIN)} to {spell_size(STORE_BYTES_MAX)}, or none")
    return size


def spell_size(size: int | None) -> str:
    """A size in the largest unit in which it is a whole number, and that is the shortest."""
    if size is None:
        return NONE
    spelled = [f"{size // unit}{name}" for name, unit in UNITS.items() if size % unit == 0]
    return min(spelled, key=len)
