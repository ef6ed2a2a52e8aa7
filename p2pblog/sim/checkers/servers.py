"""DHT servers: no record is held that does not prove itself, and no table grows beyond its limit."""

from __future__ import annotations

from collections.abc import Iterable

from p2pblog import config
from p2pblog.dht.protocol import DHT_SEEN_AS_MAX
from p2pblog.dht.records import DhtKey, decode
from p2pblog.dht.server import GuardedServer
from p2pblog.errors import RemoteProtocolError
from p2pblog.rendezvous.machine import Rendezvous
from p2pblog.rendezvous.searching import WORKERS_MAX
from p2pblog.sim.watch import Size


def server_sizes(server: GuardedServer) -> list[Size]:
    """The tables of a server that somebody else can make grow."""
    protocol = server.protocol
    store, buckets = protocol.storage.store, protocol.router.buckets
    return [
        ("DHT calls under way", len(protocol._awaited), config.DHT_CALLS_MAX),
        ("contacts being checked", len(protocol._checking), config.DHT_CHECKS_MAX),
        ("tokens of other servers", len(protocol._tokens), config.DHT_TOKENS_MAX),
        ("servers that proved their id", len(protocol._proven), config.DHT_TOKENS_MAX),
        ("addresses we are seen as", len(protocol._seen_as), DHT_SEEN_AS_MAX),
        ("addresses to begin from", len(server._upkeep._bootstraps), config.DHT_BOOTSTRAPS_MAX),
        ("contacts met before", len(server._upkeep._met), config.DHT_STATE_CONTACTS_MAX),
        ("records of the DHT", len(store), store.limits.in_all),
        ("records from one address block", max(store._by_sender.values(), default=0), store.limits.per_sender),
        ("proven sources whose rate is known", len(protocol.guard._proven._levels), config.DHT_RATE_SOURCES_MAX),
        ("other sources whose rate is known", len(protocol.guard._unproven._levels), config.DHT_RATE_SOURCES_MAX),
        *(("contacts in a bucket", len(b.nodes), b.ksize) for b in buckets),
        *(("contacts kept for a bucket", len(b.replacement_nodes), b.max_replacement_nodes) for b in buckets),
    ]


def rendezvous_sizes(dealings: Rendezvous, cared_for: int) -> list[Size]:
    """What a rendezvous machine has under way; `cared_for`: the feeds that its node follows or lends."""
    searching = dealings._searching
    return [
        ("feeds looked for", len(searching._searches), cared_for),
        ("feeds to look for", len(searching._waiting), cared_for),
        ("searches under way", len(searching._under_way), WORKERS_MAX),
        ("feeds read from the DHT", len(dealings._readings), WORKERS_MAX + 1),  # and our own heads
        ("feeds to announce", len(dealings._to_announce), cared_for),
        ("announcements under way", len(dealings._announcing), WORKERS_MAX),
    ]


def too_full(sizes: Iterable[Size]) -> list[str]:
    """What is fuller than it may be, in words."""
    return [f"{size} in {what}, which should hold at most {limit}" for what, size, limit in sizes if size > limit]


def unproven(server: GuardedServer, now_ms: int) -> list[str]:
    """Records that a server holds although they do not verify, in words."""
    found, storage = [], server.protocol.storage
    for key in storage.store.all_keys():
        for item in storage.held(key):
            try:
                decode(DhtKey(key), item.wire, now_ms)
            except RemoteProtocolError as error:
                found.append(f"a record of {key.hex()}: {error.name}")
    return found
