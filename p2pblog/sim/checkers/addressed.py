"""What is said to somebody: an answer or a quote reaches whom it is for, a direct message is read by nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pblog.config import TIMELINE_ROWS_MAX
from p2pblog.core import sealed
from p2pblog.core.entry import Entry
from p2pblog.core.keys import EntryId, KeyPair
from p2pblog.core.payload import Dm, Note, Ref, decode
from p2pblog.core.value import Value
from p2pblog.sim.checkers.delivery import held_by_somebody
from p2pblog.sim.loop import done
from p2pblog.sim.watch import Watcher

if TYPE_CHECKING:
    from p2pblog.sim.node import SimNode
    from p2pblog.sim.world import World


class Addressed(Watcher):
    """Answers and quotes by people whom those whose notices they are of don't follow. `due`: those that stand, to
    people on line; `reached`: those that are there. No violation if one is not: in a world without a DHT no pointer
    leads to it."""

    def __init__(self) -> None:
        self.due = 0
        self.reached = 0
        self._said: list[tuple[int, Entry, Ref]] = []

    def on_written(self, world: World, node: SimNode, entry: Entry) -> None:
        if world.scenario.words is None or entry.payload is None:
            return
        note = decode(entry.payload)
        of = _answered(note) if isinstance(note, Note) else None
        if of is not None:
            self._said.append((node.number, entry, of))

    def on_end(self, world: World) -> None:
        for author, entry, of in self._said:
            to = world.owner.get(of.device)
            if to is None or to == author or author in world.follows[to] or not world.is_honest_online(to):
                continue
            by = world.nodes[author]
            if done(by.store.taken_back_by(by.person.hash, entry.id)) is None:
                self.due += 1
                self.reached += done(world.nodes[to].store.locate(entry.id)) is not None


def _answered(note: Note) -> Ref | None:
    return note.quote.of if note.reply_to is None and note.quote is not None else note.reply_to


class Letter(Value):
    """A direct message as it was meant. `disk`: that of its addressee when it was written."""

    entry: EntryId
    author: int
    to: int
    disk: int
    text: str


class OnlyAddressee(Watcher):
    """`due`: direct messages to somebody who is on line with the disk of then; `read`: those that they read."""

    def __init__(self) -> None:
        self.due = 0
        self.read = 0
        self._letters: list[Letter] = []

    def on_sealed(self, world: World, node: SimNode, entry: EntryId, to: int, text: str) -> None:
        self._letters.append(Letter(entry, node.number, to, world.nodes[to].disk, text))

    def on_end(self, world: World) -> None:
        held = held_by_somebody(world) if self._letters else {}
        listed: dict[int, dict[str, str]] = {}
        for letter in self._letters:
            self._check_others(world, letter)
            to = world.nodes[letter.to]
            if not world.is_honest_online(letter.to) or to.disk != letter.disk or to.hand is None:
                continue
            located = done(to.store.locate(letter.entry))
            if located is None or located.entry.seq not in held.get(located.entry.device, ()):
                continue  # whether it came is for who checks delivery
            if letter.to not in listed:
                shown = to.hand.run(to.hand.dms, TIMELINE_ROWS_MAX)
                listed[letter.to] = {each["id"]: each["text"] for each in shown}
            self.due += 1
            if listed[letter.to].get(letter.entry.hex()) == letter.text:
                self.read += 1
            else:
                world.fail(f"node {letter.to} does not read a direct message by node {letter.author} that it holds")

    def _check_others(self, world: World, letter: Letter) -> None:
        """Whoever holds it tries all keys that he ever had."""
        author, reader = (world.nodes[number].person.hash for number in (letter.author, letter.to))
        for node in world.nodes:
            if node.number in (letter.author, letter.to):
                continue
            located = done(node.store.locate(letter.entry))
            payload = None if located is None else located.entry.payload
            said = None if payload is None else decode(payload)
            if payload is None or said is None:
                continue
            is_plain = letter.text.encode() in payload
            if is_plain or (isinstance(said, Dm) and sealed.read(said, author, reader, _keys(node)) is not None):
                world.fail(f"node {node.number} can read a direct message by node {letter.author} to node {letter.to}")


def _keys(node: SimNode) -> tuple[KeyPair, ...]:
    return (node.person.device, *node.person.former)
