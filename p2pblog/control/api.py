"""The use cases as the control socket offers them: plain JSON in, plain JSON out, UserError for what a person did."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import NotRequired, Protocol, TypedDict

from p2pblog.errors import StoreDamaged, StoreError, UserError


class IdDocument(TypedDict):
    address: str
    name: str | None
    device: str
    node: str
    uri: str


class StoreDocument(TypedDict):
    """`used`: bytes of the database and files; `max`: the cap, or null; `pruned`: how many entries went for it."""

    used: int
    max: int | None
    pruned: int


class SettingDocument(TypedDict):
    """`value` and `default` are spelled as a person types them."""

    key: str
    value: str
    default: str
    caption: str


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
    store: StoreDocument
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
    """`lookalike`: the address of somebody followed whose name one's own looks like."""

    address: str
    name: str | None
    bio: str | None
    links: list[str]
    avatar: FileDocument | None
    banner: FileDocument | None
    pinned: list[str]
    petname: str | None
    lookalike: str | None


class FollowDocument(TypedDict):
    """`state` is "searching" until somebody had the feed, then "found"; "disputed" while one of its logs has two
    histories and its owner has not said which one counts. `lookalike`: the address of somebody else, oneself or
    followed, whose name theirs looks like."""

    address: str
    name: str | None
    petname: str | None
    entries: int
    newest: int | None
    state: str
    no_boosts: bool
    budget: str | None
    private: bool
    pruned: int
    lookalike: str | None


class MuteDocument(TypedDict):
    """`kind` is "person", "tag" or "word"; `what` an address, a tag or a word; `until` a time, or null for good."""

    kind: str
    what: str
    until: int | None


class BlockDocument(TypedDict):
    address: str
    since: int


class NewBlockDocument(BlockDocument):
    """`unfollowed`: whether they were followed until then."""

    unfollowed: bool


class AdmittedDocument(TypedDict):
    """Somebody whom one has let in. `admitted`: by hand; `vouch`: the id of one's own vouch, if there is one."""

    address: str
    since: int
    admitted: bool
    vouch: str | None


class WhyDocument(TypedDict):
    """`shown`: whether it stands in the home timeline, itself or as boosted; `reasons`: sentences that say why, or why
    not."""

    id: str
    shown: bool
    reasons: list[str]


class InviteDocument(TypedDict):
    uri: str


class QuoteDocument(TypedDict):
    """`version`: of the words that were quoted, an edit's id or `id` itself; `text` is null until they are here; `cw`
    is the warning before them."""

    id: str
    version: str
    author: str
    text: str | None
    cw: str | None
    deleted: bool


class OptionDocument(TypedDict):
    text: str
    votes: int


class PollDocument(TypedDict):
    """`closes` is a time; `voters` are those whose votes count; `own` is what oneself chose, counted from 1."""

    options: list[OptionDocument]
    closes: int
    closed: bool
    voters: int
    own: int | None


class FileDocument(TypedDict):
    """A file of a notice, as its author describes it. `size` is in bytes; `thumb` the hash of a small picture of it."""

    hash: str
    name: str
    type: str
    size: int
    alt: str
    thumb: str | None


class FileArgument(TypedDict):
    """A file to be posted: the names of uploads, what it is called, and what is to be seen in it."""

    upload: str
    name: NotRequired[str]
    alt: NotRequired[str]
    thumb: NotRequired[str]


class UploadDocument(TypedDict):
    """`size`: how many bytes of it have come."""

    upload: str
    size: int


class MediaDocument(TypedDict):
    """A file, and the first notice here that has it; null where only a profile of `author` does. `held`: how many bytes
    are here, in so many `pieces`; `state` is "here", "fetching", "partly" or "elsewhere"."""

    hash: str
    name: str
    type: str
    size: int
    alt: str
    thumb: str | None
    author: str
    notice: str | None
    held: int
    pieces: int
    state: str


class PieceDocument(TypedDict):
    """`data` is base64: PIECE_BYTES bytes, fewer in the last piece."""

    hash: str
    index: int
    data: str


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
    boost_deleted: bool
    likes: int
    boosts: int
    tags: list[str]
    groups: list[str]
    cw: str | None
    lang: str | None
    edited: int | None
    quote: QuoteDocument | None
    mentions: list[str]
    poll: PollDocument | None
    muted: bool
    media: list[FileDocument]
    imported_time: int | None


class VersionDocument(TypedDict):
    """A notice's words at one time; `id` is the entry that says them."""

    id: str
    time: int
    text: str
    cw: str | None
    lang: str | None


NotificationDocument = TypedDict(
    "NotificationDocument",
    {"id": str, "type": str, "from": str, "name": str | None, "notice": str, "time": int, "read": bool},
)
"""`type` is "reply", "mention", "boost", "like", "poll" or "dm"; `name` is what they call themselves; `notice` is yours
that it is about, or the one that mentions you, or the message, or the poll that closed: then `id` is your poll or your
vote, and `from` whose poll it is."""


class ReadDocument(TypedDict):
    """How many notifications were not read before."""

    read: int


DmDocument = TypedDict("DmDocument", {"id": str, "from": str, "to": list[str], "text": str, "time": int})
"""A direct message opened; `from` and `to` are addresses."""


class BookmarkDocument(TypedDict):
    """`id`: of the notice; a boost stands for the one that it boosts."""

    id: str
    bookmarked: bool


class SearchDocument(TypedDict):
    """`unread`: how many entries came whose words are not indexed yet."""

    notices: list[NoticeDocument]
    unread: int


class ThreadDocument(TypedDict):
    """`known`: how many notices the conversation knows of; `missing`: how many of them are not here; `strangers`: how
    many replies of strangers wait in it, and are not among `notices`."""

    root: str | None
    notices: list[NoticeDocument]
    known: int
    missing: int
    pruned: int
    strangers: int


class ListDocument(TypedDict):
    """`members`: how many."""

    name: str
    members: int


class MemberDocument(TypedDict):
    address: str
    name: str | None
    petname: str | None


class GroupDocument(TypedDict):
    """A group that was joined at `since`. `notices`: how many said to it are here; `authors`: by how many people."""

    name: str
    since: int
    notices: int
    authors: int


class ListMembersDocument(TypedDict):
    name: str
    members: list[MemberDocument]


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
    """A run in its wire form, null where all before `next` is damaged; the number to go on from, null at the end."""

    run: str | None
    next: int | None


class TakenDocument(TypedDict):
    """How many entries were looked at, and how many of them, or of their payloads, were not held before. `refused`: how
    many were left, for their log goes on otherwise here, or takes nothing more because it is disputed."""

    entries: int
    new: int
    refused: int


class FileTakenDocument(TypedDict):
    """`new`: it is a file of ours now, and was not before."""

    hash: str
    new: bool


class ExportDocument(TypedDict):
    """`files`: how many of one's notices' files are in it; `missing_files`: how many are not, because not all of them
    is here or there is no more room; `missing_follows`: how many private follows are not, for want of `--secrets`;
    `missing_entries`: how many of one's entries could not be read; `faults`: what else could not, a sentence each."""

    file: str
    entries: int
    bytes: int
    secrets: bool
    files: int
    missing_files: int
    missing_follows: int
    missing_entries: int
    faults: list[str]


class SkippedDocument(TypedDict):
    """A row of a list of follows that was refused."""

    line: int
    reason: str


class ImportDocument(TypedDict):
    """What `import` did with an archive of ours. `restored`: it made this home's identity; `files`: how many came that
    were not here; `refused`: entries that were left, for their log goes on otherwise here or is disputed; `skipped`: of
    its list of follows."""

    address: str
    entries: int
    new: int
    refused: int
    followed: int
    restored: bool
    files: int
    skipped: list[SkippedDocument]


class BroughtDocument(TypedDict):
    """What `import --from mastodon` did: notices written, things left aside, notices that an import wrote before."""

    imported: int
    skipped: int
    already: int


class FollowedDocument(TypedDict):
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


def told(error: BaseException) -> UserError | None:
    """What the person is told of an error: a UserError, also one that came alone out of a nursery, or what the store
    says of its file; None where it is our bug."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, StoreError):
        return UserError(f"{error}; {error.WAY_OUT}" if isinstance(error, StoreDamaged) else str(error))
    return error if isinstance(error, UserError) else None
