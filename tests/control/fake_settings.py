"""What the node in memory behind the control socket does about settings, and how it is doing."""

from __future__ import annotations

from typing import Any

from p2pblog.control import documents
from p2pblog.control.settings import SETTINGS, check_key, check_size, spell_size

SETTING_CALLS: dict[str, tuple[dict[str, Any], type]] = {
    "config": ({}, documents.SettingDocument),
    "config_get": ({"key": "store.max"}, documents.SettingDocument),
    "config_set": ({"key": "store.max", "value": "2GB"}, documents.SettingDocument),
    "config_unset": ({"key": "store.max"}, documents.SettingDocument),
}
"""The routes about settings, with arguments and the document that each answers."""


STATUS = dict.fromkeys(documents.StatusDocument.__annotations__) | {
    "address": "a" * 56,
    "listen": "127.0.0.1:4711",
    "pid": 1234,
    "dht_nodes": 20,
    "uptime_s": 3_725,
    "version": "0.1.0",
}
"""What a node says of itself that no test changes."""


class FakeSettings:
    """Of `FakeNode`."""

    def __init__(self) -> None:
        self.set: dict[str, int | None] = {}
        self.pruned = 0
        self.failing: str | None = None
        self.devices = [{"device": "d" * 64, "entries": 3, "here": True, "retired": False}]

    def _called(self, route: str, **arguments: Any) -> None:
        """`FakeNode` notes it."""

    def _fullness(self) -> dict[str, Any]:
        limit = self.set.get("store.max")
        return {"used": 123_456, "max": limit, "pruned": self.pruned, "failing": self.failing}

    def _setting(self, key: str) -> dict[str, Any]:
        setting = SETTINGS[check_key(key)]
        value = self.set.get(key, setting.default)
        return {
            "key": key,
            "value": spell_size(value),
            "default": spell_size(setting.default),
            "caption": setting.caption,
        }

    async def config(self) -> list[dict[str, Any]]:
        self._called("config")
        return [self._setting(key) for key in sorted(SETTINGS)]

    async def config_get(self, key: str) -> dict[str, Any]:
        self._called("config_get", key=key)
        return self._setting(key)

    async def config_set(self, key: str, value: str) -> dict[str, Any]:
        self._called("config_set", key=key, value=value)
        self.set[key] = check_size(value)
        return self._setting(key)

    async def config_unset(self, key: str) -> dict[str, Any]:
        self._called("config_unset", key=key)
        self.set.pop(key, None)
        return self._setting(key)
