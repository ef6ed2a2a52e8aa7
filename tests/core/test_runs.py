"""Bob receives stretches of Alice's log; Mallory, on the way, changes what she can."""

from __future__ import annotations

import random
from typing import Any

import pytest
from builders import NOON, key_pair, person
from core_scenes import alice_with_a_long_log, flipped, tampered
from hypothesis import assume, given
from hypothesis import strategies as st
from values import VALUES

from p2pblog.config import PAYLOAD_BYTES_MAX, RUN_BYTES_MAX, RUN_ENTRIES_MAX, SEQ_MAX, TIME_MS_MAX
from p2pblog.core import codec
from p2pblog.core.entry import Entry, write
from p2pblog.core.keys import ENTRY_DOMAIN, EntryId
from p2pblog.core.runs import check_run, encode_run, run_start
from p2pblog.core.value import replace
from p2pblog.errors import BadChain, BadSignature, LocalProtocolError, RemoteProtocolError, TooLarge

ALICE = alice_with_a_long_log()
LOG = ALICE.log
FIRST = st.integers(1, len(LOG.entries))


def arrive(wire: bytes, before: EntryId | None = None) -> tuple[Entry, ...]:
    return check_run(codec.unpack(wire, bytes_max=RUN_BYTES_MAX + 2**18), before)


def before(first: int) -> EntryId | None:
    """What Bob knows of the entry before this number."""
    return LOG.entries[first - 2].id if first > 1 else None


@st.composite
def stretches(draw: st.DrawFn) -> tuple[Entry, ...]:
    """Consecutive entries of Alice's log as a peer holds them, some payloads gone."""
    first = draw(FIRST)
    last = draw(st.integers(first, min(len(LOG.entries), first + 80)))
    gone = draw(st.sets(st.integers(first, last), max_size=5))
    return tuple(entry.without_payload() if entry.seq in gone else entry for entry in LOG.run(first, last))


@given(stretches(), st.booleans())
def test_bob_reads_what_alice_wrote(entries: tuple[Entry, ...], known: bool) -> None:
    run = encode_run(entries, prev_known=known)
    held = before(entries[0].seq)
    assert arrive(codec.pack(run), held) == entries
    if not known:
        assert arrive(codec.pack(run)) == entries
    assert run_start(run) == (ALICE.key, entries[0].seq)


@given(stretches())
def test_what_bob_received_he_can_pass_on(entries: tuple[Entry, ...]) -> None:
    assert encode_run(arrive(codec.pack(encode_run(entries)))) == encode_run(entries)


@given(stretches(), st.data())
def test_any_held_stretch_that_ends_on_a_signature_is_a_run(entries: tuple[Entry, ...], data: st.DataObject) -> None:
    signed = [at for at, entry in enumerate(entries) if entry.signature is not None]
    last = data.draw(st.sampled_from(signed))
    first = data.draw(st.integers(0, last))
    part = entries[first : last + 1]
    assert arrive(codec.pack(encode_run(part))) == part


# --- what Mallory tries -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "first, last, gone, known",
    [(1, 3, 2, False), (61, 66, 65, False), (5, 7, 6, True), (64, 64, 0, False)],
    ids=["from the start", "over a checkpoint", "with the predecessor known", "one checkpoint"],
)
def test_no_bit_of_a_run_can_be_flipped(first: int, last: int, gone: int, known: bool) -> None:
    entries = [entry.without_payload() if entry.seq == gone else entry for entry in LOG.run(first, last)]
    wire = codec.pack(encode_run(entries, prev_known=known))
    for changed in flipped(wire):
        for held in {None, before(first)}:
            with pytest.raises(RemoteProtocolError):
                arrive(changed, held)


@given(stretches(), st.data())
def test_no_bit_of_any_run_can_be_flipped(entries: tuple[Entry, ...], data: st.DataObject) -> None:
    wire = bytearray(codec.pack(encode_run(entries)))
    bit = data.draw(st.integers(0, 8 * len(wire) - 1))
    wire[bit // 8] ^= 1 << bit % 8
    with pytest.raises(RemoteProtocolError):
        arrive(bytes(wire), data.draw(st.sampled_from([None, before(entries[0].seq)])))


@given(stretches(), st.data())
def test_a_run_that_was_tampered_with_is_refused_by_name(entries: tuple[Entry, ...], data: st.DataObject) -> None:
    wire = codec.pack(encode_run(entries))
    changed = data.draw(tampered(wire))
    assume(changed != wire)
    with pytest.raises(RemoteProtocolError):
        arrive(changed)


def columns(entries: tuple[Entry, ...]) -> tuple[list[Any], list[int], list[Any]]:
    """A run with its times told absolutely, so that whole entries can be moved about."""
    run = encode_run(entries)
    return run, [entry.time_ms for entry in entries], list(run[4])


def rebuilt(run: list[Any], times: list[int], payloads: list[Any], **fields: Any) -> bytes:
    steps = [time - earlier for time, earlier in zip(times, [0, *times], strict=False)]
    names = ["device", "first", "prev", "times", "payloads", "signatures"]
    whole = dict(zip(names, run, strict=True)) | {"times": steps, "payloads": payloads} | fields
    return codec.pack(list(whole.values()))


@given(stretches(), st.randoms(use_true_random=False))
def test_entries_cannot_change_places(entries: tuple[Entry, ...], rng: random.Random) -> None:
    run, times, payloads = columns(entries)
    order = list(range(len(entries)))
    rng.shuffle(order)
    moved = [times[at] for at in order], [payloads[at] for at in order]
    assume(moved != (times, payloads))
    with pytest.raises(BadSignature):
        arrive(rebuilt(run, *moved))


@given(stretches(), st.data())
def test_an_entry_cannot_be_left_out(entries: tuple[Entry, ...], data: st.DataObject) -> None:
    assume(len(entries) > 1)
    run, times, payloads = columns(entries)
    at = data.draw(st.integers(0, len(entries) - 1))
    del times[at], payloads[at]
    with pytest.raises(BadSignature):
        arrive(rebuilt(run, times, payloads))
    with pytest.raises(RemoteProtocolError):  # nor with the numbers mended
        arrive(rebuilt(run, times, payloads, first=entries[0].seq + 1))


@given(stretches(), st.data())
def test_an_entry_cannot_be_put_in(entries: tuple[Entry, ...], data: st.DataObject) -> None:
    run, times, payloads = columns(entries)
    at = data.draw(st.integers(0, len(entries)))
    times.insert(at, NOON)
    payloads.insert(at, data.draw(st.binary(max_size=20)))
    with pytest.raises(BadSignature):
        arrive(rebuilt(run, times, payloads))


@given(stretches(), st.integers(1, 200))
def test_a_run_cannot_be_hung_elsewhere(entries: tuple[Entry, ...], number: int) -> None:
    first = entries[0].seq
    assume(first > 1 and number != first - 1)
    run, times, payloads = columns(entries)
    other = LOG.entries[number - 1].id
    with pytest.raises(BadSignature):
        arrive(rebuilt(run, times, payloads, prev=other))
    with pytest.raises(BadSignature):
        arrive(rebuilt(run, times, payloads, prev=None), other)
    with pytest.raises(BadChain):
        arrive(rebuilt(run, times, payloads), other)


@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 20), st.booleans())
def test_two_branches_cannot_be_spliced(split: int, more: int, taken: int, ends_like_the_rival: bool) -> None:
    """Alice's own device forked after entry `split`: the beginning of one branch, the end of the other."""
    rival = LOG.branch(split)
    for number in range(more + taken):
        rival.note(f"rival {number}")
    ours, theirs = LOG.run(1, split + more + taken), rival.run()
    run, times, payloads = columns(ours)
    _, rival_times, rival_payloads = columns(theirs)
    cut = split + more
    mixed = [*times[:cut], *rival_times[cut:]], [*payloads[:cut], *rival_payloads[cut:]]
    signatures = encode_run(theirs if ends_like_the_rival else ours)[5]
    with pytest.raises(BadSignature):
        arrive(rebuilt(run, *mixed, signatures=signatures))


@given(stretches(), FIRST)
def test_a_signature_cannot_be_stolen_from_another_entry(entries: tuple[Entry, ...], number: int) -> None:
    assume(number != entries[-1].seq)
    run, times, payloads = columns(entries)
    stolen = LOG.entries[number - 1].signature
    with pytest.raises(BadSignature):
        arrive(rebuilt(run, times, payloads, signatures=run[5][:-64] + stolen))


def test_a_signature_cannot_be_stolen_from_another_log() -> None:
    bob = person("bob")
    bob.notes(2)
    ours, theirs = encode_run(LOG.run(1, 3)), encode_run(bob.log.run())
    for mixed in ([*ours[:5], theirs[5]], [theirs[0], *ours[1:]], [*theirs[:3], *ours[3:]], [ours[0], *theirs[1:]]):
        with pytest.raises(BadSignature):
            arrive(codec.pack(mixed))


def test_a_signature_at_each_checkpoint_must_hold_although_the_last_one_does() -> None:
    """A log's owner can chain over a bad signature; peers that stop there could not serve what they hold."""
    entries = LOG.run(60, 130)
    run = encode_run(entries)
    assert len(run[5]) == 3 * 64
    for at in range(3):
        bad = run[5][: 64 * at] + ALICE.device.sign(ENTRY_DOMAIN, b"else") + run[5][64 * at + 64 :]
        with pytest.raises(BadSignature):
            arrive(codec.pack([*run[:5], bad]))


def test_a_chain_over_a_weak_key_is_refused() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        check_run([bytes([1]) + bytes(31), 1, None, [NOON], [b""], bytes([1]) + bytes(63)])
    assert caught.value.name == "bad-key"


@given(VALUES | st.lists(VALUES, min_size=6, max_size=6), st.none() | st.binary(min_size=32, max_size=32))
def test_no_value_surprises_the_check(value: Any, held: EntryId | None) -> None:
    for look in (lambda: check_run(value, held), lambda: run_start(value)):
        try:
            look()
        except RemoteProtocolError:
            continue


# --- bounds -----------------------------------------------------------------------------------------------------------


def test_the_longest_run_passes_and_one_more_does_not() -> None:
    carol = person("carol")
    carol.write_all([b""] * RUN_ENTRIES_MAX)
    longest = carol.log.run(1, RUN_ENTRIES_MAX)
    assert arrive(codec.pack(encode_run(longest))) == longest
    with pytest.raises(LocalProtocolError):
        encode_run(carol.log.run())
    with pytest.raises(LocalProtocolError):
        encode_run([])
    run = encode_run(longest)
    with pytest.raises(TooLarge):
        check_run([*run[:3], [*run[3], 0], [*run[4], b""], run[5]])


def test_the_largest_run_passes_and_one_byte_more_does_not() -> None:
    carol = person("carol")
    fill = RUN_BYTES_MAX - carol.log.entries[0].payload_size
    sizes = [PAYLOAD_BYTES_MAX] * (fill // PAYLOAD_BYTES_MAX)
    carol.write_all([bytes(size) for size in [*sizes, fill - sum(sizes)]])
    largest = carol.log.run()
    assert arrive(codec.pack(encode_run(largest))) == largest
    carol.log.write(b"x")
    with pytest.raises(LocalProtocolError):
        encode_run(carol.log.run())
    whole = encode_run(largest)
    with pytest.raises(TooLarge):
        check_run([*whole[:3], [*whole[3], 0], [*whole[4], b"x"], whole[5]])


def test_retracted_payloads_take_no_room_in_a_run() -> None:
    """Otherwise a stretch of large deleted notices could never travel again."""
    carol = person("carol")
    carol.write_all([bytes(PAYLOAD_BYTES_MAX)] * 200)
    gone = tuple(entry.without_payload() for entry in carol.log.run())
    assert arrive(codec.pack(encode_run(gone))) == gone


def test_a_run_is_small() -> None:
    """165 bytes for a notice of 140 characters within a run."""
    carol = person("carol")
    carol.notes(50, "x" * 137)
    wire = codec.pack(encode_run(carol.log.run(2, 51), prev_known=True))
    assert (len(wire) - 64 - 40) / 50 < 170


@pytest.mark.parametrize("times", [[-1], [TIME_MS_MAX + 1], [0, -1], [TIME_MS_MAX, 1], [True], [None], ["0"], [2**63]])
def test_times_stay_within_their_limits(times: list[Any]) -> None:
    with pytest.raises(RemoteProtocolError):
        check_run([ALICE.device.public, 1, None, times, [b""] * len(times), bytes(64)])


def test_the_last_number_of_a_log_can_travel_and_no_more() -> None:
    last = replace(LOG.entries[10], seq=SEQ_MAX - 1)
    full = write(ALICE.device, last, NOON, b"")
    assert full.seq == SEQ_MAX
    assert arrive(codec.pack(encode_run([full]))) == (full,)
    with pytest.raises(LocalProtocolError):
        write(ALICE.device, full, NOON, b"")
    run = encode_run([full])
    with pytest.raises(RemoteProtocolError):
        check_run([*run[:3], [NOON, 0], [b"", b""], run[5]])


# --- what we would never say ------------------------------------------------------------------------------------------


def test_entries_that_do_not_follow_one_another_are_our_own_fault() -> None:
    bob = person("bob")
    for wrong in (
        [LOG.entries[0], LOG.entries[2]],
        [LOG.entries[1], LOG.entries[0]],
        [LOG.entries[0], bob.log.entries[0]],
        [replace(LOG.entries[0], signature=None)],
        [replace(LOG.entries[63], signature=None), LOG.entries[64]],
    ):
        with pytest.raises(LocalProtocolError):
            encode_run(wrong)


def test_nobody_signs_for_another_device() -> None:
    with pytest.raises(LocalProtocolError):
        write(key_pair("bob"), LOG.entries[0], NOON, b"")
    for time_ms, payload in [(-1, b""), (TIME_MS_MAX + 1, b""), (NOON, bytes(PAYLOAD_BYTES_MAX + 1))]:
        with pytest.raises(LocalProtocolError):
            write(ALICE.device, LOG.entries[0], time_ms, payload)
