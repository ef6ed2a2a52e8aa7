"""Polls: what a notice asks, and how each node counts the votes that it holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from p2pblog.config import POLL_OPTION_CHARACTERS_MAX, POLL_OPTIONS_MAX, POLL_OPTIONS_MIN, TIME_MS_MAX
from p2pblog.core import codec
from p2pblog.core.keys import EntryId
from p2pblog.core.value import Value
from p2pblog.errors import Malformed


class Poll(Value):
    """What a notice asks: the texts to choose from, counted from 1, and the last moment at which a vote counts, in ms
    since 1970 UTC."""

    options: tuple[str, ...]
    closes_ms: int

    @property
    def value(self) -> dict[str, Any]:
        return {"closes": self.closes_ms, "options": list(self.options)}

    @classmethod
    def from_value(cls, value: Any) -> Poll:
        """Raises RemoteProtocolError for what is no poll, or one out of its limits."""
        fields = codec.as_map(value)
        options = codec.as_list(fields.get("options"), length_max=POLL_OPTIONS_MAX)
        if len(options) < POLL_OPTIONS_MIN:
            raise Malformed("a poll with nothing to choose from")
        return cls(tuple(map(_option, options)), codec.as_int(fields.get("closes"), 0, TIME_MS_MAX))


def _option(value: Any) -> str:
    text = codec.as_text(value, 4 * POLL_OPTION_CHARACTERS_MAX)
    if not 1 <= len(text) <= POLL_OPTION_CHARACTERS_MAX:
        raise Malformed(f"an option of 0 or over {POLL_OPTION_CHARACTERS_MAX} characters")
    return text


class Ballot(Value):
    """A vote as a node holds it. `voter` and `log`: whose it is and in which of their logs, in any numbering;
    `place_ms`: where it stands in timelines (see `core.timelines.sort_time`)."""

    voter: int | bytes
    log: int
    seq: int
    place_ms: int
    id: EntryId
    choice: int
    is_own: bool = False


class Tally(Value):
    """A poll as this node counts it. `own`: which option the node's own person chose, counted from 1; `own_vote`: the
    entry that says so."""

    options: tuple[str, ...]
    votes: tuple[int, ...]
    closes_ms: int
    own: int | None = None
    own_vote: EntryId | None = None

    @property
    def voters(self) -> int:
        return sum(self.votes)


def tally(poll: Poll, ballots: Iterable[Ballot]) -> Tally:
    """Count the votes that are held and shown, one of each person.

    A vote that stands later than the poll closes does not count, nor one for an option that there is not. Of the rest
    of one person's the first counts: in each log the one with the lowest number, which two nodes never see differently;
    of the first ones of several devices the one that stands first, and at one place the one with the lowest id.
    """
    firsts: dict[tuple[int | bytes, int], Ballot] = {}
    for ballot in ballots:
        if ballot.place_ms <= poll.closes_ms and 1 <= ballot.choice <= len(poll.options):
            first = firsts.setdefault((ballot.voter, ballot.log), ballot)
            if ballot.seq < first.seq:
                firsts[ballot.voter, ballot.log] = ballot
    counted: dict[int | bytes, Ballot] = {}
    for ballot in firsts.values():
        first = counted.setdefault(ballot.voter, ballot)
        if (ballot.place_ms, ballot.id) < (first.place_ms, first.id):
            counted[ballot.voter] = ballot
    votes = [0] * len(poll.options)
    for ballot in counted.values():
        votes[ballot.choice - 1] += 1
    own = next((ballot for ballot in counted.values() if ballot.is_own), None)
    if own is None:
        return Tally(poll.options, tuple(votes), poll.closes_ms)
    return Tally(poll.options, tuple(votes), poll.closes_ms, own.choice, own.id)
