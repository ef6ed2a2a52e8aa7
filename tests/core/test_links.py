"""Which links a profile may show."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pblog.config import LINK_CHARACTERS_MAX, LINKS_MAX
from p2pblog.core import codec
from p2pblog.core.links import is_link
from p2pblog.core.payload import Profile, Unknown, decode, encode
from p2pblog.errors import LocalProtocolError


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org",
        "HTTP://example.org:8080/a?b=c#d",
        "https://example.org/@alice",
        "https://bücher.example/ä",
        "gemini://example.org/~alice",
        "mailto:alice@example.org?subject=hi",
        "p2pblog:" + "a" * 56 + "?peer=192.0.2.1:4711",
        "https://" + "x" * (LINK_CHARACTERS_MAX - 8),
    ],
)
def test_what_is_a_link(text: str) -> None:
    assert is_link(text)
    assert decode(encode(Profile("a", "", (text,)))) == Profile("a", "", (text,))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.org",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "ftp://example.org",
        "http\u017f://example.org",  # a long s, which is an s where case does not matter
        "https://",
        "https:///path",
        "https://bank.example@evil.example/",
        "https://example.org/a b",
        "https://example.org/\u00a0b",
        "https://example.org/\nb",
        "https://example.org/\x1b[2J",
        "https://example.org/\u202eb",
        "https://example.org/\ud800",
        "mailto:alice",
        "p2pblog:alice",
        "https://" + "x" * (LINK_CHARACTERS_MAX - 7),
    ],
)
def test_what_is_no_link(text: str) -> None:
    assert not is_link(text)
    with pytest.raises(LocalProtocolError):
        encode(Profile("a", "", (text,)))


def test_a_profile_keeps_its_name_where_a_link_is_none_of_ours() -> None:
    links = ["web+new:x", "https://example.org"]
    data = codec.pack({"links": links, "name": "a", "type": "profile"})
    assert decode(data) == Profile("a", "", ("https://example.org",))


@pytest.mark.parametrize(("count", "understood"), [(LINKS_MAX, True), (LINKS_MAX + 1, False)])
def test_a_profile_has_so_many_links(count: int, understood: bool) -> None:
    links = ["https://example.org"] * count
    data = codec.pack({"links": links, "name": "a", "type": "profile"})
    assert decode(data) == (Profile("a", "", tuple(links)) if understood else Unknown("profile"))


@given(st.text(max_size=30))
def test_nothing_that_a_terminal_obeys_is_a_link(tail: str) -> None:
    if is_link("https://x/" + tail):
        assert tail.isprintable()
        assert not any(character.isspace() for character in tail)
