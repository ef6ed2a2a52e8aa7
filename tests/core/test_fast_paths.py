"""What is done for many entries at once says of every byte string what doing it one by one says."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgpack
import pytest
from builders import person
from core_scenes import alice_with_a_long_log, flipped, tampered
from hypothesis import example, given
from hypothesis import strategies as st
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey
from values import VALUES

from p2pblog.config import NOTE_BYTES_MAX, NOTE_CHARACTERS_MAX, PAYLOAD_BYTES_MAX, RUN_BYTES_MAX, TIME_MS_MAX
from p2pblog.core import codec, runs
from p2pblog.core.entry import Entry, entries_of
from p2pblog.core.keys import check_key, hash32
from p2pblog.core.payload import Note, Ref, Unknown, decode, encode, plain_texts
from p2pblog.core.runs import check_run, encode_run
from p2pblog.core.value import replace
from p2pblog.errors import BadSignature, Malformed, NotCanonical, RemoteProtocolError, TooLarge
from p2pblog.store.meaning import Kind, meaning_of
from p2pblog.store.stretch import meanings_of

ALICE = alice_with_a_long_log()
LOG = ALICE.log
WIRE_BYTES_MAX = RUN_BYTES_MAX + 2**18

# --- runs -------------------------------------------------------------------------------------------------------------


def one_by_one(value: Any, texts: bool = False) -> list[Entry]:
    """A run read as docs/protocol/runs.md tells it, entry after entry, with msgpack, hashlib and PyNaCl alone."""
    device, first, prev, steps, carried, signatures = value
    entries, time_ms, total = [], 0, 0
    for seq, (step, payload) in enumerate(zip(steps, carried, strict=True), first):
        if type(step) is not int or not 0 <= time_ms + step <= TIME_MS_MAX:
            raise Malformed("a time")
        time_ms += step
        if texts and isinstance(payload, str):
            if len(payload) > NOTE_CHARACTERS_MAX or len(payload.encode()) > NOTE_BYTES_MAX:
                raise TooLarge("a text")
            payload = msgpack.packb({"text": payload, "type": "note"})
        elif texts and isinstance(payload, bytes) and as_msgpack_says(payload) is not None:
            raise NotCanonical("a plain note")
        if isinstance(payload, bytes):
            size, hashed = len(payload), blake2b(payload, digest_size=32, person=b"p2pblog payload1").digest()
            total += size
            if size > PAYLOAD_BYTES_MAX or total > RUN_BYTES_MAX:
                raise TooLarge("payloads")
        elif isinstance(payload, list) and len(payload) == 2 and isinstance(payload[1], bytes):
            (size, hashed), payload = payload, None
            if type(size) is not int or not 0 <= size <= PAYLOAD_BYTES_MAX or len(hashed) != 32:
                raise Malformed("a gap")
        else:
            raise Malformed("a payload")
        body = msgpack.packb([1, device, seq, prev, time_ms, size, hashed])
        identifier = blake2b(body, digest_size=32, person=b"p2pblog entry 1").digest()
        entries.append(Entry(device, seq, prev, time_ms, size, hashed, identifier, payload))
        prev = identifier
    check_key(device)
    for at, entry in enumerate(entries):
        if entry.seq % 64 == 0 or entry is entries[-1]:
            signature, signatures = signatures[:64], signatures[64:]
            try:
                VerifyKey(device).verify(b"p2pblog entry 1\0" + entry.id, signature)
            except (BadSignatureError, ValueError) as error:
                raise BadSignature("a signature") from error
            entries[at] = replace(entry, signature=signature)
    if signatures:
        raise BadSignature("more than are due")
    return entries


def verdict(read: Any, value: Any, texts: bool = False) -> Any:
    """What comes of reading: the entries, or the name of the error."""
    try:
        return list(read(value, texts=texts))
    except RemoteProtocolError as error:
        return error.name


def stretch(first: int, last: int, gone: set[int], texts: bool = False) -> list[Any]:
    entries = [entry.without_payload() if entry.seq in gone else entry for entry in LOG.run(first, last)]
    return encode_run(entries, texts=texts)


PLACES = (
    st.integers(1, len(LOG.entries)),
    st.integers(0, 140),
    st.sets(st.integers(1, len(LOG.entries)), max_size=3),
)
RUNS = st.builds(lambda first, more, gone: stretch(first, min(first + more, len(LOG.entries)), gone), *PLACES)
RUNS_OF_TEXTS = st.builds(
    lambda first, more, gone: stretch(first, min(first + more, len(LOG.entries)), gone, texts=True), *PLACES
)


@given(RUNS)
def test_a_run_is_read_as_its_page_tells(run: list[Any]) -> None:
    assert verdict(check_run, run) == one_by_one(run)


@given(*PLACES)
def test_a_run_of_texts_is_read_as_its_page_tells_and_as_one_of_payloads(first: int, more: int, gone: set[int]) -> None:
    last = min(first + more, len(LOG.entries))
    run, whole = stretch(first, last, gone, texts=True), stretch(first, last, gone)
    assert verdict(check_run, run, True) == one_by_one(run, True) == one_by_one(whole)
    notes = check_run(run, texts=True).notes
    assert [bool(note) for note in notes] == [isinstance(item, str) for item in run[4]]
    assert sum(check_run(whole).notes) == 0
    if any(notes):
        assert verdict(check_run, run) == "malformed"
        assert verdict(check_run, whole, True) == "not-canonical"


ODD_STEPS = [-1, TIME_MS_MAX, TIME_MS_MAX + 1, -TIME_MS_MAX, True, None, 0.5, 2**63]
ODD_PAYLOADS = [
    b"", bytes(PAYLOAD_BYTES_MAX), bytes(PAYLOAD_BYTES_MAX + 1), "text", None, [5, bytes(32)], [5, bytes(31)], [5],
    [PAYLOAD_BYTES_MAX + 1, bytes(32)], [True, bytes(32)], [bytes(32), 5],
]  # fmt: skip


@given(RUNS, st.data())
def test_whatever_is_wrong_in_the_columns_has_the_same_name_both_ways(run: list[Any], data: st.DataObject) -> None:
    """Up to three odd steps and payloads: the first one in the run is named, whatever kind it is of."""
    steps, carried = list(run[3]), list(run[4])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(steps) - 1))
        if data.draw(st.booleans()):
            steps[at] = data.draw(st.sampled_from(ODD_STEPS))
        else:
            carried[at] = data.draw(st.sampled_from(ODD_PAYLOADS))
    changed = [*run[:3], steps, carried, run[5]]
    assert verdict(check_run, changed) == verdict(one_by_one, changed)


ODD_TEXTS = [
    "", "x" * NOTE_CHARACTERS_MAX, "x" * (NOTE_CHARACTERS_MAX + 1), "\U0001f30d" * 3_750, "\U0001f30d" * 3_751,
    ["text"], codec.pack({"text": "x", "type": "note"}), codec.pack({"text": "x" * 5_001, "type": "note"}), True,
]  # fmt: skip


@given(RUNS_OF_TEXTS, st.data())
def test_whatever_is_wrong_in_texts_has_the_same_name_both_ways(run: list[Any], data: st.DataObject) -> None:
    steps, carried = list(run[3]), list(run[4])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(steps) - 1))
        if data.draw(st.integers(0, 3)):
            carried[at] = data.draw(st.sampled_from(ODD_PAYLOADS + ODD_TEXTS))
        else:
            steps[at] = data.draw(st.sampled_from(ODD_STEPS))
    changed = [*run[:3], steps, carried, run[5]]
    assert verdict(check_run, changed, True) == verdict(one_by_one, changed, True)


def test_the_total_counts_texts_as_the_notes_that_they_are() -> None:
    """139 notes of 15,000 bytes of text, and a payload that fills what is left of 2 MiB: what is around them counts."""
    text = "\U0001f30d" * 3_750
    left = RUN_BYTES_MAX - 139 * len(codec.pack({"text": text, "type": "note"}))
    assert left < PAYLOAD_BYTES_MAX and 139 * len(text.encode()) + left < RUN_BYTES_MAX
    for last, name in ((bytes(left), "bad-signature"), (bytes(left + 1), "too-large")):
        run = [ALICE.key, 1, None, [0] * 140, [text] * 139 + [last], bytes(64 * 3)]
        assert verdict(check_run, run, True) == verdict(one_by_one, run, True) == name


@pytest.mark.parametrize("odd", ["time", "gap"])
def test_the_total_is_counted_up_to_the_first_fault(odd: str) -> None:
    steps, carried = [0] * 140, [bytes(PAYLOAD_BYTES_MAX)] * 140
    for at in (120, 135):  # the payloads pass 2 MiB at 128
        run = [ALICE.key, 1, None, list(steps), list(carried), b""]
        run[3 if odd == "time" else 4][at] = None
        assert verdict(check_run, run) == verdict(one_by_one, run) == ("malformed" if at == 120 else "too-large")


def test_every_flipped_bit_is_judged_alike() -> None:
    wire, judged = codec.pack(stretch(62, 66, {65})), 0
    for changed in flipped(wire):
        try:
            value = codec.unpack(changed, WIRE_BYTES_MAX)
        except RemoteProtocolError:
            continue
        told = verdict(check_run, value)
        assert isinstance(told, str)
        if told == "bad-signature":  # the others are faults of shape, which the reference does not look at
            assert verdict(one_by_one, value) == told
            judged += 1
    assert judged > 8 * 200


def test_a_signature_is_checked_at_each_checkpoint_and_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """16 checks for a run of 1,000: what makes first sync fast, and what makes every stretch fit to be passed on."""
    bob = person("bob")
    bob.notes(1_000)
    checked: list[bytes] = []
    honest = runs.verify

    def counting(public: bytes, domain: bytes, message: bytes, signature: bytes) -> None:
        checked.append(message)
        honest(public, domain, message, signature)

    monkeypatch.setattr(runs, "verify", counting)
    for first, last, due in [(1, 1_000, 16), (2, 1_001, 16), (64, 64, 1), (65, 127, 1), (64, 128, 2), (5, 5, 1)]:
        checked.clear()
        run = bob.log.run(first, last)
        assert check_run(encode_run(run)) == run
        assert checked == [entry.id for entry in run if entry.signature is not None]
        assert len(checked) == due


def test_a_verified_run_reads_like_its_entries() -> None:
    entries = LOG.run(60, 70)
    run = check_run(encode_run(entries))
    assert (run[0], run[-1], len(run)) == (entries[0], entries[-1], 11)  # before they are all made
    assert run[2:5] == entries[2:5]
    assert (run[0], run[-11]) == (entries[0], entries[0])
    assert run == entries and entries == run and hash(run) == hash(entries)
    assert run != entries[:-1] and run != 5
    for wrong in (11, -12):
        with pytest.raises(IndexError):
            check_run(encode_run(entries))[wrong]


def test_entries_made_from_columns_are_like_all_others() -> None:
    entry = LOG.entries[70]
    (made,) = entries_of(*([getattr(entry, name)] for name in Entry.__struct_fields__))
    assert made == entry and hash(made) == hash(entry)
    with pytest.raises(AttributeError):
        made.seq = 5  # type: ignore[misc]


# --- payloads ---------------------------------------------------------------------------------------------------------


def plain_text_of(data: bytes) -> str | None:
    (text,) = plain_texts([data])
    return text


def as_msgpack_says(data: bytes) -> str | None:
    """The text of a plain note as a full decoding finds it."""
    try:
        value = codec.unpack(data, PAYLOAD_BYTES_MAX)
    except RemoteProtocolError:
        return None
    if not isinstance(value, dict) or list(value) != ["text", "type"] or value["type"] != "note":
        return None
    text = value["text"]
    good = isinstance(text, str) and len(text) <= NOTE_CHARACTERS_MAX and len(text.encode()) <= NOTE_BYTES_MAX
    return text if good else None


LENGTHS = [0, 1, 30, 31, 32, 33, 254, 255, 256, 257, NOTE_CHARACTERS_MAX, NOTE_CHARACTERS_MAX + 1, NOTE_BYTES_MAX]


@pytest.mark.parametrize("length", LENGTHS)
def test_a_plain_note_of_any_length_is_one(length: int) -> None:
    for text in ("x" * length, "é" * (length // 2), "\U0001f30d" * (length // 4)):
        data = codec.pack({"text": text, "type": "note"})
        assert plain_text_of(data) == as_msgpack_says(data) == (text if len(text) <= NOTE_CHARACTERS_MAX else None)


HEADS = st.sampled_from([b"\xa0", b"\xbf", b"\xbfx", b"\xd9", b"\xd9\x1f", b"\xd9\x20", b"\xda", b"\xda\x00", b"\xc4"])


@given(HEADS | st.binary(max_size=3), st.text(max_size=40).map(str.encode) | st.binary(max_size=300), st.booleans())
@example(b"\xbfx", b"x" * 31, True)
@example(b"\xd9\x1f", b"x" * 31, True)
@example(b"\xda\x00\xff", b"x" * 255, True)
@example(b"\xa2", b"\xff\xfe", True)
def test_no_other_bytes_pass_for_a_plain_note(head: bytes, text: bytes, fits: bool) -> None:
    if fits and len(head) == 1:
        head += bytes([len(text) % 256])
    data = b"\x82\xa4text" + head + text + b"\xa4type\xa4note"
    assert plain_text_of(data) == as_msgpack_says(data)


@given(st.text(max_size=300), st.data())
def test_no_accident_passes_for_a_plain_note(text: str, data: st.DataObject) -> None:
    changed = data.draw(tampered(codec.pack({"text": text, "type": "note"})))
    found = as_msgpack_says(changed)
    assert plain_text_of(changed) == found
    assert found is None or decode(changed) == Note(found)


@pytest.mark.parametrize("size", [0, 6, 16, 17, 48, 49, 50, 51, 273, 274, 275, 276, 277, PAYLOAD_BYTES_MAX])
def test_no_size_alone_makes_a_plain_note(size: int) -> None:
    tail = b"\xa4type\xa4note"
    for filled in (bytes(size), b"\xc1" * size, (b"\x82\xa4text\xa0" + b"x" * size)[: max(0, size - 10)] + tail):
        assert plain_text_of(filled) == as_msgpack_says(filled)
        assert meaning_of(filled).kind is (Kind.OTHER if as_msgpack_says(filled) is None else Kind.NOTE)


def test_notes_that_say_more_are_read_in_full() -> None:
    parent = Ref(ALICE.hash, ALICE.key, 5, LOG.entries[4].id)
    reply = encode(Note("yes", parent))
    assert plain_text_of(reply) is None and decode(reply) == Note("yes", parent)
    later = codec.pack({"text": "yes", "type": "note", "zoom": 5})
    assert plain_text_of(later) is None and decode(later) == Note("yes")
    assert decode(codec.pack({"type": "note"})) == Unknown("note")


SIGNS = st.sampled_from(
    [encode(Note(text)) for text in ("#bees", "!birds", "wow!", "a#b", "@", f"@{ALICE.address}", "x" * 33, "x" * 64)]
)


@given(st.lists(st.none() | st.sampled_from([entry.payload for entry in LOG.entries]) | st.binary(max_size=50) | SIGNS))
def test_a_run_means_what_its_entries_mean(payloads: list[bytes | None]) -> None:
    notes = bytes([payload is not None and plain_text_of(payload) is not None for payload in payloads])
    for known in (notes, bytes(len(payloads))):
        assert meanings_of(payloads, known) == [meaning_of(payload) for payload in payloads]


# --- messages ---------------------------------------------------------------------------------------------------------


def both_ways(data: bytes, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    def read() -> Any:
        try:
            return codec.unpack(data, WIRE_BYTES_MAX)
        except RemoteProtocolError as error:
            return error.name, str(error)

    quick = read()
    with monkeypatch.context() as patch:
        patch.setattr(codec, "_is_whole", lambda data: False)  # our own walk over the tokens, and then decoding
        return quick, read()


LARGE = codec.pack([stretch(60, 70, set()), {"a": [None, True, 2**64 - 1, -(2**63)], "b": {"c": "text"}}])


@given(tampered(LARGE))
def test_messages_are_judged_alike_with_and_without_our_own_walk(data: bytes) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        quick, careful = both_ways(data, monkeypatch)
        assert quick == careful


PADDING = codec.pack([bytes(600)])[1:]
FOUL = [
    b"\x91" * 9 + b"\xc0", b"\x91" * 2000, b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc1", b"\xca\0\0\0\0",
    b"\xcb" + bytes(8), b"\xd4\x01\0", b"\xc7\0\0", b"\x81\x01\x01",
    b"\x82\xa1b\x01\xa1a\x01", b"\x82\xa1a\x01\xa1a\x01",
    b"\xa1\xff", b"\xd9\x01a", b"\xcc\x05", b"\xd3" + bytes(8), b"\x90" * 3, b"",
]  # fmt: skip


@pytest.mark.parametrize("foul", FOUL, ids=bytes.hex)
@pytest.mark.parametrize("other", [b"", b"\xca\0\0\0\0", b"\x91" * 9 + b"\xc0", b"\xc1"], ids=bytes.hex)
def test_of_two_faults_the_same_one_is_named(foul: bytes, other: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    for data in (b"\x93" + PADDING + foul + other, b"\x93" + foul + PADDING + other, b"\x93" + foul + other + PADDING):
        quick, careful = both_ways(data, monkeypatch)
        assert quick == careful


@given(st.lists(VALUES, min_size=20, max_size=40))
def test_any_message_is_read_alike(values: list[Any]) -> None:
    data = codec.pack([values, bytes(600)])
    assert codec.unpack(data, WIRE_BYTES_MAX) == [values, bytes(600)]


def test_a_hash_that_is_copied_stays_as_it_was() -> None:
    for data in (b"one", b"another", b"one"):
        assert hash32(data, b"p2pblog tests") == blake2b(data, digest_size=32, person=b"p2pblog tests").digest()
