"""What the core's tests share: values that msgpack can say, bytes that were tampered with, and a log to tamper with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from builders import Person, person
from hypothesis import strategies as st

from p2pblog.core import codec

INTEGERS = st.integers(codec.INT64_MIN, codec.UINT64_MAX) | st.integers(-200, 200)
SCALARS = st.none() | st.booleans() | INTEGERS | st.binary(max_size=70) | st.text(max_size=40)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=8)
        | st.dictionaries(st.text(max_size=8), inner, max_size=6).map(
            lambda items: dict(sorted(items.items(), key=lambda pair: pair[0].encode()))
        )
    ),
    max_leaves=24,
).filter(lambda value: depth(value) <= 8)
"""Whatever the codec can carry, maps in order."""


def depth(value: Any) -> int:
    """Levels of arrays and maps; 0 for a plain value."""
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@st.composite
def tampered(draw: st.DrawFn, data: bytes) -> bytes:
    """`data` after one to three accidents; sometimes unchanged in the end."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        piece = draw(st.binary(max_size=6))
        match draw(st.sampled_from(["flip", "cut", "insert", "replace", "repeat"])):
            case "flip" if data:
                data = data[:at] + bytes([data[at] ^ 1 << draw(st.integers(0, 7))]) + data[at + 1 :]
            case "cut":
                data = data[:at] + data[at + draw(st.integers(1, 40)) :]
            case "insert":
                data = data[:at] + piece + data[at:]
            case "replace":
                data = data[:at] + piece + data[at + len(piece) :]
            case _:
                data = data[:at] + data[max(0, at - draw(st.integers(1, 40))) :]
    return data


def flipped(data: bytes) -> Iterator[bytes]:
    """`data` with each of its bits flipped, one at a time."""
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


def alice_with_a_long_log(count: int = 200) -> Person:
    """Alice after `count` entries: short notes, two empty payloads and one that nobody understands."""
    alice = person("alice")
    alice.notes(count - 4)
    alice.write_all([b"", b"", b"\xc1 no msgpack"])
    return alice
