"""Settings of the node, and what they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from p2pblog.pages.values import table
from p2pblog.terminal import Page, Piece, Style, line

if TYPE_CHECKING:
    from p2pblog.control.documents import SettingDocument


def settings_page(settings: Sequence[SettingDocument], columns: int) -> Page:
    rows = [[each["key"], each["value"], each["default"], each["caption"]] for each in settings]
    return table(["KEY", "VALUE", "DEFAULT", "WHAT IT IS"], rows, columns, shrink=(3,), right={1, 2})


def setting_page(setting: SettingDocument) -> Page:
    return [
        line(f"{setting['key']} is {setting['value']} (by default {setting['default']})"),
        line(Piece(setting["caption"], Style.DIM)),
    ]
