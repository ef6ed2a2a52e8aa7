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

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from p2pblog.config import NEWEST_FIRST
from p2pblog.core.entry import Entry
from p2pblog.core.keys import DeviceKey, NodeKey
from p2pblog.core.logs import Batch
from p2pblog.core.runs import check_run, encode_run, run_device
from p2pblog.gossip.events import Effect, GraftDue, HavesDue, Loaded, LoadRun, Send, SetTimer, Stored, StoreRun
from p2pblog.gossip.holdings import Holdings
from p2pblog.gossip.messages import HAVES_MAX, Clock, Graft, Have, Live, Prune, Wait
from p2pblog.gossip.replication import Replication, check_start
from p2pblog.gossip.sharing import Session, Sharing

GRAFT_WAIT_S = 0.3
"""T: how long an announced entry may take from the eager peer (our model: rmr 0.008 with WAIT at 10% re-wiring)."""
WAIT_EXTRA_S = 0.1
"""After a WAIT the wait starts anew, at T + 100 ms."""
SWITCH_LEAD_S = 0.1
"""By how much an announcement must lead the entry for the tree to change (the same model)."""
HAVES_DELAY_S = 0.05
"""Batching of lazy notices: a warm tree has delivered long before."""
GRAFT_RETRY_S = 0.5
"""How long an asked peer may take before the next announcer is asked (a guess: two slow round trips)."""
ANNOUNCED_MAX = 64
"""Announced entries of one log that we keep waiting for: more than these, and the history path fetches them."""
ANNOUNCERS_MAX = 8
"""Announcers remembered of one entry: who comes ninth would be asked last."""


@dataclass(slots=True)
class Tree:
    """One log's place in the overlay. `announced`: entry -> who announced it, when, first one first."""

    eager_from: NodeKey | None = None
    eager_to: dict[NodeKey, None] = field(default_factory=dict)
    announced: dict[int, dict[NodeKey, float]] = field(default_factory=dict)
    waited: dict[int, None] = field(default_factory=dict)
    grafted: dict[int, dict[NodeKey, None]] = field(default_factory=dict)
    """Entry -> who was asked for it."""


@dataclass(slots=True)
class Broadcast:
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
        for device, seq in message.entries:
            effects += self._on_announced(session, device, seq, now)
        return effects

    def _on_announced(self, session: Session, device: DeviceKey, seq: int, now: float) -> list[Effect]:
        if self.holdings.owners.get(device) not in session.shared:
            return []  # unfollowed in the meantime, or a device whose statement is still on its way
        raise_clock(session, device, seq)
        if seq <= self._reached(device) or seq > self.holdings.last_wanted(device):
            return []
        tree = self.trees.setdefault(device, Tree())
        if seq not in tree.announced and len(tree.announced) >= ANNOUNCED_MAX:
            return []
        announcers = tree.announced.setdefault(seq, {})
        if len(announcers) < ANNOUNCERS_MAX:
            announcers.setdefault(session.peer, now)
        if tree.eager_from is None:
            return self._graft(device, tree, session.peer, seq, now)
        if tree.eager_from == session.peer or len(announcers) > 1:
            return []
        return [SetTimer(GraftDue(device, seq, 0), now + GRAFT_WAIT_S)]

    def on_live(self, session: Session, message: Live, now: float) -> list[Effect]:
        device, first = run_device(message.value)
        identity = self.holdings.owners.get(device)
        if identity is None or identity not in session.shared or self.holdings.last_wanted(device) == 0:
            return []
        high = first + len(message.value[3]) - 1 if isinstance(message.value[3], list) else first
        raise_clock(session, device, high)
        if high <= self._reached(device):
            return self._on_duplicate(session, device)
        before = self.holdings.id_before(device, first)
        if first > 1 and before is None and message.value[2] is None:
            return []  # pushed past a hole of ours: the history path closes it first
        entries = check_run(message.value, before)
        check_start(identity, entries)
        entries = tuple(entry for entry in entries if entry.seq <= self.holdings.last_wanted(device))
        if not entries or entries[-1].signature is None:
            return []  # it ends beyond a retirement
        self.coming[device] = max(high, self.coming.get(device, 0))
        return [
            *self._on_pushed(session, device, high, now),
            StoreRun(session.peer, Batch(identity, entries), live=True),
        ]

    def _on_pushed(self, session: Session, device: DeviceKey, seq: int, now: float) -> list[Effect]:
        """Who pushed a new entry is, or becomes, our eager peer, unless an announcement led it by much."""
        tree = self.trees.setdefault(device, Tree())
        leader, since = next(iter(tree.announced.get(seq, {}).items()), (None, now))
        if leader is not None and leader != session.peer and now - since > SWITCH_LEAD_S and seq not in tree.grafted:
            return self._change_eager(device, tree, leader)
        if tree.eager_from is None:
            tree.eager_from = session.peer
            return []
        return [] if tree.eager_from == session.peer else [Send(session.peer, Prune(device))]

    def _on_duplicate(self, session: Session, device: DeviceKey) -> list[Effect]:
        tree = self.trees.setdefault(device, Tree())
        if tree.eager_from == session.peer:
            return []
        return [Send(session.peer, Prune(device))]

    def on_graft(self, session: Session, message: Graft) -> list[Effect]:
        if self.holdings.owners.get(message.device) not in session.shared:
            return []
        self.trees.setdefault(message.device, Tree()).eager_to[session.peer] = None
        high = self.holdings.high(message.device)
        if not 0 < message.first <= high:
            return []
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
        if message.seq <= self._reached(message.device) or len(tree.waited) >= ANNOUNCED_MAX:
            return []
        tree.waited[message.seq] = None
        due = SetTimer(GraftDue(message.device, message.seq, 1), now + GRAFT_WAIT_S + WAIT_EXTRA_S)
        return [due, *(Send(peer, message) for peer in tree.eager_to)]

    # --- timers and links ---

    def on_graft_due(self, timer: GraftDue, now: float) -> list[Effect]:
        tree = self.trees.get(timer.device)
        if tree is None or timer.seq <= self._reached(timer.device):
            return []
        if timer.round == 0 and (timer.seq in tree.waited or timer.seq in tree.grafted):
            return []  # a longer wait runs
        asked = tree.grafted.get(timer.seq, {})
        untried = [peer for peer in tree.announced.get(timer.seq, {}) if peer != tree.eager_from and peer not in asked]
        if not untried:
            return self.replication.offer(timer.device)
        return self._graft(timer.device, tree, untried[0], timer.seq, now)

    def on_link_down(self, peer: NodeKey, now: float) -> list[Effect]:
        self.batches.pop(peer, None)
        effects: list[Effect] = []
        for device, tree in self.trees.items():
            tree.eager_to.pop(peer, None)
            for announcers in tree.announced.values():
                announcers.pop(peer, None)
            if tree.eager_from == peer:
                tree.eager_from = None
                effects += self._ask_elsewhere(device, tree, now)
        return effects

    def _ask_elsewhere(self, device: DeviceKey, tree: Tree, now: float) -> list[Effect]:
        for seq in sorted(tree.announced):
            if seq > self._reached(device) and tree.announced[seq]:
                return self._graft(device, tree, next(iter(tree.announced[seq])), seq, now)
        return []

    def _graft(self, device: DeviceKey, tree: Tree, peer: NodeKey, seq: int, now: float) -> list[Effect]:
        """Ask a peer for what is missing up to an entry; it becomes our eager peer."""
        tree.grafted.setdefault(seq, {})[peer] = None
        high = self.holdings.high(device)
        near = seq - high <= NEWEST_FIRST
        effects = self._change_eager(device, tree, peer, high + 1 if near else 0)
        effects.append(SetTimer(GraftDue(device, seq, 1), now + GRAFT_RETRY_S))
        effects += [Send(follower, Wait(device, seq)) for follower in tree.eager_to if follower != peer]
        return effects if near else effects + self.replication.offer(device)

    def _change_eager(self, device: DeviceKey, tree: Tree, peer: NodeKey, first: int = 0) -> list[Effect]:
        left, tree.eager_from = tree.eager_from, peer
        tree.eager_to.pop(peer, None)  # a tree has no loops of two
        effects: list[Effect] = [Send(peer, Graft(device, first))]
        if left is not None and left != peer and left in self.sharing.sessions:
            effects.append(Send(left, Prune(device)))
        return effects

    # --- what the store says ---

    def on_loaded(self, session: Session, event: Loaded) -> list[Effect]:
        """The answer to a graft."""
        device = event.request.device
        if not event.entries or self.holdings.owners.get(device) not in session.shared:
            return []
        raise_clock(session, device, event.entries[-1].seq)
        return [Send(session.peer, Live(encode_run(event.entries)))]

    def on_stored(self, event: Stored, now: float) -> list[Effect]:
        """Store, then send: push to who named us eager, announce to the others."""
        device, entries = event.state.device, event.batch.entries
        if self.coming.get(device, 0) <= entries[-1].seq:
            self.coming.pop(device, None)
        high = self.holdings.high(device)
        tree = self.trees.setdefault(device, Tree())
        announced = tree.announced.get(high, {})
        if entries[-1].seq != high:
            return []  # history: clocks tell of it
        effects: list[Effect] = []
        at_once = tree.eager_from is None
        for session in self.sharing.sharing(event.batch.identity):
            peer = session.peer
            their_high = session.clocks.get(device, Clock()).high
            if peer == event.source or peer in announced or their_high >= high:
                continue
            if peer in tree.eager_to and entries[0].seq <= their_high + 1:
                effects.append(self._push(session, device, entries, their_high))
            else:
                effects += self._announce(peer, device, high, at_once, now)
        self._forget_below(tree, high)
        return effects

    def _push(self, session: Session, device: DeviceKey, entries: Sequence[Entry], their_high: int) -> Effect:
        news = [entry for entry in entries if entry.seq > their_high]
        raise_clock(session, device, news[-1].seq)
        return Send(session.peer, Live(encode_run(news, prev_known=news[0].seq > 1)))

    def _announce(self, peer: NodeKey, device: DeviceKey, seq: int, at_once: bool, now: float) -> list[Effect]:
        if at_once:
            return [Send(peer, Have(((device, seq),)))]
        batch = self.batches.setdefault(peer, {})
        batch[device, seq] = None
        return [SetTimer(HavesDue(peer), now + HAVES_DELAY_S)] if len(batch) == 1 else []

    def on_haves_due(self, peer: NodeKey) -> list[Effect]:
        """The batch goes out, less what the peer has announced or been sent since."""
        batch = self.batches.pop(peer, {})
        session = self.sharing.sessions.get(peer)
        if session is None:
            return []
        news = [pair for pair in batch if session.clocks.get(pair[0], Clock()).high < pair[1]]
        return [Send(peer, Have(tuple(news[at : at + HAVES_MAX]))) for at in range(0, len(news), HAVES_MAX)]

    def _reached(self, device: DeviceKey) -> int:
        """The highest number that is held or about to be."""
        return max(self.holdings.high(device), self.coming.get(device, 0))

    @staticmethod
    def _forget_below(tree: Tree, high: int) -> None:
        for numbers in (tree.announced, tree.waited, tree.grafted):
            for seq in [seq for seq in numbers if seq <= high]:
                del numbers[seq]


def raise_clock(session: Session, device: DeviceKey, seq: int) -> None:
    """The peer holds this entry too: it said so, or was sent it."""
    clock = session.clocks.get(device, Clock())
    if seq <= clock.high:
        return
    spans = ((clock.spans[0][0], seq), *clock.spans[1:]) if clock.spans else ((seq, seq),)
    session.clocks[device] = replace(clock, spans=spans)
