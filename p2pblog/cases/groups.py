"""Groups: open ones, that nobody owns. Joining is private: it makes this node look for what was said to one."""

from __future__ import annotations

import logging

import trio

from p2pblog.cases.desk import Desk
from p2pblog.config import (
    GROUP_EACH_MAX,
    GROUP_EVERY_S,
    GROUP_FRESH_S,
    GROUP_STORE_S,
    GROUP_WATCHED_EVERY_S,
    GROUPS_APART_S,
    GROUPS_JOINED_MAX,
)
from p2pblog.control.documents import GroupDocument
from p2pblog.control.words import check_group, check_joined
from p2pblog.core.groups import group_id
from p2pblog.core.keys import EntryId
from p2pblog.errors import NotFound, StoreError, UserError
from p2pblog.store import GroupRow

log = logging.getLogger("p2pblog.groups")


class Grouping(Desk):
    """Of `Node`: what is done with groups."""

    async def groups(self) -> list[GroupDocument]:
        return [_document(row) for row in await self._store.groups()]

    async def join_group(self, name: str) -> GroupDocument:
        """Look for it from now on, at once for the first time; one that was joined before stays as it is."""
        name = check_group(name)
        async with self._following:
            if not await self._store.put_group(name, self._wall_ms()):
                raise UserError(f"you have joined {GROUPS_JOINED_MAX} groups already", hint="p2pblog group leave NAME")
            self._joined.setdefault(name, None)
            row = await self._store.group(name)
        assert row is not None
        self._joined_changed.set()
        return _document(row)

    async def leave_group(self, name: str) -> GroupDocument:
        """What was said to it and is here stays until there is no more room for strays."""
        name = check_joined(name)
        async with self._following:
            row = await self._store.group(name)
            if row is None:
                raise NotFound("you have not joined that group", hint="p2pblog groups")
            await self._store.drop_group(name)
            self._joined.pop(name, None)
        return _document(row)

    # --- looking for what is said to them ---

    async def keep_groups(self) -> None:
        """Look at each joined group now and then, one after the other, until cancelled."""
        await self._recall_joined()
        while True:
            name = min(self._joined, key=self._due_at, default=None)
            if name is None or self._due_at(name) > trio.current_time():
                with trio.move_on_at(float("inf") if name is None else self._due_at(name)):
                    await self._joined_changed.wait()
                continue
            if self._meeting.dht_nodes:
                try:
                    await self._look_at_group(name)
                except StoreError as error:
                    log.error("what was said to a group was not looked for: %s", error)
            await trio.sleep(GROUPS_APART_S)

    async def _recall_joined(self) -> None:
        while True:
            try:
                async with self._following:
                    self._joined.update(dict.fromkeys(row.name for row in await self._store.groups()))
                return
            except StoreError as error:
                log.error("which groups were joined can't be read: %s", error)
                await trio.sleep(GROUP_EVERY_S)

    def _due_at(self, name: str) -> float:
        looked = self._joined[name]
        if looked is None:
            return float("-inf")
        return looked + (GROUP_WATCHED_EVERY_S if name in self._watched_groups.values() else GROUP_EVERY_S)

    def _look_soon(self, name: str) -> None:
        """Somebody reads a group: look for more of it, for the next time, if the last look is a while ago."""
        looked = self._joined.get(name)
        if looked is not None and looked + GROUP_FRESH_S < trio.current_time():
            self._joined[name] = None
        self._joined_changed.set()

    async def _look_at_group(self, name: str) -> None:
        """Take what pointers lead to, and wait until it is stored. Raises StoreError."""
        if name in self._joined:
            self._joined[name] = trio.current_time()
        found = await self._meeting.find_pointed(group_id(name), GROUP_EACH_MAX)
        for located in found:
            self._driver.take_stray(located)
        ids = [located.entry.id for located in found]
        with trio.move_on_after(GROUP_STORE_S):
            while any(map(self._driver.is_awaited, ids)):
                await self._driver.answers_changed.wait()
        self._tell_group(name, [located.entry.id for located in found if located.identity not in self._follows])
        if len(found) == GROUP_EACH_MAX and name in self._joined:
            self._joined[name] = None  # there may be more

    def _tell_group(self, name: str, ids: list[EntryId]) -> None:
        """Of strangers; of those who are followed live timelines hear when their logs come."""
        for watcher in [watcher for watcher, group in self._watched_groups.items() if group == name]:
            for entry in ids:
                self._tell(watcher, entry)


def _document(row: GroupRow) -> GroupDocument:
    return GroupDocument(name=row.name, since=row.since_ms, notices=row.notices, authors=row.authors)
