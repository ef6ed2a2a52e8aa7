"""The command line: words in, one document or one page out, and an exit code that scripts can trust.

What a command needs beyond click and a socket it imports itself, so that `p2pblog post` answers at once.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from p2pblog import __version__, pages
from p2pblog.config import NOTE_BYTES_MAX, TIMELINE_ROWS_MAX, Home
from p2pblog.control import client, words
from p2pblog.errors import NotFound, NotRunning, TimedOut, UsageError, UserError
from p2pblog.session import Commands, Session, json_option, this
from p2pblog.terminal import Page, line

if TYPE_CHECKING:
    from p2pblog.control.api import FollowDocument, IdDocument, NoticeDocument

BOOSTED_MAX = 100
"""Boosted notices looked up for one page, a question each; of more a page shows the id alone."""
UNDONE = {"unboost": "boost", "unlike": "like"}
"""Command -> what it takes back."""
ID_TIMEOUT_S = 5.0
"""`id` asks the daemon, which knows a new name first, and reads the key file if it does not answer at once."""


# --- the group --------------------------------------------------------------------------------------------------------


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--home", "folder", metavar="DIR", help="The folder of keys and notices; else P2PBLOG_HOME, else the platform's."
)
@json_option
@click.version_option(__version__, message="p2pblog %(version)s")
@this
def main(session: Session, folder: str | None) -> None:
    """A microblog without a server.

    \b
    p2pblog init --name alice     make your identity
    p2pblog run                   start your node
    p2pblog post "Hello"          say something
    p2pblog follow ADDRESS        read somebody
    p2pblog timeline              see what is new
    """
    session.folder = folder


def command(name: str, example: str) -> Callable[[Callable[..., Any]], click.Command]:
    """A command of the group: with --json, and an example below its help."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        epilog = "\b\nExample:\n" + "\n".join(f"  {text}" for text in example.splitlines())
        return main.command(name, epilog=epilog)(json_option(this(function)))

    return decorate


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


# --- identity and node ------------------------------------------------------------------------------------------------


@command("init", "p2pblog init --name alice")
@click.option("--name", metavar="NICK", help="How you want to be called; can be changed later.")
def init(session: Session, name: str | None) -> None:
    """Make an identity: keys in the home, and 24 recovery words that are shown only now."""
    name = None if name is None else words.check_name(name)
    import secrets

    from p2pblog import keyring
    from p2pblog.core import address

    home = session.home
    made, recovery_words = keyring.create(home, name, secrets.token_bytes(32))
    spelled = address.spell(made.inception.identity)
    session.show(
        {"address": spelled, "name": name, "home": str(home.folder), "recovery_words": recovery_words},
        lambda: pages.init_page(spelled, name, str(home.folder), recovery_words, session.command),
    )


@command("run", "p2pblog run --listen 0.0.0.0:4711 --bootstrap 192.0.2.1:4711")
@click.option("--listen", metavar="HOST:PORT", help="Where to listen, TCP and UDP; port 0 takes a free one for good.")
@click.option("--bootstrap", metavar="HOST:PORT", multiple=True, help="A node to begin with; can be repeated.")
def run(session: Session, listen: str | None, bootstrap: tuple[str, ...]) -> None:
    """Run your node in the foreground; Ctrl-C stops it."""
    for endpoint in (listen or "", *bootstrap):
        words.check_utf8(endpoint, "HOST:PORT")
    from p2pblog import daemon

    daemon.run(session.home, listen, list(bootstrap), session.json, session.command)


@command("id", "p2pblog id")
def show_id(session: Session) -> None:
    """Who you are: your address, as text and as a QR code."""
    try:
        document: IdDocument = client.call(session.home, "id", timeout_s=ID_TIMEOUT_S)
    except (NotRunning, TimedOut):
        document = _id_on_disk(session.home)
    # Upper case makes a smaller code, and the case of an address has no meaning.
    session.show(document, lambda: [*pages.id_page(document), *_qr(session, document["uri"].upper())])


def _id_on_disk(home: Home) -> IdDocument:
    from p2pblog import keyring
    from p2pblog.core.address import Link, spell

    keys = keyring.load(home)
    identity = keys.inception.identity
    return {
        "address": spell(identity),
        "name": keys.name,
        "device": keys.device.public.hex(),
        "node": keys.node.public.hex(),
        "uri": Link(identity).uri,
    }


def _qr(session: Session, text: str) -> Page:
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        return []
    code = pages.qr_page(text)
    return [line(), *code] if len(code[0][0].text) <= session.columns else []


@command("status", "p2pblog status --json")
def status(session: Session) -> None:
    """How your node is doing."""
    document = session.ask("status")
    session.show(document, lambda: pages.status_page(document, session.columns))


# --- writing ----------------------------------------------------------------------------------------------------------


@command("post", 'p2pblog post "Hello, everybody"\nfortune | p2pblog post -')
@click.argument("text")
@click.option("--reply-to", metavar="ID", help="The notice that this one answers.")
@click.option("--cw", metavar="TEXT", help="A content warning: what readers see before they ask for the text.")
@click.option("--lang", metavar="TAG", help="The language of the text, as en or pt-BR.")
def post(session: Session, text: str, reply_to: str | None, cw: str | None, lang: str | None) -> None:
    """Publish a notice. TEXT is one argument: quote it. `-` reads it from the standard input."""
    text = words.check_text(_from_stdin() if text == "-" else text)
    reply_to = None if reply_to is None else words.check_id(reply_to)
    cw = None if cw is None else words.check_warning(cw)
    lang = None if lang is None else words.check_language(lang)
    document = session.ask("post", text=text, reply_to=reply_to, cw=cw, lang=lang)
    session.show(document, lambda: pages.written_page(document))
    if not session.json and pages.is_too_long_for_dht(text, reply_to is not None, cw, lang):
        session.tell(
            [line("It is too long for the DHT: while you are offline, only nodes that follow you pass it on.")]
        )


def _from_stdin() -> str:
    """The standard input without one final newline. Raises UsageError: too long, or not UTF-8."""
    if sys.stdin is None:
        raise UsageError("the standard input is closed")
    data = sys.stdin.buffer.read(NOTE_BYTES_MAX + 2).removesuffix(b"\n")
    if len(data) > NOTE_BYTES_MAX:
        raise UsageError(f"the text has over {NOTE_BYTES_MAX:,} bytes, and a notice at most that many")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise UsageError("the text on the standard input is not valid UTF-8") from error


def _write_about(session: Session, route: str, notice: str) -> None:
    typed = words.check_id(notice)
    about = typed if session.json else _meant(session, route, typed)
    document = session.ask(route, notice=typed)
    session.show(document, lambda: pages.written_page(document, about, undone=UNDONE.get(route)))


def _meant(session: Session, route: str, typed: str) -> str:
    """The id of the notice that `typed` stands for; a like or boost of a boost goes to the boosted notice."""
    try:
        found: NoticeDocument = session.ask("show", notice=typed)
    except (NotFound, UsageError):  # a like, which can be deleted too; or `route` says what is wrong
        return typed
    return found["id"] if route == "delete" else found["boost_of"] or found["id"]


@command("boost", "p2pblog boost 5feceb66ff")
@click.argument("notice", metavar="ID")
def boost(session: Session, notice: str) -> None:
    """Show somebody's notice to those who follow you."""
    _write_about(session, "boost", notice)


@command("like", "p2pblog like 5feceb66ff")
@click.argument("notice", metavar="ID")
def like(session: Session, notice: str) -> None:
    """Like a notice."""
    _write_about(session, "like", notice)


@command("unboost", "p2pblog unboost 5feceb66ff")
@click.argument("notice", metavar="ID")
def unboost(session: Session, notice: str) -> None:
    """Take back your boost of a notice."""
    _write_about(session, "unboost", notice)


@command("unlike", "p2pblog unlike 5feceb66ff")
@click.argument("notice", metavar="ID")
def unlike(session: Session, notice: str) -> None:
    """Take back your like of a notice."""
    _write_about(session, "unlike", notice)


@command("delete", "p2pblog delete 5feceb66ff")
@click.argument("notice", metavar="ID")
def delete(session: Session, notice: str) -> None:
    """Take back a notice of your own. Nodes hide it as they hear of it; nobody can make them forget it."""
    _write_about(session, "delete", notice)


@command("bookmark", "p2pblog bookmark 5feceb66ff")
@click.argument("notice", metavar="ID")
def bookmark(session: Session, notice: str) -> None:
    """Remember a notice. Nobody else hears of it."""
    document = session.ask("bookmark", notice=words.check_id(notice))
    session.show(document, lambda: pages.bookmark_page(document))


@command("unbookmark", "p2pblog unbookmark 5feceb66ff")
@click.argument("notice", metavar="ID")
def unbookmark(session: Session, notice: str) -> None:
    """Remember a notice no longer."""
    document = session.ask("unbookmark", notice=words.check_id(notice))
    session.show(document, lambda: pages.bookmark_page(document))


@command("profile", 'p2pblog profile --name alice --bio "Bees and bicycles"')
@click.option("--name", metavar="N", help="How you want to be called.")
@click.option("--bio", metavar="T", help="A few words about yourself; an empty text takes them away.")
def profile(session: Session, name: str | None, bio: str | None) -> None:
    """Show your profile, or change it."""
    name = None if name is None else words.check_name(name)
    bio = None if bio is None else words.check_bio(bio)
    document = session.ask("profile", name=name, bio=bio)
    session.show(document, lambda: pages.profile_page(document, session.columns))


# --- following --------------------------------------------------------------------------------------------------------


@command("follow", "p2pblog follow p2pblog:ADDRESS --petname bob")
@click.argument("address")
@click.option("--petname", metavar="P", help="What you call them; works wherever an ADDRESS does.")
def follow(session: Session, address: str, petname: str | None) -> None:
    """Follow somebody by address, link or invite."""
    petname = None if petname is None else words.check_petname(petname)
    document = session.ask("follow", address=words.check_utf8(address, "the address"), petname=petname)
    session.show(document, lambda: pages.follow_page(document, _now_ms()))


@command("unfollow", "p2pblog unfollow bob")
@click.argument("address")
def unfollow(session: Session, address: str) -> None:
    """Follow somebody no longer."""
    document = session.ask("unfollow", address=words.check_utf8(address, "the address"))
    session.show(document, lambda: [line("You no longer follow:"), *pages.follow_page(document, _now_ms())])


@command("following", "p2pblog following")
def following(session: Session) -> None:
    """Whom you follow, and what is held of them."""
    document = session.ask("following")
    session.show(document, lambda: pages.following_page(document, _now_ms(), session.columns, session.command))


@command("invite", "p2pblog invite")
def invite(session: Session) -> None:
    """A link that lets somebody follow you who knows no other node yet."""
    document = session.ask("invite")
    session.show(document, lambda: [*pages.invite_page(document), *_qr(session, document["uri"])])


# --- reading ----------------------------------------------------------------------------------------------------------


def _known(session: Session, notices: Sequence[NoticeDocument]) -> pages.Known:
    """What a page says beside its notices. The page stands without it, so an error here only leaves it out."""
    return pages.Known(_petnames(session), _boosted(session, notices))


def _petnames(session: Session) -> dict[str, str | None]:
    try:
        follows: list[FollowDocument] = session.ask("following")
    except UserError:
        return {}
    return {follow["address"]: follow["petname"] for follow in follows}


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
    help=f"How many notices at most, 1 to {TIMELINE_ROWS_MAX}.",
)


@command("timeline", "p2pblog timeline -n 50\np2pblog timeline --author bob -f\np2pblog timeline --tag bees")
@rows_option
@click.option("--before", metavar="ID", help="Only what stands below this one.")
@click.option("--author", metavar="ADDRESS", help="Only notices of this one person.")
@click.option("--tag", metavar="T", help="Only notices with this tag, of everybody whose notices are here.")
@click.option("-f", "--follow", "live", is_flag=True, help="Go on with new ones as they come, until Ctrl-C.")
def timeline(session: Session, limit: int, before: str | None, author: str | None, tag: str | None, live: bool) -> None:
    """What you and those you follow have said, newest first. With -f, newest last, then what comes."""
    author = None if author is None else words.check_utf8(author, "the address")
    before = None if before is None else words.check_id(before)
    tag = None if tag is None else words.check_tag(tag)
    if not live:
        document = session.ask("timeline", limit=limit, before=before, author=author, tag=tag)
        session.show(document, lambda: _timeline_page(session, document, before is not None, author is not None, tag))
    elif before is not None:
        raise UsageError("-f and --before do not go together", "p2pblog timeline --help")
    else:
        try:
            _follow_live(session, limit, author, tag)
        except KeyboardInterrupt:  # the way to end it
            return


def _timeline_page(session: Session, notices: list[NoticeDocument], older: bool, of_one: bool, tag: str | None) -> Page:
    if not notices:
        return pages.empty_timeline_page(older, of_one, tag, session.command)
    return pages.timeline_page(notices, _now_ms(), session.columns, _known(session, notices))


def _follow_live(session: Session, limit: int, author: str | None, tag: str | None) -> None:
    with client.watch(session.home, author, tag) as notices:
        shown: set[str] = set()
        if not session.json:
            document = session.ask("timeline", limit=limit, author=author, tag=tag)
            shown = {notice["id"] for notice in document}
            session.show(document, lambda: _timeline_page(session, document[::-1], False, author is not None, tag))
        petnames: dict[str, str | None] = {}
        for notice in notices:
            if notice["id"] in shown:
                continue
            if not session.json and notice["author"] not in petnames:  # maybe followed only now
                petnames = _petnames(session)
            _show_one(session, notice, petnames)


def _show_one(session: Session, notice: NoticeDocument, petnames: dict[str, str | None]) -> None:
    def page() -> Page:
        known = pages.Known(petnames, _boosted(session, [notice]))
        return [line(), *pages.notice_lines(notice, _now_ms(), session.columns, known)]

    session.show(notice, page)


@command("bookmarks", "p2pblog bookmarks -n 50")
@rows_option
@click.option("--before", metavar="ID", help="Only what was bookmarked before this one.")
def bookmarks(session: Session, limit: int, before: str | None) -> None:
    """The notices that you remember, the last one first."""
    before = None if before is None else words.check_id(before)
    document = session.ask("bookmarks", limit=limit, before=before)
    known = pages.NOTHING_KNOWN if session.json else _known(session, document)
    session.show(
        document, lambda: pages.bookmarks_page(document, before is not None, _now_ms(), session.columns, known)
    )


@command("show", "p2pblog show 5feceb66ff")
@click.argument("notice", metavar="ID")
def show(session: Session, notice: str) -> None:
    """One notice."""
    document = session.ask("show", notice=words.check_id(notice))
    session.show(
        document,
        lambda: pages.notice_lines(
            document, _now_ms(), session.columns, _known(session, [document]), is_asked_for=True
        ),
    )


@command("thread", "p2pblog thread 5feceb66ff")
@click.argument("notice", metavar="ID")
def thread(session: Session, notice: str) -> None:
    """The conversation that a notice belongs to."""
    document = session.ask("thread", notice=words.check_id(notice))
    known = pages.NOTHING_KNOWN if session.json else _known(session, document["notices"])
    session.show(document, lambda: pages.thread_page(document, _now_ms(), session.columns, known))


@command("entry", "p2pblog entry 5feceb66ff --raw --json")
@click.argument("entry", metavar="ID")
@click.option("--raw", is_flag=True, help="The exact bytes, in hexadecimal, to be checked with other tools.")
def entry(session: Session, entry: str, raw: bool) -> None:
    """The signed entry behind a notice."""
    document = session.ask("entry", entry=words.check_id(entry))
    session.show(document, lambda: pages.entry_page(document, raw))


# --- peers ------------------------------------------------------------------------------------------------------------


@command("peers", "p2pblog peers")
def peers(session: Session) -> None:
    """The nodes that yours is linked with."""
    document = session.ask("peers")
    session.show(document, lambda: pages.peers_page(document, _now_ms(), session.columns))


@main.group("peer")
@json_option
def peer() -> None:
    """Add a peer by hand."""


@peer.command("add", epilog="\b\nExample:\n  p2pblog peer add 192.0.2.1:4711")
@click.argument("endpoint", metavar="HOST:PORT")
@json_option
@this
def peer_add(session: Session, endpoint: str) -> None:
    """Link with the node at HOST:PORT, and remember it."""
    document = session.ask("add_peer", endpoint=words.check_utf8(endpoint, "HOST:PORT"))
    session.show(document, lambda: pages.peers_page([document], _now_ms(), session.columns))


# --- the simulator ----------------------------------------------------------------------------------------------------


class SimCommands(click.Group):
    """Its commands are imported when one is called or listed, so that all others start as if it were not there."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return ["list", "run", "plot", "compare"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        from p2pblog import cli_sim

        return cli_sim.COMMANDS.get(cmd_name)


@main.group("sim", cls=SimCommands)
@json_option
def sim() -> None:
    """Run a whole network of nodes under a virtual clock."""
