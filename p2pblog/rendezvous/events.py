"""What happens to the rendezvous machine, and what it wants done: the one vocabulary of machine and driver."""

from __future__ import annotations

from collections.abc import Sequence

from p2pblog.core.address import Endpoint
from p2pblog.core.entry import Entry
from p2pblog.core.keys import DeviceKey, EntryId, IdentityHash
from p2pblog.core.logs import Batch
from p2pblog.core.value import Value
from p2pblog.dht import Published
from p2pblog.dht.records import DhtKey, Head, Record
from p2pblog.errors import RemoteProtocolError
from p2pblog.gossip.events import Candidates, Learned

# --- what a look-up or a publish is for -------------------------------------------------------------------------------


class Replicas(Value):
    """Who holds a feed that no link leads to."""

    identity: IdentityHash


class Heads(Value):
    """What proves that an identity's logs go as far as they do."""

    identity: IdentityHash


class OneNotice(Value):
    """One of the newest entries of a log whose head was found."""

    identity: IdentityHash
    device: DeviceKey
    seq: int


class Crowd(Value):
    """Which replicas of a feed there are, before we announce ourselves as one more."""

    identity: IdentityHash


class OwnLog(Value):
    """Our head, newest notices and drops."""


class OwnReplica(Value):
    """That we hold this feed."""

    identity: IdentityHash


class OwnPointers(Value):
    """What entries of our log refer to, up to entry `last`."""

    device: DeviceKey
    last: int


Query = Replicas | Heads | OneNotice | Crowd
Offering = OwnLog | OwnReplica | OwnPointers

# --- events -----------------------------------------------------------------------------------------------------------


class Started(Value):
    """The node is at work; nothing is done before."""


class Met(Value):
    """The DHT's routing table holds so many contacts; told at least when that becomes none or more than none."""

    contacts: int


class Reachable(Value):
    """Where others reach this node now; None: nowhere, and it announces nothing."""

    endpoint: Endpoint | None


class OwnLogCompared(Value):
    """Peers and DHT have shown what they hold of our own log, or did not in time (`Author.until_compared`)."""


class StoredOf(Value):
    """Entries of this identity, ours or one that is followed, are on disk, and the holdings know."""

    identity: IdentityHash


class Followed(Value):
    """The person follows an identity, or asks for it again."""

    identity: IdentityHash


class PeersGiven(Value):
    """The person named nodes, and the DHT has tried to meet them."""


class LinksChanged(Value):
    """Gossip links came or went."""


class LinksLost(Value):
    """Half of the gossip links are gone, or seem so (DESIGN 5: dials and the DHT search start together)."""


class Found(Value):
    """The answer to `FindRecords`: valid records under its key, none if nobody answered with one."""

    query: Query
    records: tuple[Record, ...]


class FoundFirst(Value):
    """Who holds a feed, as the first holder of these records says while others are asked: `Found` is still to come."""

    identity: IdentityHash
    records: tuple[Record, ...]


class PublishedTo(Value):
    """The answer to `PublishRecords`: how many nodes hold each record now, in the order of the records."""

    offering: Offering
    holders: tuple[int, ...]
    unheard: frozenset[int] = frozenset()
    """The numbers of those of which nobody said anything, so that nobody refused them either."""

    @classmethod
    def told(cls, offering: Offering, published: Sequence[Published]) -> PublishedTo:
        """As the directory tells it."""
        unheard = frozenset(number for number, one in enumerate(published) if not one.is_heard)
        return cls(offering, tuple(one.holders for one in published), unheard)


class OwnLoaded(Value):
    """The answer to `LoadOwn`. `readable`: those of the entries that a timeline still shows; `taken_back`: the numbers,
    ascending, of all that was taken back. `entries` is None where the store failed."""

    device: DeviceKey
    entries: tuple[Entry, ...] | None
    readable: frozenset[EntryId] = frozenset()
    taken_back: tuple[int, ...] = ()


class Unpointed(Value):
    """The answer to `LoadUnpointed`: the entries up to `last` for which no pointers were published yet, the first of
    them if they are many; `readable` as in `OwnLoaded`. `entries` is None where the store failed."""

    device: DeviceKey
    last: int
    entries: tuple[Entry, ...] | None
    readable: frozenset[EntryId] = frozenset()


class Woken(Value):
    """The alarm that `Wake` asked for, or an older one."""


Event = (
    Started
    | Met
    | Reachable
    | OwnLogCompared
    | StoredOf
    | Followed
    | PeersGiven
    | LinksChanged
    | LinksLost
    | Found
    | FoundFirst
    | PublishedTo
    | OwnLoaded
    | Unpointed
    | Woken
)

# --- effects ----------------------------------------------------------------------------------------------------------


class FindRecords(Value):
    """Look up a key; whatever happens, say `Found` once, and for `Replicas` perhaps `FoundFirst` once before: anything
    else is not for one holder to say."""

    query: Query
    key: DhtKey

    @property
    def twice_named(self) -> bool:
        """Whether only what two holders name counts: one could keep all others from announcing what they hold."""
        return isinstance(self.query, Crowd)


class PublishRecords(Value):
    """Store each record at the nodes closest to its key; whatever happens, say `PublishedTo` once."""

    offering: Offering
    records: tuple[Record, ...]


class LoadOwn(Value):
    """Read entries of our own log, which of them are readable, and which entries, these and others, were taken back
    whose own time is later than `since_ms`; whatever happens, say `OwnLoaded` once."""

    device: DeviceKey
    first: int
    last: int
    since_ms: int


class LoadUnpointed(Value):
    """Read the entries of our own log up to `last`, above `done` and above what `KeepPointed` has kept, at most the
    newest UNPOINTED_MAX; whatever happens, say `Unpointed` once."""

    device: DeviceKey
    done: int
    last: int


class KeepPointed(Value):
    """Keep for the next start that pointers for this log were published up to this entry."""

    device: DeviceKey
    seq: int


class TellGossip(Value):
    """Feed this to the gossip machine. Statements come as a set that proves itself, so merging them can't fail."""

    event: Learned | Candidates


class TakeRun(Value):
    """Store a verified run that came by no link; what contradicts ours is dropped."""

    batch: Batch


class OwnHeads(Value):
    """What the DHT proves of our own logs, in the order of their devices: for the author to compare with."""

    heads: tuple[Head, ...]


class Refused(Value):
    """What the DHT said of an identity broke a rule, and was left aside. Nothing is to be done."""

    identity: IdentityHash
    error: RemoteProtocolError


class Wake(Value):
    """Say `Woken` at this `now`, give or take a millisecond. A later alarm that was asked for before may still ring."""

    at: float


Effect = (
    FindRecords
    | PublishRecords
    | LoadOwn
    | LoadUnpointed
    | KeepPointed
    | TellGossip
    | TakeRun
    | OwnHeads
    | Refused
    | Wake
)
