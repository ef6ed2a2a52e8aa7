"""Asking a contact for what did not fit: an honest one gives all that it has, a hostile one keeps nobody waiting."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from itertools import count

import pytest
from dht_scenes import DAY, NOW, alice, key_of
from test_dht_table import PEER, PEER_ID, protocol, reply_to
from test_lookup import KEY, at, find

from p2pblog.config import DATAGRAM_BYTES_MAX, MANY_PER_KEY_MAX
from p2pblog.dht import wire
from p2pblog.dht.contacts import Contact
from p2pblog.dht.lookup import Answered, Begin, Done, Find, Wake, Woke
from p2pblog.dht.records import Pointer, encode, sign_pointer
from p2pblog.dht.shelf import record_tag
from p2pblog.dht.walk import Ask

SMOOTHED_S, TIMEOUT_S = 0.125, 0.375
POINTERS = [
    sign_pointer(key_of(f"reader {n}"), b"t" * 32, alice.identity.hash, 1, NOW + DAY) for n in range(MANY_PER_KEY_MAX)
]
FIT = 6
"""Pointers in one datagram, beside four contacts."""

Reply = tuple[float, tuple[Pointer, ...], bool]
"""Seconds after the call, records, and whether there are more."""


def ends(look_up: Find, answer: Callable[[Ask], Reply | None]) -> float:
    """When the look-up is over, where its calls are answered so; None is silence."""
    order, now, wake_at = count(), 0.0, 0.0
    queue: list[tuple[float, int, Answered]] = []
    effects = look_up.handle(Begin(), now)
    while Done() not in effects:
        for effect in effects:
            if isinstance(effect, Wake):
                wake_at = effect.at
            elif isinstance(effect, Ask) and (reply := answer(effect)) is not None:
                delay, records, more = reply
                answered = Answered(effect.contact, records=records, more=more)
                heapq.heappush(queue, (now + delay, next(order), answered))
        if queue and queue[0][0] <= max(now, wake_at):
            now, _, event = heapq.heappop(queue)
            effects = look_up.handle(event, now)
        else:
            now = wake_at
            effects = look_up.handle(Woke(), now)
    return now


def shelf_of(held: list[Pointer], seconds: float) -> Callable[[Ask], Reply]:
    """An honest holder: what fits of that which is not known yet."""

    def answer(ask: Ask) -> Reply:
        wanted = [pointer for pointer in held if record_tag(encode(pointer)) not in ask.have]
        return seconds, tuple(wanted[:FIT]), len(wanted) > FIT

    return answer


@pytest.mark.parametrize("pace", [0.5, 1.0, 1.1])
def test_a_full_shelf_is_read_to_its_end_where_nobody_else_has_it(pace: float) -> None:
    look_up = find([at(1), at(2)])
    full, empty = shelf_of(POINTERS, pace * SMOOTHED_S), shelf_of([], SMOOTHED_S)
    ends(look_up, lambda ask: full(ask) if ask.contact == at(1) else empty(ask))
    assert set(look_up.found(NOW)) == set(POINTERS)


def test_many_holders_give_a_full_shelf_in_a_few_rounds() -> None:
    """Each in an order of its own."""
    holders = {at(n): random.Random(n).sample(POINTERS, len(POINTERS)) for n in range(20)}
    look_up = find(list(holders))
    assert ends(look_up, lambda ask: shelf_of(holders[ask.contact], SMOOTHED_S)(ask)) < 1.0
    assert set(look_up.found(NOW)) == set(POINTERS)


def test_who_gives_one_more_at_once_each_time_is_asked_again_twenty_one_times() -> None:
    asked: list[Contact] = []

    def answer(ask: Ask) -> Reply:
        asked.append(ask.contact)
        return 0.001, (POINTERS[len(asked)],), True

    ends(find([at(1)]), answer)
    assert asked == [at(1)] * (1 + 21)


def test_a_request_has_room_for_the_tags_of_a_full_shelf() -> None:
    tags = tuple(record_tag(encode(pointer)) for pointer in POINTERS)
    asked = wire.Request(bytes(16), wire.Find(KEY, KEY, tags), PEER_ID, bytes(8), prove=True)
    assert len(wire.encode_request(asked, wire.PADDED_BYTES)) <= DATAGRAM_BYTES_MAX


@pytest.mark.parametrize("hostile", [{at(3)}, {at(1), at(3), at(5)}], ids=["one", "three"])
def test_one_more_record_just_before_each_time_out_keeps_nobody_for_long(hostile: set[Contact]) -> None:
    """Nineteen holders have one pointer and say so; the twentieth signs others as long as it is asked."""
    others = iter(POINTERS[1:])
    honest = shelf_of(POINTERS[:1], SMOOTHED_S / 2)

    def answer(ask: Ask) -> Reply:
        if ask.contact not in hostile:
            return honest(ask)
        return (0.97 * TIMEOUT_S if ask.have else 0.01), (next(others),), True

    look_up = find([at(n) for n in range(1, 21)])
    assert look_up.walk.round_trips.timeout_s == TIMEOUT_S
    parameters = look_up.walk.parameters
    rounds_s = parameters.rounds_max * SMOOTHED_S
    assert ends(look_up, answer) <= 0.01 + parameters.lead_s + rounds_s + TIMEOUT_S
    assert POINTERS[0] in look_up.found(NOW)


def test_calls_for_what_did_not_fit_teach_nothing_about_round_trips() -> None:
    ours, wires = protocol()

    def answered_after(seconds: float, call: wire.Call) -> None:
        ours.call(PEER, PEER_ID, call, lambda _: None)
        wires.pass_time(seconds)
        ours.datagram_received(reply_to(wires.sent[-1][0], wire.Found()), (PEER.host, PEER.port))

    answered_after(0.1, wire.Find(KEY, KEY))
    learned = ours.round_trips.timeout_s, ours.round_trips.slowest_s
    answered_after(1.0, wire.Find(KEY, KEY, (bytes(8),)))
    assert (ours.round_trips.timeout_s, ours.round_trips.slowest_s) == learned
    answered_after(1.0, wire.Find(KEY, KEY))
    assert ours.round_trips.timeout_s > learned[0]
