"""The routing table's door, and the protocol's books, without a socket."""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from dht_scenes import HOME, NOW, alice, key_of
from kademlia.node import Node
from table_scenes import OWN, contact, table

from p2pblog.config import (
    DHT_BUCKET_EVERY_MS,
    DHT_CALLS_MAX,
    DHT_CHECKS_MAX,
    DHT_LOOKUPS_MAX,
    DHT_MISSES_MAX,
    DHT_NEWCOMERS_MAX,
    DHT_PROOF_LIFETIME_S,
    DHT_SEND_BUFFER_BYTES_MAX,
    DHT_TOKEN_LIFETIME_S,
    POINTERS_AT_ONCE,
)
from p2pblog.core.address import Endpoint
from p2pblog.core.value import replace
from p2pblog.dht import table as dht_table
from p2pblog.dht import wire
from p2pblog.dht.contacts import SPACE, Contact, NodeId, distance, node_id
from p2pblog.dht.parameters import Parameters
from p2pblog.dht.protocol import BAD_REPLIES_MAX, DHT_SEEN_AS_MAX, GuardedProtocol, Heard, _remember
from p2pblog.dht.records import encode
from p2pblog.dht.table import GuardedTable, ProvenNode
from p2pblog.errors import LocalProtocolError, RemoteProtocolError


def test_only_proven_nodes_enter() -> None:
    mine, _ = table()
    assert not mine.add_contact(Node(contact(1).id, "8.0.1.1", 4711))
    assert not mine.add_contact(ProvenNode(Contact(NodeId(OWN.id), Endpoint.of("8.0.0.1", 1))))
    assert mine.add_contact(ProvenNode(contact(1))) and mine.size == 1


def test_the_oldest_stay_and_a_newcomer_waits_until_one_is_silent() -> None:
    mine, checks = table()
    oldest, *_, newcomer = crowd = [contact(number) for number in range(0, 63, 3)]  # ten bits in common: one bucket
    for one in crowd:
        mine.add_contact(ProvenNode(one))
    assert mine.get(newcomer.id) is None
    assert checks.asked == [oldest]  # the least recently heard is asked whether it lives
    mine.missed(oldest)
    assert mine.get(oldest.id) is not None
    mine.missed(oldest)
    assert mine.get(oldest.id) is None and mine.get(newcomer.id) is not None


def test_an_answer_wipes_out_a_miss() -> None:
    mine, _ = table()
    mine.add_contact(ProvenNode(contact(1)))
    for _ in range(5):
        mine.missed(contact(1))
        mine.add_contact(ProvenNode(contact(1)))
    assert mine.size == 1


def test_a_known_id_moves_only_when_its_old_place_fell_silent() -> None:
    mine, _ = table()
    moved = contact(1, Endpoint.of("9.9.9.9", 1))
    mine.add_contact(ProvenNode(contact(1)))
    assert not mine.add_contact(ProvenNode(moved))
    assert mine.contacts() == [contact(1)]
    mine.missed(contact(1))
    assert mine.add_contact(ProvenNode(moved)) and mine.contacts() == [moved]


def test_three_of_a_block_in_the_table_and_two_in_a_bucket() -> None:
    mine, _ = table()
    for number in [*range(1, 11), *range(33_000, 33_011)]:
        mine.add_contact(ProvenNode(contact(number)))  # enough to split into two buckets
    assert len(mine.buckets) == 2
    crowd = [contact(number, Endpoint.of("9.9.9.1", number + 1)) for number in (100, 200, 300, 40_000, 50_000)]
    taken = [one for one in crowd if mine.add_contact(ProvenNode(one))]
    assert taken == [crowd[0], crowd[1], crowd[3]]


def test_who_moves_finds_no_more_room_in_a_block_than_who_comes() -> None:
    """Fifteen nodes, each in a block of its own, each with one lost datagram: who passes their proofs on can't pull
    them all to himself. Within its block a contact moves freely: it takes no place beside itself."""
    mine, _ = table()
    homes = [contact(number) for number in range(1, 16)]
    for home in homes:
        mine.add_contact(ProvenNode(home))
        mine.missed(home)
    pulled = [Contact(home.id, Endpoint.of("9.9.9.9", port)) for port, home in enumerate(homes, 5_000)]
    assert [one for one in pulled if mine.add_contact(ProvenNode(one))] == pulled[:2]
    assert {one for one in mine.contacts() if one.endpoint.host == "9.9.9.9"} == set(pulled[:2])
    mine.missed(pulled[0])
    elsewhere = Contact(pulled[0].id, Endpoint.of("9.9.9.8", 1))
    assert mine.add_contact(ProvenNode(elsewhere)) and elsewhere in mine.contacts()


@pytest.mark.parametrize("seed", range(5))
def test_places_are_what_counting_everybody_gives(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """While contacts of forty address blocks come, move, fall silent and make room for others; and what is noted of
    blocks does not grow with those that were there once."""
    monkeypatch.setattr(dht_table, "BLOCKS_LISTED_MIN", 50)
    mine, _ = table()
    rng = random.Random(seed)
    blocks = [f"8.{seed}.{number}.1" for number in range(40)]
    known: list[Contact] = []
    for step in range(1_500):
        one = Contact(NodeId(rng.randbytes(20)), Endpoint.of(rng.choice(blocks), rng.randint(1, 9_999)))
        bucket = mine.buckets[mine.get_bucket_for(Node(one.id))]
        held = {id(each): [*each.nodes.values(), *each.replacement_nodes.values()] for each in mine.buckets}
        here = sum(node.block == one.endpoint.block for node in held[id(bucket)])
        everywhere = sum(node.block == one.endpoint.block for nodes in held.values() for node in nodes)
        assert mine.has_place(one) == (here < 2 and everywhere < 3)
        mine.add_contact(ProvenNode(one))
        mine.add_contact(ProvenNode(contact(step)))  # of a block that nobody else is of
        known += [one, contact(step)]
        gone = known.pop(rng.randrange(len(known)))
        mine.missed(gone)
        mine.missed(gone)
    assert len(mine._listed) <= mine._blocks_max < 1_500


def test_who_left_a_block_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """To look through the whole table takes a quarter of the time of whatever is heard from there."""
    mine, _ = table()
    *gone, newcomer = [contact(number, Endpoint.of("9.9.9.1", number + 1)) for number in (1, 2, 3)]
    for one in gone:
        mine.add_contact(ProvenNode(one))
    assert not mine.has_place(newcomer)
    for one in [*gone, *gone]:
        mine.missed(one)
    assert mine.has_place(newcomer)
    monkeypatch.setattr(mine, "buckets", ())
    assert mine.has_place(newcomer)


def test_in_a_test_network_one_loopback_holds_many() -> None:
    mine, _ = table(test_network=True)
    for number in range(10):
        assert mine.add_contact(ProvenNode(contact(number, Endpoint.of("127.0.0.1", number + 1))))
    public, _ = table()
    assert not public.add_contact(ProvenNode(contact(1, Endpoint.of("127.0.0.1", 1))))


def filled(count: int = 400, first: Sequence[Contact] = ()) -> GuardedTable:
    mine, _ = table()
    for one in first:
        assert mine.add_contact(ProvenNode(one))
    rng = random.Random(5)
    for number in range(count):
        home = Endpoint.of(f"8.{number // 250}.{number % 250}.1", 4711)
        mine.add_contact(ProvenNode(Contact(NodeId(rng.randbytes(20)), home)))
    return mine


def test_the_nearest_are_the_nearest() -> None:
    mine, rng = filled(), random.Random(6)
    assert mine.size > 60
    for _ in range(30):
        target = rng.randbytes(20)
        expected = sorted(mine.contacts(), key=lambda one: distance(one.id, target))[:20]
        assert mine.nearest(target, 20) == expected
        assert mine.nearest(target, 20, exclude=expected[3].id)[:19] == expected[:3] + expected[4:]
        assert mine.nearest(target, 1_000) == sorted(mine.contacts(), key=lambda one: distance(one.id, target))
        assert [node.contact for node in mine.find_neighbors(Node(target))] == expected


def test_ids_chosen_beside_a_key_beside_us_do_not_have_the_network_look_denser() -> None:
    key = int.from_bytes(OWN.id, "big") + SPACE // 2_000
    ids = [NodeId((key + number * SPACE // 400_000).to_bytes(20, "big")) for number in range(20)]
    minted = [Contact(id_, Endpoint.of(f"7.7.{number}.1", 1)) for number, id_ in enumerate(ids)]
    in_peace, crowded = filled(), filled(first=minted)
    assert 250 < in_peace.nodes(ids[0]) <= in_peace.nodes(bytes(20)) < 600
    assert crowded.nodes(bytes(20)) > 10_000 and crowded.nodes(ids[0]) < 2 * 600


def test_the_ids_at_the_edges_of_buckets_are_found_again() -> None:
    """The stock table looks for a bucket's last id in the next one."""
    mine = filled()
    edges = [bucket.range[1] for bucket in mine.buckets if bucket.range[1] < SPACE - 1]
    for number, edge in enumerate(edges):
        one = Contact(NodeId(edge.to_bytes(20, "big")), Endpoint.of(f"7.7.{number}.1", 1))
        if mine.add_contact(ProvenNode(one)):
            assert mine.get(one.id) is not None and one in mine.contacts()
    assert edges


def test_a_bucket_without_a_walk_for_an_hour_gets_one() -> None:
    mine, rng = filled(), random.Random(8)
    assert mine.lonely_targets(NOW, rng) == []
    mine.touch(bytes(20), NOW + DHT_BUCKET_EVERY_MS // 2)
    targets = mine.lonely_targets(NOW + DHT_BUCKET_EVERY_MS, rng)
    assert len(targets) == len(mine.buckets) - 1
    for target in targets:
        mine.touch(target, NOW + DHT_BUCKET_EVERY_MS)
    assert mine.lonely_targets(NOW + DHT_BUCKET_EVERY_MS, rng) == []


def test_where_the_clock_is_put_back_a_bucket_gets_its_walk_within_twice_the_time() -> None:
    mine, rng = filled(), random.Random(8)
    assert mine.lonely_targets(NOW, rng) == mine.lonely_targets(NOW - DHT_BUCKET_EVERY_MS + 1, rng) == []
    assert len(mine.lonely_targets(NOW - DHT_BUCKET_EVERY_MS, rng)) == len(mine.buckets)


# --- the protocol's books ---------------------------------------------------------------------------------------------


@dataclass
class Wires:
    """A loop and a transport in one: what was sent, and timers that fire when told."""

    now: float = 0.0
    sent: list[tuple[bytes, tuple[str, int]]] = field(default_factory=list)
    timers: list[tuple[float, Callable[..., object], tuple[Any, ...]]] = field(default_factory=list)
    waiting_bytes: int = 0
    is_shut: bool = False

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Any:
        self.timers.append((self.now + delay, callback, args))
        return self

    def cancel(self) -> None:
        """A timer that fires for a call that ended does nothing."""

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        due = [timer for timer in self.timers if timer[0] <= self.now]
        self.timers = [timer for timer in self.timers if timer[0] > self.now]
        for _, callback, args in due:
            callback(*args)

    def sendto(self, data: bytes, address: tuple[str, int]) -> None:
        self.sent.append((data, address))

    def is_closing(self) -> bool:
        return self.is_shut

    def get_write_buffer_size(self) -> int:
        return self.waiting_bytes

    def get_extra_info(self, _: str) -> tuple[str, int]:
        return "127.0.0.1", 1


def protocol(name: str = "ours") -> tuple[GuardedProtocol, Wires]:
    wires = Wires()
    made = GuardedProtocol(key_of(name), wires, lambda: NOW, random.Random(name), True, False, 20)
    made.connection_made(wires)
    return made, wires


PEER = Endpoint.of("127.0.0.1", 9)
PEER_KEY = key_of("peer")
PEER_ID = node_id(PEER_KEY.public)


def reply_to(data: bytes, answer: wire.Answer, name: str = "peer", you: Endpoint = PEER) -> bytes:
    asked = wire.decode_request(data)
    proof = wire.prove(key_of(name), asked.call_id, asked.sender, you)
    return wire.encode_reply(wire.Reply(asked.call_id, answer, b"token  1", you, proof))


def test_a_call_nobody_answers_ends_once_and_is_a_miss_where_somebody_else_was_heard() -> None:
    ours, wires = protocol()
    ended: list[Heard | None] = []
    ours.router.add_contact(ProvenNode(Contact(PEER_ID, PEER)))
    assert ours.call(PEER, PEER_ID, wire.Ping(), ended.append)
    other = Endpoint.of("127.0.0.1", 10)
    ours.call(other, None, wire.Ping(), lambda _: None)
    ours.datagram_received(reply_to(wires.sent[-1][0], wire.Pong(), "other", other), (other.host, other.port))
    wires.pass_time(10)
    wires.pass_time(10)
    assert ended == [None]
    known = ours.router.get(PEER_ID)
    assert known is not None and known.misses == 1


def test_silence_of_all_is_no_miss_of_anybody() -> None:
    """Five seconds without a network emptied the table."""
    ours, wires = protocol()
    ours.router.add_contact(ProvenNode(Contact(PEER_ID, PEER)))
    for _ in range(2 * DHT_MISSES_MAX):
        ours.call(PEER, PEER_ID, wire.Ping(), lambda _: None)
        wires.pass_time(10)
    assert ours.router.size == 1 and ours.is_unheard
    ours.call(PEER, PEER_ID, wire.Ping(), lambda _: None)
    ours.datagram_received(reply_to(wires.sent[-1][0], wire.Pong()), (PEER.host, PEER.port))
    assert not ours.is_unheard


def calls(ours: GuardedProtocol, wires: Wires, source: Endpoint) -> bool:
    """The peer calls from there; gives whether it is asked for a proof."""
    before = len(wires.sent)
    call = wire.Request(bytes(16), wire.Ping(), PEER_ID, ours.guard.tokens.issue(source, wires.time()))
    ours.datagram_received(wire.encode_request(call, 64), (source.host, source.port))
    return len(wires.sent) == before + 2


def test_the_only_contact_moves_where_it_fell_silent_and_not_before_though_nobody_else_is_heard() -> None:
    """Its silence was never a miss, so it was never let go nor taken at its new address."""
    ours, wires = protocol()
    moved = Endpoint.of("127.0.0.1", 10)
    ours.router.add_contact(ProvenNode(Contact(PEER_ID, PEER)))
    assert not calls(ours, wires, moved)
    ours.call(PEER, PEER_ID, wire.Ping(), lambda _: None)
    wires.pass_time(10)
    assert not calls(ours, wires, PEER)
    assert calls(ours, wires, moved)
    ours.datagram_received(reply_to(wires.sent[-1][0], wire.Pong(), you=moved), (moved.host, moved.port))
    assert ours.router.contacts() == [Contact(PEER_ID, moved)]
    assert not calls(ours, wires, PEER)


def test_who_answers_is_not_silent_any_more() -> None:
    ours, wires = protocol()
    moved = Endpoint.of("127.0.0.1", 10)
    ours.router.add_contact(ProvenNode(Contact(PEER_ID, PEER)))
    ours.call(PEER, PEER_ID, wire.Ping(), lambda _: None)
    wires.pass_time(10)
    ours.call(PEER, PEER_ID, wire.Ping(), lambda _: None)
    ours.datagram_received(reply_to(wires.sent[-1][0], wire.Pong()), (PEER.host, PEER.port))
    assert not calls(ours, wires, moved)
    assert not ours.router.add_contact(ProvenNode(Contact(PEER_ID, moved)))


def test_strangers_who_are_silent_say_nothing_of_our_contacts() -> None:
    ours, wires = protocol()
    ours.router.add_contact(ProvenNode(Contact(PEER_ID, PEER)))
    for number in range(9):
        ours.call(Endpoint.of("127.0.0.1", 20 + number), contact(number).id, wire.Ping(), lambda _: None)
    wires.pass_time(10)
    assert not ours.is_unheard


def test_calls_under_way_are_bounded() -> None:
    ours, wires = protocol()
    sent = [ours.call(PEER, PEER_ID, wire.Ping(), lambda _: None) for _ in range(DHT_CALLS_MAX + 5)]
    assert sent == [True] * DHT_CALLS_MAX + [False] * 5
    wires.pass_time(10)
    assert ours.call(PEER, PEER_ID, wire.Ping(), lambda _: None)


def test_no_look_up_lacks_room_for_its_calls() -> None:
    """Whoever can't be called is given up though he lives: 32 publishes at once lost a third of their calls."""
    parameters = Parameters()
    widest = parameters.calls_max + parameters.copies + parameters.k
    assert DHT_LOOKUPS_MAX * widest <= DHT_CALLS_MAX
    assert POINTERS_AT_ONCE <= DHT_LOOKUPS_MAX


def test_checks_under_way_are_bounded() -> None:
    ours, wires = protocol()
    for port in range(1, 200):
        ours.check_contact(Contact(PEER_ID, Endpoint.of("127.0.0.1", port)))
        ours.check_contact(Contact(PEER_ID, Endpoint.of("127.0.0.1", port)))
    assert len(wires.sent) == DHT_CHECKS_MAX


def test_who_claims_an_id_anew_with_each_request_holds_one_place_for_checks() -> None:
    """One host at 45 requests a second, each with another id, held all of them, and what upkeep wanted to ping was
    dropped."""
    ours, wires = protocol()

    def claim(number: int, port: int) -> bool:
        """Whether it is asked for a proof."""
        source, before = Endpoint.of("127.0.0.1", port), len(wires.sent)
        call = wire.Request(bytes(16), wire.Ping(), contact(number).id, ours.guard.tokens.issue(source, wires.time()))
        ours.datagram_received(wire.encode_request(call, 64), (source.host, source.port))
        return len(wires.sent) == before + 2

    assert [claim(number, 5_000) for number in range(100)] == [True] + [False] * 99
    assert sum(claim(number, 6_000 + number) for number in range(100)) == DHT_NEWCOMERS_MAX - 1
    for port in range(DHT_CHECKS_MAX):
        ours.check_contact(Contact(PEER_ID, Endpoint.of("127.0.0.1", 7_000 + port)))
    assert len(ours._checking) == DHT_CHECKS_MAX
    wires.pass_time(10)
    assert claim(101, 5_000)


def test_the_first_call_is_padded_and_asks_for_proof_and_the_next_shows_the_token() -> None:
    ours, wires = protocol()
    find = wire.Find(bytes(20), bytes(20))
    ours.call(PEER, PEER_ID, find, lambda _: None)
    first = wires.sent[-1][0]
    assert len(first) >= wire.PADDED_BYTES and wire.decode_request(first).prove
    ours.datagram_received(reply_to(first, wire.Found()), (PEER.host, PEER.port))
    ours.call(PEER, PEER_ID, find, lambda _: None)
    second = wires.sent[-1][0]
    asked = wire.decode_request(second)
    assert len(second) < wire.PADDED_BYTES and asked.token == b"token  1" and not asked.prove


def test_who_is_asked_for_by_another_id_than_it_proved_or_long_after_is_to_prove_it_again() -> None:
    """Else whoever stands where another node stood before would be taken for any node that is expected there."""
    ours, wires = protocol()
    ours.call(PEER, PEER_ID, wire.Ping(), lambda _: None)
    ours.datagram_received(reply_to(wires.sent[-1][0], wire.Pong()), (PEER.host, PEER.port))

    def asked(expected: NodeId | None) -> tuple[bool, bool]:
        """Whether it shows the token, and wants a proof."""
        assert ours.call(PEER, expected, wire.Ping(), lambda _: None)
        request = wire.decode_request(wires.sent[-1][0])
        return request.token is not None, request.prove

    assert [asked(expected) for expected in (PEER_ID, contact(1).id, None)] == [
        (True, False), (True, True), (True, True),
    ]  # fmt: skip
    wires.now += min(DHT_TOKEN_LIFETIME_S, DHT_PROOF_LIFETIME_S) - 1
    assert asked(PEER_ID) == (True, False)
    wires.now += 1
    assert asked(PEER_ID) == (False, True)


def test_an_answer_to_a_call_that_asks_for_no_proof_proves_nothing_anew() -> None:
    ours, wires = protocol()

    def asks_for_proof(now: float) -> bool:
        wires.now = now
        ours.call(PEER, PEER_ID, wire.Ping(), lambda _: None)
        request = wires.sent[-1][0]
        ours.datagram_received(reply_to(request, wire.Pong()), (PEER.host, PEER.port))
        return wire.decode_request(request).prove

    times = (0.0, DHT_PROOF_LIFETIME_S - 1, DHT_PROOF_LIFETIME_S)
    assert [asks_for_proof(now) for now in times] == [True, False, True]


def test_of_those_who_say_where_they_see_us_the_last_64_count() -> None:
    ours, wires = protocol()
    for number in range(DHT_SEEN_AS_MAX + 9):
        peer, you = Endpoint.of(f"10.0.{number}.9", 4711), PEER if number < 9 else HOME
        ours.call(peer, None, wire.Ping(), lambda _: None)
        ours.datagram_received(reply_to(wires.sent[-1][0], wire.Pong(), f"peer {number}", you), (peer.host, peer.port))
    assert list(ours._seen_as.values()) == [HOME] * DHT_SEEN_AS_MAX


def test_of_many_that_are_remembered_who_was_heard_longest_ago_is_forgotten() -> None:
    remembered: OrderedDict[int, str] = OrderedDict()
    for number in (1, 2, 3, 4, 2, 5):
        _remember(remembered, number, f"at {number}", entries_max=3)
    assert list(remembered) == [4, 2, 5]


def test_a_datagram_from_where_nobody_may_be_called_is_dropped() -> None:
    ours, wires = protocol()
    call = wire.encode_request(wire.Request(bytes(16), wire.Ping(), PEER_ID), 64)
    ours.datagram_received(call, ("192.168.1.1", 80))
    assert len(wires.sent) == 1
    ours.move(test_network=False)
    for host, port in (("192.168.1.1", 80), ("8.8.8.8", 0)):
        ours.datagram_received(call, (host, port))
    assert len(wires.sent) == 1 and ours.guard.dropped == {"source": 2}
    ours.datagram_received(call, ("8.8.8.8", 80))
    assert len(wires.sent) == 2


def test_nothing_is_sent_while_too_much_waits_to_be_or_once_the_socket_closes() -> None:
    ours, wires = protocol()
    wires.waiting_bytes = DHT_SEND_BUFFER_BYTES_MAX
    assert ours.call(PEER, PEER_ID, wire.Ping(), lambda _: None)
    wires.waiting_bytes += 1
    assert not ours.call(PEER, PEER_ID, wire.Ping(), lambda _: None)
    assert len(wires.sent) == ours.guard.dropped["send-buffer"] == 1
    wires.waiting_bytes, wires.is_shut = 0, True
    assert not ours.call(PEER, PEER_ID, wire.Ping(), lambda _: None) and len(wires.sent) == 1


def test_who_wants_a_newer_token_is_asked_again_once() -> None:
    ours, wires = protocol()
    ended: list[Heard | None] = []
    ours.call(PEER, PEER_ID, wire.Store(bytes(20), b"r"), ended.append)
    for _ in range(2):
        ours.datagram_received(reply_to(wires.sent[-1][0], wire.Stored("token")), (PEER.host, PEER.port))
    assert len(wires.sent) == 2
    assert [heard.answer for heard in ended if heard] == [wire.Stored("token")]


def test_a_reply_by_another_node_than_the_one_asked_is_dropped() -> None:
    ours, wires = protocol()
    ended: list[Heard | None] = []
    ours.call(PEER, PEER_ID, wire.Ping(), ended.append)
    ours.datagram_received(reply_to(wires.sent[-1][0], wire.Pong(), name="mallory"), (PEER.host, PEER.port))
    assert ended == [] and ours.guard.dropped["bad-handshake"] == 1 and ours.router.size == 0
    ours.datagram_received(reply_to(wires.sent[-1][0], wire.Pong()), (PEER.host, PEER.port))
    assert len(ended) == 1 and ours.router.size == 1


def test_a_call_that_draws_bad_replies_only_ends_as_unanswered() -> None:
    """To check a false signature costs as much as to check a true one, and there was no end to it."""
    ours, wires = protocol()
    ended: list[Heard | None] = []
    ours.call(PEER, PEER_ID, wire.Ping(), ended.append)
    good = reply_to(wires.sent[-1][0], wire.Pong())
    asked = wire.decode_reply(good)
    false = wire.encode_reply(replace(asked, token=b"token  2", you=HOME))
    for number in range(BAD_REPLIES_MAX):
        assert ended == []
        ours.datagram_received(good[:-1] if number == 1 else false, (PEER.host, PEER.port))
    assert ended == [None] and ours.guard.dropped["bad-signature"] == BAD_REPLIES_MAX - 1
    ours.datagram_received(good, (PEER.host, PEER.port))
    wires.pass_time(10)
    assert ended == [None] and ours.guard.dropped["unasked"] == 1


def test_the_second_gate_behind_the_protocols_takes_no_forgery_either() -> None:
    ours, _ = protocol()
    forged = encode(alice.head()).replace(alice.head().entry, b"f" * 32)
    with pytest.raises(RemoteProtocolError):
        ours.storage[alice.head().key] = forged
    assert ours.storage.get(alice.head().key) is None
    ours.storage[alice.head().key] = encode(alice.head())
    assert ours.storage[alice.head().key] == [encode(alice.head())]
    assert list(ours.storage) == [(alice.head().key, encode(alice.head()))]


def test_the_librarys_own_calls_are_closed() -> None:
    ours, _ = protocol()
    for name in ("rpc_stun", "rpc_find_value", "call_store", "_accept_request"):
        with pytest.raises(LocalProtocolError):
            getattr(ours, name)(None)
    with pytest.raises(AttributeError):
        ours.no_such_call  # noqa: B018 - the library would make a remote call of it


def test_a_reply_that_would_be_too_large_for_its_request_is_not_sent() -> None:
    """A bare ping that wants a proof is answered only if it is padded: 142 bytes for 50 would amplify."""
    ours, wires = protocol()
    bare = wire.Request(bytes(16), wire.Ping(), prove=True)
    ours.datagram_received(wire.encode_request(bare), (PEER.host, PEER.port))
    assert wires.sent == [] and ours.guard.dropped["reply-size"] == 1
    ours.datagram_received(wire.encode_request(bare, 64), (PEER.host, PEER.port))
    assert len(wires.sent) == 1
