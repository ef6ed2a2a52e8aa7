"""Writes tests/vectors/gossip-messages.json: `PYTHONPATH=tests:tests/gossip .venv/bin/python -m make_gossip_vectors`.

A case is the messages of one direction of a link, in their order, for logs are named once and numbered after; `expect`
tells what the last of them means. Where the link goes on from a memory, a case has the feeds and logs that it knows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vectors.parts import ALICE, BOB, BOB_PHONE, PHONE, PREV, ROOT, Case, accept, deep, in_hex, raw, reject

from p2pblog.core.address import Endpoint
from p2pblog.core.entry import Entry, write
from p2pblog.core.forks import ForkProof, prove_fork
from p2pblog.core.identity import state_device
from p2pblog.core.keys import DeviceKey
from p2pblog.core.media import table_of
from p2pblog.core.payload import LogStart, Note, Ref, encode
from p2pblog.core.runs import encode_run
from p2pblog.core.value import Value
from p2pblog.gossip import messages as m
from p2pblog.gossip.names import Names

FILE = Path(__file__).parent.parent / "vectors" / "gossip-messages.json"
NOON = 1_700_000_000_000
LOG, OTHER = DeviceKey(PHONE.public), DeviceKey(BOB_PHONE.public)
KNOWN = ALICE.merge([state_device(ROOT, PHONE, ALICE.hash, 0, 0)])


def _log() -> list[Entry]:
    entries = [write(PHONE, None, NOON, encode(LogStart(ALICE.hash)))]
    for number in range(3):
        entries.append(write(PHONE, entries[-1], NOON + 1_000 * number, encode(Note(f"note {number}"))))
    return entries


ENTRIES = _log()
REF = Ref(ALICE.hash, LOG, 2, ENTRIES[1].id)
FIRST = Ref(ALICE.hash, LOG, 1, ENTRIES[0].id)
TABLE, LONGER = table_of(b"a picture"), table_of(b"a letter\n" * 10_000)
TIP = m.tip_of(ENTRIES[3].id)


def _fork() -> ForkProof:
    other = [*ENTRIES[:3], write(PHONE, ENTRIES[2], NOON, encode(Note("another")))]
    return prove_fork(ENTRIES, other)


KINDS: list[tuple[str, list[m.Message]]] = [
    ("a Hello of who can be reached and remembers", [m.Hello(1, 4711, 7, bytes(range(8)))]),
    ("a Hello of a newcomer behind a router", [m.Hello(1, 0, 0, None)]),
    ("two tokens", [m.Tokens((b"8 bytes.", b"and more"))]),
    ("no tokens: who follows nobody says so", [m.Tokens(())]),
    ("an identity is shared no more", [m.Forget((ALICE.hash,))]),
    ("Alice's statements", [m.Statements(KNOWN.wire)]),
    (
        "a clock of two spans and a gap, and one of nothing",
        [
            m.Clocks(
                (
                    m.IdentityClock(
                        ALICE.hash, KNOWN.digest, ((LOG, m.Clock(((7, 9), (1, 4)), (8, 2), TIP)), (OTHER, m.Clock()))
                    ),
                    m.IdentityClock(BOB.hash, None, ()),
                )
            )
        ],
    ),
    (
        "a clock that names a log twice, by its key and its number: the later one counts",
        [m.Clocks((m.IdentityClock(ALICE.hash, None, ((LOG, m.Clock(((1, 4),), (), TIP)), (LOG, m.Clock()))),))],
    ),
    ("entries are wanted", [m.Want(LOG, 2, 51)]),
    ("a run", [m.Run(encode_run(ENTRIES))]),
    ("what is wanted is lacking", [m.Lack(LOG, 2)]),
    ("a live entry with its predecessor", [m.Live(encode_run(ENTRIES[1:2]))]),
    (
        "a second live entry: the log by its number, the time as a difference",
        [m.Live(encode_run(ENTRIES[1:2])), m.Live(encode_run(ENTRIES[2:3], prev_known=True))],
    ),
    ("a run with notes as their texts", [m.Run(encode_run(ENTRIES, texts=True))]),
    (
        "a second live entry, its note as its text",
        [m.Live(encode_run(ENTRIES[1:2], texts=True)), m.Live(encode_run(ENTRIES[2:3], True, texts=True))],
    ),
    ("payloads are wanted", [m.WantPayloads(LOG, (9, 4, 3))]),
    ("payloads", [m.Payloads(LOG, ((3, b"three"), (9, b"")))]),
    ("lazy notices of two logs", [m.Have(((LOG, 4), (OTHER, 77)))]),
    ("a graft that asks for entries", [m.Graft(LOG, 3)]),
    ("a graft for what is to come, of a log named before", [m.Have(((LOG, 4),)), m.Graft(LOG, 0)]),
    ("a prune", [m.Prune(LOG)]),
    ("a wait", [m.Wait(LOG, 5)]),
    ("a fork proof", [m.Fork(_fork().wire)]),
    ("an entry is asked for", [m.Fetch(REF)]),
    (
        "an entry is found",
        [m.Found(REF, KNOWN.wire, (ENTRIES[1].body,), ENTRIES[1].signature, ENTRIES[1].payload)],
    ),
    ("an entry is not found", [m.Found(REF)]),
    ("peers of both families", [m.Peers((Endpoint("192.0.2.1", 4711), Endpoint("2001:db8::1", 1)))]),
    ("a ping", [m.Ping(2**32 - 1)]),
    ("a pong", [m.Pong(0)]),
    ("a bye", [m.Bye()]),
    ("a feed is to be relayed, with one more relay at most", [m.Relay(ALICE.hash, 1)]),
    ("a feed is to be relayed by who has it", [m.Relay(BOB.hash, 0)]),
    ("one author is three links away, to another there is no way", [m.Near((b"8 bytes.", b"and more"), b"\x03\xff")]),
    ("the sender is the author", [m.Near((b"8 bytes.",), b"\x00")]),
    ("a Hello of who knows files", [m.Hello(2, 4711, 7, None)]),
    ("the table of a file is wanted", [m.WantTable(TABLE.file)]),
    ("the table of a file of one piece", [m.TableOf(TABLE.file, TABLE)]),
    ("the table of a file of two pieces", [m.TableOf(LONGER.file, LONGER)]),
    ("nothing is held of a file", [m.TableOf(TABLE.file)]),
    ("the last piece that a file can have is wanted", [m.WantPiece(TABLE.file, 127)]),
    ("a piece of a file", [m.Piece(TABLE.file, 0, b"a picture")]),
    ("a piece of a file is not held", [m.Piece(TABLE.file, 0)]),
    ("a Hello of who knows offers", [m.Hello(3, 4711, 7, None)]),
    ("a Hello of who lets notes travel as their texts", [m.Hello(4, 4711, 7, None)]),
    ("an entry that refers to Bob is offered to one who may pass it on", [m.Offer(BOB.hash, 1, (REF,))]),
    ("two entries are offered to the last ones", [m.Offer(BOB.hash, 0, (REF, FIRST))]),
    ("a Hello of who knows alarms", [m.Hello(5, 4711, 7, None)]),
    ("an alarm that two more pass on", [m.Alarm(2)]),
    ("an alarm that nobody passes on", [m.Alarm(0)]),
]


def _bad_frames_and_clocks() -> list[Case]:
    def clocks(*logs: Any) -> list[bytes]:
        return [raw([4, [[ALICE.hash, None, list(logs)]]])]

    return [
        reject("malformed", "nothing at all", [b""]),
        reject("malformed", "a map", [raw({})]),
        reject("malformed", "cut short", [raw([0, 1, 0, 0, None])[:-1]]),
        reject("malformed", "bytes after the message", [raw([21]) + b"\x00"]),
        reject("malformed", "a float for a kind's field", [raw([19, 1.5])]),
        reject("bad-message", "an empty array", [raw([])]),
        reject("bad-message", "a kind that nobody knows", [raw([30])]),
        reject("malformed", "an alarm that goes too far", [raw([29, 3])]),
        reject("bad-message", "a negative kind", [raw([-1])]),
        reject("bad-message", "true for the kind 1", [raw([True, b""])]),
        reject("bad-message", "text for a kind", [raw(["Bye"])]),
        reject("malformed", "one field too many", [raw([21, 0])]),
        reject("malformed", "one field too few", [raw([19])]),
        reject("not-canonical", "a kind in two bytes", [b"\x91\xcc\x15"]),
        reject("not-canonical", "an array in the long form", [b"\xdc\x00\x01\x15"]),
        reject("too-large", "nested too deeply", [raw([4, deep(9)])]),
        reject("malformed", "version 0", [raw([0, 0, 0, 0, None])]),
        reject("malformed", "a port past the last one", [raw([0, 1, 65_536, 0, None])]),
        reject("malformed", "a memory of 7 bytes", [raw([0, 1, 0, 0, bytes(7)])]),
        reject("malformed", "half a token", [raw([1, bytes(12)])]),
        reject("too-large", "more tokens than allowed", [raw([1, bytes(8 * (m.TOKENS_MAX + 1))])]),
        reject("malformed", "an identity of 31 bytes", [raw([2, [bytes(31)]])]),
        reject("malformed", "statements as text", [raw([3, "statements"])]),
        reject("malformed", "spans that touch", clocks([LOG, [5, 9, 1, 4], [], TIP])),
        reject("malformed", "spans in rising order", clocks([LOG, [1, 4, 7, 9], [], TIP])),
        reject("malformed", "a span that ends before it begins", clocks([LOG, [9, 7], [], TIP])),
        reject("malformed", "a span with one end", clocks([LOG, [7, 9, 1], [], TIP])),
        reject("malformed", "a span from 0", clocks([LOG, [0, 4], [], TIP])),
        reject("malformed", "spans and no tip", clocks([LOG, [7, 9], [], None])),
        reject("malformed", "a tip and no spans", clocks([LOG, [], [], TIP])),
        reject("too-large", "more spans than allowed", clocks([LOG, list(range(200, 200 - 2 * 17, -1)), [], TIP])),
        reject(
            "too-large", "more missing payloads than allowed", clocks([LOG, [1, 999], list(range(300, 43, -1)), TIP])
        ),
        reject("too-large", "more logs than allowed", clocks(*([bytes([n]) * 32, [], [], None] for n in range(65)))),
    ]


def _bad_logs_and_later_kinds() -> list[Case]:
    run = encode_run(ENTRIES)
    clock = [ALICE.hash, None, [[LOG, [7, 9, 1, 4], [], TIP]]]
    live = [8, LOG, 2, bytes(PREV), [NOON], [b"x"], bytes(64)]
    return [
        reject("bad-message", "a log by a number before any was named", [raw([5, 0, 1, 2])]),
        reject("bad-message", "a log by the next number", [raw([13, LOG]), raw([13, 1])]),
        reject("not-canonical", "a log named a second time", [raw([13, LOG]), raw([13, LOG])]),
        reject("malformed", "a log of 31 bytes", [raw([13, bytes(31)])]),
        reject("malformed", "a want from 0", [raw([5, LOG, 0, 2])]),
        reject("malformed", "a number past the last one", [raw([14, LOG, 2**32])]),
        reject("malformed", "a run of five columns", [raw([6, run[:5]])]),
        reject("malformed", "a live message without times", [raw([*live[:4], [], [], b""])]),
        reject("malformed", "a time before 1970", [raw([*live[:4], [-1], [b"x"], bytes(64)])]),
        reject(
            "malformed",
            "a difference that leads before 1970",
            [raw(live), raw([8, 0, 3, None, [-NOON - 1], [b"x"], b""])],
        ),
        reject("too-large", "more payloads wanted than allowed", [raw([9, LOG, list(range(66, 1, -1))])]),
        reject("malformed", "a payload as text", [raw([10, LOG, [[3, "three"]]])]),
        reject(
            "too-large", "more lazy notices than allowed", [raw([11, [[LOG, 1], *([0, n] for n in range(2, 1_026))]])]
        ),
        reject("malformed", "a lazy notice of entry 0", [raw([11, [[LOG, 0]]])]),
        reject("malformed", "a reference of three fields", [raw([16, [ALICE.hash, LOG, 2]])]),
        reject("too-large", "more bodies than a chain can have", [raw([17, REF.value, None, [b""] * 65, None, None])]),
        reject("malformed", "a signature of 63 bytes", [raw([17, REF.value, None, [], bytes(63), None])]),
        reject("too-large", "six peers", [raw([18, [["192.0.2.1", n] for n in range(1, 7)]])]),
        reject("malformed", "a peer by name", [raw([18, [["example.org", 4711]]])]),
        reject("not-canonical", "a peer's address in another spelling", [raw([18, [["2001:DB8::1", 4711]]])]),
        reject("malformed", "a peer at port 0", [raw([18, [["192.0.2.1", 0]]])]),
        reject("too-large", "a peer's address in 46 bytes", [raw([18, [["1" * 46, 4711]]])]),
        reject("malformed", "a ping of more than 32 bits", [raw([19, 2**32])]),
        reject("malformed", "a feed of 31 bytes to be relayed", [raw([22, bytes(31), 1])]),
        reject("malformed", "four relays in a row", [raw([22, ALICE.hash, 3])]),
        reject("malformed", "less than no relay", [raw([22, ALICE.hash, -1])]),
        reject("malformed", "a feed to be relayed, however far", [raw([22, ALICE.hash])]),
        reject("not-canonical", "hops in two bytes", [raw([22, ALICE.hash, 1])[:-1] + b"\xcc\x01"]),
        reject("malformed", "more feeds than distances", [raw([23, bytes(16), b"\x01"])]),
        reject("malformed", "a distance beyond those that count", [raw([23, bytes(8), b"\x09"])]),
        reject("malformed", "half a feed", [raw([23, bytes(4), b""])]),
        reject("too-large", "more distances than allowed", [raw([23, b"", bytes(m.TOKENS_MAX + 1)])]),
        reject("not-canonical", "an identity's clock twice in the long form", [b"\x92\x04\xdc\x00\x01" + raw(clock)]),
    ]


def _faulty_twice() -> list[Case]:
    """The field that stands first names the fault."""
    return [
        reject("bad-message", "a live message of an unknown log, without times", [raw([8, 9, 2, None, [], [], b""])]),
        reject("bad-message", "payloads of an unknown log, no array of them", [raw([10, 9, 0])]),
        reject("bad-message", "a lazy notice of an unknown log before half a one", [raw([11, [[9, 1], [LOG]]])]),
        reject("malformed", "half a lazy notice before one of an unknown log", [raw([11, [[LOG], [9, 1]]])]),
        reject("malformed", "a wrong reference and too many bodies", [raw([17, 0, None, [b""] * 65, None, None])]),
        reject("not-canonical", "an address in another spelling at port 0", [raw([18, [["2001:DB8::1", 0]]])]),
        reject("not-canonical", "such an address before half a peer", [raw([18, [["2001:DB8::1", 1], ["::1"]]])]),
    ]


def _bad_files() -> list[Case]:
    file, hashed = TABLE.file, TABLE.pieces[0]
    return [
        reject("malformed", "a file of 31 bytes of hash", [raw([24, bytes(31)])]),
        reject("malformed", "a table without hashes", [raw([25, file, 9, None])]),
        reject("malformed", "a table without a size", [raw([25, file, None, hashed])]),
        reject("malformed", "a table of no bytes", [raw([25, file, 0, b""])]),
        reject("malformed", "a table of over 8 MiB", [raw([25, file, 8 * 2**20 + 1, bytes(32 * 128)])]),
        reject("malformed", "a table with half a hash", [raw([25, file, 9, hashed[:16]])]),
        reject("malformed", "a table with a hash too many", [raw([25, file, 9, hashed * 2])]),
        reject("too-large", "a table of 129 pieces", [raw([25, file, 9, bytes(32 * 129)])]),
        reject("bad-piece", "a table of another size than the one that was hashed", [raw([25, file, 8, hashed])]),
        reject("bad-piece", "a table of another piece", [raw([25, file, 9, bytes(32)])]),
        reject("bad-piece", "the table of another file", [raw([25, LONGER.file, 9, hashed])]),
        reject("malformed", "the piece after the last one that can be", [raw([26, file, 128])]),
        reject("malformed", "a piece before the first", [raw([26, file, -1])]),
        reject("malformed", "a piece as text", [raw([27, file, 0, "a picture"])]),
        reject("too-large", "a piece of 65,537 bytes", [raw([27, file, 0, bytes(65_537)])]),
        reject("malformed", "a piece without bytes or nil", [raw([27, file, 0])]),
    ]


def _bad_offers() -> list[Case]:
    target, told = BOB.hash, REF.value
    return [
        reject("malformed", "an offer of nothing", [raw([28, target, 1, []])]),
        reject("malformed", "an offer for 31 bytes", [raw([28, bytes(31), 1, [told]])]),
        reject("malformed", "an offer to be passed on twice", [raw([28, target, 2, [told]])]),
        reject("malformed", "an offer to be passed on less than never", [raw([28, target, -1, [told]])]),
        reject("malformed", "an offer without entries", [raw([28, target, 1])]),
        reject("malformed", "an offer of entry 0", [raw([28, target, 1, [[told[0], told[1], 0, told[3]]]])]),
        reject("malformed", "an offer of half a reference", [raw([28, target, 1, [told[:3]]])]),
        reject("too-large", "an offer of 33 entries", [raw([28, target, 1, [told] * 33])]),
        reject(
            "not-canonical", "an offer's hops in two bytes", [b"\x94\x1c" + raw(target) + b"\xcc\x01" + raw([told])]
        ),
    ]


ORDERED = sorted((ALICE.hash, BOB.hash))
NAMES = Names(tuple(ORDERED), tuple(sorted((LOG, OTHER))))
KNOWN_CLOCK = m.IdentityClock(BOB.hash, None, ((OTHER, m.Clock(((1, 4),), (), TIP)),))
RESUMED: list[tuple[str, Names, list[m.Message]]] = [
    ("a clock of a feed and a log that the memory knows", NAMES, [m.Clocks((KNOWN_CLOCK,))]),
    (
        "clocks of a feed that the memory knows and of one that it doesn't, each log new",
        Names((BOB.hash,)),
        [m.Clocks((KNOWN_CLOCK, m.IdentityClock(ALICE.hash, KNOWN.digest, ((LOG, m.Clock()),))))],
    ),
    ("a lazy notice of a log that the memory knows", NAMES, [m.Have(((LOG, 5),))]),
    ("a log that is named after those that the memory knows", Names((), (OTHER,)), [m.Prune(LOG), m.Wait(LOG, 5)]),
]


def remembered(names: Names, *messages: bytes) -> Any:
    """The input of a case on a link that goes on from a memory."""
    return {"remembered": {"feeds": list(names.feeds), "logs": list(names.logs)}, "messages": list(messages)}


def _bad_numbers() -> list[Case]:
    def clock(feed: Any) -> bytes:
        return raw([4, [[feed, None, []]]])

    return [
        reject("bad-message", "a feed by a number where nothing is remembered", [clock(0)]),
        reject("bad-message", "a feed by the number after the last", remembered(NAMES, clock(2))),
        reject("bad-message", "a feed by a number below 0", remembered(NAMES, clock(-1))),
        reject("not-canonical", "a feed by its hash where it has a number", remembered(NAMES, clock(BOB.hash))),
        reject("not-canonical", "a log by its key where it has a number", remembered(NAMES, raw([13, LOG]))),
        reject("bad-message", "a log by the number after those remembered", remembered(NAMES, raw([13, 2]))),
        reject(
            "not-canonical",
            "a feed's number in two bytes",
            remembered(NAMES, b"\x92\x04\x91\x93\xcc\x01\xc0\x90"),
        ),
        reject("malformed", "a feed that is true", remembered(NAMES, clock(True))),
        reject("malformed", "a feed of 31 bytes", remembered(NAMES, clock(bytes(31)))),
        reject(
            "bad-message",
            "a feed by the number that it would have were it a log",
            [clock(ALICE.hash), clock(0)],
        ),
    ]


def meaning(message: Any) -> Any:
    """A message as JSON: its kind, and its fields by name."""
    return {"kind": type(message).__name__, **by_name(message)}


def by_name(value: Value) -> dict[str, Any]:
    return {name: plain(getattr(value, name)) for name in value.__struct_fields__}


def plain(value: Any) -> Any:
    if isinstance(value, Endpoint):
        return str(value)
    if isinstance(value, Ref):
        return in_hex(value.value)
    if isinstance(value, Value):
        return by_name(value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return in_hex(value)


def all_cases() -> list[Case]:
    cases = []
    for name, said in KINDS:
        encoder = m.Encoder()
        cases.append(accept(name, [encoder.encode(message) for message in said], meaning(said[-1])))
    for name, names, said in RESUMED:
        encoder = m.Encoder()
        encoder.resume(names)
        cases.append(accept(name, remembered(names, *(encoder.encode(message) for message in said)), meaning(said[-1])))
    refused = _bad_frames_and_clocks() + _bad_logs_and_later_kinds() + _faulty_twice()
    refused += _bad_files() + _bad_offers() + _bad_numbers()
    return cases + refused


def render() -> str:
    return "[\n" + ",\n".join(json.dumps(case, ensure_ascii=True) for case in all_cases()) + "\n]\n"


if __name__ == "__main__":
    FILE.write_text(render(), encoding="ascii")
