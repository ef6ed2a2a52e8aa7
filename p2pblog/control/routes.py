"""The routes of the control socket: what each takes, and of which kind."""

from __future__ import annotations

from enum import Enum


class Argument(Enum):
    """What a route takes under one name."""

    TEXT = "text"
    TEXTS = "a list of texts"
    OPTIONAL_TEXT = "text, or null"
    OPTIONAL_TEXTS = "a list of texts, or null"
    ROWS = "a number from 1 to 1,000"
    YES_OR_NO = "true or false"
    CHOICE = "a number from 1 to 255"
    NUMBER = "a number from 0 on, or null"
    TIME = "a whole number"
    """A time, or the number of an entry."""
    RUN = "a run in hexadecimal digits"
    """Text that may be larger than a request else is."""
    FILES = "a list of uploads with names and descriptions, or null"


REQUIRED = {Argument.TEXT, Argument.TEXTS, Argument.CHOICE, Argument.TIME, Argument.RUN}
"""What can't be left out."""

ROUTES: dict[str, dict[str, Argument]] = {
    "id": {},
    "status": {},
    "post": {
        "text": Argument.TEXT,
        "reply_to": Argument.OPTIONAL_TEXT,
        "cw": Argument.OPTIONAL_TEXT,
        "lang": Argument.OPTIONAL_TEXT,
        "poll": Argument.OPTIONAL_TEXTS,
        "closes": Argument.OPTIONAL_TEXT,
        "media": Argument.FILES,
    },
    "edit": {
        "notice": Argument.TEXT,
        "text": Argument.TEXT,
        "cw": Argument.OPTIONAL_TEXT,
        "lang": Argument.OPTIONAL_TEXT,
    },
    "quote": {
        "notice": Argument.TEXT,
        "text": Argument.TEXT,
        "cw": Argument.OPTIONAL_TEXT,
        "lang": Argument.OPTIONAL_TEXT,
    },
    "vote": {"notice": Argument.TEXT, "choice": Argument.CHOICE},
    "upload": {"data": Argument.TEXT, "upload": Argument.OPTIONAL_TEXT},
    "media": {"file": Argument.TEXT},
    "fetch_media": {"file": Argument.TEXT, "known": Argument.NUMBER},
    "media_piece": {"file": Argument.TEXT, "index": Argument.NUMBER},
    "boost": {"notice": Argument.TEXT},
    "like": {"notice": Argument.TEXT},
    "unboost": {"notice": Argument.TEXT},
    "unlike": {"notice": Argument.TEXT},
    "pin": {"notice": Argument.TEXT},
    "unpin": {"notice": Argument.TEXT},
    "delete": {"notice": Argument.TEXT},
    "profile": {
        "name": Argument.OPTIONAL_TEXT,
        "bio": Argument.OPTIONAL_TEXT,
        "links": Argument.OPTIONAL_TEXTS,
        "address": Argument.OPTIONAL_TEXT,
        "avatar": Argument.FILES,
        "banner": Argument.FILES,
    },
    "dm": {"to": Argument.TEXTS, "text": Argument.TEXT},
    "dms": {"limit": Argument.ROWS, "before": Argument.OPTIONAL_TEXT},
    "bookmark": {"notice": Argument.TEXT},
    "unbookmark": {"notice": Argument.TEXT},
    "bookmarks": {"limit": Argument.ROWS, "before": Argument.OPTIONAL_TEXT},
    "follow": {
        "address": Argument.TEXT,
        "petname": Argument.OPTIONAL_TEXT,
        "no_boosts": Argument.YES_OR_NO,
        "budget": Argument.OPTIONAL_TEXT,
        "private": Argument.YES_OR_NO,
    },
    "unfollow": {"address": Argument.TEXT},
    "following": {},
    "mute": {
        "address": Argument.OPTIONAL_TEXT,
        "tag": Argument.OPTIONAL_TEXT,
        "word": Argument.OPTIONAL_TEXT,
        "lasting": Argument.OPTIONAL_TEXT,
    },
    "unmute": {"address": Argument.OPTIONAL_TEXT, "tag": Argument.OPTIONAL_TEXT, "word": Argument.OPTIONAL_TEXT},
    "muted": {},
    "block": {"address": Argument.TEXT},
    "unblock": {"address": Argument.TEXT},
    "blocked": {},
    "admit": {"address": Argument.TEXT},
    "unadmit": {"address": Argument.TEXT},
    "admitted": {},
    "vouch": {"address": Argument.TEXT},
    "unvouch": {"address": Argument.TEXT},
    "why": {"notice": Argument.TEXT},
    "invite": {},
    "config": {},
    "config_get": {"key": Argument.TEXT},
    "config_set": {"key": Argument.TEXT, "value": Argument.TEXT},
    "config_unset": {"key": Argument.TEXT},
    "lists": {},
    "create_list": {"name": Argument.TEXT},
    "delete_list": {"name": Argument.TEXT},
    "add_to_list": {"name": Argument.TEXT, "addresses": Argument.TEXTS},
    "remove_from_list": {"name": Argument.TEXT, "addresses": Argument.TEXTS},
    "show_list": {"name": Argument.TEXT},
    "groups": {},
    "join_group": {"name": Argument.TEXT},
    "leave_group": {"name": Argument.TEXT},
    "timeline": {
        "limit": Argument.ROWS,
        "before": Argument.OPTIONAL_TEXT,
        "author": Argument.OPTIONAL_TEXT,
        "tag": Argument.OPTIONAL_TEXT,
        "of_list": Argument.OPTIONAL_TEXT,
        "group": Argument.OPTIONAL_TEXT,
        "fetch": Argument.YES_OR_NO,
        "strangers": Argument.YES_OR_NO,
    },
    "watch": {
        "author": Argument.OPTIONAL_TEXT,
        "tag": Argument.OPTIONAL_TEXT,
        "of_list": Argument.OPTIONAL_TEXT,
        "group": Argument.OPTIONAL_TEXT,
    },
    "search": {"query": Argument.TEXT, "limit": Argument.ROWS, "before": Argument.OPTIONAL_TEXT},
    "show": {"notice": Argument.TEXT},
    "versions": {"notice": Argument.TEXT},
    "notifications": {"limit": Argument.ROWS, "before": Argument.OPTIONAL_TEXT, "unread": Argument.YES_OR_NO},
    "read_notifications": {},
    "thread": {"notice": Argument.TEXT, "fetch": Argument.YES_OR_NO},
    "peers": {},
    "add_peer": {"endpoint": Argument.TEXT},
    "entry": {"entry": Argument.TEXT},
    "export_logs": {},
    "export_run": {"device": Argument.TEXT, "first": Argument.TIME},
    "import_identity": {"identity": Argument.TEXT},
    "import_run": {"run": Argument.RUN},
    "import_file": {"file": Argument.TEXT, "upload": Argument.TEXT},
    "import_note": {
        "text": Argument.TEXT,
        "time": Argument.TIME,
        "reply_to": Argument.OPTIONAL_TEXT,
        "cw": Argument.OPTIONAL_TEXT,
        "lang": Argument.OPTIONAL_TEXT,
    },
}
"""Route -> its arguments; each is a method of NodeApi, and a test holds the two together."""
