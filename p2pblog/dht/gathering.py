"""What the holders of a key named in one look-up, and who named it, so that no liar among them has the say.

Whoever looks up can't check all that a record claims: a replica's host, an author of pointers. One node may make up as
many as a key has room for. So what is named from a second place, too, comes first, and each place has one after the
other. A place is an address block, as in the routing table: one host can have as many node ids as it likes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice, zip_longest

from p2pblog.config import MANY_PER_KEY_MAX
from p2pblog.core.address import Endpoint
from p2pblog.core.value import State, field
from p2pblog.dht.contacts import Place, place_of
from p2pblog.dht.records import Record, encode
from p2pblog.dht.shelf import record_tag

GATHERED_MAX = 8 * MANY_PER_KEY_MAX
"""Records of one look-up: as many as seven liars make up, and what the others have."""


class Gathering(State):
    """With `twice_named` only what was named from two places counts."""

    twice_named: bool = False
    _records: dict[bytes, Record] = field(default_factory=dict)
    _first: dict[bytes, Place] = field(default_factory=dict)
    """By tag, from where a record was named first."""
    _seconded: dict[bytes, None] = field(default_factory=dict)
    """Tags of the records that were named from somewhere else, too."""
    _alone: Counter[Place] = field(default_factory=Counter)
    """How many records were named from each place alone."""

    def take(self, namer: Endpoint, record: Record) -> bool:
        """Somebody named a record; gives whether it is new and there is room for it."""
        tag, place = record_tag(encode(record)), place_of(namer)
        first = self._first.get(tag)
        if first is None:
            if len(self._records) >= GATHERED_MAX or self._alone[place] >= MANY_PER_KEY_MAX:
                return False
            self._records[tag], self._first[tag] = record, place
            self._alone[place] += 1
            return True
        if first != place and tag not in self._seconded:
            self._seconded[tag] = None
            self._alone[first] -= 1
        return False

    @property
    def news(self) -> int:
        """Grows with all that tells something new."""
        return len(self._records) + len(self._seconded)

    @property
    def is_full(self) -> bool:
        """Whether a key can't have more than is here, if no place that named much first gets more than its share: two
        liars who name the same would fill all there is."""
        named = Counter(self._first[tag] for tag in (self._seconded if self.twice_named else self._records))
        share = -(-MANY_PER_KEY_MAX // max(1, len(named)))
        return sum(min(count, share) for count in named.values()) >= MANY_PER_KEY_MAX

    def have(self, namer: Endpoint) -> tuple[bytes, ...]:
        """The tags of what this node need not give again: what it gave, what is certain, and what others alone named,
        unless it is asked whether it has that, too."""
        place = place_of(namer)
        own = (tag for tag, first in self._first.items() if first == place and tag not in self._seconded)
        others = () if self.twice_named else (tag for tag in self._records if tag not in self._seconded)
        known = dict.fromkeys([*own, *self._in_turns(self._seconded), *self._in_turns(others)])
        return tuple(sorted(islice(known, MANY_PER_KEY_MAX)))

    def records(self) -> Iterable[Record]:
        """In the order in which they have room."""
        if len(self._records) <= MANY_PER_KEY_MAX and not self.twice_named:
            return self._records.values()
        alone = () if self.twice_named else (tag for tag in self._records if tag not in self._seconded)
        return [self._records[tag] for tag in (*self._in_turns(self._seconded), *self._in_turns(alone))]

    def _in_turns(self, tags: Iterable[bytes]) -> Iterator[bytes]:
        """One after the other of each place that named some of these first."""
        named: dict[Place, list[bytes]] = {}
        for tag in tags:
            named.setdefault(self._first[tag], []).append(tag)
        return (tag for tag in chain.from_iterable(zip_longest(*named.values())) if tag is not None)
