"""Runs and fork proofs, right and wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vectors.entry_cases import make_body
from vectors.parts import (
    ALICE,
    BOB,
    LAPTOP,
    NOON,
    PHONE,
    PREV,
    WEAK_KEYS,
    Case,
    accept,
    deep,
    flip,
    malleable,
    raw,
    reject,
    swap,
)
from vectors.readers import read_fork_case, read_run_case

from p2pblog.core import codec
from p2pblog.core.entry import Entry, entry_id, payload_hash, write
from p2pblog.core.forks import ForkProof, prove_fork
from p2pblog.core.identity import Identity
from p2pblog.core.keys import ENTRY_DOMAIN, EntryId, KeyPair
from p2pblog.core.payload import LogStart, Note, encode
from p2pblog.core.runs import encode_run
from p2pblog.core.value import replace


def _log(
    device: KeyPair, count: int, owner: Identity = ALICE, after: Entry | None = None, word: str = "n"
) -> list[Entry]:
    """`count` entries, the first of a log naming its identity; odd ones a minute on, even ones a second ago."""
    written: list[Entry] = []
    last, time_ms = after, NOON if after is None else after.time_ms
    for _ in range(count):
        seq = 1 if last is None else last.seq + 1
        payload = encode(LogStart(owner.hash)) if seq == 1 else encode(Note(f"{word}{seq}"))
        time_ms += 60_000 if seq % 2 else -1_000
        last = write(device, last, time_ms, payload)
        written.append(last)
    return written


def _run(run: Any, before: EntryId | None = None, texts: bool = False) -> Any:
    """`texts`: as between nodes that let notes travel as their texts."""
    return {"run": run if isinstance(run, bytes) else raw(run), "before": before, **({"texts": True} if texts else {})}


def runs() -> list[Case]:
    log = _log(PHONE, 130)
    gap = [entry.without_payload() if entry.seq == 2 else entry for entry in log]
    strange = write(PHONE, log[0], NOON, raw({"options": ["yes", "no"], "type": "poll"}))
    told: dict[str, Any] = {
        "one entry": _run(encode_run(log[:1])),
        "three entries, one of them earlier than the one before": _run(encode_run(log[:3])),
        "a payload that did not come along": _run(encode_run(gap[:3])),
        "no payload at all": _run(encode_run([entry.without_payload() for entry in log[:3]])),
        "from the middle, naming what it follows": _run(encode_run(log[4:7])),
        "from the middle, where the receiver knows what it follows": _run(encode_run(log[4:7], True), log[3].id),
        "from the middle, both": _run(encode_run(log[4:7]), log[3].id),
        "up to a checkpoint": _run(encode_run(log[61:64])),
        "over a checkpoint": _run(encode_run(log[61:66])),
        "from a checkpoint": _run(encode_run(log[63:65])),
        "over two checkpoints": _run(encode_run(log[60:130])),
        "a type of tomorrow": _run(encode_run([log[0], strange])),
        "an empty payload": _run(encode_run([log[0], write(PHONE, log[0], NOON, b"")])),
    }
    cases = [accept(name, given, read_run_case(given)) for name, given in told.items()]
    return cases + _misshapen_runs(log) + _forged_runs(log) + _runs_of_texts(log)


def _with(run: list[Any], **fields: Any) -> list[Any]:
    names = ["device", "first", "prev", "times", "payloads", "signatures"]
    return [fields.get(name, value) for name, value in zip(names, run, strict=True)]


def _misshapen_runs(log: list[Entry]) -> list[Case]:
    run, later = encode_run(log[:3]), encode_run(log[4:7])
    last = replace(log[2], seq=2**32 - 1)
    wrong: dict[str, dict[str, Any]] = {
        "malformed": {
            "no bytes": _run(b""),
            "no array": _run({"run": 1}),
            "five fields": _run(run[:5]),
            "seven fields": _run([*run, None]),
            "no entries": _run(_with(run, times=[], payloads=[], signatures=b"")),
            "a payload missing": _run(_with(run, payloads=run[4][:2])),
            "a time missing": _run(_with(run, times=run[3][:2])),
            "number 0": _run(_with(run, first=0)),
            "past the last number": _run(_with(run, first=last.seq, prev=PREV)),
            "a device key of 31 bytes": _run(_with(run, device=PHONE.public[:31])),
            "a predecessor of 31 bytes": _run(_with(later, prev=PREV[:31])),
            "a time before 1970": _run(_with(run, times=[0, -1, 0])),
            "a time past the last": _run(_with(run, times=[2**53 - 1, 1, 0])),
            "a step that is a float": _run(_with(run, times=[NOON, 1.0, 0])),
            "a step that is true": _run(_with(run, times=[NOON, True, 0])),
            "a payload that is text": _run(_with(run, payloads=[run[4][0], "hello", run[4][2]])),
            "a gap of three fields": _run(_with(run, payloads=[run[4][0], [1, bytes(32), 0], run[4][2]])),
            "a gap with a hash of 31 bytes": _run(_with(run, payloads=[run[4][0], [1, bytes(31)], run[4][2]])),
            "a gap of 16,385 bytes": _run(_with(run, payloads=[run[4][0], [16_385, bytes(32)], run[4][2]])),
            "signatures in an array": _run(_with(run, signatures=[run[5]])),
            "a byte after it": _run(raw(run) + b"\0"),
            "cut short": _run(raw(run)[:-1]),
        },
        "not-canonical": {
            "a long array head": _run(b"\xdc\x00\x06" + raw(run)[1:]),
            "a first number in two bytes": _run(swap(raw(run), b"\x01\xc0\x93", b"\xcc\x01\xc0\x93")),
            "a long head over the signatures": _run(swap(raw(run), b"\xc4\x40" + run[5], b"\xc5\x00\x40" + run[5])),
        },
        "too-large": {
            "1,001 entries": _run(_with(run, times=[0] * 1_001, payloads=[b""] * 1_001)),
            "a payload of 16,385 bytes": _run(_with(run, payloads=[*run[4][:2], bytes(16_385)])),
            "nine levels": _run(_with(run, payloads=[*run[4][:2], deep(7)])),
        },
        "bad-key": {
            f"a weak device key: {name}": _run(_with(run, device=bytes.fromhex(text)))
            for name, text in WEAK_KEYS.items()
        },
        "bad-chain": {
            "a first entry with a predecessor": _run(_with(run, prev=PREV)),
            "a later one without": _run(encode_run(log[4:7], True)),
            "a run that follows another entry than the one held": _run(encode_run(log[4:7]), log[4].id),
        },
    }  # fmt: skip
    return [reject(error, name, given) for error, named in wrong.items() for name, given in named.items()]


def _forged_runs(log: list[Entry]) -> list[Case]:
    run, long = encode_run(log[:3]), encode_run(log[61:66])
    laptop = _log(LAPTOP, 3)
    hidden = _with(run, payloads=[run[4][0], [log[1].payload_size, log[1].payload_hash], run[4][2]])
    checkpoint, end = long[5][:64], long[5][64:]
    forged: dict[str, Any] = {
        "no signature": _run(_with(run, signatures=b"")),
        "half a signature": _run(_with(run, signatures=run[5][:63])),
        "a signature too many": _run(_with(run, signatures=run[5] * 2)),
        "the signature of the entry before": _run(_with(run, signatures=log[1].signature)),
        "a signature with S + L": _run(_with(run, signatures=malleable(run[5]))),
        "signed by another device": _run(_with(run, signatures=LAPTOP.sign(ENTRY_DOMAIN, log[2].id))),
        "a word changed": _run(_with(run, payloads=[*run[4][:2], encode(Note("N3"))])),
        "two payloads exchanged": _run(_with(run, payloads=[run[4][0], run[4][2], run[4][1]])),
        "a time changed by a millisecond": _run(_with(run, times=[run[3][0], run[3][1] + 1, run[3][2] - 1])),
        "an entry left out": _run(_with(run, times=[run[3][0], run[3][1] + run[3][2]], payloads=run[4][::2])),
        "an entry twice": _run(_with(run, times=[*run[3], 0], payloads=[*run[4], run[4][2]])),
        "a run that begins one number later": _run(_with(run, first=2, prev=PREV)),
        "spliced from another log": _run(_with(run, payloads=encode_run(laptop)[4], device=LAPTOP.public)),
        "another log's signature": _run(_with(run, signatures=encode_run(laptop)[5])),
        "another predecessor": _run(_with(encode_run(log[4:7]), prev=log[2].id)),
        "another predecessor, told by the receiver": _run(encode_run(log[4:7], True), log[2].id),
        "a gap of another size": _run(
            _with(hidden, payloads=[run[4][0], [log[1].payload_size + 1, log[1].payload_hash], run[4][2]])
        ),
        "a gap with another hash": _run(
            _with(hidden, payloads=[run[4][0], [log[1].payload_size, payload_hash(b"")], run[4][2]])
        ),
        "a checkpoint without its signature": _run(_with(long, signatures=end)),
        "a checkpoint's signature twice": _run(_with(long, signatures=checkpoint * 2)),
        "the two signatures exchanged": _run(_with(long, signatures=end + checkpoint)),
        "a bad signature at the checkpoint, a good one at the end": _run(
            _with(long, signatures=flip(checkpoint, 7) + end)
        ),
        "a good signature at the checkpoint, a bad one at the end": _run(
            _with(long, signatures=checkpoint + flip(end, 7))
        ),
        "a signature where none is due": _run(_with(run, signatures=(log[1].signature or b"") + run[5])),
    }
    return [reject("bad-signature", name, given) for name, given in forged.items()]


def _texts_log() -> list[Entry]:
    """A log whose notes have texts of each length that matters, and payloads that are no plain notes."""
    at_its_end = "\U0001f30d" * 3_750
    longer = raw({"text": at_its_end + "x", "type": "note"})
    written = _log(PHONE, 1)
    for data in (
        *(encode(Note(text)) for text in ("n2", "", "x" * 31, "x" * 32, "é" * 128, "x" * 5_000, at_its_end, "\0\n!")),
        encode(Note("n10", warning="the end")),
        encode(Note("n11", language="en")),
        raw({"text": "n12", "type": "note", "zoom": 5}),
        raw({"text": "x" * 5_001, "type": "note"}),
        longer,
        raw({"text": b"n15", "type": "note"}),
        b"\x82\xa4type\xa4note\xa4text\xa3n16",
        b"\x82\xa4text\xd9\x03n17\xa4type\xa4note",
        b"\x82\xa4text\xa2\xff\xfe\xa4type\xa4note",
        b"",
    ):
        written.append(write(PHONE, written[-1], written[-1].time_ms + 60_000, data))
    return written


def _runs_of_texts(log: list[Entry]) -> list[Case]:
    texts, gap = _texts_log(), [entry.without_payload() if entry.seq == 2 else entry for entry in log]
    told: dict[str, Any] = {
        "notes as their texts": _run(encode_run(log[:3], texts=True), texts=True),
        "notes as their texts, and one that did not come along": _run(encode_run(gap[:3], texts=True), texts=True),
        "notes as their texts over a checkpoint": _run(encode_run(log[61:66], texts=True), texts=True),
        "texts of every length": _run(encode_run(texts[:9], texts=True), texts=True),
        "what is more or less than a plain note goes whole": _run(encode_run(texts[9:], texts=True), texts=True),
    }
    accepted = [accept(name, given, read_run_case(given)) for name, given in told.items()]
    run, whole = encode_run(log[:3], texts=True), encode_run(log[:3])
    start = run[4][0]
    wrong: dict[str, dict[str, Any]] = {
        "not-canonical": {
            "a note that goes whole where texts travel": _run(whole, texts=True),
            "one note of two that goes whole where texts travel": _run(_with(run, payloads=[start, "n2", whole[4][2]])),
            "a text in a long form": _run(swap(raw(run), b"\xa2n2", b"\xd9\x02n2")),
            "an empty note that goes whole where texts travel": _run(
                _with(run, payloads=[start, encode(Note("")), "n3"])
            ),
        },
        "malformed": {
            "a text that is no UTF-8": _run(swap(raw(run), b"\xa2n2", b"\xa2\xff\xfe")),
            "a text with half a pair of surrogates": _run(swap(raw(run), b"\xa2n2", b"\xa3\xed\xa0\x80")),
            "a text within an array": _run(_with(run, payloads=[start, ["n2"], "n3"])),
            "nil for a text": _run(_with(run, payloads=[start, None, "n3"])),
            "true for a text": _run(_with(run, payloads=[start, True, "n3"])),
            "a map for a text": _run(_with(run, payloads=[start, {"text": "n2", "type": "note"}, "n3"])),
        },
        "too-large": {
            "a text of 5,001 characters": _run(_with(run, payloads=[start, "x" * 5_001, "n3"])),
            "a text of 15,001 bytes": _run(_with(run, payloads=[start, "\U0001f30d" * 3_750 + "x", "n3"])),
        },
        "bad-signature": {
            "the text of a note that says more": _run(_with(encode_run([log[0], texts[1]]), payloads=[start, "n10"])),
            "another text": _run(_with(run, payloads=[start, "n2", "N3"])),
        },
    }  # fmt: skip
    refused = [
        reject(error, name, {**given, "texts": True}) for error, named in wrong.items() for name, given in named.items()
    ]
    return accepted + refused + [reject("malformed", "notes as texts where they go whole", _run(run))]


# --- fork proofs ------------------------------------------------------------------------------------------------------


def _thin(log: Sequence[Entry]) -> list[Entry]:
    """As a peer holds it: signatures at checkpoints and at the end."""
    return [e if e.seq % 64 == 0 or e is log[-1] else replace(e, signature=None) for e in log]


def fork_proofs() -> list[Case]:
    log = _log(PHONE, 130)

    def other(upto: int, count: int) -> list[Entry]:
        return _log(PHONE, count, after=log[upto - 1] if upto else None, owner=ALICE if upto else BOB, word="m")

    at_3 = prove_fork(log[:3], other(2, 1))
    told: dict[str, ForkProof] = {
        "two entries with one number, both signed": at_3,
        "two first entries": prove_fork(log[:1], other(0, 1)),
        "one branch goes on to its signature": prove_fork(_thin(log[:5]), other(2, 1)),
        "both branches go on": prove_fork(_thin(log[:5]), _thin(other(2, 4))),
        "up to the checkpoint": prove_fork(_thin(log), _thin(other(60, 6))),
        "a branch of 64 bodies": prove_fork(_thin(log), _thin(other(64, 1))),
    }
    cases = [accept(name, proof.wire, read_fork_case(proof.wire.hex())) for name, proof in told.items()]
    return cases + _wrong_fork_proofs(at_3, told["both branches go on"], log, other(2, 4))


def _branch(entries: Sequence[Entry], signature: Any = None) -> list[Any]:
    return [[entry.body for entry in entries], signature or entries[-1].signature]


def _hung_on(after: Entry, hashed: bytes) -> list[Any]:
    """A body in the name of the phone, which did not write it, and a signed one of the laptop's that names it."""
    forged = make_body(seq=after.seq + 1, prev=after.id, hashed=hashed)
    end = make_body(device=LAPTOP.public, seq=after.seq + 2, prev=entry_id(forged))
    return [[forged, end], LAPTOP.sign(ENTRY_DOMAIN, entry_id(end))]


def _first_id(branch: list[Any]) -> bytes:
    return entry_id(branch[0][0])


def _wrong_fork_proofs(at_3: ForkProof, long: ForkProof, log: list[Entry], rival: list[Entry]) -> list[Case]:
    low, high = at_3.value
    one, two = long.branches
    laptop = _log(LAPTOP, 3)
    weak = make_body(device=bytes.fromhex(WEAK_KEYS["order 8"]))
    misfits = sorted([log[2], laptop[2]], key=lambda entry: entry.id)
    numbers = sorted([log[3], rival[0]], key=lambda entry: entry.id)
    wrong: dict[str, dict[str, Any]] = {
        "malformed": {
            "no bytes": b"",
            "one branch": raw([low]),
            "three branches": raw([low, high, high]),
            "a branch without signature": raw([low[:1], high]),
            "a signature of 63 bytes": raw([[low[0], low[1][:63]], high]),
            "a body that is an array": raw([[[codec.unpack(low[0][0], 200)], low[1]], high]),
            "a body of six fields": raw([[[raw(codec.unpack(low[0][0], 200)[:6])], low[1]], high]),
            "a byte after it": at_3.wire + b"\0",
        },
        "not-canonical": {
            "a long array head": b"\xdc\x00\x02" + at_3.wire[1:],
            "a body with a long array head": raw([[[b"\xdc\x00\x07" + low[0][0][1:]], low[1]], high]),
            "a number in two bytes within a body": raw(
                [[[swap(low[0][0], b"\x03\xc4\x20", b"\xcc\x03\xc4\x20")], low[1]], high]
            ),
        },
        "too-large": {
            "a branch of 65 bodies": raw([_branch(log[2:67]), high]),
            "more bytes than two full branches": raw([low, high, bytes(20_000)]),
            "nine levels": raw([deep(8), high]),
        },
        "bad-key": {"a weak device key": raw([[[weak], bytes(64)], [[weak], bytes(64)]])},
        "bad-signature": {
            "a flipped bit in the first": raw([[low[0], flip(low[1], 40)], high]),
            "a flipped bit in the second": raw([low, [high[0], flip(high[1], 40)]]),
            "signatures exchanged": raw([[low[0], high[1]], [high[0], low[1]]]),
            "signed by another device": raw([[low[0], LAPTOP.sign(ENTRY_DOMAIN, at_3.ids[0])], high]),
            "a branch cut before its signed entry": raw([_branch(one[:-1], one[-1].signature), _branch(two)]),
        },
        "bad-chain": {
            "a later body without a predecessor": raw([[[make_body(prev=None)], bytes(64)], high]),
        },
        "bad-fork-proof": {
            "one branch twice": raw([low, low]),
            "branches out of order": raw([high, low]),
            "an empty branch": raw([[[], low[1]], high]),
            "two logs": raw([_branch([entry]) for entry in misfits]),
            "two numbers": raw([_branch([entry]) for entry in numbers]),
            "a body left out of a branch": raw([_branch([one[0], *one[2:]]), _branch(two)]),
            "a body of the other branch within": raw([_branch([one[0], two[1], *one[2:]]), _branch(two)]),
            "an entry that the device never signed, under another device's signature": raw(
                sorted([_branch(one), _hung_on(log[1], log[2].payload_hash)], key=_first_id)
            ),
            "branches that agree and then part": raw(
                sorted([_branch(log[1:3]), _branch([log[1], rival[0]])], key=lambda branch: branch[1])
            ),
        },
    }
    return [reject(error, name, data) for error, named in wrong.items() for name, data in named.items()]
