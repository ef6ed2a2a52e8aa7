"""What an entry means to a store: what it refers to, where it stands, how it reads. Pure, and the same for every store.

The rules, in full. An entry is *shown* if its payload is held, the identity kept vouches for its device up to its
number (`core.timelines.is_shown`), and it is not retracted. It is *retracted* if a delete names its id, is of the same
identity, and is itself vouched for. A delete can't be retracted, nor can entry 1, which names the log's identity; so
what hides what never runs in a circle and does not depend on the order of arrival.

* Of an identity that isn't kept, all is shown, since whoever handed it in checked it. But anybody can have us hold a
  run of it for others: until the identity is kept, what is in a run is found by its id alone. It is no news, stands in
  no timeline, group, search or below what it answers, no direct message of it is listed, and no like, boost, vote,
  vouch or pin of it counts; unless it is a stray as well, lent to the run: then it stands and counts as a stray does.
* A retracted entry's payload is not *missing*: nobody asks for it again.
* A like or boost counts while it is shown, once for each identity. It is news while an own notice or boost is shown
  where it says.
* A vouch counts while it is shown and by the node's own identity or somebody followed. Who is vouched for so, admitted,
  followed or oneself is no *stranger*; what strangers say to the node's own identity *waits*.
* A notice is pinned while it is shown and so is a pin by its own author that names it; the newest PINS_MAX count.
* A vote counts while it is shown, by the rule of `core.polls.tally`.
* A file is *referred to* by the shown notices and profiles that have it, strays included, older profiles as
  well as the newest: only such a file is given to peers.
* An edit counts while it is shown and its identity is that of the notice. Of each device its last edit of a notice
  counts; of these, those that no other names as replaced; of what is left the one with the highest id.
* A notice stands under each tag of its text, as edited, wherever its author's timeline shows it; and under each group
  that its text names, as edited, wherever it is shown, as a stray too.
* A reply ties its parent and its children together even when it is retracted itself, so a conversation stays whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum, IntEnum

from p2pblog.config import POLL_LOOK_AGAIN_MS, SEQ_MAX
from p2pblog.core.entry import Entry
from p2pblog.core.groups import groups_of
from p2pblog.core.identity import Identity
from p2pblog.core.keys import DeviceKey, EntryId, IdentityHash
from p2pblog.core.media import FileHash, distinct_files
from p2pblog.core.mentions import mentions_of
from p2pblog.core.payload import (
    Boost,
    Delete,
    Dm,
    Edit,
    Like,
    Note,
    Pin,
    Profile,
    Quote,
    Ref,
    Vote,
    Vouch,
    decode,
)
from p2pblog.core.polls import Ballot, tally
from p2pblog.core.search import MEDIA, log_word, tag_word, words_of
from p2pblog.core.tags import tags_of
from p2pblog.core.timelines import Row, is_shown, sort_time
from p2pblog.core.value import Value, replace


class Kind(IntEnum):
    """What an entry is. These numbers are in databases: never change one."""

    GAP = 0
    NOTE = 1
    BOOST = 2
    LIKE = 3
    DELETE = 4
    PROFILE = 5
    OTHER = 6
    VOTE = 8
    PIN = 9
    EDIT = 10
    DM = 7
    VOUCH = 11


IN_TIMELINES = (Kind.NOTE, Kind.BOOST)
REACTIONS = (Kind.BOOST, Kind.LIKE, Kind.PIN)
"""What is found by the notice that it refers to, and by whose it is."""
SAID = (Kind.NOTE, Kind.BOOST, Kind.LIKE)
"""What may be said to somebody."""
STAND_FOR = (*REACTIONS, Kind.VOTE, Kind.EDIT)
"""What stands for the notice that it refers to where somebody asks for a conversation."""


class Meaning(Value):
    """`of`: the id replied to, boosted, liked, pinned, voted on or edited. `deletes`: the ids taken back, ascending.
    `tags`, `groups`: of the text. `replaces`: the edits that an edit replaces. `to`: whom it answers, mentions, quotes,
    boosts or likes; of a vouch, for whom it is; nobody of an edit, so that what a notice said first decides who is told
    of it. `choice`: a vote's. `files`: the hashes of a notice's or profile's files and their thumbnails. `at`: where
    what is boosted or liked stands, as this says."""

    kind: Kind
    of: EntryId | None = None
    deletes: tuple[EntryId, ...] = ()
    tags: tuple[str, ...] = ()
    replaces: tuple[EntryId, ...] = ()
    to: tuple[IdentityHash, ...] = ()
    choice: int = 0
    files: tuple[FileHash, ...] = ()
    groups: tuple[str, ...] = ()
    at: Ref | None = None


_GAP, _PROFILE, _DM, _OTHER = (Meaning(kind) for kind in (Kind.GAP, Kind.PROFILE, Kind.DM, Kind.OTHER))
PLAIN = Meaning(Kind.NOTE)
"""Of every notice that refers to nothing and nobody and has no tag, no group and no file, which nearly all are: this
one object."""


def group_word(group: str) -> str:
    """A group's name in the index where tags stand too; no tag begins so."""
    return f"!{group}"


def meaning_of(payload: bytes | None) -> Meaning:
    """Never raises: what can't be read is OTHER, kept and ignored."""
    if payload is None:
        return _GAP
    match decode(payload):
        case Note() as note:
            return _of_note(note)
        case Edit() as edit:
            tags, groups = tags_of(edit.text), groups_of(edit.text)
            return Meaning(Kind.EDIT, edit.of.id, tags=tags, replaces=edit.replaces, groups=groups)
        case Boost(of):
            return Meaning(Kind.BOOST, of.id, to=(of.identity,), at=of)
        case Like(of):
            return Meaning(Kind.LIKE, of.id, to=(of.identity,), at=of)
        case Pin(of):
            return Meaning(Kind.PIN, of.id)
        case Vote(of, choice):
            return Meaning(Kind.VOTE, of.id, choice=choice)
        case Vouch(of):
            return Meaning(Kind.VOUCH, to=(of,))
        case Delete(of, replaces):
            return Meaning(Kind.DELETE, None, tuple(sorted({of.id, *replaces})))
        case Profile() as profile:
            return Meaning(Kind.PROFILE, files=distinct_files(profile.pictures)) if profile.pictures else _PROFILE
        case Dm():
            return _DM
        case _:
            return _OTHER


def _of_note(note: Note) -> Meaning:
    parent, quote = note.reply_to, note.quote
    tags, groups = tags_of(note.text), groups_of(note.text)
    named, files = mentions_of(note.text), distinct_files(note.media)
    if parent is None and quote is None and not tags and not groups and not named and not files:
        return PLAIN
    answered = () if parent is None else (parent.identity,)
    quoted = () if quote is None else (quote.of.identity,)
    to = tuple(dict.fromkeys((*answered, *named, *quoted)))
    return Meaning(Kind.NOTE, None if parent is None else parent.id, tags=tags, to=to, files=files, groups=groups)


def ref_of(payload: bytes | None) -> Ref | None:
    """Where the entry stands, as it says, that a payload answers, boosts, likes, pins or votes on."""
    match None if payload is None else decode(payload):
        case Note(reply_to=of) | Boost(of) | Like(of) | Pin(of) | Vote(of):
            return of
        case _:
            return None


def taken_back_ref(payload: bytes | None) -> Ref | None:
    """Where the notice stands, as it says, that a delete takes back."""
    match None if payload is None else decode(payload):
        case Delete(of):
            return of
        case _:
            return None


def is_retractable(kind: int, seq: int) -> bool:
    """Whether a delete has any effect on it."""
    return kind != Kind.DELETE and seq != 1


def vouched_to(identity: Identity | None, device: DeviceKey) -> int:
    """The last number of a log that may be shown; 0 for none. `identity`: what is kept of the log's owner."""
    if identity is None:
        return SEQ_MAX
    standing = identity.devices.get(device)
    last = 0 if standing is None else standing.seq
    assert last == 0 or (is_shown(standing, last) and (last == SEQ_MAX or not is_shown(standing, last + 1)))
    return last


def places(stretch: Sequence[Entry], now_ms: int, before: int | None, after: int | None) -> list[int]:
    """Where consecutive new entries stand, in ms: never falling along the log. `before`, `after`: the places of the
    nearest entries held below and above."""
    found = []
    for entry in stretch:
        before = sort_time(entry.time_ms, now_ms, before, after)
        found.append(before)
    return found


class Version(Value):
    """A notice's words at one time. `log` and `seq`: where the entry stands, in the store's own numbering of logs."""

    id: EntryId
    log: int
    seq: int
    time_ms: int
    payload: bytes


def current(edits: Sequence[Version]) -> Version | None:
    """The edit whose words stand, of all shown ones of a notice by its author; None without one."""
    last: dict[int, Version] = {}
    for edit in edits:
        if edit.log not in last or last[edit.log].seq < edit.seq:
            last[edit.log] = edit
    replaced = {id for edit in last.values() for id in meaning_of(edit.payload).replaces}
    standing = [edit for edit in last.values() if edit.id not in replaced]
    return max(standing, key=lambda edit: edit.id, default=None)


def note_of(payload: bytes | None, edit: Version | None = None) -> Note:
    """A note as it was signed, or as `edit` has it since; one that says nothing for anything else."""
    read = None if payload is None else decode(payload)
    note = read if isinstance(read, Note) else Note("")
    said = None if edit is None else decode(edit.payload)
    if not isinstance(said, Edit):
        return note
    return replace(note, text=said.text, warning=said.warning, language=said.language)


def profile_of(payload: bytes | None) -> Profile | None:
    """What a profile entry's payload says; None for anything else."""
    read = None if payload is None else decode(payload)
    return read if isinstance(read, Profile) else None


def called(profile: Profile | None) -> tuple[str | None, str | None]:
    """(name, bio) of a profile."""
    return (None, None) if profile is None else (profile.name, profile.bio)


def has_media(note: Note) -> bool:
    """Whether `has:media` finds it."""
    return bool(note.media)


def found_words(payload: bytes, log: int, edit: Version | None = None) -> list[str]:
    """By which words a notice is found, as `edit` has it since, in this order: those of its content warning, its log,
    tags and media, its text, the options of its poll, what its files show; its log stands between these too, so that no
    phrase goes from one to the next. `log`: the store's number for its log. A change here asks for a new
    `core.search.WORDS_FORM`."""
    note, by = note_of(payload, edit), log_word(log)
    marks = [by, *map(tag_word, tags_of(note.text)), *([MEDIA] if has_media(note) else [])]
    options = () if note.poll is None else note.poll.options
    beside = [word for said in (*options, *(each.alt for each in note.media)) for word in (by, *words_of(said))]
    return [*words_of(note.warning or ""), *marks, *words_of(note.text), *beside]


class Shown(Value):
    """A shown note or boost as a store finds it. `place_ms`: where it stands. `counted`: the notice whose likes and
    boosts it shows."""

    id: EntryId
    author: bytes
    kind: Kind
    of: EntryId | None
    time_ms: int
    payload: bytes
    place_ms: int = 0

    @property
    def counted(self) -> EntryId:
        """A boost stands for the notice that it boosts."""
        return self.of if self.kind == Kind.BOOST and self.of is not None else self.id


class Standing(Value):
    """How a notice stands: its payload as it was signed and its author, if it is held and shown; the edit in force; its
    counts."""

    payload: bytes | None
    edit: Version | None
    likes: int
    boosts: int
    quoted: Shown | None = None
    """The version that it quotes, if that is held and shown."""
    author: bytes | None = None


def compose(
    shown: Shown,
    name: str | None,
    standing: Standing,
    ballots: Callable[[EntryId], Iterable[Ballot]],
    is_taken_back: Callable[[Ref], bool],
) -> Row:
    """The row of a shown note or boost. `standing`: of the note, or of the notice that the boost boosts. `ballots`: the
    shown votes on a notice, asked for where it is a poll. `is_taken_back`: whether a delete in force names a notice,
    asked where it is boosted or quoted and not there."""
    is_boost = shown.kind == Kind.BOOST
    note = note_of(standing.payload, standing.edit)
    quoted = _quoted(note.quote, standing.quoted)
    boosted = _boosted(shown.payload) if is_boost and standing.payload is None else None
    of = boosted if is_boost else note.reply_to
    lacking = note.quote.of if note.quote is not None and quoted is None else boosted
    of_author = standing.author if is_boost else None
    if of_author is None and of is not None:
        of_author = of.identity
    return Row(
        id=shown.id,
        type="boost" if is_boost else "note",
        author=shown.author,
        name=name,
        text=note.text,
        time_ms=shown.time_ms,
        reply_to=None if is_boost else shown.of,
        boost_of=shown.of if is_boost else None,
        likes=standing.likes,
        boosts=standing.boosts,
        tags=tags_of(note.text),
        groups=groups_of(note.text),
        warning=note.warning,
        language=note.language,
        edited_ms=None if standing.payload is None or standing.edit is None else standing.edit.time_ms,
        quote=note.quote,
        quoted_text=None if quoted is None else quoted.text,
        quoted_warning=None if quoted is None else quoted.warning,
        mentions=mentions_of(note.text),
        poll=None if note.poll is None else tally(note.poll, ballots(shown.counted)),
        place_ms=shown.place_ms,
        of_author=of_author,
        media=note.media,
        imported_ms=note.imported_ms,
        boosted=boosted,
        is_of_deleted=lacking is not None and is_taken_back(lacking),
    )


def quoted_id(payload: bytes | None) -> EntryId | None:
    """The entry whose words a notice quotes."""
    if payload is None or b"quote" not in payload:
        return None
    quote = note_of(payload).quote
    return None if quote is None else quote.words.id


def _quoted(quote: Quote | None, quoted: Shown | None) -> Note | Edit | None:
    """None for what is not there, or is not of whom the quote says it is, or of another notice."""
    if quote is None or quoted is None or quoted.author != quote.of.identity:
        return None
    match decode(quoted.payload):
        case Note() as said if quoted.id == quote.of.id:
            return said
        case Edit(of=of) as said if of.id == quote.of.id:
            return said
        case _:
            return None


def _boosted(payload: bytes) -> Ref | None:
    read = decode(payload)
    return read.of if isinstance(read, Boost) else None


# --- news: what others say to us ------------------------------------------------------------------------------------


class NewsType(Enum):
    """What a notification is about; the values are what people and scripts read."""

    REPLY = "reply"
    MENTION = "mention"
    BOOST = "boost"
    LIKE = "like"
    POLL = "poll"
    DM = "dm"


class News(Value):
    """A shown entry of somebody else's that is said to us. `notice`: ours that it answers, boosts or likes; of a
    mention the notice that mentions us, of a direct message itself. `is_read`: it had come when all was last marked as
    read.

    Of a poll that closed `id` is our own entry, the poll itself or our vote; `author` has made the poll, which is
    `notice`, and `time_ms` is when it closed."""

    id: EntryId
    type: NewsType
    author: bytes
    notice: EntryId
    time_ms: int
    is_read: bool


def news_of(
    shown: Shown,
    is_ours: Callable[[EntryId], bool],
    is_read: bool,
    shown_by_id: Callable[[EntryId], Shown | None],
) -> News | None:
    """None for a boost or like of a notice that is not ours, whatever it says, and for a poll that is here no more.
    `is_ours`: of an entry's id."""
    if is_ours(shown.id):
        end = _poll_of(shown, shown_by_id)
        return None if end is None else News(shown.id, NewsType.POLL, end.author, end.notice, end.closes_ms, is_read)
    reacts = {Kind.BOOST: NewsType.BOOST, Kind.LIKE: NewsType.LIKE}.get(shown.kind)
    is_about_ours = shown.of is not None and is_ours(shown.of)
    if reacts is not None and not is_about_ours:
        return None
    about = shown.of if is_about_ours and shown.of is not None else shown.id
    said = NewsType.DM if shown.kind == Kind.DM else NewsType.REPLY if is_about_ours else NewsType.MENTION
    kind = reacts or said
    return News(shown.id, kind, shown.author, about, shown.time_ms, is_read)


# --- polls that close -------------------------------------------------------------------------------------------------


class PollEnd(Value):
    """A poll that `voter` made or voted in."""

    voter: bytes
    notice: EntryId
    author: bytes
    closes_ms: int


def awaits_poll(payload: bytes | None) -> bool:
    """Whether it is a poll or a vote; nearly all are neither, as their bytes tell at once."""
    if payload is None or (b"vote" not in payload and b"poll" not in payload):
        return False
    return meaning_of(payload).kind == Kind.VOTE or note_of(payload).poll is not None


def look_at_poll(
    own: Shown, shown_by_id: Callable[[EntryId], Shown | None], since_ms: int, now_ms: int
) -> PollEnd | int | None:
    """What becomes of an own poll or vote that has been here from `since_ms` on: its poll has closed by now; when to
    look again, in ms; or None, because nobody needs to be told."""
    end = _poll_of(own, shown_by_id)
    if end is None:
        return now_ms + POLL_LOOK_AGAIN_MS if own.kind == Kind.VOTE else None
    if own.kind == Kind.VOTE and end.author == own.author:
        return None  # the poll itself tells
    if now_ms <= end.closes_ms:
        return end.closes_ms
    return end if since_ms <= end.closes_ms else None


def _poll_of(own: Shown, shown_by_id: Callable[[EntryId], Shown | None]) -> PollEnd | None:
    """The poll that an own entry made or voted in; None if it is not here."""
    notice = shown_by_id(own.of) if own.kind == Kind.VOTE and own.of is not None else own
    poll = None if notice is None or notice.kind != Kind.NOTE else note_of(notice.payload).poll
    return None if notice is None or poll is None else PollEnd(own.author, notice.id, notice.author, poll.closes_ms)
