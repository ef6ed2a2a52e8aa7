"""Who fetches which entries from whom: newest first, each from one peer at a time, holes and history after.

Rules:

* A log is wanted from one peer at a time; a peer answers at most WANTS_PER_PEER of ours at once.
* First the newest 50 of every shared log, then payloads that are missing, then everything below, from the top down.
* A run counts only when it is stored; only then is the next piece of its log asked for.
* A run that contradicts what we hold is followed down to where the two histories part; that gives a fork proof.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from p2pblog.config import FORK_BODIES_MAX, NEWEST_FIRST, RUN_ENTRIES_MAX
from p2pblog.core import payload as payloads
from p2pblog.core.entry import Entry
from p2pblog.core.forks import ForkProof, prove_fork
from p2pblog.core.keys import DeviceKey, IdentityHash, NodeKey
from p2pblog.core.logs import Batch, LogState
from p2pblog.core.runs import check_run, encode_run, run_device
from p2pblog.errors import BadChain, BadForkProof, BadMessage, TooSlow
from p2pblog.gossip.events import (
    ClocksDue,
    Close,
    Contradicted,
    DropLog,
    Effect,
    Loaded,
    LoadRun,
    PayloadsStored,
    Send,
    SetTimer,
    Stored,
    StoreFork,
    StorePayloads,
    StoreRun,
    WantDue,
)
from p2pblog.gossip.holdings import Holdings
from p2pblog.gossip.messages import (
    PAYLOADS_MAX,
    Clock,
    Fork,
    Lack,
    Payloads,
    Run,
    Want,
    WantPayloads,
)
from p2pblog.gossip.sharing import Session, Sharing

WANTS_PER_PEER = 8
"""Wants under way with one peer: enough to hide the round trip, few enough that newest-first stays in our hands."""
ASKED_MAX = 64
"""Wants of one peer that we hold at once; a peer of ours asks for 8."""
WANT_TIMEOUT_S = 20.0
"""A full run of 2 MiB over a link of 1 Mbit/s takes 17 s."""
CLOCKS_DELAY_S = 1.0
"""Changes of what we hold are told together (a guess; live entries are announced on their own, at once)."""


@dataclass(slots=True)
class Fetching:
    """A log being fetched from a peer: the numbers asked for; `answered`: what came waits to be stored."""

    peer: NodeKey
    number: int
    first: int
    last: int
    payloads: bool = False
    answered: bool = False


@dataclass(slots=True)
class Queue:
    """What one peer could give us: logs with newer entries, then logs with holes below."""

    fresh: dict[DeviceKey, None] = field(default_factory=dict)
    old: dict[DeviceKey, None] = field(default_factory=dict)
    under_way: int = 0
    asked: int = 0


@dataclass(slots=True)
class Replication:
    """The machine."""

    holdings: Holdings
    sharing: Sharing
    fetching: dict[DeviceKey, Fetching] = field(default_factory=dict)
    queues: dict[NodeKey, Queue] = field(default_factory=dict)
    now: float = 0.0
    _numbers: int = 0

    # --- links and clocks ---

    def on_link_down(self, peer: NodeKey) -> list[Effect]:
        self.queues.pop(peer, None)
        orphans = [device for device, fetch in self.fetching.items() if fetch.peer == peer]
        for device in orphans:
            del self.fetching[device]
        effects: list[Effect] = []
        for device in orphans:
            effects += self.offer(device)
        return effects

    def consider(self, session: Session, identities: Iterable[IdentityHash]) -> list[Effect]:
        """Take up what a peer's clocks promise of these identities."""
        queue = self.queues.setdefault(session.peer, Queue())
        for identity in identities:
            for device in self.holdings.devices(identity):
                if device in session.clocks:
                    queue.fresh[device] = None
        return self._pump(session)

    def offer(self, device: DeviceKey) -> list[Effect]:
        """A log is free to be fetched (again): ask whoever has more of it."""
        effects: list[Effect] = []
        for peer in sorted(self.sharing.sessions):
            session = self.sharing.sessions[peer]
            if device in session.clocks and device not in self.fetching:
                self.queues.setdefault(peer, Queue()).fresh[device] = None
                effects += self._pump(session)
        return effects

    def _pump(self, session: Session) -> list[Effect]:
        queue = self.queues.setdefault(session.peer, Queue())
        effects: list[Effect] = []
        while queue.under_way < WANTS_PER_PEER and (queue.fresh or queue.old):
            newest = bool(queue.fresh)
            waiting = queue.fresh if newest else queue.old
            device = next(iter(waiting))
            del waiting[device]
            if device in self.fetching:
                continue
            asked = self._ask(session, device, newest)
            if asked is None and newest:
                queue.old[device] = None
            elif asked is not None:
                effects += asked
        return effects

    def _ask(self, session: Session, device: DeviceKey, newest: bool) -> list[Effect] | None:
        theirs = session.clocks.get(device, Clock())
        limit = self.holdings.last_wanted(device)
        state = self.holdings.logs.get(device)
        if newest:
            piece = newest_piece(state, theirs, limit)
        else:
            lacking = missing_payloads(state, theirs)
            if lacking:
                return self._fetch(session, device, lacking[-1], lacking[0], WantPayloads(device, lacking))
            piece = history_piece(state, theirs, limit)
        if piece is None:
            return None
        return self._fetch(session, device, *piece, Want(device, *piece))

    def _fetch(
        self, session: Session, device: DeviceKey, first: int, last: int, message: Want | WantPayloads
    ) -> list[Effect]:
        self._numbers += 1
        wants_payloads = isinstance(message, WantPayloads)
        self.fetching[device] = Fetching(session.peer, self._numbers, first, last, wants_payloads)
        self.queues.setdefault(session.peer, Queue()).under_way += 1
        return [
            Send(session.peer, message),
            SetTimer(WantDue(session.peer, device, self._numbers), self.now + WANT_TIMEOUT_S),
        ]

    def on_want_due(self, timer: WantDue) -> list[Effect]:
        fetch = self.fetching.get(timer.device)
        if fetch is None or fetch.number != timer.number or fetch.answered:
            return []
        return [Close(timer.peer, TooSlow("no answer to a request in time"))]

    # --- answers to what we asked ---

    def on_run(self, session: Session, message: Run) -> list[Effect]:
        device, first = run_device(message.value)
        fetch = self._answered(session, device)
        if fetch.payloads:
            raise BadMessage("a run where payloads were asked for")
        before = None if message.value[2] is not None else self.holdings.id_before(device, first)
        entries = check_run(message.value, before)
        identity = self.holdings.owners.get(device)
        if identity is None or identity not in self.holdings.interests or self.holdings.is_frozen(device):
            return self._finish(session, device)
        if entries[0].seq > fetch.last or entries[-1].seq < fetch.first:
            raise BadMessage("a run that was not asked for")
        check_start(identity, entries)
        return [StoreRun(session.peer, Batch(identity, entries), live=False)]

    def on_payloads(self, session: Session, message: Payloads) -> list[Effect]:
        fetch = self._answered(session, message.device)
        if not fetch.payloads:
            raise BadMessage("payloads that were not asked for")
        state = self.holdings.logs.get(message.device)
        lacking = set(state.missing) if state is not None else set()
        useful = tuple(pair for pair in message.payloads if pair[0] in lacking)
        self._no_longer_offers(session, message.device, fetch, {seq for seq, _payload in message.payloads})
        if not useful:
            return self._finish(session, message.device)
        return [StorePayloads(session.peer, message.device, useful)]

    def _no_longer_offers(self, session: Session, device: DeviceKey, fetch: Fetching, given: set[int]) -> None:
        """What was asked for and not given is missing there too, whatever its clock said."""
        clock = session.clocks.get(device, Clock())
        state = self.holdings.logs.get(device)
        lacking = state.missing if state is not None else ()
        absent = {seq for seq in lacking if fetch.first <= seq <= fetch.last and seq not in given}
        session.clocks[device] = Clock(clock.spans, tuple(sorted({*clock.missing, *absent}, reverse=True)))

    def on_lack(self, session: Session, message: Lack) -> list[Effect]:
        self._answered(session, message.device)
        session.clocks.pop(message.device, None)
        return self._finish(session, message.device)

    def _answered(self, session: Session, device: DeviceKey) -> Fetching:
        fetch = self.fetching.get(device)
        if fetch is None or fetch.peer != session.peer or fetch.answered:
            raise BadMessage("an answer to no question")
        fetch.answered = True
        return fetch

    def _finish(self, session: Session, device: DeviceKey) -> list[Effect]:
        """The question is answered and its answer is dealt with: go on with this log and this peer."""
        fetch = self.fetching.get(device)
        if fetch is None or fetch.peer != session.peer:
            return []
        del self.fetching[device]
        queue = self.queues.setdefault(session.peer, Queue())
        queue.under_way -= 1
        effects = self.offer(device)
        return effects + self._pump(session)

    # --- what the store says ---

    def on_stored(self, event: Stored) -> list[Effect]:
        device = event.state.device
        session = self.sharing.sessions.get(event.source) if event.source is not None else None
        effects: list[Effect] = []
        if session is not None and not event.live:
            effects += self._finish(session, device)
        if not event.live:
            effects += self.tell_later(event.batch.identity, except_peer=event.source)
        return effects

    def on_payloads_stored(self, event: PayloadsStored) -> list[Effect]:
        session = self.sharing.sessions.get(event.source)
        effects = self._finish(session, event.state.device) if session is not None else []
        return effects + self.tell_later(event.state.identity, except_peer=event.source)

    def tell_later(self, identity: IdentityHash, except_peer: NodeKey | None = None) -> list[Effect]:
        """Tell our clocks of this identity to all who share it, together with what else changes in the next second."""
        effects: list[Effect] = []
        for session in self.sharing.sharing(identity):
            if session.peer == except_peer:
                continue
            if not session.due_clocks:
                effects.append(SetTimer(ClocksDue(session.peer), self.now + CLOCKS_DELAY_S))
            session.due_clocks[identity] = None
        return effects

    # --- what peers ask for ---

    def on_want(self, session: Session, message: Want) -> list[Effect]:
        if message.first > message.last:
            raise BadMessage("a want that ends before it begins")
        last = min(message.last, message.first + RUN_ENTRIES_MAX - 1)
        return self._load(session, message.device, message.first, last)

    def on_want_payloads(self, session: Session, message: WantPayloads) -> list[Effect]:
        if not message.seqs:
            raise BadMessage("a want of nothing")
        return self._load(session, message.device, message.seqs[-1], message.seqs[0], message.seqs)

    def _load(
        self, session: Session, device: DeviceKey, first: int, last: int, seqs: tuple[int, ...] = ()
    ) -> list[Effect]:
        queue = self.queues.setdefault(session.peer, Queue())
        queue.asked += 1
        if queue.asked > ASKED_MAX:
            raise BadMessage("more wants at once than a peer may have")
        return [LoadRun(session.peer, device, first, last, live=False, seqs=seqs)]

    def on_loaded(self, session: Session, event: Loaded) -> list[Effect]:
        request = event.request
        queue = self.queues.get(session.peer)
        if queue is not None:
            queue.asked -= 1
        shared = self.holdings.owners.get(request.device) in session.shared
        if request.seqs:
            held = {entry.seq: entry.payload for entry in event.entries} if shared else {}
            given = [(seq, held.get(seq)) for seq in request.seqs]
            return [Send(session.peer, Payloads(request.device, tuple((s, p) for s, p in given if p is not None)))]
        if not shared or not event.entries:
            return [Send(session.peer, Lack(request.device, request.first))]
        return [Send(session.peer, Run(encode_run(event.entries)))]

    # --- forks ---

    def on_contradicted(self, session: Session, event: Contradicted) -> list[Effect]:
        device = event.batch.entries[0].device
        return self._weigh(session, device, event.batch.entries, event.ours)

    def _weigh(
        self, session: Session, device: DeviceKey, theirs: tuple[Entry, ...], ours: tuple[Entry, ...]
    ) -> list[Effect]:
        """Two histories: where they differ at a common number there is a proof; else ask for what is below."""
        if not ours:
            return [Close(session.peer, BadChain("a run that contradicts what is held, without evidence"))]
        at_bottom = {entry.seq: entry.id for entry in ours}.get(theirs[0].seq - 1)
        parted_below = at_bottom is not None and at_bottom != theirs[0].prev
        if parted_below:
            last = theirs[0].seq - 1
            return self._ask_again(session, device, max(1, last - FORK_BODIES_MAX + 1), last)
        try:
            return self.convict(prove_fork(ours, theirs), None)
        except BadForkProof:
            pass  # no number in common
        above = theirs[-1].seq + 1
        if any(entry.seq == above and entry.prev != theirs[-1].id for entry in ours):
            return self._ask_again(session, device, above, above + FORK_BODIES_MAX - 1)
        return self._finish(session, device)

    def _ask_again(self, session: Session, device: DeviceKey, first: int, last: int) -> list[Effect]:
        if self.fetching.pop(device, None) is not None:
            self.queues.setdefault(session.peer, Queue()).under_way -= 1
        return self._fetch(session, device, first, last, Want(device, first, last))

    def convict(self, proof: ForkProof, source: NodeKey | None) -> list[Effect]:
        """Freeze a log for good reason and tell everybody who shares it."""
        device = proof.device
        identity = self.holdings.owners.get(device)
        if identity is None or self.holdings.is_frozen(device) or self._is_immune(device, proof):
            return []
        state = self.holdings.logs.get(device, LogState(device, identity))
        self.holdings.take(LogState(device, identity, state.spans, state.missing, proof))
        fetch = self.fetching.pop(device, None)
        if fetch is not None and fetch.peer in self.queues:
            self.queues[fetch.peer].under_way -= 1
        told = [session.peer for session in self.sharing.sharing(identity) if session.peer != source]
        return [StoreFork(proof), *(Send(peer, Fork(proof.wire)) for peer in told)]

    def _is_immune(self, device: DeviceKey, proof: ForkProof) -> bool:
        standing = self.holdings.standing(device)
        return standing is not None and standing.retired and proof.seq <= standing.seq

    def on_fork(self, session: Session, message: Fork) -> list[Effect]:
        return self.convict(ForkProof.decode(message.proof), session.peer)

    def tell_forks(self, session: Session, identities: Iterable[IdentityHash]) -> list[Effect]:
        """The proofs that stand against logs of newly shared identities."""
        effects: list[Effect] = []
        for identity in identities:
            for device in self.holdings.devices(identity):
                state = self.holdings.logs.get(device)
                if state is not None and state.fork is not None:
                    effects.append(Send(session.peer, Fork(state.fork.wire)))
        return effects

    def drop(self, device: DeviceKey) -> list[Effect]:
        self.holdings.forget_log(device)
        return [DropLog(device)]


def check_start(identity: IdentityHash, entries: tuple[Entry, ...]) -> None:
    """Entry 1 names the one identity that its device writes for. Raises BadChain."""
    first = entries[0]
    if first.seq != 1:
        return
    start = payloads.decode(first.payload) if first.payload is not None else None
    if not isinstance(start, payloads.LogStart) or start.identity != identity:
        raise BadChain("a log whose first entry does not name this identity")


def newest_piece(state: LogState | None, theirs: Clock, limit: int) -> tuple[int, int] | None:
    """(first, last) of the newest entries that they hold above ours: at most 50, at most up to `limit`."""
    high = state.spans[-1].high if state is not None and state.spans else 0
    last = min(theirs.high, limit)
    if last <= high:
        return None
    low = next((low for low, top in theirs.spans if low <= last <= top), None)
    if low is None:
        return None
    return max(high + 1, low, last - NEWEST_FIRST + 1), last


def history_piece(state: LogState | None, theirs: Clock, limit: int) -> tuple[int, int] | None:
    """(first, last) of the uppermost hole of ours that they can fill some of: at most a run's worth."""
    spans = state.spans if state is not None else ()
    ceiling = limit + 1
    for span in [*reversed(spans), None]:
        hole = ((span.high + 1) if span is not None else 1, ceiling - 1)
        for low, high in theirs.spans:
            first, last = max(hole[0], low), min(hole[1], high)
            if first <= last:
                return max(first, last - RUN_ENTRIES_MAX + 1), last
        if span is not None:
            ceiling = span.low
    return None


def missing_payloads(state: LogState | None, theirs: Clock) -> tuple[int, ...]:
    """Numbers, highest first, whose payload we lack and they hold, in one stretch of at most a run."""
    if state is None or not state.missing:
        return ()
    lacking = [seq for seq in sorted(state.missing, reverse=True) if theirs.holds(seq) and seq not in theirs.missing]
    return tuple(seq for seq in lacking[:PAYLOADS_MAX] if seq > lacking[0] - RUN_ENTRIES_MAX)
