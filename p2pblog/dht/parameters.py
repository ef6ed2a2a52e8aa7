"""How many a look-up asks at once, how long it waits, and how many answers are enough: the figures of its rules."""

from __future__ import annotations

from p2pblog.config import DHT_CONTACTS_PER_BLOCK_MAX
from p2pblog.core.value import Value


class Parameters(Value):
    """What our model recommends, corrected by what the simulator showed (docs/decisions/0008)."""

    alpha: int = 12
    k: int = 20
    seeds: int = 60  # of one's own contacts, from which a walk begins
    lead: int = 1  # calls before all others, which go out when it is answered or after `lead_s`
    lead_s: float = 0.002
    hedge: float = 1.0  # in smoothed round trips
    retries: int = 1
    width: int = 40
    unproven_per_source: int = 3
    per_place: int = DHT_CONTACTS_PER_BLOCK_MAX  # who are asked of one address block, beside those of our own table
    burst: int = 20  # calls at once near where a publish stores, and in a crowd
    spare: int = 9  # calls beyond the answers that are still wanted, once a record was met
    answers_enough: int = 9  # where an older version was met beside what we have
    waits: tuple[tuple[float, int], ...] = ((1.0, 6), (2.0, 4), (4.0, 1))
    """So many time-outs after the first record so many answers are enough, where they differ in age."""
    agreed_enough: int = 11  # of 24 holders, half of them old, 9 are all old in one look-up of 6,000, 11 in 200,000
    agreed_waits: tuple[tuple[float, int], ...] = ((1.0, 9), (1.5, 7), (2.0, 6), (3.0, 4), (4.0, 1))
    """The same while nobody gave an older version than another: what all say may be what all have, or the publish that
    half of the holders missed reached none of these. 7 are all old one time in 440, 4 one time in twenty: that was all
    that was missed where half of the nodes are dead, and most at 30% loss, where half of the answers are late."""
    agreed_late: int = 9  # so many are not waited for longer, though some answers take several time-outs
    calls_max: int = 200  # ever closer invented ids must end somewhere
    known_max: int = 1_000
    rounds_max: int = 21  # of asking one contact for what did not fit: 128 pointers come six at a time
    repairs_max: int = 4
    crowd: int = 3  # so many times nearer than k nodes should lie: somebody chose these ids
    crowd_reach: int = 3  # in times k, how far a walk then goes
    region: int = (
        40  # nodes around a key, half of them dead perhaps, that take a record during the walk; twofold in a crowd
    )
    copies: int = 32  # stores begun while the walk goes on; threefold in a crowd
