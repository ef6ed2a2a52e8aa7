"""What happens to the gossip machines, and what they want done: the one vocabulary of machine and driver."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from p2pblog.core.address import Endpoint
from p2pblog.core.entry import Entry
from p2pblog.core.forks import ForkProof
from p2pblog.core.identity import Identity
from p2pblog.core.keys import DeviceKey, EntryId, IdentityHash, NodeKey
from p2pblog.core.logs import Batch, Located, LogState
from p2pblog.core.media import FileHash, PieceTable
from p2pblog.core.payload import Ref
from p2pblog.core.value import Value
from p2pblog.errors import RemoteProtocolError
from p2pblog.gossip.memory import Resume
from p2pblog.gossip.messages import Found, Message
from p2pblog.gossip.room_events import HeldBack, LiftFloors, Pruned, PruneLog, RoomChanged

# --- events -----------------------------------------------------------------------------------------------------------


class LinkUp(Value):
    """A link to a proven node stands. `memory` is what `Remember` kept of the last one."""

    peer: NodeKey
    endpoint: Endpoint
    dialed: bool
    binding: bytes
    memory: bytes | None = None


class LinkDown(Value):
    peer: NodeKey
    error: RemoteProtocolError | None = None


class DialFailed(Value):
    """Nobody answered there, or (`own`) we did ourselves, or a node to which another link stands already."""

    endpoint: Endpoint
    own: bool = False
    linked: NodeKey | None = None


class Received(Value):
    peer: NodeKey
    message: Message


class Arriving(Value):
    """More of a message has come from this peer since it was looked, though it is not whole yet."""

    peer: NodeKey


class Taking(Value):
    """This peer has taken in more of what we say since it was looked, and is not done, or was not then: so our ping may
    have to wait."""

    peer: NodeKey


class Due(Value):
    """A timer that was asked for."""

    timer: Timer


class Stored(Value):
    """A batch that `StoreRun` asked for, or an own entry, is on disk."""

    source: NodeKey | None
    batch: Batch
    state: LogState
    live: bool


class Contradicted(Value):
    """The store holds another entry at one of these numbers: `ours` is what it holds around there."""

    source: NodeKey
    batch: Batch
    ours: tuple[Entry, ...]
    live: bool = False


class ForkProved(Value):
    """A log has two histories: what proves it was checked, and came by another way than a link."""

    proof: ForkProof


class PayloadsStored(Value):
    source: NodeKey
    state: LogState
    seqs: tuple[int, ...]


class PayloadsUnfit(Value):
    """Nothing of a `StorePayloads` was stored: `unfit` is the number and hash of one that our entry does not commit to,
    or None where the log is gone."""

    source: NodeKey
    device: DeviceKey
    unfit: tuple[int, bytes] | None


class Unstored(Value):
    """A `StoreRun` or `StorePayloads` that a peer was asked for goes not into our database, which is damaged there."""

    source: NodeKey
    device: DeviceKey


class Unwanted(Value):
    """A `StoreRun` or `StorePayloads` of somebody who has been blocked since was left aside. Nobody is to blame."""

    source: NodeKey | None
    device: DeviceKey


class Loaded(Value):
    """What `LoadRun` asked for; no entries where nothing is held."""

    request: LoadRun
    entries: Sequence[Entry]


class LoadedOne(Value):
    """`later`: what its author said of it since, as far as we know: a delete of it, or the edit whose words stand."""

    peer: NodeKey
    ref: Ref
    identity: bytes | None
    located: Located | None
    later: Located | None = None


class Dropped(Value):
    """A log was forgotten, to be fetched again."""

    device: DeviceKey


class Interested(Value):
    """The person follows an identity; `private`: so that nobody is told of it who does not share it."""

    identity: IdentityHash
    private: bool = False


class Uninterested(Value):
    identity: IdentityHash


class Blocked(Value):
    """The person blocks an identity: what is held of it goes, and no more is taken, relayed or given."""

    identity: IdentityHash


class Unblocked(Value):
    identity: IdentityHash


class Learned(Value):
    """Statements that came by another way than a link: our own, or a head record's."""

    identity: Identity


class Candidates(Value):
    """Nodes worth dialing: from a person, an invitation, the DHT or the last run. `identity`: what they should hold."""

    endpoints: tuple[Endpoint, ...]
    identity: IdentityHash | None = None


class Ask(Value):
    """Fetch one entry that something we hold refers to, from whoever is linked. `by`: who refers to it, where that may
    be somebody followed in private. `again`: it is here, and only what its author said of it since is wanted."""

    ref: Ref
    by: IdentityHash | None = None
    again: bool = False


class FetchFile(Value):
    """A person wants a file. `authors`: whose notices have it; `table` and `pieces`: what is here of it already;
    `size_max`: what those notices promise of its size, in bytes."""

    file: FileHash
    authors: tuple[IdentityHash, ...]
    size_max: int
    table: PieceTable | None = None
    pieces: frozenset[int] = frozenset()


class LoadedFile(Value):
    """What `LoadFile` asked for: the table (for `index` None) or the piece, or neither where we don't give it."""

    peer: NodeKey
    file: FileHash
    index: int | None
    table: PieceTable | None = None
    data: bytes | None = None


class FileStored(Value):
    """A piece that `StorePiece` asked for is on disk."""

    file: FileHash
    index: int


class FileUnstored(Value):
    """The disk did not take a file's table or a piece of it."""

    file: FileHash


class OfferKept(Value):
    """An entry that waits for somebody is on disk."""

    entry: EntryId


Event = (
    LinkUp
    | LinkDown
    | DialFailed
    | Received
    | Arriving
    | Taking
    | Due
    | Stored
    | Contradicted
    | ForkProved
    | PayloadsStored
    | PayloadsUnfit
    | Unstored
    | Unwanted
    | Loaded
    | LoadedOne
    | Dropped
    | Pruned
    | RoomChanged
    | HeldBack
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


class GraftDue(Value):
    """Nobody pushed the entry in time, unless a later time was set since: ask a peer that announced it."""

    device: DeviceKey
    seq: int


class HavesDue(Value):
    """The batch of lazy notices for this peer has waited long enough."""

    peer: NodeKey


class WantDue(Value):
    """A peer did not answer a Want in time."""

    peer: NodeKey
    device: DeviceKey
    number: int


class PatienceDue(Value):
    """A peer has had a log to itself for a while without an answer: whoever else has it may be asked."""

    device: DeviceKey
    number: int


class ClocksDue(Value):
    """What we told this peer of some logs is out of date."""

    peer: NodeKey


class LookDue(Value):
    """Once a second: ping what was quiet for long, dial where links are short."""


class PongDue(Value):
    """A ping has been without an answer for as long as we are patient with this peer."""

    peer: NodeKey
    number: int


class HelloDue(Value):
    """A link that said no Hello within the time a handshake has."""

    peer: NodeKey
    binding: bytes


class RelayDue(Value):
    """Every few seconds: end the leases that are over, ask for feeds that no link leads to."""


class NearDue(Value):
    """Some feeds' distances may have changed: who shares them is told."""


class TokensDue(Value):
    """What we have come to care for is told to all links."""


class PieceDue(Value):
    """A peer did not answer a question about a file in time."""

    peer: NodeKey
    number: int


class SearchDue(Value):
    """Links that may lead to a file have had their time to come up."""

    file: FileHash


class OfferDue(Value):
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
    | LookDue
    | PongDue
    | HelloDue
    | RelayDue
    | OfferDue
)

# --- effects ----------------------------------------------------------------------------------------------------------


class Send(Value):
    peer: NodeKey
    message: Message


class Close(Value):
    """End a link: with the peer's fault, or None where nobody is to blame."""

    peer: NodeKey
    error: RemoteProtocolError | None = None


class SetTimer(Value):
    timer: Timer
    at: float


class StoreRun(Value):
    """Store, then say `Stored`, or `Contradicted`. `source` is None for what came by another way than a link."""

    source: NodeKey | None
    batch: Batch
    live: bool


class StorePayloads(Value):
    """Store them all, then say `PayloadsStored`, or none and say `PayloadsUnfit`."""

    source: NodeKey
    device: DeviceKey
    payloads: tuple[tuple[int, bytes], ...]


class StoreIdentity(Value):
    identity: Identity


class StoreFork(Value):
    proof: ForkProof


class StoreStray(Value):
    located: Located


class DropLog(Value):
    """Forget a log, and say `Dropped`."""

    device: DeviceKey


class LeaveLog(Value):
    """Forget a log that was held for others, all but what a person holds on to, and say `Dropped`."""

    device: DeviceKey


class DropIfOther(Value):
    """A retirement names the branch: if we hold another entry at this number, forget the log and say `Dropped`. What is
    held for others is left, as by `LeaveLog`."""

    device: DeviceKey
    seq: int
    entry: EntryId


class LoadRun(Value):
    """Read a run for a peer; it comes back as `Loaded`. `live`: the answer to a graft; `seqs`: only these payloads."""

    peer: NodeKey
    device: DeviceKey
    first: int
    last: int
    live: bool
    seqs: tuple[int, ...] = ()


class LoadOne(Value):
    peer: NodeKey
    ref: Ref


class LoadFile(Value):
    """Read a piece of a file for a peer, or for `index` None its table; it comes back as `LoadedFile`."""

    peer: NodeKey
    file: FileHash
    index: int | None = None


class StoreTable(Value):
    """Make ready for the pieces of a file; says `FileUnstored` where that fails."""

    table: PieceTable


class StorePiece(Value):
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


class FileNews(Value):
    """How far the fetching of a file has come: pieces held, and how many it has (0: not known yet)."""

    file: FileHash
    held: int
    pieces: int
    ending: Ending | None = None


class Dial(Value):
    """Link with whoever answers there within `timeout_s`, or say `DialFailed`."""

    endpoint: Endpoint
    timeout_s: float


class Remember(Value):
    """Keep this for the next link to the peer (None: nothing)."""

    peer: NodeKey
    memory: bytes | None


class RememberPeer(Value):
    """A node that answered at this endpoint, or failed to."""

    endpoint: Endpoint
    node: NodeKey | None
    failures: int


class RememberRelayed(Value):
    """Keep which identities are held for others only, so that the next start can drop them."""

    identities: tuple[IdentityHash, ...]


class OwnLogElsewhere(Value):
    """A peer proves entries of our own log that we don't hold: this home was cloned or rolled back."""

    device: DeviceKey
    seq: int
    entry: EntryId


class ClocksHeard(Value):
    """A peer has told all it holds of what we share."""

    peer: NodeKey


class LinksLost(Value):
    """Half of the links are gone, or seem so: whoever else knows nodes should look for some now."""


class KeepOffer(Value):
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
    | LeaveLog
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
