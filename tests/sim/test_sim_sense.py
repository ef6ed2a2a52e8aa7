"""Settings that would do nothing: each is a sentence before anything runs, and no shipped scenario has one."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2pblog.errors import UsageError
from p2pblog.sim import scenario, sense
from p2pblog.sim.run import run

HERE = Path(__file__).parents[2]
FILES = sorted(
    [*(HERE / "simulations" / "scenarios").glob("*.toml"), *(HERE / "simulations" / "series").glob("*/*.toml")]
)
BEGINNING = 'caption = "x"\nduration_s = 30\nsettle_s = 20\n'


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_scenario_makes_sense_in_every_size(path: Path) -> None:
    found = scenario.find(str(path))

    for nodes in (scenario.NODES_MIN, found.nodes, scenario.NODES_MAX):
        sense.check(found, nodes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[faults]]\nkind = "skew"\nat_s = 50', "a fault of the kind skew strikes at 50 s, and the run ends at 50 s"),
        (
            '[[faults]]\nkind = "crash"\nat_s = 5\nspare = 20',
            "spare of a fault of the kind crash is below the number of",
        ),
        ("[byzantine]\nshare = 0.1\nspare = 20", "byzantine.spare is below the number of nodes, 20, or nobody lies"),
        ("[posts]\nfirst_s = 31", "posts.first_s is 31, beyond duration_s, 30"),
        ("[start]\nwithin_s = 31", "start.within_s is 31, beyond duration_s, 30"),
        ("[start]\nnewcomers = 20", "start.newcomers is below the number of nodes, 20"),
        ("[start]\nnewcomers = 2\nnewcomers_s = 50", "start.newcomers_s is 50, and the run ends at 50 s"),
        ("[start]\nnewcomers = 2\nnewcomers_s = 35.1", "newcomers_s is 35.1: who comes then has no time to catch up"),
        ('[churn]\nsessions = "ipfs"\nuntil_s = 36', "come and go, is 36: who comes then has no time to catch up"),
        ('[churn]\nsessions = "weibull"\nscale_s = 60\nshape = "4e-7"', "need a shape from 0.05 to 20"),
        ('[churn]\nsessions = "log-normal"\nmedian_s = 60\nsigma = "9e5"', "need a sigma from 0 to 10"),
        ('[churn]\nsessions = "log-normal"\nmedian_s = 60\nsigma = "NaN"', "need a sigma from 0 to 10"),
        ("[posts]\nauthors = 2", "2 nodes write (posts.authors = 2) and only the first 1 are followed"),
        ("[posts]\nauthors = 0", "20 nodes write (posts.authors = 0) and only the first 1 are followed"),
        ("[churn]\nsteady = 20", "churn.steady is below 20, or nobody comes and goes"),
        (
            '[churn]\nsessions = "weibull"\nscale_s = 60\nshape = "-1"',
            "weibull need a shape from 0.05 to 20",
        ),
        ('[churn]\npauses = "log-normal"\npause_median_s = 60\npause_sigma = "-1"', "need a sigma from 0 to 10"),
        ('[byzantine]\nbehaviours = ["tickle"]', "no behaviour called tickle"),
    ],
)
def test_what_would_do_nothing_is_refused(text: str, said: str) -> None:
    planned = scenario.read("mine", BEGINNING + text)

    for refuse in (sense.check, lambda planned, nodes: run(planned, nodes, 1)):
        with pytest.raises(UsageError) as caught:
            refuse(planned, 20)
        assert said in caught.value.sentence


@pytest.mark.parametrize(
    "text",
    [
        '[[faults]]\nkind = "skew"\nat_s = 49',
        '[[faults]]\nkind = "leave"\nat_s = 5\nfirst = 1\nspare = 20',
        "[byzantine]\nspare = 20",
        "[posts]\nfirst_s = 30",
        "[posts]\ncount = 0\nfirst_s = 31\nauthors = 0",
        "[start]\nnewcomers = 19\nnewcomers_s = 35",
        '[churn]\nsessions = "ipfs"\nsteady = 1\nuntil_s = 35',
        "[follows]\nauthors = 40\n[posts]\nauthors = 40",
        '[follows]\ngraph = "power-law"\n[posts]\nauthors = 0',
    ],
)
def test_what_does_something_is_taken(text: str) -> None:
    sense.check(scenario.read("mine", BEGINNING + text), 20)


def test_a_trace_names_a_node_that_may_come_and_go(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(BEGINNING + '[churn]\ntrace = "trace.csv"\n[start]\nnewcomers = 5\n')
    planned = scenario.find(str(tmp_path / "mine.toml"))

    for node, fits in ((0, False), (1, True), (14, True), (15, False), (20, False)):
        (tmp_path / "trace.csv").write_text(f"node,start_s,end_s\n{node},0,5\n")
        if fits:
            sense.check(planned, 20)
        else:
            with pytest.raises(
                UsageError, match=r"names none of the nodes .* of 20, numbered from 0, those from 1 to 14"
            ):
                sense.check(planned, 20)


def test_figures_of_what_nobody_could_have_had_are_none(tmp_path: Path) -> None:
    """An author without a reader on line: nothing was delivered, and no aim is met by that."""
    (tmp_path / "nobody.csv").write_text("node,start_s,end_s\n5,1,2\n")
    aimed = ("rmr", "rmr_cold", "relay_share", "lazy_bytes_ratio", "last_hop", "missed", "delivered_ratio")
    aims = "".join(f'{figure} = "<= 1"\n' for figure in aimed)
    text = f'[posts]\nfirst_s = 5\n[churn]\ntrace = "nobody.csv"\nsteady = 1\n[aims]\n{aims}'
    (tmp_path / "mine.toml").write_text(BEGINNING + text)

    document = run(scenario.find(str(tmp_path / "mine.toml")), 20, 1).document

    assert (document["notices"] > 0, document["pairs"]) == (True, 0)
    assert [(aim["value"], aim["met"]) for aim in document["aims"]] == [(None, None)] * len(aimed)
