"""The gossip driver: links, timers and the store, around the machine that decides.

Everything that reaches the machine passes `feed`, one event at a time; everything that it wants done starts in
`_perform`. Runs wait in one queue for one writer, which stores all that has gathered in one transaction; readers stop
while that queue is full, so a slow disk slows the peers and fills no memory.
"""

from __future__ import annotations

import heapq
import logging
from collections import deque
from collections.abc import Callable
from itertools import count

import trio

from p2pblog.config import QUEUE_BYTES_MAX
from p2pblog.core.address import Endpoint
from p2pblog.core.entry import Entry
from p2pblog.core.keys import EntryId, NodeKey
from p2pblog.core.logs import Batch, Located
from p2pblog.core.value import State, field
from p2pblog.errors import (
    Disconnected,
    QueueFull,
    RemoteProtocolError,
    StoreError,
    TimedOut,
    TooSlow,
    UserError,
)
from p2pblog.gossip.events import (
    Arriving,
    ClocksHeard,
    Close,
    Dial,
    DialFailed,
    Due,
    Effect,
    Event,
    FileNews,
    LinkDown,
    LinksLost,
    LinkUp,
    LoadFile,
    LoadOne,
    LoadRun,
    LookDue,
    OwnLogElsewhere,
    PongDue,
    Received,
    Remember,
    Send,
    SetTimer,
    Stored,
    StoreRun,
    StoreStray,
    Taking,
    Timer,
)
from p2pblog.gossip.keeper import Keeper, Writing, weight
from p2pblog.gossip.liveness import SUSPECT_AFTER_S
from p2pblog.gossip.loads import LOAD_BELOW_BYTES, Loads
from p2pblog.gossip.machine import Gossip
from p2pblog.gossip.membership import DIAL_TIMEOUT_S, has_room, outranks
from p2pblog.gossip.memory import Resume
from p2pblog.gossip.messages import Bye, Decoder, Encoder, Found
from p2pblog.gossip.passing import TELL_EVERY_S, Passing, is_passing
from p2pblog.gossip.room_events import HeldBack, LiftFloors, PruneLog
from p2pblog.gossip.sharing import Session
from p2pblog.signals import Signal
from p2pblog.store import Store
from p2pblog.store.blobs import Blobs, MemoryBlobs
from p2pblog.transport import Link, Transport

log = logging.getLogger("p2pblog.gossip")

SEND_BYTES = 64 * 1024
"""What is sent in one go, so that many small messages share packets."""
STORE_WAITING_BYTES_MAX = 1024 * 1024
"""Bodies and payloads that may wait for the writer before readers pause: three runs of common notices, so that the next
is verified while one is written; more would only be read before the newest of somebody else are stored."""
STORE_RETRY_S = 5.0
"""How soon a full disk is tried again."""
LAST_WORDS_S = 1.0
"""How long a link that we end in peace may take to send what is queued."""


class Lane(State):
    """One link being driven: what waits to be sent, what is being read for it, and how it ends."""

    link: Link
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    encoder: Encoder = field(default_factory=Encoder)
    decoder: Decoder = field(default_factory=Decoder)
    outgoing: deque[bytes] = field(default_factory=deque)
    queued_bytes: int = 0
    loads: Loads = field(default_factory=Loads)
    to_send: Signal = field(default_factory=Signal)
    to_load: Signal = field(default_factory=Signal)
    closing: bool = False
    error: RemoteProtocolError | None = None
    done: trio.Event = field(default_factory=trio.Event)
    since_ms: int = 0
    since: float = 0.0
    heard_bytes: int = 0
    """How much had come when the machine last heard of anything from this peer."""
    is_sending: bool = False
    """Whether the link has not taken all that it was given."""
    was_behind: bool = False
    taken_bytes: int = 0
    """When it was looked last, whether the other end had not, and how much it had."""


class Driver:
    """Runs one machine over real links, a real store and a real clock, or their twins."""

    def __init__(
        self,
        machine: Gossip,
        transport: Transport,
        store: Store,
        wall_ms: Callable[[], int],
        *,
        on_stored: Callable[[Batch, bool], None] = lambda batch, live: None,
        on_effect: Callable[[ClocksHeard | LinksLost | OwnLogElsewhere], None] = lambda effect: None,
        on_file: Callable[[FileNews], None] = lambda news: None,
        blobs: Blobs | None = None,
    ) -> None:
        self.machine = machine
        self.lanes: dict[NodeKey, Lane] = {}
        self.links_changed = Signal()
        self.answers_changed = Signal()
        """What `is_awaited` says may have changed."""
        self._transport = transport
        self.blobs: Blobs = MemoryBlobs() if blobs is None else blobs
        self._keeper = Keeper(machine.holdings, store, wall_ms, self.blobs)
        self._wall_ms = wall_ms
        self._on_stored = on_stored
        self._on_effect = on_effect
        self._on_file = on_file
        self._timers: list[tuple[float, int, Timer, float]] = []  # when each is due, and when it was set
        self._timer_set = Signal()
        self._tie = count()
        self._writings: deque[Writing] = deque()
        self._weights: deque[int] = deque()  # of each of them
        self._waiting_bytes = 0
        self.stuck_by: StoreError | None = None  # why the last write failed
        self._has_cut_failed = False  # and it was to make room
        self._write_signal = Signal()
        self._room_signal = Signal()  # so little waits for the store again that links are read
        self._nursery: trio.Nursery | None = None
        self._passing = Passing()
        self._asked: dict[int, tuple[trio.Event, list[Event]]] = {}
        """Who waits for what, by the object's own number, to be written."""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Accept, dial, keep time and store until cancelled; then remember what peers were told."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self._keep_time)
                nursery.start_soon(self._write)
                nursery.start_soon(self._transport.serve, self._drive)
                for effect in self.machine.start(trio.current_time()):
                    self._perform(effect)
                task_status.started()
        finally:
            self._nursery = None
            with trio.CancelScope(shield=True), trio.move_on_after(LAST_WORDS_S):
                await self._write_last()

    async def _write_last(self) -> None:
        try:
            while self._writings:
                await self._write_some()
        except StoreError as error:
            log.error("%d things could not be stored at the end: %s", len(self._writings), error)

    def feed(self, event: Event) -> None:
        """The one door: decide, then start what was decided."""
        for effect in self.machine.handle(event, trio.current_time()):
            self._perform(effect)

    def take_run(self, batch: Batch) -> None:
        """Store a verified run that came by another way than a link; what contradicts ours is dropped, and so is all
        while the disk takes nothing and much waits: memory shall not fill instead, and it is looked for again."""
        if not self._is_full:
            self._perform(StoreRun(None, batch, live=False))

    async def ours_around(self, batch: Batch) -> tuple[Entry, ...]:
        """See `Keeper.ours_around`."""
        return await self._keeper.ours_around(batch)

    def take_stray(self, located: Located) -> None:
        """Store one entry, checked, that came by another way than a link; see take_run."""
        if self._is_full:
            return
        for effect in self.machine.strays.take(located):
            self._perform(effect)
        self.answers_changed.set()

    @property
    def _is_behind(self) -> bool:
        """Whether so much waits for the store that nothing is read from links, as now and then in any first sync."""
        return self._waiting_bytes > STORE_WAITING_BYTES_MAX

    @property
    def _is_full(self) -> bool:
        """Whether what comes now could only wait in memory for a disk that takes nothing."""
        return self.stuck_by is not None and self._is_behind

    async def carry_out(self, effect: PruneLog | LiftFloors) -> list[Event]:
        """Have something written in its turn, or first where the disk takes nothing more, and wait until it is: gives
        what followed from it. Cancelled, it is written all the same."""
        asked = trio.Event()
        self._asked[id(effect)] = asked, []
        self._perform(effect)
        try:
            await asked.wait()
            return self._asked[id(effect)][1]
        finally:
            del self._asked[id(effect)]

    def is_awaited(self, entry: EntryId) -> bool:
        """Whether a peer owes us an entry that was asked for, or it waits to be stored."""
        waiting = (writing.located.entry.id for writing in self._writings if isinstance(writing, StoreStray))
        return self.machine.strays.awaits(entry) or entry in waiting

    def is_asked(self, entry: EntryId) -> bool:
        """Whether a peer owes us an answer about an entry, be it here or not."""
        return entry in self.machine.strays.asked

    @property
    def is_storing_strays(self) -> bool:
        return any(isinstance(writing, StoreStray) for writing in self._writings)

    async def connect(self, endpoint: Endpoint) -> Session:
        """Dial now, for a person who waits. Raises UserError or TimedOut; gives the session, an older one included."""
        with trio.move_on_after(DIAL_TIMEOUT_S):
            try:
                link = await self._transport.dial(endpoint)
            except TooSlow as error:
                raise TimedOut(f"nobody answered at {endpoint} in time") from error
            except (RemoteProtocolError, OSError) as error:
                raise UserError(f"no p2pblog node answered at {endpoint}") from error
            if link.peer == self.machine.sharing.node:
                await link.aclose()
                raise UserError(f"{endpoint} is this node itself")
            if self._nursery is None:
                await link.aclose()
                raise UserError("the node is stopping")
            self._nursery.start_soon(self._drive, link)
            while True:
                session = self.machine.sharing.sessions.get(link.peer)
                if session is not None:
                    return session
                await self.links_changed.wait()
        raise TimedOut(f"nobody answered at {endpoint} in time")

    def hang_up(self, peer: NodeKey) -> None:
        """End a link in peace."""
        self._perform(Send(peer, Bye()))
        self._perform(Close(peer))

    # --- effects ---

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Send(peer, message):
                lane = self.lanes.get(peer)
                if lane is not None and not lane.closing:
                    self._enqueue(lane, lane.encoder.encode(message))
            case Resume(peer, names):
                self.lanes[peer].encoder.resume(names)
                self.lanes[peer].decoder.resume(names)
            case Close(peer, error):
                lane = self.lanes.get(peer)
                if lane is not None:
                    self._close(lane, error)
            case SetTimer(timer, at):
                heapq.heappush(self._timers, (at, next(self._tie), timer, trio.current_time()))
                if self._timers[0][0] == at:
                    self._timer_set.set()
            case LoadRun(peer) | LoadOne(peer) | LoadFile(peer):
                lane = self.lanes.get(peer)
                if lane is not None:
                    lane.loads.add(effect)
                    lane.to_load.set()
            case Dial(endpoint, timeout_s):
                if self._nursery is not None:
                    self._nursery.start_soon(self._dial, endpoint, timeout_s)
            case OwnLogElsewhere() | ClocksHeard() | LinksLost():
                self._on_effect(effect)
            case FileNews():
                self._on_file(effect)
            case _:
                self._writings.append(effect)
                self._weights.append(weight(effect))
                self._waiting_bytes += self._weights[-1]
                self._write_signal.set()

    def _enqueue(self, lane: Lane, data: bytes) -> None:
        if lane.queued_bytes + len(data) > QUEUE_BYTES_MAX:
            self._close(lane, QueueFull("more waits for this peer than it reads"))
            return
        lane.outgoing.append(data)
        lane.queued_bytes += len(data)
        lane.to_send.set()

    def _close(self, lane: Lane, error: RemoteProtocolError | None) -> None:
        lane.closing = True
        if error is not None:
            lane.error = lane.error or error
            lane.scope.cancel()
        else:
            lane.scope.deadline = trio.current_time() + LAST_WORDS_S
        lane.to_send.set()

    # --- links ---

    async def _dial(self, endpoint: Endpoint, timeout_s: float) -> None:
        try:
            with trio.fail_after(timeout_s):
                link = await self._transport.dial(endpoint)
        except (RemoteProtocolError, OSError, trio.TooSlowError) as error:
            log.debug("dialing %s failed: %s", endpoint, error)
            self.feed(DialFailed(endpoint))
            return
        await self._drive(link)

    async def _drive(self, link: Link) -> None:
        """One link from its handshake to its end."""
        try:
            if await self._admit(link):
                await self._run_lane(
                    Lane(link, since_ms=self._wall_ms(), since=trio.current_time(), heard_bytes=link.bytes_in)
                )
        finally:
            if link.dialed:  # the transport closes what it accepted, once the other end has had time to read our Bye
                with trio.CancelScope(shield=True), trio.move_on_after(LAST_WORDS_S):
                    await link.aclose()

    async def _admit(self, link: Link) -> bool:
        """Whether this link is to be the one with its node: never ourselves, never two."""
        own = self.machine.sharing.node
        if link.peer == own:
            if link.dialed:
                self.feed(DialFailed(link.endpoint, own=True))
            return False
        standing = self.lanes.get(link.peer)
        if standing is not None and not self._outranks(link, standing):
            if link.dialed:
                self.feed(DialFailed(link.endpoint, linked=link.peer))
            return False
        if standing is not None:
            standing.closing = True
            standing.scope.cancel()
            await standing.done.wait()
        by_others = sum(not lane.link.dialed for lane in self.lanes.values())
        if link.peer not in self.lanes and has_room(link.dialed, len(self.lanes), by_others):
            return True
        if link.dialed:
            self.feed(DialFailed(link.endpoint, linked=link.peer))
        return False

    def _outranks(self, link: Link, standing: Lane) -> bool:
        """Whether a second link with a node takes the place of the first."""
        own, stood_s = self.machine.sharing.node, trio.current_time() - standing.since
        return outranks(own, link.peer, link.dialed, standing.link.dialed, stood_s)

    async def _run_lane(self, lane: Lane) -> None:
        link = lane.link
        self.lanes[link.peer] = lane
        try:
            memory = await self._recall(link.peer)
            self.feed(LinkUp(link.peer, link.endpoint, link.dialed, link.binding, memory))
            self.links_changed.set()
            with lane.scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._send_lane, lane)
                    nursery.start_soon(self._load_lane, lane)
                    await self._read_lane(lane)
        finally:
            del self.lanes[link.peer]
            if lane.error is not None:
                self._tell_end(lane, lane.error)
            self.feed(LinkDown(link.peer, lane.error))
            self.answers_changed.set()
            lane.done.set()
            self.links_changed.set()

    def _tell_end(self, lane: Lane, error: RemoteProtocolError) -> None:
        """One by one at INFO, but for those of strangers: how often they come nothing limits."""
        link = lane.link
        passing = is_passing(link.dialed, trio.current_time() - lane.since)
        level = logging.DEBUG if passing else logging.INFO
        log.log(level, "link to %s at %s ended: %s: %s", link.peer.hex()[:10], link.endpoint, error.name, error)
        if passing and self._passing.add(error.name) and self._nursery is not None:
            self._nursery.start_soon(self._tell_of_strangers)

    async def _tell_of_strangers(self) -> None:
        try:
            await trio.sleep(TELL_EVERY_S)
        finally:
            log.info("%s", self._passing.tell())

    async def _recall(self, peer: NodeKey) -> bytes | None:
        for writing in reversed(self._writings):
            if isinstance(writing, Remember) and writing.peer == peer:
                return writing.memory  # it waits for the disk still
        try:
            return await self._keeper.recall(peer)
        except StoreError as error:
            log.error("what was told to a peer can't be read, so all is told again: %s", error)
            return None

    async def _read_lane(self, lane: Lane) -> None:
        try:
            while True:
                while self._is_behind:
                    await self._room_signal.wait()
                message = lane.decoder.decode(await lane.link.receive())
                lane.heard_bytes = lane.link.bytes_in
                self.feed(Received(lane.link.peer, message))
                if isinstance(message, Found):
                    self.answers_changed.set()
        except RemoteProtocolError as error:
            if not isinstance(error, Disconnected):
                lane.error = lane.error or error
            lane.scope.cancel()

    async def _send_lane(self, lane: Lane) -> None:
        try:
            while True:
                while not lane.outgoing:
                    if lane.closing:
                        lane.scope.cancel()
                        return
                    await lane.to_send.wait()
                messages = _some(lane.outgoing)
                lane.is_sending = True
                await lane.link.send_many(messages)
                lane.is_sending = False
                for data in messages:
                    lane.outgoing.popleft()
                    lane.queued_bytes -= len(data)
                if lane.loads:
                    lane.to_load.set()
        except RemoteProtocolError as error:
            if not isinstance(error, Disconnected):
                lane.error = lane.error or error
            lane.scope.cancel()

    async def _load_lane(self, lane: Lane) -> None:
        """Read what this peer asked for, one thing at a time, while it keeps up with reading."""
        while True:
            while not lane.loads or lane.queued_bytes > LOAD_BELOW_BYTES:
                await lane.to_load.wait()
            request = lane.loads.take()
            try:
                self.feed(await self._keeper.load(request))
            except StoreError as error:
                log.error("reading for a peer failed: %s", error)
                self._close(lane, Disconnected("we can't read our own store"))

    # --- time ---

    async def _keep_time(self) -> None:
        while True:
            if self._is_behind:
                await self._stand_still()
            now = trio.current_time()
            while self._timers and self._timers[0][0] <= now:
                timer = heapq.heappop(self._timers)[2]
                if isinstance(timer, LookDue | PongDue):
                    self._look_who_talks()
                self.feed(Due(timer))
            wake_at = self._timers[0][0] if self._timers else float("inf")
            with trio.move_on_at(wake_at):
                await self._timer_set.wait()

    def _look_who_talks(self) -> None:
        """Before silence is judged: a run of 2 MiB is under way for 17 s on 1 Mbit/s, and nothing passes it, in
        either direction."""
        for peer, lane in list(self.lanes.items()):
            if (lane.is_sending or lane.was_behind) and _has_taken_more(lane):
                self.feed(Taking(peer))
            if lane.link.bytes_in > lane.heard_bytes:
                lane.heard_bytes = lane.link.bytes_in
                self.feed(Arriving(peer))

    async def _stand_still(self) -> None:
        """While our own store keeps us from reading, nobody is judged for what we do not hear: all that is due is put
        off for as long, however many writes it takes; what was set meanwhile, for as long as it has stood still."""
        since = trio.current_time()
        await self._room_signal.wait()
        now = trio.current_time()
        if now - since > SUSPECT_AFTER_S:
            self._timers = [(at + now - max(since, begun), n, timer, begun) for at, n, timer, begun in self._timers]
            heapq.heapify(self._timers)
            self.feed(HeldBack())

    # --- the store ---

    async def _write(self) -> None:
        while True:
            while not self._writings:
                await self._write_signal.wait()
            try:
                makes_room = await self._write_some()
                if self.stuck_by is not None and not (makes_room and self._writings):  # what waits may still not fit
                    self.stuck_by = None
                    log.info("storing works again")
                self._has_cut_failed = False
            except StoreError as error:
                if str(error) != str(self.stuck_by):
                    log.error("storing failed, trying again each %d s: %s", STORE_RETRY_S, error)
                self.stuck_by, self._has_cut_failed = error, _makes_room(self._writings[0])
                await self._wait_for_room()

    async def _wait_for_room(self) -> None:
        """Before the next try; not for what makes room, unless it was just that which failed."""
        failed = self._writings[0]
        with trio.move_on_after(STORE_RETRY_S):
            while _makes_room(failed) or not any(map(_makes_room, self._writings)):
                await self._write_signal.wait()

    async def _write_some(self) -> bool:
        """Store the next thing, or all the runs that wait in a row, and say so; what fails stays first in line, but
        behind what makes room for it. That takes room in the journal itself: where there is none for it, what waits
        may still fit, and is tried next. Gives whether this made room."""
        if self.stuck_by is not None:
            self._put_first(makes_room=not self._has_cut_failed)
        done, outcome = await self._keeper.write(self._writings)
        first = self._writings[0]
        self._done(done)
        if isinstance(first, StoreStray):
            self.answers_changed.set()
        for item in outcome:
            self.feed(item)
            if isinstance(item, Stored):
                self._on_stored(item.batch, item.live)
        if id(first) in self._asked:
            asked, came = self._asked[id(first)]
            came += outcome
            asked.set()
        return _makes_room(first)

    def _put_first(self, *, makes_room: bool) -> None:
        """What makes room, or all else; in each the order stays."""
        if not self._writings or _makes_room(self._writings[0]) == makes_room:
            return
        pairs = list(zip(self._writings, self._weights, strict=True))
        pairs.sort(key=lambda pair: _makes_room(pair[0]) != makes_room)
        self._writings = deque(writing for writing, _weight in pairs)
        self._weights = deque(weight for _writing, weight in pairs)

    def _done(self, number: int) -> None:
        for _ in range(number):
            self._writings.popleft()
            self._waiting_bytes -= self._weights.popleft()
        if not self._is_behind:
            self._room_signal.set()


def _makes_room(writing: Writing) -> bool:
    """Or is what a person waits for, and takes up none."""
    return isinstance(writing, PruneLog | LiftFloors)


def _has_taken_more(lane: Lane) -> bool:
    """Whether the other end has taken in anything of what waits for it since it was looked last. It is behind until it
    has all, for our ping may be the last of it."""
    under_way = lane.link.bytes_under_way
    before, lane.taken_bytes = lane.taken_bytes, lane.link.bytes_out - under_way
    lane.was_behind = lane.is_sending or under_way > 0
    return lane.taken_bytes > before


def _some(outgoing: deque[bytes]) -> list[bytes]:
    """The first message, and what follows while it all fits one write."""
    taken: list[bytes] = []
    size = 0
    for data in outgoing:
        size += len(data)
        if taken and size > SEND_BYTES:
            break
        taken.append(data)
    return taken
