"""What an entry means to a store: what it refers to, where it stands, how it reads. Pure, and the same for every store.

The rules, in full. An entry is *shown* if its payload is held, the identity kept vouches for its device up to its
number (`core.timelines.is_shown`), and it is not retracted. It is *retracted* if a delete names its id, is of the same
identity, and is itself vouched for. A delete can't be retracted, nor can entry 1, which names the log's identity; so
what hides what never runs in a circle and does not depend on the order of arrival.

* Of an identity that isn't kept, a run is hidden until it is; a stray is shown, since whoever handed it in checked it.
* A retracted entry's payload is not *missing*: nobody asks for it again.
* A like or boost counts while it is shown, once for each identity.
* A notice stands under each tag of its text wherever its author's timeline shows it.
* A reply ties its parent and its children together even when it is retracted itself, so a conversation stays whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import cast

from p2pblog.config import SEQ_MAX
from p2pblog.core.entry import Entry
from p2pblog.core.identity import Identity
from p2pblog.core.keys import DeviceKey, EntryId
from p2pblog.core.payload import Boost, Delete, Like, Note, Profile, decode, plain_texts
from p2pblog.core.tags import tags_of
from p2pblog.core.timelines import Row, is_shown, sort_time


class Kind(IntEnum):
    """What an entry is. These numbers are in databases: never change one."""

    GAP = 0
    NOTE = 1
    BOOST = 2
    LIKE = 3
    DELETE = 4
    PROFILE = 5
    OTHER = 6


IN_TIMELINES = (Kind.NOTE, Kind.BOOST)
REACTIONS = (Kind.BOOST, Kind.LIKE)


@dataclass(frozen=True, slots=True)
class Meaning:
    """`of`: the id replied to, boosted or liked. `deletes`: the ids taken back, ascending. `tags`: a notice's."""

    kind: Kind
    of: EntryId | None = None
    deletes: tuple[EntryId, ...] = ()
    tags: tuple[str, ...] = ()


_GAP, _PROFILE, _OTHER = Meaning(Kind.GAP), Meaning(Kind.PROFILE), Meaning(Kind.OTHER)
PLAIN = Meaning(Kind.NOTE)
"""Of every notice that refers to nothing and has no tag, which nearly all are: this one object."""


def meaning_of(payload: bytes | None) -> Meaning:
    """Never raises: what can't be read is OTHER, kept and ignored."""
    if payload is None:
        return _GAP
    match decode(payload):
        case Note(text=text, reply_to=parent):
            tags = tags_of(text)
            if parent is None and not tags:
                return PLAIN
            return Meaning(Kind.NOTE, None if parent is None else parent.id, tags=tags)
        case Boost(of):
            return Meaning(Kind.BOOST, of.id)
        case Like(of):
            return Meaning(Kind.LIKE, of.id)
        case Delete(of, replaces):
            return Meaning(Kind.DELETE, None, tuple(sorted({of.id, *replaces})))
        case Profile():
            return _PROFILE
        case _:
            return _OTHER


def meanings_of(payloads: Sequence[bytes | None]) -> list[Meaning]:
    """`meaning_of` each, as fast as whole runs need it."""
    if None in payloads:
        return [meaning_of(payload) for payload in payloads]
    held = cast(Sequence[bytes], payloads)
    return [
        meaning_of(payload) if text is None or "#" in text else PLAIN
        for payload, text in zip(held, plain_texts(held), strict=True)
    ]


def is_retractable(kind: int, seq: int) -> bool:
    """Whether a delete has any effect on it."""
    return kind != Kind.DELETE and seq != 1


def vouched_to(identity: Identity | None, device: DeviceKey, holds_run: bool) -> int:
    """The last number of a log that may be shown; 0 for none. `identity`: what is kept of the log's owner."""
    if identity is None:
        return 0 if holds_run else SEQ_MAX
    standing = identity.devices.get(device)
    last = 0 if standing is None else standing.seq
    assert last == 0 or (is_shown(standing, last) and (last == SEQ_MAX or not is_shown(standing, last + 1)))
    return last


def places(stretch: Sequence[Entry], now_ms: int, before: int | None, after: int | None) -> list[int]:
    """Where consecutive new entries stand, in ms: never falling along the log. `before`, `after`: the places of the
    nearest entries held below and above."""
    found = []
    for entry in stretch:
        before = sort_time(entry.time_ms, now_ms, before, after)
        found.append(before)
    return found


def note_of(payload: bytes | None) -> Note:
    """A note as it was signed; one that says nothing for anything else."""
    read = None if payload is None else decode(payload)
    return read if isinstance(read, Note) else Note("")


def profile_of(payload: bytes | None) -> tuple[str | None, str | None]:
    """(name, bio) that a profile entry's payload gives."""
    read = None if payload is None else decode(payload)
    return (read.name, read.bio) if isinstance(read, Profile) else (None, None)


@dataclass(frozen=True, slots=True)
class Shown:
    """A shown note or boost as a store finds it. `counted`: the notice whose likes and boosts it shows."""

    id: EntryId
    author: bytes
    kind: Kind
    of: EntryId | None
    time_ms: int
    payload: bytes

    @property
    def counted(self) -> EntryId:
        """A boost stands for the notice that it boosts."""
        return self.of if self.kind == Kind.BOOST and self.of is not None else self.id


def compose(shown: Shown, name: str | None, boosted: bytes | None, likes: int, boosts: int) -> Row:
    """The row of a shown note or boost. `boosted`: the payload of the shown notice that it boosts, if held."""
    is_boost = shown.kind == Kind.BOOST
    note = note_of(boosted if is_boost else shown.payload)
    return Row(
        id=shown.id,
        type="boost" if is_boost else "note",
        author=shown.author,
        name=name,
        text=note.text,
        time_ms=shown.time_ms,
        reply_to=None if is_boost else shown.of,
        boost_of=shown.of if is_boost else None,
        likes=likes,
        boosts=boosts,
        tags=tags_of(note.text),
        warning=note.warning,
        language=note.language,
        imported_ms=note.imported_ms,
    )


# --- conversations ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Node:
    """An entry held, as a conversation sees it. `lacking`: its payload is missing, so we can't tell what it is.
    `place`: where it stands in timelines; the first number is a time in ms."""

    kind: Kind
    of: EntryId | None
    lacking: bool
    place: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Walk:
    """A conversation's ids: its root; all that are held, shown or not, oldest first; how many are known but lacking."""

    root: EntryId | None
    held: tuple[EntryId, ...]
    missing: int


def walk_thread(
    notice: EntryId,
    look_up: Callable[[EntryId], Node | None],
    replies: Callable[[EntryId, int], Sequence[EntryId]],
    notices_max: int,
) -> Walk:
    """Up from `notice` to the topmost ancestor known, then down through all replies held, level by level.

    `look_up` gives an entry held; `replies` gives at most so many replies to an id, oldest first. A boost or like
    stands for what it refers to. At most `notices_max` entries, those between `notice` and the root in any case.
    """
    found = look_up(notice)
    if found is not None and found.kind in REACTIONS and found.of is not None:
        notice = found.of
        found = look_up(notice)
    if found is None and not replies(notice, 1):
        return Walk(None, (), 0)
    path = [notice]
    while found is not None and found.kind == Kind.NOTE and found.of is not None and len(path) < notices_max:
        path.append(found.of)
        found = look_up(found.of)
    missing = 1 if found is None or found.lacking else 0
    within = _descend(path, replies, notices_max)
    nodes = {entry: node for entry in within if (node := look_up(entry)) is not None}
    return Walk(path[-1], tuple(_oldest_first(nodes)), missing)


def _descend(
    path: Sequence[EntryId], replies: Callable[[EntryId, int], Sequence[EntryId]], notices_max: int
) -> dict[EntryId, None]:
    """The ids of `path`, root first, and of all replies below the root; a parent always before its children."""
    within = dict.fromkeys(reversed(path))
    level = [path[-1]]
    while level and len(within) < notices_max:
        below = [child for parent in level for child in replies(parent, notices_max)][:notices_max]
        for child in below:
            if len(within) < notices_max:
                within.setdefault(child)
        level = below
    return within


def _oldest_first(nodes: dict[EntryId, Node]) -> list[EntryId]:
    """By their places, but none above what it replies to, whatever the clocks of its author said."""
    stands: dict[EntryId, tuple[int, ...]] = {}
    for entry, node in nodes.items():
        above = stands.get(node.of) if node.of is not None else None
        time_ms, depth = (0, 0) if above is None else (above[0], above[1] + 1)
        stands[entry] = (max(node.place[0], time_ms), depth, *node.place)
    return sorted(nodes, key=lambda entry: stands[entry])
