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
        (BEGINNING + "nodes = 19", "nodes: expected a whole number >= 20"),
        (BEGINNING + "seed = -4", "seed: expected a whole number >= 0"),
        (BEGINNING + "seed = 99999999999999999999999", "seed: "),
        (BEGINNING + 'name = "steady"', "has the name of its file"),
        (BEGINNING + "knodes = 20", "unknown key: knodes"),
        (BEGINNING + "[network]\nlosses = 0.1", "unknown key: losses"),
        (BEGINNING + 'nodes = "many"', "nodes: expected a whole number, got a text"),
        (BEGINNING + "nodes = true", "nodes: expected a whole number, got true or false"),
        (BEGINNING + "network = 1", "network: expected a table, got a whole number"),
        (BEGINNING + "[posts]\ncount = 1.5", "count: expected a whole number, got a number"),
        (BEGINNING + "[posts]\nfirst_s = nan", "posts.first_s: expected a number >= 0.0"),
        (BEGINNING + "[posts]\nfirst_s = inf", "posts.first_s: expected a number <= 1000000000.0"),
        (BEGINNING + "[posts]\ncharacters = 100000", "posts.characters: expected a whole number <= 5000"),
        (BEGINNING + "[network]\nloss = 1.0", "network.loss: expected a number <= 0.9"),
        (BEGINNING + "[network]\nrtt_ms = [200]", "network.rtt_ms: expected a list of length 2, got 1"),
        (BEGINNING + "[network]\nrtt_ms = [200, 40]", "network: rtt_ms goes from the fastest to the slowest"),
        (BEGINNING + "[network]\nup_kbit_s = 0", "network.up_kbit_s: expected a whole number >= 1"),
        (BEGINNING + '[network]\nlike = "snail"', "network.like is one of even, tail, lossy"),
        (BEGINNING + "[network]\nlike = 3", "network.like is one of even, tail, lossy"),
        (BEGINNING + "[network]\nreorder = 0.5", "for which network.duplicate or reorder means nothing"),
        (BEGINNING + "[network]\nunreachable = 1.0", "network.unreachable: expected a number <= 0.9"),
        (BEGINNING + 'kind = "foo"', ": kind is one of gossip, dht, not 'foo'"),
        (BEGINNING + '[follows]\ngraph = "ring"', ": follows.graph is one of one-author, power-law, not 'ring'"),
        (BEGINNING + "churn = []", "churn: expected a table, got a list"),
        (BEGINNING + "[byzantine]\nmost = 0", "byzantine.most: expected a whole number >= 1"),
        (BEGINNING + "[dht]\nlookups = 3", "of the kind gossip, for which dht means nothing"),
        (BEGINNING + 'kind = "dht"\n[churn]\nonline = 0.5', "of the kind dht, for which churn means nothing"),
        (BEGINNING + 'kind = "dht"\n[network]\nunreachable = 0.5', "for which network.unreachable means nothing"),
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


def test_a_network_has_what_the_one_that_it_is_like_has() -> None:
    tail = scenario.read("mine", BEGINNING + '[network]\nlike = "tail"\ntail_share = 0.5')

    assert (tail.network.tail_share, tail.network.tail_rtt_ms) == (0.5, 1_000)
    assert scenario.read("mine", BEGINNING + '[network]\nlike = "even"') == scenario.read("mine", BEGINNING)


def test_a_trace_lies_beside_its_scenario(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(BEGINNING + '[churn]\ntrace = "sessions.csv"\n')

    churn = scenario.find(str(path)).churn
    assert churn is not None and churn.trace == str(tmp_path / "sessions.csv")


def test_a_scenario_nested_too_deeply_is_no_toml() -> None:
    with pytest.raises(UsageError, match="is no TOML"):
        scenario.read("mine", BEGINNING + "x = " + ("[" * 900 + "\n") * 20)


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    for name in (str(tmp_path / "none.toml"), str(tmp_path) + "/.toml", "none", "n" * 5_000):
        with pytest.raises(NotFound):
            scenario.find(name)


def test_a_name_without_its_ending_leads_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my own.toml").write_text(BEGINNING)

    with pytest.raises(NotFound) as caught:
        scenario.find("my own")

    assert (caught.value.sentence, caught.value.hint) == (
        "there is no scenario my own", "p2pblog sim run 'my own.toml'",
    )  # fmt: skip


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
    found = scenario.read("x", BEGINNING + '[aims]\nrmr = "<= 0.01"\nlatency_ms.p99 = "< 5"\n"last_hop" = "< 2.50"')

    assert [(aim.figure, aim.text) for aim in aims.parse_all(found.aims)] == [
        ("rmr", "<= 0.01"), ("latency_ms.p99", "< 5"), ("last_hop", "< 2.5"),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["0.01", "<= ", "=< 1", "<= 1 ms", "about 1", ""])
def test_what_is_no_aim_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="rmr"):
        aims.parse_all({"rmr": text})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[aims]\nfoo = "> 1"', "aims at foo, which is no figure of a run; there are violations_total, "),
        ('[aims]\nlatency_ms.max = "< 1"', "no figure of a run; the nearest: latency_warm_ms.max"),
        ('[aims]\nlatency_ms = "< 1"', "no figure of a run; the nearest: latency_ms.p"),
        ('[aims]\nviolations = "= 0"', "the nearest: violations_total"),
        ('[aims]\ndht.p99_ms = "< 1"', 'aims at dht.p99_ms, which is not measured without kind = "dht", or full'),
        ('full = true\n[aims]\ndht.success_ratio = "= 1"', 'not measured without kind = "dht"'),
        ('kind = "dht"\n[aims]\nrmr = "= 1"', 'not measured without kind = "gossip"'),
        ('kind = "dht"\n[aims]\ndht.acked_p50_ms = "< 1"', "not measured without publishes in [dht]"),
        ('[aims]\nnewcomers.ratio = "= 1"', "not measured without newcomers in [start]"),
        ('[aims]\nrelink.feeds = "= 1"', "not measured without a fault of the kind relink"),
    ],
)
def test_an_aim_at_what_no_run_of_the_scenario_measures_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        scenario.read("mine", BEGINNING + text)

    assert caught.value.sentence.startswith("the scenario mine aims at ")
    assert said in caught.value.sentence


def test_a_figure_that_may_come_out_empty_may_be_aimed_at() -> None:
    text = 'full = true\n[aims]\ncatch_up_ms.max = "< 1"\ndht.p50_ms = "< 1"\nmessages.Live = "< 9"\n'
    assert len(aims.parse_all(scenario.read("mine", BEGINNING + text).aims)) == 3


def test_an_aim_is_a_text() -> None:
    with pytest.raises(UsageError, match=r"latency_ms\.p99"):
        aims.parse_all({"latency_ms": {"p99": 5}})
