"""The use cases as the control socket offers them: plain JSON in, plain JSON out, UserError for what a person did."""

from __future__ import annotations

from collections.abc import AsyncIterator
from enum import Enum
from typing import Protocol, TypedDict

from p2pblog.errors import StoreError, UserError


class IdDocument(TypedDict):
    address: str
    name: str | None
    device: str
    node: str
    uri: str


class StatusDocument(TypedDict):
    address: str
    name: str | None
    listen: str
    pid: int
    peers: int
    dht_nodes: int
    follows: int
    entries: int
    uptime_s: int
    version: str
    pending: list[str]


class WrittenDocument(TypedDict):
    """What a command that writes an entry answers."""

    id: str
    type: str
    author: str
    device: str
    seq: int
    time: int


class ProfileDocument(TypedDict):
    address: str
    name: str | None
    bio: str | None


class FollowDocument(TypedDict):
    """`state` is "searching" until somebody had the feed, then "found"; "disputed" while one of its logs has two
    histories and its owner has not said which one counts."""

    address: str
    name: str | None
    petname: str | None
    entries: int
    newest: int | None
    state: str


class InviteDocument(TypedDict):
    uri: str


class NoticeDocument(TypedDict):
    """`imported_time`: when it was first written, where its author brought it from elsewhere."""

    id: str
    type: str
    author: str
    name: str | None
    text: str
    time: int
    reply_to: str | None
    boost_of: str | None
    likes: int
    boosts: int
    tags: list[str]
    cw: str | None
    lang: str | None
    imported_time: int | None


class BookmarkDocument(TypedDict):
    """`id`: of the notice; a boost stands for the one that it boosts."""

    id: str
    bookmarked: bool


class ThreadDocument(TypedDict):
    root: str | None
    notices: list[NoticeDocument]
    missing: int


class PeerDocument(TypedDict):
    """`direction` is "out" where this node dialed, else "in"; `since` is a time."""

    node: str
    endpoint: str
    direction: str
    since: int
    feeds: int
    bytes_in: int
    bytes_out: int


class EntryDocument(TypedDict):
    id: str
    body: str
    payload: str | None
    signature: str
    chain: list[str]


class LogDocument(TypedDict):
    device: str
    entries: int


class LogsDocument(TypedDict):
    """The wire form of one's own identity, and its logs as far as they are held."""

    address: str
    identity: str
    logs: list[LogDocument]


class RunDocument(TypedDict):
    """A run in its wire form, and the number to go on from; both are null at the end of the log."""

    run: str | None
    next: int | None


class TakenDocument(TypedDict):
    """How many entries were looked at, and how many of them, or of their payloads, were not held before."""

    entries: int
    new: int


class ExportDocument(TypedDict):
    file: str
    entries: int
    bytes: int
    secrets: bool


class ImportDocument(TypedDict):
    """What `import` did with an archive of ours. `restored`: it made this home's identity."""

    address: str
    entries: int
    new: int
    followed: int
    restored: bool


class BroughtDocument(TypedDict):
    """What `import --from mastodon` did: notices written, things left aside, notices that an import wrote before."""

    imported: int
    skipped: int
    already: int


class SkippedDocument(TypedDict):
    line: int
    reason: str


class ListDocument(TypedDict):
    """What `import --from csv` did."""

    followed: int
    already: int
    skipped: list[SkippedDocument]


class NodeApi(Protocol):
    """One method a command. An ADDRESS argument is an address, a `p2pblog:` link or a petname; an id is a hex prefix.

    The names are also those of the routes: `POST /timeline {"limit": 5}` calls `timeline(limit=5)`.
    All raise UsageError (exit 2), NotFound (4), NotPermitted (5), TimedOut (6) or UserError (1).
    """

    async def id(self) -> IdDocument: ...
    async def status(self) -> StatusDocument: ...
    async def post(
        self, text: str, reply_to: str | None = None, cw: str | None = None, lang: str | None = None
    ) -> WrittenDocument: ...
    async def boost(self, notice: str) -> WrittenDocument: ...
    async def like(self, notice: str) -> WrittenDocument: ...
    async def unboost(self, notice: str) -> WrittenDocument: ...
    async def unlike(self, notice: str) -> WrittenDocument: ...
    async def delete(self, notice: str) -> WrittenDocument: ...
    async def profile(self, name: str | None = None, bio: str | None = None) -> ProfileDocument: ...
    async def bookmark(self, notice: str) -> BookmarkDocument: ...
    async def unbookmark(self, notice: str) -> BookmarkDocument: ...
    async def bookmarks(self, limit: int = 20, before: str | None = None) -> list[NoticeDocument]: ...
    async def follow(self, address: str, petname: str | None = None) -> FollowDocument: ...
    async def unfollow(self, address: str) -> FollowDocument: ...
    async def following(self) -> list[FollowDocument]: ...
    async def invite(self) -> InviteDocument: ...
    async def timeline(
        self, limit: int = 20, before: str | None = None, author: str | None = None, tag: str | None = None
    ) -> list[NoticeDocument]: ...

    def watch(self, author: str | None = None, tag: str | None = None) -> AsyncIterator[NoticeDocument]:
        """Notices and boosts as they come to stand in the timeline, from now on.

        It listens from its first step, before it waits for anything, so that nothing falls between a page read after
        it and the first notice that it gives. It ends when CONTROL_WATCH_LAG_MAX notices wait for a reader that stalls.
        An error that it raises later reaches the client as the last line.
        """

    async def show(self, notice: str) -> NoticeDocument: ...
    async def thread(self, notice: str) -> ThreadDocument: ...
    async def peers(self) -> list[PeerDocument]: ...
    async def add_peer(self, endpoint: str) -> PeerDocument: ...
    async def entry(self, entry: str) -> EntryDocument: ...
    async def export_logs(self) -> LogsDocument: ...
    async def export_run(self, device: str, first: int) -> RunDocument: ...
    async def import_identity(self, identity: str) -> TakenDocument: ...
    async def import_run(self, run: str) -> TakenDocument: ...
    async def import_note(
        self, text: str, time: int, reply_to: str | None = None, cw: str | None = None, lang: str | None = None
    ) -> WrittenDocument: ...


# --- how arguments and errors travel ----------------------------------------------------------------------------------


class ErrorDocument(TypedDict):
    """A UserError on the wire: `exit_code` says which (errors.USER_ERRORS)."""

    error: str
    hint: str | None
    exit_code: int


def told(error: BaseException) -> UserError | None:
    """What the person is told of an error: a UserError, also one that came alone out of a nursery, or what the store
    says of its file; None where it is our bug."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, StoreError):
        return UserError(str(error))
    return error if isinstance(error, UserError) else None


class Argument(Enum):
    """What a route takes under one name."""

    TEXT = "text"
    OPTIONAL_TEXT = "text, or null"
    ROWS = "a number from 1 to 1,000"
    NUMBER = "a whole number"
    RUN = "a run in hexadecimal digits"
    """Text that may be larger than a request else is."""


REQUIRED = {Argument.TEXT, Argument.NUMBER, Argument.RUN}
"""What a request must not leave out."""

ROUTES: dict[str, dict[str, Argument]] = {
    "id": {},
    "status": {},
    "post": {
        "text": Argument.TEXT,
        "reply_to": Argument.OPTIONAL_TEXT,
        "cw": Argument.OPTIONAL_TEXT,
        "lang": Argument.OPTIONAL_TEXT,
    },
    "boost": {"notice": Argument.TEXT},
    "like": {"notice": Argument.TEXT},
    "unboost": {"notice": Argument.TEXT},
    "unlike": {"notice": Argument.TEXT},
    "delete": {"notice": Argument.TEXT},
    "profile": {"name": Argument.OPTIONAL_TEXT, "bio": Argument.OPTIONAL_TEXT},
    "bookmark": {"notice": Argument.TEXT},
    "unbookmark": {"notice": Argument.TEXT},
    "bookmarks": {"limit": Argument.ROWS, "before": Argument.OPTIONAL_TEXT},
    "follow": {"address": Argument.TEXT, "petname": Argument.OPTIONAL_TEXT},
    "unfollow": {"address": Argument.TEXT},
    "following": {},
    "invite": {},
    "timeline": {
        "limit": Argument.ROWS,
        "before": Argument.OPTIONAL_TEXT,
        "author": Argument.OPTIONAL_TEXT,
        "tag": Argument.OPTIONAL_TEXT,
    },
    "watch": {"author": Argument.OPTIONAL_TEXT, "tag": Argument.OPTIONAL_TEXT},
    "show": {"notice": Argument.TEXT},
    "thread": {"notice": Argument.TEXT},
    "peers": {},
    "add_peer": {"endpoint": Argument.TEXT},
    "entry": {"entry": Argument.TEXT},
    "export_logs": {},
    "export_run": {"device": Argument.TEXT, "first": Argument.NUMBER},
    "import_identity": {"identity": Argument.TEXT},
    "import_run": {"run": Argument.RUN},
    "import_note": {
        "text": Argument.TEXT,
        "time": Argument.NUMBER,
        "reply_to": Argument.OPTIONAL_TEXT,
        "cw": Argument.OPTIONAL_TEXT,
        "lang": Argument.OPTIONAL_TEXT,
    },
}
"""Route -> its arguments; each is a method of NodeApi, and a test holds the two together."""
