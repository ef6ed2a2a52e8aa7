"""Makes a new home out of an archive with secret keys: everything is stored first, the key file comes last.

The home that comes of it is another installation: it gets a node key and a device key of its own, and writes a log of
its own. So the archive can be restored twice, or beside the old home, and no number is ever signed twice. With the keys
of the devices before it opens the direct messages that were sealed to these.

A home may have lost its key file and nothing else. What its database says is newer than the archive, then: who is
blocked there is not followed, who is followed there is so on the terms that stand, and what is muted there is so for as
long. What was taken off since leaves no trace in the database: such blocks and mutes come back.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import NamedTuple

import trio

from p2pblog import installation, keyring
from p2pblog.archives import Archive, Tick
from p2pblog.bridge import open_bridge
from p2pblog.config import FOLLOWS_MAX
from p2pblog.control.words import BLOCKED, FOLLOWS_FULL
from p2pblog.core.address import Link
from p2pblog.core.archive import Secrets
from p2pblog.core.kept import Kept, KeptFollow
from p2pblog.core.keys import DeviceKey, IdentityHash, KeyPair
from p2pblog.core.logs import Batch, LogState
from p2pblog.core.value import replace
from p2pblog.errors import UserError
from p2pblog.home import Home
from p2pblog.store import OWN_IDENTITY, Block, Contents, Follow, KnownPeer, Store
from p2pblog.store.blobs import Blobs, DiskBlobs
from p2pblog.store.sqlite import open_sqlite

RUNS_PER_COMMIT = 16
"""Runs stored in one transaction: at most 32 MiB of payloads."""


class Restored(NamedTuple):
    """How many entries, files and follows a home has that it had not before; `refused`: entries of logs that go on
    otherwise in its database; `left`: who is not followed, and why."""

    entries: int
    files: int
    followed: int
    refused: int
    left: dict[IdentityHash, str]


def restore(
    home: Home, archive: Archive, secrets: Secrets, follows: list[tuple[Link, str | None]], now_ms: int, tick: Tick
) -> Restored:
    """Make the home of an archive that was checked.

    Raises UserError: there is an identity in the home, or it holds somebody else's data; StoreError.
    """
    if archive.identity.root != archive.identity.inception.root:
        raise UserError("that identity has changed its root key, which this version cannot restore")
    keyring.make_private(home.folder)
    with installation.sole_daemon(home):
        return trio.run(partial(_restore, home, archive, secrets, follows, now_ms, tick))


async def _restore(
    home: Home, archive: Archive, secrets: Secrets, follows: list[tuple[Link, str | None]], now_ms: int, tick: Tick
) -> Restored:
    own = archive.identity.hash
    async with open_bridge() as bridge:
        store = await open_sqlite(bridge, home.database)
        try:
            before, had = await store.load(), await store.entry_count()
            if before.settings.get(OWN_IDENTITY, own) != own:
                raise UserError(f"{home.folder} holds the data of another identity: choose another home")
            await store.put_setting(OWN_IDENTITY, own)
            await store.put_identity(archive.identity)
            refused = await _store_logs(store, before, archive, now_ms, tick)
            files = await _store_files(store, DiskBlobs(home.media), archive, tick)
            told = [Follow(link.identity, petname) for link, petname in follows]
            followed, left = await _store_follows(
                store, before, [*told, *map(_on_terms, secrets.kept.follows)], own, now_ms
            )
            await _store_kept(store, before, secrets.kept, own, now_ms)
            name, _bio = await store.profile(own)
            new = await store.entry_count() - had
        finally:
            with trio.CancelScope(shield=True):
                await store.aclose()
    former = [KeyPair.from_seed(seed) for seed in (*secrets.former, secrets.device)]
    keyring.restore(home, KeyPair.from_seed(secrets.root), archive.identity.inception, name or None, former)
    installation.mark(home)
    return Restored(new, files, followed, refused, left)


def _on_terms(kept: KeptFollow) -> Follow:
    return Follow(kept.identity, kept.petname, 0, kept.no_boosts, kept.budget, kept.private)


async def _store_follows(
    store: Store, before: Contents, follows: list[Follow], own: IdentityHash, now_ms: int
) -> tuple[int, dict[IdentityHash, str]]:
    """What is said last of somebody counts. They do not outgrow what a home may keep, nor does a petname stand for two.
    Gives how many came, and why others did not."""
    known, blocked = {own, *(each.identity for each in before.follows)}, {each.identity for each in before.blocks}
    told = {each.identity: each for each in follows if each.identity not in known}
    left = {identity: BLOCKED for identity in told if identity in blocked}
    wanted = [each for identity, each in told.items() if identity not in left]
    room = max(0, FOLLOWS_MAX - len(before.follows))
    new = wanted[:room]
    left |= {each.identity: FOLLOWS_FULL.format(FOLLOWS_MAX) for each in wanted[room:]}
    petnames = {each.petname for each in before.follows}
    for each in new:
        petname = None if each.petname in petnames else each.petname
        petnames.add(petname)
        await store.put_follow(replace(each, petname=petname, since_ms=now_ms))
    return len(new), left


async def _store_kept(store: Store, before: Contents, kept: Kept, own: IdentityHash, now_ms: int) -> None:
    """What was kept for oneself alone, but for follows; it does not outgrow what a home may keep."""
    followed = {row.identity for row in await store.follow_rows()}
    for name, members in kept.lists:
        if await store.put_list(name):
            await store.put_members(name, [each for each in members if each in followed])
    muted = {(each.kind, each.what) for each in before.mutes if each.holds(now_ms)}
    for mute in kept.mutes:
        if mute.holds(now_ms) and (mute.kind, mute.what) not in muted:
            await store.put_mute(replace(mute, since_ms=now_ms), now_ms)
    for identity in kept.blocks:
        if identity != own and identity not in followed:
            await store.put_block(Block(identity, now_ms))
    blocked = {each.identity for each in before.blocks}
    for identity in (each for each in kept.admitted if each not in blocked):
        await store.put_admitted(identity, now_ms)
    for name in kept.groups:
        await store.put_group(name, now_ms)
    await store.put_peers([KnownPeer(str(endpoint), None, now_ms) for endpoint in kept.peers])
    for number, notice in enumerate(kept.bookmarks):
        await store.put_bookmark(notice, now_ms - len(kept.bookmarks) + number)


def _due(archive: Archive) -> int:
    """What there is to do: entries and files, one like the other."""
    return archive.manifest.entries + len(archive.files) or 1


async def _store_files(store: Store, blobs: Blobs, archive: Archive, tick: Tick) -> int:
    """The files that a notice has which is shown: what was deleted needs none. Gives how many were not here."""
    new = 0
    for number, file in enumerate(archive.files, 1):
        if await store.references(file):
            held = await blobs.held(file)
            await blobs.put_own(archive.file(file))
            new += held is None or not (held.own and held.is_whole)
        tick((archive.manifest.entries + number) / _due(archive))
    return new


async def _store_logs(store: Store, before: Contents, archive: Archive, now_ms: int, tick: Tick) -> int:
    """A log of another history than the database holds is left whole: this home writes neither of the two on. Runs of
    it that touch nothing that is held would be stored as if they belonged there. Gives how many entries were left."""
    due, done, refused = _due(archive), 0, 0
    held = {state.device: state for state in before.logs}
    for device in archive.devices:
        is_taken = device not in held or await _agrees(store, held[device], archive, device)
        for batches in _in_groups(Batch(archive.identity.hash, run) for run in archive.runs(device)):
            count = sum(len(batch.entries) for batch in batches)
            if is_taken:
                await store.append(batches, now_ms, durable=True)
            else:
                refused += count
            done += count
            tick(done / due)
    return refused


async def _agrees(store: Store, held: LogState, archive: Archive, device: DeviceKey) -> bool:
    """Whether nothing of a log in an archive contradicts what is held of it."""
    if held.spans and held.identity != archive.identity.hash:
        return False
    for run in archive.runs(device):
        last = run.first + len(run) - 1
        for span in held.spans:
            if span.high == run.first - 1:
                agrees = run.prev == span.high_id
            elif span.low == last + 1:
                agrees = run.ids[-1] == span.low_prev
            else:
                common = min(span.high, last)  # an id vouches for all below it
                is_apart = common < max(span.low, run.first)
                agrees = is_apart or run.ids[common - run.first] == await store.id_at(device, common)
            if not agrees:
                return False
    return True


def _in_groups(runs: Iterator[Batch]) -> Iterator[list[Batch]]:
    while group := list(islice(runs, RUNS_PER_COMMIT)):
        yield group
