"""Commands about people: one's own profile, and whom one follows."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from p2pblog.commands import address_argument, alone_lines, command, now_ms, offers, qr_lines
from p2pblog.commands.reading import Company, known_with
from p2pblog.control import words
from p2pblog.errors import UserError
from p2pblog.pages import people
from p2pblog.pages.values import known_warning
from p2pblog.session import Session
from p2pblog.terminal import Page, line

if TYPE_CHECKING:
    from p2pblog.control.documents import FollowDocument, NoticeDocument, ProfileDocument


@command(
    "profile",
    'p2pblog profile --name alice --bio "Bees and bicycles"\n'
    "p2pblog profile --link https://example.org/alice\n"
    "p2pblog profile bob",
)
@click.argument("address", required=False, shell_complete=offers("anybody"))
@click.option("--name", metavar="N", help="How you want to be called.")
@click.option("--bio", metavar="T", help="A few words about yourself; an empty text takes them away.")
@click.option(
    "--link",
    "links",
    metavar="URL",
    multiple=True,
    help='Where you are found elsewhere, up to 8 times; "" for nowhere.',
)
@click.option(
    "--avatar",
    metavar="FILE",
    shell_complete=offers("file"),
    help='A picture that stands for you, without its metadata; "" for none.',
)
@click.option(
    "--banner",
    metavar="FILE",
    shell_complete=offers("file"),
    help='A wide picture for the top of your page; "" for none.',
)
def profile(
    session: Session,
    address: str | None,
    name: str | None,
    bio: str | None,
    links: tuple[str, ...],
    avatar: str | None,
    banner: str | None,
) -> None:
    """Show a profile, or change your own. Without ADDRESS it is yours, and what you do not name stays as it is."""
    address = None if address is None else words.check_utf8(address, "the address")
    name = None if name is None else words.check_name(name)
    bio = None if bio is None else words.check_bio(bio)
    chosen = words.check_links(links) if links else None
    changes = {"name": name, "bio": bio, "links": chosen, **_pictures(session, {"avatar": avatar, "banner": banner})}
    document = session.ask("profile", address=address, **changes)
    session.show(document, lambda: _profile_page(session, document))


def _pictures(session: Session, paths: dict[str, str | None]) -> dict[str, list[dict[str, str]] | None]:
    """Hand pictures to the node; an empty path is no picture, and None leaves what there is."""
    if not any(paths.values()):
        return {what: None if path is None else [] for what, path in paths.items()}
    from p2pblog.commands.files import hand_over_pictures  # only who sets one pays for it

    return hand_over_pictures(session, paths)


def _profile_page(session: Session, profile: ProfileDocument) -> Page:
    pinned: list[NoticeDocument] = []
    for notice in profile["pinned"]:
        with suppress(UserError):  # taken back meanwhile
            pinned.append(session.ask("show", notice=notice))
    company = Company(session)
    known, whose = known_with(session, pinned, company, at_home=False), (profile["address"], profile["name"])
    warning = known_warning(profile, company.people, company.own_address)
    warnings = {**known.warnings, **({} if warning is None else {whose: warning})}
    known = replace(known, names={**known.names, whose[0]: whose[1]}, warnings=warnings)
    return people.profile_page(profile, pinned, now_ms(), session.columns, known)


@command("follow", "p2pblog follow p2pblog:ADDRESS --petname bob\np2pblog follow bob --no-boosts --budget 3/day")
@address_argument
@click.option("--petname", metavar="P", help='What you call them; works wherever an ADDRESS does. "" for nothing.')
@click.option("--no-boosts/--boosts", default=None, help="Whether what they boost stays out of your timeline.")
@click.option("--budget", metavar="N/PERIOD", help="Only the best N an hour, day or week, as 3/day; or none.")
@click.option("--private/--public", default=None, help="Whether your node announces itself as one that holds them.")
def follow(
    session: Session,
    address: str,
    petname: str | None,
    no_boosts: bool | None,
    budget: str | None,
    private: bool | None,
) -> None:
    """Follow somebody, or change how you follow them. ADDRESS is an address, a link or an invite; a petname too, once
    you follow them."""
    petname = words.check_petname(petname) if petname else petname
    if budget is not None:
        words.check_budget(words.check_utf8(budget, "the budget"))
    address = words.check_utf8(address, "the address")
    document = session.ask(
        "follow", address=address, petname=petname, no_boosts=no_boosts, budget=budget, private=private
    )
    invited = "?" in address  # and its peers are just being called
    session.show(document, lambda: [*_follow_page(session, document), *([] if invited else alone_lines(session))])


@command("unfollow", "p2pblog unfollow bob")
@address_argument
def unfollow(session: Session, address: str) -> None:
    """Follow somebody no longer."""
    document = session.ask("unfollow", address=words.check_utf8(address, "the address"))
    session.show(document, lambda: [line("You no longer follow:"), *_follow_page(session, document)])


def _follow_page(session: Session, follow: FollowDocument) -> Page:
    company = Company(session)
    return people.follow_page(follow, now_ms(), known_warning(follow, company.people, company.own_address))


@command("following", "p2pblog following")
def following(session: Session) -> None:
    """Whom you follow, and what is held of them."""
    document = session.ask("following")

    def page() -> Page:
        own = Company(session).own_address if document else None
        return people.following_page(document, own, now_ms(), session.columns, session.command)

    session.show(document, page)


@command("invite", "p2pblog invite")
def invite(session: Session) -> None:
    """A link by which a newcomer can follow you. It names nodes to begin with, for who knows none yet."""
    document = session.ask("invite")
    session.show(document, lambda: [line(document["uri"]), *qr_lines(session, document["uri"])])
    if not session.json:
        session.tell(people.invite_page(document))
