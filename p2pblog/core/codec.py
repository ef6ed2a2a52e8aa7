"""Canonical msgpack: one value, one byte string, within bounds."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgpack

from p2pblog.config import MSGPACK_DEPTH_MAX, MSGPACK_ITEMS_MAX
from p2pblog.errors import LocalProtocolError, Malformed, NotCanonical, RemoteProtocolError, TooLarge

_PACKER = msgpack.Packer(use_bin_type=True)
"""One for all that is encoded: each would bring a buffer of 256 KiB of its own. It begins anew after an error, too, and
calls none of our code while it packs, so threads do not meet in it."""
INT64_MIN, UINT64_MAX = -(2**63), 2**64 - 1
SMALL_BYTES_MAX = 512
"""What is decoded before it is looked at: even an array in each byte that promises as many items makes the decoder take
under 1 MB for a moment. Live notices and most other messages are smaller."""


pack_plain: Callable[[Any], bytes] = _PACKER.pack
"""The same within loops, for what surely can be said: integers that were checked, byte strings, tuples of them."""


def pack(value: Any) -> bytes:
    """The canonical encoding of `value`: shortest forms, map keys as given (see `sort_keys`).

    Raises LocalProtocolError for what msgpack can't say.
    """
    try:
        return pack_plain(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise LocalProtocolError(f"unencodable value: {error}") from error


def unpack(data: bytes, bytes_max: int, depth_max: int = MSGPACK_DEPTH_MAX, items_max: int = MSGPACK_ITEMS_MAX) -> Any:
    """The value that `data` is the canonical encoding of: nil, bool, int, bytes, str, list or dict with str keys
    in ascending order of their UTF-8 bytes.

    Raises TooLarge over `bytes_max`, `depth_max` levels or `items_max` values in all, Malformed for what is no msgpack
    of these types, NotCanonical for another encoding of the same value. Floats and extensions have no place in the
    protocol.
    """
    if len(data) > bytes_max:
        raise TooLarge(f"{len(data)} bytes where at most {bytes_max} are allowed")
    if len(data) <= items_max and (len(data) <= SMALL_BYTES_MAX or _is_whole(data)):
        with suppress(RemoteProtocolError):
            return _canonical(data, depth_max)
    _scan(data, depth_max, items_max)  # which names the first fault in the order of the bytes, or counts
    return _canonical(data, depth_max)


def _canonical(data: bytes, depth_max: int) -> Any:
    value = _decode(data)
    _check(value, depth_max)
    if _PACKER.pack(value) != data:
        raise NotCanonical("another encoding of the same value")
    return value


def _is_whole(data: bytes) -> bool:
    """Whether these bytes hold all that they promise, so that decoding makes no room for more values than bytes.

    msgpack's own walk over the tokens makes nothing, and takes a hundredth of the time of ours.
    """
    walk = msgpack.Unpacker(max_buffer_size=len(data))
    walk.feed(data)
    try:
        walk.skip()
    except (ValueError, msgpack.exceptions.UnpackException):
        return False
    return bool(walk.tell() == len(data))


def _decode(data: bytes) -> Any:
    limit = len(data)
    try:
        return msgpack.unpackb(
            data,
            raw=False,
            use_list=True,
            strict_map_key=True,
            timestamp=0,
            ext_hook=_refuse_extension,
            max_str_len=limit,
            max_bin_len=limit,
            max_array_len=limit,
            max_map_len=limit,
            max_ext_len=0,
        )
    except Malformed:
        raise
    except (ValueError, OverflowError, TypeError, msgpack.exceptions.UnpackException, RecursionError) as error:
        # StackError and FormatError are ValueErrors; UnicodeDecodeError too.
        raise Malformed(f"not msgpack: {type(error).__name__}") from error


def _refuse_extension(code: int, data: bytes) -> Any:
    raise Malformed(f"extension type {code}")


def _scan(data: bytes, depth_max: int, items_max: int) -> None:
    """Walk over the tokens before decoding: a promise of more items than there are bytes left, or than the limits
    allow, never reaches the decoder, which would make room for them at once."""
    open_items = [1]  # items still due at each level; the lowest stands for the value itself
    position, size, due, seen = 0, len(data), 1, 0
    while open_items:
        if due > size - position:
            raise Malformed("cut short")
        if seen + due > items_max:
            raise TooLarge(f"more than {items_max} values")
        skip, items = _token(data, position)
        position += skip
        seen, due = seen + 1, due - 1
        open_items[-1] -= 1
        if items is not None:
            if len(open_items) > depth_max:
                raise TooLarge(f"nested deeper than {depth_max}")
            open_items.append(items)
            due += items
        while open_items and not open_items[-1]:
            open_items.pop()
    if position != size:
        raise Malformed("cut short" if position > size else "bytes after the value")


# First byte -> bytes that hold the length of a string or byte string
_LENGTHS: dict[int, int] = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
# First byte -> (bytes that hold the count, items for each that is counted)
_CONTAINERS: dict[int, tuple[int, int]] = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}
# First byte -> bytes that follow
_FIXED: dict[int, int] = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}


def _token(data: bytes, position: int) -> tuple[int, int | None]:
    """(bytes to skip, items that follow if it opens an array or map) of the token at `position` (msgpack spec,
    "Formats")."""
    first = data[position]
    if first < 0x80 or first >= 0xE0 or first in (0xC0, 0xC2, 0xC3):
        return 1, None
    if first < 0x90:
        return 1, 2 * (first & 0x0F)
    if first < 0xA0:
        return 1, first & 0x0F
    if first < 0xC0:
        return 1 + (first & 0x1F), None
    if first in _LENGTHS:
        width = _LENGTHS[first]
        return 1 + width + int.from_bytes(data[position + 1 : position + 1 + width], "big"), None
    if first in _CONTAINERS:
        width, factor = _CONTAINERS[first]
        return 1 + width, factor * int.from_bytes(data[position + 1 : position + 1 + width], "big")
    if first in _FIXED:
        return 1 + _FIXED[first], None
    raise Malformed(f"byte 0x{first:02x} has no place in the protocol")


def _check(value: Any, depth_left: int) -> None:
    """Whether a decoded value is one of the protocol: not too deep, no floats, text for keys and in order."""
    kind = type(value)
    if kind is list:
        if not depth_left:
            raise TooLarge("nested too deeply")
        if _DEEPER.isdisjoint(map(type, value)):
            return
        for item in value:
            if type(item) in _DEEPER:
                _check(item, depth_left - 1)
    elif kind is dict:
        if not depth_left:
            raise TooLarge("nested too deeply")
        keys = list(value)
        if not all(isinstance(key, str) for key in keys):
            raise Malformed("a map key that is not text")
        if keys != sorted(keys, key=lambda key: key.encode()):
            raise NotCanonical("map keys out of order")
        for item in value.values():
            if type(item) in _DEEPER:
                _check(item, depth_left - 1)
    elif kind is float:
        raise Malformed("a float has no place in the protocol")


_DEEPER = {list, dict, float}


def sort_keys(value: dict[str, Any]) -> dict[str, Any]:
    """The same map with its keys in canonical order, nils left out: what is absent takes no bytes."""
    kept = {key: item for key, item in value.items() if item is not None}
    return dict(sorted(kept.items(), key=lambda pair: pair[0].encode()))


# --- shapes: each gives the value back, typed, or raises Malformed ----------------------------------------------------


def as_list(value: Any, length: int | None = None, length_max: int | None = None) -> list[Any]:
    """An array of exactly, or at most, so many items. Over the most is TooLarge."""
    if not isinstance(value, list):
        raise Malformed("not an array")
    if length is not None and len(value) != length:
        raise Malformed(f"an array of {len(value)} where {length} are due")
    if length_max is not None and len(value) > length_max:
        raise TooLarge(f"an array of {len(value)} where at most {length_max} are allowed")
    return value


def as_bytes(value: Any, length: int | None = None, length_max: int | None = None) -> bytes:
    """A byte string of exactly, or at most, so many bytes. Over the most is TooLarge."""
    if not isinstance(value, bytes):
        raise Malformed("not a byte string")
    if length is not None and len(value) != length:
        raise Malformed(f"{len(value)} bytes where {length} are due")
    if length_max is not None and len(value) > length_max:
        raise TooLarge(f"{len(value)} bytes where at most {length_max} are allowed")
    return value


def as_int(value: Any, low: int, high: int) -> int:
    """A whole number from `low` to `high`; true and false are none."""
    if type(value) is not int:
        raise Malformed("not an integer")
    if not low <= value <= high:
        raise Malformed(f"{value} is not within {low} to {high}")
    return value


def as_text(value: Any, bytes_max: int) -> str:
    """Text of at most so many bytes in UTF-8. Over them is TooLarge."""
    if not isinstance(value, str):
        raise Malformed("not text")
    if len(value.encode()) > bytes_max:
        raise TooLarge(f"text of over {bytes_max} bytes")
    return value


def as_map(value: Any) -> dict[str, Any]:
    """A map with text as keys."""
    if not isinstance(value, dict):
        raise Malformed("not a map")
    return value
