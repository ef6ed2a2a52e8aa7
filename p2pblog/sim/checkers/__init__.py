"""Checkers: what must hold in every run, whatever the weather, the faults and the liars."""

from __future__ import annotations

from p2pblog.sim.checkers.addressed import Addressed, OnlyAddressee
from p2pblog.sim.checkers.authors import AuthorsKeepWord
from p2pblog.sim.checkers.delivery import Delivery
from p2pblog.sim.checkers.disputes import OneJudgement
from p2pblog.sim.checkers.entries import ValidEntries
from p2pblog.sim.checkers.links import DeadLinks, Shunning
from p2pblog.sim.checkers.order import StoreBeforeSend
from p2pblog.sim.checkers.punishment import JustEnds
from p2pblog.sim.checkers.queues import BoundedQueues
from p2pblog.sim.checkers.retirement import StaysRetired
from p2pblog.sim.checkers.words import LastWords
from p2pblog.sim.watch import Watcher


def all_checkers() -> list[Watcher]:
    """One of each, for one run."""
    return [
        ValidEntries(),
        JustEnds(),
        Delivery(),
        AuthorsKeepWord(),
        BoundedQueues(),
        StoreBeforeSend(),
        StaysRetired(),
        OneJudgement(),
        DeadLinks(),
        Shunning(),
        LastWords(),
        Addressed(),
        OnlyAddressee(),
    ]
