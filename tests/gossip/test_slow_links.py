"""A slow line, disk or farewell ends no link that lives, and cuts off no word."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from builders import NOON, key_pair, person
from gossip_scenes import build_machine, node_key
from test_driver import (  # noqa: F401 - a fixture
    Room,
    Station,
    WilfulStore,
    autojump_clock,
    link_six,
    open_room,
    sends_of,
    until,
)
from trio.testing import MockClock, memory_stream_pair, trio_test

from p2pblog.core.address import Endpoint
from p2pblog.core.logs import Located
from p2pblog.errors import Disconnected
from p2pblog.gossip.driver import SEND_BYTES, STORE_WAITING_BYTES_MAX, Driver
from p2pblog.gossip.events import Interested, LoadRun
from p2pblog.gossip.liveness import LOST_AFTER_S, SUSPECT_MAX_S
from p2pblog.gossip.membership import LOOK_EVERY_S
from p2pblog.gossip.messages import PROTOCOL_VERSION, Alarm, Decoder, Encoder, Hello, Ping, Pong
from p2pblog.gossip.sharing import TOKENS_DELAY_S
from p2pblog.signals import Signal
from p2pblog.store.memory import MemoryStore
from p2pblog.transport import Accept, Link, at_once
from p2pblog.transport.handshake import make_credentials
from p2pblog.transport.link import StreamLink, shake_hands
from p2pblog.transport.tcp import open_tcp

PLACE = Endpoint("10.1.1.1", 4000)
SLICE_BYTES, SLICE_S = 12_500, 0.1
"""1 Mbit/s."""


class SlowStream(trio.abc.Stream):
    """One end of a line that takes its time, and may break down after so many bytes without a word. As a socket it
    holds `held_max` bytes and more that the other end has not got, and knows how many."""

    def __init__(self, fast: trio.abc.Stream) -> None:
        self._fast = fast
        self._changed = Signal()
        self.held = bytearray()
        self.held_max = SLICE_BYTES
        self.left_bytes = math.inf

    async def run(self) -> None:
        while True:
            while not self.held:
                await self._changed.wait()
            await trio.sleep(SLICE_S)
            piece = self.held[:SLICE_BYTES]
            self.left_bytes -= len(piece)
            if self.left_bytes <= 0:
                await trio.sleep_forever()
            await self._fast.send_all(piece)
            del self.held[: len(piece)]
            self._changed.set()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        while len(self.held) > self.held_max:
            await self._changed.wait()
        self.held += data
        self._changed.set()

    async def wait_send_all_might_not_block(self) -> None:
        await self._fast.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._fast.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self._fast.aclose()


@pytest.fixture(autouse=True)
def _slow_streams_know_what_they_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = at_once.unacknowledged
    monkeypatch.setattr(at_once, "unacknowledged", lambda at: len(at.held) if isinstance(at, SlowStream) else sound(at))


class Door:
    """A transport for who comes by any stream."""

    endpoint = PLACE

    def __init__(self) -> None:
        self.come, self._coming = trio.open_memory_channel[Link](1)

    async def dial(self, endpoint: Endpoint) -> Link:
        raise OSError("nobody is there")

    async def serve(self, accept: Accept) -> None:
        async with trio.open_nursery() as nursery:
            async for link in self._coming:
                nursery.start_soon(self._serve, accept, link)

    async def _serve(self, accept: Accept, link: Link) -> None:
        await accept(link)
        await link.aclose()


@asynccontextmanager
async def bob_on_a_slow_line(*, upwards: bool = False) -> AsyncIterator[tuple[Driver, StreamLink, SlowStream]]:
    """Bob's driver, and Alice's end of a link with him, that is slow one way: to him, or `upwards` from him."""
    here, there = memory_stream_pair()
    line = SlowStream(there if upwards else here)
    links: dict[str, StreamLink] = {}

    async def shake(name: str, stream: trio.abc.Stream, dialed: bool) -> None:
        credentials = make_credentials(key_pair(f"{name}/node"), bytes(31) + bytes([dialed]))
        links[name] = await shake_hands(stream, credentials, PLACE, dialed=dialed)

    door = Door()
    driver = Driver(build_machine("bob"), door, MemoryStore(), lambda: NOON)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(line.run)
        async with trio.open_nursery() as shaking:
            shaking.start_soon(shake, "alice", here if upwards else line, True)
            shaking.start_soon(shake, "bob", line if upwards else there, False)
        await nursery.start(driver.run)
        await door.come.send(links["bob"])
        yield driver, links["alice"], line
        nursery.cancel_scope.cancel()


@trio_test
@pytest.mark.parametrize("breaks", [False, True])
async def test_a_message_that_takes_long_shows_life_while_more_of_it_comes(
    autojump_clock: MockClock,  # noqa: F811
    breaks: bool,
) -> None:
    """Alice owes an answer to a ping, and a run of 2 MiB stands before it."""
    async with bob_on_a_slow_line() as (driver, link, line), trio.open_nursery() as nursery:
        spell = Encoder()
        await link.send_many(spell.encode(said) for said in (Hello(PROTOCOL_VERSION, 0, 5), Alarm(0)))
        liveness = driver.machine.membership.liveness
        await until(lambda: liveness.pinged)
        if breaks:
            line.left_bytes = 10 * SLICE_BYTES
        nursery.start_soon(link.send, bytes(2 * 1024 * 1024))
        if breaks:
            await until(lambda: not driver.lanes, LOST_AFTER_S + 4 * LOOK_EVERY_S)
        else:
            await trio.sleep(1.5 * LOST_AFTER_S)
            assert driver.lanes and not liveness.suspects(trio.current_time())
        nursery.cancel_scope.cancel()


@trio_test
@pytest.mark.parametrize("breaks", [False, True])
async def test_who_takes_in_slowly_what_stands_before_our_ping_is_not_silent(
    autojump_clock: MockClock,  # noqa: F811
    breaks: bool,
) -> None:
    """Bob owes Alice 2 MiB when something makes him ping her."""
    async with bob_on_a_slow_line(upwards=True) as (driver, link, line):
        spell = Encoder()
        await link.send_many(spell.encode(said) for said in (Hello(PROTOCOL_VERSION, 0, 5), Alarm(0)))
        liveness = driver.machine.membership.liveness
        (lane,) = driver.lanes.values()
        line.held_max = 40 * SLICE_BYTES
        for _ in range(32):
            driver._enqueue(lane, bytes(64 * 1024))
        await until(lambda: liveness.pinged)
        if breaks:
            line.left_bytes = 10 * SLICE_BYTES
            await trio.sleep(10 * SLICE_S)
            await until(lambda: liveness.suspects(trio.current_time()), SUSPECT_MAX_S + 2 * LOOK_EVERY_S)
            await until(lambda: not driver.lanes, LOST_AFTER_S)
        else:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(answer_pings, link)
                while liveness.pinged:
                    assert not liveness.suspects(trio.current_time())
                    await trio.sleep(0.05)
                nursery.cancel_scope.cancel()
            assert driver.lanes and not lane.queued_bytes


@trio_test
async def test_little_history_is_read_ahead_of_a_slow_line(autojump_clock: MockClock) -> None:  # noqa: F811
    """Else what is live would stand behind it for as long as it takes to go out."""
    async with bob_on_a_slow_line(upwards=True) as (driver, _link, _line):
        await until(lambda: driver.lanes)
        (lane,) = driver.lanes.values()
        driver._enqueue(lane, bytes(SEND_BYTES))
        driver._enqueue(lane, b"more than goes out at once")
        for live in (False, True):
            driver._perform(LoadRun(lane.link.peer, person("carol").key, 1, 50, live=live))
        await trio.sleep(SLICE_S)
        assert len(lane.loads) == 2 and lane.loads.live
        await until(lambda: not lane.loads)


async def answer_pings(link: StreamLink) -> None:
    spell, read = Encoder(), Decoder()
    while True:
        data = await link.receive()
        if len(data) < 1_000 and isinstance(message := read.decode(data), Ping):
            await link.send(spell.encode(Pong(message.number)))


class SlowStore(WilfulStore):
    """One that takes its time for each stray."""

    async def put_stray(self, located: Located, now_ms: int) -> None:
        await trio.sleep(self.delay_s)


async def station_behind(room: Room) -> Station:
    """Linked with six, and reading nothing while its store takes its time for what came."""
    bob = await room.station("bob", store=SlowStore())
    await link_six(room, bob)
    bob.store.delay_s = 0.1
    entry = person("carol").log.note("x" * 3_000)
    while bob.driver._waiting_bytes < 1.5 * STORE_WAITING_BYTES_MAX:
        bob.driver.take_stray(Located(person("carol").hash, entry, ()))
    return bob


@trio_test
async def test_many_short_writes_in_a_row_make_us_take_nobody_for_dead(autojump_clock: MockClock) -> None:  # noqa: F811
    """No write takes long, and yet nothing is read for longer than anybody may be silent."""
    async with open_room() as room:
        bob = await station_behind(room)
        lanes, begun = list(bob.driver.lanes.values()), trio.current_time()
        await until(lambda: not bob.driver._is_behind)
        assert trio.current_time() - begun > 1.3 * LOST_AFTER_S
        await trio.sleep(2 * LOOK_EVERY_S)
        assert list(bob.driver.lanes.values()) == lanes
        assert not any(lane.error for lane in lanes)


@trio_test
async def test_what_a_person_wants_while_the_store_is_slow_is_said_once_it_is_not(autojump_clock: MockClock) -> None:  # noqa: F811
    """What begins while time stands still is not late by all the time that it stood."""
    async with open_room() as room:
        bob = await station_behind(room)
        await trio.sleep(LOST_AFTER_S)
        sent = sends_of(bob)
        bob.driver.feed(Interested(person("carol").hash))
        await until(lambda: not bob.driver._is_behind)
        assert not sent["Tokens"]
        await trio.sleep(2 * TOKENS_DELAY_S)
        assert sent["Tokens"] == 6


@trio_test
async def test_who_comes_back_before_we_have_written_what_it_was_told_is_told_only_what_is_new(
    autojump_clock: MockClock,  # noqa: F811
) -> None:
    async with open_room() as room:
        alice, bob = await room.station("alice"), await room.station("bob", "alice")
        await bob.driver.connect(alice.transport.endpoint)
        await until(lambda: bob.high(alice.person) == 1)
        await trio.sleep(2 * LOOK_EVERY_S)
        bob.store.delay_s = LOST_AFTER_S
        await alice.post("stands before the memory in the queue")
        await until(lambda: bob.driver._writings)
        bob.driver.hang_up(alice.driver.machine.sharing.node)
        await until(lambda: not alice.driver.lanes and not bob.driver.lanes)
        sent = sends_of(bob)
        await bob.driver.connect(alice.transport.endpoint)
        await until(lambda: sent["Ping"] or sent["Tokens"] or sent["Clocks"])
        assert bob.driver._writings and not sent["Tokens"]
        assert bob.driver.machine.sharing.sessions[node_key("alice")].shared


@trio_test
async def test_who_talks_on_while_we_end_the_link_still_reads_our_last_words() -> None:
    """A socket closed with unread bytes is reset, which may take along what its other end has not read yet."""
    place = Endpoint("127.0.0.1", 0)
    async with (
        open_tcp(key_pair("bob/node"), place) as door,
        open_tcp(key_pair("mallory/node"), place) as other,
        trio.open_nursery() as nursery,
    ):
        driver = Driver(build_machine("bob"), door, MemoryStore(), lambda: NOON)
        await nursery.start(driver.run)
        with trio.fail_after(10):
            link = await other.dial(door.endpoint)
            await link.send_many([b"no message of ours", *[bytes(1_000)] * 150])
            with pytest.raises(Disconnected) as ended:
                while True:
                    await link.receive()
        assert ended.value.__cause__ is None, "reset"
        await link.aclose()
        nursery.cancel_scope.cancel()
