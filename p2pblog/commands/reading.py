"""Commands that read: timelines, conversations, single notices."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial
from time import monotonic
from typing import TYPE_CHECKING

import click

from p2pblog.commands import alone_lines, command, notice_argument, now_ms, offers
from p2pblog.config import TIMELINE_ROWS_MAX
from p2pblog.control import client, words
from p2pblog.errors import UsageError, UserError
from p2pblog.pages import notices as pages
from p2pblog.pages.values import People
from p2pblog.session import Session
from p2pblog.terminal import Page, line

if TYPE_CHECKING:
    from p2pblog.control.documents import (
        FollowDocument,
        GroupDocument,
        IdDocument,
        NoticeDocument,
        ProfileDocument,
        VersionDocument,
    )

BOOSTED_MAX = 100
"""Boosted notices looked up for one page, a question each; of more a page shows the id alone."""
NAMED_MAX = 100
"""The same of the names of people who are not followed."""
COMPANY_KEPT_S = 1.0
"""How long a live timeline goes by what it asked last about people: it need not ask for each of a thousand notices."""


class Company:
    """Whom the reader follows, and who they are themselves, each asked at the first look. A page stands without either,
    so an error only leaves it out."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._until = monotonic() + COMPANY_KEPT_S

    @cached_property
    def follows(self) -> list[FollowDocument]:
        return follows_of(self._session)

    @cached_property
    def own(self) -> IdDocument | None:
        try:
            found: IdDocument = self._session.ask("id")
        except UserError:
            return None
        return found

    @property
    def own_address(self) -> str | None:
        return None if self.own is None else self.own["address"]

    def among(self, addresses: Iterable[str]) -> People:
        """What is known of these people. Of those who are not followed the node is asked, one by one."""
        others: dict[str, ProfileDocument] = {}
        for address in [each for each in addresses if each not in self.people][:NAMED_MAX]:
            with suppress(UserError):  # nothing of theirs is here
                others[address] = self._session.ask("profile", address=address)
        return People(self.people, others, self.own_address)

    @cached_property
    def people(self) -> dict[str, FollowDocument]:
        """Those whom they follow, by address."""
        return {follow["address"]: follow for follow in self.follows}

    def knows(self, notice: NoticeDocument) -> bool:
        """Whether one more notice may be shown by it: it is new, and its author is followed under the name they bear
        now. Another name may look like somebody's, and may look so only since they took it."""
        names = {(follow["address"], follow["name"]) for follow in self.follows}
        return monotonic() < self._until and (notice["author"], notice["name"]) in names


def _known(session: Session, notices: Sequence[NoticeDocument], at_home: bool = False) -> pages.Known:
    """What a page says beside its notices. `at_home`: it is the timeline of oneself and those whom one follows."""
    return known_with(session, notices, Company(session), at_home)


def follows_of(session: Session) -> list[FollowDocument]:
    try:
        found: list[FollowDocument] = session.ask("following")
    except UserError:
        return []
    return found


def known_with(session: Session, notices: Sequence[NoticeDocument], company: Company, at_home: bool) -> pages.Known:
    """What a page says beside these notices, with one look at people for all that it asks."""
    follows = company.follows
    petnames = {follow["address"]: follow["petname"] for follow in follows}
    boosted = _boosted(session, notices)
    shown = [*notices, *boosted.values()]
    others = [notice for notice in shown if notice["author"] not in petnames]
    unfollowed = {notice["author"] for notice in others}
    # At home the one speaker who is not followed is oneself: who that is, is asked only for the sake of others, of
    # somebody followed who has one's own name, and of a name of one's own that would carry a mark beside another.
    is_strange = len(unfollowed) > int(at_home) or any(each["author"] in unfollowed for each in boosted.values())
    is_strange |= not all((notice["name"] or "").isascii() for notice in others)
    is_double = any(each["lookalike"] is not None and each["lookalike"] not in petnames for each in follows)
    warnings = pages.name_warnings(shown, follows, company.own if is_strange or is_double else None)
    named = {each for notice in shown for each in notice["mentions"]}
    named |= {notice["quote"]["author"] for notice in shown if notice["quote"] is not None}
    is_asking = any(each["poll"] is not None for each in others)  # below one's own poll stands whose votes come
    own = company.own if is_asking or named - petnames.keys() else None
    names = {follow["address"]: follow["name"] for follow in follows}
    pruned = {follow["address"]: follow["pruned"] for follow in follows}
    known = pages.Known(petnames, boosted, warnings, names, pruned=pruned)
    return known if own is None else replace(known, names={**names, own["address"]: own["name"]}, own=own["address"])


def _boosted(session: Session, notices: Sequence[NoticeDocument]) -> dict[str, NoticeDocument]:
    """The notices that those of a page boost, as far as they are here."""
    wanted = dict.fromkeys(notice["boost_of"] for notice in notices if notice["boost_of"])
    found = {notice["id"]: notice for notice in notices if notice["id"] in wanted}
    for identifier in [each for each in wanted if each not in found][:BOOSTED_MAX]:
        try:
            found[identifier] = session.ask("show", notice=identifier)
        except UserError:  # deleted, or not fetched yet
            continue
    return found


def _rows(context: click.Context, _: click.Parameter, typed: str) -> int:
    """How many rows; click's own words for a range are no sentence."""
    try:
        number = int(typed)
    except ValueError:
        number = 0
    if not 1 <= number <= TIMELINE_ROWS_MAX:
        raise click.UsageError(f"-n takes a number from 1 to {TIMELINE_ROWS_MAX}", context)
    return number


rows_option = click.option(
    "-n",
    "limit",
    metavar="N",
    type=str,
    callback=_rows,
    default="20",
    show_default=True,
    help=f"How many at most, 1 to {TIMELINE_ROWS_MAX}.",
)


TIMELINE_EXAMPLE = """p2pblog timeline -n 50
p2pblog timeline --author bob -f
p2pblog timeline --list beekeepers
p2pblog timeline --group birds"""


@command("timeline", TIMELINE_EXAMPLE)
@rows_option
@click.option("--before", metavar="ID", shell_complete=offers("notices"), help="Only what stands below this one.")
@click.option("--author", metavar="ADDRESS", shell_complete=offers("people"), help="Only notices of this one person.")
@click.option("--tag", metavar="T", help="Only notices with this tag, of everybody whose notices are here.")
@click.option(
    "--list",
    "of_list",
    metavar="NAME",
    shell_complete=offers("lists"),
    help="Only notices of the members of this list.",
)
@click.option(
    "--group",
    metavar="NAME",
    shell_complete=offers("groups"),
    help="Only notices said to this group, by anybody; see `group join`.",
)
@click.option("--fetch", is_flag=True, help="With --group: look for new ones first, in the DHT, for up to 10 seconds.")
@click.option("--strangers", is_flag=True, help="What strangers say to you, which waits until you let them in.")
@click.option("-f", "--follow", "live", is_flag=True, help="Go on with new ones as they come, until Ctrl-C.")
def timeline(
    session: Session,
    limit: int,
    before: str | None,
    author: str | None,
    tag: str | None,
    of_list: str | None,
    group: str | None,
    fetch: bool,
    strangers: bool,
    live: bool,
) -> None:
    """What you and those you follow have said, newest first. With -f, newest last, then what comes."""
    before = None if before is None else words.check_id(before)
    asked = {
        "author": None if author is None else words.check_utf8(author, "the address"),
        "tag": None if tag is None else words.check_tag(tag),
        "of_list": None if of_list is None else words.check_list_name(of_list),
        "group": None if group is None else words.check_group(group),
    }
    refused = {
        "--author and --list do not go together": author is not None and of_list is not None,
        "--strangers goes with -n and --before only": strangers and (live or fetch or any(asked.values())),
        "-f and --before do not go together": live and before is not None,
        "--fetch goes with --group": fetch and group is None,
        "-f looks for new ones by itself, without --fetch": live and fetch,
    }
    for sentence, holds in refused.items():
        if holds:
            raise UsageError(sentence, "p2pblog timeline --help")
    if strangers:
        _show_strangers(session, limit, before)
        return
    if not live:
        if fetch and not session.json:
            session.tell(pages.fetching_page("in the DHT"))
        document = session.ask("timeline", limit=limit, before=before, fetch=fetch, **asked)
        is_end = len(document) < limit
        session.show(document, lambda: _timeline_page(session, document, before is not None, asked, is_end))
        return
    if sys.stdout is None:  # it was closed before we began, and nobody will ever read
        return
    try:
        _follow_live(session, limit, asked)
    except KeyboardInterrupt:  # the way to end it
        return


def _show_strangers(session: Session, limit: int, before: str | None) -> None:
    document = session.ask("timeline", limit=limit, before=before, strangers=True)

    def page() -> Page:
        from p2pblog.pages.strangers import strangers_page  # only who asks for it pays for it

        known = _known(session, document)
        return strangers_page(document, before is not None, now_ms(), session.columns, known, session.command)

    session.show(document, page)


def _timeline_page(
    session: Session,
    notices: list[NoticeDocument],
    older: bool,
    asked: Mapping[str, str | None],
    is_end: bool = False,
) -> Page:
    header = [] if asked["group"] is None else _group_header(session, asked["group"])
    known = _known(session, notices, at_home=not any(asked.values()))
    page = pages.timeline_page(notices, now_ms(), session.columns, known) or _empty_page(session, known, older, asked)
    if not is_end or asked["tag"] is not None or asked["group"] is not None:
        return [*header, *page]
    return [*header, *page, *pages.end_page(_pruned(session, known, asked))]


def _empty_page(session: Session, known: pages.Known, older: bool, asked: Mapping[str, str | None]) -> Page:
    under = None if asked["tag"] is None else f"#{asked['tag']}"
    under = under if asked["group"] is None else f"!{asked['group']}"
    of_some = asked["author"] is not None or asked["of_list"] is not None
    if not (older or under or of_some):
        return [*pages.empty_home_page(known, session.command), *alone_lines(session)]
    search = None if under or older or asked["author"] is None else _search_for(session, known, asked["author"])
    return pages.empty_timeline_page(older, under, search)


def _pruned(session: Session, known: pages.Known, asked: Mapping[str, str | None]) -> int:
    """How many entries of those whose timeline it is went to save room."""
    whose: Iterable[str] = known.pruned
    if not any(known.pruned.values()):
        return 0
    if asked["author"] is not None:
        whose = [_address_of(known, asked["author"])]
    if asked["of_list"] is not None:
        try:
            whose = [member["address"] for member in session.ask("show_list", name=asked["of_list"])["members"]]
        except UserError:  # it was deleted meanwhile
            return 0
    return sum(known.pruned.get(address, 0) for address in whose)


def _address_of(known: pages.Known, author: str) -> str:
    """Whose petname, address or link that is, of those whom the reader follows; of anybody else what was typed."""
    found = (each for each, petname in known.petnames.items() if author == petname or each in author.lower())
    return next(found, author)


def _search_for(session: Session, known: pages.Known, author: str) -> str | None:
    """The command that finds single notices of somebody, which stand in no timeline; None where none are here."""
    import shlex

    address = _address_of(known, author)  # a petname may have signs that mean something else in a query
    query = f"from:{address}" if address.isalnum() else f'from:"{address}"'
    with suppress(UserError):
        if session.ask("search", query=query, limit=1)["notices"]:
            return f"{session.command} search {shlex.quote(query)}"
    return None


def _group_header(session: Session, name: str) -> Page:
    from p2pblog.pages.groups import header_page  # few timelines are a group's

    joined: list[GroupDocument] = session.ask("groups")
    row = next((each for each in joined if each["name"] == name), None)
    return header_page(name, row, now_ms(), session.columns, session.command)


def _follow_live(session: Session, limit: int, asked: dict[str, str | None]) -> None:
    with client.watch(session.home, **asked, output=session.output) as notices:
        shown: set[str] = set()
        if not session.json:
            document = session.ask("timeline", limit=limit, **asked)
            shown = {notice["id"] for notice in document}
            session.show(document, lambda: _timeline_page(session, document[::-1], False, asked))
        company: Company | None = None
        for notice in notices:
            if notice["id"] in shown:
                continue
            if session.json:
                session.show(notice, list)
                continue
            if company is None or not company.knows(notice):
                company = Company(session)
            session.show(notice, partial(_live_page, session, notice, company))


def _live_page(session: Session, notice: NoticeDocument, company: Company) -> Page:
    known = known_with(session, [notice], company, at_home=False)
    return [line(), *pages.notice_lines(notice, now_ms(), session.columns, known)]


@command("bookmarks", "p2pblog bookmarks -n 50")
@rows_option
@click.option(
    "--before", metavar="ID", shell_complete=offers("bookmarks"), help="Only what was bookmarked before this one."
)
def bookmarks(session: Session, limit: int, before: str | None) -> None:
    """The notices that you remember, the last one first."""
    before = None if before is None else words.check_id(before)
    document = session.ask("bookmarks", limit=limit, before=before)
    known = pages.NOTHING_KNOWN if session.json else _known(session, document)
    session.show(document, lambda: pages.bookmarks_page(document, before is not None, now_ms(), session.columns, known))


@command("search", "p2pblog search 'bee* \"in the wild\" from:bob #honey since:7d'\np2pblog search -- bees -wasps")
@click.argument("query", metavar="QUERY...", nargs=-1, required=True)
@rows_option
@click.option("--before", metavar="ID", shell_complete=offers("notices"), help="Only what stands below this one.")
def search(session: Session, query: tuple[str, ...], limit: int, before: str | None) -> None:
    """Notices that your node holds and that fit, newest first.

    \b
    word               with that word, whatever its capitals and accents
    bee*               with a word that begins so
    "some words"       with these words side by side
    from:ADDRESS       by one person, also by petname
    #tag               with that tag
    has:media          with a picture or other media
    since:2026-11-01   from that day (UTC) on; or 12h, 7d, 2w, 1y: that long ago
    until:2026-11-01   up to the end of that day
    -word              without it; also -"words", -#tag, -from:, -has:
    """
    before = None if before is None else words.check_id(before)
    document = session.ask("search", query=words.check_query(" ".join(query), now_ms()), limit=limit, before=before)
    notices = document["notices"]
    known = pages.NOTHING_KNOWN if session.json else _known(session, notices)
    session.show(notices, lambda: pages.search_page(notices, before is not None, now_ms(), session.columns, known))
    if document["unread"]:
        session.tell(pages.unread_page(document["unread"]))


@command("show", "p2pblog show 5feceb66ff\np2pblog show 5feceb66ff --history")
@notice_argument
@click.option("--history", is_flag=True, help="All the words that it had, the first ones first.")
def show(session: Session, notice: str, history: bool) -> None:
    """One notice."""
    if history:
        versions = session.ask("versions", notice=words.check_id(notice))
        session.show(versions, lambda: _versions_page(session, versions))
        return
    document = session.ask("show", notice=words.check_id(notice))
    session.show(
        document,
        lambda: pages.notice_lines(document, now_ms(), session.columns, _known(session, [document]), is_asked_for=True),
    )


def _versions_page(session: Session, versions: list[VersionDocument]) -> Page:
    company = Company(session)
    known = known_with(session, [], company, at_home=False)
    own = company.own if any("@" in version["text"] for version in versions) else None
    if own is not None:
        known = replace(known, names={own["address"]: own["name"]}, own=own["address"])
    return pages.versions_page(versions, now_ms(), session.columns, known)


@command("thread", "p2pblog thread 5feceb66ff\np2pblog thread 5feceb66ff --fetch")
@notice_argument
@click.option("--fetch", is_flag=True, help="Look for what is missing, and for more answers, for up to 8 seconds.")
def thread(session: Session, notice: str, fetch: bool) -> None:
    """The conversation that a notice belongs to."""
    prefix = words.check_id(notice)
    document = session.ask("thread", notice=prefix, fetch=False)
    if fetch:
        if not session.json:
            session.tell(pages.fetching_page())
        document = session.ask("thread", notice=prefix, fetch=True)
    known = pages.NOTHING_KNOWN if session.json else _known(session, document["notices"])
    command = None if fetch else f"{session.command} thread {prefix} --fetch"
    session.show(
        document,
        lambda: [
            *pages.thread_page(document, now_ms(), session.columns, known),
            *pages.gap_page(document["missing"], document["known"], command, document["pruned"]),
            *pages.strangers_page(document["strangers"], f"{session.command} timeline --strangers"),
        ],
    )


@command("entry", "p2pblog entry 5feceb66ff --raw --json")
@click.argument("entry", metavar="ID", shell_complete=offers("notices"))
@click.option("--raw", is_flag=True, help="The exact bytes, in hexadecimal, to be checked with other tools.")
def entry(session: Session, entry: str, raw: bool) -> None:
    """The signed entry behind a notice."""
    document = session.ask("entry", entry=words.check_id(entry))
    session.show(document, lambda: pages.entry_page(document, raw))
