"""Driven peers: they speak to a daemon over real links as a node would, and note when each live notice comes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import trio

from benchmarks.kit.notices import Author
from p2pblog.core import payload
from p2pblog.core.address import Endpoint
from p2pblog.core.entry import Entry, write
from p2pblog.core.keys import DeviceKey, KeyPair, hash32
from p2pblog.core.runs import encode_run
from p2pblog.errors import Disconnected
from p2pblog.gossip.memory import token
from p2pblog.gossip.messages import (
    PROTOCOL_VERSION,
    Clock,
    Clocks,
    Decoder,
    Encoder,
    Graft,
    Hello,
    IdentityClock,
    Lack,
    Live,
    Message,
    Ping,
    Pong,
    Run,
    Tokens,
    Want,
    tip_of,
)
from p2pblog.transport import Link
from p2pblog.transport.tcp import open_tcp

Arrivals = dict[tuple[bytes, int], list[float]]
"""(log, number) -> when it came to each peer, on the clock of `time.perf_counter`."""


@dataclass
class Writer:
    """An author who writes on: all entries of the log so far."""

    author: Author
    entries: list[Entry]

    @property
    def last(self) -> Entry:
        return self.entries[-1]

    def write(self, text: str) -> Entry:
        """The next notice, signed."""
        said = payload.encode(payload.Note(text))
        self.entries.append(write(self.author.device, self.last, time.time_ns() // 1_000_000, said))
        return self.last


@dataclass
class DrivenPeer:
    """One peer as the daemon sees it: it shares the feeds of all writers and holds what they wrote. The daemon is its
    eager peer for the logs of `eager`; the others reach it over links of its own that are not driven."""

    name: str
    writers: Sequence[Writer]
    eager: Sequence[Writer]
    arrivals: Arrivals
    link: Link | None = None
    answered: trio.Event = field(default_factory=trio.Event)
    _encoder: Encoder = field(default_factory=Encoder)
    _decoder: Decoder = field(default_factory=Decoder)

    async def run(self, endpoint: Endpoint, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Link with the daemon, say what is shared, and listen until cancelled."""
        node = KeyPair.from_seed(hash32(self.name.encode(), b"driven peer"))
        async with open_tcp(node, Endpoint("127.0.0.1", 0)) as transport:
            self.link = link = await transport.dial(endpoint)
            try:
                shared = [token(link.binding, True, writer.author.hash) for writer in self.writers]
                await self.say(Hello(PROTOCOL_VERSION, 0, 0), Tokens(tuple(shared)), self._clocks())
                await self.say(*(Graft(writer.last.device, writer.last.seq + 1) for writer in self.eager), Ping(2))
                task_status.started()
                await self._listen()
            except Disconnected:
                pass
            finally:
                with trio.CancelScope(shield=True):
                    await link.aclose()

    async def say(self, *messages: Message) -> None:
        assert self.link is not None
        await self.link.send_many([self._encoder.encode(message) for message in messages])

    async def post(self, entry: Entry) -> None:
        """Push an entry of our own to the daemon."""
        await self.say(Live(encode_run([entry], prev_known=True, texts=True)))

    def _clocks(self) -> Clocks:
        return Clocks(
            tuple(
                IdentityClock(
                    writer.author.hash,
                    writer.author.identity.digest,
                    ((writer.last.device, Clock(((1, writer.last.seq),), tip=tip_of(writer.last.id))),),
                )
                for writer in self.writers
            )
        )

    async def _listen(self) -> None:
        assert self.link is not None
        while True:
            message = self._decoder.decode(await self.link.receive())
            match message:
                case Live(value):
                    now, first = time.perf_counter(), value[1]
                    for seq in range(first, first + len(value[3])):
                        self.arrivals.setdefault((value[0], seq), []).append(now)
                case Want(device, first, last):
                    await self.say(self._answer(device, first, last))
                case Ping(number):
                    await self.say(Pong(number))
                case Pong():
                    self.answered.set()
                case _:
                    pass

    def _answer(self, device: bytes, first: int, last: int) -> Run | Lack:
        log = next(writer.entries for writer in self.writers if writer.last.device == device)
        wanted = log[first - 1 : last]
        return Run(encode_run(wanted, texts=True)) if wanted else Lack(DeviceKey(device), first)
