"""The desk of a simulated author: takes the steps that the shipped pen decides, on the dict store and at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from p2pblog.core.entry import Entry
from p2pblog.core.identity import Identity, state_retire
from p2pblog.core.keys import KeyPair, hash32
from p2pblog.core.logs import Batch
from p2pblog.core.payload import Payload
from p2pblog.core.value import replace
from p2pblog.errors import BadChain
from p2pblog.gossip.events import ClocksHeard, Learned, OwnLogElsewhere, Stored
from p2pblog.pen import CLAIM_TIMEOUT_S, DHT, PEERS, Admit, Append, NewDevice, Pen
from p2pblog.rendezvous.events import OwnLogCompared, StoredOf
from p2pblog.sim.loop import done, micros

if TYPE_CHECKING:
    from p2pblog.sim.node import SimNode


class Desk:
    """One run of a daemon has one. What a person says while the log is still compared waits in line."""

    def __init__(self, node: SimNode) -> None:
        self._node = node
        who = node.person
        self.pen = Pen(
            who.root, who.identity.inception, who.device, node.machine.holdings, node.machine.sharing, self._seed
        )
        self._waiting: deque[Payload] = deque()
        self.plans: deque[Callable[[], None]] = deque()
        """What the person means to do once it is known what was written before."""
        awaited = {PEERS, DHT} if node.world.has_directory else {PEERS}
        # Others are named to it, as to a daemon that knows peers or is told of some, whatever its disk remembers.
        self.pen.begin(self._newest(), awaited, node.network.loop.now)

    def open(self) -> None:
        """Once the machine runs: begin the log, if it has none, and see to it that nothing waits for ever."""
        self._take_steps(None)
        self._at(self.pen.compare_until, self._write_waiting)
        # A claim that comes only after the comparison is over holds up what is asked for then, too.
        # So may what is proved of a log that was left.
        self._at(self.pen.compare_until + CLAIM_TIMEOUT_S, self._write_waiting)

    def _at(self, when: float, do: Callable[[], None]) -> None:
        self._node.after_us(max(0, micros(when) - self._node.network.loop.now_us), do)

    def _newest(self) -> Entry | None:
        held = self._node.store.held(self._node.person.log)
        return held[max(held)] if held else None

    def _seed(self) -> bytes:
        world = self._node.world
        return hash32(f"{world.seed}/{self._node.number}/key {world.next_key()}".encode(), b"p2pblog sim")

    # --- what is heard of our log ---

    def on_effect(self, effect: ClocksHeard | OwnLogElsewhere) -> None:
        if isinstance(effect, OwnLogElsewhere):
            self.prove_elsewhere(effect)
            return
        self._node.world.on_shown(self._node, effect.peer)
        self.pen.heard_peer(effect.peer)
        self._write_waiting()

    def heard_dht(self) -> None:
        self.pen.heard_dht()
        self._write_waiting()

    def prove_elsewhere(self, proved: OwnLogElsewhere) -> None:
        """Somebody proved that an entry of our log exists."""
        step = self.pen.proved_elsewhere(proved.device, proved.seq, proved.entry)
        if step is not None:
            self._leave(step)
            self._write_waiting()

    # --- a device's end ---

    def retire(self) -> None:
        """The person says that the device that writes here wrote so far and no further, and writes on with another."""
        last = self.pen.last
        if last is not None:
            self._leave(NewDevice(KeyPair.from_seed(self._seed())))
            self.retire_other(last)
            self._take_steps(None)

    def retire_other(self, last: Entry) -> None:
        """The person says that a device that no longer writes here wrote up to this entry of its log."""
        node, old = self._node, last.device
        known, root = node.machine.holdings.identities[self.pen.identity_hash], node.person.root
        stated = state_retire(root, known.hash, known.epoch, known.next_counter, old, last.seq, last.id)
        self._learn(known.merge([stated]))
        node.world.retired.add(old)

    def _learn(self, identity: Identity) -> None:
        node = self._node
        node.person = replace(node.person, identity=identity)
        done(node.store.put_identity(identity))
        node.feed(Learned(identity))

    # --- writing ---

    def write(self, payload: Payload) -> None:
        """Write it, now or once our log was compared."""
        self._waiting.append(payload)
        self._write_waiting()

    def write_now(self, payload: Payload) -> Entry:
        """Write what a use case says that waited itself; gives the entry."""
        self._node.world.on_asked(self._node)
        written = self._take_steps(payload)
        assert written is not None
        return written

    def plan(self, do: Callable[[], None]) -> None:
        """Do what depends on what was written before, now or once it is known."""
        self.plans.append(do)
        self._write_waiting()

    @property
    def is_complete(self) -> bool:
        """Whether a use case need not wait, neither for what is claimed of our log nor for what is proved."""
        return max(self.pen.waits_until, self.pen.lacks_until) <= self._node.network.loop.now

    def heard_stored(self) -> None:
        """More of our own log is held."""
        self._write_waiting()

    def _write_waiting(self) -> None:
        if self._node.network.loop.now < self.pen.waits_until:
            return
        self._node.meet(OwnLogCompared())
        while self._waiting:
            self._take_steps(self._waiting.popleft())
        while self.plans and self.is_complete:
            self.plans.popleft()()

    def _take_steps(self, payload: Payload | None) -> Entry | None:
        """Take the pen's steps until the payload is written; gives its entry."""
        node = self._node
        while (step := self.pen.next(payload, node.wall_ms())) is not None:
            match step:
                case NewDevice():
                    self._leave(step)
                case Admit(identity):
                    self._learn(identity)
                case Append(batch, is_asked):
                    if self._append(batch) and is_asked:
                        return step.entry
        return None

    def _append(self, batch: Batch) -> bool:
        node, (entry,) = self._node, batch.entries
        try:
            (state,) = done(node.store.append([batch], node.wall_ms(), durable=True))
        except BadChain:
            step = self.pen.refused(entry)
            if step is not None:
                self._leave(step)
            return False
        self.pen.stored(entry)
        stored = Stored(None, batch, state, live=True)
        node.world.on_written(node, entry, stored)
        node.feed(stored)
        node.meet(StoredOf(batch.identity))
        if node.hand is not None:
            node.hand.on_stored(batch, live=True)
        return True

    def _leave(self, step: NewDevice) -> None:
        who = self._node.person
        self._node.person = replace(who, device=step.device, former=(*who.former, who.device))
        self.pen.left(step)
        self._node.world.on_new_device(self._node)
