"""Offers: a reply or mention waits at who holds the feed of the person that it is meant for, until that person comes.

Theory. Who answers somebody that does not follow him is not heard: nobody asks for his log. But nodes that hold the
feed of the one who was answered, its replicas, are linked with its author now and then, and know when. So some of
them are told of the entry; they fetch it, check that it refers to whom it says, keep it, and tell its target when that
comes.

Rules.

* What is told of is where an entry stands, not the entry: who lacks it asks, by Fetch, and who offered it answers with
  all that vouches for it. So a copy that is there already costs 110 bytes, and nobody is sent what he does not want.
* Its author tells OFFER_COPIES links that care for the target, for as long as it takes to find them; each of those as
  many others; the last ones only the target's own node, which calls itself no links away from its author. Nobody is
  told of an entry twice, and who gave it to us never.
* Who was told and has not asked for the entry OFFER_EVERY_S later counts no more, and another is told in its place:
  links that only relay the feed care for it, too, and heed no offer, and nobody can tell which these are.
* An offer is heeded by who is the target or follows it. Blocked authors are refused. What turns out not to refer to
  the target ends the link.
* Room is given per author, per target, per link that brought it, and in all: the oldest goes, of whoever takes most;
  of the person's own, only for others of theirs.
* Of one link OFFERS_HEEDED_MAX entries at once are heeded, then one each few seconds: we say half as many to others.
  What new links say at once is bounded in all, too, for links and node keys cost nothing.
  The rest is left unheard, until it is so much that no honest node can have said it.
* What waits is on disk before anybody hears of it from us, and waits again after a start. Of the person's own the entry
  is, and that it waits is noted next: a node that dies in between has nobody keep it, and pointers alone lead to it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from p2pblog.config import (
    OFFER_COPIES,
    OFFER_EVERY_S,
    OFFER_LIFETIME_MS,
    OFFERS_ADVANCED_MAX,
    OFFERS_ADVANCED_PER_S,
    OFFERS_ASKED_MAX,
    OFFERS_AT_ONCE,
    OFFERS_EXCESS_MAX,
    OFFERS_HEEDED_MAX,
    OFFERS_HEEDED_PER_S,
    OFFERS_MAX,
    OFFERS_OF_OWN_MAX,
    OFFERS_PER_AUTHOR_MAX,
    OFFERS_PER_PEER_MAX,
    OFFERS_PER_S,
    OFFERS_PER_TARGET_MAX,
    OFFERS_SEEN_MAX,
    OFFERS_TOLD_MAX,
    OFFERS_TRIED_MAX,
)
from p2pblog.core import payload
from p2pblog.core.entry import Entry
from p2pblog.core.keys import EntryId, IdentityHash, NodeKey
from p2pblog.core.payload import Delete, Note, Ref
from p2pblog.core.pointing import groups_among, people_of, targets_of
from p2pblog.core.value import State, Value, field
from p2pblog.errors import BadMessage, Flooded
from p2pblog.gossip.events import Effect, KeepOffer, OfferDue, Send, SetTimer, StoreStray
from p2pblog.gossip.messages import Fetch, Found
from p2pblog.gossip.offer_messages import OFFER_HOPS_MAX, OFFERS_PER_MESSAGE, OFFERS_VERSION, Offer
from p2pblog.gossip.sharing import Session, Sharing
from p2pblog.gossip.strays import check_found

ASK_AGAIN_S = 20.0
"""When another link that offered an entry is asked for what the first one did not give."""
LIFETIME_S = OFFER_LIFETIME_MS / 1000
OTHERS_MAX = 8
"""Links remembered beside the one that is asked: who offers first and gives nothing must not keep the rest away."""


class Waiting(State, eq=False):
    """An entry that waits for its targets. `hops_left`: of those to whom it is offered; below 0 only the targets
    themselves are. `source`: the link that brought it. `kept`: it is on disk. `until`: when it has waited enough."""

    found: Found
    targets: tuple[bytes, ...]
    hops_left: int
    source: NodeKey | None = None
    kept: bool = False
    until: float = math.inf
    told: dict[NodeKey, bytes | None] = field(default_factory=dict)
    """For which target's sake; None for the target's own node, which is no copy."""
    tried: int = 0
    """How many of these are not their target's own node."""
    copies: dict[bytes, dict[NodeKey, float]] = field(default_factory=dict)
    """Who counts as a copy for each target, and until when, if it does not ask for the entry."""
    heard: set[bytes] = field(default_factory=set)
    """The targets for whose sake somebody was told who does more than relay it for us, or that have it anyway."""

    @property
    def author(self) -> IdentityHash:
        return self.found.ref.identity


class Told(Value):
    """What a link said of an entry that it offered."""

    peer: NodeKey
    ref: Ref
    target: bytes
    hops_left: int


class Asked(State, eq=False):
    """A question for an offered entry, and who else offered it."""

    told: Told
    at: float
    others: list[Told] = field(default_factory=list)


class Allowance(State):
    """So many at once, and then so many a second. `advance`: what may be had at once beyond that, once."""

    room: float
    at: float
    excess: int = 0
    advance: int = 0

    def refill(self, now: float, per_s: float, most: int) -> int:
        self.room = min(most, self.room + (now - self.at) * per_s)
        self.at = now
        return int(self.room)


class Offers(State):
    """The machine. `waiting`: in the order in which they came. `seen`: what came to us and need not be asked for again.
    `heard`, `said`: how much may still be offered on each link, to us and by us."""

    sharing: Sharing
    waiting: dict[EntryId, Waiting] = field(default_factory=dict)
    asked: dict[EntryId, Asked] = field(default_factory=dict)
    seen: dict[EntryId, None] = field(default_factory=dict)
    heard: dict[NodeKey, Allowance] = field(default_factory=dict)
    said: dict[NodeKey, Allowance] = field(default_factory=dict)
    advances: Allowance = field(default_factory=lambda: Allowance(OFFERS_ADVANCED_MAX, 0.0))
    """What all links together may say in advance."""
    stale: list[EntryId] = field(default_factory=list)
    """What was kept for nobody any more."""
    is_set: bool = False

    def start(self, now: float) -> list[Effect]:
        stale, self.stale = self.stale, []
        for waiting in self.waiting.values():
            waiting.until += now
        return [*(KeepOffer(entry) for entry in stale), *self._set_timer(now)]

    def restore(self, kept: Iterable[tuple[Found, int, float]], stale: Iterable[EntryId]) -> None:
        """Before the start: what waited when the node stopped, the oldest first, each with its `hops_left` and for how
        many seconds it is to wait still; and what is too old."""
        self.stale += stale
        for found, hops_left, left_s in kept:
            targets = self._targets(found)
            if targets and found.ref.identity not in self.sharing.holdings.blocked:
                self.waiting[found.ref.id] = Waiting(found, targets, hops_left, kept=True, until=left_s)
            else:
                self.stale.append(found.ref.id)

    # --- our own ---

    def on_own(self, entries: Iterable[Entry], now: float) -> list[Effect]:
        """What the person has just written may be meant for others. History that is brought from elsewhere is not."""
        effects: list[Effect] = []
        for entry in entries:
            found = self._own_found(entry)
            targets = () if found is None else self._targets(found)
            if found is not None and targets:
                effects += self._keep(Waiting(found, targets, OFFER_HOPS_MAX, kept=True, until=now + LIFETIME_S))
        return effects + self._pass_on(now) + self._set_timer(now) if effects else []

    def on_stored(self, author: IdentityHash, entries: Iterable[Entry]) -> list[Effect]:
        """What an author has taken back, on whatever device, waits no more."""
        held = {entry for entry, waiting in self.waiting.items() if waiting.author == author}
        effects: list[Effect] = []
        for entry in entries if held else ():
            said = None if entry.payload is None else payload.decode(entry.payload)
            if isinstance(said, Delete):
                gone = held & {said.of.id, *said.replaces}
                effects += [effect for each in sorted(gone) for effect in self._drop(each)]
        return effects

    def on_strays(self, effects: Iterable[Effect]) -> list[Effect]:
        """Likewise where the delete came by itself."""
        came = [effect.located for effect in effects if isinstance(effect, StoreStray)]
        return [effect for located in came for effect in self.on_stored(located.identity, [located.entry])]

    def _own_found(self, entry: Entry) -> Found | None:
        holdings = self.sharing.holdings
        identity = holdings.identities.get(holdings.own)
        if entry.payload is None or entry.signature is None or identity is None:
            return None
        note = payload.decode(entry.payload)
        if not isinstance(note, Note) or note.imported_ms is not None:
            return None
        ref = Ref(holdings.own, entry.device, entry.seq, entry.id)
        return Found(ref, identity.wire, (entry.body,), entry.signature, entry.payload)

    def _targets(self, found: Found) -> tuple[bytes, ...]:
        """For whom an entry waits here: all that an own one refers to, of others those whom the person follows."""
        holdings = self.sharing.holdings
        if found.payload is None:
            return ()
        said = payload.decode(found.payload)
        groups = groups_among(said)  # nobody is asked to keep what is said to these: it is found in the DHT alone
        targets = tuple(target for target in targets_of(said, found.ref.identity) if target not in groups)
        if found.ref.identity == holdings.own:
            return targets
        return tuple(target for target in targets if target in holdings.interests and target != holdings.own)

    # --- what is offered to us ---

    def on_offer(self, session: Session, message: Offer, now: float) -> list[Effect]:
        """Ask for what we lack. Raises Flooded for far more than anybody may offer."""
        heeded = self._heeded(session.peer, len(message.refs), now)
        if message.target not in self.sharing.holdings.interests:
            return []  # unfollowed in the meantime
        effects: list[Effect] = []
        for ref in message.refs[:heeded]:
            told = Told(session.peer, ref, message.target, message.hops_left)
            asked = self.asked.get(ref.id)
            if asked is not None and asked.told.peer != session.peer and len(asked.others) < OTHERS_MAX:
                asked.others.append(told)
            elif asked is None and self._wants(ref, message.target):
                effects += self._ask(told, [], now)
        while len(self.asked) > OFFERS_ASKED_MAX:
            del self.asked[next(iter(self.asked))]
        return effects + self._set_timer(now)

    def _ask(self, told: Told, others: list[Told], now: float) -> list[Effect]:
        self.asked[told.ref.id] = Asked(told, now, others)
        return [Send(told.peer, Fetch(told.ref))]

    def _ask_next(self, entry: EntryId, now: float) -> list[Effect]:
        """Ask another link that offered it, if one is left."""
        others = self.asked.pop(entry).others
        while others:
            told = others.pop(0)
            if told.peer in self.sharing.sessions:
                return self._ask(told, others, now)
        return []

    def _heeded(self, peer: NodeKey, count: int, now: float) -> int:
        """What a new link may say at once is in advance, and all new links together get so much of that: else who
        links again and again, under any number of keys, would be heeded without end. Whom strangers left nothing
        of it gets in time what any link gets, and so much less in advance."""
        allowance = self.heard.setdefault(peer, Allowance(0.0, now, advance=OFFERS_HEEDED_MAX))
        room = allowance.refill(now, OFFERS_HEEDED_PER_S, OFFERS_HEEDED_MAX)
        allowance.advance = min(allowance.advance, OFFERS_HEEDED_MAX - room)
        left = self.advances.refill(now, OFFERS_ADVANCED_PER_S, OFFERS_ADVANCED_MAX)
        advance = min(max(0, count - room), allowance.advance, left)
        allowance.advance -= advance
        self.advances.room -= advance
        heeded = min(count, room + advance)
        allowance.room -= heeded - advance
        allowance.excess += count - heeded
        if allowance.excess > OFFERS_EXCESS_MAX:
            raise Flooded("more offered than anybody may")
        return heeded

    def _wants(self, ref: Ref, target: bytes) -> bool:
        holdings = self.sharing.holdings
        if ref.identity == holdings.own or ref.identity in holdings.blocked:
            return False
        if target == holdings.own and holdings.holds(ref.device, ref.seq) and not holdings.is_borrowed(ref.identity):
            return False  # the log of somebody whom we follow; what is held for others will go
        return ref.id not in self.waiting and ref.id not in self.seen

    def awaits(self, session: Session, ref: Ref) -> bool:
        """Whether this link owes us the answer for an entry that it offered. An answer to what somebody else says of
        where the entry is, is none."""
        asked = self.asked.get(ref.id)
        return asked is not None and (asked.told.peer, asked.told.ref) == (session.peer, ref)

    def on_found(self, session: Session, message: Found, now: float) -> list[Effect]:
        """Keep an entry that refers to its target. Raises BadMessage or what `check_found` raises."""
        told = self.asked[message.ref.id].told
        if message.identity is None:
            return self._ask_next(message.ref.id, now)
        if message.ref.identity in self.sharing.holdings.blocked:
            del self.asked[message.ref.id]
            return []
        located = check_found(message)
        assert located.entry.payload is not None
        if told.target not in targets_of(payload.decode(located.entry.payload), located.identity):
            raise BadMessage("an offer of what does not refer to its target")
        del self.asked[message.ref.id]
        self._see(message.ref.id)
        effects: list[Effect] = [StoreStray(located)]
        targets = self._targets(message)
        if targets:
            until = now + LIFETIME_S
            effects += self._keep(Waiting(message, targets, told.hops_left - 1, session.peer, until=until))
        return effects

    def _see(self, entry: EntryId) -> None:
        self.seen[entry] = None
        if len(self.seen) > OFFERS_SEEN_MAX:
            del self.seen[next(iter(self.seen))]

    # --- room ---

    def _keep(self, new: Waiting) -> list[Effect]:
        """Make room where there is none, and keep it. What others say takes no room from what the person said."""
        own = self.sharing.holdings.own
        effects = self._shrink(
            [entry for entry, old in self.waiting.items() if old.author == new.author],
            OFFERS_OF_OWN_MAX if new.author == own else OFFERS_PER_AUTHOR_MAX,
        )
        for target in new.targets if new.author != own else ():
            effects += self._thin({i: old for i, old in self._others() if target in old.targets}, OFFERS_PER_TARGET_MAX)
        if new.source is not None:
            effects += self._shrink([i for i, old in self._others() if old.source == new.source], OFFERS_PER_PEER_MAX)
        if len(self.waiting) >= OFFERS_MAX:
            effects += self._thin(dict(self._others()), 0)
        self.waiting[new.found.ref.id] = new
        return [*effects, KeepOffer(new.found.ref.id, new.found, new.hops_left)]

    def _others(self) -> Iterator[tuple[EntryId, Waiting]]:
        """What others have written."""
        own = self.sharing.holdings.own
        return ((entry, old) for entry, old in self.waiting.items() if old.author != own)

    def _thin(self, crowd: dict[EntryId, Waiting], most: int) -> list[Effect]:
        """Let one go of so many or more: the oldest that the link brought which brought most of these."""
        if len(crowd) < most:
            return []
        brought = Counter(old.source for old in crowd.values())
        return self._drop(next(i for i, old in crowd.items() if brought[old.source] == max(brought.values())))

    def _shrink(self, entries: list[EntryId], most: int) -> list[Effect]:
        """Let the oldest of these go until there is room for one more."""
        return [effect for entry in entries[: max(0, len(entries) - most + 1)] for effect in self._drop(entry)]

    def _drop(self, entry: EntryId) -> list[Effect]:
        return [] if self.waiting.pop(entry, None) is None else [KeepOffer(entry)]

    def on_blocked(self, identity: IdentityHash) -> list[Effect]:
        gone = [entry for entry, waiting in self.waiting.items() if waiting.author == identity]
        return [effect for entry in gone for effect in self._drop(entry)] + self.on_uninterested(identity)

    def on_uninterested(self, identity: IdentityHash) -> list[Effect]:
        """What others have said to somebody who is followed no more waits here no more."""
        effects: list[Effect] = []
        for entry, waiting in list(self.waiting.items()):
            if waiting.author != self.sharing.holdings.own and identity in waiting.targets:
                waiting.targets = tuple(target for target in waiting.targets if target != identity)
                effects += [] if waiting.targets else self._drop(entry)
        return effects

    # --- passing on ---

    def on_kept(self, entry: EntryId, now: float) -> list[Effect]:
        """It is on disk: others may hear of it."""
        waiting = self.waiting.get(entry)
        if waiting is None or waiting.kept:
            return []
        waiting.kept = True
        return self._pass_on(now, [waiting]) + self._set_timer(now)

    def on_due(self, now: float) -> list[Effect]:
        self.is_set = False
        late = [entry for entry, asked in self.asked.items() if asked.at + ASK_AGAIN_S <= now]
        effects = [effect for entry in late for effect in self._ask_next(entry, now)]
        old = [entry for entry, waiting in self.waiting.items() if waiting.until <= now]
        effects += [effect for entry in old for effect in self._drop(entry)]
        for waiting in self.waiting.values():
            for target, copies in waiting.copies.items():
                waiting.copies[target] = {peer: until for peer, until in copies.items() if now < until}
        return effects + self._pass_on(now) + self._set_timer(now)

    def _set_timer(self, now: float) -> list[Effect]:
        if self.is_set or not (self.waiting or self.asked):
            return []
        self.is_set = True
        return [SetTimer(OfferDue(), now + OFFER_EVERY_S)]

    def _pass_on(self, now: float, some: Collection[Waiting] | None = None) -> list[Effect]:
        """Offer these, or all, to whoever is linked."""
        effects: list[Effect] = []
        for _peer, session in sorted(self.sharing.sessions.items()):
            if session.ready and session.version >= OFFERS_VERSION:
                effects += self._offer_to(session, now, some)
        return effects

    def _offer_to(self, session: Session, now: float, some: Collection[Waiting] | None) -> list[Effect]:
        """What a link is to hear of, the newest first, as much as it may be told now."""
        news: dict[tuple[bytes, int], list[Ref]] = {}
        room: int | None = None
        cares: dict[bytes, bool] = {}
        for waiting in reversed(self.waiting.values()) if some is None else some:
            target = self._target_for(session, waiting, cares)
            if target is None:
                continue
            if room is None:
                room = self.said.setdefault(session.peer, Allowance(OFFERS_AT_ONCE, now)).refill(
                    now, OFFERS_PER_S, OFFERS_AT_ONCE
                )
            if room == 0:
                break
            room -= 1
            self.said[session.peer].room -= 1
            self._note_told(session, waiting, target, now)
            news.setdefault((target, max(0, waiting.hops_left)), []).append(waiting.found.ref)
        return [
            Send(session.peer, Offer(target, hops, tuple(refs[at : at + OFFERS_PER_MESSAGE][::-1])))
            for (target, hops), refs in news.items()
            for at in range(0, len(refs), OFFERS_PER_MESSAGE)
        ]

    def _note_told(self, session: Session, waiting: Waiting, target: bytes, now: float) -> None:
        identity, peer = IdentityHash(target), session.peer
        is_own_node = session.near.get(identity) == 0
        waiting.told[peer] = None if is_own_node else target
        if is_own_node or peer not in self.sharing.holdings.asked.get(identity, ()):
            waiting.heard.add(target)
        if not is_own_node:
            waiting.tried += 1
            waiting.copies.setdefault(target, {})[peer] = now + OFFER_EVERY_S

    def _target_for(self, session: Session, waiting: Waiting, cares: dict[bytes, bool]) -> bytes | None:
        """On account of which target a link is to hear of an entry; None if it is not. `cares`: what is known of it."""
        peer, own = session.peer, self.sharing.holdings.own
        if not waiting.kept or peer in waiting.told or peer == waiting.source or len(waiting.told) >= OFFERS_TOLD_MAX:
            return None
        for target in waiting.targets:
            identity = IdentityHash(target)
            is_own_node = session.near.get(identity) == 0
            if is_own_node and waiting.author == own and own in session.shared:
                waiting.heard.add(target)
                continue  # who follows us has it from our log
            if not is_own_node and (waiting.hops_left < 0 or waiting.tried >= OFFERS_TRIED_MAX):
                continue
            if not is_own_node and len(waiting.copies.get(target, ())) >= OFFER_COPIES:
                continue
            if target not in cares:
                cares[target] = identity in session.shared or session.memory.cares(identity)
            if cares[target]:
                return target
        return None

    def unheard(self) -> list[IdentityHash]:
        """To whom the person has said something and no link leads, nor to a replica of theirs; the last first."""
        own = self.sharing.holdings.own
        people: dict[IdentityHash, None] = {}
        for waiting in reversed(self.waiting.values()):
            if waiting.author == own and waiting.found.payload is not None:
                meant = people_of(payload.decode(waiting.found.payload), own)
                people.update(dict.fromkeys(person for person in meant if person not in waiting.heard))
        return list(people)

    def has(self, ref: Ref) -> bool:
        """Whether this entry waits here, is where the reference says, and is somebody else's: our own log gives ours,
        with what was said of it since."""
        waiting = self.waiting.get(ref.id)
        return waiting is not None and waiting.found.ref == ref and waiting.author != self.sharing.holdings.own

    def note_fetch(self, peer: NodeKey, ref: Ref) -> None:
        """Who asks for what it was told of will keep it, as far as we can know."""
        waiting = self.waiting.get(ref.id)
        target = None if waiting is None else waiting.told.get(peer)
        if waiting is not None and target is not None:
            waiting.copies.setdefault(target, {})[peer] = math.inf
            waiting.heard.add(target)

    def on_fetch(self, session: Session, message: Fetch) -> list[Effect]:
        """Give what we offered; the caller has seen that it waits here."""
        return [Send(session.peer, self.waiting[message.ref.id].found)]

    def on_link_down(self, peer: NodeKey, now: float) -> list[Effect]:
        self.heard.pop(peer, None)
        self.said.pop(peer, None)
        lost = [entry for entry, asked in self.asked.items() if asked.told.peer == peer]
        return [effect for entry in lost for effect in self._ask_next(entry, now)]
