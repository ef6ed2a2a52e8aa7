"""Which identities two linked nodes share, and what each told the other that it holds of them.

Theory. Neither side names whom it follows. Each sends, for every identity of interest, a token: a keyed hash under the
link's own secret, different for each direction, so that only who knows the identity can make or match it. A match is
expanded on both sides. For what is shared, each tells its statements' digest and its clocks; a differing digest makes
the other send its statements.

Both ends fold every Tokens, Forget, Statements, Clocks and Fork message into a running hash, one for each direction.
Where both ends come back with the same two hashes, each knows exactly what the other was told, and only what has
changed since is said: an idle reconnect costs two Hellos, however many feeds there are. Otherwise all is said afresh.
Only what is folded may change what we remember; what is lost at a cut then shows as another hash.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile
from typing import TypeVar

from p2pblog.config import HANDSHAKE_TIMEOUT_S
from p2pblog.core import codec
from p2pblog.core.address import Endpoint
from p2pblog.core.identity import IDENTITY_BYTES_MAX, Identity, Inception
from p2pblog.core.keys import DeviceKey, IdentityHash, NodeKey
from p2pblog.core.value import State, field, replace
from p2pblog.errors import BadMessage, RemoteProtocolError, TooLarge, TooSlow
from p2pblog.gossip.clocks import clock_messages, count_numbers
from p2pblog.gossip.events import (
    ClocksHeard,
    Close,
    DropIfOther,
    Effect,
    HelloDue,
    LinkUp,
    Remember,
    Send,
    SetTimer,
    StoreIdentity,
    TokensDue,
)
from p2pblog.gossip.holdings import Holdings
from p2pblog.gossip.memory import Memory, Resume, Shared, fold
from p2pblog.gossip.messages import (
    HOPS_FAR,
    PROTOCOL_VERSION,
    TEXTS_VERSION,
    TOKENS_MAX,
    Clock,
    Clocks,
    Forget,
    Fork,
    Hello,
    IdentityClock,
    Message,
    Ping,
    Statements,
    Tokens,
)

COMPARE_PING = 0
"""The number of the one ping that asks for the end of what a peer says to our clocks; others are above it."""
TOKENS_DELAY_S = 0.1
"""What we come to care for is told together: a relay is asked for many feeds at once."""
HOPS_NEAR = 4
"""Links at most between us and an author for a feed to count as reached (our model: relays within 4 hops deliver all,
warm within 290 ms)."""
SHARED_WIDELY = 5
"""Links that share a feed from which on it is large: as many as a node keeps. (10,000 followers of one author, with ten
links each, are up to 7 links from him; as if they were cut off, each dialed 5 more.)"""
COVER_WANTING = 8
"""Links wished for to a feed where those that there are lack entries which are known to exist, or a way to the author
(a guess: who has lost a disk finds one among so many who has not; what is lost for good costs no more than that)."""
CHANGED_SPARE = 64
"""Feeds beyond twice those we care for after which the changes of those that we care for no more are forgotten."""
CLOCK_NUMBERS_MAX = 131_072
"""Numbers that the clocks of one peer may hold: 5 MB; three logs for each of 10,000 feeds take 90,000."""

T = TypeVar("T")


class Session(State):
    """One link, as the machines see it."""

    peer: NodeKey
    endpoint: Endpoint
    dialed: bool
    binding: bytes
    memory: Memory
    number: int = 0
    """Which of all links so far it is."""
    ready: bool = False
    compare_asked: bool = False
    compared: bool = False
    near: dict[IdentityHash, int] = field(default_factory=dict)
    """How many links lie between the peer and each author, as it says; what it has no way to is not in it."""
    near_told: dict[IdentityHash, int] = field(default_factory=dict)
    is_late: bool = False
    """Whether it owes an answer to a ping for so long that it may be gone."""
    unkept: dict[IdentityHash, None] = field(default_factory=dict)
    """Identities of which it did not give what its clock promised: until it does, it leads to none of their authors."""
    port: int = 0
    links: int = 0
    offered: bytes | None = None
    """The hash of our memory, as our Hello gave it."""
    clocks: dict[DeviceKey, Clock] = field(default_factory=dict)
    clock_numbers: int = 0
    due_clocks: dict[IdentityHash, None] = field(default_factory=dict)
    expected: dict[bytes, IdentityHash] | None = None
    """The tokens by which the peer would name our interests; made when something is named first."""
    grafts_owed: int = 0
    fetches_owed: int = 0
    """Answers of either kind that we owe this peer and that the store has not given yet."""
    version: int = 1
    """What its Hello said."""
    texts: bool = False
    """Whether notes travel as their texts, in both directions."""
    files_owed: int = 0
    """Tables and pieces of files that we owe it."""

    @property
    def shared(self) -> dict[IdentityHash, Shared]:
        return self.memory.shared


class Sharing(State):
    """The machine; `sessions` holds every link that stands. `sharers`: those of them that share an identity with us, in
    the order of their keys."""

    node: NodeKey
    holdings: Holdings
    port: int = 0
    sessions: dict[NodeKey, Session] = field(default_factory=dict)
    links_so_far: int = 0
    sharers: dict[IdentityHash, dict[NodeKey, Session]] = field(default_factory=dict)
    news: dict[IdentityHash, None] = field(default_factory=dict)
    """Feeds to whose authors the way may have changed."""
    unnamed: list[DeviceKey] = field(default_factory=list)
    """Devices that were forgotten, and that the other machines have not forgotten yet."""
    due_tokens: dict[IdentityHash, None] = field(default_factory=dict)
    """What we have come to care for and not said yet."""
    changes: int = 0
    """Grows whenever another link may lead to a feed, or one fewer."""
    changed: dict[IdentityHash, int] = field(default_factory=dict)
    """As of which change each feed was concerned last, in that order."""

    # --- links ---

    def on_link_up(self, event: LinkUp, now: float) -> list[Effect]:
        try:
            memory = Memory.from_wire(event.memory) if event.memory is not None else Memory()
        except RemoteProtocolError:
            memory = Memory()  # from another version of ours: begin afresh
        session = Session(event.peer, event.endpoint, event.dialed, event.binding, memory)
        self.links_so_far += 1
        session.number = self.links_so_far
        session.offered = memory.hash(self.node < event.peer)
        self.sessions[event.peer] = session
        hello = Hello(PROTOCOL_VERSION, self.port, len(self.sessions) - 1, session.offered)
        return [Send(event.peer, hello), SetTimer(HelloDue(event.peer, event.binding), now + HANDSHAKE_TIMEOUT_S)]

    def on_link_down(self, peer: NodeKey) -> list[Effect]:
        session = self.sessions.pop(peer, None)
        if session is None or not session.ready:
            return []
        for identity in session.shared:
            self._drop_sharer(identity, peer)
        return [Remember(peer, session.memory.wire if session.shared else None)]

    def on_hello_due(self, timer: HelloDue) -> list[Effect]:
        session = self.sessions.get(timer.peer)
        if session is None or session.ready or session.binding != timer.binding:
            return []
        return [Close(timer.peer, TooSlow("no Hello in time"))]

    def sessions_of(self, identity: IdentityHash) -> list[Session]:
        """The links on which this identity is shared, in the order of their keys."""
        return list(self.sharers.get(identity, {}).values())

    def cover(self, identity: IdentityHash, unasked: bool = False) -> int:
        """How many links lead to an identity. `unasked`: without those that may only relay it for us."""
        return len(self.leading(identity, unasked))

    def is_served(self, identity: IdentityHash) -> bool:
        """Whether links lead to a feed, one at least that answers tells of entries, and somebody of all that are known
        to exist: who only says to be near the author costs nothing and proves nothing."""
        devices = self.holdings.devices(identity)
        return any(tells(session, devices) for session in self.answering(identity)) and not self.is_wanting(identity)

    def answering(self, identity: IdentityHash) -> list[Session]:
        """The links that lead to an identity and owe no answer."""
        return [session for session in self.leading(identity) if not session.is_late]

    def is_wanting(self, identity: IdentityHash) -> bool:
        """Whether there are entries of an identity of which we only know that they exist: nobody who shares it with us
        tells of them, so others must be asked."""
        sessions = [session for session in self.sessions_of(identity) if identity not in session.unkept]
        return any(
            not any(_has_some(session.clocks.get(device), ranges) for session in sessions)
            for device, ranges in self.holdings.lacked(identity).items()
        )

    def is_astray(self, identity: IdentityHash) -> bool:
        """Whether links tell of a feed's entries, and few share it and none of them knows a way to its author: he is
        away, or all of them lost him as we did."""
        sharing = [s for s in self.sharers.get(identity, {}).values() if identity not in s.unkept]
        if identity == self.holdings.own or len(sharing) >= COVER_WANTING:
            return False
        return not any(identity in session.near for session in sharing) and self.cover(identity) > 0

    def leading(self, identity: IdentityHash, unasked: bool = False) -> list[Session]:
        """The links that lead near this identity's author or, while there is no way to the author, that tell of
        entries; a link that shares it and has nothing, or does not give what it has, leads nowhere."""
        sharing = self.sharers.get(identity)
        if not sharing:
            return []
        asked = self.holdings.asked.get(identity, ()) if unasked else ()
        sessions = [s for peer, s in sharing.items() if peer not in asked and identity not in s.unkept]
        ways = [session for session in sessions if identity in session.near]
        if ways:
            reach = self.reach(identity)
            return [session for session in ways if session.near[identity] < reach]
        devices = self.holdings.devices(identity)
        return [session for session in sessions if tells(session, devices)]

    def reach(self, identity: IdentityHash) -> int:
        """How far the author of a feed may be for it to count as reached. The feed that many links share is large, and
        far is where most of its followers are; of a small one, far means that few links carry it."""
        return HOPS_FAR if len(self.sharers.get(identity, ())) >= SHARED_WIDELY else HOPS_NEAR

    def nearest(self, identity: IdentityHash, sessions: list[Session]) -> list[tuple[int, NodeKey]]:
        """The two links nearest to an identity's author, of those that give us its entries."""
        able = [
            (session.near[identity], session.peer)
            for session in sessions
            if identity in session.near
            and identity not in session.unkept
            and self.holdings.takes(session.peer, identity)
        ]
        return sorted(able)[:2]

    def note_way(self, identity: IdentityHash) -> None:
        """The way to this identity's author, or what we tell of it, may have changed."""
        self.news[identity] = None
        self.note_links(identity)

    def note_links(self, identity: IdentityHash) -> None:
        """Another link may lead to this feed, or one fewer."""
        self.changes += 1
        self.changed.pop(identity, None)
        self.changed[identity] = self.changes
        if len(self.changed) > CHANGED_SPARE + 2 * (len(self.holdings.interests) + len(self.holdings.relayed)):
            self.changed = {i: at for i, at in self.changed.items() if self.holdings.cares_for(i)}

    def changed_since(self, change: int) -> list[IdentityHash]:
        """The feeds that were concerned after that change, the latest first; what nobody cares for may be left out."""
        return [i for i, _at in takewhile(lambda row: row[1] > change, reversed(self.changed.items()))]

    def on_word(self, session: Session, identity: IdentityHash | None, kept: bool) -> None:
        """A peer has given entries that its clock promised, or has not; nobody's logs promise nothing."""
        if identity is None or identity not in session.shared or (identity not in session.unkept) == kept:
            return
        if kept:
            del session.unkept[identity]
        else:
            session.unkept[identity] = None
        self.note_way(identity)

    # --- what peers say ---

    def on_hello(self, session: Session, hello: Hello) -> list[Effect]:
        if session.ready:
            raise BadMessage("a second Hello")
        session.ready = True
        session.port, session.links, session.version = hello.port, hello.links, hello.version
        session.texts = hello.version >= TEXTS_VERSION
        if session.offered is None or session.offered != hello.memory:
            session.memory = Memory(session.binding, session.dialed)
            return self._say_first_tokens(session)
        return self._resume(session)

    def _resume(self, session: Session) -> list[Effect]:
        memory = session.memory
        for identity, row in memory.shared.items():
            self._join(session, identity)
            if row.heard is not None:
                session.clocks.update(row.heard.logs)
                session.clock_numbers += count_numbers(row.heard)
        effects: list[Effect] = [Resume(session.peer, memory.names)]
        gone = [identity for identity in sorted(memory.shared) if not self.holdings.cares_for(identity)]
        effects += self._say_forget(session, gone)
        memory.told = {identity for identity in memory.told if self.holdings.cares_for(identity)}
        effects += self._make_known(session, self.holdings.cared_for)
        effects += self._say_clocks(session, sorted(memory.shared))
        for identity in sorted(memory.shared):
            effects += self.say_forks(session, identity)
        if self.holdings.own in session.shared:
            effects.append(self._ask_what_follows(session))
        return effects

    def on_tokens(self, session: Session, message: Tokens) -> list[Effect]:
        self.fold_heard(session, message)
        session.memory.hear_tokens(message.tokens)
        expected = self.expected(session)
        matched = dict.fromkeys(expected[item] for item in message.tokens if item in expected)
        fresh = [identity for identity in matched if identity not in session.shared]
        for identity in fresh:
            self._share(session, identity)
        return self._say_clocks(session, fresh)

    def _share(self, session: Session, identity: IdentityHash) -> Shared:
        """Both care for it: the clock that is to be said next tells the peer so, if no token has."""
        row = session.shared[identity] = Shared()
        session.memory.told.add(identity)
        self._join(session, identity)
        return row

    def _join(self, session: Session, identity: IdentityHash) -> None:
        sharers = {**self.sharers.get(identity, {}), session.peer: session}
        self.sharers[identity] = dict(sorted(sharers.items()))
        self.note_way(identity)

    def on_forget(self, session: Session, message: Forget) -> list[Effect]:
        self.fold_heard(session, message)
        for identity in message.identities:
            session.memory.tokens.discard(session.memory.their_token(identity))
            self._unshare(session, identity)
        return []

    def on_statements(self, session: Session, message: Statements) -> list[Effect]:
        """What both know is the union of what both sent; a set that lacks something of ours is answered."""
        self.fold_heard(session, message)
        named = identity_of(message.identity)
        if named not in session.shared or not self.holdings.cares_for(named):
            return []  # we have stopped following in the meantime
        identity = Identity.decode(message.identity)
        row = session.shared[named]
        if row.heard is not None:
            row.heard = replace(row.heard, digest=identity.digest)
        effects = self.learn(identity)
        return effects + self._say_statements(session, named)

    def on_clocks(self, session: Session, message: Clocks) -> list[Effect]:
        """Statements that the other lacks go out at once: they come before any log, and before what proves a fork."""
        self.fold_heard(session, message)
        effects: list[Effect] = []
        for clock in message.clocks:
            row = session.shared.get(clock.identity)
            if row is None:
                # It matched a token of ours, perhaps one that we said before we lost interest.
                if not self.holdings.cares_for(clock.identity):
                    effects += self._say_forget(session, [clock.identity])
                    continue
                session.memory.hear_tokens([session.memory.their_token(clock.identity)])
                row = self._share(session, clock.identity)
                effects += self._say_clocks(session, [clock.identity])
            is_first = row.heard is None
            self._take_clock(session, row, clock)
            effects += self._say_statements(session, clock.identity)
            effects += self.say_forks(session, clock.identity)
            if is_first:  # what was announced since ours went out came before our statements, and meant nothing there
                effects += self._say_clocks(session, [clock.identity])
        if any(clock.identity == self.holdings.own for clock in message.clocks) and not session.compare_asked:
            effects.append(self._ask_what_follows(session))
        return effects

    def _ask_what_follows(self, session: Session) -> Effect:
        """What a peer has to say to our clocks, a fork proof perhaps, comes before its answer to this ping."""
        session.compare_asked = True
        return Send(session.peer, Ping(COMPARE_PING))

    def on_compared(self, session: Session) -> list[Effect]:
        """The answer to that ping: the peer has said all it knows against our own log."""
        if not session.compare_asked or session.compared:
            raise BadMessage("an answer to no ping")
        session.compared = True
        return [ClocksHeard(session.peer)]

    def _take_clock(self, session: Session, row: Shared, clock: IdentityClock) -> None:
        """A clock tells of all the logs of its identity; those that it leaves out are gone."""
        if row.heard is not None:
            session.clock_numbers -= count_numbers(row.heard)
            for device, _clock in row.heard.logs:
                session.clocks.pop(device, None)
        for device in self.holdings.devices(clock.identity):  # also of what was announced since the last clock
            session.clocks.pop(device, None)
        session.clock_numbers += count_numbers(clock)
        if session.clock_numbers > CLOCK_NUMBERS_MAX:
            raise TooLarge("clocks of more numbers than a peer may fill")
        row.heard = clock if clock != row.told else row.told  # who holds what we hold: one clock in memory, not two
        session.clocks.update(row.heard.logs)
        self.note_links(clock.identity)

    # --- what changes here ---

    def learn(self, news: Identity) -> list[Effect]:
        """Merge statements and pass on what is new to every link that shares the identity."""
        known = self.holdings.identities.get(news.hash)
        merged = news if known is None else known.merge(news.statements)
        if merged is known:
            return []
        self.unnamed += self.holdings.learn(merged)
        self.note_links(merged.hash)
        effects: list[Effect] = [StoreIdentity(merged)]
        for device, standing in merged.devices.items():
            if standing.retired and standing.entry is not None and device in self.holdings.logs:
                effects.append(DropIfOther(device, standing.seq, standing.entry))
        for session in self.sessions_of(merged.hash):
            effects += self._say_statements(session, merged.hash)
        return effects

    def on_interested(self, identity: IdentityHash, now: float) -> list[Effect]:
        self.holdings.interests[identity] = None
        self.note_links(identity)
        return self.take_up(identity, now)

    def take_up(self, identity: IdentityHash, now: float) -> list[Effect]:
        """Say that we care for an identity, in a moment: more may come together."""
        for session in self.sessions.values():
            if session.expected is not None:
                session.expected[session.memory.their_token(identity)] = identity
        is_set = bool(self.due_tokens)
        self.due_tokens[identity] = None
        return [] if is_set else [SetTimer(TokensDue(), now + TOKENS_DELAY_S)]

    def on_tokens_due(self) -> list[Effect]:
        """Who has become ready since has heard of it with the first tokens."""
        due, self.due_tokens = [i for i in self.due_tokens if self.holdings.cares_for(i)], {}
        effects: list[Effect] = []
        for peer in sorted(self.sessions):
            session = self.sessions[peer]
            if session.ready:
                effects += self._make_known(session, due)
        return effects

    def _make_known(self, session: Session, identities: list[IdentityHash]) -> list[Effect]:
        """Share what the peer said or asked for; name the rest. What we relay concerns only who follows it: others are
        not bothered with it, for a relay gives to nobody but who asks, and who is about to follow will say so."""
        memory = session.memory
        unshared = [identity for identity in identities if identity not in session.shared]
        mutual = [i for i in unshared if memory.cares(i) or self.holdings.is_asked_by(session.peer, i)]
        for identity in mutual:
            self._share(session, identity)
        news = [i for i in unshared if i not in memory.told and (i in self.holdings.interests or memory.is_full)]
        return self._say_tokens(session, news) + self._say_clocks(session, mutual)

    def expected(self, session: Session) -> dict[bytes, IdentityHash]:
        """What the peer's tokens mean."""
        if session.expected is None:
            session.expected = {session.memory.their_token(i): i for i in self.holdings.cared_for}
        return session.expected

    def on_uninterested(self, identity: IdentityHash) -> list[Effect]:
        self.holdings.interests.pop(identity, None)
        self.note_links(identity)
        return self.leave([identity])

    def leave(self, identities: list[IdentityHash]) -> list[Effect]:
        """Care no more. A link that stands but has not said Hello yet hears of it when it resumes."""
        effects: list[Effect] = []
        for peer in sorted(self.sessions):
            session = self.sessions[peer]
            for identity in identities:
                if session.expected is not None:
                    session.expected.pop(session.memory.their_token(identity), None)
                if session.ready:
                    session.memory.told.discard(identity)
            shared = [identity for identity in identities if identity in session.shared]
            if session.ready and shared:
                effects += self._say_forget(session, shared)
        return effects

    def answer(self, session: Session, identity: IdentityHash) -> list[Effect]:
        """Tell who named an identity that we care for it, and what we hold."""
        if identity not in session.shared:
            self._share(session, identity)
        return self._say_clocks(session, [identity])

    def say_clock(self, session: Session, identity: IdentityHash) -> list[Effect]:
        """Tell what we hold of an identity, if it is shared and we last told something else."""
        return self._say_clocks(session, [identity])

    def tell_clocks(self, session: Session) -> list[Effect]:
        """Tell what has changed of the identities that `due_clocks` names."""
        due, session.due_clocks = list(session.due_clocks), {}
        return self._say_clocks(session, due)

    # --- saying things: each fold keeps both ends' memories alike ---

    def _say(self, session: Session, message: Message) -> Effect:
        session.memory.said = fold(session.memory.said, message)
        return Send(session.peer, message)

    def fold_heard(self, session: Session, message: Message) -> None:
        session.memory.heard = fold(session.memory.heard, message)

    def _say_first_tokens(self, session: Session) -> list[Effect]:
        """All of them; one message at least, so that the other side knows that it has heard our first."""
        return self._say_tokens(session, list(self.holdings.interests)) or [self._say(session, Tokens(()))]

    def _say_tokens(self, session: Session, identities: list[IdentityHash]) -> list[Effect]:
        effects: list[Effect] = []
        for chunk in _chunks(identities, TOKENS_MAX):
            tokens = tuple(session.memory.own_token(identity) for identity in chunk)
            effects.append(self._say(session, Tokens(tokens)))
            session.memory.told.update(chunk)
        return effects

    def _say_forget(self, session: Session, identities: list[IdentityHash]) -> list[Effect]:
        for identity in identities:
            self._unshare(session, identity)
            session.memory.told.discard(identity)
        return [self._say(session, Forget(tuple(chunk))) for chunk in _chunks(identities, TOKENS_MAX)]

    def _unshare(self, session: Session, identity: IdentityHash) -> None:
        row = session.shared.pop(identity, None)
        if row is None:
            return
        self._drop_sharer(identity, session.peer)
        session.due_clocks.pop(identity, None)
        session.near.pop(identity, None)
        session.near_told.pop(identity, None)
        session.unkept.pop(identity, None)
        if row.heard is not None:
            session.clock_numbers -= count_numbers(row.heard)
        told = row.heard.logs if row.heard is not None else ()
        for device in [*self.holdings.devices(identity), *(device for device, _clock in told)]:
            session.clocks.pop(device, None)
            session.memory.forks.discard(device)

    def _drop_sharer(self, identity: IdentityHash, peer: NodeKey) -> None:
        self.note_way(identity)
        peers = self.sharers.get(identity, {})
        peers.pop(peer, None)
        if not peers:
            self.sharers.pop(identity, None)

    def _say_clocks(self, session: Session, identities: Iterable[IdentityHash]) -> list[Effect]:
        """Tell our clocks of those of these identities of which we last told something else."""
        news: list[IdentityClock] = []
        effects: list[Effect] = []
        for identity in identities:
            row = session.shared.get(identity)
            current = self.holdings.identity_clock(identity)
            if not self.holdings.gives(session.peer, identity):
                current = replace(current, logs=())
            if row is not None and row.told != current:
                row.told = current
                news.append(current)
                effects += self._say_statements(session, identity)
        return effects + [self._say(session, Clocks(tuple(some))) for some in clock_messages(news)]

    def _say_statements(self, session: Session, identity: IdentityHash) -> list[Effect]:
        """Send our statements to who told us that it holds others; having them, it will hold at least ours."""
        row, known = session.shared[identity], self.holdings.identities.get(identity)
        if known is None or row.heard is None or row.heard.digest == known.digest:
            return []
        row.heard = replace(row.heard, digest=known.digest)
        return [self._say(session, Statements(known.wire))]

    def say_forks(self, session: Session, identity: IdentityHash) -> list[Effect]:
        """The proofs that stand against logs of an identity and have not passed this link, once its clock was heard."""
        row = session.shared.get(identity)
        if row is None or row.heard is None:
            return []
        effects: list[Effect] = []
        for device in self.holdings.devices(identity):
            state = self.holdings.logs.get(device)
            if state is None or state.fork is None or device in session.memory.forks:
                continue
            if self.holdings.is_frozen(device):
                session.memory.forks.add(device)
                effects.append(self._say(session, Fork(state.fork.wire)))
        return effects


def tells(session: Session, devices: list[DeviceKey]) -> bool:
    """Whether a peer has said that it holds entries of one of these logs."""
    clocks = session.clocks
    for device in devices:
        held = clocks.get(device)
        if held is not None and held.high:
            return True
    return False


def _has_some(clock: Clock | None, ranges: list[tuple[int, int]]) -> bool:
    """Whether any of these numbers are told."""
    return clock is not None and any(
        low <= last and first <= high for low, high in clock.spans for first, last in ranges
    )


def identity_of(wire: bytes) -> IdentityHash:
    """Whose statements these are, before anything of them is verified: a cheap look at what may be 100 kB of them."""
    inception, _statements = codec.as_list(codec.unpack(wire, bytes_max=IDENTITY_BYTES_MAX), length=2)
    return Inception.decode(codec.as_bytes(inception)).identity


def _chunks(items: list[T], size: int) -> list[list[T]]:
    return [items[at : at + size] for at in range(0, len(items), size)]
