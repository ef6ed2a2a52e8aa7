"""What `import --from mastodon` does: posts of an archive of Mastodon become notices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from p2pblog import outbox
from p2pblog.commands.moving import own_notices, refused
from p2pblog.commands.progress import share_bar
from p2pblog.control import words
from p2pblog.core import mastodon
from p2pblog.core.mastodon import Post
from p2pblog.core.value import replace
from p2pblog.pages import moving as pages
from p2pblog.session import Session

if TYPE_CHECKING:
    from p2pblog.control.documents import NoticeDocument, VersionDocument

Known = dict[tuple[int | None, str], list[str]]
"""The notices that an import wrote before this one, newest first, by time and text: a person may say the same twice in
a second, and parts of one post may be alike."""


def import_mastodon(session: Session, file: Path) -> None:
    with refused(file):
        posts, skipped = mastodon.read_outbox(outbox.load(file))
    own = session.ask("id")["address"]
    known = _imported_before(session, own)
    imported = already = 0
    ends: dict[str, str] = {}
    with share_bar("Importing") as tick:
        for number, post in enumerate(posts, 1):
            texts = [text for text in post.texts if words.taken(words.check_text, text) is not None]
            if not texts:
                skipped += 1
            elif post.id in ends:  # the outbox has it twice
                already += len(texts)
            else:
                written, ends[post.id] = _import_post(session, replace(post, texts=tuple(texts)), known, ends)
                imported, already = imported + written, already + len(texts) - written
            tick(number / len(posts))
    document = {"imported": imported, "skipped": skipped, "already": already}
    session.show(document, lambda: pages.brought_page(document))  # type: ignore[arg-type]


def _imported_before(session: Session, own: str) -> Known:
    known: Known = {}
    for each in own_notices(session, own):
        if each["imported_time"] is not None:
            known.setdefault((each["imported_time"], _first_words(session, each)), []).append(each["id"])
    return known


def _first_words(session: Session, notice: NoticeDocument) -> str:
    """The text that it had when it was imported: what was edited since is not new."""
    if not notice["edited"]:
        return notice["text"]
    first: VersionDocument = session.ask("versions", notice=notice["id"])[0]
    return first["text"]


def _import_post(session: Session, post: Post, known: Known, ends: dict[str, str]) -> tuple[int, str]:
    """A post and, where it is too long for one notice, the rest as answers to it. What is `known` of it is taken out;
    `ends`: the last notice of each post. Gives how many notices were written, and the id of the last."""
    last = ends.get(post.answers or "")
    warning = words.taken(words.check_warning, post.warning)
    written = 0
    for text in post.texts:
        if found := known.get((post.time_ms, text)):
            last = found.pop()  # the oldest, which was the first of them to be imported too
            continue
        document = session.ask(
            "import_note", text=text, time=post.time_ms, reply_to=last, cw=warning, lang=post.language
        )
        last = document["id"]
        written += 1
    assert last is not None
    return written, last
