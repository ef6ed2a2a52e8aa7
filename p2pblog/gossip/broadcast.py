"""Live entries: a tree for each log, mended by lazy notices (Plumtree, Leitao et al., SRDS 2007, on a tree per author).

Rules. For each log a node has at most one eager peer, from whom entries come unasked; its other peers only announce
that they hold an entry.

* An announcement in a log without an eager peer is answered at once: its sender becomes eager (a graft).
* With an eager peer, an announced entry is given GRAFT_WAIT_S to come; then it is asked of who announced it first.
* A duplicate prunes: who sent it goes back to announcing.
* If an announcement led the eager peer's entry by over SWITCH_LEAD_S, its sender becomes eager for the next entry.
* Who asks for an entry tells those for whom it is eager to wait; they wait once more for each entry, and pass it on.
* When an eager link ends, what was announced in its logs is asked of others at once.
* Announcements go at once in a log where we had no eager peer, else in batches; none to who announced the entry.

We differ from the paper in that the announcement carries no round number: a tree per author needs no optimisation by
hops, the lead in time does it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from p2pblog.config import NEWEST_FIRST, SEQ_MAX
from p2pblog.core.entry import Entry
from p2pblog.core.keys import DeviceKey, IdentityHash, NodeKey
from p2pblog.core.logs import Batch
from p2pblog.core.runs import check_run, encode_run, run_start
from p2pblog.core.value import State, field
from p2pblog.errors import BadSignature
from p2pblog.gossip.claims import is_of, is_other_branch
from p2pblog.gossip.events import Effect, GraftDue, HavesDue, Loaded, LoadRun, Send, SetTimer, Stored, StoreRun
from p2pblog.gossip.gaps import mark_held
from p2pblog.gossip.holdings import Holdings
from p2pblog.gossip.messages import HAVES_MAX, Clock, Graft, Have, Live, Prune, Wait
from p2pblog.gossip.replication import Replication
from p2pblog.gossip.sharing import Session, Sharing

GRAFT_WAIT_S = 0.3
"""T: how long an announced entry may take from the eager peer (our model: rmr 0.008 with WAIT at 10% re-wiring)."""
WAIT_EXTRA_S = 0.1
"""After a WAIT the wait starts anew, at T + 100 ms."""
SWITCH_LEAD_S = 0.03
"""By how much an announcement must lead the entry for the tree to change; most were already held back by HAVES_DELAY_S.
(With 100 ms, 300 nodes that follow 75 each: p99 351 ms, not 332; 600 with a tenth of the links changing: half of what
comes takes 293 ms, not 254. With 0, trees swap for nothing and twice as many copies are redundant.)"""
HAVES_DELAY_S = 0.02
"""Batching of lazy notices: a warm tree has delivered before, and who is without its entry hears of it the sooner.
(With 50 ms, 600 nodes that follow 75 each: p99 415 ms, not 380. Announcements take hardly more bytes, since few come
together in either time.)"""
GRAFT_RETRY_S = 0.5
"""How long an asked peer may take before the next announcer is asked (a guess: two slow round trips)."""
NEAR = 16
"""Entries above our highest that are waited for one by one; what is announced beyond them is fetched as history."""
TORN_SPANS = 16
"""Pieces of one log from which on nothing pushed makes another: honest logs have two or three, and who holds every
other entry of one could have us keep thousands, which each write of that log looks through."""
ANNOUNCERS_MAX = 16
"""Announcers remembered of one entry: who comes later would be asked last."""
GRAFTS_OWED_MAX = 256
"""Answers to grafts that we owe one peer at once; it asks others for more."""


class Tree(State):
    """One log's place in the overlay. `announced`: entry -> who announced it, when, first one first."""

    eager_from: NodeKey | None = None
    eager_to: dict[NodeKey, None] = field(default_factory=dict)
    announced: dict[int, dict[NodeKey, float]] = field(default_factory=dict)
    waited: dict[int, None] = field(default_factory=dict)
    grafted: dict[int, dict[NodeKey, None]] = field(default_factory=dict)
    """Entry -> who was asked for it."""
    due: dict[int, float] = field(default_factory=dict)
    """Entry -> when the next announcer is asked for it."""
    was_bare: bool = False
    """Whether we had no eager peer when the entry that is coming was announced or pushed."""


class Broadcast(State):
    """The machine."""

    holdings: Holdings
    sharing: Sharing
    replication: Replication
    trees: dict[DeviceKey, Tree] = field(default_factory=dict)
    batches: dict[NodeKey, dict[tuple[DeviceKey, int], None]] = field(default_factory=dict)
    coming: dict[DeviceKey, int] = field(default_factory=dict)
    """The highest number of each log that has come and waits to be stored."""

    # --- what peers say ---

    def on_have(self, session: Session, message: Have, now: float) -> list[Effect]:
        effects: list[Effect] = []
        lacking: dict[DeviceKey, None] = {}
        for device, seq in message.entries:
            effects += self._on_announced(session, device, seq, now, lacking)
        for device in lacking:  # once each: a message may name a thousand entries of one log
            effects += self.replication.seek_from(session, device)
        return effects

    def _on_announced(
        self, session: Session, device: DeviceKey, seq: int, now: float, lacking: dict[DeviceKey, None]
    ) -> list[Effect]:
        """Logs of which something else is lacking than what is new are noted in `lacking`."""
        owner = self.holdings.owners.get(device)
        if owner is None or owner not in session.shared or not self.holdings.takes(session.peer, owner):
            return []  # unfollowed in the meantime, or a device whose statement is still on its way
        mark_held(self.sharing, session, device, seq, seq)
        if seq <= self.holdings.high(device):
            lacking |= {device: None} if self._may_fill(device, seq, seq) else {}
            return []
        if seq <= self._reached(device) or seq > self.holdings.last_wanted(device):
            return []
        tree = self.trees.setdefault(device, Tree())
        if seq > self.holdings.high(device) + NEAR:
            lacking[device] = None
            return self._change_eager(device, tree, session.peer, first=0) if tree.eager_from is None else []
        announcers = tree.announced.setdefault(seq, {})
        if session.peer in announcers or len(announcers) >= ANNOUNCERS_MAX:
            return []
        announcers[session.peer] = now
        if tree.eager_from is None or tree.eager_from == session.peer:  # our eager peer announces what it won't push
            return self._graft(device, tree, session.peer, seq, now)
        return [] if seq in tree.due else self._wait_until(device, tree, seq, now + GRAFT_WAIT_S)

    @staticmethod
    def _wait_until(device: DeviceKey, tree: Tree, seq: int, at: float) -> list[Effect]:
        tree.due[seq] = at
        return [SetTimer(GraftDue(device, seq), at)]

    def on_live(self, session: Session, message: Live, now: float) -> list[Effect]:
        device, first = run_start(message.value)
        identity = self.holdings.owners.get(device)
        if identity is None or identity not in session.shared or self.holdings.last_wanted(device) == 0:
            return []
        if not self.holdings.takes(session.peer, identity):
            return [Send(session.peer, Prune(device))]
        high = first + len(message.value[3]) - 1
        mark_held(self.sharing, session, device, first, high)
        if high <= self._reached(device):
            filling = self.replication.seek_from(session, device) if self._may_fill(device, first, high) else []
            return self._on_duplicate(session, device) + filling
        before = self.holdings.id_before(device, first)
        if first > 1 and before is None and (message.value[2] is None or self._is_torn(device)):
            return self.replication.seek_from(session, device)  # pushed past a hole of ours: that is history first
        try:
            run = check_run(message.value, before if message.value[2] is None else None, session.texts)
        except BadSignature:
            if message.value[2] is not None or first == 1:
                raise
            return self.replication.ask_whole(session, device, first, high)
        if is_other_branch(self.holdings.standing(device), run) or not is_of(identity, run):
            return []
        entries = tuple(entry for entry in run if entry.seq <= self.holdings.last_wanted(device))
        if not entries or entries[-1].signature is None:
            return []  # it ends beyond a retirement
        self.coming[device] = max(entries[-1].seq, self.coming.get(device, 0))
        return [
            *self._on_pushed(session, device, high, now),
            StoreRun(session.peer, Batch(identity, entries), live=True),
        ]

    def _on_pushed(self, session: Session, device: DeviceKey, seq: int, now: float) -> list[Effect]:
        """Who pushed a new entry is, or becomes, our eager peer, unless an announcement led it by much."""
        tree = self.trees.setdefault(device, Tree())
        leader, since = next(iter(tree.announced.get(seq, {}).items()), (None, now))
        if leader is not None and leader != session.peer and now - since > SWITCH_LEAD_S and seq not in tree.grafted:
            return self._change_eager(device, tree, leader, first=self._reached(device) + 1)
        if tree.eager_from is None:
            tree.eager_from, tree.was_bare = session.peer, True
            tree.eager_to.pop(session.peer, None)
            return []
        return [] if tree.eager_from == session.peer else [Send(session.peer, Prune(device))]

    def _on_duplicate(self, session: Session, device: DeviceKey) -> list[Effect]:
        tree = self.trees.setdefault(device, Tree())
        if tree.eager_from == session.peer:
            return []
        return [Send(session.peer, Prune(device))]

    def _is_torn(self, device: DeviceKey) -> bool:
        state = self.holdings.logs.get(device)
        return state is not None and len(state.spans) >= TORN_SPANS

    def _may_fill(self, device: DeviceKey, first: int, last: int) -> bool:
        """Whether somebody has entries that we may lack, below what we hold, or whose payloads we may lack."""
        state = self.holdings.logs.get(device)
        if state is None or not state.spans:
            return False
        first = max(first, state.floor + 1)  # what was pruned is not wanted
        last = min(last, state.spans[-1].high)  # what is above is coming
        if any(first <= seq <= last for seq in state.missing):
            return True
        return first <= last and not any(span.low <= first and last <= span.high for span in state.spans)

    def on_graft(self, session: Session, message: Graft) -> list[Effect]:
        if self.holdings.owners.get(message.device) not in session.shared:
            return []
        self.trees.setdefault(message.device, Tree()).eager_to[session.peer] = None
        if message.first > 1:  # who asks from there on holds what is below; else he would only be told of the next one
            mark_held(self.sharing, session, message.device, message.first - 1, message.first - 1)
        high = self.holdings.high(message.device)
        if not 0 < message.first <= high or session.grafts_owed >= GRAFTS_OWED_MAX:
            return []
        session.grafts_owed += 1
        last = min(high, message.first + NEWEST_FIRST - 1)
        return [LoadRun(session.peer, message.device, message.first, last, live=True)]

    def on_prune(self, session: Session, device: DeviceKey) -> list[Effect]:
        tree = self.trees.get(device)
        if tree is not None:
            tree.eager_to.pop(session.peer, None)
        return []

    def on_wait(self, session: Session, message: Wait, now: float) -> list[Effect]:
        tree = self.trees.get(message.device)
        if tree is None or tree.eager_from != session.peer or message.seq in tree.waited:
            return []
        if not self._reached(message.device) < message.seq <= self.holdings.high(message.device) + NEAR:
            return []
        tree.waited[message.seq] = None
        at = max(now + GRAFT_WAIT_S + WAIT_EXTRA_S, tree.due.get(message.seq, 0.0))
        effects = self._wait_until(message.device, tree, message.seq, at)
        return [*effects, *(Send(peer, message) for peer in tree.eager_to)]

    # --- timers and links ---

    def on_graft_due(self, timer: GraftDue, now: float) -> list[Effect]:
        device, seq = timer.device, timer.seq
        tree = self.trees.get(device)
        if tree is None or seq <= self._reached(device) or now < tree.due.get(seq, float("inf")):
            return []
        del tree.due[seq]
        asked = tree.grafted.get(seq, {})
        untried = [peer for peer in tree.announced.get(seq, {}) if peer not in asked]
        if not untried:
            return self.replication.seek(device)
        trusted = [peer for peer in untried if self.replication.kept_word(peer)]  # a crowd of liars may announce first
        return self._graft(device, tree, [*trusted, *untried][0], seq, now)

    def on_link_down(self, peer: NodeKey, now: float) -> list[Effect]:
        self.batches.pop(peer, None)
        return self._leave(peer, list(self.trees), now)

    def on_unshared(self, peer: NodeKey, identities: Iterable[IdentityHash], now: float) -> list[Effect]:
        """The peer has no interest in these any more: for their logs its link has ended."""
        return self._leave(peer, [d for identity in identities for d in self.holdings.devices(identity)], now)

    def _leave(self, peer: NodeKey, devices: list[DeviceKey], now: float) -> list[Effect]:
        effects: list[Effect] = []
        for device in devices:
            tree = self.trees.get(device)
            if tree is None:
                continue
            tree.eager_to.pop(peer, None)
            for numbers in (tree.announced, tree.grafted):
                for peers in numbers.values():
                    peers.pop(peer, None)
            if tree.eager_from == peer:
                tree.eager_from = None
                effects += self._ask_elsewhere(device, tree, now)
        return effects

    def _ask_elsewhere(self, device: DeviceKey, tree: Tree, now: float) -> list[Effect]:
        for seq in sorted(tree.announced):
            if seq > self._reached(device) and tree.announced[seq]:
                return self._graft(device, tree, next(iter(tree.announced[seq])), seq, now)
        return []

    def drop(self, device: DeviceKey) -> None:
        """Forget what is on its way in this log: it was refused, or the log is fetched anew."""
        self.coming.pop(device, None)
        if device not in self.holdings.owners:
            self.trees.pop(device, None)

    def on_uninterested(self, identity: IdentityHash) -> None:
        self.forget(self.holdings.devices(identity))

    def forget(self, devices: Iterable[DeviceKey]) -> None:
        """These logs concern us no more."""
        for device in devices:
            self.trees.pop(device, None)
            self.coming.pop(device, None)

    def _graft(self, device: DeviceKey, tree: Tree, peer: NodeKey, seq: int, now: float) -> list[Effect]:
        """Ask a peer for what is missing up to an entry; it becomes our eager peer."""
        tree.grafted.setdefault(seq, {})[peer] = None
        effects = self._change_eager(device, tree, peer, first=self._reached(device) + 1)
        effects += self._wait_until(device, tree, seq, now + GRAFT_RETRY_S)
        return effects + [Send(follower, Wait(device, seq)) for follower in tree.eager_to]

    def _change_eager(self, device: DeviceKey, tree: Tree, peer: NodeKey, first: int) -> list[Effect]:
        """From now on entries come from this peer: from `first` on, or for 0 those to come."""
        if self._reached(device) == SEQ_MAX:
            return []  # nothing can follow, so there is nothing to ask for
        left, tree.eager_from = tree.eager_from, peer
        tree.was_bare = tree.was_bare or left is None
        tree.eager_to.pop(peer, None)  # a tree has no loops of two
        effects: list[Effect] = [Send(peer, Graft(device, first))]
        if left is not None and left != peer and left in self.sharing.sessions:
            effects.append(Send(left, Prune(device)))
        return effects

    # --- what the store says ---

    def on_loaded(self, session: Session, event: Loaded) -> list[Effect]:
        """The answer to a graft."""
        device = event.request.device
        session.grafts_owed = max(0, session.grafts_owed - 1)
        if not event.entries or self.holdings.owners.get(device) not in session.shared:
            return []
        mark_held(self.sharing, session, device, event.entries[0].seq, event.entries[-1].seq)
        return [Send(session.peer, Live(encode_run(event.entries, texts=session.texts)))]

    def on_stored(self, event: Stored, now: float) -> list[Effect]:
        """Store, then send: push to who named us eager, announce to the others."""
        device, entries = event.state.device, event.batch.entries
        if self.coming.get(device, 0) <= entries[-1].seq:
            self.coming.pop(device, None)
        if not self.holdings.cares_for(event.batch.identity):
            return []  # unfollowed while it was written, so nobody shares it and nothing would take its tree away again
        high = self.holdings.high(device)
        tree = self.trees.setdefault(device, Tree())
        announced = tree.announced.get(high, {})
        if entries[-1].seq != high:
            return []  # history: clocks tell of it
        effects: list[Effect] = []
        at_once = tree.eager_from is None or tree.was_bare
        tree.was_bare = False
        spelled: dict[tuple[int, bool], Live] = {}
        for session in self.sharing.sessions_of(event.batch.identity):
            peer = session.peer
            their_high = session.clocks.get(device, Clock()).high
            if peer == event.source or peer in announced or their_high >= high:
                continue
            if not self.holdings.gives(peer, event.batch.identity):
                continue
            if peer in tree.eager_to and entries[0].seq <= their_high + 1:
                effects.append(self._push(session, device, entries, their_high, spelled))
            else:
                effects += self._announce(peer, device, high, at_once, now)
        self._forget_below(tree, high)
        return effects

    def _push(
        self,
        session: Session,
        device: DeviceKey,
        entries: Sequence[Entry],
        their_high: int,
        spelled: dict[tuple[int, bool], Live],
    ) -> Effect:
        """What is new to a peer, which is the same for most of them, so `spelled` once."""
        begins, ends = entries[0].seq, entries[-1].seq
        first = max(begins, their_high + 1)
        mark_held(self.sharing, session, device, first, ends)
        live = spelled.get((first, session.texts))
        if live is None:
            news = entries if first == begins else entries[first - begins :]
            live = spelled[first, session.texts] = Live(encode_run(news, first > 1, session.texts))
        return Send(session.peer, live)

    def _announce(self, peer: NodeKey, device: DeviceKey, seq: int, at_once: bool, now: float) -> list[Effect]:
        if at_once:
            return [Send(peer, Have(((device, seq),)))]
        batch = self.batches.setdefault(peer, {})
        batch[device, seq] = None
        return [SetTimer(HavesDue(peer), now + HAVES_DELAY_S)] if len(batch) == 1 else []

    def on_haves_due(self, peer: NodeKey) -> list[Effect]:
        """The batch goes out, less what the peer has announced or been sent since, and what we have dropped."""
        batch = self.batches.pop(peer, {})
        session = self.sharing.sessions.get(peer)
        if session is None:
            return []
        held = (pair for pair in batch if self.holdings.holds(*pair))
        news = [pair for pair in held if session.clocks.get(pair[0], Clock()).high < pair[1]]
        return [Send(peer, Have(tuple(news[at : at + HAVES_MAX]))) for at in range(0, len(news), HAVES_MAX)]

    def _reached(self, device: DeviceKey) -> int:
        """The highest number that is held or about to be."""
        return max(self.holdings.high(device), self.coming.get(device, 0))

    @staticmethod
    def _forget_below(tree: Tree, high: int) -> None:
        for numbers in (tree.announced, tree.waited, tree.grafted, tree.due):
            for seq in [seq for seq in numbers if seq <= high]:
                del numbers[seq]
