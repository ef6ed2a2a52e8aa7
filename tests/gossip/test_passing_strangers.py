"""Mallory links and says a wrong byte, again and again: Bob's log does not grow with it."""

from __future__ import annotations

import logging

import pytest
import trio
from gossip_scenes import node_key
from test_driver import Room, Station, autojump_clock, open_room, until  # noqa: F401 - a fixture
from trio.testing import MockClock, trio_test

from p2pblog.core.address import Endpoint
from p2pblog.gossip.messages import Encoder, Hello
from p2pblog.gossip.passing import PASSING_S, TELL_EVERY_S, Passing, is_passing


def test_what_strangers_do_is_told_in_one_line_and_counted_anew() -> None:
    passing = Passing()
    assert [passing.add(fault) for fault in ("too-slow", "malformed", "malformed")] == [True, False, False]
    assert passing.tell() == "3 links of strangers ended: malformed 2, too-slow 1"
    assert passing.add("too-slow")
    assert passing.tell() == "1 link of strangers ended: too-slow 1"


def test_a_stranger_is_who_came_by_and_did_not_stay() -> None:
    assert is_passing(False, PASSING_S - 1)
    assert not is_passing(False, PASSING_S)
    assert not is_passing(True, 0.0)


async def say_a_wrong_byte(room: Room, bob: Station, number: int, after_s: float = 0.0) -> None:
    """One more of Mallory's nodes, which says Hello first if it stays."""
    name = f"mallory {number}"
    transport = room.net.transport(node_key(name), Endpoint(f"10.2.{number}.1", 4000))
    link = await transport.dial(bob.transport.endpoint)
    if after_s:
        await link.send(Encoder().encode(Hello(1, 0, 5)))
        await trio.sleep(after_s)
    counted = bob.driver._passing.ended.total()
    await link.send(b"\xc1")
    await until(lambda: bob.driver._passing.ended.total() > counted)


@trio_test
async def test_links_of_strangers_make_one_line_a_minute(
    autojump_clock: MockClock,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "p2pblog.gossip")
    async with open_room() as room:
        bob = await room.station("bob")
        for number in range(30):
            await say_a_wrong_byte(room, bob, number, after_s=0.1 if number % 2 else 0.0)
        assert caplog.messages == []
        await trio.sleep(TELL_EVERY_S + 1)
        assert caplog.messages == ["30 links of strangers ended: malformed 30"]
        caplog.clear()
        await trio.sleep(10 * TELL_EVERY_S)
        assert caplog.messages == []
        await say_a_wrong_byte(room, bob, 30)
    assert caplog.messages == ["1 link of strangers ended: malformed 1"], "what was counted is told at the end too"
