"""Posts from Mastodon: which are taken, when they were written, and what is left of their HTML."""

from __future__ import annotations

import json
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pblog.config import (
    NOTE_BYTES_MAX,
    NOTE_CHARACTERS_MAX,
    OUTBOX_BRACKETS_MAX,
    OUTBOX_BYTES_MAX,
    OUTBOX_COMMAS_MAX,
    OUTBOX_CONTENT_CHARACTERS_MAX,
    OUTBOX_TAG_CHARACTERS_MAX,
    WARNING_CHARACTERS_MAX,
)
from p2pblog.core.mastodon import Post, read_outbox, split, text_of
from p2pblog.core.payload import Note, decode, encode
from p2pblog.errors import Malformed, TooLarge

ACTOR = "https://m.example/users/alice"
PUBLIC = "https://www.w3.org/ns/activitystreams#Public"
NOON = 1_551_529_800_000
"""2019-03-02, 12:30 UTC."""


def a_post(content: Any = "<p>Hello</p>", **more: Any) -> dict[str, Any]:
    """A `Create` as Mastodon writes it; `more` goes into its note."""
    note = {
        "id": f"{ACTOR}/statuses/1",
        "type": "Note",
        "summary": None,
        "inReplyTo": None,
        "published": "2019-03-02T12:30:00Z",
        "attributedTo": ACTOR,
        "to": [PUBLIC],
        "cc": [f"{ACTOR}/followers"],
        "sensitive": False,
        "content": content,
        "contentMap": {"en": content},
        "attachment": [],
        "tag": [],
        **more,
    }
    return {"id": f"{note['id']}/activity", "type": "Create", "actor": ACTOR, "to": note["to"], "object": note}


def read(*items: Any) -> tuple[list[Post], int]:
    outbox = {"@context": PUBLIC, "id": "outbox.json", "type": "OrderedCollection", "orderedItems": items}
    return read_outbox(json.dumps(outbox).encode())


def text(content: str, **more: Any) -> str:
    """What one post says, in all its parts."""
    posts, _ = read(a_post(content, **more))
    return "|".join(part for post in posts for part in post.texts)


def test_a_public_post_is_taken_with_all_that_it_says() -> None:
    posts, skipped = read(a_post("<p>Bees</p>", summary=" nature\n", inReplyTo=f"{ACTOR}/statuses/0"))
    assert posts == [Post(f"{ACTOR}/statuses/1", NOON, ("Bees",), f"{ACTOR}/statuses/0", "nature", "en")]
    assert skipped == 0


@pytest.mark.parametrize("part", [b"{},", b"[],", b"[{}],", b"0,", b'"aa",'], ids=bytes.decode)
def test_parts_without_number_are_refused_before_they_are_read(part: bytes) -> None:
    """20 kB of a packed file become ten million of them, and these a gigabyte."""
    outbox = b'{"type": "OrderedCollection", "orderedItems": [' + part * 10_000_001 + b"0]}"
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge, match="more than Mastodon makes of 100,000 posts"):
            read_outbox(outbox)
        assert tracemalloc.get_traced_memory()[1] < 1024 * 1024
    finally:
        tracemalloc.stop()


def test_the_largest_outbox_has_fewer_parts_than_are_read() -> None:
    """The full ones: two pictures, three tags, and all that newer Mastodons say of a post besides."""
    item = a_post(
        "<p>" + "The bees, of which I told you yesterday, came back to the garden. " * 8 + "</p>",
        attachment=[{"type": "Document", "url": "a", "name": "b", "focalPoint": [0, 0], "width": 1, "height": 1}] * 2,
        tag=[{"type": "Hashtag", "href": "a", "name": "#b"}] * 3,
        replies={"id": "a", "type": "Collection", "first": {"type": "CollectionPage", "next": "b", "items": []}},
        likes={"id": "a", "type": "Collection", "totalItems": 1},
        shares={"id": "a", "type": "Collection", "totalItems": 1},
    )
    wire = json.dumps(item).encode()
    posts = OUTBOX_BYTES_MAX // len(wire)
    assert posts > 100_000
    assert posts * (wire.count(b"{") + wire.count(b"[")) < OUTBOX_BRACKETS_MAX
    assert posts * wire.count(b",") < OUTBOX_COMMAS_MAX


def test_posts_are_read_oldest_first_whatever_their_order() -> None:
    times = ["2020-01-01T00:00:00Z", "2018-01-01T00:00:00Z", "2019-01-01T00:00:00Z"]
    posts, _ = read(*(a_post(f"<p>{time[:4]}</p>", published=time) for time in times))
    assert [post.texts for post in posts] == [("2018",), ("2019",), ("2020",)]


@pytest.mark.parametrize(
    "item",
    [
        {"type": "Announce", "actor": ACTOR, "object": "https://m.example/1", "to": [PUBLIC]},
        a_post(to=[f"{ACTOR}/followers"], cc=[]),
        a_post(to=[f"{ACTOR}/followers"], cc=[PUBLIC]),  # unlisted
        a_post(to=["https://m.example/users/bob"], cc=[]),
        a_post(to=None),
        a_post(attributedTo="https://m.example/users/mallory"),
        a_post(type="Question"),
        a_post(content=None),
        a_post(content=""),
        a_post(content="<p> </p>"),
        a_post("x" * (OUTBOX_CONTENT_CHARACTERS_MAX + 1)),
        a_post(published="yesterday"),
        a_post(published=None),
        a_post(id=7),
        {**a_post(), "actor": None},
        {**a_post(), "object": f"{ACTOR}/statuses/1"},
        {**a_post(), "type": "Delete"},
        "a string",
        None,
        [],
    ],
)
def test_what_is_left_there(item: Any) -> None:
    assert read(item) == ([], 1)


def test_the_longest_content_is_taken() -> None:
    assert len(read(a_post("x" * OUTBOX_CONTENT_CHARACTERS_MAX))[0][0].texts) == 40


@pytest.mark.parametrize("to", [PUBLIC, "as:Public", ["Public"], [f"{ACTOR}/followers", PUBLIC]])
def test_the_ways_to_say_everybody(to: Any) -> None:
    assert len(read(a_post(to=to))[0]) == 1


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"{}", b'{"type": "OrderedCollection"}', b'{"type": "Person", "orderedItems": []}', b"\xff\xfe",
     b"[" * 100_000, b'{"type": "OrderedCollection", "orderedItems": {}}'],
)  # fmt: skip
def test_what_is_no_outbox(data: bytes) -> None:
    with pytest.raises(Malformed):
        read_outbox(data)


@pytest.mark.parametrize(
    ("published", "time_ms"),
    [
        ("2019-03-02T12:30:00Z", NOON),
        ("2019-03-02t12:30:00z", NOON),
        ("2019-03-02T12:30:00.5Z", NOON + 500),
        ("2019-03-02T12:30:00.123456789Z", NOON + 123),
        ("2019-03-02T14:30:00+02:00", NOON),
        ("2019-03-02T09:00:00-03:30", NOON),
        ("1970-01-01T00:00:00Z", 0),
        ("2020-02-29T00:00:00Z", 1_582_934_400_000),
        ("1969-12-31T23:59:59Z", None),
        ("2019-02-29T00:00:00Z", None),
        ("2019-13-01T00:00:00Z", None),
        ("2019-00-01T00:00:00Z", None),
        ("2019-03-00T00:00:00Z", None),
        ("2019-03-02T24:00:00Z", None),
        ("0000-03-02T12:30:00Z", None),
        ("2019-03-02T12:30:00", None),
        ("2019-03-02", None),
        ("٢٠١٩-03-02T12:30:00Z", None),
        (NOON, None),
    ],
)
def test_when_a_post_was_written(published: Any, time_ms: int | None) -> None:
    posts, _ = read(a_post(published=published))
    assert [post.time_ms for post in posts] == ([] if time_ms is None else [time_ms])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("<p>one</p><p>two<br>three<br />four</p>", "one\n\ntwo\nthree\nfour"),
        ("plain &amp; &lt;b&gt; &#128029; &nbsp;x", "plain & <b> 🐝 x"),
        ("<p>a\n  b</p>", "a b"),
        (
            '<p><span class="h-card"><a href="https://m.example/@bob" class="u-url mention">'
            "@<span>bob</span></a></span> look</p>",
            "@bob look",
        ),
        ('<a href="https://m.example/tags/bees" class="mention hashtag" rel="tag">#<span>bees</span></a>', "#bees"),
        (
            '<a href="https://example.org/a/long/way" rel="nofollow"><span class="invisible">https://</span>'
            '<span class="ellipsis">example.org/a/lo</span><span class="invisible">ng/way</span></a>',
            "https://example.org/a/long/way",
        ),
        ('<a href="https://example.org/">example.org</a>', "https://example.org/"),
        ('<a href="https://example.org/">read this</a>!', "read this (https://example.org/)!"),
        ('<a href="https://example.org/"><img src="x"></a>', "https://example.org/"),
        ('<a href="javascript:alert(1)">click</a>', "click"),
        ("<a>nowhere</a></a>", "nowhere"),
        ('<a href="https://example.org/">never closed', "never closed"),
        ("<ul><li>one</li><li>two</li></ul>end", "* one\n* two\n\nend"),
        ("<p>a</p><script>alert('<p>x</p>')</script><style>p {}</style><p>b</p>", "a\n\nb"),
        ("<blockquote><p>q</p></blockquote>", "q"),
        (
            "<p>Look:</p><pre><code>def bees():\r\n    if x:\n\treturn  1 \n\n\n</code></pre><p>so\n  it is</p>",
            "Look:\n\ndef bees():\n    if x:\n\treturn  1\n\nso it is",
        ),
        ("<pre>a\nb<br>c</pre></pre><p>d\ne</p>", "a\nb\nc\n\nd e"),
        ("<pre>a\n b", "a\n b"),
        ("<pre>    a\n    b</pre>", "    a\n    b"),
        ("<pre><code>\n\tif x:\n\t\ty\n</code></pre>", "\tif x:\n\t\ty"),
        ("<p>x</p><pre>  a \n\n \n<br>\r\n  b\n\n</pre><p>c</p>", "x\n\n  a\n\n\n\n\n  b\n\nc"),
        ("<pre> \n </pre><p>a</p>", "a"),
        ("<p> a\u2028b</p>", "a b"),
        ('<pre>see\n<a href="https://example.org/">this  one</a></pre>', "see\nthis  one (https://example.org/)"),
        ("<p>a&nbsp;</p><p>&nbsp; b</p>", "a\n\nb"),
        ("<!-- no --><p>yes", "yes"),
        ("1 < 2 && 3 > 2", "1 < 2 && 3 > 2"),
    ],
)  # fmt: skip
def test_html_becomes_text(content: str, said: str) -> None:
    assert text_of(content) == said


@given(st.text(alphabet="<>/ap&;#x \n\"'=brhtps:!-", max_size=200) | st.text(max_size=200))
def test_any_content_becomes_text_or_nothing(content: str) -> None:
    for part in split(text_of(content)):
        assert part.strip()


def test_preformatted_text_keeps_its_first_spaces_to_the_end() -> None:
    picture = {"type": "Document", "mediaType": "image/png", "name": "a bee"}
    assert text("<pre>\n  if x:\n    y\n</pre>", attachment=[picture]) == "  if x:\n    y\n\n[image: a bee]"
    assert text("<pre> \n </pre>", attachment=[picture]) == "[image: a bee]"


def test_no_control_character_nor_half_a_letter_comes_along() -> None:
    data = json.dumps(a_post("<p>a\x1b[31mb\x07c\u009bd\ud83dx</p>", summary="\x1b]0;w\x07", attachment=[]))
    posts, _ = read(json.loads(data))
    assert posts[0].texts == ("a[31mbcd\ufffdx",)
    assert posts[0].warning == "]0;w"
    assert decode(encode(Note(posts[0].texts[0], None, posts[0].warning))) is not None


def test_pictures_leave_their_words() -> None:
    attached = [
        {"type": "Document", "mediaType": "image/jpeg", "url": "/x.jpg", "name": "a bee\non a flower"},
        {"type": "Document", "mediaType": "video/mp4", "name": None},
        {"type": "Document", "mediaType": 7},
        "nothing",
    ]
    assert text("<p>Look!</p>", attachment=attached) == "Look!\n\n[image: a bee on a flower]\n[video]\n[file]"
    assert text("", attachment=attached[:1]) == "[image: a bee on a flower]"


@pytest.mark.parametrize("over", [0, 1])
def test_a_long_content_warning_is_cut(over: int) -> None:
    posts, _ = read(a_post(summary="w" * (WARNING_CHARACTERS_MAX + over)))
    expected = "w" * WARNING_CHARACTERS_MAX if not over else "w" * (WARNING_CHARACTERS_MAX - 1) + "…"
    assert posts[0].warning == expected


@pytest.mark.parametrize(
    ("told", "language"),
    [({"pt-BR": "x"}, "pt-BR"), ({"en": "x", "de": "y"}, None), ({"en_GB": "x"}, None), (None, None)],
)
def test_the_language_of_a_post(told: Any, language: str | None) -> None:
    assert read(a_post(contentMap=told))[0][0].language == language


def test_a_long_post_is_split_where_it_pauses() -> None:
    assert split("") == []
    assert split("x" * NOTE_CHARACTERS_MAX) == ["x" * NOTE_CHARACTERS_MAX]
    assert split("x" * (NOTE_CHARACTERS_MAX + 1)) == ["x" * NOTE_CHARACTERS_MAX, "x"]
    assert split("a" * 4_000 + "\n\n" + "b" * 4_000) == ["a" * 4_000, "b" * 4_000]
    assert split("a" * 4_000 + "\n" + "b c " * 1_000) == ["a" * 4_000, ("b c " * 1_000).strip()]
    assert split("a" * 4_000 + "\n\n    " + "b" * 4_000) == ["a" * 4_000, "    " + "b" * 4_000]
    assert [len(part) for part in split("word " * 3_000)] == [4_999, 4_999, 4_999]
    assert split("a\n\n" + "b" * 5_000) == ["a\n\n" + "b" * 4_997, "bbb"]  # no scrap of one letter


PIECES = st.tuples(st.sampled_from(["a", "é", "🐝", "b ", " ", "\n", "\n\n"]), st.integers(1, 6_000))


@given(st.lists(PIECES, max_size=8))
def test_no_part_is_too_long_and_no_letter_is_lost(pieces: list[tuple[str, int]]) -> None:
    whole = "".join(letter * count for letter, count in pieces).strip()
    parts = split(whole)
    assert all(part and len(part) <= NOTE_CHARACTERS_MAX and len(part.encode()) <= NOTE_BYTES_MAX for part in parts)
    assert "".join("".join(parts).split()) == "".join(whole.split())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("one<![ x]>two", "onetwo"),
        ("one<![CDAUA[x]]>two", "onetwo"),
        ("one<!-- > -->two<!-- three", "onetwo"),
        ("<<!---->![ x>", "< ![ x>"),
        ("1 < 2 <a href='", "1 < 2"),
        (f"one&#{'9' * 5_000};two", "one\ufffdtwo"),
    ],
)
def test_what_the_library_would_stumble_over_is_left_out(content: str, told: str) -> None:
    assert text_of(content) == told


@pytest.mark.parametrize(("over", "told"), [(-1, "before\n\nafter"), (0, "before\n\nafter"), (1, "beforeafter")])
def test_a_tag_has_a_longest_length(over: int, told: str) -> None:
    filling = (OUTBOX_TAG_CHARACTERS_MAX + over - len("<p >")) * "x"
    assert text_of(f"before<p {filling}>after") == told


@pytest.mark.parametrize("attribute", ["b ", "b=1 ", "b=' > ' ", "'"])
def test_a_tag_of_many_attributes_costs_little_memory(attribute: str) -> None:
    content = f"one <a {attribute * (100_000 // len(attribute))}>two</a>"
    tracemalloc.start()
    try:
        told = text_of(content)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert told.startswith("one ") and told.endswith("two")
    assert peak < 3_000_000  # it was up to 30 MB


@pytest.mark.parametrize("piece", ["<!--", "<![CDATA[", "<?", "<a ", "</a", "<a b='", "&#", "<a>"])
def test_what_never_ends_is_read_in_a_time_that_grows_with_its_length(piece: str) -> None:
    begin = time.process_time()
    text_of(piece * (OUTBOX_CONTENT_CHARACTERS_MAX // len(piece)))
    assert time.process_time() - begin < 5  # `<!--` took over twenty
