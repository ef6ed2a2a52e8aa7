"""One value, one byte string, within bounds that hold before anything is decoded."""

from __future__ import annotations

import tracemalloc
from typing import Any

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from values import VALUES

from p2pblog.core import codec
from p2pblog.errors import LocalProtocolError, Malformed, NotCanonical, RemoteProtocolError, TooLarge


@given(VALUES)
def test_what_was_packed_is_unpacked(value: Any) -> None:
    assert codec.unpack(codec.pack(value), bytes_max=10_000) == value


@given(st.binary(max_size=60))
@example(b"\xdc\x00\x00")
@example(b"\xcc\x00")
@example(b"\xd9\x00")
@example(b"\x82\xa1a\x01\xa1a\x01")
def test_every_value_has_one_encoding(data: bytes) -> None:
    try:
        value = codec.unpack(data, bytes_max=60)
    except RemoteProtocolError:
        return
    assert codec.pack(value) == data


@pytest.mark.parametrize(
    "data",
    [
        b"\xcc\x7f",  # 127 in two bytes
        b"\xcd\x00\xff",
        b"\xce\x00\x00\xff\xff",
        b"\xcf" + bytes(4) + b"\xff" * 4,
        b"\xd0\xe0",  # -32 in two bytes
        b"\xd0\x01",  # a positive number in a signed form
        b"\xd1\xff\x80",
        b"\xd2\xff\xff\x80\x00",
        b"\xd3" + b"\xff" * 4 + b"\x80\x00\x00\x00",
        b"\xd9\x01a",
        b"\xda\x00\x01a",
        b"\xdb\x00\x00\x00\x01a",
        b"\xc5\x00\x01a",
        b"\xc6\x00\x00\x00\x01a",
        b"\xdc\x00\x01\xc0",
        b"\xdd\x00\x00\x00\x01\xc0",
        b"\xde\x00\x01\xa1a\xc0",
        b"\xdf\x00\x00\x00\x01\xa1a\xc0",
        b"\x82\xa1b\xc0\xa1a\xc0",  # keys out of order
        b"\x82\xa1a\xc0\xa1a\xc0",  # a key twice
        b"\x91\xcc\x01",  # deeper down
        b"\x82\xa2\xc3\xa9\xc0\xa1z\xc0",  # order is by UTF-8 bytes
    ],
    ids=bytes.hex,
)
def test_longer_forms_are_not_canonical(data: bytes) -> None:
    with pytest.raises(NotCanonical):
        codec.unpack(data, bytes_max=100)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\xc0\xc0",
        b"\xca" + bytes(4),
        b"\xcb" + bytes(8),
        b"\xcb\x7f\xf8" + bytes(6),  # NaN
        b"\xc7\x00\x01",
        b"\xd4\x01\x00",
        b"\xd6\xff\x00\x00\x00\x00",  # a timestamp
        b"\xd7\xff" + b"\xff" * 8,  # a timestamp that no date can hold
        b"\xc7\x0c\xff" + b"\xff" * 12,
        b"\xa1\xff",
        b"\xa3\xed\xa0\x80",  # half of a surrogate pair
        b"\x81\x01\xc0",
        b"\x81\xc0\xc0",
        b"\x81\x90\xc0",  # a key that Python could not hash
        b"\x81\x80\xc0",
        b"\x81\xc4\x01a\xc0",
        b"\x81\xc3\xc0",
        b"\x91",
        b"\x92\xc0",
        b"\xa5abc",
        b"\xc4\x05abc",
        b"\xd9",
        b"\xdc\x00",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\x90\x90",
    ],
    ids=bytes.hex,
)
def test_what_is_no_value_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        codec.unpack(data, bytes_max=100)


@pytest.mark.parametrize("levels, allowed", [(1, True), (8, True), (9, False), (1_000, False), (100_000, False)])
@pytest.mark.parametrize("head", [b"\x91", b"\x81\xa0"], ids=["arrays", "maps"])
def test_levels_are_bounded(head: bytes, levels: int, allowed: bool) -> None:
    for innermost in (b"\x90", b"\x80"):
        data = head * (levels - 1) + innermost
        if allowed:
            assert codec.pack(codec.unpack(data, bytes_max=10**6)) == data
        else:
            with pytest.raises(TooLarge):
                codec.unpack(data, bytes_max=10**6)


@pytest.mark.parametrize("filling", [b"\xc0", b"\xc5\x03\x00" + bytes(768)], ids=["small", "large"])
def test_of_two_faults_the_first_in_the_bytes_names_them(filling: bytes) -> None:
    deep, no_value, disordered = b"\x91" * 9 + b"\x90", b"\xc1", b"\x82\xa1b\xc0\xa1a\xc0"
    for faults, error in (
        ([deep, no_value], TooLarge),
        ([no_value, deep], Malformed),
        ([disordered, deep], TooLarge),  # all of msgpack comes before the canonical form
        ([disordered, no_value], Malformed),
    ):
        with pytest.raises(error):
            codec.unpack(b"\x93" + filling + b"".join(faults), bytes_max=2_000)


def test_bytes_are_bounded() -> None:
    data = codec.pack(b"x" * 98)
    assert codec.unpack(data, bytes_max=100) == b"x" * 98
    with pytest.raises(TooLarge):
        codec.unpack(data, bytes_max=99)


def test_values_are_bounded() -> None:
    assert codec.unpack(codec.pack([0] * 9), bytes_max=100, items_max=10) == [0] * 9
    with pytest.raises(TooLarge):
        codec.unpack(codec.pack([0] * 10), bytes_max=100, items_max=10)
    with pytest.raises(TooLarge):
        codec.unpack(codec.pack([[0] * 4, [0] * 4]), bytes_max=100, items_max=10)


@pytest.mark.parametrize(
    "data",
    [
        b"\xdd\x7f\xff\xff\xff" * 8 + b"\x90" * 2_000_000,
        b"\xdd\x00\x1f\xff\xf0" * 8 + b"\x90" * 2_000_000,
        b"\xdd\x00\x1f\xff\xf0" + b"\x80" * 0x1FFFF0,
        b"\xdf\x00\x0f\xff\xf0" + b"\xa0\x80" * 0xFFFF0,
        b"\xdb\x7f\xff\xff\xff" + b"a" * 2_000_000,
    ],
    ids=["promises within promises", "promises as long as the message", "empty maps", "a map of one key", "a string"],
)
def test_a_message_of_traps_makes_no_room_for_them(data: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(RemoteProtocolError):
            codec.unpack(data, bytes_max=2**22)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize("value", ["\ud800", {1, 2}, object(), 2**64, -(2**63) - 1], ids=repr)
def test_what_we_cannot_say_is_our_own_fault(value: Any) -> None:
    with pytest.raises(LocalProtocolError):
        codec.pack(value)


def test_a_value_that_failed_half_way_leaves_nothing_in_the_next() -> None:
    with pytest.raises(LocalProtocolError):
        codec.pack([b"the half that went well", object()])
    assert codec.pack([1]) == b"\x91\x01"


def test_sorted_keys_are_canonical_and_nils_take_no_bytes() -> None:
    data = codec.pack(codec.sort_keys({"z": 1, "é": 2, "a": None, "aa": 3}))
    assert codec.unpack(data, bytes_max=100) == {"aa": 3, "z": 1, "é": 2}


@given(VALUES)
def test_a_shape_is_given_back_or_refused(value: Any) -> None:
    for shape in (
        lambda: codec.as_list(value),
        lambda: codec.as_bytes(value),
        lambda: codec.as_int(value, -(2**63), 2**64),
        lambda: codec.as_text(value, 1_000),
        lambda: codec.as_map(value),
    ):
        try:
            assert shape() is value
        except RemoteProtocolError:
            continue


def test_a_truth_value_is_no_number() -> None:
    with pytest.raises(Malformed):
        codec.as_int(True, 0, 1)


def test_stock_msgpack_would_take_what_we_refuse() -> None:
    """Why the codec does not stop at the library: these pass there."""
    assert msgpack.unpackb(b"\x82\xa1a\x01\xa1a\x02") == {"a": 2}
    assert msgpack.unpackb(b"\xcd\x00\x01") == 1
