"""The gossip machine: one door for events; behind it sharing, replication, broadcast, relaying, membership and files.

It decides; the driver does. It holds no clock and no randomness of its own: `now` is an argument, and the generator
that picks peers is given by whoever builds it. Anything that breaks a rule ends the link that said it.
"""

from __future__ import annotations

import random
from typing import assert_never

from p2pblog.core.keys import DeviceKey, IdentityHash, NodeKey
from p2pblog.core.value import State
from p2pblog.errors import BadMessage, RemoteProtocolError
from p2pblog.gossip.borrowed import Borrowed
from p2pblog.gossip.broadcast import Broadcast
from p2pblog.gossip.events import (
    Arriving,
    Ask,
    Blocked,
    Candidates,
    ClocksDue,
    Close,
    Contradicted,
    DialFailed,
    DropLog,
    Dropped,
    Due,
    Effect,
    Event,
    FetchFile,
    FileStored,
    FileUnstored,
    ForkProved,
    GraftDue,
    HavesDue,
    HelloDue,
    Interested,
    Learned,
    LeaveLog,
    LinkDown,
    LinkUp,
    Loaded,
    LoadedFile,
    LoadedOne,
    LookDue,
    NearDue,
    OfferDue,
    OfferKept,
    OwnLogElsewhere,
    PatienceDue,
    PayloadsStored,
    PayloadsUnfit,
    PieceDue,
    PongDue,
    Received,
    RelayDue,
    SearchDue,
    SetTimer,
    Stored,
    StoreIdentity,
    Taking,
    Timer,
    TokensDue,
    Unblocked,
    Uninterested,
    Unstored,
    Unwanted,
    WantDue,
)
from p2pblog.gossip.file_messages import Piece, TableOf, WantPiece, WantTable
from p2pblog.gossip.files import Files
from p2pblog.gossip.giving import Giving
from p2pblog.gossip.holdings import Holdings
from p2pblog.gossip.liveness import Liveness
from p2pblog.gossip.membership import Membership
from p2pblog.gossip.messages import (
    Alarm,
    Bye,
    Clocks,
    Fetch,
    Forget,
    Fork,
    Found,
    Graft,
    Have,
    Hello,
    Lack,
    Live,
    Message,
    Near,
    Payloads,
    Peers,
    Ping,
    Pong,
    Prune,
    Relay,
    Run,
    Statements,
    Tokens,
    Wait,
    Want,
    WantPayloads,
)
from p2pblog.gossip.nearness import Nearness
from p2pblog.gossip.offer_messages import Offer
from p2pblog.gossip.offers import Offers
from p2pblog.gossip.relay import Relaying
from p2pblog.gossip.replication import Replication
from p2pblog.gossip.room_events import HeldBack, Pruned, RoomChanged
from p2pblog.gossip.sharing import COMPARE_PING, Session, Sharing
from p2pblog.gossip.strays import Strays


class Gossip(State):
    """The machine of one node. Build it with `build`, start it with `start`, then `handle` what happens."""

    holdings: Holdings
    sharing: Sharing
    replication: Replication
    giving: Giving
    broadcast: Broadcast
    membership: Membership
    strays: Strays
    relaying: Relaying
    nearness: Nearness
    files: Files
    offers: Offers

    @classmethod
    def build(cls, node: NodeKey, holdings: Holdings, rng: random.Random, port: int) -> Gossip:
        """`port`: where we can be reached at the address we dial from, 0 for nowhere."""
        sharing = Sharing(node, holdings, port)
        replication = Replication(holdings, sharing, Borrowed(holdings))
        broadcast = Broadcast(holdings, sharing, replication)
        return cls(
            holdings,
            sharing,
            replication,
            Giving(holdings, sharing),
            broadcast,
            Membership(node, holdings, sharing, Liveness(sharing, rng), rng),
            Strays(sharing),
            Relaying(holdings, sharing, replication, broadcast, rng),
            Nearness(holdings, sharing),
            Files(sharing),
            Offers(sharing),
        )

    def start(self, now: float) -> list[Effect]:
        """What a machine wants before anything has happened."""
        return [SetTimer(LookDue(), now), *self.relaying.start(now), *self.offers.start(now)]

    def handle(self, event: Event, now: float) -> list[Effect]:
        """What to do about an event; `now` is in seconds and never goes back."""
        self.replication.now = now
        effects = self._on_event(event, now)
        settling = self.nearness.settle(now)
        return effects + settling if settling else effects

    def _on_event(self, event: Event, now: float) -> list[Effect]:
        match event:
            case Received():  # nearly all events are messages and timers
                return self._on_received(event.peer, event.message, now)
            case Due():
                return self._on_due(event.timer, now)
            case LinkUp():
                return self._on_link_up(event, now)
            case LinkDown(peer, error):
                return self._on_link_down(peer, error, now)
            case DialFailed():
                return self.membership.on_dial_failed(event, now)
            case Stored():
                return self._on_stored(event, now)
            case Contradicted() | ForkProved():
                return self._on_other_history(event)
            case PayloadsStored():
                return self._on_payloads_stored(event)
            case Unstored(source, device):
                session = self.sharing.sessions.get(source)
                return [] if session is None else self.replication.on_unstored(session, device)
            case Unwanted(source, device):
                return self._on_unwanted(source, device)
            case PayloadsUnfit(source):
                session = self.sharing.sessions.get(source)
                return [] if session is None else self.replication.on_payloads_unfit(session, event)
            case Loaded(request):
                return self._on_loaded(event, request.peer, request.live)
            case LoadedOne():
                session = self.sharing.sessions.get(event.peer)
                return [] if session is None else self.strays.on_loaded(session, event)
            case Dropped(device):
                self.holdings.forget_log(device)
                self.broadcast.drop(device)
                return self.replication.on_dropped(device)
            case Interested(identity, private):
                self.holdings.set_private(identity, private)
                return self.relaying.on_interested(identity, now)
            case Uninterested(identity):
                self.holdings.set_private(identity, False)
                return self.relaying.on_uninterested(identity) + self.offers.on_uninterested(identity)
            case Blocked(identity):
                return self.relaying.on_blocked(identity) + self.offers.on_blocked(identity)
            case Unblocked(identity):
                self.relaying.on_unblocked(identity)
                return []
            case Learned(identity) if identity.hash in self.holdings.blocked:
                return []
            case Learned(identity):
                return self._after_statements(self.sharing.learn(identity), identity.hash)
            case Candidates(endpoints, identity):
                return self.membership.on_candidates(endpoints, identity, now)
            case Ask():
                return self.strays.ask(event, now)
            case Pruned() | RoomChanged():
                return self._on_room(event)
            case Arriving() | Taking() | HeldBack():
                return self._on_reading(event, now)
            case _:
                return self._on_kept_event(event, now)

    def _on_other_history(self, event: Contradicted | ForkProved) -> list[Effect]:
        """A log goes on otherwise than we hold it: a peer gave that, or it was proved by other means."""
        if isinstance(event, ForkProved):
            return self.replication.convict(event.proof)
        self.broadcast.drop(event.batch.entries[0].device)
        session = self.sharing.sessions.get(event.source)
        return [] if session is None else self.replication.on_contradicted(session, event)

    def _on_reading(self, event: Arriving | Taking | HeldBack, now: float) -> list[Effect]:
        """Whose silence is none: a long message of his is on its way, or ours to him, or nothing was read at all."""
        if isinstance(event, HeldBack):
            self.membership.liveness.on_held_back(now)
            self.replication.on_held_back()
            return []
        if isinstance(event, Taking):
            self.membership.liveness.on_taking(event.peer, now)
            return []
        self.replication.on_arriving(event.peer)
        session = self.sharing.sessions.get(event.peer)
        return [] if session is None else self.membership.liveness.on_life(session, now)

    def _on_room(self, event: Pruned | RoomChanged) -> list[Effect]:
        """Others hear that less of a log is held. What has waited for room, or is wanted again, is asked for."""
        if isinstance(event, RoomChanged):
            self.holdings.is_full = event.is_full
            waiting = [] if event.is_full else sorted(self.holdings.logs)
            return [effect for device in waiting for effect in self.replication.seek(device)]
        state = event.state
        self.holdings.take(state)
        if not state.spans and state.fork is None:
            self.holdings.forget_log(state.device)
        return self.replication.tell_later(state.identity) + self.replication.seek(state.device)

    def _on_kept_event(
        self, event: FetchFile | LoadedFile | FileStored | FileUnstored | OfferKept, now: float
    ) -> list[Effect]:
        """Of files, and of what waits for others."""
        match event:
            case OfferKept(entry):
                return self.offers.on_kept(entry, now)
            case FetchFile():
                return self.files.fetch(event, now)
            case LoadedFile():
                session = self.sharing.sessions.get(event.peer)
                return [] if session is None else self.files.on_loaded(session, event)
            case FileStored():
                return self.files.on_stored(event, now)
            case FileUnstored():
                return self.files.on_unstored(event, now)
            case _:
                assert_never(event)

    def _on_link_up(self, event: LinkUp, now: float) -> list[Effect]:
        effects = self.sharing.on_link_up(event, now)
        return effects + self.membership.on_link_up(self.sharing.sessions[event.peer], now)

    def _on_link_down(self, peer: NodeKey, error: RemoteProtocolError | None, now: float) -> list[Effect]:
        session = self.sharing.sessions.get(peer)
        effects = self.sharing.on_link_down(peer)
        self.strays.on_link_down(peer)
        effects += self.offers.on_link_down(peer, now)
        self.relaying.on_link_down(peer, now)
        effects += self.broadcast.on_link_down(peer, now)
        effects += self.replication.on_link_down(peer)
        self.giving.on_link_down(peer)
        effects += self.files.on_link_down(peer, now)
        return effects + self.membership.on_link_down(peer, session, error, now)

    def _on_due(self, timer: Timer, now: float) -> list[Effect]:
        match timer:
            case LookDue():
                return self.membership.on_look_due(now)
            case RelayDue():
                return self.relaying.on_relay_due(now)
            case PongDue():
                return self.membership.on_pong_due(timer, now)
            case GraftDue():
                return self.broadcast.on_graft_due(timer, now)
            case HavesDue(peer):
                return self.broadcast.on_haves_due(peer)
            case WantDue():
                return self.replication.on_want_due(timer)
            case PatienceDue():
                return self.replication.on_patience_due(timer)
            case NearDue():
                return self.nearness.on_near_due(now)
            case TokensDue():
                return self.sharing.on_tokens_due()
            case OfferDue():
                return self.offers.on_due(now)
            case PieceDue():
                return self.files.on_piece_due(timer, now)
            case SearchDue():
                return self.files.ask(now)
            case HelloDue():
                return self.sharing.on_hello_due(timer)
            case ClocksDue(peer):
                session = self.sharing.sessions.get(peer)
                return [] if session is None else self.sharing.tell_clocks(session)
            case _:
                assert_never(timer)

    def _on_unwanted(self, source: NodeKey | None, device: DeviceKey) -> list[Effect]:
        """Of somebody who is blocked: what was written while the block came goes, and its sender did no wrong."""
        self.broadcast.drop(device)
        return [DropLog(device), *self.replication.on_unwanted(source, device)]

    def _on_left(self, source: NodeKey | None, device: DeviceKey) -> list[Effect]:
        """Likewise what was written for others while their lease ended."""
        self.broadcast.drop(device)
        return [LeaveLog(device), *self.replication.on_unwanted(source, device)]

    def _is_left(self, event: Stored) -> bool:
        """Whether what a peer gave came to be held after its device, and then its identity, were forgotten."""
        if event.source is None or event.state.device in self.holdings.owners:
            return False
        return not self.holdings.cares_for(event.batch.identity)

    def _on_stored(self, event: Stored, now: float) -> list[Effect]:
        if event.batch.identity in self.holdings.blocked:
            return self._on_unwanted(event.source, event.state.device)
        if self._is_left(event):
            return self._on_left(event.source, event.state.device)
        if self.holdings.lacked_of(event.state.device):
            self.sharing.note_links(event.batch.identity)  # it may be wanting no more
        self.holdings.take(event.state)
        effects: list[Effect] = []
        if event.batch.identity == self.holdings.own and (event.source is not None or not event.live):
            last = event.batch.entries[-1]
            effects.append(OwnLogElsewhere(last.device, last.seq, last.id))
        effects += self.broadcast.on_stored(event, now)
        effects += self.replication.on_stored(event)
        effects += self.offers.on_stored(event.batch.identity, event.batch.entries)
        if event.batch.identity == self.holdings.own and event.source is None and event.live:
            effects += self.offers.on_own(event.batch.entries, now)
        return effects + self.relaying.on_stored(event.batch.identity)

    def _on_payloads_stored(self, event: PayloadsStored) -> list[Effect]:
        if event.state.identity in self.holdings.blocked:
            return self._on_unwanted(event.source, event.state.device)
        self.holdings.take(event.state)
        return self.replication.on_payloads_stored(event)

    def _on_loaded(self, event: Loaded, peer: NodeKey, live: bool) -> list[Effect]:
        session = self.sharing.sessions.get(peer)
        if session is None:
            return []
        return self.broadcast.on_loaded(session, event) if live else self.giving.on_loaded(session, event)

    def _after_statements(self, effects: list[Effect], identity: IdentityHash) -> list[Effect]:
        """New statements may admit logs that peers have long told us of, and no longer name others."""
        self._forget_unnamed(identity)
        if self.holdings.is_borrowed(identity):
            effects += [LeaveLog(device) for device in self.replication.borrowed.end(identity)]
        for session in self.sharing.sessions_of(identity):
            effects += self.replication.consider(session, [identity])
        return effects

    def _forget_unnamed(self, identity: IdentityHash) -> None:
        """What clocks tell of a device stays, for its statement may yet come again; what else was said of it goes."""
        unnamed, self.sharing.unnamed = self.sharing.unnamed, []
        if not unnamed:
            return
        self.replication.forget(unnamed)
        self.broadcast.forget(unnamed)
        for session in self.sharing.sessions_of(identity):
            heard = session.shared[identity].heard
            told = {device for device, _clock in heard.logs} if heard is not None else set[DeviceKey]()
            for device in unnamed:
                session.memory.forks.discard(device)
                if device not in told:
                    session.clocks.pop(device, None)

    # --- messages ---

    def _on_received(self, peer: NodeKey, message: Message, now: float) -> list[Effect]:
        session = self.sharing.sessions.get(peer)
        if session is None:
            return []
        life = self.membership.liveness.on_life(session, now)
        try:
            if not session.ready and not isinstance(message, Hello):
                raise BadMessage("nothing comes before Hello")
            effects = self._on_message(session, message, now)
        except RemoteProtocolError as error:
            return [Close(peer, error)]
        return life + effects if life else effects

    def _on_message(self, session: Session, message: Message, now: float) -> list[Effect]:
        match message:
            case Ping():
                return self.membership.liveness.on_ping(session, message, now)
            case Pong():
                if message.number == COMPARE_PING:
                    return self.sharing.on_compared(session)
                return self.membership.liveness.on_pong(session, message, now)
            case Hello():
                return self._on_hello(session, message, now)
            case Tokens():
                return self.sharing.on_tokens(session, message)
            case Clocks(clocks):
                effects = self.sharing.on_clocks(session, message)
                told = [clock.identity for clock in clocks if clock.identity in session.shared]
                return effects + self.replication.consider(session, told)
            case Statements():
                return self._on_statements(session, message)
            case _:
                return self._on_entries(session, message, now)

    def _on_entries(self, session: Session, message: Message, now: float) -> list[Effect]:
        match message:
            case Want():
                return self.giving.on_want(session, message)
            case Run():
                return self.replication.on_run(session, message)
            case Lack():
                return self.replication.on_lack(session, message)
            case WantPayloads():
                return self.giving.on_want_payloads(session, message)
            case Payloads():
                return self.replication.on_payloads(session, message)
            case Fork():
                return self.replication.on_fork(session, message)
            case Live():
                return self.broadcast.on_live(session, message, now)
            case Have():
                return self.broadcast.on_have(session, message, now)
            case Graft():
                return self.broadcast.on_graft(session, message)
            case Prune(device):
                return self.broadcast.on_prune(session, device)
            case Wait():
                return self.broadcast.on_wait(session, message, now)
            case _:
                return self._on_upkeep(session, message, now)

    def _on_upkeep(self, session: Session, message: Message, now: float) -> list[Effect]:
        match message:
            case Forget(identities):
                effects = self.sharing.on_forget(session, message)
                self.relaying.on_forget(session.peer, identities)
                return effects + self.broadcast.on_unshared(session.peer, identities, now)
            case Fetch(ref):
                self.offers.note_fetch(session.peer, ref)
                giver = self.offers if self.offers.has(ref) else self.strays
                return giver.on_fetch(session, message)
            case Found(ref) if self.offers.awaits(session, ref):
                return self.offers.on_found(session, message, now)
            case Found():
                effects = self.strays.on_found(session, message)
                return effects + self.offers.on_strays(effects)
            case Offer():
                return self.offers.on_offer(session, message, now)
            case Peers():
                return self.membership.on_peers(session, message, now)
            case Near():
                return self.nearness.on_near(session, message, now)
            case Relay():
                return self.relaying.on_relay(session, message, now)
            case Alarm():
                return self.membership.liveness.on_alarm(session, message, now)
            case Bye():
                return self.membership.on_bye(session, now)
            case WantTable() | WantPiece():
                return self.files.on_want(session, message)
            case TableOf():
                return self.files.on_table(session, message, now)
            case Piece():
                return self.files.on_piece(session, message, now)
            case _:
                raise AssertionError(f"a message that nobody handles: {message!r}")

    def _on_hello(self, session: Session, message: Hello, now: float) -> list[Effect]:
        effects = self.sharing.on_hello(session, message) + self.membership.on_hello(session, now)
        resumed = list(session.shared)
        return effects + self.replication.consider(session, resumed) + self.files.ask(now)

    def _on_statements(self, session: Session, message: Statements) -> list[Effect]:
        effects = self.sharing.on_statements(session, message)
        for effect in list(effects):
            if isinstance(effect, StoreIdentity):
                effects = self._after_statements(effects, effect.identity.hash)
                if self.holdings.is_borrowed(effect.identity.hash):
                    effects.remove(effect)  # so that its logs stand in no timeline and nothing of it stays
        return effects
