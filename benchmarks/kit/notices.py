"""Notices as people write them: identities, device logs, and their bytes as a run and one by one."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from p2pblog.config import RUN_ENTRIES_MAX
from p2pblog.core import codec
from p2pblog.core.entry import Entry, body_bytes, entry_id, is_checkpoint, payload_hash
from p2pblog.core.identity import Identity, state_device
from p2pblog.core.keys import ENTRY_DOMAIN, DeviceKey, IdentityHash, KeyPair, hash32
from p2pblog.core.payload import LogStart, Note, Payload, encode
from p2pblog.core.runs import encode_run

NOTICE_CHARACTERS = 140
"""The notice of all benchmarks: as long as a text message, which is what SSB and Nostr were measured with too."""
BEGINNING_MS = 1_700_000_000_000
"""When every log begins: November 2023."""
PAUSE_MS_MEAN = 5 * 3600 * 1000
"""Between two notices of one author: 4.6 a day, as those have whom the `wire` benchmark follows."""
_PROSE = (
    "a about after again all almost and another are as at back be because been before bread but by came can city "
    "come could day did do down each evening even every few first for found friends from garden get go good great "
    "had half has have he her here him his home house how i if in into is it its just know last left light like "
    "little long made make man many may me meeting might more morning most much must my never new night no not now "
    "of off old on once one only or other our out over own paper part people place rain read right river said same "
    "saw say second see seems she should since small so some something station still street such take tell than "
    "that the their them then there these they thing think this those through time to today together told too train "
    "two under until up upon us very walk want was water way we weather well went were what when where which while "
    "who why will winter with without word work world would write year yes yesterday you your"
)
WORDS = tuple(_PROSE.split())
"""Of which notices are made: as repetitive as prose, so that nobody's encoding is told apart by chance."""


@dataclass(frozen=True, slots=True)
class Author:
    """Somebody who writes one log. The same name gives the same keys."""

    name: str
    identity: Identity
    device: KeyPair

    @property
    def hash(self) -> IdentityHash:
        return self.identity.hash


def author(name: str) -> Author:
    """An identity that states one device."""
    root, after, device = (KeyPair.from_seed(hash32(f"{name} {of}".encode(), b"benchmarks")) for of in range(3))
    bare = Identity.begin(root, after.public)
    return Author(name, bare.merge([state_device(root, device, bare.hash, 0, 0)]), device)


def text(rng: random.Random, number: int) -> str:
    """A notice of NOTICE_CHARACTERS, all ASCII: everybody's encoding takes a byte for each. The number tells it from
    all others."""
    line = f"{number} " + " ".join(rng.choices(WORDS, k=40))
    return f"{line:{NOTICE_CHARACTERS - 1}.{NOTICE_CHARACTERS - 1}}."


def write_log(of: Author, notices: int, sign_all: bool = True) -> list[Entry]:
    """The log of an author: its first entry, which names the identity, and then so many notices.

    `sign_all`: each entry carries its signature, as where it was written. Otherwise checkpoints, ends of the longest
    runs and the last one do, as at whoever received them.
    """
    rng = random.Random(f"pauses of {of.name}")
    device, prev, time_ms = DeviceKey(of.device.public), None, BEGINNING_MS
    entries: list[Entry] = []
    for seq, said in enumerate(_says(of, notices), 1):
        payload = encode(said)
        hashed = payload_hash(payload)
        identifier = entry_id(body_bytes(device, seq, prev, time_ms, len(payload), hashed))
        is_signed = sign_all or is_checkpoint(seq) or seq % RUN_ENTRIES_MAX == 0 or seq == notices + 1
        signature = of.device.sign(ENTRY_DOMAIN, identifier) if is_signed else None
        entries.append(Entry(device, seq, prev, time_ms, len(payload), hashed, identifier, payload, signature))
        prev = identifier
        time_ms += 1 + int(rng.expovariate(1 / PAUSE_MS_MEAN))
    return entries


def _says(of: Author, notices: int) -> Iterator[Payload]:
    rng = random.Random(f"notices of {of.name}")
    yield LogStart(of.hash)
    for number in range(1, notices + 1):
        yield Note(text(rng, number))


def as_runs(entries: Sequence[Entry], size: int = RUN_ENTRIES_MAX) -> list[bytes]:
    """The wire bytes of runs of at most `size` entries, which must end on signed ones. Each says what it follows, and
    notes travel as their texts, as between nodes."""
    return [codec.pack(encode_run(entries[at : at + size], texts=True)) for at in range(0, len(entries), size)]


def one_by_one(entries: Sequence[Entry]) -> list[bytes]:
    """Each entry by itself, [body, signature, payload]: what a protocol sends that signs every message."""
    return [codec.pack([entry.body, entry.signature, entry.payload]) for entry in entries]
