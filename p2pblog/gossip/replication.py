"""Who fetches which entries from whom: newest first, each from one peer at a time, holes and history after.

Rules:

* A log is wanted from one peer at a time; a peer answers at most WANTS_PER_PEER of ours at once, first NEWEST_PER_PEER.
* First the newest 50 of every shared log, then payloads that are missing, then everything below, from the top down.
* A run counts only when it is stored; only then is the next piece of its log asked for.
* Who does not give what its clock promised leads to nothing of that identity until it gives some of it. Who gives less
  of a log than it was asked for is asked for more of it after everybody else, until it has given all that was asked.
* Where answers are slow to come over the line less history is asked for at once (questions.py).
* A run that contradicts what we hold is followed to where the two histories part; that gives a fork proof. Meanwhile
  its sender is asked for no more of that log, and others are.
* Of a feed that we only relay, nothing but the newest of each log are fetched, as far as there is room (borrowed.py).
* What was pruned to save room, up to a log's floor, is not asked for again; nor any history while the store is full.
* Of a retired log the entry that the retirement names comes first, so that we never build on a wrong branch. Where we
  hold that entry, we are right; where we don't and somebody contradicts us, we begin afresh.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from p2pblog.config import FORK_BODIES_MAX
from p2pblog.core.entry import Entry
from p2pblog.core.forks import ForkProof, freezes, prove_fork
from p2pblog.core.keys import DeviceKey, IdentityHash, NodeKey
from p2pblog.core.logs import Batch, LogState
from p2pblog.core.runs import check_run, run_start
from p2pblog.core.value import State, field, replace
from p2pblog.errors import BadChain, BadForkProof, BadMessage, TooSlow
from p2pblog.gossip.borrowed import Borrowed, bare_beyond
from p2pblog.gossip.claims import Claim, check_claim, hangs_on, is_of, is_other_branch
from p2pblog.gossip.events import (
    ClocksDue,
    Close,
    Contradicted,
    DropLog,
    Effect,
    LeaveLog,
    PatienceDue,
    PayloadsStored,
    PayloadsUnfit,
    Send,
    SetTimer,
    Stored,
    StoreFork,
    StorePayloads,
    StoreRun,
    WantDue,
)
from p2pblog.gossip.gaps import bare_entries, is_past_hole, may_fill, note_lack, who_lacks
from p2pblog.gossip.holdings import Holdings
from p2pblog.gossip.messages import (
    Clock,
    Fork,
    Lack,
    Payloads,
    Run,
    Want,
    WantPayloads,
    tip_of,
)
from p2pblog.gossip.pieces import above, history_piece, missing_payloads, newest_piece
from p2pblog.gossip.questions import Fetching, Queue, ends_early
from p2pblog.gossip.sharing import Session, Sharing

WANTS_PER_PEER = 8
"""Wants under way with one peer: enough to hide the round trip, few enough that newest-first stays in our hands."""
NEWEST_PER_PEER = 32
"""The same for the newest, as many bytes as two full runs: with 8 those of 1,000 authors took 125 round trips."""
PATIENCE_S = 2.0
"""How long a peer that does not answer has a log to itself while somebody else has it, too (a guess: ten slow round
trips). A slow honest peer costs one run that comes twice; both are stored, or two slow ones would ask for ever."""
WANT_TIMEOUT_S = 20.0
"""How long nothing of an answer may come: a run of 2 MiB that stands before it takes 17 s on 1 Mbit/s."""
CLOCKS_DELAY_S = 1.0
"""Changes of what we hold are told together (a guess; live entries are announced on their own, at once)."""


class Replication(State):
    """The machine. `fetching` holds the one question by which each log is being fetched."""

    holdings: Holdings
    sharing: Sharing
    borrowed: Borrowed
    fetching: dict[DeviceKey, Fetching] = field(default_factory=dict)
    queues: dict[NodeKey, Queue] = field(default_factory=dict)
    now: float = 0.0
    afresh: dict[DeviceKey, None] = field(default_factory=dict)
    """Retired logs begun afresh, once each: an author of two histories and a friend shall not make us do it again, and
    what is below a hole is taken from nobody, who may have been misled as we were."""
    _numbers: int = 0

    # --- links and clocks ---

    def on_link_down(self, peer: NodeKey) -> list[Effect]:
        self.queues.pop(peer, None)
        orphans = [device for device, fetch in self.fetching.items() if fetch.peer == peer]
        for device in orphans:
            del self.fetching[device]
        return [effect for device in orphans for effect in self.seek(device)]

    def consider(self, session: Session, identities: Iterable[IdentityHash]) -> list[Effect]:
        """Take up what a peer's clocks promise of these identities, and tell it where we may have what it lacks."""
        queue = self._queue(session)
        effects: list[Effect] = []
        for identity in identities:
            if may_fill(self.holdings, session, identity):
                effects += self.sharing.say_clock(session, identity)
            for device in self.holdings.devices(identity):
                queue.doubted.pop(device, None)
                if device in queue.stinted and not self._claims_more(session, device):
                    del queue.stinted[device]
                if device in session.clocks:
                    effects += self._compare_tips(session, device, session.clocks[device])
                    queue.fresh[device] = None
            if identity in session.unkept and not self._promises(session, identity):
                self.sharing.on_word(session, identity, kept=True)
        return effects + self._pump(session)

    def _promises(self, session: Session, identity: IdentityHash) -> bool:
        """Whether a peer's clocks claim anything of this identity that we lack."""
        return any(self._has_more(session, device) for device in self.holdings.devices(identity))

    def _compare_tips(self, session: Session, device: DeviceKey, theirs: Clock) -> list[Effect]:
        """Two histories of one length would never meet: neither side would ask for anything."""
        high = self.holdings.high(device)
        if not high or theirs.high != high or theirs.tip is None or self.holdings.last_wanted(device) < high:
            return []
        if theirs.tip == tip_of(self.holdings.logs[device].spans[-1].high_id):
            return []
        first = max(theirs.spans[0][0], high - FORK_BODIES_MAX + 1)
        return self._inquire(session, device, first, high, Claim(high, tip=theirs.tip))

    def seek(self, device: DeviceKey) -> list[Effect]:
        """A log is free to be fetched (again): ask whoever has more of it, those first who kept their word so far."""
        owner = self.holdings.owners.get(device)
        if owner is None or device in self.fetching:
            return []
        having = [session for session in self.sharing.sessions_of(owner) if device in session.clocks]
        having.sort(key=lambda session: self._reliability(session, device))
        effects: list[Effect] = []
        for session in having:
            if device in self.fetching:
                break
            self._queue(session).fresh[device] = None
            effects += self._pump(session)
        return effects

    def seek_from(self, session: Session, device: DeviceKey) -> list[Effect]:
        """A peer has told that it has more of a log, which changes nothing about what others have. (A message that
        named a thousand logs had all who share each of them looked through, and held a node of 48 links up for 319 ms.)
        """
        if device in self.fetching or device not in session.clocks:
            return []
        self._queue(session).fresh[device] = None
        return self._pump(session)

    def _reliability(self, session: Session, device: DeviceKey) -> tuple[bool, bool, int, bool, int]:
        """Who gives a log in crumbs comes last: each of them is useful, and none is what was asked for. Of the others,
        who gave something useful and is not slow, by intent or not, comes first, then who failed us less, then who is
        not slow, then who has been linked longer. A liar that comes back under a new key stands behind all of those."""
        queue = self._queue(session)
        is_good = queue.kept_word and not queue.is_slow
        return device in queue.stinted, not is_good, queue.lacks, queue.is_slow, session.number

    def kept_word(self, peer: NodeKey) -> bool:
        """Whether a peer has given anything that was worth storing since it was linked."""
        return peer in self.queues and self.queues[peer].kept_word

    def _queue(self, session: Session) -> Queue:
        return self.queues.setdefault(session.peer, Queue())

    def _pump(self, session: Session) -> list[Effect]:
        queue = self._queue(session)
        effects: list[Effect] = []
        while queue.under_way < (NEWEST_PER_PEER if queue.fresh else WANTS_PER_PEER) and (queue.fresh or queue.old):
            newest = bool(queue.fresh)
            waiting = queue.fresh if newest else queue.old
            device = next(iter(waiting))
            del waiting[device]
            if device in self.fetching or queue.is_busy(device):
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
        if limit == 0 or device in self._queue(session).doubted or self._would_guess(device, theirs):
            return None
        owner = self.holdings.owners[device]
        if not self.holdings.takes(session.peer, owner):
            return None
        if owner in self.holdings.relayed:
            if self._under_way(owner) > self.borrowed.room(owner):
                return None
            newest_seq = min(limit, max(theirs.high, self.holdings.high(device)))
            theirs = above(theirs, newest_seq - self.borrowed.share(owner))
        if newest:
            piece = newest_piece(state, theirs, limit)
        else:
            lacking = missing_payloads(state, theirs, limit)
            if lacking:
                return self._fetch(session, device, lacking[-1], lacking[0], WantPayloads(device, lacking))
            most = self._queue(session).most(self.queues.values())
            piece = None if self.holdings.is_full else history_piece(state, theirs, limit, device in self.afresh, most)
        if piece is None:
            return None
        return self._fetch(session, device, *piece, Want(device, *piece))

    def _under_way(self, identity: IdentityHash) -> int:
        """How many of an identity's entries are asked for, or being stored."""
        fetches = (self.fetching.get(device) for device in self.holdings.devices(identity))
        return sum(fetch.last - fetch.first + 1 for fetch in fetches if fetch is not None and not fetch.seqs)

    def forget(self, devices: Iterable[DeviceKey]) -> None:
        """These logs concern us no more."""
        for device in devices:
            self.fetching.pop(device, None)
            self.afresh.pop(device, None)
            self.borrowed.forget(device)
            for queue in self.queues.values():
                for waiting in (queue.fresh, queue.old, queue.doubted, queue.stinted):
                    waiting.pop(device, None)

    def _would_guess(self, device: DeviceKey, theirs: Clock) -> bool:
        """Whether nothing says that a peer is on the branch of a retired log which the retirement picked."""
        standing = self.holdings.standing(device)
        if standing is None or not standing.retired or self.holdings.holds(device, standing.seq):
            return False
        return not theirs.holds(standing.seq)

    def _fetch(
        self,
        session: Session,
        device: DeviceKey,
        first: int,
        last: int,
        message: Want | WantPayloads,
        claim: Claim | None = None,
    ) -> list[Effect]:
        self._numbers += 1
        seqs = message.seqs if isinstance(message, WantPayloads) else ()
        fetch = Fetching(session.peer, device, self._numbers, first, last, self.now, seqs, claim)
        self._queue(session).awaiting[device] = fetch
        if claim is None:
            self.fetching[device] = fetch
        return [
            Send(session.peer, message),
            SetTimer(WantDue(session.peer, device, self._numbers), self.now + WANT_TIMEOUT_S),
            SetTimer(PatienceDue(device, self._numbers), self.now + PATIENCE_S),
        ]

    def on_patience_due(self, timer: PatienceDue) -> list[Effect]:
        """Nobody keeps a log to himself by keeping silent: an answer may still come, but others are asked as well."""
        fetch = self.fetching.get(timer.device)
        if fetch is None or fetch.number != timer.number:
            return []
        session = self.sharing.sessions.get(fetch.peer)
        if session is None or timer.device not in self._queue(session).awaiting:
            return []  # its answer is being stored
        owner, queue = self.holdings.owners.get(timer.device), self._queue(session)
        if max(queue.answered_at, queue.arrived_at) + PATIENCE_S <= self.now:
            self.sharing.on_word(session, owner, kept=False)
        others = [] if owner is None else [other for other in self.sharing.sessions_of(owner) if other is not session]
        if not any(self._has_more(other, timer.device) for other in others):
            return [SetTimer(timer, self.now + PATIENCE_S)]
        queue.lacks += 1
        del self.fetching[timer.device]
        return self.seek(timer.device)

    def _has_more(self, session: Session, device: DeviceKey) -> bool:
        """Whether a peer claims something of this log that we lack, and could be asked for it."""
        queue = self._queue(session)
        return not (device in queue.doubted or queue.is_busy(device)) and self._claims_more(session, device)

    def _claims_more(self, session: Session, device: DeviceKey) -> bool:
        theirs = session.clocks.get(device)
        if theirs is None:
            return False
        state, limit = self.holdings.logs.get(device), self.holdings.last_wanted(device)
        return (
            newest_piece(state, theirs, limit) is not None
            or history_piece(state, theirs, limit, device in self.afresh) is not None
            or bool(missing_payloads(state, theirs, limit))
        )

    def on_arriving(self, peer: NodeKey) -> None:
        """Part of a message has come, which may be an answer: on a slow line one takes longer than WANT_TIMEOUT_S."""
        if peer in self.queues:
            self.queues[peer].arrived_at = self.now

    def on_held_back(self) -> None:
        """What was said to us lay unread, so no answer was slow to come until now."""
        for queue in self.queues.values():
            queue.answered_at = self.now

    def on_want_due(self, timer: WantDue) -> list[Effect]:
        """Answers come one after the other, so the time counts from the last one, or from what has come of the next.
        Who makes one last gains little: his word counts no longer than this, and others are asked meanwhile."""
        queue = self.queues.get(timer.peer)
        fetch = queue.awaiting.get(timer.device) if queue is not None else None
        if queue is None or fetch is None or fetch.number != timer.number:
            return []
        if max(fetch.asked_at, queue.answered_at) + WANT_TIMEOUT_S <= self.now:
            self.sharing.on_word(self.sharing.sessions[timer.peer], self.holdings.owners.get(timer.device), kept=False)
        due = max(fetch.asked_at, queue.answered_at, queue.arrived_at) + WANT_TIMEOUT_S
        if due > self.now:
            return [SetTimer(timer, due)]
        return [Close(timer.peer, TooSlow("no answer to a request in time"))]

    # --- answers to what we asked ---

    def on_run(self, session: Session, message: Run) -> list[Effect]:
        device, first = run_start(message.value)
        fetch = self._answered(session, device)
        if fetch.seqs:
            raise BadMessage("a run where payloads were asked for")
        before = self.holdings.id_before(device, first) if message.value[2] is None and first > 1 else None
        entries = check_run(message.value, before, session.texts)
        if entries[0].seq > fetch.last or entries[-1].seq < fetch.first:
            raise BadMessage("a run that was not asked for")
        if fetch.claim is not None and not self._stands_by(session, fetch.claim, entries):
            return self._finish(session, fetch)
        identity = self.holdings.owners.get(device)
        if identity is None or not self.holdings.cares_for(identity) or self.holdings.is_frozen(device):
            return self._finish(session, fetch)
        self.sharing.on_word(session, identity, kept=True)
        if fetch.claim is None:
            in_full = entries[0].seq <= fetch.first and not ends_early(entries, fetch.last)
            self._queue(session).weigh(device, in_full=in_full)
        standing = self.holdings.standing(device)
        if device in self.afresh and not hangs_on(self.holdings.logs.get(device), standing, entries):
            if fetch.claim is None:  # what looked for a fork may have been asked before we began afresh
                self._queue(session).doubted[device] = None
            return self._finish(session, fetch)
        if is_other_branch(standing, entries) or not is_of(identity, entries):
            self._queue(session).doubted[device] = None
            return self._finish(session, fetch)
        # of two answers that are being stored the one to a question about a claim needs nothing more
        self._queue(session).storing.setdefault(device, fetch)
        run = bare_beyond(standing, entries) if self.holdings.is_borrowed(identity) else entries
        return [StoreRun(session.peer, Batch(identity, run), live=False)]

    def _stands_by(self, session: Session, claim: Claim, entries: Sequence[Entry]) -> bool:
        """Whether a peer shows what it claimed. Of a retired log it may have begun afresh since: then its claim is
        forgotten. Raises BadChain for another entry."""
        device = entries[0].device
        try:
            if check_claim(claim, entries):
                return True
            self._fall_short(session, device)
        except BadChain:
            standing = self.holdings.standing(device)
            if standing is None or not standing.retired:
                raise
            self._queue(session).doubted[device] = None
        return False

    def on_payloads(self, session: Session, message: Payloads) -> list[Effect]:
        device = message.device
        fetch = self._answered(session, device)
        if not fetch.seqs:
            raise BadMessage("payloads that were not asked for")
        state = self.holdings.logs.get(device)
        lacking = set(state.missing) if state is not None else set()
        useful = tuple(pair for pair in message.payloads if pair[0] in lacking and pair[0] <= fetch.last)
        given = {seq for seq, _payload in message.payloads}
        self._no_longer_offers(session, device, fetch, given)
        self.sharing.on_word(session, self.holdings.owners.get(device), kept=bool(message.payloads))
        self._queue(session).weigh(device, in_full=lacking.isdisjoint({*fetch.seqs} - given))
        if not useful:
            return self._finish(session, fetch)
        self._queue(session).storing[device] = fetch
        return [StorePayloads(session.peer, device, useful)]

    def _no_longer_offers(self, session: Session, device: DeviceKey, fetch: Fetching, given: set[int]) -> None:
        """What was asked for and not given is missing there too, whatever its clock said."""
        clock = session.clocks.get(device)
        state = self.holdings.logs.get(device)
        if clock is None or state is None:
            return
        absent = {seq for seq in state.missing if fetch.first <= seq <= fetch.last and seq not in given}
        session.clocks[device] = Clock(clock.spans, tuple(sorted({*clock.missing, *absent}, reverse=True)))

    def on_lack(self, session: Session, message: Lack) -> list[Effect]:
        fetch = self._answered(session, message.device)
        self._fall_short(session, message.device)
        return self._finish(session, fetch)

    def _fall_short(self, session: Session, device: DeviceKey) -> None:
        """A peer has not shown what we took it to have."""
        owner = self.holdings.owners.get(device)
        if owner is not None:  # else its device was forgotten since it was asked for
            self._queue(session).doubted[device] = None
        self._queue(session).lacks += 1
        self.sharing.on_word(session, owner, kept=False)

    def _answered(self, session: Session, device: DeviceKey) -> Fetching:
        queue = self._queue(session)
        fetch = queue.awaiting.pop(device, None)
        if fetch is None:
            raise BadMessage("an answer to no question")
        queue.on_answer(fetch, self.now)
        return fetch

    def _finish(self, session: Session, fetch: Fetching) -> list[Effect]:
        """The question is answered and its answer is dealt with: go on with this log and this peer."""
        effects: list[Effect] = []
        if self.fetching.get(fetch.device) is fetch:
            del self.fetching[fetch.device]
            effects += self.seek(fetch.device)
        return effects + self._pump(session)

    def on_payloads_unfit(self, session: Session, event: PayloadsUnfit) -> list[Effect]:
        """A payload that our entry does not commit to may belong to another history of its author's, in which an honest
        peer believes. It is asked for the entry, and must stand by what it gave. Where the log is gone nobody erred."""
        device, effects = event.device, list[Effect]()
        if event.unfit is not None:
            self._queue(session).doubted[device] = None
            self._queue(session).lacks += 1
            seq, payload_hash = event.unfit
            effects += self._inquire(session, device, seq, seq, Claim(seq, payload_hash=payload_hash))
        return effects + self._finish_storing(session.peer, device)

    def _finish_storing(self, peer: NodeKey | None, device: DeviceKey) -> list[Effect]:
        session = self.sharing.sessions.get(peer) if peer is not None else None
        fetch = self._queue(session).storing.pop(device, None) if session is not None else None
        return self._finish(session, fetch) if session is not None and fetch is not None else []

    # --- what the store says ---

    def on_stored(self, event: Stored) -> list[Effect]:
        if event.source in self.queues:
            self.queues[event.source].kept_word = True
        if event.live:
            return self._on_gaps(event)
        effects = self._finish_storing(event.source, event.state.device)
        source = self.sharing.sessions.get(event.source) if event.source is not None else None
        if source is not None and is_past_hole(source, event):
            return effects + self.tell_later(event.batch.identity)
        return effects + self.tell_later(event.batch.identity, except_peer=event.source)

    def _on_gaps(self, event: Stored) -> list[Effect]:
        """Where an entry was pushed without its payload, ask who may have it, and let those who share the log see the
        gap. What was pushed whole is told by no clock: tell those who lack it that we have it now."""
        device, identity = event.state.device, event.batch.identity
        bare = bare_entries(event)
        if bare:
            note_lack(self.sharing.sessions.get(event.source) if event.source is not None else None, device, bare)
            return self.seek(device) + self.tell_later(identity)
        if event.source in self.sharing.sessions:
            self.sharing.on_word(self.sharing.sessions[event.source], identity, kept=True)
        lacking = who_lacks(self.sharing, event)
        return [effect for session in lacking for effect in self._due_later(session, identity)]

    def on_payloads_stored(self, event: PayloadsStored) -> list[Effect]:
        effects = self._finish_storing(event.source, event.state.device)
        return effects + self.tell_later(event.state.identity, except_peer=event.source)

    def tell_later(
        self, identity: IdentityHash, except_peer: NodeKey | None = None, *, again: bool = False
    ) -> list[Effect]:
        """Tell our clocks of this identity to all who share it, together with what else changes in the next second."""
        effects: list[Effect] = []
        for session in self.sharing.sessions_of(identity):
            if again:  # entries have told of more since, so the same clock is news
                session.shared[identity].told = None
            if session.peer != except_peer:
                effects += self._due_later(session, identity)
        return effects

    def _due_later(self, session: Session, identity: IdentityHash) -> list[Effect]:
        is_first = not session.due_clocks
        session.due_clocks[identity] = None
        return [SetTimer(ClocksDue(session.peer), self.now + CLOCKS_DELAY_S)] if is_first else []

    # --- forks ---

    def on_contradicted(self, session: Session, event: Contradicted) -> list[Effect]:
        """Its sender keeps its word on this log no more; where the two histories part is looked for all the same."""
        theirs = event.batch.entries
        device = theirs[0].device
        self._queue(session).doubted[device] = None
        clock = session.clocks.get(device, Clock())
        if device not in self.afresh and self._leads_to_named(device, theirs):
            self.afresh[device] = None
            effects: list[Effect] = [self._begin_afresh(device)]
        else:
            effects = self._weigh(session, device, clock, theirs, event.ours)
        return effects if event.live else effects + self._finish_storing(session.peer, device)

    def _leads_to_named(self, device: DeviceKey, theirs: Sequence[Entry]) -> bool:
        """Whether the entry that a retirement names, held above a hole, comes from this run by its hashes. What
        it contradicts, below the hole, is then of the history that was not picked."""
        standing, state = self.holdings.standing(device), self.holdings.logs.get(device)
        if standing is None or not standing.retired or state is None:
            return False
        span = next((span for span in state.spans if span.low <= standing.seq <= span.high), None)
        if span is None or theirs[0].seq >= span.low:
            return False
        return any((entry.seq, entry.id) == (span.low - 1, span.low_prev) for entry in theirs)

    def _weigh(
        self,
        session: Session,
        device: DeviceKey,
        clock: Clock,
        theirs: Sequence[Entry],
        ours: tuple[Entry, ...],
    ) -> list[Effect]:
        """Two histories: where they differ at a common number there is a proof; else ask for what is beside it."""
        below = theirs[0].seq - 1
        held_below = {entry.seq: entry.id for entry in ours}.get(below)
        span = clock.span_of(below)
        if span is not None and held_below is not None and held_below != theirs[0].prev:
            first = max(span[0], below - FORK_BODIES_MAX + 1)
            return self._inquire(session, device, first, below, Claim(below, theirs[0].prev))
        try:
            return self._judge(prove_fork(ours, theirs))
        except BadForkProof:
            pass  # no number in common
        above = theirs[-1].seq + 1
        span = clock.span_of(above)
        if span is None or not any(entry.seq == above and entry.prev != theirs[-1].id for entry in ours):
            return []
        last = min(span[1], above + FORK_BODIES_MAX - 1)
        return self._inquire(session, device, above, last, Claim(above, theirs[-1].id, above=True))

    def _inquire(self, session: Session, device: DeviceKey, first: int, last: int, claim: Claim) -> list[Effect]:
        if device in self._queue(session).awaiting:
            return []  # what it answers to that will contradict us too
        return self._fetch(session, device, first, last, Want(device, first, last), claim)

    def ask_whole(self, session: Session, device: DeviceKey, first: int, last: int) -> list[Effect]:
        """A run that leaves out what it follows may be of another history than ours; what is asked for says that."""
        return self._inquire(session, device, first, last, Claim(last))

    def _judge(self, proof: ForkProof) -> list[Effect]:
        """A fork that no retirement settled freezes the log; a settled one shows that we may be on a wrong branch."""
        device = proof.device
        standing = self.holdings.standing(device)
        if freezes(standing):
            return self.convict(proof)
        if standing is not None and not self.holdings.holds(device, standing.seq):
            return [self._begin_afresh(device)]
        return []

    def _begin_afresh(self, device: DeviceKey) -> Effect:
        return LeaveLog(device) if self.holdings.is_borrowed_log(device) else DropLog(device)

    def on_unwanted(self, source: NodeKey | None, device: DeviceKey) -> list[Effect]:
        """An answer that was not stored, for nobody wants its log any more: its sender has kept his word."""
        return self._finish_storing(source, device)

    def on_unstored(self, session: Session, device: DeviceKey) -> list[Effect]:
        """An answer that our own store could not take: it would be in vain to ask for it again soon."""
        self._queue(session).doubted[device] = None
        return self._finish_storing(session.peer, device)

    def on_dropped(self, device: DeviceKey) -> list[Effect]:
        """A log is empty again, so nobody contradicts it; and who takes us to hold it would not announce it to us. Of a
        feed that is only relayed, there may be room for the other logs, too."""
        for queue in self.queues.values():
            queue.doubted.pop(device, None)
        self.borrowed.forget(device)
        owner = self.holdings.owners.get(device)
        if owner is None:
            return []
        devices = self.holdings.devices(owner) if owner in self.holdings.relayed else [device]
        effects = [effect for each in devices for effect in self.seek(each)]
        return effects + self.tell_later(owner, again=True)

    def convict(self, proof: ForkProof) -> list[Effect]:
        """Freeze a log for good reason and tell everybody who shares it."""
        device = proof.device
        identity = self.holdings.owners.get(device)
        if identity is None or self.holdings.is_frozen(device) or not freezes(self.holdings.standing(device)):
            return []
        state = self.holdings.logs.get(device, LogState(device, identity))
        self.holdings.take(replace(state, fork=proof))
        self.fetching.pop(device, None)  # an answer that is still on its way will be ignored
        effects: list[Effect] = [StoreFork(proof)]
        for session in self.sharing.sessions_of(identity):
            effects += self.sharing.say_forks(session, identity)
        return effects

    def on_fork(self, session: Session, message: Fork) -> list[Effect]:
        self.sharing.fold_heard(session, message)
        proof = ForkProof.decode(message.proof)
        if self.holdings.owners.get(proof.device) not in session.shared:
            return []
        session.memory.forks.add(proof.device)
        return self.convict(proof)
