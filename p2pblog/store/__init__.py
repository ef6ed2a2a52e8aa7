"""The store's one interface: what a node keeps, with SQLite on disk and a dict in memory behind it.

Nothing here checks a signature: what comes in was verified by the core, and the types say so. A method is one use
case and one crossing to the thread that holds the database; each is one transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from p2pblog.core.entry import Entry
from p2pblog.core.forks import ForkProof
from p2pblog.core.identity import Identity
from p2pblog.core.keys import DeviceKey, EntryId, IdentityHash, NodeKey
from p2pblog.core.logs import Batch as Batch
from p2pblog.core.logs import Located as Located
from p2pblog.core.logs import LogState as LogState
from p2pblog.core.logs import Span as Span
from p2pblog.core.media import Attachment, FileHash
from p2pblog.core.payload import Profile, Ref
from p2pblog.core.quiet import Mute, MuteKind, Rated
from p2pblog.core.search import Phrase
from p2pblog.core.timelines import Row
from p2pblog.core.value import Value, field
from p2pblog.store.meaning import Kind
from p2pblog.store.meaning import News as News
from p2pblog.store.meaning import Version as Version


class Follow(Value):
    """`no_boosts`, `budget` (as core.quiet spells it): on which terms. `private`: nobody is told by us."""

    identity: IdentityHash
    petname: str | None = None
    since_ms: int = 0
    no_boosts: bool = False
    budget: str | None = None
    private: bool = False


class Block(Value):
    identity: IdentityHash
    since_ms: int


class Admitted(Value):
    """Who is no stranger, because we say so."""

    identity: IdentityHash
    since_ms: int


class Vouched(Value):
    """A shown vouch, and for whom it is."""

    id: EntryId
    subject: IdentityHash
    time_ms: int


class FollowRow(Value):
    """A follow with what we hold of it. `newest_ms` is the claimed time of its newest notice; `pruned`: how many of
    its entries went to save room."""

    identity: IdentityHash
    name: str | None
    petname: str | None
    entries: int
    newest_ms: int | None
    no_boosts: bool = False
    budget: str | None = None
    private: bool = False
    pruned: int = 0


class KnownPeer(Value):
    """A node that we may dial. `endpoint` is HOST:PORT; `node` is None until a handshake proved it."""

    endpoint: str
    node: NodeKey | None = None
    seen_ms: int = 0
    failures: int = 0


class Contents(Value):
    """Everything a node keeps in memory, as it stood when it stopped. `damaged`: the devices of logs of which only a
    part can be read; there may be more of them than `logs` says."""

    identities: tuple[Identity, ...] = ()
    logs: tuple[LogState, ...] = ()
    follows: tuple[Follow, ...] = ()
    peers: tuple[KnownPeer, ...] = ()
    settings: dict[str, bytes] = field(default_factory=dict)
    mutes: tuple[Mute, ...] = ()
    blocks: tuple[Block, ...] = ()
    damaged: tuple[DeviceKey, ...] = ()


class TimelineQuery(Value):
    """`identities`: whose notices (None: of self and all follows, or with a tag of everybody). `before`: an id in the
    timeline, exclusive. `tag`: only notices with it, as `core.tags` has it; boosts have none of their own. `group`:
    only notices that were said to it, as `core.groups` has it, strays among them. `strangers`: only what waits, and
    then whatever the others say."""

    limit: int
    before: EntryId | None = None
    identities: tuple[IdentityHash, ...] | None = None
    tag: str | None = None
    group: str | None = None
    strangers: bool = False


class Reference(Value):
    """A shown notice or profile (`notice`) that has a file, as its file or as its thumbnail."""

    notice: EntryId
    author: IdentityHash
    attachment: Attachment
    is_profile: bool = False


REFERENCES_MAX = 8
"""Authors named of those whose notices have one file: links that share their feeds are asked for it first."""


class DmRow(Value):
    """A direct message as it stands in a log of `author`; whom it is for only their keys tell."""

    id: EntryId
    author: IdentityHash
    time_ms: int
    payload: bytes


class Thread(Value):
    """A conversation. `root`: the id of the topmost ancestor known, even if we lack it; None if `notice` is unknown.
    `notices`: those held, oldest first, at most THREAD_NOTICES_MAX. `known`: how many notices it knows of, itself or
    from one that is shown: all that are held, its root, and those that the shown ones quote. `lacking`: which of them
    are not here, the root first. An answer that nothing held names is known to nobody here and so in neither.
    `pruned`: how many of those that are lacking went to save room. `waiting`: what strangers said to us in it, below
    notices of ours, oldest first; none of it is in `notices`."""

    root: EntryId | None
    notices: tuple[Row, ...]
    known: int
    lacking: tuple[EntryId, ...]
    waiting: tuple[EntryId, ...] = ()
    pruned: int = 0

    @property
    def missing(self) -> int:
        return len(self.lacking)


class SearchQuery(Value):
    """Notices that hold all of `wanted` and none of `unwanted`, by `authors` (None: by anybody) and none of
    `not_authors`, which stand from `since_ms` on and below `until_ms`. `before`: an id that is held, exclusive."""

    limit: int
    before: EntryId | None = None
    wanted: tuple[Phrase, ...] = ()
    unwanted: tuple[Phrase, ...] = ()
    authors: tuple[IdentityHash, ...] | None = None
    not_authors: tuple[IdentityHash, ...] = ()
    since_ms: int | None = None
    until_ms: int | None = None

    def fits(self, author: IdentityHash, sort: int, words: Sequence[str]) -> bool:
        """Whether it asks for a notice by that author, at that place, with these words (`meaning.found_words`)."""
        if author in self.not_authors or (self.authors is not None and author not in self.authors):
            return False
        if (self.since_ms is not None and sort < self.since_ms) or (
            self.until_ms is not None and sort >= self.until_ms
        ):
            return False
        wanted = all(phrase.is_in(words) for phrase in self.wanted)
        return wanted and not any(phrase.is_in(words) for phrase in self.unwanted)


class SearchResult(Value):
    """What a search found. `unread`: how many entries it could not look into yet."""

    rows: tuple[Row, ...]
    unread: int = 0


class ListRow(Value):
    """A list of people. `members`: how many."""

    name: str
    members: int


class GroupRow(Value):
    """A group that the node's own person joined at `since_ms`. `notices`: how many said to it are here and shown;
    `authors`: how many people wrote them."""

    name: str
    since_ms: int
    notices: int
    authors: int


class Usage(Value):
    """`used`: bytes that the database fills; `free`: bytes of its file that it fills again before it grows. `pruned`:
    how many entries went to save room and are not wanted back."""

    used: int
    free: int
    pruned: int


class Bottom(Value):
    """A log of which something is held, and where its lowest entry stands, in ms."""

    device: DeviceKey
    identity: IdentityHash
    low: int
    high: int
    oldest_ms: int


class PrunedLog(Value):
    """A log after entries of it went, how many, and where its lowest one stands now (None: nothing is left)."""

    state: LogState
    dropped: int
    oldest_ms: int | None


CONFIG = "config."
"""How the settings begin that a person has set; their value is a number of bytes, or nothing for no limit."""
OWN_IDENTITY = "identity"
"""The setting that holds the hash of the node's own identity; its notices stand in the home timeline."""
OWN_DEVICE = "device"
"""The setting that holds the key of the device that a node writes with since its last start on this database."""


class Store(Protocol):
    """What a node keeps. Every method may raise StoreFull (nothing was written) or StoreError."""

    async def load(self) -> Contents: ...

    async def aclose(self) -> None: ...

    # --- what comes from peers and from ourselves ---

    async def put_identity(self, identity: Identity) -> None:
        """Replace what is kept of this identity; what its devices' standings hide or show follows at once. Until it
        is put, runs of its logs are shown as strays are: they are in no timeline but those of groups."""

    async def put_identities(self, identities: Sequence[Identity]) -> None:
        """As `put_identity`, of each in turn, all or none."""

    async def append(self, batches: Sequence[Batch], now_ms: int, durable: bool = False) -> list[LogState]:
        """Store runs, all or none, and give the state of each touched log, in the order of `batches`.

        Raises BadChain if a run contradicts what is held (an id or link differs): nothing of it is stored.
        `durable`: return only when it would survive a power cut (own entries).
        """

    async def put_payloads(self, device: DeviceKey, payloads: Sequence[tuple[int, bytes]]) -> LogState:
        """Fill gaps; what is not held, held already or retracted is left aside. Raises BadChain for a payload that its
        entry does not commit to (then nothing is stored), or for a log of which nothing is held but strays."""

    async def put_stray(self, located: Located, now_ms: int) -> None:
        """Keep one entry of a log that we don't hold because something we hold refers to it. It shows in `rows`,
        `thread`, `locate`, `find_ids`, in a group and as a boosted text, and in no timeline of its own.

        Its payload and a verified signature, its own or that of `chain`'s last, come with it. If the identity is kept,
        that decides whether it shows; otherwise whoever hands it in has checked. At most STRAYS_MAX are kept.
        One that is part of a run held for others stays when that goes, as if it had come before."""

    async def freeze(self, proof: ForkProof) -> None:
        """Mark a log disputed, with the first proof that came; a log that we hold or that an identity kept names."""

    async def drop_log(self, device: DeviceKey) -> None:
        """Forget a log altogether (its first entry names another identity, or it is of somebody who is blocked)."""

    async def leave_log(self, device: DeviceKey, now_ms: int) -> None:
        """Forget the runs of a log that was held for others. What was a stray before they came is one again, and what a
        person holds on to becomes one, as when it is pruned; of a stranger only what is bookmarked, or what our
        identity answered, liked, boosted or voted on, with its edits and deletes: anybody can have us hold anything for
        a while. Whatever is left, that something went is not remembered."""

    async def drop_retracted(self, before_ms: int) -> int:
        """Drop the payload bytes of what we first saw deleted before that time; gives how many."""

    # --- room ---

    async def usage(self) -> Usage: ...

    async def bottoms(self) -> list[Bottom]: ...

    async def prune(self, device: DeviceKey, up_to: int, now_ms: int) -> PrunedLog:
        """Drop a log's entries up to this number, and take none of them in any more, as `LogState.floor` says. What a
        person holds on to stays as a stray: what is bookmarked, what our identity answered, liked, boosted or voted on,
        answers and mentions that are news to it, vouches by whom we follow, direct messages that were not set aside,
        the author's newest profile and pins, and edits and deletes of what stays; of a log that is held for others,
        as in `leave_log`. Raises BadChain for a log that is not held.

        Where nothing is left of a log, as of one that nobody follows, it has no floor."""

    async def prune_strays(self, passed: int, most: int) -> tuple[int, int]:
        """Look at so many strays, those kept longest first but for the first `passed`, and drop what nobody holds on
        to. Gives how many stayed and how many went."""

    async def lift_floors(self, identity: IdentityHash | None = None) -> list[LogState]:
        """What was pruned of one identity's logs, or of all, is wanted again; gives the logs that had a floor."""

    async def was_pruned(self, prefix: str) -> bool:
        """Whether something held says of an id that begins with these hex digits that it stands where we pruned."""

    async def give_back(self, pages: int) -> int:
        """Give up to so many free pages back to the disk; gives how many bytes are still free."""

    # --- what peers ask for ---

    async def run(self, device: DeviceKey, first: int, last: int, bytes_max: int) -> Sequence[Entry]:
        """Entries from `first` up to `last` and on to the next one with a signature (at most 63 more); fewer if
        `bytes_max` of payload or the run limits are reached, but always ending on a signature, and always up to the
        first one (under 64 entries), so that a small `bytes_max` does not stall. Empty if `first` is not held.
        What is damaged is left out: then the run may end below it, or begin above it, but not above `last`."""

    # --- what a person asks for ---

    async def timeline(self, query: TimelineQuery) -> list[Row]:
        """Newest first. Raises NotFound for an unknown `before`."""

    async def versions(self, notice: EntryId) -> list[Version]:
        """The words of a shown notice: as they were first, then its author's shown edits as they came, the newest
        VERSIONS_MAX; empty for anything else."""

    async def refs(self, ids: Sequence[EntryId]) -> list[tuple[Ref, ...]]:
        """Where each of these entries stands, and behind a notice the edit whose words stand; nothing for what is not
        held or may not be shown."""

    async def news(
        self, limit: int, before: EntryId | None = None, unread: bool = False, but_of: Collection[bytes] = ()
    ) -> list[News]:
        """What others said to the node's own identity, the last that came first; without what waits because it is of
        strangers. Of likes and boosts those of own notices and boosts that are shown where they say. `unread`: only
        what is not read. `but_of`: nothing from these. Raises NotFound for a `before` that is no news, or waits."""

    async def end_polls(self, now_ms: int) -> int:
        """Polls that have closed by now become news; gives how many. A poll does once, if it is here and shown, if the
        node's own identity made it or voted in it, and if that poll or vote, held and shown still, came by `append` no
        later than the poll closed, though its payload may have come after: so an old archive that is brought back tells
        of no old polls. Of one's own poll it is the poll that is news, of another's the vote."""

    async def mark_news_read(self) -> int:
        """All that has come and does not wait is read from now on; gives how much of it was not. That a number of a log
        was read is remembered while anything of that log is known: what is there goes and comes again as read, and
        stands where it stood. With another own identity nothing is read."""

    async def search(self, query: SearchQuery) -> SearchResult:
        """Notices that are shown, strays among them, newest first; no boosts. Words come into the index behind the
        notices: at most SEARCH_CATCH_UP_MAX do before this answers. Raises NotFound for an unknown `before`."""

    async def rows(self, ids: Sequence[EntryId]) -> list[Row]:
        """The notices and boosts of these ids that may be shown, in the order asked for. A boost's row has the text,
        likes and boosts of what it boosts; the text is empty while that is not held, or hidden."""

    async def thread(self, notice: EntryId) -> Thread: ...

    async def taken_back_by(self, author: IdentityHash, entry: EntryId) -> EntryId | None:
        """A delete in force by this author that names an entry, of whatever kind, held or not: the one with the lowest
        id; None without one, and for what is held and can't be taken back."""

    async def taken_back(self, device: DeviceKey, since_ms: int) -> list[int]:
        """The numbers, ascending, of a log's entries that deletes in force name, by whichever device: of those whose
        payload is held still and whose own time is later than `since_ms`."""

    async def reactions(self, identity: IdentityHash, notice: EntryId, kind: Kind) -> list[EntryId]:
        """The likes, boosts or pins of a notice by one identity that count, oldest first in each log."""

    async def pins(self, identity: IdentityHash) -> list[EntryId]:
        """The notices that an identity has pinned, each once, the one pinned last first: at most PINS_MAX of those that
        are its own and shown; only its newest PINS_READ_MAX pins are looked at."""

    async def dms(self, limit: int, before: EntryId | None = None, untold: bool = False) -> list[DmRow]:
        """The direct messages in all logs that are held, as they are shown, newest first, but for those set aside;
        `before`: only those below this entry. `untold`: by others, and never settled, oldest first, so that news come
        in this order however many are settled at once. Raises NotFound for an unknown `before`."""

    async def settle_dms(self, for_us: Sequence[EntryId], for_others: Sequence[EntryId], now_ms: int) -> None:
        """What whoever has the keys found out: those that are for us, shown, and by others are news from now on; those
        that are for others are set aside, and `dms` gives them no more, so that each is tried once. Forgotten with the
        entry itself, and, that they are news, with another own identity."""

    async def find_ids(self, prefix: str) -> list[EntryId]:
        """At most two ids that begin with these hex digits."""

    async def locate(self, entry: EntryId) -> Located | None: ...

    async def id_at(self, device: DeviceKey, seq: int) -> EntryId | None:
        """The id of the entry that is held at this place of a log, in a run or as a stray."""

    async def find_files(self, prefix: str) -> list[FileHash]:
        """At most two hashes of files, or of their thumbnails, that begin with these hex digits and that a shown notice
        refers to, ascending."""

    async def references(self, file: FileHash) -> list[Reference]:
        """Shown notices and profiles that refer to a file, by where they stand in the store: of each author one of both
        at most, and of REFERENCES_MAX authors."""

    async def promised_size(self, file: FileHash) -> int:
        """The largest size that shown notices and profiles promise of a file, 0 without any. Of each log the first one
        counts: who tells the truth says the same each time."""

    async def unreferred(self, files: Sequence[FileHash]) -> list[FileHash]:
        """Those of these files that no shown notice or profile refers to, in their order."""

    async def profile(self, identity: IdentityHash) -> tuple[str | None, str | None]:
        """(name, bio) by the newest profile entry held."""

    async def names(self, identities: Collection[IdentityHash]) -> dict[IdentityHash, str | None]:
        """What each of these people calls themselves, as `profile` tells; None for no name, an empty one, and one that
        is damaged."""

    async def whole_profile(self, identity: IdentityHash) -> Profile | None:
        """All that this entry says; None where none is held."""

    async def entry_count(self, device: DeviceKey | None = None) -> int:
        """How many entries are held, of all logs or of one; those that are damaged count too."""

    # --- strangers ---

    async def put_admitted(self, identity: IdentityHash, now_ms: int) -> bool:
        """Somebody is no stranger from now on; gives whether there was room (ADMITTED_MAX). Who is admitted keeps the
        time; a block ends it."""

    async def drop_admitted(self, identity: IdentityHash) -> bool:
        """Gives whether they were admitted."""

    async def admitted(self) -> list[Admitted]:
        """As they came."""

    async def vouches(self, by: IdentityHash, subject: IdentityHash | None = None) -> list[Vouched]:
        """The shown vouches of somebody, all or those for one person; by whom they are for, then by their logs."""

    async def vouchers(self, subject: IdentityHash) -> list[IdentityHash]:
        """Those among oneself and those one follows who vouch for somebody, by their hashes."""

    # --- what a person does not want ---

    async def put_mute(self, mute: Mute, now_ms: int) -> bool:
        """Add or replace; those that have ended by now are forgotten. Gives whether there was room (MUTES_MAX)."""

    async def drop_mute(self, kind: MuteKind, what: bytes) -> bool:
        """Gives whether it was kept."""

    async def put_block(self, block: Block) -> bool:
        """Block an identity, and forget its statements and all that is held of it, strays and bookmarks too. Gives
        whether there was room (BLOCKS_MAX); a block that stands keeps its time. The caller sees to it that nothing more
        of it comes."""

    async def drop_block(self, identity: IdentityHash) -> bool:
        """Gives whether it was blocked."""

    async def window(self, identity: IdentityHash, from_ms: int, to_ms: int, limit: int) -> list[Rated]:
        """One person's shown notices and boosts that stand from then on and before then, the earliest first. Praise is
        likes and boosts, once each, by oneself and those one follows, but not of one's own notice or boost."""

    async def boosts_at_home(self, notice: EntryId) -> list[EntryId]:
        """The shown boosts of a notice by oneself and those one follows, in the order of their ids."""

    # --- bookmarks, follows, peers, settings ---

    async def put_bookmark(self, notice: EntryId, now_ms: int) -> bool:
        """Remember a notice; gives whether there was room. One that is remembered already keeps its place."""

    async def drop_bookmark(self, notice: EntryId) -> bool:
        """Gives whether it was remembered."""

    async def bookmarks(self, limit: int, before: EntryId | None = None) -> list[Row]:
        """The bookmarked notices that are here and shown, the one bookmarked last first; `before`: only those that
        were bookmarked before this one. Raises NotFound for a `before` that is no bookmark."""

    async def put_follow(self, follow: Follow) -> None: ...

    async def drop_follow(self, identity: IdentityHash) -> None:
        """The follow goes, also out of all lists; the entries stay until the store needs the room."""

    async def follow_rows(self, of: Collection[IdentityHash] | None = None) -> list[FollowRow]:
        """Of all whom one follows, or as far as they are among these."""

    async def put_list(self, name: str) -> bool:
        """Begin a list, unless there is one of that name; gives whether there was room. At most LISTS_MAX are kept."""

    async def drop_list(self, name: str) -> None:
        """Raises NotFound for a list that is not there, as all below do."""

    async def put_members(self, name: str, identities: Sequence[IdentityHash]) -> bool:
        """Put these people into a list: all, or none where there was no room, which is what it gives. At most
        LIST_MEMBERS_MAX are kept."""

    async def drop_members(self, name: str, identities: Sequence[IdentityHash]) -> None: ...

    async def members(self, name: str) -> list[IdentityHash]:
        """By their hashes."""

    async def lists(self) -> list[ListRow]:
        """By their names."""

    async def listed(self) -> list[IdentityHash]:
        """Who is in any list, each once, by their hashes."""

    async def put_group(self, name: str, now_ms: int) -> bool:
        """Join a group; gives whether there was room. At most GROUPS_JOINED_MAX are kept, and one that was joined
        before keeps its time."""

    async def drop_group(self, name: str) -> bool:
        """Gives whether it was joined. Its notices stay."""

    async def group(self, name: str) -> GroupRow | None:
        """None for one that was not joined."""

    async def groups(self) -> list[GroupRow]:
        """Those that were joined, by their names."""

    async def put_peers(self, peers: Sequence[KnownPeer]) -> None:
        """Add or replace, by endpoint. Beyond KNOWN_PEERS_MAX those seen longest ago go."""

    async def put_setting(self, key: str, value: bytes | None) -> None:
        """Small things that outlive a start, by name; None forgets."""

    async def settings(self, prefix: str) -> dict[str, bytes]: ...
