"""Use cases about what a person sets: which settings there are, and what they are."""

from __future__ import annotations

from p2pblog.cases.desk import Desk
from p2pblog.control.documents import SettingDocument
from p2pblog.control.settings import SETTINGS, check_key, check_size, spell_size


class Settings(Desk):
    """Of `Node`: what is set holds at once, and after the next start."""

    async def config(self) -> list[SettingDocument]:
        return [self._setting(key) for key in sorted(SETTINGS)]

    async def config_get(self, key: str) -> SettingDocument:
        return self._setting(check_key(key))

    async def config_set(self, key: str, value: str) -> SettingDocument:
        found, size = check_key(key), check_size(value)
        await self._room.put_setting(found, size)
        return self._setting(found)

    async def config_unset(self, key: str) -> SettingDocument:
        found = check_key(key)
        await self._room.drop_setting(found)
        return self._setting(found)

    def _setting(self, key: str) -> SettingDocument:
        setting = SETTINGS[key]
        return SettingDocument(
            key=key,
            value=spell_size(self._room.setting(key, setting.default)),
            default=spell_size(setting.default),
            caption=setting.caption,
        )
