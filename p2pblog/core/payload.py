"""Payloads: what an entry says. A type that we don't know is kept, passed on and ignored."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, ClassVar

from p2pblog.config import (
    BIO_CHARACTERS_MAX,
    DM_BOXES_MAX,
    DM_BOXES_MIN,
    DM_SEALED_MAX,
    DM_SEALED_MIN,
    FILES_PER_NOTE_MAX,
    LANGUAGE_CHARACTERS_MAX,
    LINK_CHARACTERS_MAX,
    LINKS_MAX,
    NAME_CHARACTERS_MAX,
    NOTE_BYTES_MAX,
    NOTE_CHARACTERS_MAX,
    PAYLOAD_BYTES_MAX,
    SEQ_MAX,
    TIME_MS_MAX,
    VOTE_CHOICE_MAX,
    WARNING_CHARACTERS_MAX,
)
from p2pblog.core import codec
from p2pblog.core.keys import DeviceKey, EntryId, IdentityHash
from p2pblog.core.links import is_link
from p2pblog.core.media import PICTURE_TYPES, Attachment
from p2pblog.core.polls import Poll
from p2pblog.core.value import Value
from p2pblog.errors import LocalProtocolError, Malformed, RemoteProtocolError

BOX_BYTES = 80
"""A 32-byte key sealed to one device; a public key of 32 bytes and a tag of 16 come with it (libsodium, sealed box)."""
SEALED_OVERHEAD = 40
"""What sealing adds to a padded text: a nonce of 24 bytes and a tag of 16 (XChaCha20-Poly1305)."""
REPLACES_MAX = 16
"""Versions that one edit or delete names: as many as a person makes of one notice, and then some."""


class Ref(Value):
    """Where an entry is found: whose it is, in which log, at which number, and its id, which decides."""

    identity: IdentityHash
    device: DeviceKey
    seq: int
    id: EntryId

    @property
    def value(self) -> list[Any]:
        return [self.identity, self.device, self.seq, self.id]

    @classmethod
    def from_value(cls, value: Any) -> Ref:
        identity, device, seq, identifier = codec.as_list(value, length=4)
        return cls(
            IdentityHash(codec.as_bytes(identity, length=32)),
            DeviceKey(codec.as_bytes(device, length=32)),
            codec.as_int(seq, 1, SEQ_MAX),
            EntryId(codec.as_bytes(identifier, length=32)),
        )


class Quote(Value):
    """Somebody's notice, in the version that was read: an edit of it, or None for its first words."""

    of: Ref
    version: Ref | None = None

    @property
    def words(self) -> Ref:
        """The entry that says what was quoted."""
        return self.version or self.of

    @property
    def value(self) -> list[Any]:
        return [self.of.value, None if self.version is None else self.version.value]

    @classmethod
    def from_value(cls, value: Any) -> Quote:
        of, version = codec.as_list(value, length=2)
        return cls(Ref.from_value(of), None if version is None else Ref.from_value(version))


class LogStart(Value):
    """Entry 1 of every log: the one identity that this device writes for."""

    type: ClassVar[str] = "log"
    identity: IdentityHash


class Note(Value):
    """A notice. A field but its text that is not there or empty is None."""

    type: ClassVar[str] = "note"
    text: str
    reply_to: Ref | None = None
    warning: str | None = None
    """What is shown before the text is asked for."""
    language: str | None = None
    """A language tag (RFC 5646, 2.1, by its form alone)."""
    quote: Quote | None = None
    poll: Poll | None = None
    media: tuple[Attachment, ...] = ()
    """Files that belong to it; they travel only to who asks for them."""
    imported_ms: int | None = None
    """When it was first written, where its author brought it from elsewhere."""


class Edit(Value):
    """Other words for an own notice, which keeps its id and what it answers or quotes. `of`: the notice; `replaces`:
    the edits that its writer knew and means to replace."""

    type: ClassVar[str] = "edit"
    of: Ref
    text: str
    replaces: tuple[EntryId, ...] = ()
    warning: str | None = None
    language: str | None = None


class Boost(Value):
    """Somebody's notice, shown to one's own followers."""

    type: ClassVar[str] = "boost"
    of: Ref


class Like(Value):
    type: ClassVar[str] = "like"
    of: Ref


class Pin(Value):
    """An own notice that others are to read first."""

    type: ClassVar[str] = "pin"
    of: Ref


class Vote(Value):
    """One's choice in somebody's poll, counted from 1."""

    type: ClassVar[str] = "vote"
    of: Ref
    choice: int


class Vouch(Value):
    """Whoever follows one lets this person be heard."""

    type: ClassVar[str] = "vouch"
    of: IdentityHash


class Delete(Value):
    """An own entry, and all its versions named here, is taken back."""

    type: ClassVar[str] = "delete"
    of: Ref
    replaces: tuple[EntryId, ...] = ()


class Profile(Value):
    """How a person wants to be called and found elsewhere; the newest one counts."""

    type: ClassVar[str] = "profile"
    name: str
    bio: str = ""
    links: tuple[str, ...] = ()
    avatar: Attachment | None = None
    """A picture that stands for the person."""
    banner: Attachment | None = None
    """A wide picture above what they write."""

    @property
    def pictures(self) -> tuple[Attachment, ...]:
        return tuple(picture for picture in (self.avatar, self.banner) if picture is not None)


class Dm(Value):
    """A direct message as everybody sees it: `core.sealed` says what is in it. `boxes` lie one after the other."""

    type: ClassVar[str] = "dm"
    boxes: bytes
    sealed: bytes


class Unknown(Value):
    """A payload of a type, or in a form, that this version does not understand."""

    type: str | None


Payload = LogStart | Note | Edit | Boost | Like | Pin | Vote | Vouch | Delete | Profile | Dm | Unknown


def encode(payload: Payload) -> bytes:
    """The canonical bytes of a payload that we write. Raises LocalProtocolError for one that nobody would understand:
    too long, or text that UTF-8 can't say."""
    fields: dict[str, Any]
    match payload:
        case LogStart(identity):
            fields = {"identity": identity}
        case Note(text, reply_to, warning, language, quote, poll, media, imported_ms):
            fields = {
                "text": text,
                "reply_to": None if reply_to is None else reply_to.value,
                "cw": warning,
                "lang": language,
                "quote": None if quote is None else quote.value,
                "poll": None if poll is None else poll.value,
                "media": [attachment.value for attachment in media] or None,
                "imported": imported_ms,
            }
        case Edit(of, text, replaces, warning, language):
            fields = {"of": of.value, "text": text, "replaces": _ids(replaces), "cw": warning, "lang": language}
        case Boost(of) | Like(of) | Pin(of):
            fields = {"of": of.value}
        case Vote(of, choice):
            fields = {"of": of.value, "choice": choice}
        case Vouch(identity):
            fields = {"of": identity}
        case Delete(of, replaces):
            fields = {"of": of.value, "replaces": _ids(replaces)}
        case Profile(name, bio, links, avatar, banner):
            fields = {
                "name": name,
                "bio": bio or None,
                "links": list(links) or None,
                "avatar": None if avatar is None else avatar.value,
                "banner": None if banner is None else banner.value,
            }
        case Dm(boxes, sealed):
            fields = {"boxes": boxes, "sealed": sealed}
        case Unknown():
            raise LocalProtocolError("an unknown payload is passed on as it came, never encoded")
    data = codec.pack(codec.sort_keys({"type": payload.type, **fields}))
    if decode(data) != payload:
        raise LocalProtocolError(f"a {payload.type} that no peer would understand")
    return data


_TEXT, _CLOSING = codec.pack("text"), codec.pack("type") + codec.pack("note")
_CLOSING_BYTES = len(_CLOSING)
_PLAIN_OVERHEAD = 1 + len(_TEXT) + _CLOSING_BYTES
_PLAIN_NOTE = b"\x82" + _TEXT + b"%b" + _CLOSING


@lru_cache(maxsize=1_024)
def _plain_opening(size: int) -> tuple[bytes, int]:
    """How a note of so many bytes in all begins that says nothing but its text: the map, its first key, and the length
    of the text in its one canonical form (msgpack spec, "str format family"); and how many bytes that takes.

    Where no such note has that size: a byte that begins nothing, and 0, so that nothing is equal to the two and more.
    """
    for head, least, most in ((1, 0, 31), (2, 32, 255), (3, 256, NOTE_BYTES_MAX)):
        length = size - _PLAIN_OVERHEAD - head
        if least <= length <= most:
            opening = b"\x82" + _TEXT + codec.pack("x" * length)[:head]
            return opening, len(opening)
    return b"\xc1", 0


def plain_texts(payloads: Iterable[bytes]) -> list[str | None]:
    """The texts of notes that say nothing else, as nearly all do; None for every other payload.

    A text between the opening that its size demands and the closing that all have *is* the canonical encoding of such a
    note: to see that takes a tenth of the time of decoding it, encoding it again and comparing.
    """
    texts: list[str | None] = []
    for payload in payloads:
        opening, start = _plain_opening(len(payload))
        encoded = payload[start:-_CLOSING_BYTES]
        text = None
        if opening + encoded + _CLOSING == payload:
            try:
                text = encoded.decode()
            except UnicodeDecodeError:
                pass
            else:
                text = text if len(text) <= NOTE_CHARACTERS_MAX else None
        texts.append(text)
    return texts


def plain_notes(texts: Iterable[str]) -> list[bytes]:
    """The canonical bytes of the notes that say these texts and nothing else: what `plain_texts` takes apart. Each must
    be a text that a note may have (`are_note_texts`)."""
    return [_PLAIN_NOTE % codec.pack_plain(text) for text in texts]


def are_note_texts(texts: Sequence[str]) -> bool:
    """Whether each of these, texts that came as msgpack, is within the limits of a note's text."""
    if max(map(len, texts), default=0) <= NOTE_BYTES_MAX // 4:  # UTF-8 takes 4 bytes for a character at most
        return True
    return all(len(text) <= NOTE_CHARACTERS_MAX and len(text.encode()) <= NOTE_BYTES_MAX for text in texts)


def decode(data: bytes) -> Payload:
    """What the bytes say, or Unknown. Never raises: what an entry says has no bearing on whether it is valid,
    so that two nodes which understand different types still hold the same log."""
    (text,) = plain_texts([data])
    return _decode_any(data) if text is None else Note(text)


def _decode_any(data: bytes) -> Payload:
    try:
        fields = codec.as_map(codec.unpack(data, bytes_max=PAYLOAD_BYTES_MAX))
    except RemoteProtocolError:
        return Unknown(None)
    kind = fields.get("type")
    if not isinstance(kind, str):
        return Unknown(None)
    try:
        return _known(kind, fields)
    except RemoteProtocolError:
        return Unknown(kind)


def _known(kind: str, fields: dict[str, Any]) -> Payload:
    """Fields that we don't know are ignored: a later version may add some. A field that is nil is absent."""
    fields = {key: item for key, item in fields.items() if item is not None}
    match kind:
        case "log":
            return LogStart(IdentityHash(codec.as_bytes(fields.get("identity"), length=32)))
        case "note":
            reply_to, quote, poll = fields.get("reply_to"), fields.get("quote"), fields.get("poll")
            imported = fields.get("imported")
            return Note(
                _text(fields.get("text"), NOTE_CHARACTERS_MAX, NOTE_BYTES_MAX),
                None if reply_to is None else Ref.from_value(reply_to),
                *_beside(fields),
                None if quote is None else Quote.from_value(quote),
                None if poll is None else Poll.from_value(poll),
                _media(fields.get("media", [])),
                None if imported is None else codec.as_int(imported, 0, TIME_MS_MAX),
            )
        case "edit":
            return Edit(
                Ref.from_value(fields.get("of")),
                _text(fields.get("text"), NOTE_CHARACTERS_MAX, NOTE_BYTES_MAX),
                _replaced(fields),
                *_beside(fields),
            )
        case "boost":
            return Boost(Ref.from_value(fields.get("of")))
        case "like":
            return Like(Ref.from_value(fields.get("of")))
        case "pin":
            return Pin(Ref.from_value(fields.get("of")))
        case "vote":
            return Vote(Ref.from_value(fields.get("of")), codec.as_int(fields.get("choice"), 1, VOTE_CHOICE_MAX))
        case "vouch":
            return Vouch(IdentityHash(codec.as_bytes(fields.get("of"), length=32)))
        case "delete":
            return Delete(Ref.from_value(fields.get("of")), _replaced(fields))
        case "profile":
            return Profile(
                _text(fields.get("name"), NAME_CHARACTERS_MAX, 4 * NAME_CHARACTERS_MAX),
                _text(fields.get("bio", ""), BIO_CHARACTERS_MAX, 4 * BIO_CHARACTERS_MAX),
                _links(fields.get("links", [])),
                _picture(fields.get("avatar")),
                _picture(fields.get("banner")),
            )
        case "dm":
            return _dm(codec.as_bytes(fields.get("boxes")), codec.as_bytes(fields.get("sealed")))
        case _:
            return Unknown(kind)


def files_in(data: bytes | None) -> tuple[Attachment, ...]:
    """The files that a note or a profile has, as it was signed; none without a payload."""
    match None if data is None else decode(data):
        case Note(media=media):
            return media
        case Profile() as profile:
            return profile.pictures
        case _:
            return ()


def _links(value: Any) -> tuple[str, ...]:
    """Those that a reader may be shown: a later version may know more kinds, and its profile still has a name."""
    texts = (
        _text(item, LINK_CHARACTERS_MAX, 4 * LINK_CHARACTERS_MAX) for item in codec.as_list(value, length_max=LINKS_MAX)
    )
    return tuple(text for text in texts if is_link(text))


def _ids(ids: tuple[EntryId, ...]) -> list[EntryId] | None:
    return list(ids) or None


def _replaced(fields: dict[str, Any]) -> tuple[EntryId, ...]:
    named = codec.as_list(fields.get("replaces", []), length_max=REPLACES_MAX)
    return tuple(EntryId(codec.as_bytes(item, length=32)) for item in named)


def _beside(fields: dict[str, Any]) -> tuple[str | None, str | None]:
    """What stands beside the text of a notice or an edit: (content warning, language)."""
    warning = _text(fields.get("cw", ""), WARNING_CHARACTERS_MAX, 4 * WARNING_CHARACTERS_MAX)
    return warning or None, _language(fields.get("lang", "")) or None


def _media(value: Any) -> tuple[Attachment, ...]:
    items = codec.as_list(value, length_max=FILES_PER_NOTE_MAX)
    return tuple(Attachment.from_value(item) for item in items)


def _picture(value: Any) -> Attachment | None:
    """A file of any other kind is left out: a later version may know more, and its profile still has a name."""
    file = None if value is None else Attachment.from_value(value)
    return file if file is not None and file.type in PICTURE_TYPES else None


def _dm(boxes: bytes, sealed: bytes) -> Dm:
    """Any other count or size would tell more than it has to, so it is none."""
    if len(boxes) % BOX_BYTES or not _is_step(len(boxes) // BOX_BYTES, DM_BOXES_MIN, DM_BOXES_MAX):
        raise Malformed("a direct message has 4, 8, 16, 32 or 64 boxes")
    if not _is_step(len(sealed) - SEALED_OVERHEAD, DM_SEALED_MIN, DM_SEALED_MAX):
        raise Malformed("a direct message is padded to a power of two")
    return Dm(boxes, sealed)


def _is_step(size: int, least: int, most: int) -> bool:
    """Whether it is a power of two between these two, which are some themselves."""
    return least <= size <= most and size & (size - 1) == 0


_LANGUAGE = re.compile(r"([a-z]{2,8}|[xi](?=-))(-[a-z0-9]{1,8})*", re.IGNORECASE | re.ASCII)


def _language(value: Any) -> str:
    text = _text(value, LANGUAGE_CHARACTERS_MAX, LANGUAGE_CHARACTERS_MAX)
    if text and not is_language(text):
        raise Malformed("no language tag")
    return text


def is_language(text: str) -> bool:
    """Whether this has the form of a language tag, as `en`, `pt-BR` or `zh-Hant-TW` (RFC 5646, 2.1: letters and digits
    in parts of at most 8, the first of letters; whether it is registered is not looked at)."""
    return len(text) <= LANGUAGE_CHARACTERS_MAX and _LANGUAGE.fullmatch(text) is not None


def _text(value: Any, characters_max: int, bytes_max: int) -> str:
    text = codec.as_text(value, bytes_max)
    if len(text) > characters_max:
        raise Malformed(f"text of over {characters_max} characters")
    return text
