"""Results in folders: kept, drawn and compared."""

from __future__ import annotations

import builtins
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from p2pblog.cli import main
from p2pblog.errors import UsageError, UserError
from p2pblog.sim import folder, pictures, scenario
from p2pblog.sim.run import Outcome, Table, run


def types(*words: str) -> Result:
    result = CliRunner().invoke(main, ["sim", *words])
    assert "Traceback" not in result.output
    return result


def document(seed: int = 1, **changed: Any) -> dict[str, Any]:
    return {
        "scenario": "steady", "seed": seed, "nodes": 100, "virtual_s": 50.0, "delivered_ratio": 1.0, "missed": 0,
        "latency_ms": {"p50": 100.0, "p90": 200.0, "p99": 400.0}, "rmr": 0.0, "last_hop": 5,
        "violations_total": 0,
        "dht": {"lookups": 0, "success_ratio": None, "p50_ms": None, "p99_ms": None}, "trace_hash": f"{seed:032x}",
    } | changed  # fmt: skip


def keep(place: Path, **tables: Table) -> None:
    folder.write(place, Outcome(document(), tables))


def gossip_run(place: Path, seed: int, slower: float = 1.0, **changed: Any) -> None:
    """A run with tables of the shapes that the simulator keeps."""
    shares = [step / 10 for step in range(11)]
    tables = {
        "delivery": Table(
            ("share", "warm_ms", "cold_ms", "catch_up_ms"),
            [(share, 100 * slower + 50 * share, 200 * slower + 90 * share, "") for share in shares],
        ),
        "coverage": Table(("at_s", "pairs", "held"), [(at, 10, 10 - at % 3) for at in range(1, 20)] + [(20, 0, 0)]),
        "notices": Table(
            ("author", "written_s", "first", "deliveries", "copies", "relayed", "last_hop"),
            [(0, 10.0, 1, 99, 101, 0, 4), (0, 14.0, 0, 99, 99, 0, 4), (0, 18.0, 0, 0, 0, 0, 0)],
        ),
        "nodes": Table(
            ("node", "follows", "followers", "bytes_sent"), [(node, 1, 0, 1000 * node) for node in range(9)]
        ),
    }
    folder.write(place, Outcome(document(seed, **changed), tables))


def dht_run(place: Path, seed: int, dead: float, loss: float = 0.0) -> None:
    measured = {"lookups": 40, "success_ratio": 1.0, "p50_ms": 100 + 300 * dead, "p99_ms": 400 + 900 * dead}
    rows = [(step / 10, 100 + 10 * step, "", "") for step in range(11)]
    tables = {"lookups": Table(("share", "lookup_ms", "acked_ms", "publish_ms"), rows)}
    folder.write(
        place,
        Outcome(
            document(seed, scenario=f"dead-{dead:g}", conditions={"dead": dead, "loss": loss}, dht=measured), tables
        ),
    )


# --- plot -------------------------------------------------------------------------------------------------------------


def test_plot_draws_what_there_is_and_prints_the_files(tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        gossip_run(tmp_path / f"seed-{seed}", seed, 1 + seed / 10)

    printed = types("plot", str(tmp_path))

    names = ["delivery", "coverage", "duplicates", "bytes"]
    assert printed.stdout.splitlines() == [str(tmp_path / f"{name}.png") for name in names]
    for name in names:
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_results_are_the_same_picture(tmp_path: Path) -> None:
    gossip_run(tmp_path / "run", 1)

    def bytes_drawn() -> list[bytes]:
        answer = json.loads(types("plot", str(tmp_path), "--json").stdout)
        return [Path(path).read_bytes() for path in answer["pictures"]]

    assert bytes_drawn() == bytes_drawn()


def test_several_seeds_of_one_scenario_are_one_curve_with_a_band(tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        gossip_run(tmp_path / f"seed-{seed}", seed, seed)
    ((group, runs),) = pictures.grouped(folder.results(str(tmp_path))).items()
    figure = Figure()
    curves = pictures.Curves("steady", pictures.COLOURS[0], "-", tuple(runs))

    assert pictures.PICTURES["delivery"](figure, [curves])

    assert group == ("steady", 100)
    axes = figure.axes[0]
    warm, cold = axes.lines
    assert float(warm.get_xdata()[0]) == 200.0, "the middle one of 100, 200 and 300 ms"
    assert float(cold.get_xdata()[0]) == 400.0
    band = axes.collections[0].get_paths()[0].get_extents()
    assert (band.x0, band.x1) == (100.0, 350.0)


def test_the_same_seeds_of_two_folders_are_two_curves(tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        gossip_run(tmp_path / f"seed-{seed}", seed)
        gossip_run(tmp_path / "after" / "quick" / f"seed-{seed}", seed, 0.5)
    gossip_run(tmp_path / "after" / "slow", 1, 2.0)
    gossip_run(tmp_path / "one", 1, scenario="rewire")
    gossip_run(tmp_path / "two", 2, scenario="rewire")

    drawn = pictures.curves(folder.results(str(tmp_path)))

    assert [each.label for each in drawn] == [
        "rewire, 100 nodes, 2 seeds",
        "steady, 100 nodes, in after/quick, 3 seeds",
        "steady, 100 nodes, in after/slow",
        f"steady, 100 nodes, in {tmp_path.name}, 3 seeds",
    ]
    assert len({each.colour for each in drawn}) == 4


def test_what_dead_nodes_do_is_drawn_for_each_folder_of_the_same_seeds(tmp_path: Path) -> None:
    for dead in (0.0, 0.5):
        for side in ("before", "after"):
            dht_run(tmp_path / side / f"{dead:g}", 1, dead)
    figure = Figure()

    assert pictures.PICTURES["dead"](figure, pictures.curves(folder.results(str(tmp_path))))

    _, said = figure.axes[0].get_legend_handles_labels()
    assert said == ["p50, in after", "p99, in after", "p50, in before", "p99, in before"]


def drawn_text(place: Path, name: str) -> Figure:
    """A picture that has been drawn, so that its text can be measured."""
    figure = Figure(figsize=pictures.SIZE_INCHES, dpi=pictures.DOTS_PER_INCH, layout="constrained")
    assert pictures.PICTURES[name](figure, pictures.curves(folder.results(str(place))))
    FigureCanvasAgg(figure).draw()
    return figure


@pytest.mark.parametrize(("least", "most"), [(20, 90), (20, 900), (400, 20_000), (900, 60_000), (20, 3_000_000)])
def test_numbers_below_an_axis_stand_apart(least: int, most: int, tmp_path: Path) -> None:
    rows = [(share / 100, 40 + share, 50 + share, least + most * (share / 100) ** 3) for share in range(101)]
    gossip_run(tmp_path, 1)
    keep(tmp_path, delivery=Table(("share", "warm_ms", "cold_ms", "catch_up_ms"), rows))

    for axes in drawn_text(tmp_path, "delivery").axes:
        low, high = axes.get_xlim()
        boxes = [
            tick.label1.get_window_extent()
            for tick in axes.xaxis.get_major_ticks()
            if low <= tick.get_loc() <= high and tick.label1.get_text()
        ]
        assert len(boxes) >= 2
        assert all(left.x1 + 2 < right.x0 for left, right in itertools.pairwise(boxes))


def test_shares_beside_an_axis_are_not_rounded(tmp_path: Path) -> None:
    gossip_run(tmp_path, 1)
    keep(tmp_path, coverage=Table(("at_s", "pairs", "held"), [(at, 1000, 1000 - 20 * (at % 11)) for at in range(40)]))

    axis = drawn_text(tmp_path, "coverage").axes[0].yaxis
    told = [(tick.get_loc(), tick.label1.get_text()) for tick in axis.get_major_ticks()]

    assert any(100 * share % 1 for share, _ in told), "a tick between two percents"
    assert all(abs(100 * share - float(text.rstrip("%"))) < 0.001 for share, text in told)


@pytest.mark.parametrize("name", ["cost$_$x", "_hidden", "two_words"])
def test_a_name_is_drawn_as_it_is_spelled(name: str, tmp_path: Path) -> None:
    gossip_run(tmp_path, 1, scenario=name)

    legend = drawn_text(tmp_path, "bytes").axes[0].get_legend()

    assert legend is not None
    (text,) = legend.get_texts()
    assert text.get_text().strip().replace("\\$", "$") == f"{name}, 100 nodes"


def test_a_partition_is_shaded(tmp_path: Path) -> None:
    crash = {"kind": "crash", "from_s": 12.0, "to_s": 12.0}
    episodes = [
        {"kind": "partition", "from_s": 5.0, "to_s": 9.0},
        {"kind": "any", "from_s": 10.0, "to_s": 20.0, "drawn": [crash]},
    ]
    gossip_run(tmp_path, 1, episodes=episodes)
    figure = Figure()

    pictures.PICTURES["coverage"](figure, [pictures.Curves("steady", "#000000", "-", (folder.Result(tmp_path),))])

    _, said = figure.axes[0].get_legend_handles_labels()
    assert sorted(said) == ["crash", "partition", "steady"]
    (shade,) = figure.axes[0].patches
    assert (shade.get_x(), shade.get_x() + shade.get_width()) == (5.0, 9.0)
    assert figure.axes[0].lines[0].get_xydata()[-1][0] == 19.0, "a moment without pairs is no point"


def test_latency_is_drawn_against_the_share_of_the_dead(tmp_path: Path) -> None:
    for dead in (0.0, 0.5, 0.8):
        dht_run(tmp_path / f"{dead:g}", 1, dead)
    dht_run(tmp_path / "lossy", 2, 0.5, loss=0.3)

    printed = types("plot", str(tmp_path)).stdout.splitlines()

    assert [Path(path).name for path in printed] == ["lookups.png", "dead.png"]
    figure = Figure()
    results = folder.results(str(tmp_path))
    pictures.PICTURES["dead"](figure, [pictures.Curves("", "", "", tuple(results))])
    half, worst = figure.axes[0].lines
    assert [tuple(point) for point in half.get_xydata()] == [(0, 100), (50, 250), (80, 340)]
    assert [len(runs) for runs in pictures.grouped(results).values()] == [1, 2, 1], "the lossy one is left out above"
    assert [tuple(point) for point in worst.get_xydata()] == [(0, 400), (50, 850), (80, 1120)]


def test_without_matplotlib_one_learns_what_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gossip_run(tmp_path, 1)
    real = builtins.__import__

    def without(name: str, *more: Any, **also: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *more, **also)

    monkeypatch.setattr(builtins, "__import__", without)
    result = types("plot", str(tmp_path))

    assert result.exit_code == 1
    assert "matplotlib" in result.stderr
    assert f"Try: {sys.executable} -m pip install 'matplotlib >=3.8,<4'\n" in result.stderr


# --- compare ----------------------------------------------------------------------------------------------------------


def rows_of(answer: Any) -> dict[str, Any]:
    (group,) = answer["groups"]
    return {row["figure"]: row for row in group["figures"]}


def compared(tmp_path: Path) -> Any:
    result = types("compare", str(tmp_path / "before"), str(tmp_path / "after"), "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_compare_says_what_got_worse(tmp_path: Path) -> None:
    gossip_run(tmp_path / "before", 1)
    slower = {"p50": 110.0, "p90": 180.0, "p99": 401.0}
    gossip_run(tmp_path / "after", 1, latency_ms=slower, delivered_ratio=0.999, rmr=0.01, trace_hash="f" * 32)

    answer = compared(tmp_path)

    rows = rows_of(answer)
    assert answer["groups"][0]["identical"] is False
    assert rows["latency_ms.p50"] == {
        "figure": "latency_ms.p50", "before": 100.0, "after": 110.0, "difference": 10.0, "percent": 10.0,
        "verdict": "worse",
    }  # fmt: skip
    verdicts = {name: row["verdict"] for name, row in rows.items()}
    assert verdicts["latency_ms.p90"] == "better"
    assert verdicts["latency_ms.p99"] == "same", "a quarter of a percent"
    assert verdicts["delivered_ratio"] == "worse", "one in a thousand is looked at closely"
    assert (rows["rmr"]["percent"], rows["rmr"]["verdict"]) == (None, "worse")
    assert verdicts["last_hop"] == "same"
    assert verdicts["virtual_s"] is None


def test_several_seeds_are_compared_by_their_means_and_equal_ones_by_their_traces(tmp_path: Path) -> None:
    for seed, p50 in ((1, 100.0), (2, 120.0)):
        latency = {"p50": p50, "p90": 200.0, "p99": 400.0}
        gossip_run(tmp_path / "before" / str(seed), seed, latency_ms=latency)
        gossip_run(tmp_path / "after" / str(seed), seed, latency_ms=latency)
    gossip_run(tmp_path / "after" / "more", 3)
    dht_run(tmp_path / "before" / "dht", 1, 0.5)

    answer = compared(tmp_path)

    group = answer["groups"][0]
    assert (group["runs_before"], group["runs_after"], group["identical"]) == (2, 3, True)
    assert rows_of(answer)["latency_ms.p50"]["before"] == 110.0
    assert answer["only_before"] == ["dead-0.5, 100 nodes"]
    assert answer["only_after"] == []


def test_a_person_sees_it_side_by_side(tmp_path: Path) -> None:
    gossip_run(tmp_path / "before", 1)
    gossip_run(tmp_path / "after", 1, last_hop=7)

    page = types("compare", str(tmp_path / "before"), str(tmp_path / "after")).stdout

    assert "steady, 100 nodes (1 and 1 runs, seed 1, with the same traces)" in page
    (row,) = [text for text in page.splitlines() if "last_hop" in text]
    assert row.split() == ["last_hop", "5", "7", "+40.0%", "worse"]


# --- folders ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["plot"], ["compare", "."]])
def test_an_empty_folder_leads_to_a_run(command: list[str], tmp_path: Path) -> None:
    result = types(*command[:1], *([str(tmp_path)] * len(command)))

    assert result.exit_code == 4
    assert "there is no result.json" in result.stderr
    assert "sim run" in result.stderr


@pytest.mark.parametrize("text", ["no json", "[]", '{"scenario": "steady"}', b"\xff"])
def test_what_is_no_result_is_named(text: str | bytes, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_bytes(text if isinstance(text, bytes) else text.encode())

    result = types("plot", str(tmp_path))

    assert result.exit_code == 1
    assert f"{tmp_path / 'result.json'}" in result.stderr
    assert "codec" not in result.stderr and "Expecting" not in result.stderr


def test_a_table_of_another_shape_is_named(tmp_path: Path) -> None:
    keep(tmp_path, nodes=Table(("node", "bytes_sent"), [(0, "many")]))

    result = types("plot", str(tmp_path))

    assert result.exit_code == 1
    assert "nodes.csv is no table of a run: a row has no number below bytes_sent" in result.stderr


def test_a_result_without_tables_says_what_is_missing(tmp_path: Path) -> None:
    keep(tmp_path)

    assert "run them with --out" in types("plot", str(tmp_path)).stderr


# --- a folder that is used again --------------------------------------------------------------------------------------


def test_a_run_takes_the_place_of_the_one_that_lay_there_once_it_is_over(tmp_path: Path) -> None:
    gossip_run(tmp_path, 1)
    gossip_run(tmp_path / "seed-2", 2)
    (tmp_path / "notes.csv").write_text("mine")
    there = sorted(path for path in tmp_path.rglob("*") if path.is_file())

    assert folder.begin(str(tmp_path)) == tmp_path
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == there, "it may yet fail"
    keep(tmp_path, lookups=Table(("share",), [(1,)]))

    assert sorted(path.name for path in tmp_path.iterdir()) == ["lookups.csv", "notes.csv", "result.json"]


def test_what_is_not_of_a_run_stays_in_a_folder_that_is_used_again(tmp_path: Path) -> None:
    gossip_run(tmp_path / "top" / "seed-1", 1)
    gossip_run(tmp_path / "top" / "seed-2", 2)
    gossip_run(tmp_path / "elsewhere", 3)
    gossip_run(tmp_path / "top" / "before", 4)
    assert types("plot", str(tmp_path / "top")).exit_code == 0
    (tmp_path / "top" / "seed-2" / "notes.txt").write_text("mine")
    (tmp_path / "top" / "seed-3").mkdir()
    (tmp_path / "top" / "seed-3" / "beans.txt").write_text("mine")
    (tmp_path / "top" / "seed-4").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "top" / "bees.png").write_text("mine")

    folder.clear(tmp_path / "top")

    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert [path for path in left if not path.startswith(("elsewhere", "top/before"))] == [
        "top/bees.png", "top/seed-2/notes.txt", "top/seed-3/beans.txt",
    ]  # fmt: skip
    assert len(left) == 5 + 5 + 3
    assert (tmp_path / "top" / "seed-4" / "result.json").is_file()


@pytest.mark.parametrize("name", ["nodes.csv", "result.json"])
def test_a_file_with_one_of_our_names_and_no_run_is_somebody_elses(name: str, tmp_path: Path) -> None:
    """As the trace of sessions that lies beside a scenario."""
    (tmp_path / "seed-1").mkdir()
    for place in tmp_path, tmp_path / "seed-1":
        (place / name).write_text('{"my": 1}')
        said = f"there is {name} in .*, which no finished run has written: choose another folder"
        with pytest.raises(UserError, match=said):
            folder.begin(str(place))
        with pytest.raises(UserError, match="choose another folder"):
            keep(place)
        folder.clear(tmp_path)
        assert (place / name).read_text() == '{"my": 1}'
    with pytest.raises(UsageError, match="this one is empty"):
        folder.begin("")


def test_what_lies_where_the_second_of_several_runs_goes_is_told_before_the_first(tmp_path: Path) -> None:
    (tmp_path / "seed-2").mkdir()
    (tmp_path / "seed-2" / "nodes.csv").write_text("mine")
    with pytest.raises(UserError, match="seed-2, which no finished run has written"):
        folder.begin(str(tmp_path), range(1, 3))
    assert folder.begin(str(tmp_path), range(3, 5)) == tmp_path


def test_a_run_that_is_interrupted_while_it_is_kept_leaves_nothing_that_the_next_one_stumbles_over(
    tmp_path: Path,
) -> None:
    def rows() -> Iterator[list[int]]:
        yield [1]
        raise KeyboardInterrupt

    interrupted: Any = SimpleNamespace(document={}, tables={"nodes": SimpleNamespace(header=["node"], rows=rows())})
    with pytest.raises(KeyboardInterrupt):
        folder.write(tmp_path, interrupted)
    assert list(tmp_path.iterdir()) == []
    assert folder.begin(str(tmp_path)) == tmp_path


def test_a_picture_in_a_folder_without_a_run_is_somebody_elses(tmp_path: Path) -> None:
    (tmp_path / "bytes.png").write_text("mine")

    keep(tmp_path)

    assert (tmp_path / "bytes.png").read_text() == "mine"


def test_every_table_and_picture_of_a_run_is_forgotten_with_it() -> None:
    assert {*folder.PICTURES} == pictures.PICTURES.keys()
    for text in ("duration_s = 12\nsettle_s = 1", 'kind = "dht"\n[dht]\nlookups = 3'):
        outcome = run(scenario.read("mine", f'caption = "x"\n{text}'), 20, 1)
        assert outcome.tables.keys() <= set(folder.TABLES)


def test_compare_tells_of_broken_rules_and_of_nothing_to_compare(tmp_path: Path) -> None:
    gossip_run(tmp_path / "before", 1, violations_total=0)
    gossip_run(tmp_path / "after", 1, violations_total=10)
    gossip_run(tmp_path / "other", 1, scenario="rewire")

    said = types("compare", str(tmp_path / "before"), str(tmp_path / "after")).output
    assert "violations_total" in said and "worse" in said
    nothing = types("compare", str(tmp_path / "before"), str(tmp_path / "other"))
    assert (nothing.exit_code, nothing.stdout) == (4, "")
    assert "nothing to compare" in nothing.stderr
    assert "before steady, 100 nodes; in " in nothing.stderr and "other rewire, 100 nodes" in nothing.stderr


@pytest.mark.parametrize(
    ("before", "after", "heading"),
    [
        ({1: "a"}, {1: "a"}, "1 and 1 runs, seed 1, with the same traces"),
        ({1: "a", 2: "b"}, {1: "a", 2: "c"}, "2 and 2 runs, seeds 1-2"),
        ({1: "a", 2: "b"}, {2: "b", 3: "c"}, "2 and 2 runs, of which seed 2 on both sides, there with the same traces"),
        (
            {1: "a", 2: "b", 3: "c", 5: "e"},
            {1: "a", 2: "c", 5: "e"},
            "4 and 3 runs, of which seeds 1-2, 5 on both sides",
        ),
        ({1: "a"}, {2: "a"}, "1 and 1 runs, with no seed in common"),
    ],
)
def test_compare_says_how_far_the_seeds_are_the_same(
    before: dict[int, str], after: dict[int, str], heading: str, tmp_path: Path
) -> None:
    for side, traces in (("before", before), ("after", after)):
        for seed, trace in traces.items():
            gossip_run(tmp_path / side / f"seed-{seed}", seed, trace_hash=trace)

    page = types("compare", str(tmp_path / "before"), str(tmp_path / "after")).stdout

    assert f"steady, 100 nodes ({heading})\n" in page
    (group,) = compared(tmp_path)["groups"]
    assert group["seeds_common"] == sorted(before.keys() & after.keys())
    assert group["identical"] == ("same traces" in heading)


def test_two_codes_of_one_seed_have_no_same_trace(tmp_path: Path) -> None:
    gossip_run(tmp_path / "before", 1, trace_hash="a")
    for code in ("a", "b"):
        gossip_run(tmp_path / "after" / code, 1, trace_hash=code)

    assert compared(tmp_path)["groups"][0]["identical"] is False


@pytest.mark.parametrize("text", ['{"scenario": "a", "seed": 1}', '{"scenario": 1, "seed": 1, "nodes": 20}', "[]", "{"])
def test_half_a_document_is_no_result(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_text(text)

    compared = types("compare", str(tmp_path), str(tmp_path))
    assert compared.exit_code != 0 and "result" in compared.output and "internal" not in compared.output
