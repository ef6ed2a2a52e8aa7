"""Whether a scenario makes sense in a size: settings that would do nothing are refused, each with a sentence."""

from __future__ import annotations

from collections.abc import Iterator

from p2pblog.errors import UsageError
from p2pblog.sim.byzantine import check_behaviours
from p2pblog.sim.churn import read_trace, times_of_pauses, times_of_sessions
from p2pblog.sim.faults import FAULTS, faults_of
from p2pblog.sim.faults.fault import SETTLED_S
from p2pblog.sim.scenario import Churn, Scenario


def check(scenario: Scenario, nodes: int) -> None:
    """Raises UsageError for what can be seen to be in vain before anything runs: who wrote it meant something else.

    A number that is merely larger than so few nodes is taken for all of them, so that each scenario runs in any size.
    """
    if scenario.kind != "gossip":
        return
    check_behaviours(scenario.byzantine)
    for said in (*_people(scenario, nodes), *_times(scenario), *_faults(scenario, nodes)):
        raise UsageError(f"the scenario {scenario.name}: {said}")
    if scenario.churn is not None:
        _check_churn(scenario.churn, scenario.name, nodes - scenario.start.newcomers, nodes)


def _people(scenario: Scenario, nodes: int) -> Iterator[str]:
    posts, follows, lies = scenario.posts, scenario.follows, scenario.byzantine
    if scenario.start.newcomers >= nodes:
        yield f"start.newcomers is below the number of nodes, {nodes:,}: somebody has to be there before"
    if lies.share and lies.spare >= nodes:
        yield f"byzantine.spare is below the number of nodes, {nodes:,}, or nobody lies"
    writers = min(posts.authors or nodes, nodes) if posts.count else 0
    if follows.graph == "one-author" and writers > follows.authors:
        yield (
            f"{writers:,} nodes write (posts.authors = {posts.authors:,}) and only the first {follows.authors:,} are "
            "followed (follows.authors): nobody would read the others"
        )


def _times(scenario: Scenario) -> Iterator[str]:
    duration_s, start = scenario.duration_s, scenario.start
    end_s = duration_s + scenario.settle_s
    first_s = scenario.posts.first_s
    if scenario.posts.count and first_s > duration_s:
        yield f"posts.first_s is {first_s:,.10g}, beyond duration_s, {duration_s:,.10g}: nothing is written before"
    words = scenario.words
    if words is not None and words.first_s + words.count * words.every_s > duration_s:
        yield (
            f"the last things of [words] are done at {words.first_s + words.count * words.every_s:,.10g} s, beyond "
            f"duration_s, {duration_s:,.10g}: they would have no time to spread"
        )
    if words is not None and not words.kinds:
        yield "words.kinds is empty: nobody does anything"
    if start.within_s > duration_s:
        yield f"start.within_s is {start.within_s:,.10g}, beyond duration_s, {duration_s:,.10g}: all is over before"
    if start.newcomers and start.newcomers_s >= end_s:
        yield f"start.newcomers_s is {start.newcomers_s:,.10g}, and the run ends at {end_s:,.10g} s: nobody comes"
    latest_s = end_s - SETTLED_S
    late = []
    if start.within_s > 1:  # as nearly all have it, also runs that are over soon
        late.append(("start.within_s", start.within_s))
    if start.newcomers:
        late.append(("start.newcomers_s", start.newcomers_s))
    if scenario.churn is not None:
        late.append(("churn.until_s, until when nodes come and go,", scenario.churn.until_s or duration_s))
    for what, at_s in late:
        if at_s > latest_s:
            yield (
                f"{what} is {at_s:,.10g}: who comes then has no time to catch up; it has to be {SETTLED_S} s before "
                f"the end of settle_s, which is {max(0.0, latest_s):,.10g} s here"
            )


def _faults(scenario: Scenario, nodes: int) -> Iterator[str]:
    end_s = scenario.duration_s + scenario.settle_s
    names = {made: kind for kind, made in FAULTS.items()}
    for fault in faults_of(scenario):
        kind = names[type(fault)]
        if fault.at_s >= end_s:
            yield f"a fault of the kind {kind} strikes at {fault.at_s:,.10g} s, and the run ends at {end_s:,.10g} s"
        if getattr(fault, "spare", 0) >= nodes and not getattr(fault, "first", 0):
            yield f"spare of a fault of the kind {kind} is below the number of nodes, {nodes:,}, or it strikes nobody"


def _check_churn(churn: Churn, name: str, settled: int, nodes: int) -> None:
    """`settled`: how many nodes are no newcomers, who neither come nor go."""
    if churn.steady >= settled:
        raise UsageError(f"the scenario {name}: churn.steady is below {settled:,}, or nobody comes and goes")
    if not churn.trace:
        times_of_sessions(churn)
        times_of_pauses(churn)
    elif not any(churn.steady <= number < settled for number in read_trace(churn.trace)):
        raise UsageError(
            f"the trace {churn.trace} names none of the nodes that may come and go: of {nodes:,}, numbered from 0, "
            f"those from {churn.steady:,} to {settled - 1:,}"
        )
