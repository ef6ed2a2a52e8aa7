"""What an entry says is understood or kept; it never makes an entry invalid, and never raises."""

from __future__ import annotations

from typing import Any

import pytest
from builders import person, ref
from core_scenes import tampered
from hypothesis import given
from hypothesis import strategies as st
from values import VALUES

from p2pblog.config import (
    FILE_BYTES_MAX,
    NAME_CHARACTERS_MAX,
    NOTE_BYTES_MAX,
    NOTE_CHARACTERS_MAX,
    PAYLOAD_BYTES_MAX,
    TIME_MS_MAX,
    VOTE_CHOICE_MAX,
    WARNING_CHARACTERS_MAX,
)
from p2pblog.core import codec
from p2pblog.core.media import PICTURE_TYPES, Attachment, FileHash
from p2pblog.core.payload import (
    REPLACES_MAX,
    Boost,
    Delete,
    Edit,
    Like,
    LogStart,
    Note,
    Payload,
    Pin,
    Profile,
    Quote,
    Ref,
    Unknown,
    Vote,
    Vouch,
    decode,
    encode,
)
from p2pblog.core.polls import Poll
from p2pblog.errors import LocalProtocolError

BOB = person("bob")
NOTICE = ref(BOB.log.note("Hello, everybody."))

HASHES = st.binary(min_size=32, max_size=32)
REFS: st.SearchStrategy[Ref] = st.builds(Ref, HASHES, HASHES, st.integers(1, 2**32 - 1), HASHES)
LANGUAGES = st.sampled_from([None, "en", "pt-BR", "zh-Hant-TW", "x-private", "de-1996"])
FIELDS = ("identity", "text", "reply_to", "of", "replaces", "name", "bio", "cw", "lang", "poll", "choice", "links",
          "quote", "imported", "media", "avatar", "banner")  # fmt: skip
LINKS = st.sampled_from(["https://example.org/ä?b#c", "mailto:a@example.org", f"p2pblog:{'a' * 56}"])
PICTURES = st.builds(
    Attachment,
    HASHES,
    st.sampled_from(["bees.jpg", "é" * 50]),
    st.sampled_from(PICTURE_TYPES),
    st.integers(1, FILE_BYTES_MAX),
    st.text(max_size=20),
    st.none() | HASHES,
)
POLLS = st.builds(
    Poll, st.lists(st.text(min_size=1, max_size=20), min_size=2, max_size=10).map(tuple), st.integers(0, 2**53 - 1)
)
WARNINGS = st.none() | st.text(min_size=1, max_size=50)
QUOTES = st.none() | st.builds(Quote, REFS, st.none() | REFS)
PAYLOADS: st.SearchStrategy[Payload] = st.one_of(
    st.builds(LogStart, HASHES),
    st.builds(
        Note,
        st.text(max_size=200),
        st.none() | REFS,
        WARNINGS,
        LANGUAGES,
        QUOTES,
        poll=st.none() | POLLS,
        imported_ms=st.none() | st.integers(0, TIME_MS_MAX),
    ),
    st.builds(
        Edit, REFS, st.text(max_size=200), st.lists(HASHES, max_size=REPLACES_MAX).map(tuple), WARNINGS, LANGUAGES
    ),
    st.builds(Boost, REFS),
    st.builds(Like, REFS),
    st.builds(Pin, REFS),
    st.builds(Vouch, HASHES),
    st.builds(Vote, REFS, st.integers(1, VOTE_CHOICE_MAX)),
    st.builds(Delete, REFS, st.lists(HASHES, max_size=REPLACES_MAX).map(tuple)),
    st.builds(
        Profile,
        st.text(max_size=50),
        st.text(max_size=100),
        st.lists(LINKS, max_size=8).map(tuple),
        st.none() | PICTURES,
        st.none() | PICTURES,
    ),
)


@given(PAYLOADS)
def test_what_was_said_is_understood(payload: Payload) -> None:
    data = encode(payload)
    assert decode(data) == payload
    assert codec.unpack(data, PAYLOAD_BYTES_MAX)["type"] == payload.type


@given(st.binary(max_size=200) | VALUES.map(codec.pack))
def test_any_bytes_are_a_payload(data: bytes) -> None:
    decode(data)


@given(PAYLOADS, st.data())
def test_any_accident_leaves_a_payload(payload: Payload, data: st.DataObject) -> None:
    decode(data.draw(tampered(encode(payload))))


@given(
    st.sampled_from(["log", "note", "edit", "boost", "like", "delete", "profile", "vote", "vouch", "pin", "poll"]),
    st.dictionaries(
        st.sampled_from([*FIELDS, "new"]),
        VALUES,
    ),
)
def test_any_fields_are_a_payload(kind: str, fields: dict[str, Any]) -> None:
    try:
        data = codec.pack(dict(sorted({**fields, "type": kind}.items())))
    except LocalProtocolError:
        return
    understood = decode(data)
    assert isinstance(understood, Unknown) or understood.type == kind


@given(PAYLOADS, st.text(min_size=1, max_size=8), st.integers())
def test_a_field_that_we_do_not_know_changes_nothing(payload: Payload, name: str, value: int) -> None:
    fields = codec.unpack(encode(payload), PAYLOAD_BYTES_MAX)
    if name in (*FIELDS, "type") or not -(2**63) <= value < 2**64:
        return
    assert decode(codec.pack(codec.sort_keys({**fields, name: value}))) == payload


def test_a_type_of_tomorrow_is_known_by_its_name() -> None:
    assert decode(codec.pack({"options": ["yes", "no"], "type": "poll"})) == Unknown("poll")


def test_the_longest_notes_are_understood_and_no_longer_ones() -> None:
    for text in ("x" * NOTE_CHARACTERS_MAX, "é" * NOTE_CHARACTERS_MAX, "\U0001f30d" * (NOTE_BYTES_MAX // 4)):
        data = encode(Note(text, NOTICE))
        assert len(data) <= PAYLOAD_BYTES_MAX
        assert decode(data) == Note(text, NOTICE)
    for text in ("x" * (NOTE_CHARACTERS_MAX + 1), "\U0001f30d" * (NOTE_BYTES_MAX // 4 + 1)):
        assert decode(codec.pack({"text": text, "type": "note"})) == Unknown("note")


@pytest.mark.parametrize(
    "payload",
    [
        Note("x" * (NOTE_CHARACTERS_MAX + 1)),
        Note("\U0001f30d" * 3_751),
        Note("half a pair: \ud800"),
        Profile("x" * (NAME_CHARACTERS_MAX + 1)),
        Profile("Alice", avatar=Attachment(FileHash(bytes(32)), "a.txt", "text/plain", 1)),
        Delete(NOTICE, (NOTICE.id,) * (REPLACES_MAX + 1)),
        Like(Ref(NOTICE.identity, NOTICE.device, 0, NOTICE.id)),
        Unknown("poll"),
    ],
    ids=["long", "long in bytes", "surrogate", "long name", "avatar of words", "17 versions", "entry 0", "unknown"],
)
def test_we_never_say_what_nobody_understands(payload: Payload) -> None:
    with pytest.raises(LocalProtocolError):
        encode(payload)


@pytest.mark.parametrize(
    "tag", ["e", "x", "en_GB", "toolonglang", "en-", "-en", "en--us", "énglish", "en-" + "a" * 9, "a" * 36]
)
def test_what_is_no_language(tag: str) -> None:
    with pytest.raises(LocalProtocolError):
        encode(Note("text", None, None, tag))


@pytest.mark.parametrize("over", [0, 1])
def test_a_content_warning_has_a_length(over: int) -> None:
    note = Note("text", None, "w" * (WARNING_CHARACTERS_MAX + over))
    if over:
        with pytest.raises(LocalProtocolError):
            encode(note)
    else:
        assert decode(encode(note)) == note


@pytest.mark.parametrize(("time_ms", "is_one"), [(-1, False), (0, True), (TIME_MS_MAX, True), (TIME_MS_MAX + 1, False)])
def test_an_imported_note_says_when_it_was_first_written(time_ms: int, is_one: bool) -> None:
    note = Note("long ago", imported_ms=time_ms)
    if is_one:
        assert decode(encode(note)) == note
    else:
        with pytest.raises(LocalProtocolError):
            encode(note)


@pytest.mark.parametrize(("choice", "understood"), [(0, False), (1, True), (255, True), (256, False)])
def test_a_vote_counts_from_1(choice: int, understood: bool) -> None:
    if understood:
        assert decode(encode(Vote(NOTICE, choice))) == Vote(NOTICE, choice)
    else:
        with pytest.raises(LocalProtocolError):
            encode(Vote(NOTICE, choice))
