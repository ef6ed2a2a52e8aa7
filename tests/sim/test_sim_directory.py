"""A world of DHT nodes in one process: the same seed is the same world, and what strikes it does not get through."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from p2pblog.core.keys import KeyPair
from p2pblog.dht.contacts import distance, node_id
from p2pblog.dht.parameters import Parameters
from p2pblog.dht.records import DhtKey, Record, decode, encode
from p2pblog.errors import BadSignature, UsageError
from p2pblog.sim import directory
from p2pblog.sim.chance import generator
from p2pblog.sim.directory import EPOCH_MS, DhtOutcome, DhtPlan, run_dht, subject
from p2pblog.sim.liars import Conspiracy, beside, mint
from p2pblog.sim.library import replaced
from p2pblog.sim.network import Weather


def world(nodes: int = 30, seed: int = 1, weather: Weather | None = None, **plan: Any) -> DhtOutcome:
    return run_dht(seed, nodes, weather or Weather(), DhtPlan.from_table({"lookups": 20, **plan}), lambda _: None)


# --- one seed, one world ----------------------------------------------------------------------------------------------


def test_a_seed_is_one_world_in_every_process_and_another_seed_another() -> None:
    here = world(nodes=24, dead=0.3, liars=0.2)
    assert world(nodes=24, dead=0.3, liars=0.2).trace_hash == here.trace_hash
    assert world(nodes=24, dead=0.3, liars=0.2, seed=2).trace_hash != here.trace_hash
    code = (
        "from p2pblog.sim.directory import DhtPlan, run_dht\n"
        "from p2pblog.sim.network import Weather\n"
        "plan = DhtPlan(lookups=20, dead=0.3, liars=0.2)\n"
        "outcome = run_dht(1, 24, Weather(), plan, lambda _: None)\n"
        "print(outcome.trace_hash, outcome.json)"
    )
    there = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert there.stdout.strip() == f"{here.trace_hash} {here.json}"


def test_the_bar_goes_from_the_beginning_to_the_end() -> None:
    shares: list[float] = []
    run_dht(1, 20, Weather(), DhtPlan(lookups=5, publishes=5), shares.append)
    assert shares == sorted(shares) and shares[0] < 0.1 and shares[-1] == 1.0


# --- what strikes it --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("share", "dead"), [(1.0, 0.0), (1.0, 0.5), (0.7, 0.5)])
def test_who_live_in_one_block_find_each_other(share: float, dead: float) -> None:
    """With two contacts each, the first two who had come, 24 of 30 records were lost when half of the nodes died."""
    outcome = world(nodes=30, seed=3, one_block=share, dead=dead, publishes=5)
    assert (outcome.found, outcome.violations) == (len(outcome.lookup_ms), [])
    assert min(outcome.holders) >= (1 if share == 1.0 else 2)  # a block counts as one


def test_who_lives_beside_a_crowded_key_is_not_taken_in_by_its_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids that are chosen to lie beside a key lie beside its publisher too, and look to him as if nodes were many."""
    made = directory.World(1, 60, Weather(), DhtPlan(lookups=1, colluders=20), lambda _: None)
    with replaced(made.loop.time, generator(1, "library")):
        made.join()
        ids = [server.protocol.id for server in made.servers]
        items = [subject(1, number) for number in range(20)]
        nearest = {item.key: min(range(60), key=lambda n: distance(ids[n], item.key)) for item in items}
        item = min(items, key=lambda item: distance(ids[nearest[item.key]], item.key))
        monkeypatch.setattr(directory, "subject", lambda *_: item)
        monkeypatch.setattr(made._chance, "choice", lambda _: nearest[item.key])
        made.look_up_among_colluders()
    assert len(made._holders(item)) > 20
    made.close()


def test_in_good_weather_everything_is_found_at_once() -> None:
    outcome = world(nodes=40)
    assert (outcome.found, len(outcome.lookup_ms), outcome.violations) == (20, 20, [])
    assert outcome.json["success_ratio"] == 1.0
    assert 40 <= outcome.json["p50_ms"] <= 400
    assert set(outcome.hops) <= {1, 2, 3}


def test_the_dead_are_survived() -> None:
    outcome = world(nodes=60, dead=0.5)
    assert outcome.json["success_ratio"] >= 0.95
    assert outcome.json["p99_ms"] < 2_000


def test_lost_datagrams_are_survived() -> None:
    outcome = world(nodes=30, weather=Weather(loss=0.3, duplicate=0.1, reorder=0.1))
    assert outcome.json["success_ratio"] >= 0.95


def test_no_forged_record_is_accepted_from_liars() -> None:
    outcome = world(nodes=40, liars=0.3)
    assert outcome.violations == []
    assert outcome.json["success_ratio"] >= 0.95


def test_colluding_ids_beside_a_key_do_not_push_it_out() -> None:
    outcome = world(nodes=120, lookups=3, finders=4, colluders=20)
    assert (outcome.found, len(outcome.lookup_ms), outcome.violations) == (12, 12, [])


def test_a_publish_counts_who_holds_it_and_when_eight_did() -> None:
    outcome = world(nodes=40, lookups=0, publishes=10)
    assert outcome.json["publishes"] == 10
    assert outcome.json["holders_p50"] >= 19
    assert 40 <= outcome.json["acked_p50_ms"] <= outcome.json["acked_p99_ms"] < 2_000
    assert all(acked <= took for acked, took in zip(outcome.acked_ms, outcome.publish_ms, strict=True))


# --- broken code is seen ----------------------------------------------------------------------------------------------


def test_nodes_that_check_no_signature_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2pblog.dht.records.verify", lambda *_: None)
    assert any("forged" in said for said in world(nodes=40, liars=0.4).violations)


def test_a_look_up_that_takes_the_first_answer_is_seen_to_miss_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "Parameters", lambda: Parameters(answers_enough=1, agreed_enough=1))
    assert world(nodes=40, lookups=40).json["success_ratio"] < 0.9


def test_servers_that_keep_the_older_record_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2pblog.dht.shelf.supersedes", lambda old, new: False)
    outcome = world()
    assert any("did not take the newer record of" in said and said.endswith(": stale") for said in outcome.violations)
    assert outcome.found == 0


def test_a_server_that_holds_what_does_not_prove_itself_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert world().violations == []
    proven = decode

    def late(key: DhtKey, data: bytes, now_ms: int) -> Record:
        return proven(key, data, now_ms + directory.LIFETIME_MS)

    monkeypatch.setattr("p2pblog.sim.checkers.servers.decode", late)
    violations = world().violations
    assert len(violations) > 20 and all("holds a record of" in said and "expired" in said for said in violations)


def test_a_table_beyond_its_limit_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2pblog.config.DHT_TOKENS_MAX", 2)
    assert any("tokens of other servers, which should hold at most 2" in said for said in world().violations)


# --- plans and parts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"look_ups": 3}, "unknown key: look_ups"),
        ({"lookups": "3"}, "lookups: expected a whole number, got a text"),
        ({"dead": 1.5}, "dead: expected a number <= 1.0"),
        ({"lookups": 0}, "no look-up"),
        ({"lookups": 5, "finders": 0}, "finders: expected a whole number >= 1"),
        ({"lookups": 5, "colluders": 3, "dead": 0.5}, "among colluders"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_in_words(table: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        DhtPlan.from_table(table)


def test_minted_keys_lie_nearer_than_anybody() -> None:
    minted = mint(generator(1, "mint"), 2_000)
    key = subject(1, 1).key
    crowd = beside(minted, key, 20)
    others = [node_id(KeyPair.from_seed(bytes([n]) * 32).public) for n in range(20)]
    assert max(distance(node_id(pair.public), key) for pair in crowd) < min(distance(other, key) for other in others)


def test_a_forgery_is_well_formed_and_refused() -> None:
    item = subject(1, 1)
    conspiracy = Conspiracy(generator(1, "liars"))
    conspiracy.versions[item.key] = [encode(item.old), encode(item.new)]
    with pytest.raises(BadSignature):
        decode(item.key, conspiracy.forgery(item.key), EPOCH_MS)
