"""Framing: any cut of the stream gives the same messages, anything else a named error."""

from __future__ import annotations

from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given, settings
from hypothesis import strategies as st
from transport_scenes import dialer, listener, shake

from p2pblog.config import MESSAGE_BYTES_MAX
from p2pblog.errors import Disconnected, LocalProtocolError, Malformed, RemoteProtocolError, TooLarge
from p2pblog.transport.framing import FRAME_BYTES_MAX, PLAIN_BYTES_MAX, FrameReader, FrameWriter, wire_bytes
from p2pblog.transport.handshake import Cipher

messages_of_any_size = st.lists(st.binary(min_size=1, max_size=400), min_size=1, max_size=8)


def wire(message_bytes_max: int = MESSAGE_BYTES_MAX) -> tuple[FrameWriter, FrameReader]:
    """What Alice writes and Bob reads."""
    alice, bob = shake(dialer(), listener())
    return FrameWriter(alice.sender, message_bytes_max), FrameReader(bob.receiver, message_bytes_max)


def sealed(plain: bytes) -> tuple[bytes, FrameReader]:
    """One frame around any plaintext, for peers that seal nonsense, and the reader it is for."""
    alice, bob = shake(dialer(), listener())
    cipher_text = alice.sender.seal(plain)
    return len(cipher_text).to_bytes(2, "big") + cipher_text, FrameReader(bob.receiver)


def read_all(reader: FrameReader, pieces: list[bytes]) -> tuple[list[bytes], RemoteProtocolError]:
    """The messages until the reader gives up, and why it did."""
    messages: list[bytes] = []
    try:
        for piece in [*pieces, b"", b""]:
            messages += reader.feed(piece)
    except RemoteProtocolError as fault:
        return messages, fault
    raise AssertionError("the end of the stream is a fault too")


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(stream), *(place % len(stream) for place in places)})
    return [stream[start:end] for start, end in pairwise(edges)]


@settings(max_examples=100, deadline=None)
@given(messages_of_any_size, st.booleans(), st.lists(st.integers(0, 10_000), max_size=40))
def test_any_cut_of_the_stream_gives_the_same_messages(messages: list[bytes], together: bool, cuts: list[int]) -> None:
    writer, reader = wire()
    batches = [messages] if together else [[message] for message in messages]
    stream = b"".join(frame for batch in batches for frame in writer.frames(batch))
    read, fault = read_all(reader, cut(stream, cuts))
    assert read == messages
    assert type(fault) is Disconnected and str(fault) == "the peer closed the link"


def test_byte_by_byte() -> None:
    writer, reader = wire()
    stream = b"".join(writer.frames([b"one", b"two", b"x" * 300]))
    assert read_all(reader, [bytes([byte]) for byte in stream])[0] == [b"one", b"two", b"x" * 300]


@pytest.mark.parametrize(
    "size", [1, 127, 128, PLAIN_BYTES_MAX - 3, PLAIN_BYTES_MAX - 2, PLAIN_BYTES_MAX, 200_000, MESSAGE_BYTES_MAX]
)
def test_a_message_of_any_size_passes(size: int) -> None:
    writer, reader = wire()
    frames = list(writer.frames([b"m" * size]))
    assert all(len(frame) <= FRAME_BYTES_MAX for frame in frames)
    assert sum(map(len, frames)) == wire_bytes(size)
    assert [message for frame in frames for message in reader.feed(frame)] == [b"m" * size]
    assert reader.pending == 0


def test_a_live_notice_costs_twenty_bytes_more_than_itself() -> None:
    writer, _ = wire()
    assert sum(map(len, writer.frames([b"n" * 260]))) == 260 + 20


def test_messages_sent_together_share_a_frame() -> None:
    writer, _ = wire()
    (frame,) = writer.frames([b"n" * 100] * 50)
    assert len(frame) == 50 * 101 + 18


@pytest.mark.parametrize("size", [0, 1001])
def test_our_own_message_of_a_wrong_size_is_our_bug(size: int) -> None:
    writer, _ = wire(message_bytes_max=1000)
    with pytest.raises(LocalProtocolError):
        list(writer.frames([b"m" * size]))


@settings(max_examples=100, deadline=None)
@given(messages_of_any_size, st.integers(0, 10_000))
def test_a_stream_that_ends_early_is_named(messages: list[bytes], place: int) -> None:
    writer, reader = wire()
    frames = [frame for message in messages for frame in writer.frames([message])]
    stream = b"".join(frames)
    kept = stream[: place % len(stream)]
    read, fault = read_all(reader, [kept] if kept else [])
    assert type(fault) is Disconnected
    assert read == messages[: len(read)] and len(read) < len(messages)
    whole = any(sum(map(len, frames[:count])) == len(kept) for count in range(len(frames)))
    assert ("within a message" in str(fault)) is not whole


@settings(max_examples=200, deadline=None)
@given(messages_of_any_size, st.integers(0, 10_000), st.integers(0, 7), st.lists(st.integers(0, 10_000), max_size=5))
def test_no_flipped_bit_passes(messages: list[bytes], place: int, bit: int, cuts: list[int]) -> None:
    writer, reader = wire()
    stream = bytearray(b"".join(frame for message in messages for frame in writer.frames([message])))
    stream[place % len(stream)] ^= 1 << bit
    read, fault = read_all(reader, cut(bytes(stream), cuts))
    assert type(fault) in (Malformed, Disconnected)  # Disconnected: a larger length waits for bytes that never come
    assert read == messages[: len(read)] and len(read) < len(messages)


@settings(max_examples=50, deadline=None)
@given(st.permutations(range(5)).filter(lambda order: order != [0, 1, 2, 3, 4]))
def test_frames_out_of_order_are_malformed(order: list[int]) -> None:
    writer, reader = wire()
    messages = [f"message {number}".encode() for number in range(5)]
    frames = [frame for message in messages for frame in writer.frames([message])]
    read, fault = read_all(reader, [frames[number] for number in order])
    assert type(fault) is Malformed
    assert read == messages[: len(read)]


def test_a_frame_twice_is_malformed() -> None:
    writer, reader = wire()
    (frame,) = writer.frames([b"again"])
    read, fault = read_all(reader, [frame, frame])
    assert (read, type(fault)) == ([b"again"], Malformed)


def test_a_frame_of_the_other_direction_is_malformed() -> None:
    alice, bob = shake(dialer(), listener())
    (frame,) = FrameWriter(bob.sender).frames([b"echo"])
    with pytest.raises(Malformed):
        FrameReader(bob.receiver).feed(frame)
    assert FrameReader(alice.receiver).feed(frame) == [b"echo"]


@pytest.mark.parametrize(
    ("plain", "error"),
    [
        (b"\x00", Malformed),  # a message with no bytes
        (b"\x80\x00", Malformed),  # zero, spelled long
        (b"\x85\x00hello", Malformed),  # five, spelled long
        (b"\x85\x80\x00hello", Malformed),
        (b"\x81\x80\x90\x01", TooLarge),  # one over the limit
        (b"\xff\xff\xff\x7f", TooLarge),
        (b"\x80\x80\x80\x80\x01", TooLarge),  # over 28 bits
        (b"\xff\xff\xff\xff", TooLarge),
    ],
)
def test_a_bad_message_length_is_named_before_anything_is_held(plain: bytes, error: type[Exception]) -> None:
    frame, reader = sealed(plain)
    with pytest.raises(error):
        reader.feed(frame)
    assert reader.pending == 0


def test_the_limit_itself_is_allowed() -> None:
    assert MESSAGE_BYTES_MAX == 0x240000
    frame, reader = sealed(b"\x80\x80\x90\x01")
    assert reader.feed(frame) == []
    assert reader.fault is None


@pytest.mark.parametrize("size", [0, 1, 16])
def test_a_frame_with_nothing_in_it_is_malformed_at_its_length(size: int) -> None:
    _, reader = wire()
    with pytest.raises(Malformed):
        reader.feed(size.to_bytes(2, "big"))


def test_messages_before_a_fault_come_first_and_the_fault_stays() -> None:
    writer, reader = wire()
    good = b"".join(writer.frames([b"one", b"two"]))
    assert reader.feed(good + b"\x00\x01") == [b"one", b"two"]
    assert isinstance(reader.fault, Malformed)
    for data in (b"more", b"", good):
        with pytest.raises(Malformed):
            reader.feed(data)


def test_what_is_held_stays_under_one_frame_and_one_message() -> None:
    writer, reader = wire()
    held = 0
    for frame in writer.frames([b"m" * MESSAGE_BYTES_MAX]):
        for piece in (frame[:-1], frame[-1:]):
            reader.feed(piece)
            held = max(held, reader.pending)
    assert held <= MESSAGE_BYTES_MAX + FRAME_BYTES_MAX


def test_both_ends_rekey_at_the_same_message() -> None:
    alice, bob = shake(dialer(), listener())
    sender, receiver = Cipher(alice.sender._state, rekey_every=3), Cipher(bob.receiver._state, rekey_every=3)
    plain = shake(dialer(), listener())[0].sender  # the same keys, and no rekeying in sight
    sealed_texts = [sender.seal(b"text") for _ in range(10)]
    assert [receiver.open(text) for text in sealed_texts] == [b"text"] * 10
    unchanged = [text == plain.seal(b"text") for text in sealed_texts]
    assert unchanged == [True] * 3 + [False] * 7


def test_a_rekeyed_key_is_what_the_noise_specification_says() -> None:
    cipher = Cipher(shake(dialer(), listener())[0].sender._state, rekey_every=2)
    old = ChaCha20Poly1305(cipher._state.k)
    cipher.seal(b"one")
    cipher.seal(b"two")
    new = ChaCha20Poly1305(old.encrypt(bytes(4) + b"\xff" * 8, bytes(32), b"")[:32])
    assert cipher.seal(b"three") == new.encrypt(bytes(4) + (2).to_bytes(8, "little"), b"three", b"")
