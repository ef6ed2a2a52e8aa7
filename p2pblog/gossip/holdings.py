"""What this node holds and cares about, as the machines see it: the one picture they share."""

from __future__ import annotations

from collections.abc import Iterable

from p2pblog.core.identity import Device, Identity, Standing
from p2pblog.core.keys import DeviceKey, EntryId, IdentityHash, NodeKey
from p2pblog.core.logs import LogState
from p2pblog.core.value import State, Value, field, replace
from p2pblog.gossip.messages import LOGS_PER_CLOCK_MAX, MISSING_MAX, SPANS_MAX, Clock, IdentityClock, tip_of


class Asker(Value):
    """For whom we relay: until when, and how many relays may stand behind us."""

    until: float
    hops_left: int


class Lease(State):
    """What we owe to others for one identity. `until`: to those of them whose link has ended."""

    askers: dict[NodeKey, Asker] = field(default_factory=dict)
    until: float = 0.0


class Holdings(State):
    """`interests` is what the person follows, and ordered: what was followed first comes first. `private`: those of
    them that nobody is told of who does not share them. `blocked`: what is neither taken, held, relayed nor given.
    `relayed` is what we care for on behalf of others, and whether it is borrowed: then all that is held of it goes when
    the lease ends."""

    own: IdentityHash
    interests: dict[IdentityHash, None] = field(default_factory=dict)
    private: dict[IdentityHash, None] = field(default_factory=dict)
    blocked: dict[IdentityHash, None] = field(default_factory=dict)
    relayed: dict[IdentityHash, bool] = field(default_factory=dict)
    leases: dict[IdentityHash, Lease] = field(default_factory=dict)
    """Who asked us to relay what; what is followed may stand here too."""
    asked: dict[IdentityHash, dict[NodeKey, float]] = field(default_factory=dict)
    """Whom we asked to relay what, until when: relaying's own picture, for others to see what is a link of ours."""
    identities: dict[IdentityHash, Identity] = field(default_factory=dict)
    logs: dict[DeviceKey, LogState] = field(default_factory=dict)
    owners: dict[DeviceKey, IdentityHash] = field(default_factory=dict)
    is_full: bool = False
    """Whether the store is over its cap, so that no history is fetched."""
    unreadable: dict[DeviceKey, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    """Numbers of entries that are stored and damaged, so that we can't give them: clocks leave them out, or who asks
    us for them would come to nothing that lies below. Found anew after each start, as they are asked for."""
    _by_identity: dict[IdentityHash, dict[DeviceKey, None]] = field(default_factory=dict)
    _clocks: dict[IdentityHash, IdentityClock] = field(default_factory=dict)
    """The last clock told of each identity, so that all links keep one and the same."""

    @property
    def cared_for(self) -> list[IdentityHash]:
        """What is followed, then what is relayed."""
        return [*self.interests, *self.relayed]

    def cares_for(self, identity: IdentityHash) -> bool:
        return identity in self.interests or identity in self.relayed

    def is_borrowed(self, identity: IdentityHash) -> bool:
        """Whether we hold this only for others."""
        return self.relayed.get(identity, False)

    def is_asked_by(self, peer: NodeKey, identity: IdentityHash) -> bool:
        lease = self.leases.get(identity)
        return lease is not None and peer in lease.askers

    def gives(self, peer: NodeKey, identity: IdentityHash) -> bool:
        """Whether we tell a peer what we hold: of what is relayed, only to who asked for it."""
        return identity not in self.relayed or self.is_asked_by(peer, identity)

    def takes(self, peer: NodeKey, identity: IdentityHash) -> bool:
        """Whether we take entries from a peer: of what is relayed, nothing from who asked for it."""
        return identity not in self.relayed or not self.is_asked_by(peer, identity)

    def learn(self, identity: Identity) -> list[DeviceKey]:
        """Take an identity's new state. Gives the devices that it names no more and of which nothing is held: they are
        forgotten here, for whoever states ever new ones would otherwise fill our memory with them."""
        self.identities[identity.hash] = identity
        for device in identity.devices:
            if self.owners.setdefault(device, identity.hash) == identity.hash:
                self._by_identity.setdefault(identity.hash, {})[device] = None
        ours = self._by_identity.get(identity.hash, {})
        unnamed = [device for device in ours if device not in identity.devices and device not in self.logs]
        for device in unnamed:
            self._release(device, identity.hash)
        return unnamed

    def _release(self, device: DeviceKey, owner: IdentityHash) -> None:
        """A device counts as this identity's no more."""
        del self.owners[device]
        self._by_identity.get(owner, {}).pop(device, None)
        if not self._by_identity.get(owner):
            self._by_identity.pop(owner, None)

    def take(self, state: LogState) -> None:
        """Take a log's new state. A proof that the store has still to write is kept."""
        known = self.logs.get(state.device)
        if known is not None and known.fork is not None and state.fork is None:
            state = replace(state, fork=known.fork)
        if known is not None and known.floor != state.floor:
            self.unreadable.pop(state.device, None)  # what was found to be gone may only have been pruned
        self.logs[state.device] = state
        self.owners[state.device] = state.identity
        self._by_identity.setdefault(state.identity, {})[state.device] = None

    def is_blocked(self, device: DeviceKey) -> bool:
        """Whether a log is of somebody who is blocked, as far as we know whose it is."""
        return self.owners.get(device) in self.blocked

    def is_borrowed_log(self, device: DeviceKey) -> bool:
        """Whether we hold a log only for others: when it goes, what was here of it before stays."""
        owner = self.owners.get(device)
        return owner is not None and self.is_borrowed(owner)

    def set_private(self, identity: IdentityHash, private: bool) -> None:
        """Whether nobody is told of an interest who does not share it."""
        if private:
            self.private[identity] = None
        else:
            self.private.pop(identity, None)

    def forget_log(self, device: DeviceKey) -> None:
        """Forget what is held of a log; of an identity that is forgotten itself, that there is such a log. Whose logs
        are blocked is remembered: more of them may be on its way to the store."""
        self.logs.pop(device, None)
        self.unreadable.pop(device, None)
        owner = self.owners.get(device)
        if owner is None or owner in self.identities or owner in self.blocked:
            return
        if not self.cares_for(owner):
            self._release(device, owner)

    def forget_identity(self, identity: IdentityHash) -> None:
        """Forget the statements; its logs are forgotten one by one, as the store drops them."""
        self.identities.pop(identity, None)
        self._clocks.pop(identity, None)

    def devices(self, identity: IdentityHash) -> list[DeviceKey]:
        """The devices whose logs we would take, in the order of their keys."""
        return sorted(self._by_identity.get(identity, {}))

    def high(self, device: DeviceKey) -> int:
        """The highest number we hold; 0 for nothing."""
        state = self.logs.get(device)
        return state.spans[-1].high if state is not None and state.spans else 0

    def holds(self, device: DeviceKey, seq: int) -> bool:
        """Whether we hold this entry, with or without its payload."""
        state = self.logs.get(device)
        return state is not None and any(span.low <= seq <= span.high for span in state.spans)

    def entries(self, device: DeviceKey) -> int:
        """How many entries we hold of a log."""
        state = self.logs.get(device)
        return sum(span.high - span.low + 1 for span in state.spans) if state is not None else 0

    def last_wanted(self, device: DeviceKey) -> int:
        """The highest number that we would take of this log: none beyond a retirement, none of a stranger's."""
        standing = self.standing(device)
        return 0 if standing is None or self.is_frozen(device) else standing.seq

    def lacked(self, identity: IdentityHash) -> dict[DeviceKey, list[tuple[int, int]]]:
        """The numbers that an identity's logs are known to have, and that are not here, for each log that has some."""
        known = self.identities.get(identity)
        found = {device: self.lacked_of(device) for device in known.devices} if known is not None else {}
        return {device: ranges for device, ranges in found.items() if ranges}

    def lacked_of(self, device: DeviceKey) -> list[tuple[int, int]]:
        """The same of one log, as (first, last): its device has written an entry, which names its identity; all below
        one that is here; and all up to a retirement. What was pruned is not lacked, nor anything of a disputed log."""
        standing, state = self.standing(device), self.logs.get(device)
        if standing is None or self.is_frozen(device):
            return []
        ranges = list[tuple[int, int]]()
        first, end = 1 if state is None else state.floor + 1, standing.seq if standing.retired else 1
        for span in state.spans if state is not None else ():
            if first < span.low:
                ranges.append((first, span.low - 1))
            first = span.high + 1
        return ranges if end < first else [*ranges, (first, end)]

    def standing(self, device: DeviceKey) -> Standing | None:
        owner = self.owners.get(device)
        identity = self.identities.get(owner) if owner is not None else None
        return identity.devices.get(device) if identity is not None else None

    def is_frozen(self, device: DeviceKey) -> bool:
        """Whether a fork proof stands against this log that no retirement has settled."""
        state = self.logs.get(device)
        if state is None or state.fork is None:
            return False
        standing = self.standing(device)
        return standing is None or not standing.retired

    def id_before(self, device: DeviceKey, first: int) -> EntryId | None:
        """The id of entry `first - 1`, where a span of ours ends on it."""
        state = self.logs.get(device)
        for span in state.spans if state is not None else ():
            if span.high == first - 1:
                return span.high_id
        return None

    def clock(self, device: DeviceKey) -> Clock:
        state = self.logs.get(device)
        if state is None:
            return Clock()
        spans = tuple((span.low, span.high) for span in reversed(state.spans))
        tip = tip_of(state.spans[-1].high_id) if state.spans else None
        if (lost := self.unreadable.get(device)) is not None:
            spans = without(spans, lost)
            tip = tip if spans and spans[0][1] == state.spans[-1].high else None
        return Clock(spans[:SPANS_MAX], tuple(sorted(state.missing, reverse=True)[:MISSING_MAX]), tip)

    def lose(self, device: DeviceKey, first: int, last: int) -> None:
        """These numbers are held and can't be read. Of many in one log those found last are remembered."""
        known = self.unreadable.get(device, ())
        if not any(low <= first and last <= high for low, high in known):
            self.unreadable[device] = (*known, (first, last))[-SPANS_MAX:]

    def identity_clock(self, identity: IdentityHash) -> IdentityClock:
        known = self.identities.get(identity)
        logs = tuple((device, self.clock(device)) for device in self._told_of(identity))
        clock = IdentityClock(identity, known.digest if known is not None else None, logs)
        if self._clocks.get(identity) != clock:
            self._clocks[identity] = clock
        return self._clocks[identity]

    def _told_of(self, identity: IdentityHash) -> list[DeviceKey]:
        """The logs that a clock has room for, in the order of their keys: of many, those of the devices stated last,
        since who takes a new device at each start writes with the newest."""
        held = [device for device in self.devices(identity) if device in self.logs]
        if len(held) <= LOGS_PER_CLOCK_MAX:
            return held
        known = self.identities.get(identity)
        bodies = [statement.body for statement in known.statements] if known is not None else []
        stated = {body.device: body.counter for body in bodies if isinstance(body, Device)}
        newest = sorted(held, key=lambda device: stated.get(device, -1), reverse=True)
        return sorted(newest[:LOGS_PER_CLOCK_MAX])


def without(spans: Iterable[tuple[int, int]], lost: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """What of these spans, newest first, lies outside of others."""
    left = list(spans)
    for first, last in lost:
        parts = [(max(low, last + 1), high) for low, high in left], [(low, min(high, first - 1)) for low, high in left]
        left = sorted((low, high) for low, high in {*parts[0], *parts[1]} if low <= high)[::-1]
    return tuple(left)
