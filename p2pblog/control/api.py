"""The use cases as the control socket offers them: plain JSON in, plain JSON out, UserError for what a person did."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol, TypedDict

from p2pblog.control.documents import (
    AdmittedDocument,
    BlockDocument,
    BookmarkDocument,
    DmDocument,
    EntryDocument,
    FileArgument,
    FileTakenDocument,
    FollowDocument,
    GroupDocument,
    IdDocument,
    InviteDocument,
    ListDocument,
    ListMembersDocument,
    LogsDocument,
    MediaDocument,
    MuteDocument,
    NewBlockDocument,
    NoticeDocument,
    NotificationDocument,
    PeerDocument,
    PieceDocument,
    ProfileDocument,
    ReadDocument,
    RunDocument,
    SearchDocument,
    SettingDocument,
    StatusDocument,
    TakenDocument,
    ThreadDocument,
    UploadDocument,
    VersionDocument,
    WhyDocument,
    WrittenDocument,
)
from p2pblog.errors import StoreDamaged, StoreError, UserError


class NodeApi(Protocol):
    """One method a command. An ADDRESS argument is an address, a `p2pblog:` link or a petname; an id is a hex prefix.

    The names are also those of the routes: `POST /timeline {"limit": 5}` calls `timeline(limit=5)`.
    All raise UsageError (exit 2), NotFound (4), NotPermitted (5), TimedOut (6) or UserError (1).
    """

    async def id(self) -> IdDocument: ...
    async def status(self) -> StatusDocument: ...
    async def post(
        self,
        text: str,
        reply_to: str | None = None,
        cw: str | None = None,
        lang: str | None = None,
        poll: list[str] | None = None,
        closes: str | None = None,
        media: Sequence[FileArgument] | None = None,
    ) -> WrittenDocument: ...
    async def edit(self, notice: str, text: str, cw: str | None = None, lang: str | None = None) -> WrittenDocument: ...
    async def quote(
        self, notice: str, text: str, cw: str | None = None, lang: str | None = None
    ) -> WrittenDocument: ...
    async def vote(self, notice: str, choice: int) -> WrittenDocument: ...

    async def upload(self, data: str, upload: str | None = None) -> UploadDocument:
        """Put bytes (base64) behind an upload, or begin one. Nothing is done to them: a picture's metadata must be
        gone by then."""

    async def media(self, file: str) -> MediaDocument: ...

    async def fetch_media(self, file: str, known: int | None = None) -> MediaDocument:
        """Begin to fetch a file, or wait a second for more than the `known` pieces. Call it again until `state` is
        "here"; if nobody has it or answers, it raises NotFound or TimedOut, and the next call tries anew."""

    async def media_piece(self, file: str, index: int = 0) -> PieceDocument: ...
    async def boost(self, notice: str) -> WrittenDocument: ...
    async def like(self, notice: str) -> WrittenDocument: ...
    async def unboost(self, notice: str) -> WrittenDocument: ...
    async def unlike(self, notice: str) -> WrittenDocument: ...
    async def pin(self, notice: str) -> WrittenDocument: ...
    async def unpin(self, notice: str) -> WrittenDocument: ...
    async def delete(self, notice: str) -> WrittenDocument: ...
    async def profile(
        self,
        name: str | None = None,
        bio: str | None = None,
        links: list[str] | None = None,
        address: str | None = None,
        avatar: Sequence[FileArgument] | None = None,
        banner: Sequence[FileArgument] | None = None,
    ) -> ProfileDocument: ...
    async def dm(self, to: list[str], text: str) -> WrittenDocument: ...
    async def dms(self, limit: int = 20, before: str | None = None) -> list[DmDocument]: ...
    async def bookmark(self, notice: str) -> BookmarkDocument: ...
    async def unbookmark(self, notice: str) -> BookmarkDocument: ...
    async def bookmarks(self, limit: int = 20, before: str | None = None) -> list[NoticeDocument]: ...
    async def follow(
        self,
        address: str,
        petname: str | None = None,
        no_boosts: bool | None = None,
        budget: str | None = None,
        private: bool | None = None,
    ) -> FollowDocument:
        """`budget`: as "3/day", or "none". What is None stays as it is."""

    async def unfollow(self, address: str) -> FollowDocument: ...
    async def following(self) -> list[FollowDocument]: ...
    async def mute(
        self, address: str | None = None, tag: str | None = None, word: str | None = None, lasting: str | None = None
    ) -> MuteDocument:
        """One of the first three; `lasting`: as "7d", "12h" or "30m", None for good."""

    async def unmute(
        self, address: str | None = None, tag: str | None = None, word: str | None = None
    ) -> MuteDocument: ...
    async def muted(self) -> list[MuteDocument]: ...
    async def block(self, address: str) -> NewBlockDocument: ...
    async def unblock(self, address: str) -> BlockDocument: ...
    async def blocked(self) -> list[BlockDocument]: ...
    async def admit(self, address: str) -> AdmittedDocument: ...
    async def unadmit(self, address: str) -> AdmittedDocument: ...
    async def admitted(self) -> list[AdmittedDocument]: ...
    async def vouch(self, address: str) -> WrittenDocument: ...
    async def unvouch(self, address: str) -> WrittenDocument: ...
    async def why(self, notice: str) -> WhyDocument: ...
    async def invite(self) -> InviteDocument: ...
    async def config(self) -> list[SettingDocument]: ...
    async def config_get(self, key: str) -> SettingDocument: ...
    async def config_set(self, key: str, value: str) -> SettingDocument: ...
    async def config_unset(self, key: str) -> SettingDocument: ...
    async def lists(self) -> list[ListDocument]: ...
    async def create_list(self, name: str) -> ListDocument: ...
    async def delete_list(self, name: str) -> ListDocument: ...
    async def add_to_list(self, name: str, addresses: list[str]) -> ListDocument: ...
    async def remove_from_list(self, name: str, addresses: list[str]) -> ListDocument: ...
    async def show_list(self, name: str) -> ListMembersDocument: ...
    async def groups(self) -> list[GroupDocument]: ...
    async def join_group(self, name: str) -> GroupDocument: ...
    async def leave_group(self, name: str) -> GroupDocument: ...
    async def timeline(
        self,
        limit: int = 20,
        before: str | None = None,
        author: str | None = None,
        tag: str | None = None,
        of_list: str | None = None,
        group: str | None = None,
        fetch: bool = False,
        strangers: bool = False,
    ) -> list[NoticeDocument]:
        """`fetch`, with a group only: look for what was said to it before the answer, for some 10 s at most.
        `strangers`: only what they say to one, which waits."""

    def watch(
        self,
        author: str | None = None,
        tag: str | None = None,
        of_list: str | None = None,
        group: str | None = None,
    ) -> AsyncIterator[NoticeDocument]:
        """Notices and boosts as they come to stand in the timeline, from now on: also those written while the node was
        off, but no history of somebody followed only now.

        It listens from its first step, before it waits for anything, so that nothing falls between a page read after
        it and the first notice that it gives. When CONTROL_WATCH_LAG_MAX notices wait for a reader that stalls, it
        gives them and raises UserError. An error that it raises later reaches the client as the last line.
        """

    async def search(self, query: str, limit: int = 20, before: str | None = None) -> SearchDocument: ...
    async def show(self, notice: str) -> NoticeDocument: ...
    async def versions(self, notice: str) -> list[VersionDocument]: ...
    async def notifications(
        self, limit: int = 20, before: str | None = None, unread: bool = False
    ) -> list[NotificationDocument]: ...
    async def read_notifications(self) -> ReadDocument: ...
    async def thread(self, notice: str, fetch: bool = False) -> ThreadDocument: ...
    async def peers(self) -> list[PeerDocument]: ...
    async def add_peer(self, endpoint: str) -> PeerDocument: ...
    async def entry(self, entry: str) -> EntryDocument: ...
    async def export_logs(self) -> LogsDocument: ...
    async def export_run(self, device: str, first: int) -> RunDocument: ...
    async def import_identity(self, identity: str) -> TakenDocument: ...
    async def import_run(self, run: str) -> TakenDocument: ...
    async def import_file(self, file: str, upload: str) -> FileTakenDocument: ...
    async def import_note(
        self, text: str, time: int, reply_to: str | None = None, cw: str | None = None, lang: str | None = None
    ) -> WrittenDocument: ...


# --- how arguments and errors travel ----------------------------------------------------------------------------------


class ErrorDocument(TypedDict):
    """A UserError on the wire: `exit_code` says which (errors.USER_ERRORS)."""

    error: str
    hint: str | None
    exit_code: int


def as_user_error(error: BaseException) -> UserError | None:
    """What the person is told of an error: a UserError, also one that came alone out of a nursery, or what the store
    says of its file; None where it is our bug."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, StoreDamaged):
        return UserError(f"{error}; {error.WAY_OUT}", error.HINT)
    if isinstance(error, StoreError):
        return UserError(str(error))
    return error if isinstance(error, UserError) else None
