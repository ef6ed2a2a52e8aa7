"""Entries and payloads, right and wrong."""

from __future__ import annotations

from typing import Any

from vectors.dm_cases import dm_payloads
from vectors.parts import (
    ALICE,
    BOB,
    BOB_PHONE,
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
from vectors.readers import read_entry_case, read_payload_case

from p2pblog.config import TIME_MS_MAX, WARNING_CHARACTERS_MAX
from p2pblog.core import codec
from p2pblog.core.entry import entry_id, payload_hash
from p2pblog.core.keys import ENTRY_DOMAIN, STATEMENT_DOMAIN, DeviceKey, EntryId, KeyPair
from p2pblog.core.media import Attachment, table_of
from p2pblog.core.payload import (
    Boost,
    Delete,
    Edit,
    Like,
    LogStart,
    Note,
    Pin,
    Profile,
    Quote,
    Ref,
    Vote,
    Vouch,
    encode,
)
from p2pblog.core.polls import Poll
from p2pblog.core.value import replace

HELLO = payload_hash(b"hello")


def make_body(
    version: Any = 1, device: Any = PHONE.public, seq: Any = 2, prev: Any = PREV, time_ms: Any = NOON,
    size: Any = 5, hashed: Any = HELLO,
) -> bytes:  # fmt: skip
    return raw([version, device, seq, prev, time_ms, size, hashed])


def _entry(body: bytes, payload: bytes | None = None, signer: KeyPair = PHONE) -> Any:
    return {"body": body, "signature": signer.sign(ENTRY_DOMAIN, entry_id(body)), "payload": payload}


def entries() -> list[Case]:
    start = encode(LogStart(ALICE.hash))
    first = make_body(seq=1, prev=None, size=len(start), hashed=payload_hash(start))
    told: dict[str, Any] = {
        "the first entry of a log": _entry(first, start),
        "the second": _entry(make_body(prev=entry_id(first)), b"hello"),
        "a gap: the payload did not come along": _entry(make_body()),
        "a checkpoint": _entry(make_body(seq=64)),
        "the last number": _entry(make_body(seq=2**32 - 1)),
        "1970": _entry(make_body(time_ms=0)),
        "the last time": _entry(make_body(time_ms=2**53 - 1)),
        "an empty payload": _entry(make_body(size=0, hashed=payload_hash(b"")), b""),
        "the largest payload": _entry(make_body(size=16_384, hashed=payload_hash(bytes(16_384))), None),
        "a payload that is no msgpack": _entry(make_body(), b"hello"),
    }
    cases = [accept(name, given, read_entry_case(given)) for name, given in told.items()]
    return cases + _misshapen_entries(make_body()) + _forged_entries(make_body())


def _misshapen_entries(good: bytes) -> list[Case]:
    wrong: dict[str, dict[str, Any]] = {
        "malformed": {
            "no bytes": _entry(b""),
            "a map": _entry(raw({"v": 1})),
            "six fields": _entry(raw(codec.unpack(good, 200)[:6])),
            "eight fields": _entry(raw([*codec.unpack(good, 200), None])),
            "version 2": _entry(make_body(version=2)),
            "a version that is true": _entry(make_body(version=True)),
            "number 0": _entry(make_body(seq=0, prev=None)),
            "number 2^32": _entry(make_body(seq=2**32)),
            "a negative number": _entry(make_body(seq=-1)),
            "a number that is true": _entry(make_body(seq=True, prev=None)),
            "a time before 1970": _entry(make_body(time_ms=-1)),
            "a time of 2^53": _entry(make_body(time_ms=2**53)),
            "a time that is a float": _entry(make_body(time_ms=1.5)),
            "a time that is nil": _entry(make_body(time_ms=None)),
            "a time that is a timestamp extension": _entry(swap(good, raw(NOON), b"\xd6\xff\x65\x53\xf1\x00")),
            "a device key of 31 bytes": _entry(make_body(device=PHONE.public[:31])),
            "a device key as text": _entry(make_body(device="a" * 32)),
            "a predecessor of 33 bytes": _entry(make_body(prev=PREV + b"\0")),
            "a payload of 16,385 bytes": _entry(make_body(size=16_385)),
            "a payload hash of 31 bytes": _entry(make_body(hashed=bytes(31))),
            "a payload hash that is nil": _entry(make_body(hashed=None)),
            "a byte after the body": _entry(good + b"\0"),
            "a body cut short": _entry(good[:-1]),
            "text that is not UTF-8": _entry(swap(good, b"\x02\xc4\x20" + PREV, b"\x02\xa2\xc3\x28")),
            "a byte that msgpack never uses": _entry(swap(good, b"\x02\xc4\x20" + PREV, b"\x02\xc1")),
        },
        "not-canonical": {
            "a number in two bytes": _entry(swap(good, b"\x02\xc4\x20", b"\xcc\x02\xc4\x20")),
            "a long array head": _entry(b"\xdc\x00\x07" + good[1:]),
            "a long byte string": _entry(swap(good, b"\xc4\x20" + PREV, b"\xc5\x00\x20" + PREV)),
            "a version in nine bytes": _entry(b"\x97\xcf" + bytes(7) + good[1:]),
            "a positive number in a signed form": _entry(swap(good, b"\x02\xc4\x20", b"\xd0\x02\xc4\x20")),
        },
        "too-large": {
            "141 bytes": _entry(raw([*codec.unpack(good, 200), bytes(141 - len(good) - 2)])),
            "a kilobyte": _entry(make_body(hashed=bytes(1_000))),
            "nine levels": _entry(make_body(hashed=deep(8))),
        },
    }  # fmt: skip
    return [reject(error, name, given) for error, named in wrong.items() for name, given in named.items()]


def _forged_entries(good: bytes) -> list[Case]:
    wrong: dict[str, dict[str, Any]] = {
        "bad-key": {
            f"a weak device key: {name}": _entry(make_body(device=bytes.fromhex(text)))
            for name, text in WEAK_KEYS.items()
        },
        "bad-signature": {
            "signed by another device": _entry(good, signer=LAPTOP),
            "the signature of another entry": {**_entry(good), "signature": _entry(make_body(seq=3))["signature"]},
            "a signature over the body instead of the id": {
                **_entry(good), "signature": PHONE.sign(ENTRY_DOMAIN, good),
            },
            "a signature without its domain": {**_entry(good), "signature": PHONE.sign(b"", entry_id(good))},
            "a signature from another domain": {
                **_entry(good), "signature": PHONE.sign(STATEMENT_DOMAIN, entry_id(good)),
            },
            "a signature of 63 bytes": {**_entry(good), "signature": _entry(good)["signature"][:63]},
            "a signature of 65 bytes": {**_entry(good), "signature": _entry(good)["signature"] + b"\0"},
            "no signature": {**_entry(good), "signature": b""},
            "a signature with S + L": {**_entry(good), "signature": malleable(_entry(good)["signature"])},
            "the first bit flipped": {**_entry(good), "signature": flip(_entry(good)["signature"], 0)},
            "the last bit flipped": {**_entry(good), "signature": flip(_entry(good)["signature"], 511)},
        },
        "bad-chain": {
            "a first entry with a predecessor": _entry(make_body(seq=1)),
            "a second entry without one": _entry(make_body(prev=None)),
            "another payload": _entry(good, b"hallo"),
            "a longer payload": _entry(good, b"hello!"),
            "the right payload under a wrong size": _entry(make_body(size=6), b"hello"),
        },
    }  # fmt: skip
    return [reject(error, name, given) for error, named in wrong.items() for name, given in named.items()]


# --- payloads ---------------------------------------------------------------------------------------------------------


PICTURE = Attachment(
    table_of(b"a picture").file, "bees.jpg", "image/jpeg", 9, "Bees on a flower", table_of(b"a small picture").file
)
LETTER = Attachment(table_of(b"a letter\n" * 10_000).file, "letter.txt", "text/plain", 90_000)


def _said(**other: Any) -> list[Any]:
    """What a note says of the picture, but for one thing."""
    return [other.get(name, getattr(PICTURE, name)) for name in ("file", "name", "type", "size", "alt", "thumb")]


def later_words(ref: Ref) -> dict[str, bytes]:
    """Quotes and edits."""
    edited = replace(ref, seq=4, id=EntryId(b"\x01" * 32))
    return {
        "a quote": encode(Note("Look.", None, None, None, Quote(ref))),
        "a quote of edited words": encode(Note("Look.", quote=Quote(ref, edited))),
        "a quote of nothing": raw({"quote": [], "text": "Look.", "type": "note"}),
        "edit": encode(Edit(ref, "Hello, world!")),
        "edit that replaces others": encode(
            Edit(ref, "Hello!", (EntryId(b"\x01" * 32), EntryId(b"\x02" * 32)), "loud", "en")
        ),
        "edit that replaces too many": raw(
            {"of": ref.value, "replaces": [bytes(32)] * 17, "text": "x", "type": "edit"}
        ),
    }


def payloads() -> list[Case]:
    ref = Ref(BOB.hash, DeviceKey(BOB_PHONE.public), 3, PREV)
    told: dict[str, bytes] = {
        "log": encode(LogStart(ALICE.hash)),
        "note": encode(Note("Hello, world.")),
        "note in many scripts": encode(Note("Здравствуй 世界 🌍")),
        "an empty note": encode(Note("")),
        "a note of 5,000 characters": encode(Note("x" * 5_000)),
        "a note with a terminal escape, kept as it is": encode(Note("\x1b]52;c;aGk=\x07\u202e")),
        "a reply": encode(Note("Indeed.", ref)),
        "a note with a content warning": encode(Note("She dies.", None, "The end of the book")),
        "a note with the longest content warning": encode(Note("x", None, "w" * WARNING_CHARACTERS_MAX)),
        "a note in a language": encode(Note("Olá!", None, None, "pt-BR")),
        "a note with an empty content warning, which is none": raw({"cw": "", "text": "x", "type": "note"}),
        "a note with too long a content warning": raw(
            {"cw": "w" * (WARNING_CHARACTERS_MAX + 1), "text": "x", "type": "note"}
        ),
        "an empty language, which is none": raw({"lang": "", "text": "x", "type": "note"}),
        "a note in what is no language": raw({"lang": "en_GB", "text": "x", "type": "note"}),
        **later_words(ref),
        "a note that was imported": encode(Note("Long ago", imported_ms=1_551_529_800_000)),
        "a note imported from before all times": raw({"imported": -1, "text": "x", "type": "note"}),
        "a note imported at the last time": encode(Note("x", imported_ms=TIME_MS_MAX)),
        "a note imported after all times": raw({"imported": TIME_MS_MAX + 1, "text": "x", "type": "note"}),
        "boost": encode(Boost(ref)),
        "like": encode(Like(ref)),
        "delete": encode(Delete(ref)),
        "delete with versions": encode(Delete(ref, (EntryId(b"\x01" * 32), EntryId(b"\x02" * 32)))),
        "profile": encode(Profile("Alice", "Writes here.")),
        "profile without a bio": encode(Profile("Alice")),
        **dm_payloads(),
        "a known type with a field that we don't know": raw({"mood": "calm", "text": "Hi", "type": "note"}),
        "a known type with nil for what is absent": raw({"reply_to": None, "text": "Hi", "type": "note"}),
        "a type of tomorrow": raw({"options": ["yes", "no"], "type": "poll"}),
        "no bytes": b"",
        "no map": raw(["note", "Hi"]),
        "no msgpack": b"\xc1\xc1",
        "no type": raw({"text": "Hi"}),
        "a type that is no text": raw({"text": "Hi", "type": 1}),
        "keys out of order": raw({"type": "note", "text": "Hi"}),
        "a key twice": b"\x83" + raw({"text": "Hi", "type": "note"})[1:] + raw("type") + raw("like"),
        "a key that is a byte string": raw({b"type": "note"}),
        "a key that is a number": raw({1: "note"}),
        "text that is not UTF-8": raw({"text": b"\xc3\x28", "type": "note"}).replace(b"\xc4\x02", b"\xa2"),
        "half of a surrogate pair": raw({"text": b"\xed\xa0\x80", "type": "note"}).replace(b"\xc4\x03", b"\xa3"),
        "a float": raw({"text": 1.5, "type": "note"}),
        "nine levels": raw({"text": deep(8), "type": "note"}),
        "a note without text": raw({"type": "note"}),
        "a note of 5,001 characters": raw({"text": "x" * 5_001, "type": "note"}),
        "a note of over 15,000 bytes": raw({"text": "\U0001f30d" * 3_751, "type": "note"}),
        "a reply to half an entry": raw({"reply_to": [BOB.hash, BOB_PHONE.public], "text": "Hi", "type": "note"}),
        "a like of nothing": raw({"type": "like"}),
        "a like of entry 0": raw({"of": [BOB.hash, BOB_PHONE.public, 0, PREV], "type": "like"}),
        "a delete of 17 versions": raw({"of": ref.value, "replaces": [PREV] * 17, "type": "delete"}),
        "a name of 51 characters": raw({"name": "x" * 51, "type": "profile"}),
        "a log of nobody": raw({"identity": b"", "type": "log"}),
    }  # fmt: skip
    told.update(_later(ref))
    told |= _notes_with_files()
    return [accept(name, data, read_payload_case(data.hex())) for name, data in told.items()]


def _notes_with_files() -> dict[str, bytes]:
    return {
        "a note with a picture": encode(Note("Look!", media=(PICTURE,))),
        "a note with four files": encode(Note("Look!", media=(PICTURE, LETTER) * 2)),
        "a note with no files, which is none": raw({"media": [], "text": "x", "type": "note"}),
        "a file of a type of tomorrow": raw({"media": [_said(type="audio/ogg")], "text": "x", "type": "note"}),
        "a note with five files": raw({"media": [PICTURE.value] * 5, "text": "x", "type": "note"}),
        "a file whose name is a folder's": raw({"media": [_said(name="../bees.jpg")], "text": "x", "type": "note"}),
        "a file whose name hides it": raw({"media": [_said(name=".bees")], "text": "x", "type": "note"}),
        "a file whose name turns round": raw({"media": [_said(name="bees\u202egpj.exe")], "text": "x", "type": "note"}),
        "a file without a name": raw({"media": [_said(name="")], "text": "x", "type": "note"}),
        "a file of no bytes": raw({"media": [_said(size=0)], "text": "x", "type": "note"}),
        "a file of over 8 MiB": raw({"media": [_said(size=8 * 2**20 + 1)], "text": "x", "type": "note"}),
        "a file with too long a description": raw({"media": [_said(alt="x" * 1_001)], "text": "x", "type": "note"}),
        "a file by a hash of 31 bytes": raw({"media": [_said(file=bytes(31))], "text": "x", "type": "note"}),
    }


def _later(ref: Ref) -> dict[str, bytes]:
    """Polls, votes, pins and links."""
    return {
        "profile with links": encode(Profile("Alice", "", ("https://example.org/~alice", "mailto:alice@example.org"))),
        "profile with links of kinds that we don't know, which are left out": raw(
            {
                "links": ["javascript:x()", "ftp://example.org", "https://example.org"],
                "name": "A",
                "type": "profile",
            }
        ),
        "profile with nine links": raw({"links": ["https://example.org"] * 9, "name": "A", "type": "profile"}),
        "profile with a link of 201 characters": raw(
            {"links": ["https://" + "x" * 193], "name": "A", "type": "profile"}
        ),
        "profile with an avatar and a banner": encode(
            Profile("Alice", "", (), PICTURE, replace(PICTURE, name="wide.jpg"))
        ),
        "profile with a banner only": encode(Profile("Alice", banner=PICTURE)),
        "profile with an avatar that is no picture, which is left out": raw(
            {"avatar": LETTER.value, "name": "A", "type": "profile"}
        ),
        "profile with an avatar by its name alone": raw({"avatar": "bees.jpg", "name": "A", "type": "profile"}),
        "profile with a list of banners": raw({"banner": [PICTURE.value], "name": "A", "type": "profile"}),
        "pin": encode(Pin(ref)),
        "a pin of nothing": raw({"type": "pin"}),
        "a poll": encode(Note("Tea or coffee?", poll=Poll(("tea", "coffee"), NOON))),
        "a poll of ten options of 100 characters": encode(Note("", poll=Poll(("x" * 100,) * 10, 0))),
        "a poll with a field that we don't know": _poll({"closes": 1, "many": True, "options": ["a", "b"]}),
        "a poll with one option": _poll({"closes": 1, "options": ["a"]}),
        "a poll of eleven options": _poll({"closes": 1, "options": ["a"] * 11}),
        "a poll with an empty option": _poll({"closes": 1, "options": ["a", ""]}),
        "a poll with an option of 101 characters": _poll({"closes": 1, "options": ["a", "x" * 101]}),
        "a poll that never closes": _poll({"options": ["a", "b"]}),
        "a poll that is no map": _poll(["a", "b"]),
        "vote": encode(Vote(ref, 2)),
        "a vote for the last option that there can be": encode(Vote(ref, 255)),
        "a vote for option 0": raw({"choice": 0, "of": ref.value, "type": "vote"}),
        "a vote for option 256": raw({"choice": 256, "of": ref.value, "type": "vote"}),
        "vouch": encode(Vouch(BOB.hash)),
        "a vouch for nobody": raw({"type": "vouch"}),
        "a vouch for 31 bytes": raw({"of": bytes(31), "type": "vouch"}),
        "a vouch for an entry": raw({"of": ref.value, "type": "vouch"}),
        "a vote for nothing": raw({"of": ref.value, "type": "vote"}),
    }


def _poll(value: Any) -> bytes:
    """A note whose poll our encoder might not write."""
    return raw({"poll": value, "text": "Which?", "type": "note"})
