"""What the use cases answer and take over the control socket: the shapes of the JSON."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class IdDocument(TypedDict):
    address: str
    name: str | None
    device: str
    node: str
    uri: str


class StoreDocument(TypedDict):
    """`used`: bytes of the database and files; `max`: the cap, or null; `pruned`: how many entries went for it;
    `failing`: why what comes can't be kept at present, or null."""

    used: int
    max: int | None
    pruned: int
    failing: str | None


class SettingDocument(TypedDict):
    """`value` and `default` are spelled as a person types them."""

    key: str
    value: str
    default: str
    caption: str


class DeviceDocument(TypedDict):
    """One of one's own devices. `entries`: how many of its log are held; `here`: it is the one that writes on this
    node; `retired`: what it writes from now on counts for nothing."""

    device: str
    entries: int
    here: bool
    retired: bool


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
    devices: list[DeviceDocument]
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
    """The wire form of one's own identity, its logs as far as they are held, and endpoints of other nodes."""

    address: str
    identity: str
    logs: list[LogDocument]
    peers: list[str]


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


class CheckDocument(TypedDict):
    """`damaged`: whether anything is wrong with the database; `faults`: with which parts of the file, a sentence each;
    `entries`: how many of all logs are as they were signed; `lost`: how many are not, or can't be read, and `lost_own`
    how many of these are one's own. `kept_as`: where the damaged file is, if it was mended."""

    damaged: bool
    faults: list[str]
    entries: int
    lost: int
    lost_own: int
    kept_as: str | None


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
