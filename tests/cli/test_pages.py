"""What a person sees."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from typing import Any

import pytest
from fake_node import ALICE, BOB, NOW_MS, an_id
from fake_settings import STATUS
from terminal_scene import a_follow, lines_of

from p2pblog.config import SEQ_MAX, TIME_MS_MAX
from p2pblog.core import payload
from p2pblog.core.entry import write
from p2pblog.core.keys import DeviceKey, EntryId, IdentityHash, KeyPair
from p2pblog.core.payload import Ref
from p2pblog.core.polls import Poll
from p2pblog.core.value import replace
from p2pblog.dht.records import notice_record
from p2pblog.pages import nodes, people, values
from p2pblog.pages import notices as pages
from p2pblog.pages.files import media_page
from p2pblog.terminal import Style, render, width

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def a_notice(number: int, text: str = "hello", **more: Any) -> Any:
    return {
        "id": an_id(number),
        "type": "note",
        "author": ALICE,
        "name": "alice",
        "text": text,
        "time": NOW_MS,
        "reply_to": None,
        "boost_of": None,
        "boost_deleted": False,
        "likes": 0,
        "boosts": 0,
        "tags": [],
        "groups": [],
        "cw": None,
        "muted": False,
        "lang": None,
        "edited": None,
        "quote": None,
        "mentions": [],
        "poll": None,
        "media": [],
        "imported_time": None,
        **more,
    }


@pytest.mark.parametrize(
    ("time_ms", "said"),
    [
        (NOW_MS, "just now"),
        (NOW_MS - 59_999, "just now"),
        (NOW_MS - MINUTE, "1 min ago"),
        (NOW_MS - HOUR, "1 h ago"),
        (NOW_MS - DAY, "1 d ago"),
        (NOW_MS - 7 * DAY, "2025-10-02"),
        (NOW_MS + 30_000, "just now"),
        (NOW_MS + 365 * DAY, "2026-10-09"),  # a clock a year off
        (0, "1970-01-01"),
        (2**53 - 1, "in another age"),
    ],
)
def test_times_are_said_as_people_say_them(time_ms: int, said: str) -> None:
    assert values.ago(time_ms, NOW_MS, UTC) == said


def test_durations_and_sizes() -> None:
    assert [values.lasting(seconds) for seconds in (5, 65, 3_725, 90_000)] == [
        "5 s",
        "1 min 5 s",
        "1 h 2 min",
        "1 d 1 h",
    ]
    assert [values.sized(count) for count in (0, 999, 1_234, 5_600_000, 10**15)] == [
        "0 B",
        "999 B",
        "1.2 kB",
        "5.6 MB",
        "1000.0 TB",
    ]
    assert [values.sized(count) for count in (999_949, 999_950, 999_949_999, 999_950_000)] == [
        "999.9 kB", "1.0 MB", "999.9 MB", "1.0 GB",
    ]  # fmt: skip


def test_a_notice_says_who_when_and_which() -> None:
    notice = a_notice(0, "hello\nworld", time=NOW_MS - HOUR, reply_to=an_id(7), likes=1, boosts=2)
    assert lines_of(pages.notice_lines(notice, NOW_MS, 80)) == [
        "alice (aaaaaaaa) · 1 h ago · 5feceb66ff",
        "  hello",
        "  world",
        "  in reply to 7902699be4 · 1 like · 2 boosts",
    ]


@pytest.mark.parametrize("columns", [80, 100, 120])
@pytest.mark.parametrize(("name", "petname"), [("x" * 50, None), ("日" * 50, "本" * 50), ("bob", "p" * 50)])
def test_long_names_give_way_to_the_rest_of_the_head(columns: int, name: str, petname: str | None) -> None:
    original = a_notice(0, author=BOB, name=name)
    boost = a_notice(1, type="boost", boost_of=an_id(0), name=name)
    known = pages.Known({ALICE: petname, BOB: petname}, {an_id(0): original})
    for notice, letters in ((original, ["bbbbbbbb"]), (boost, ["aaaaaaaa", "bbbbbbbb"])):
        head = lines_of(pages.notice_lines(notice, NOW_MS, columns, known))[0]
        assert width(head) <= columns
        assert all(each in head for each in letters)
        assert head.endswith(notice["id"][:10])


def test_a_petname_that_they_call_themselves_too_stands_once() -> None:
    head = lines_of(pages.notice_lines(a_notice(0), NOW_MS, 80, pages.Known({ALICE: "alice"})))[0]
    assert head == "alice (aaaaaaaa) · just now · 5feceb66ff"


@pytest.mark.parametrize(
    ("peers", "limit"),
    [
        (["127.0.0.1:1"], "on this machine only"),
        (["127.0.0.1:1", "[::1]:2"], "on this machine only"),
        (["127.0.0.1:1", "192.168.1.7:2"], "in your local network only"),
        (["[fd00::1]:2"], "in your local network only"),
        (["192.168.1.7:2", "1.2.3.4:2"], None),
        (["[2600::1]:2"], None),
        ([], "names no node"),
    ],
)
def test_an_invitation_says_from_where_it_leads_nowhere(peers: list[str], limit: str | None) -> None:
    uri = f"p2pblog:{ALICE}" + ("?" + "&".join(f"peer={peer}" for peer in peers) if peers else "")
    page = lines_of(people.invite_page({"uri": uri}))
    assert page == [] if limit is None else limit in page[0] and len(page) == 1


@pytest.mark.parametrize(
    ("size", "state", "said"),
    [
        (129, "here", "129 B"),
        (1_500, "elsewhere", "1.5 kB (1,500 bytes)"),
        (65_536, "here", "65.5 kB (65,536 bytes)"),
        (65_536, "elsewhere", "at most 65.5 kB (65,536 bytes)"),
    ],
)
def test_a_file_has_one_size_and_a_thumbnail_that_is_elsewhere_none_yet(size: int, state: str, said: str) -> None:
    file: Any = {"hash": an_id(0), "name": "bees.jpg", "type": "image/jpeg", "size": size, "alt": "", "thumb": None}
    file |= {"author": ALICE, "notice": an_id(1), "held": 0, "pieces": 0, "state": state}
    assert f"size    {said}" in lines_of(media_page(file, 80))


def test_a_boost_says_what_it_boosts_and_the_nameless_have_letters() -> None:
    boost = a_notice(1, "theirs", type="boost", boost_of=an_id(0), name=None)
    assert lines_of(pages.notice_lines(boost, NOW_MS, 80)) == [
        "(aaaaaaaa) · boosted 5feceb66ff · just now · 6b86b273ff",
        "  theirs",
    ]


def test_an_empty_timeline_says_what_to_do() -> None:
    def page(*names: str) -> list[str]:
        followed: dict[str, str | None] = {name * 56: None for name in names}
        return lines_of(pages.empty_home_page(pages.Known(followed, names={"b" * 56: "bob"}), "./p2pblog --home x"))

    assert page() == [
        "Nothing here yet. Post something, or follow somebody.",
        "Try: ./p2pblog --home x follow ADDRESS",
    ]
    assert page("b") == [
        "You follow bob (bbbbbbbb), and nothing of theirs has come or been written yet.",
        "Try: ./p2pblog --home x following",
    ]
    assert page("b", "c")[0] == "You follow 2 people, and nothing of theirs has come or been written yet."


def test_a_thread_is_a_tree() -> None:
    notices = [
        a_notice(0, "root"),
        a_notice(1, "first", reply_to=an_id(0)),
        a_notice(2, "second", reply_to=an_id(0)),
        a_notice(3, "below first", reply_to=an_id(1)),
        a_notice(4, "orphan", reply_to=an_id(99)),
    ]
    page = lines_of(
        pages.thread_page({"root": an_id(0), "notices": notices, "known": 6, "missing": 1, "pruned": 0}, NOW_MS, 80)
    )
    texts = [text for text in page if text and "·" not in text and "reply" not in text]
    assert texts == ["  root", "    first", "      below first", "    second", "  orphan"]
    assert sum(text.lstrip().startswith("└") for text in page) == 3


def test_a_gap_is_told_as_people_read_it() -> None:
    assert pages.gap_page(0, 41, "p2pblog thread 5feceb66 --fetch") == []
    assert lines_of(pages.gap_page(3, 41, "p2pblog thread 5feceb66 --fetch"))[1:] == [
        "3 of 41 known replies not fetched.",
        "Try: p2pblog thread 5feceb66 --fetch",
    ]
    assert lines_of(pages.gap_page(2, 3, "p2pblog thread 5feceb66 --fetch", 1))[1:] == [
        "2 of 3 known replies not fetched, 1 of them pruned to save room.",
        "Try: p2pblog thread 5feceb66 --fetch",
    ]
    assert lines_of(pages.gap_page(1, 3, None, 1))[1:] == [
        "1 of 3 known replies not fetched, but pruned to save room: nobody who could be asked gave it."
    ]
    assert lines_of(pages.gap_page(1, 1, None))[1:] == [
        "1 of 1 known reply not fetched: nobody who could be asked gave it."
    ]
    assert lines_of(pages.gap_page(2, 3, None))[1:] == [
        "2 of 3 known replies not fetched: nobody who could be asked gave them."
    ]


def test_a_deep_thread_stays_on_the_page() -> None:
    notices = [a_notice(0)] + [a_notice(number, "word " * 40, reply_to=an_id(number - 1)) for number in range(1, 1000)]
    page = lines_of(
        pages.thread_page({"root": an_id(0), "notices": notices, "known": 1_000, "missing": 0, "pruned": 0}, NOW_MS, 80)
    )
    assert sum("·" in text for text in page) == 1000
    assert all(width(text) <= 84 for text in page)


@pytest.mark.parametrize("columns", [80, 120])
def test_following_is_aligned_and_shows_whole_addresses(columns: int) -> None:
    bob = a_follow(BOB, name="日本語", petname="bob", entries=1234, newest=NOW_MS, state="found")
    page = lines_of(people.following_page([bob, a_follow(ALICE)], None, NOW_MS, columns, "p2pblog"))

    assert all(width(text) <= columns for text in page)
    assert any(BOB in text for text in page)
    assert any(ALICE in text for text in page)
    assert sum("just now" in text for text in page) == 1
    ends = {
        width(text[: text.index(word)]) for text in page for word in ("STATE", "found", "searching") if word in text
    }
    assert len(ends) == 1


def test_peers_fit_80_columns() -> None:
    peer = {"node": "f" * 64, "direction": "out", "since": NOW_MS, "feeds": 2, "bytes_in": 1_234, "bytes_out": 5}
    rows: Any = [{**peer, "endpoint": "127.0.0.1:4711"}, {**peer, "endpoint": f"[{'ffff:' * 7}ffff]:65535"}]
    page = lines_of(nodes.peers_page(rows, NOW_MS, 80, "p2pblog"))
    assert page[0].split() == ["NODE", "ENDPOINT", "WAY", "SINCE", "FEEDS", "IN", "OUT"]
    assert all(width(text) <= 80 for text in page)
    assert page[1].split()[:2] == ["ffffffffff", "127.0.0.1:4711"]


def test_a_new_identity_is_told_what_it_is_and_what_comes_next() -> None:
    words = [f"word{number}" for number in range(1, 25)]
    page = lines_of(people.init_page(ALICE, None, "/home/alice", words, "p2pblog", 80))
    assert page == [
        "name     (none)",
        f"address  {ALICE}",
        "home     /home/alice",
        "",
        "Your recovery words. Write them on paper now: they are shown only this once.",
        "",
        *page[6:12],
        "",
        "No command takes these words yet. Until then your backup is an archive with your keys, kept elsewhere:",
        "  p2pblog export FILE --secrets",
        "",
        "Start your node: p2pblog run",
        "While it runs, name yourself: p2pblog profile --name NICK",
    ]
    assert page[6] == "   1. word1        7. word7       13. word13      19. word19"
    named = lines_of(people.init_page(ALICE, " Alice ", "/home/alice", words, "p2pblog", 80))
    assert (named[0], named[-1]) == ("name     Alice", "Start your node: p2pblog run")


def test_who_has_several_devices_sees_each() -> None:
    row = {"device": "d" * 64, "entries": 1, "here": True, "retired": False}
    status: Any = {**STATUS, "peers": 1, "follows": 0, "entries": 4, "pending": [], "devices": [row]}
    status["store"] = {"used": 0, "max": None, "pruned": 0, "failing": None}
    page = lines_of(nodes.status_page(status, 80, "p2pblog"))
    assert "devices    1" in page and "Your devices:" not in page
    status["devices"] += [{"device": "e" * 64, "entries": 1_234, "here": False, "retired": True}]
    page = lines_of(nodes.status_page(status, 80, "p2pblog"))
    assert page[page.index("Your devices:") :] == [
        "Your devices:", "  dddddddddd  1 entry, this one", "  eeeeeeeeee  1,234 entries, retired",
    ]  # fmt: skip


def test_a_qr_code_is_dark_on_light_with_a_quiet_zone() -> None:
    page = values.qr_page("P2PBLOG:" + "A" * 56)
    assert {piece.style for one in page for piece in one} == {Style.INK}
    rows = lines_of(page)
    assert len({len(row) for row in [one[0].text for one in page]}) == 1
    assert rows[0].strip() == ""
    assert rows[1].startswith("  █▀▀▀▀▀█ ")  # the finder pattern, its two quiet modules before it


REF = Ref(IdentityHash(bytes(32)), DeviceKey(bytes(32)), SEQ_MAX, EntryId(bytes(32)))


@pytest.mark.parametrize(
    "saying",
    [
        payload.Note,
        lambda text: payload.Note(text, REF, "w" * 60, "zh-Hant-TW"),
        lambda text: payload.Note(text, quote=payload.Quote(REF, REF)),
        lambda text: payload.Note(text, poll=Poll(("é" * 50, "tea"), TIME_MS_MAX)),
        lambda text: payload.Edit(REF, text, (EntryId(bytes(32)),) * 3),
    ],
)
def test_what_no_longer_fits_the_dht_is_known_to_the_byte(saying: Callable[[str], payload.Payload]) -> None:
    before = replace(write(KeyPair.from_seed(bytes(32)), None, TIME_MS_MAX, b""), seq=SEQ_MAX - 1)
    are_told = []
    for length in range(400, 900):
        entry = write(KeyPair.from_seed(bytes(32)), before, TIME_MS_MAX, payload.encode(saying("x" * length)))
        shown: Any = {"body": entry.body.hex(), "payload": (entry.payload or b"").hex()}
        are_told.append(pages.is_too_long_for_dht(shown))
        assert are_told[-1] == (notice_record(entry) is None)
    assert {False, True} == set(are_told)


def test_raw_entries_are_whole() -> None:
    entry: Any = {"id": "aa", "body": "bb" * 200, "payload": None, "signature": "cc", "chain": ["dd", "ee"]}
    page = lines_of(pages.entry_page(entry, raw=True))
    assert page[1].split() == ["body", "bb" * 200]
    assert [text.split()[-1] for text in page[4:]] == ["dd", "ee"]
    assert [text.split(maxsplit=1)[1] for text in lines_of(pages.entry_page(entry, raw=False))[1:]] == [
        "200 bytes", "not held", "of the entry 2 places later",
    ]  # fmt: skip
    whole: Any = {**entry, "payload": "00" * 5, "chain": []}
    assert [text.split(maxsplit=1)[1] for text in lines_of(pages.entry_page(whole, raw=False))[2:]] == [
        "5 bytes",
        "its own",
    ]


def test_no_colour_unless_asked() -> None:
    page = pages.notice_lines(a_notice(0), NOW_MS, 80)
    assert "\x1b" not in render(page, colour=False)
    assert "\x1b[1;36malice\x1b[0m" in render(page, colour=True)


def test_a_text_behind_a_content_warning_is_shown_to_who_asks_for_it() -> None:
    notice = a_notice(0, "She dies.", cw="the \x1b[31mend\nof it", time=NOW_MS - HOUR)
    page = lines_of(pages.notice_lines(notice, NOW_MS, 80))
    assert "She dies" not in "".join(page)
    assert page[1:] == ["  CW: the end of it", f"  (text hidden; show {an_id(0)[:10]})"]
    asked = lines_of(pages.notice_lines(notice, NOW_MS, 80, is_asked_for=True))
    assert asked[1:] == ["  CW: the end of it", "  She dies."]


def test_a_quote_keeps_words_behind_the_warning_that_they_have() -> None:
    quote: Any = {"id": an_id(1), "version": an_id(1), "author": BOB, "text": "She dies."}
    quote |= {"cw": "the\nend", "deleted": False}
    notice = a_notice(0, "Look!", quote=quote)
    page = lines_of(pages.notice_lines(notice, NOW_MS, 80))
    assert page[1] == "  Look!" and page[3:] == ["  │ CW: the end", f"  │ (text hidden; show {an_id(0)[:10]})"]
    asked = lines_of(pages.notice_lines(notice, NOW_MS, 80, is_asked_for=True))
    assert asked[3:] == ["  │ CW: the end", "  │ She dies."]
    boost = lines_of(pages.notice_lines({**notice, "type": "boost", "boost_of": an_id(2)}, NOW_MS, 80))
    assert boost[-1] == f"  │ (text hidden; show {an_id(2)[:10]})"


def test_an_imported_notice_says_when_it_was_first_written() -> None:
    page = lines_of(pages.notice_lines(a_notice(0, imported_time=1_551_529_800_000, likes=1), NOW_MS, 80))
    assert page[-1] == "  imported, first written 2019-03-02 · 1 like"
    assert "another age" in lines_of(pages.notice_lines(a_notice(0, imported_time=2**53 - 1), NOW_MS, 80))[-1]


def test_a_mention_reads_as_the_reader_calls_them() -> None:
    known = pages.Known({BOB: "robert\x1b[2J"})
    text = f"@{BOB.upper()}, @{ALICE}: mail@{BOB}, @{BOB}x"
    quote: Any = {
        "id": an_id(1),
        "version": an_id(1),
        "author": ALICE,
        "text": f"@{BOB}?",
        "cw": None,
        "deleted": False,
    }
    shown = "\n".join(lines_of(pages.notice_lines(a_notice(0, text, quote=quote), NOW_MS, 300, known)))
    assert f"@robert, @{ALICE[:8]}…: mail@robert, @{BOB}x" in shown
    assert "│ @robert?" in shown
    versions: Any = [{"id": an_id(1), "time": NOW_MS, "text": f"@{BOB}", "cw": None, "lang": None}]
    assert lines_of(pages.versions_page(versions, NOW_MS, 80, known))[1] == "  @robert"
