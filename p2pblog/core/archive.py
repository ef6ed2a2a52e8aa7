"""An archive: one identity's statements, logs and lists in one file, which docs/archive.md describes for other tools.

The rules that a reader holds to:

* Only members of known names are there, each once and within its limit, and the manifest names size and hash of each.
  The hashes find accidents; whose the entries are, their signatures say.
* A log is a row of runs as they travel between peers (docs/protocol/runs.md), ascending. Each names the entry before
  its first, so the log may have holes.
* A file of a notice is named by its hash, which its bytes have, and a note in one of the logs has it.
* Every run is of a device that the identity states, entry 1 names the identity, and of a device that is retired the
  entry at the number that the retirement names is the one that it names. Neither needs to be there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from p2pblog.config import (
    ARCHIVE_MEMBER_BYTES_MAX,
    ARCHIVE_MEMBERS_MAX,
    FILE_BYTES_MAX,
    FORMER_DEVICES_MAX,
    MESSAGE_BYTES_MAX,
    TIME_MS_MAX,
)
from p2pblog.core import codec
from p2pblog.core import payload as payloads
from p2pblog.core.address import read_link, spell
from p2pblog.core.entry import Entry
from p2pblog.core.identity import IDENTITY_BYTES_MAX, Identity
from p2pblog.core.kept import Kept
from p2pblog.core.keys import DeviceKey, EntryId, IdentityHash
from p2pblog.core.media import FileHash, distinct_files, table_of
from p2pblog.core.passphrase import SEALED_BYTES_MAX
from p2pblog.core.payload import LogStart
from p2pblog.core.runs import VerifiedRun, check_run, encode_run
from p2pblog.core.value import Value
from p2pblog.errors import BadChain, BadStatement, Malformed, RemoteProtocolError, TooLarge

FORMAT, VERSION = "p2pblog archive", 1
MANIFEST, IDENTITY, NOTICES, FOLLOWS, SECRETS = (
    "manifest.json", "identity.bin", "notices.jsonl", "follows.csv", "secrets.box",
)  # fmt: skip
LENGTH_BYTES = 4
"""Before each run stands its length, big-endian: a reader knows what comes before it makes room for it."""
MANIFEST_BYTES_MAX = 4 * 1024 * 1024
"""A name, a size and a hash take under 200 bytes for each member."""
FOLLOWS_BYTES_MAX = 8 * 1024 * 1024
"""10,000 follows, each with an address and a petname of 50 characters, four times over."""

NOTHING_KEPT = Kept()

_LIMITS = {
    MANIFEST: MANIFEST_BYTES_MAX,
    IDENTITY: IDENTITY_BYTES_MAX,
    NOTICES: ARCHIVE_MEMBER_BYTES_MAX,
    FOLLOWS: FOLLOWS_BYTES_MAX,
    SECRETS: SEALED_BYTES_MAX,
}
_LOG, _FILE = re.compile(r"logs/([0-9a-f]{64})\.entries"), re.compile(r"files/([0-9a-f]{64})")


def log_name(device: DeviceKey) -> str:
    """The member that holds the log of a device."""
    return f"logs/{device.hex()}.entries"


def device_of(name: str) -> DeviceKey | None:
    """Whose log a member holds; None for another member."""
    found = _LOG.fullmatch(name)
    return None if found is None else DeviceKey(bytes.fromhex(found[1]))


def file_name(file: FileHash) -> str:
    """The member that holds a file of a notice."""
    return f"files/{file.hex()}"


def file_of(name: str) -> FileHash | None:
    """Which file of a notice a member is; None for another member."""
    found = _FILE.fullmatch(name)
    return None if found is None else FileHash(bytes.fromhex(found[1]))


def check_member(name: str, size: int) -> None:
    """Check the name and unpacked size of a member before it is read. Raises Malformed for a name that has no place in
    an archive, paths that lead elsewhere among them, or TooLarge."""
    limit = _LIMITS.get(name)
    if limit is None:
        is_file = _FILE.fullmatch(name) is not None
        if not is_file and not _LOG.fullmatch(name):
            raise Malformed(f"{name[:80]!a} has no place in an archive")
        limit = FILE_BYTES_MAX if is_file else ARCHIVE_MEMBER_BYTES_MAX
    if size > limit:
        raise TooLarge(f"{name} unpacks to {size:,} bytes, where at most {limit:,} are allowed")


# --- the manifest -----------------------------------------------------------------------------------------------------


class Member(Value):
    """How many bytes a member has, unpacked, and their BLAKE2b hash of 32 bytes, as `b2sum -l 256` prints it."""

    size: int
    hash: bytes


class Manifest(Value):
    """What an archive says of itself: whose it is, when it was written (ms), how many entries its logs hold, and all
    other members by name."""

    identity: IdentityHash
    created_ms: int
    entries: int
    members: dict[str, Member]

    def encode(self) -> bytes:
        """The member `manifest.json`."""
        told = {name: {"bytes": each.size, "blake2b": each.hash.hex()} for name, each in sorted(self.members.items())}
        document = {
            "format": FORMAT,
            "version": VERSION,
            "address": spell(self.identity),
            "created": self.created_ms,
            "entries": self.entries,
            "members": told,
        }
        return (json.dumps(document, indent=1) + "\n").encode("ascii")

    @classmethod
    def decode(cls, data: bytes) -> Manifest:
        """Raises Malformed, BadAddress or TooLarge. A field that we don't know is ignored."""
        try:
            document = json.loads(data)
            json.dumps(document, ensure_ascii=False).encode()  # JSON can spell half a pair of surrogates
        except (ValueError, RecursionError) as error:
            raise Malformed("the manifest is not JSON") from error
        fields = codec.as_map(document)
        if fields.get("format") != FORMAT:
            raise Malformed("the manifest is not one of a p2pblog archive")
        if codec.as_int(fields.get("version"), 1, TIME_MS_MAX) != VERSION:
            raise Malformed(f"it has format version {fields['version']}, and this p2pblog reads version {VERSION}")
        members = codec.as_map(fields.get("members"))
        if len(members) > ARCHIVE_MEMBERS_MAX:
            raise TooLarge(f"over {ARCHIVE_MEMBERS_MAX:,} members")
        return cls(
            read_link(codec.as_text(fields.get("address"), 100)).identity,
            codec.as_int(fields.get("created"), 0, TIME_MS_MAX),
            codec.as_int(fields.get("entries"), 0, TIME_MS_MAX),
            {name: _member(name, value) for name, value in members.items()},
        )


def _member(name: str, value: Any) -> Member:
    fields = codec.as_map(value)
    size = codec.as_int(fields.get("bytes"), 0, TIME_MS_MAX)
    check_member(name, size)
    try:
        hashed = bytes.fromhex(codec.as_text(fields.get("blake2b"), 64))
    except ValueError as error:
        raise Malformed(f"the hash of {name} is not hexadecimal") from error
    return Member(size, codec.as_bytes(hashed, length=32))


# --- logs -------------------------------------------------------------------------------------------------------------


def frame_run(entries: Sequence[Entry]) -> bytes:
    """Entries that follow one another, as they stand in a log's member. Raises LocalProtocolError."""
    data = codec.pack(encode_run(entries))
    return len(data).to_bytes(LENGTH_BYTES, "big") + data


def read_run(data: bytes, before: EntryId | None = None) -> VerifiedRun:
    """A run without its length, verified. Raises what `check_run` raises, or NotCanonical."""
    return check_run(codec.unpack(data, bytes_max=MESSAGE_BYTES_MAX), before)


def read_log(device: DeviceKey, identity: Identity, read: Callable[[int], bytes]) -> Iterator[VerifiedRun]:
    """The runs of a log's member, each verified, ascending. `read` gives the next so many bytes, fewer at the end.

    Raises a RemoteProtocolError for the first fault; what came before it is as it was signed all the same.
    """
    last: VerifiedRun | None = None
    while head := read(LENGTH_BYTES):
        size = int.from_bytes(head, "big")
        if len(head) < LENGTH_BYTES or not size:
            raise Malformed("a log that is cut short")
        if size > MESSAGE_BYTES_MAX:
            raise TooLarge(f"a run of {size:,} bytes, where at most {MESSAGE_BYTES_MAX:,} are allowed")
        data = read(size)
        if len(data) < size:
            raise Malformed("a log that is cut short")
        run = read_run(data)
        if run.device != device:
            raise BadChain("an entry of another device than its log's")
        if last is not None:
            _check_after(last, run)
        check_belongs(identity, run)
        yield run
        last = run


def _check_after(last: VerifiedRun, run: VerifiedRun) -> None:
    due = last.first + len(last)
    if run.first < due:
        raise BadChain("a log whose runs do not ascend")
    if run.first == due and run.prev != last.ids[-1]:
        raise BadChain("a run that does not follow the one before it")


def check_belongs(identity: Identity, run: VerifiedRun) -> None:
    """Whether an identity stands to these entries: it states their device, entry 1 names it, and a retirement names no
    other history. Raises BadStatement or BadChain."""
    standing = identity.devices.get(run.device)
    if standing is None:
        raise BadStatement("a log of a device that the identity does not state")
    if run.first == 1:
        start = None if run.payloads[0] is None else payloads.decode(run.payloads[0])
        if not isinstance(start, LogStart) or start.identity != identity.hash:
            raise BadChain("a log whose first entry does not name this identity")
    holds_end = run.first <= standing.seq < run.first + len(run)
    if standing.entry is not None and holds_end and run.ids[standing.seq - run.first] != standing.entry:
        raise BadChain("another history of a retired device than the retirement names")


# --- files ------------------------------------------------------------------------------------------------------------


def files_of(run: VerifiedRun) -> set[FileHash]:
    """The files, and their thumbnails, that the notes and profiles of a run have."""
    return {file for data in run.payloads for file in distinct_files(payloads.files_in(data))}


def check_file(file: FileHash, data: bytes) -> None:
    """Whether these are the bytes that the hash names, of which there are at most FILE_BYTES_MAX. Raises Malformed."""
    if not data or table_of(data).file != file:
        raise Malformed(f"{file_name(file)} is another file than its name says")


# --- secrets ----------------------------------------------------------------------------------------------------------


class Secrets(Value):
    """The seeds of the identity's root and of the device that wrote the archive, what the person keeps for themselves
    alone, and the seeds of devices that wrote before, the last one last, to which direct messages were sealed."""

    root: bytes
    device: bytes
    kept: Kept = NOTHING_KEPT
    former: tuple[bytes, ...] = ()

    def encode(self) -> bytes:
        """What is sealed."""
        fields = {"device": self.device, "former": list(self.former), "kept": self.kept.value, "root": self.root}
        return codec.pack(fields)

    @classmethod
    def decode(cls, data: bytes) -> Secrets:
        """Raises Malformed or another RemoteProtocolError."""
        fields = codec.as_map(codec.unpack(data, bytes_max=SEALED_BYTES_MAX))
        root, device = (codec.as_bytes(fields.get(name), length=32) for name in ("root", "device"))
        kept = fields.get("kept")
        former = codec.as_list(fields.get("former", []), length_max=FORMER_DEVICES_MAX)
        seeds = tuple(codec.as_bytes(seed, length=32) for seed in former)
        return cls(root, device, NOTHING_KEPT if kept is None else Kept.from_value(kept), seeds)

    def __repr__(self) -> str:
        return "Secrets(…)"


def refusal(error: RemoteProtocolError) -> str:
    """What a person is told of a fault in an archive."""
    return f"{error} ({error.name})"
