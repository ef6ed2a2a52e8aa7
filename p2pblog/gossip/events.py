"""What happens to the gossip machines, and what they want done: the one vocabulary of machine and driver."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from p2pblog.core.address import Endpoint
from p2pblog.core.entry import Entry
from p2pblog.core.forks import ForkProof
from p2pblog.core.identity import Identity
from p2pblog.core.keys import DeviceKey, EntryId, IdentityHash, NodeKey
from p2pblog.core.logs import Batch, Located, LogState
from p2pblog.core.media import FileHash, PieceTable
from p2pblog.core.payload import Ref
from p2pblog.errors import RemoteProtocolError
from p2pblog.gossip.memory import Resume
from p2pblog.gossip.messages import Found, Message
from p2pblog.gossip.room_events import LiftFloors, Pruned, PruneLog, RoomChanged

# --- events -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LinkUp:
    """A link to a proven node stands. `memory` is what `Remember` kept of the last one."""

    peer: NodeKey
    endpoint: Endpoint
    dialed: bool
    binding: bytes
    memory: bytes | None = None


@dataclass(frozen=True, slots=True)
class LinkDown:
    peer: NodeKey
    error: RemoteProtocolError | None = None


@dataclass(frozen=True, slots=True)
class DialFailed:
    """Nobody answered there, or (`own`) we did ourselves, or a node to which another link stands already."""

    endpoint: Endpoint
    own: bool = False
    linked: NodeKey | None = None


@dataclass(frozen=True, slots=True)
class Received:
    peer: NodeKey
    message: Message


@dataclass(frozen=True, slots=True)
class Due:
    """A timer that was asked for."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class Stored:
    """A batch that `StoreRun` asked for, or an own entry, is on disk."""

    source: NodeKey | None
    batch: Batch
    state: LogState
    live: bool


@dataclass(frozen=True, slots=True)
class Contradicted:
    """The store holds another entry at one of these numbers: `ours` is what it holds around there."""

    source: NodeKey
    batch: Batch
    ours: tuple[Entry, ...]
    live: bool = False


@dataclass(frozen=True, slots=True)
class PayloadsStored:
    source: NodeKey
    state: LogState
    seqs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PayloadsUnfit:
    """Nothing of a `StorePayloads` was stored: `unfit` is the number and hash of one that our entry does not commit to,
    or None where the log is gone."""

    source: NodeKey
    device: DeviceKey
    unfit: tuple[int, bytes] | None


@dataclass(frozen=True, slots=True)
class Unwanted:
    """A `StoreRun` or `StorePayloads` of somebody who has been blocked since was left aside. Nobody is to blame."""

    source: NodeKey | None
    device: DeviceKey


@dataclass(frozen=True, slots=True)
class Loaded:
    """What `LoadRun` asked for; no entries where nothing is held."""

    request: LoadRun
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class LoadedOne:
    peer: NodeKey
    ref: Ref
    identity: bytes | None
    located: Located | None


@dataclass(frozen=True, slots=True)
class Dropped:
    """A log was forgotten, to be fetched again."""

    device: DeviceKey


@dataclass(frozen=True, slots=True)
class Interested:
    """The person follows an identity; `private`: so that nobody is told of it who does not share it."""

    identity: IdentityHash
    private: bool = False


@dataclass(frozen=True, slots=True)
class Uninterested:
    identity: IdentityHash


@dataclass(frozen=True, slots=True)
class Blocked:
    """The person blocks an identity: what is held of it goes, and no more is taken, relayed or given."""

    identity: IdentityHash


@dataclass(frozen=True, slots=True)
class Unblocked:
    identity: IdentityHash


@dataclass(frozen=True, slots=True)
class Learned:
    """Statements that came by another way than a link: our own, or a head record's."""

    identity: Identity


@dataclass(frozen=True, slots=True)
class Candidates:
    """Nodes worth dialing: from a person, an invitation, the DHT or the last run. `identity`: what they should hold."""

    endpoints: tuple[Endpoint, ...]
    identity: IdentityHash | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """Fetch one entry that something we hold refers to, from whoever is linked."""

    ref: Ref


@dataclass(frozen=True, slots=True)
class FetchFile:
    """A person wants a file. `authors`: whose notices have it; `table` and `pieces`: what is here of it already;
    `size_max`: what those notices promise of its size, in bytes."""

    file: FileHash
    authors: tuple[IdentityHash, ...]
    size_max: int
    table: PieceTable | None = None
    pieces: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """What `LoadFile` asked for: the table (for `index` None) or the piece, or neither where we don't give it."""

    peer: NodeKey
    file: FileHash
    index: int | None
    table: PieceTable | None = None
    data: bytes | None = None


@dataclass(frozen=True, slots=True)
class FileStored:
    """A piece that `StorePiece` asked for is on disk."""

    file: FileHash
    index: int


@dataclass(frozen=True, slots=True)
class FileUnstored:
    """The disk did not take a file's table or a piece of it."""

    file: FileHash


@dataclass(frozen=True, slots=True)
class OfferKept:
    """An entry that waits for somebody is on disk."""

    entry: EntryId


Event = (
    LinkUp
    | LinkDown
    | DialFailed
    | Received
    | Due
    | Stored
    | Contradicted
    | PayloadsStored
    | PayloadsUnfit
    | Unwanted
    | Loaded
    | LoadedOne
    | Dropped
    | Pruned
    | RoomChanged
    | Interested
    | Uninterested
    | Blocked
    | Unblocked
    | Learned
    | Candidates
    | Ask
    | FetchFile
    | LoadedFile
    | FileStored
    | FileUnstored
    | OfferKept
)

# --- timers: values that we ask for and later receive -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GraftDue:
    """Nobody pushed the entry in time, unless a later time was set since: ask a peer that announced it."""

    device: DeviceKey
    seq: int


@dataclass(frozen=True, slots=True)
class HavesDue:
    """The batch of lazy notices for this peer has waited long enough."""

    peer: NodeKey


@dataclass(frozen=True, slots=True)
class WantDue:
    """A peer did not answer a Want in time."""

    peer: NodeKey
    device: DeviceKey
    number: int


@dataclass(frozen=True, slots=True)
class PatienceDue:
    """A peer has had a log to itself for a while without an answer: whoever else has it may be asked."""

    device: DeviceKey
    number: int


@dataclass(frozen=True, slots=True)
class ClocksDue:
    """What we told this peer of some logs is out of date."""

    peer: NodeKey


@dataclass(frozen=True, slots=True)
class PingDue:
    """Once a second: ping in rotation, dial where links are short."""


@dataclass(frozen=True, slots=True)
class PongDue:
    """A ping has been without an answer for as long as we are patient with this peer."""

    peer: NodeKey
    number: int


@dataclass(frozen=True, slots=True)
class HelloDue:
    """A link that said no Hello within the time a handshake has."""

    peer: NodeKey
    binding: bytes


@dataclass(frozen=True, slots=True)
class RelayDue:
    """Every few seconds: end the leases that are over, ask for feeds that no link leads to."""


@dataclass(frozen=True, slots=True)
class NearDue:
    """Some feeds' distances may have changed: who shares them is told."""


@dataclass(frozen=True, slots=True)
class TokensDue:
    """What we have come to care for is told to all links."""


@dataclass(frozen=True, slots=True)
class PieceDue:
    """A peer did not answer a question about a file in time."""

    peer: NodeKey
    number: int


@dataclass(frozen=True, slots=True)
class SearchDue:
    """Links that may lead to a file have had their time to come up."""

    file: FileHash


@dataclass(frozen=True, slots=True)
class OfferDue:
    """Somebody for whom something waits may have come."""


Timer = (
    PieceDue
    | SearchDue
    | NearDue
    | TokensDue
    | GraftDue
    | HavesDue
    | WantDue
    | PatienceDue
    | ClocksDue
    | PingDue
    | PongDue
    | HelloDue
    | RelayDue
    | OfferDue
)

# --- effects ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Send:
    peer: NodeKey
    message: Message


@dataclass(frozen=True, slots=True)
class Close:
    """End a link: with the peer's fault, or None where nobody is to blame."""

    peer: NodeKey
    error: RemoteProtocolError | None = None


@dataclass(frozen=True, slots=True)
class SetTimer:
    timer: Timer
    at: float


@dataclass(frozen=True, slots=True)
class StoreRun:
    """Store, then say `Stored`, or `Contradicted`. `source` is None for what came by another way than a link."""

    source: NodeKey | None
    batch: Batch
    live: bool


@dataclass(frozen=True, slots=True)
class StorePayloads:
    """Store them all, then say `PayloadsStored`, or none and say `PayloadsUnfit`."""

    source: NodeKey
    device: DeviceKey
    payloads: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class StoreIdentity:
    identity: Identity


@dataclass(frozen=True, slots=True)
class StoreFork:
    proof: ForkProof


@dataclass(frozen=True, slots=True)
class StoreStray:
    located: Located


@dataclass(frozen=True, slots=True)
class DropLog:
    """Forget a log, and say `Dropped`."""

    device: DeviceKey


@dataclass(frozen=True, slots=True)
class DropIfOther:
    """A retirement names the branch: if we hold another entry at this number, forget the log and say `Dropped`."""

    device: DeviceKey
    seq: int
    entry: EntryId


@dataclass(frozen=True, slots=True)
class LoadRun:
    """Read a run for a peer; it comes back as `Loaded`. `live`: the answer to a graft; `seqs`: only these payloads."""

    peer: NodeKey
    device: DeviceKey
    first: int
    last: int
    live: bool
    seqs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class LoadOne:
    peer: NodeKey
    ref: Ref


@dataclass(frozen=True, slots=True)
class LoadFile:
    """Read a piece of a file for a peer, or for `index` None its table; it comes back as `LoadedFile`."""

    peer: NodeKey
    file: FileHash
    index: int | None = None


@dataclass(frozen=True, slots=True)
class StoreTable:
    """Make ready for the pieces of a file; says `FileUnstored` where that fails."""

    table: PieceTable


@dataclass(frozen=True, slots=True)
class StorePiece:
    """Store a piece, then say `FileStored`, or `FileUnstored`."""

    file: FileHash
    index: int
    data: bytes


class Ending(Enum):
    """How the search for a file ended."""

    WHOLE = "all of it is here"
    LACKING = "nobody who is linked has it"
    SILENT = "nobody answered in time"
    OTHER_SIZE = "it is larger than its notice says"
    NO_ROOM = "the disk does not take it"
    BUSY = "too many are being fetched"


@dataclass(frozen=True, slots=True)
class FileNews:
    """How far the fetching of a file has come: pieces held, and how many it has (0: not known yet)."""

    file: FileHash
    held: int
    pieces: int
    ending: Ending | None = None


@dataclass(frozen=True, slots=True)
class Dial:
    """Link with whoever answers there within `timeout_s`, or say `DialFailed`."""

    endpoint: Endpoint
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Remember:
    """Keep this for the next link to the peer (None: nothing)."""

    peer: NodeKey
    memory: bytes | None


@dataclass(frozen=True, slots=True)
class RememberPeer:
    """A node that answered at this endpoint, or failed to."""

    endpoint: Endpoint
    node: NodeKey | None
    failures: int


@dataclass(frozen=True, slots=True)
class RememberRelayed:
    """Keep which identities are held for others only, so that the next start can drop them."""

    identities: tuple[IdentityHash, ...]


@dataclass(frozen=True, slots=True)
class OwnLogElsewhere:
    """A peer proves entries of our own log that we don't hold: this home was cloned or rolled back."""

    device: DeviceKey
    seq: int
    entry: EntryId


@dataclass(frozen=True, slots=True)
class ClocksHeard:
    """A peer has told all it holds of what we share."""

    peer: NodeKey


@dataclass(frozen=True, slots=True)
class LinksLost:
    """Half of the links are gone, or seem so: whoever else knows nodes should look for some now."""


@dataclass(frozen=True, slots=True)
class KeepOffer:
    """Keep what waits for somebody over a start, or forget it, and say `OfferKept` once it is kept."""

    entry: EntryId
    found: Found | None = None
    hops_left: int = 0


Effect = (
    Send
    | Close
    | SetTimer
    | StoreRun
    | StorePayloads
    | StoreIdentity
    | StoreFork
    | StoreStray
    | DropLog
    | DropIfOther
    | PruneLog
    | LiftFloors
    | LoadRun
    | LoadOne
    | Dial
    | Remember
    | Resume
    | RememberPeer
    | RememberRelayed
    | OwnLogElsewhere
    | ClocksHeard
    | LinksLost
    | LoadFile
    | StoreTable
    | StorePiece
    | FileNews
    | KeepOffer
)
