"""Who is given what: the answers to what peers ask of the logs that they share with us.

Rules:

* Every question is answered: by what is held, or by Lack, or by Payloads of none.
* Where something of what is asked is damaged, what lies above it is given, and our clock tells of it no more.
* A log is given only to whom its identity is shared with.
* A peer has at most ASKED_MAX questions under way here.
"""

from __future__ import annotations

from itertools import pairwise

from p2pblog.config import RUN_ENTRIES_MAX
from p2pblog.core.keys import DeviceKey, NodeKey
from p2pblog.core.runs import encode_run
from p2pblog.core.value import State, field
from p2pblog.errors import BadMessage
from p2pblog.gossip.events import Effect, Loaded, LoadRun, Send
from p2pblog.gossip.gaps import mark_held
from p2pblog.gossip.holdings import Holdings
from p2pblog.gossip.messages import PAYLOADS_MAX, Lack, Payloads, Run, Want, WantPayloads
from p2pblog.gossip.sharing import Session, Sharing

ASKED_MAX = 64
"""Wants of one peer that we hold at once; a peer of ours asks for 8, or 32 of the newest."""


class Giving(State):
    """The machine. `asked`: how many questions of each peer wait for the store."""

    holdings: Holdings
    sharing: Sharing
    asked: dict[NodeKey, int] = field(default_factory=dict)

    def on_link_down(self, peer: NodeKey) -> None:
        self.asked.pop(peer, None)

    def on_want(self, session: Session, message: Want) -> list[Effect]:
        if message.first > message.last:
            raise BadMessage("a want that ends before it begins")
        if not self._is_shared(session, message.device):
            return [Send(session.peer, Lack(message.device, message.first))]
        last = min(message.last, message.first + RUN_ENTRIES_MAX - 1)
        return self._load(session, message.device, message.first, last)

    def on_want_payloads(self, session: Session, message: WantPayloads) -> list[Effect]:
        seqs = message.seqs
        if not seqs or any(below >= above for above, below in pairwise(seqs)) or seqs[0] - seqs[-1] >= PAYLOADS_MAX:
            raise BadMessage("payloads are wanted of numbers in falling order that lie close together")
        if not self._is_shared(session, message.device):
            return [Send(session.peer, Payloads(message.device, ()))]
        return self._load(session, message.device, seqs[-1], seqs[0], seqs)

    def _is_shared(self, session: Session, device: DeviceKey) -> bool:
        return self.holdings.owners.get(device) in session.shared

    def _load(
        self, session: Session, device: DeviceKey, first: int, last: int, seqs: tuple[int, ...] = ()
    ) -> list[Effect]:
        asked = self.asked.get(session.peer, 0)
        if asked >= ASKED_MAX:
            raise BadMessage("more wants at once than a peer may have")
        self.asked[session.peer] = asked + 1
        return [LoadRun(session.peer, device, first, last, live=False, seqs=seqs)]

    def on_loaded(self, session: Session, event: Loaded) -> list[Effect]:
        request, entries = event.request, event.entries
        device = request.device
        self.asked[session.peer] = max(0, self.asked.get(session.peer, 0) - 1)
        shared = self._is_shared(session, device)
        if request.seqs:
            held = {entry.seq: entry.payload for entry in entries} if shared else {}
            given = [(seq, held.get(seq)) for seq in request.seqs]
            return [Send(session.peer, Payloads(device, tuple((s, p) for s, p in given if p is not None)))]
        if not shared:
            return [Send(session.peer, Lack(device, request.first))]
        first = entries[0].seq if entries else request.last + 1
        told = self._tell_lost(session, device, request.first, first - 1) if first > request.first else []
        if not entries:
            return [Send(session.peer, Lack(device, request.first)), *told]  # whom Lack has doubt us the clock has ask
        mark_held(self.sharing, session, device, entries[0].seq, entries[-1].seq)
        return [
            *told,
            Send(session.peer, Run(encode_run(entries, texts=session.texts))),
        ]  # what follows goes by the clock

    def _tell_lost(self, session: Session, device: DeviceKey, first: int, last: int) -> list[Effect]:
        """These numbers are held, as far as we knew, and damaged. Who asked goes on with what lies below."""
        if not self.holdings.holds(device, first):
            return []
        self.holdings.lose(device, first, last)
        return self.sharing.say_clock(session, self.holdings.owners[device])
