"""The composition root: the only file that knows every concrete part, and how they start and stop together."""

from __future__ import annotations

import errno
import json as json_module
import logging
import random
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial

import trio

from p2pblog import __version__, descriptors, installation, keyring, logbook, names
from p2pblog.author import Author
from p2pblog.bridge import Bridge, open_bridge
from p2pblog.cases.desk import Place
from p2pblog.cases.quiet import Quiet
from p2pblog.config import NEWS_GATHERED_EVERY_S
from p2pblog.control.server import serve_control
from p2pblog.control.words import link_limit
from p2pblog.core.address import Endpoint
from p2pblog.core.keys import DeviceKey, KeyPair, NodeKey
from p2pblog.core.logs import Batch
from p2pblog.core.value import State, replace
from p2pblog.dht import Directory
from p2pblog.dht.adapter import Dht, open_dht
from p2pblog.dht.records import Head
from p2pblog.errors import Malformed, StoreError, UserError
from p2pblog.gossip.driver import Driver
from p2pblog.gossip.events import Candidates, ClocksHeard, LinksLost, OwnLogElsewhere
from p2pblog.gossip.keeper import holdings_of, kept_offers
from p2pblog.gossip.machine import Gossip
from p2pblog.home import Home
from p2pblog.keyring import Keyring
from p2pblog.node import Node
from p2pblog.pen import DHT, PEERS
from p2pblog.rendezvous.driver import Meeting
from p2pblog.rendezvous.machine import Rendezvous
from p2pblog.room import Room
from p2pblog.store import OWN_DEVICE, OWN_IDENTITY, Contents, Store
from p2pblog.store.blobs import Blobs, DiskBlobs
from p2pblog.store.reserve import give_for_a_start
from p2pblog.store.sqlite import open_sqlite
from p2pblog.terminal import Page, Piece, Style, hush, line, write
from p2pblog.transport import Transport
from p2pblog.transport.tcp import TcpTransport, open_tcp

log = logging.getLogger("p2pblog.daemon")

PORT_SETTING = "port"
HOST_SETTING = "host"
DHT_SETTING = "dht"
DEFAULT_LISTEN = Endpoint("0.0.0.0", 0)  # noqa: S104 - a node is there to be reached
LOOPBACK = Endpoint("127.0.0.1", 0)
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PORT_TRIES = 20
"""Free ports tried until one is free for TCP and UDP alike."""
REACHABLE_EVERY_S = 10.0
"""How often we ask ourselves how others see us."""
BOOTSTRAP_PATIENCE_S = 15.0
"""After what time of silence it is told that none of the nodes to begin with answers: a dial may take ten seconds."""
RESOLVE_AGAIN_S = 30.0
"""How soon a name is looked up again: a laptop that wakes has no resolver for some seconds, and the names of machines
that move hold for a minute."""
TIDY_EVERY_S = 24 * 3600.0
RETRACTED_KEPT_MS = 7 * 24 * 3600 * 1000
"""How long deleted bytes are kept: a week, in case the deleting device turns out to be retired below its delete."""
STATE_EVERY_S = 300.0
"""How often the DHT's contacts are saved, beside at the end."""


INTERPRETER_TURN_S = 0.0002
"""How long a thread that computes keeps the interpreter from one that waits for it. The store's threads read a page in
some twenty steps and give the interpreter away at each: with Python's own 5 ms a turn, a busy gossip thread made that a
tenth of a second. In a first sync, where the writer took sixty steps for a thousand notices (now half as many), 0.2 ms
were a twentieth faster by the clock than 0.5 and used as much processor; 0.05 used more."""


def run(home: Home, listen: str | None, bootstrap: list[str], json: bool, command: str) -> None:
    """Run the node of a home in the foreground until Ctrl-C, SIGTERM, or its terminal closes.

    `command` is how the person calls us, for the hints that it prints. Raises UserError.
    """
    keyring.load(home)  # who has none makes nothing here, and is told of it first
    for contact in bootstrap:
        names.check_contact(contact)
    if listen is not None:
        names.check(listen)
    logbook.begin()
    descriptors.make_room()
    sys.setswitchinterval(INTERPRETER_TURN_S)
    give_for_a_start(home.database)
    with installation.sole_daemon(home):
        own = keyring.load(home)  # the last daemon may have opened a new device while it was ending
        trio.run(_main, home, own, listen, bootstrap, json, command)


async def _main(home: Home, own: Keyring, listen: str | None, bootstrap: list[str], json: bool, command: str) -> None:
    running = trio.CancelScope()
    with _stopped_by_signals(running), running:
        await _serve(home, own, listen, bootstrap, json, command)


@contextmanager
def _stopped_by_signals(running: trio.CancelScope) -> Iterator[None]:
    """Cancel on Ctrl-C, SIGTERM, and SIGHUP where `nohup` does not keep that away. A second one does not cut short how
    the node stops, nor, once that is done, how the process ends: they are ignored from then on. trio's own receiver
    would put back what was there before it."""
    token = trio.lowlevel.current_trio_token()
    stops = [each for each in STOPS if each != signal.SIGHUP or signal.getsignal(each) != signal.SIG_IGN]

    def stop(number: int) -> None:
        log.info("stopping on %s", signal.Signals(number).name)
        running.cancel()

    for each in stops:
        signal.signal(each, lambda number, _frame: token.run_sync_soon(stop, number, idempotent=True))
    try:
        yield
    finally:
        for each in stops:
            signal.signal(each, signal.SIG_IGN)


async def _serve(home: Home, own: Keyring, listen: str | None, bootstrap: list[str], json: bool, command: str) -> None:
    wanted = None if listen is None else await names.resolve_here(listen)
    async with open_node(home, own, wanted, bootstrap) as node, trio.open_nursery() as nursery:
        await nursery.start(serve_control, home, node)
        await _greet(node, json, command)


async def _greet(node: Node, json: bool, command: str) -> None:
    status = await node.status()
    if json:
        _say([line(Piece(json_module.dumps(status), Style.BOLD))])  # never broken
        return
    uri = (await node.invite())["uri"]
    limit = link_limit(uri)
    typed = (f'{command} post "Hello, world"', f"{command} timeline", f"{command} follow ADDRESS")
    _say(
        [
            line(f"p2pblog {__version__} is running and listens on {status['listen']} (TCP and UDP)."),
            line(f"Your address: {status['address']}"),
            line("In another terminal, from this folder, type for example:"),
            *(line("  ", Piece(each, Style.BOLD)) for each in typed),
            line(f"To be followed, give somebody this link: {uri}"),
            *([] if limit is None else [line(limit)]),
            line("Ctrl-C stops the node."),
        ]
    )


def _say(page: Page) -> None:
    """Who read enough of it, or can't take it, leaves a node that runs."""
    if sys.stdout is None:  # it was closed before we began
        return
    try:
        write(sys.stdout, page, colour=False)
    except OSError:
        hush(sys.stdout)


async def _close(store: Store) -> None:
    with trio.CancelScope(shield=True):
        await store.aclose()


# --- parts ------------------------------------------------------------------------------------------------------------


class Sockets(State):
    """The two sockets of a node, on one port number, and whether others get through to them."""

    transport: TcpTransport
    dht: Dht
    place: Place
    is_reachable: bool = True


@asynccontextmanager
async def open_node(home: Home, own: Keyring, listen: Endpoint | None, bootstrap: Sequence[str]) -> AsyncIterator[Node]:
    """A node at work on its home, for the length of the block. Without `listen` it listens where it last was told to.
    Raises UserError or StoreError."""
    async with AsyncExitStack() as stack:
        bridge = await stack.enter_async_context(open_bridge())
        store = await open_sqlite(bridge, home.database)
        stack.push_async_callback(_close, store)
        loaded = await store.load()
        own = settle(home, own, loaded)
        sockets = await _open_sockets(stack, bridge, own.node, listen, loaded)
        whose = {OWN_IDENTITY: own.inception.identity, OWN_DEVICE: own.device.public}
        kept = {**whose, **_to_keep(listen, sockets.place.listen.port, loaded)}
        for name, value in kept.items():
            if loaded.settings.get(name) != value:
                await store.put_setting(name, value)
        parts = Parts(
            own,
            store,
            loaded,
            sockets.transport,
            sockets.dht,
            sockets.place,
            announced_at=sockets.place.listen,
            save=partial(keyring.save, home),
            wall_ms=_wall_ms,
            rng=random.SystemRandom(),
            blobs=DiskBlobs(home.media),
        )
        async with parts.at_work(bootstrap) as node, trio.open_nursery() as nursery:
            installation.mark_written(home)
            nursery.start_soon(_keep_dht_state, store, sockets.dht)
            nursery.start_soon(_keep_tidy, store, node)
            nursery.start_soon(_gather_news, node)
            nursery.start_soon(_keep_reachable, sockets, node, parts.meeting)
            yield node
            nursery.cancel_scope.cancel()


async def _keep_dht_state(store: Store, dht: Dht) -> None:
    """Save the DHT's contacts now and then, and at the end."""
    try:
        while True:
            await trio.sleep(STATE_EVERY_S)
            await _save_dht_state(store, dht)
    finally:
        with trio.CancelScope(shield=True), trio.move_on_after(1.0):
            await _save_dht_state(store, dht)


async def _save_dht_state(store: Store, dht: Dht) -> None:
    try:
        await store.put_setting(DHT_SETTING, await dht.state())
    except StoreError as error:
        log.error("the DHT's contacts were not saved: %s", error)


async def _keep_tidy(store: Store, node: Node) -> None:
    """Drop the bytes of what was deleted a week ago, and files without a notice since then, once a day."""
    while True:
        try:
            await store.drop_retracted(_wall_ms() - RETRACTED_KEPT_MS)
        except StoreError as error:
            log.error("deleted notices were not dropped: %s", error)
        try:
            await node.drop_unreferred(RETRACTED_KEPT_MS)
        except StoreError as error:
            log.error("files without a notice were not dropped: %s", error)
        await trio.sleep(TIDY_EVERY_S)


async def _gather_news(node: Node) -> None:
    """Polls that close and direct messages that come become news about when they do, not when somebody asks."""
    while True:
        try:
            await node.gather_news()
        except StoreError as error:
            log.error("it was not looked which polls have closed and which direct messages came: %s", error)
        await trio.sleep(NEWS_GATHERED_EVERY_S)


def settle(home: Home, own: Keyring, loaded: Contents) -> Keyring:
    """The keys to go on with. A home that was copied or put back is another installation and another device; one that
    has lost its database, or some of its log in it, can't know what it signed. What is decided is on disk before
    anything is signed."""
    in_place = installation.is_in_place(home)
    has_written = in_place and installation.has_written(home)
    is_lost = DeviceKey(own.device.public) in loaded.damaged or (has_written and not _holds_log(own, loaded))
    if not in_place or is_lost:
        log.warning("this home was copied, put back, or lost its database or its log: it goes on as a new device")
        own = replace(own.on_device(keyring.new_key()), node=keyring.new_key())
        keyring.save(home, own)
    installation.mark(home, written=has_written and not is_lost)
    return own


def _holds_log(own: Keyring, loaded: Contents) -> bool:
    """Whether the log of our device is there, or was never begun: a device is stated before its first entry. A database
    that knows of an earlier one was put back alone: what ours began since then is not in it."""
    identity = next((each for each in loaded.identities if each.hash == own.inception.identity), None)
    device = DeviceKey(own.device.public)
    is_begun = identity is None or device in identity.devices
    if not is_begun:
        return loaded.settings.get(OWN_DEVICE, device) == device
    return any(state.device == device and state.spans for state in loaded.logs)


async def _open_sockets(
    stack: AsyncExitStack, bridge: Bridge, node: KeyPair, listen: Endpoint | None, loaded: Contents
) -> Sockets:
    """Where we are told to listen, else on the host of the last time: who confined a node stays confined. One that is
    not this machine's any more, as in another network, does not keep the node from starting. Raises UserError."""
    kept = DEFAULT_LISTEN if listen is not None else _kept_host(loaded)
    try:
        return await _bind(stack, bridge, node, listen or kept, loaded)
    except UserError as error:
        if kept == DEFAULT_LISTEN:
            raise
        instead = DEFAULT_LISTEN if kept.reach else LOOPBACK
        log.warning("%s, where it was told to; it listens on %s for this time", error, instead.host)
        return await _bind(stack, bridge, node, instead, loaded)


def _kept_host(loaded: Contents) -> Endpoint:
    """Where the node was last told to listen, at port 0."""
    try:
        return Endpoint.of(loaded.settings[HOST_SETTING].decode(), 0)
    except (KeyError, UnicodeDecodeError, Malformed):
        return DEFAULT_LISTEN


def _kept_port(loaded: Contents) -> int:
    """The port of the last `--listen`, or the first one taken; 0: none yet."""
    return int(loaded.settings.get(PORT_SETTING, b"0"))


def _to_keep(listen: Endpoint | None, port: int, loaded: Contents) -> dict[str, bytes]:
    """What of where the node listens holds for later starts: what it was told, or the first port that it took. A port
    that stands in for a busy one is for this time: others know the kept one."""
    if listen is not None:
        return {PORT_SETTING: str(port).encode(), HOST_SETTING: listen.host.encode()}
    kept = _kept_port(loaded)
    if not kept:
        return {PORT_SETTING: str(port).encode()}
    if port != kept:
        log.warning("port %d, on which it was to listen, is not free; it listens on port %d for this time", kept, port)
    return {}


async def _bind(stack: AsyncExitStack, bridge: Bridge, node: KeyPair, listen: Endpoint, loaded: Contents) -> Sockets:
    """TCP and UDP on one port number. Port 0 takes the kept one, else a free one."""
    kept = _kept_port(loaded)
    ports = [listen.port] if listen.port else ([kept] if kept else []) + [0] * PORT_TRIES
    problem: OSError | None = None
    for port in ports:
        async with AsyncExitStack() as attempt:
            try:
                transport = await attempt.enter_async_context(open_tcp(node, Endpoint(listen.host, port)))
                place = _place(transport.endpoint)
                dht = await attempt.enter_async_context(
                    open_dht(
                        bridge,
                        node,
                        transport.endpoint,
                        clock=_wall_ms,
                        rng=random.SystemRandom(),
                        test_network=not place.listen.is_public,
                        state=loaded.settings.get(DHT_SETTING),
                    )
                )
            except OSError as error:
                problem = error
                continue
            stack.push_async_exit(attempt.pop_all())
            return Sockets(transport, dht, place)
    reason = problem.strerror if problem is not None else "no port"
    taken = problem is not None and problem.errno == errno.EADDRINUSE
    hint = f"p2pblog run --listen {replace(listen, port=0)}" if taken else None
    raise UserError(f"cannot listen on {listen}: {reason}", hint) from problem


async def _keep_reachable(sockets: Sockets, node: Node, meeting: Meeting) -> None:
    """Be nobody's routing entry, and announce nothing, while others see us at another public address than our own:
    then a router stands between, and only what we ask for comes through. Only those count who see us by the version of
    IP that we announce."""
    while True:
        has_moved = await _move(sockets, node)
        seen = await sockets.dht.seen_as(sockets.place.listen.family)
        reachable = seen is None or not seen.is_public or seen == sockets.place.listen
        if reachable != sockets.is_reachable:
            log.info("others see this node as %s: %s", seen, "reachable" if reachable else "behind a router")
        if has_moved or reachable != sockets.is_reachable:
            sockets.is_reachable = reachable
            meeting.on_reachable(sockets.place.listen if reachable else None)
            await sockets.dht.set_client(not reachable)
        await trio.sleep(REACHABLE_EVERY_S)


async def _move(sockets: Sockets, node: Node) -> bool:
    """Stand where this machine is now; gives whether that is elsewhere. A machine without a network stays where it was:
    most often it comes back there."""
    place = _place(sockets.transport.endpoint)
    if place == sockets.place or not place.reachable:
        return False
    log.info("this node is at %s now, no longer at %s", place.listen, sockets.place.listen)
    sockets.place = place
    node.move(place)
    await sockets.dht.move(test_network=not place.listen.is_public)
    return True


class Parts:
    """A node's parts, joined: over real sockets and disks, or over their twins under a virtual clock."""

    def __init__(
        self,
        own: Keyring,
        store: Store,
        loaded: Contents,
        transport: Transport,
        directory: Directory,
        place: Place,
        *,
        announced_at: Endpoint | None,
        save: Callable[[Keyring], None],
        wall_ms: Callable[[], int],
        rng: random.Random,
        blobs: Blobs | None = None,
    ) -> None:
        """Without `blobs` files are kept in memory."""
        self._known = [endpoint for peer in loaded.peers if (endpoint := _known(peer.endpoint)) is not None]
        machine = Gossip.build(
            NodeKey(own.node.public), holdings_of(own.inception.identity, loaded), rng, place.listen.port
        )
        machine.offers.restore(*kept_offers(loaded, wall_ms()))
        self.driver = Driver(
            machine,
            transport,
            store,
            wall_ms,
            on_stored=self._on_stored,
            on_effect=self._on_effect,
            on_file=lambda news: self.node.on_file_news(news),
            blobs=blobs,
        )
        self.author = Author(
            own, save, store, self.driver, wall_ms, on_written=lambda batch: self._on_stored(batch, True)
        )
        rendezvous = Rendezvous(
            own.node, lambda: self.author.pen.device, machine.holdings, machine.sharing, announced_at
        )
        self.meeting = Meeting(
            rendezvous,
            directory,
            store,
            self.driver,
            wall_ms,
            until_compared=lambda: self.author.until_compared(),
            on_own_heads=self._on_own_heads,
        )
        follows = {follow.identity: follow for follow in loaded.follows}
        quiet = Quiet(own.inception.identity, store, follows, wall_ms, loaded)
        identity, settings = own.inception.identity, loaded.settings
        self.room = Room(identity, store, self.driver, follows, quiet.mute_of, settings, lambda: self.node.try_dms())
        self.node = Node(self.author, store, self.driver, self.meeting, follows, place, wall_ms, quiet, self.room)

    @asynccontextmanager
    async def at_work(self, bootstrap: Sequence[str] = ()) -> AsyncIterator[Node]:
        """Everything running, for the length of the block."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.driver.run)
            has_met = bool(self._known or bootstrap)
            await self.author.begin(compare_with={PEERS, DHT} if has_met else set())
            self.driver.feed(Candidates(tuple(self._known)))
            nursery.start_soon(self.meeting.run)
            nursery.start_soon(self.node.keep_groups)
            nursery.start_soon(self.room.run)
            nursery.start_soon(self.meeting.meet, self._known)
            if bootstrap:
                nursery.start_soon(self._meet_named, bootstrap)
            yield self.node
            nursery.cancel_scope.cancel()

    async def _meet_named(self, bootstrap: Sequence[str]) -> None:
        """Meet nodes that a person named, and say it once if they leave us alone."""
        met: dict[str, tuple[Endpoint, ...]] = {}
        async with trio.open_nursery() as nursery:
            for contact in bootstrap:
                nursery.start_soon(self._meet, contact, met)
            await trio.sleep(BOOTSTRAP_PATIENCE_S)
            membership = self.driver.machine.membership
            if self.driver.machine.sharing.sessions:
                return
            own = [contact for contact in bootstrap if any(each in membership.own for each in met.get(contact, ()))]
            others = [contact for contact in bootstrap if contact not in own]
            known = (membership.known.get(endpoint) for contact in others for endpoint in met.get(contact, ()))
            if not others:
                log.warning("%s is this node itself: name another one to begin with", ", ".join(own))
            elif not any(each is not None and each.node is not None for each in known):
                log.warning("no node answered at %s: this node is linked with no other yet", ", ".join(others))

    async def _meet(self, contact: str, met: dict[str, tuple[Endpoint, ...]]) -> None:
        """Meet a node that a person named. A name is looked up again while the resolver does not know it, and whenever
        we are linked with nobody: behind dynamic DNS it leads elsewhere after a while."""
        is_unknown = False
        while True:
            try:
                endpoints = await names.resolve(contact)
                is_unknown = False
                if set(endpoints) != set(met.get(contact, ())):
                    met[contact] = endpoints
                    self.driver.feed(Candidates(endpoints))
                    await self.meeting.remember(endpoints)
            except UserError as error:
                if not is_unknown:
                    log.warning("%s; trying again every %d s", error, RESOLVE_AGAIN_S)
                is_unknown = True
            if _known(contact) is not None:  # it is no name
                return
            await trio.sleep(RESOLVE_AGAIN_S)
            while self.driver.machine.sharing.sessions:
                await self.driver.links_changed.wait()

    def _on_stored(self, batch: Batch, live: bool) -> None:
        self.author.heard_stored(batch)
        self.node.on_stored(batch, live)

    def _on_effect(self, effect: ClocksHeard | LinksLost | OwnLogElsewhere) -> None:
        if isinstance(effect, LinksLost):
            self.meeting.on_links_lost()
            return
        if isinstance(effect, OwnLogElsewhere):
            self.author.proved_elsewhere(effect.device, effect.seq, effect.entry)
            return
        self.author.heard_peer(effect.peer)

    def _on_own_heads(self, heads: Sequence[Head]) -> None:
        for head in heads:
            self.author.proved_elsewhere(head.device, head.seq, head.entry)
        self.author.heard_dht()


def _place(bound: Endpoint) -> Place:
    """What we tell others of where we listen: for a wildcard, the address that this machine speaks from. It is
    reachable nowhere while there is no network, and while there is no descriptor left to look."""
    if bound.host not in ("0.0.0.0", "::"):  # noqa: S104
        return Place(bound, (bound,))
    ways = [(socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")]
    for family, far in ways[:1] if bound.host == "0.0.0.0" else ways:  # noqa: S104 - IPv4 alone
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((far, 9))  # chooses a route; a datagram socket sends nothing to do so
                spoken_from = Endpoint.of(probe.getsockname()[0], bound.port)
        except (OSError, Malformed) as error:
            if isinstance(error, OSError) and error.errno in descriptors.RUN_OUT:
                break  # it says nothing of this route, so the next must not stand in for it
            continue
        return Place(spoken_from, (spoken_from,))
    return Place(Endpoint("127.0.0.1", bound.port), ())


def _known(text: str) -> Endpoint | None:
    try:
        return Endpoint.parse(text)
    except Malformed:
        return None


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
