"""Conversations: which notices belong to one, which of them wait, and in which order they are read. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from functools import cache

from p2pblog.core.keys import EntryId
from p2pblog.core.timelines import Row
from p2pblog.core.value import Value
from p2pblog.store.meaning import STAND_FOR, Kind


class Node(Value):
    """An entry held, as a conversation sees it. `lacking`: its payload is missing, so we can't tell what it is.
    `place`: where it stands in timelines; the first number is a time in ms. `is_own`: of the node's own identity.
    `is_strange`: of somebody who is a stranger to it; `waits`: and it is said to us."""

    kind: Kind
    of: EntryId | None
    lacking: bool
    place: tuple[int, ...]
    is_own: bool = False
    is_strange: bool = False
    waits: bool = False


class Which(Enum):
    """Which replies are asked for: all, or those that wait, or the others."""

    ALL = "all"
    TOLD = "told"
    WAITING = "waiting"


Replies = Callable[[EntryId, int, Which], Sequence[EntryId]]
"""At most so many replies to an id, oldest first."""


class Walk(Value):
    """A conversation's ids: its root; all that are held, shown or not, oldest first; what strangers said to us below
    our own notices, oldest first."""

    root: EntryId | None
    held: tuple[EntryId, ...]
    waiting: tuple[EntryId, ...] = ()


def walk_thread(notice: EntryId, find: Callable[[EntryId], Node | None], replies: Replies, notices_max: int) -> Walk:
    """Up from `notice` to the topmost ancestor known, then down through all replies held, level by level.

    `find` gives an entry held. What is in STAND_FOR stands for what it refers to. At most `notices_max` entries, those
    between `notice` and the root in any case. What waits below our own notices is left out, and told apart; so is what
    other strangers answer to that.
    """
    look_up = cache(find)
    found = look_up(notice)
    named = found.of if found is not None and found.kind in STAND_FOR else None
    if named is not None:
        notice, found = named, look_up(named)
    if found is None and named is None and not replies(notice, 1, Which.ALL):
        return Walk(None, ())
    path = [notice]
    while found is not None and found.kind == Kind.NOTE and found.of is not None and len(path) < notices_max:
        path.append(found.of)
        found = look_up(found.of)
    within, waiting = _descend(path, look_up, replies, notices_max)
    nodes = {entry: node for entry in within if (node := look_up(entry)) is not None}
    apart = {entry: node for entry in waiting if (node := look_up(entry)) is not None and node.waits}
    return Walk(path[-1], tuple(_oldest_first(nodes)), tuple(_oldest_first(apart)))


def named_in(
    walk: Walk, notices: Iterable[Row], look_up: Callable[[EntryId], Node | None]
) -> tuple[int, tuple[EntryId, ...]]:
    """How many notices a conversation knows of, and the ids of those of them that are not here; `notices`: its shown
    ones. What can be lacking is what something held names: the root, which is answered or reacted to, and what is
    quoted. Nothing names an answer but the answers to it, and of those the walk up began with one."""
    if walk.root is None:
        return 0, ()
    quoted = (said for row in notices if (said := quoted_by(row)) is not None)
    named = dict.fromkeys((walk.root, *quoted))
    lacking = tuple(entry for entry in named if (node := look_up(entry)) is None or node.lacking)
    return len(named.keys() | set(walk.held)), lacking


def quoted_by(row: Row) -> EntryId | None:
    """The entry whose words a notice quotes."""
    return None if row.quote is None else row.quote.words.id


LIARS_PASSED_MAX = 10
"""So many times as many replies to a notice of ours as a conversation holds are looked through for those of people whom
we know. Who names somebody else as the author of what they answer says nothing to us: it waits nowhere, but is in the
way here."""


def _descend(
    path: Sequence[EntryId], look_up: Callable[[EntryId], Node | None], replies: Replies, notices_max: int
) -> tuple[dict[EntryId, None], dict[EntryId, None]]:
    """The ids of `path`, root first, and of all replies below the root; a parent always before its children. Beside
    them those that wait, and what strangers answer to these: however many they are, they take nobody's place."""
    within, apart = dict.fromkeys(reversed(path)), dict[EntryId, None]()
    level = [(path[-1], False), *((entry, True) for entry in _asked_for(path, look_up))]
    while level and len(within) < notices_max:
        below: dict[EntryId, bool] = {}
        behind: dict[EntryId, bool] = {}
        for parent, is_below_us in level:
            node = look_up(parent)
            is_below_us = is_below_us or (node is not None and node.is_own)
            if not is_below_us:
                below.update((child, False) for child in replies(parent, notices_max, Which.ALL))
                continue
            told, waits = _part(parent, parent in apart, look_up, replies, notices_max)
            below.update((child, True) for child in told)
            behind.update((child, True) for child in waits if child not in within)
        level = list(below.items())[:notices_max]
        for child, _ in level:
            if len(within) < notices_max:
                within.setdefault(child)
        kept = list(behind.items())[: notices_max - len(apart)]
        apart.update((child, None) for child, _ in kept)
        level += kept
    return within, apart


def _asked_for(path: Sequence[EntryId], look_up: Callable[[EntryId], Node | None]) -> list[EntryId]:
    """What stands apart below our own notices, but is on the path to the notice that was asked for: it is shown."""
    found: list[EntryId] = []
    is_below_us = is_parent_own = False
    for entry in reversed(path):
        node = look_up(entry)
        if node is not None and is_below_us and (node.waits or (is_parent_own and node.is_strange)):
            found.append(entry)
        is_parent_own = node is not None and node.is_own
        is_below_us = is_below_us or is_parent_own
    return found


def _part(
    parent: EntryId,
    is_apart: bool,
    look_up: Callable[[EntryId], Node | None],
    replies: Replies,
    notices_max: int,
) -> tuple[list[EntryId], list[EntryId]]:
    """The replies to what stands below our own notices: those that belong into the conversation, and the others. To
    what itself stands apart, and to our own notices, only people whom we know answer in the conversation."""
    node = look_up(parent)
    if not is_apart and (node is None or not node.is_own):
        return list(replies(parent, notices_max, Which.TOLD)), list(replies(parent, notices_max, Which.WAITING))
    which = Which.ALL if is_apart else Which.TOLD
    found = {child: look_up(child) for child in replies(parent, LIARS_PASSED_MAX * notices_max, which)}
    strange = [child for child, node in found.items() if node is not None and node.is_strange]
    told = [child for child, node in found.items() if node is not None and not node.is_strange]
    waiting = [] if is_apart else list(replies(parent, notices_max, Which.WAITING))
    return told[:notices_max], [*waiting, *strange][:notices_max]


def _oldest_first(nodes: dict[EntryId, Node]) -> list[EntryId]:
    """By their places, but none above what it replies to, whatever the clocks of its author said."""
    stands: dict[EntryId, tuple[int, ...]] = {}
    for entry, node in nodes.items():
        above = stands.get(node.of) if node.of is not None else None
        time_ms, depth = (0, 0) if above is None else (above[0], above[1] + 1)
        stands[entry] = (max(node.place[0], time_ms), depth, *node.place)
    return sorted(nodes, key=lambda entry: stands[entry])
