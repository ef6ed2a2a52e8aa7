"""Links of strangers that a fault ended: counted, so that one line a minute tells of them however many there were."""

from __future__ import annotations

from collections import Counter

from p2pblog.core.value import State, field

PASSING_S = 60.0
"""Who opened a link and lost it within this time is a stranger (a guess). Those who stand longer and take all places
make some 20 MB of log a day, by a line each; nothing but our processor bounds how often others come and go."""
TELL_EVERY_S = 60.0


def is_passing(dialed: bool, stood_s: float) -> bool:
    """Whether a link that we `dialed`, or not, and that stood for so long, was one of a stranger who came by."""
    return not dialed and stood_s < PASSING_S


class Passing(State):
    """`ended`: the name of an error, and how many links it ended since it was last told."""

    ended: Counter[str] = field(default_factory=Counter)

    def add(self, fault: str) -> bool:
        """Count one; gives whether it is the first that is to be told."""
        self.ended[fault] += 1
        return self.ended.total() == 1

    def tell(self) -> str:
        """All that was counted, the most frequent fault first; the count begins anew."""
        told = ", ".join(f"{fault} {times}" for fault, times in self.ended.most_common())
        number = self.ended.total()
        self.ended.clear()
        return f"{number} {'link' if number == 1 else 'links'} of strangers ended: {told}"
