"""Words: whoever follows an author sees the last words of each notice, and nothing of what was deleted.

What should be seen is reckoned from what authors wrote, by the rules in store/meaning.py, and not from any store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from p2pblog.core.entry import Entry
from p2pblog.core.keys import DeviceKey, EntryId, IdentityHash
from p2pblog.core.payload import Boost, Delete, Edit, Like, Note, Payload, decode
from p2pblog.core.timelines import Row
from p2pblog.core.value import Value
from p2pblog.sim.checkers.delivery import held_by_somebody
from p2pblog.sim.loop import done
from p2pblog.sim.watch import Watcher
from p2pblog.store import TimelineQuery
from p2pblog.store.meaning import Kind

if TYPE_CHECKING:
    from p2pblog.sim.node import SimNode
    from p2pblog.sim.world import World

ROWS_MAX = 1_000_000
"""More than a run has: whole timelines are looked at."""
AS_KIND = {Like: Kind.LIKE, Boost: Kind.BOOST}


class Saying(Value):
    """An entry, and what it says."""

    entry: Entry
    payload: Payload


class LastWords(Watcher):
    """`counts`: what was written, by its type; `shown`: notices that somebody sees as they should be seen; `boosts`: of
    notices of somebody whom who sees the boost does not follow, and `boosts_read`: those that have a text there."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.shown = 0
        self.boosts = 0
        self.boosts_read = 0
        self._said: dict[int, list[Saying]] = {}
        """By whom."""
        self._before: dict[DeviceKey, set[int]] = {}

    def on_written(self, world: World, node: SimNode, entry: Entry) -> None:
        if world.scenario.words is None or entry.payload is None or entry.seq == 1:
            return
        said = Saying(entry, decode(entry.payload))
        self.counts[said.payload.type or ""] += 1
        self._said.setdefault(node.number, []).append(said)

    def on_last(self, world: World) -> None:
        if world.scenario.words is not None:
            self._before = held_by_somebody(world)

    def on_end(self, world: World) -> None:
        if world.scenario.words is None:
            return
        now = held_by_somebody(world)
        due = {device: numbers & self._before.get(device, set()) for device, numbers in now.items()}
        judged = {author: _Words(self._due(world, author, due)) for author in sorted(self._said)}
        sound = {author for author in judged if not _is_unsure(world, author, self._said[author])}
        gone = frozenset(entry for author in sound for entry in judged[author].gone)
        for node in world.nodes:
            if world.is_honest_online(node.number):
                near = sorted({node.number, *world.follows[node.number]} & sound)
                self._look(world, node, [(author, judged[author]) for author in near], gone)

    def _due(self, world: World, author: int, due: dict[DeviceKey, set[int]]) -> Iterator[Saying]:
        """What somebody holds of what an author said, and may be shown."""
        for said in self._said[author]:
            device, seq = said.entry.device, said.entry.seq
            if seq in due.get(device, ()) and seq <= world.last_due(device):
                yield said

    def _look(self, world: World, node: SimNode, near: list[tuple[int, _Words]], gone: frozenset[EntryId]) -> None:
        seen = {row.id: row for row in done(node.store.timeline(TimelineQuery(ROWS_MAX)))}
        for author, words in near:
            for notice, (_, text) in words.notices.items():
                told = _wrong(seen.get(notice), text)
                if told is not None:
                    world.fail(f"node {node.number} shows {told} of a notice of node {author}: {notice.hex()[:12]}")
                else:
                    self.shown += 1
            for of, kind in sorted(words.reactions):
                if not done(node.store.reactions(world.nodes[author].person.hash, of, kind)):
                    world.fail(f"node {node.number} lacks a {kind.name.lower()} by node {author}: {of.hex()[:12]}")
            for entry in sorted(words.gone & seen.keys()):
                world.fail(f"node {node.number} shows what node {author} deleted: {entry.hex()[:12]}")
        circle = {node.number, *world.follows[node.number]}
        self._count_boosts(seen.values(), {world.nodes[number].person.hash for number in circle}, gone)
        mine = frozenset(entry for _, words in near for entry in words.gone)
        for row in seen.values():
            if row.quote is not None and row.quote.of.id in mine and row.quoted_text is not None:
                world.fail(f"node {node.number} shows in a quote what was deleted: {row.quote.of.id.hex()[:12]}")

    def _count_boosts(self, rows: Iterable[Row], followed: set[IdentityHash], gone: frozenset[EntryId]) -> None:
        """No violation if a text is missing: nobody who is linked may have it."""
        for row in rows:
            is_afar = row.of_author is not None and row.of_author not in followed
            if row.type == Boost.type and is_afar and row.boost_of not in gone:
                self.boosts += 1
                self.boosts_read += bool(row.text)


class _Words:
    """What one author says in the end. `notices`: with the last words of each; `gone`: what is deleted."""

    def __init__(self, due: Iterator[Saying]) -> None:
        said = list(due)
        deletes = [each.payload for each in said if isinstance(each.payload, Delete)]
        self.gone = frozenset(gone for delete in deletes for gone in (delete.of.id, *delete.replaces))
        left = [each for each in said if each.entry.id not in self.gone]
        edits: dict[EntryId, list[Saying]] = {}
        for each in left:
            if isinstance(each.payload, Edit):
                edits.setdefault(each.payload.of.id, []).append(each)
        self.notices = {
            each.entry.id: (each.payload, _last_words(each.payload, edits.get(each.entry.id, [])))
            for each in left
            if isinstance(each.payload, Note)
        }
        self.reactions = {
            (each.payload.of.id, AS_KIND[type(each.payload)]) for each in left if isinstance(each.payload, Like | Boost)
        }


def _last_words(note: Note, edits: list[Saying]) -> str:
    """Of each device its last edit counts; of these those that no other names; of what is left the highest id."""
    last = {each.entry.device: each for each in sorted(edits, key=lambda each: each.entry.seq)}
    named = {gone for each in last.values() if isinstance(each.payload, Edit) for gone in each.payload.replaces}
    stand = [each for each in last.values() if each.entry.id not in named]
    if not stand:
        return note.text
    payload = max(stand, key=lambda each: each.entry.id).payload
    assert isinstance(payload, Edit)
    return payload.text


def _wrong(row: Row | None, text: str) -> str | None:
    if row is None:
        return "nothing"
    return None if row.text == text else f"{row.text.strip()!r} in place of {text.strip()!r}"


def _is_unsure(world: World, author: int, said: list[Saying]) -> bool:
    """Whether a log of the author was written twice or is disputed: then it is not known which words count."""
    return any(world.is_disputed(device) or device in world.forked for device in {each.entry.device for each in said})
