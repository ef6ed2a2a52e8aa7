"""Look-ups among 50 nodes on loopback, whole and with half of them killed, beside kademlia's and hyperdht's."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio
from kademlia.network import Server
from kademlia.utils import digest

from benchmarks.kit import notices, peers
from benchmarks.kit.report import ROUNDS, Figure, Report, Say, quantile
from p2pblog.bridge import open_bridge
from p2pblog.config import HEAD_LIFETIME_MS
from p2pblog.core.address import Endpoint
from p2pblog.core.keys import EntryId, KeyPair, hash32
from p2pblog.dht.adapter import Dht, open_dht
from p2pblog.dht.records import Head, encode, sign_head

NODES = 50
"""As many values are stored. Each node looks up one of them, one after the other while all live; right after the
half was killed each of those left does so, whether or not others have ended: so none profits from what another one
learned about the dead. The quantiles are of all turns together."""
PAUSE_S = 0.02
"""Before each look-up while all live: the answers that the last one did not wait for have come by then, and both
libraries begin with nothing to do."""
LOOKUPS_PER_S = 12
"""Of those after the kill: all 50 nodes share one thread, so more at once would measure how busy it is."""
STOCK_BYTES = 300
SHARES = (0.1, 0.5, 0.9, 0.99)
PEER = "hyperdht"
PEER_TIMEOUT_S = 240
LOOPBACK = Endpoint.of("127.0.0.1", 0)


@dataclass
class Taken:
    """Milliseconds of the look-ups that found what was stored, each by a node that did not hold it itself."""

    healthy: list[float] = field(default_factory=list)
    half_dead: list[float] = field(default_factory=list)
    missed: int = 0
    healthy_first: list[float] = field(default_factory=list)
    """Of ours: until the first checked record was handed on, which a replica is dialed by, while others were asked."""
    half_dead_first: list[float] = field(default_factory=list)


def measure(say: Say) -> Report:
    logging.getLogger("rpcudp").setLevel(logging.CRITICAL)  # the stock library tells of every dead node
    logging.getLogger("kademlia").setLevel(logging.CRITICAL)
    records = [_record(number) for number in range(NODES)]
    ours: list[Taken] = []
    stock: list[Taken] = []
    folder = peers.installed(PEER, say)
    theirs = peers.Turns[Taken](folder is not None)
    for turn in range(ROUNDS):
        say(f"turn {turn + 1} of {ROUNDS}: look-ups by {NODES} nodes of each kind, then by the half that is left")
        ours.append(trio.run(_ours, records, turn))
        stock.append(asyncio.run(_stock(turn)))
        if theirs.can_run and folder is not None:
            theirs.take(_hyperdht(folder, say))
    return Report(_figures(ours, stock, theirs.found), _facts(ours, stock, theirs.found))


def _figures(ours: list[Taken], stock: list[Taken], theirs: list[Taken]) -> tuple[Figure, ...]:
    def figure(name: str, state: str, share: float, aim: str, others: list[Taken], *, first: bool = False) -> Figure:
        baseline = _of_all(others, state, share) if others else None
        spent = _of_all(ours, f"{state}_first" if first else state, share)
        return Figure(name, spent, "ms", aim, baseline, less_is_better=True)

    return (
        figure("half dead, p99", "half_dead", 0.99, "ratio >= 20", stock),
        figure("half dead, p50", "half_dead", 0.5, "ratio >= 20", stock),
        figure("half dead, p99 beside hyperdht", "half_dead", 0.99, "ratio > 1", theirs),
        figure("healthy, first record handed on, p50", "healthy", 0.5, "ratio >= 0.5", stock, first=True),
        figure("healthy, first record handed on, p99", "healthy", 0.99, "ratio >= 0.5", stock, first=True),
        figure("healthy, until eleven agree, p50", "healthy", 0.5, "ratio >= 0.5", stock),
        figure("healthy, until eleven agree, p99", "healthy", 0.99, "ratio >= 0.5", stock),
        Figure("found", _found(ours), "of all look-ups", "figure >= 0.99"),
    )


def _found(runs: list[Taken]) -> float:
    """The share of the look-ups that gave the record: who misses is quick, and has no place among the times."""
    timed = sum(len(run.healthy) + len(run.half_dead) for run in runs)
    return timed / (timed + sum(run.missed for run in runs))


def _of_all(runs: list[Taken], state: str, share: float) -> float:
    return quantile([spent for run in runs for spent in getattr(run, state)], share)


def _facts(ours: list[Taken], stock: list[Taken], theirs: list[Taken]) -> dict[str, Any]:
    def of(runs: list[Taken]) -> dict[str, Any]:
        spread = {
            f"{state}_ms": {f"p{round(100 * share)}": round(_of_all(runs, state, share), 2) for share in SHARES}
            for state in ("healthy", "half_dead", "healthy_first", "half_dead_first")
            if all(getattr(run, state) for run in runs)
        }
        return {**spread, "missed": sum(run.missed for run in runs)}

    named = {"ours": ours, "kademlia": stock, PEER: theirs}
    found = {name: of(runs) for name, runs in named.items() if runs}
    return {"nodes": NODES, "turns": ROUNDS, "record_bytes": len(encode(_record(0))), **found}


# --- ours -------------------------------------------------------------------------------------------------------------


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _record(number: int) -> Head:
    """The head of somebody: what a node looks up most, and the one that takes most checking (three signatures)."""
    somebody = notices.author(f"author {number}")
    head = sign_head(
        somebody.identity, somebody.device, 1, 7, EntryId(hash32(b"%d" % number, b"benchmark dht")),
        _now_ms() + HEAD_LIFETIME_MS // 2,
    )  # fmt: skip
    assert head is not None
    return head


async def _ours(records: Sequence[Head], turn: int) -> Taken:
    """Nodes as a daemon opens them, on the asyncio side of one bridge, asked from the trio side."""
    rng, taken = random.Random(f"ours {turn}"), Taken()
    async with open_bridge() as bridge:
        nodes: list[Opened] = []
        for number in range(NODES):
            stack = AsyncExitStack()
            key = KeyPair.from_seed(hash32(b"%d %d" % (turn, number), b"benchmark dht"))
            opened = open_dht(bridge, key, LOOPBACK, clock=_now_ms, rng=random.SystemRandom(), test_network=True)
            node = await stack.enter_async_context(opened)
            if nodes:
                assert await node.add_contacts([rng.choice(nodes)[0].endpoint]) == 1
            nodes.append((node, stack))
        for record in records:
            await rng.choice(nodes)[0].publish([record])
        for (node, _), record in _strangers(nodes, records, rng):
            await trio.sleep(PAUSE_S)
            await _look_up(node, record, taken, taken.healthy, taken.healthy_first)
        rng.shuffle(nodes)
        for _, stack in nodes[NODES // 2 :]:
            await stack.aclose()
        del nodes[NODES // 2 :]
        begun = trio.current_time()
        async with trio.open_nursery() as nursery:
            for number, ((node, _), record) in enumerate(_strangers(nodes, records, rng)):
                await trio.sleep_until(begun + number / LOOKUPS_PER_S)
                nursery.start_soon(_look_up, node, record, taken, taken.half_dead, taken.half_dead_first)
        for _, stack in nodes:
            await stack.aclose()
    return taken


Opened = tuple[Dht, AsyncExitStack]


def _strangers(nodes: Sequence[Opened], records: Sequence[Head], rng: random.Random) -> Iterator[tuple[Opened, Head]]:
    """Each node with a record that it does not hold itself: such a look-up would be none."""
    for opened in nodes:
        shelves = opened[0]._server.protocol.storage
        yield opened, rng.choice([record for record in records if not shelves.held(record.key)])


async def _look_up(node: Dht, record: Head, taken: Taken, times: list[float], firsts: list[float]) -> None:
    first: list[float] = []
    asked = time.perf_counter()
    found = await node.find(record.key, early=lambda _: first.append(time.perf_counter() - asked))
    spent = time.perf_counter() - asked
    if found == [record]:
        times.append(1000 * spent)
        firsts += [1000 * spent for spent in first]  # none if it came to be held here meanwhile
    else:
        taken.missed += 1


# --- the others -------------------------------------------------------------------------------------------------------


async def _stock(turn: int) -> Taken:
    """The library's own server, told to do the same."""
    rng, taken = random.Random(f"stock {turn}"), Taken()
    nodes: list[Server] = []
    for _ in range(NODES):
        node = Server()
        await node.listen(0, interface="127.0.0.1")
        if nodes:
            await node.bootstrap([rng.choice(nodes).transport.get_extra_info("sockname")])
        nodes.append(node)
    values = {f"key {number}": rng.randbytes(STOCK_BYTES // 2).hex() for number in range(NODES)}
    for key, value in values.items():
        await rng.choice(nodes).set(key, value)
    for node, key in _stock_strangers(nodes, list(values), rng):
        await asyncio.sleep(PAUSE_S)
        await _stock_look_up(node, key, values[key], taken, taken.healthy)
    rng.shuffle(nodes)
    for node in nodes[NODES // 2 :]:
        node.stop()
    del nodes[NODES // 2 :]
    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number, (node, key) in enumerate(_stock_strangers(nodes, list(values), rng)):
            await asyncio.sleep(max(0.0, begun + number / LOOKUPS_PER_S - time.perf_counter()))
            group.create_task(_stock_look_up(node, key, values[key], taken, taken.half_dead))
    for node in nodes:
        node.stop()
    await asyncio.sleep(0)
    return taken


def _stock_strangers(nodes: Sequence[Server], keys: Sequence[str], rng: random.Random) -> Iterator[tuple[Server, str]]:
    for node in nodes:
        yield node, rng.choice([key for key in keys if node.storage.get(digest(key)) is None])


async def _stock_look_up(node: Server, key: str, value: str, taken: Taken, times: list[float]) -> None:
    asked = time.perf_counter()
    found = await node.get(key)
    spent = time.perf_counter() - asked
    if found == value:
        times.append(1000 * spent)
    else:
        taken.missed += 1


def _hyperdht(folder: Path, say: Say) -> Taken | None:
    words = [str(peers.node()), "lookups.cjs", str(NODES), str(LOOKUPS_PER_S)]
    found = peers.answer(PEER, words, say, folder=folder, timeout_s=PEER_TIMEOUT_S)
    if found is None:
        return None
    healthy, half_dead = ([spent for spent in found[state] if spent is not None] for state in ("healthy", "half_dead"))
    taken = Taken(healthy, half_dead)
    taken.missed = found["healthy"].count(None) + found["half_dead"].count(None)
    return taken
