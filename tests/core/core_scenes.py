"""What the core's tests share: bytes that were tampered with, and a log to tamper with."""

from __future__ import annotations

from collections.abc import Iterator

from builders import Person, person
from hypothesis import strategies as st


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
