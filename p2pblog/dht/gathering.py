"""What the holders of a key named in one look-up, and who named it, so that no liar among them has the say.

Whoever looks up can't check all that a record claims: a replica's host, an author of pointers. One node may make up as
many as a key has room for. So what a second node names, too, comes first, and then each has one after the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import chain, zip_longest

from p2pblog.config import MANY_PER_KEY_MAX
from p2pblog.core.value import State, field
from p2pblog.dht.contacts import NodeId
from p2pblog.dht.records import Record, encode
from p2pblog.dht.shelf import record_tag

GATHERED_MAX = 8 * MANY_PER_KEY_MAX
"""Records of one look-up: as many as seven liars make up, and what the others have."""


class Gathering(State):
    """With `twice_named` only what two nodes named counts."""

    twice_named: bool = False
    _records: dict[bytes, Record] = field(default_factory=dict)
    _first: dict[bytes, NodeId] = field(default_factory=dict)
    """By tag, who named a record first."""
    _seconded: dict[bytes, None] = field(default_factory=dict)
    """Tags of the records that somebody else named, too."""
    _alone: Counter[NodeId] = field(default_factory=Counter)
    """How many records each alone named."""

    def take(self, node: NodeId, record: Record) -> bool:
        """A node named a record; gives whether it is new and there is room for it."""
        tag = record_tag(encode(record))
        first = self._first.get(tag)
        if first is None:
            if len(self._records) >= GATHERED_MAX or self._alone[node] >= MANY_PER_KEY_MAX:
                return False
            self._records[tag], self._first[tag] = record, node
            self._alone[node] += 1
            return True
        if first != node and tag not in self._seconded:
            self._seconded[tag] = None
            self._alone[first] -= 1
        return False

    @property
    def news(self) -> int:
        """Grows with all that tells something new."""
        return len(self._records) + len(self._seconded)

    @property
    def is_full(self) -> bool:
        """Whether a key can't have more than is here, if nobody who names much alone gets more than his share."""
        if self.twice_named:
            return len(self._seconded) >= MANY_PER_KEY_MAX
        share = MANY_PER_KEY_MAX // max(1, len(self._alone))
        return len(self._seconded) + sum(min(alone, share) for alone in self._alone.values()) >= MANY_PER_KEY_MAX

    def have(self, node: NodeId) -> tuple[bytes, ...]:
        """The tags of what this node need not give again: what it gave, what is certain, and what others alone named,
        unless it is asked whether it has that, too."""
        own = [tag for tag, first in self._first.items() if first == node and tag not in self._seconded]
        of_others = [] if self.twice_named else [tag for tag in self._records if tag not in self._seconded]
        return tuple(sorted(list(dict.fromkeys([*own, *self._seconded, *of_others]))[:MANY_PER_KEY_MAX]))

    def records(self) -> Iterable[Record]:
        """In the order in which they have room."""
        if len(self._records) <= MANY_PER_KEY_MAX and not self.twice_named:
            return self._records.values()
        seconded = [self._records[tag] for tag in self._seconded]
        if self.twice_named:
            return seconded
        alone: dict[NodeId, list[Record]] = {}
        for tag, record in self._records.items():
            if tag not in self._seconded:
                alone.setdefault(self._first[tag], []).append(record)
        in_turns = chain.from_iterable(zip_longest(*alone.values()))
        return [*seconded, *(record for record in in_turns if record is not None)]
