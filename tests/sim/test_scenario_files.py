"""Scenario files: all that come along can be run, and what is wrong with one is said in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2pblog.errors import NotFound, UsageError
from p2pblog.sim import aims, scenario
from p2pblog.sim.aims import Aim

BEGINNING = 'caption = "x"\n'


@pytest.mark.parametrize("name", scenario.names())
def test_every_scenario_says_what_it_is_about(name: str) -> None:
    found = scenario.find(name)

    assert found.name == name
    assert 10 < len(found.caption) < 100
    assert not found.caption.endswith(".")
    assert aims.parse_all(found.aims), "an experiment without an aim is a demonstration"
    assert found.nodes >= scenario.NODES_MIN


def test_a_file_of_ones_own_is_a_scenario(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(BEGINNING + "nodes = 30\n[network]\nrtt_ms = [1, 2]\nloss = 0.1\n[posts]\nfirst_s = 3\n")

    mine = scenario.find(str(path))

    assert (mine.name, mine.nodes, mine.network.rtt_ms, mine.network.loss) == ("mine", 30, (1, 2), 0.1)
    assert (mine.posts.first_s, type(mine.posts.first_s)) == (3.0, float)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nodes = ", "is no TOML"),
        ("nodes = 20", "lacks caption"),
        (BEGINNING + "nodes = 19", "fewer than 20 nodes"),
        (BEGINNING + "knodes = 20", "unknown key: knodes"),
        (BEGINNING + "[network]\nlosses = 0.1", "unknown key: losses"),
        (BEGINNING + 'nodes = "many"', "nodes should be of another type than str"),
        (BEGINNING + "nodes = true", "nodes should be of another type than bool"),
        (BEGINNING + "network = 1", "network should be of another type than int"),
        (BEGINNING + "[posts]\ncount = 1.5", "count should be of another type than float"),
    ],
)
def test_a_mistake_is_named(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        scenario.read("mine", text)

    assert "mine" in caught.value.sentence
    assert said in caught.value.sentence


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_a_file_or_a_line_of_too_many_characters_is_no_scenario(over: int) -> None:
    line = "# " + "x" * (scenario.LINE_CHARACTERS_MAX + over - 2)
    whole = (BEGINNING + "#\n" * scenario.SCENARIO_CHARACTERS_MAX)[: scenario.SCENARIO_CHARACTERS_MAX + over]

    for text in (BEGINNING + line, whole):
        if over > 0:
            with pytest.raises(UsageError, match="has over 65,536 characters, or 1,000 in a line"):
                scenario.read("mine", text)
        else:
            assert scenario.read("mine", text).name == "mine"


def test_a_scenario_nested_too_deeply_is_no_toml() -> None:
    with pytest.raises(UsageError, match="is no TOML"):
        scenario.read("mine", BEGINNING + "x = " + ("[" * 900 + "\n") * 20)


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    for name in (str(tmp_path / "none.toml"), str(tmp_path) + "/.toml", "none"):
        with pytest.raises(NotFound):
            scenario.find(name)


# --- aims -------------------------------------------------------------------------------------------------------------


def test_an_aim_is_judged_by_the_figure_it_names() -> None:
    document = {"rmr": 0.01, "latency_ms": {"p99": 1200.5}, "dht": {"p50_ms": None}, "scenario": "steady"}

    def judged(figure: str, text: str) -> object:
        return Aim.parse(figure, text).judge(document)["met"]

    assert judged("rmr", "<= 0.01") is True
    assert judged("rmr", "< 0.01") is False
    assert judged("latency_ms.p99", "< 1100") is False
    assert judged("latency_ms.p99", ">1100") is True
    assert judged("dht.p50_ms", "< 1") is None
    assert judged("nothing.at_all", "< 1") is None
    assert judged("scenario", "< 1") is None


def test_aims_of_toml_are_tables_within_tables() -> None:
    found = scenario.read("x", BEGINNING + '[aims]\nrmr = "<= 0.01"\nlatency_ms.p99 = "< 5"\n"dht.p50_ms" = "< 2.50"')

    assert [(aim.figure, aim.text) for aim in aims.parse_all(found.aims)] == [
        ("rmr", "<= 0.01"), ("latency_ms.p99", "< 5"), ("dht.p50_ms", "< 2.5"),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["0.01", "<= ", "=< 1", "<= 1 ms", "about 1", ""])
def test_what_is_no_aim_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="rmr"):
        aims.parse_all({"rmr": text})


def test_an_aim_is_a_text() -> None:
    with pytest.raises(UsageError, match=r"latency_ms\.p99"):
        aims.parse_all({"latency_ms": {"p99": 5}})
