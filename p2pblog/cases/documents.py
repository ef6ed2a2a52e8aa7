"""What is handed out of a notice, its files, quote and poll, in the shapes of control/documents.py."""

from __future__ import annotations

from p2pblog.control.documents import (
    FileDocument,
    NoticeDocument,
    OptionDocument,
    PollDocument,
    QuoteDocument,
)
from p2pblog.core import address
from p2pblog.core.keys import IdentityHash
from p2pblog.core.media import Attachment
from p2pblog.core.payload import Quote
from p2pblog.core.polls import Tally
from p2pblog.core.timelines import Row


def notice_document(row: Row, now_ms: int, *, muted: bool = False) -> NoticeDocument:
    """A row as it is handed out. `now_ms`: by the node's clock, which says whether a poll is closed. `muted`: a mute or
    a block hides it from timelines."""
    return NoticeDocument(
        id=row.id.hex(),
        type=row.type,
        author=address.spell(IdentityHash(row.author)),
        name=row.name or None,
        text=row.text,
        time=row.time_ms,
        reply_to=None if row.reply_to is None else row.reply_to.hex(),
        boost_of=None if row.boost_of is None else row.boost_of.hex(),
        boost_deleted=row.boosted is not None and row.is_of_deleted,
        likes=row.likes,
        boosts=row.boosts,
        tags=list(row.tags),
        groups=list(row.groups),
        cw=row.warning,
        lang=row.language,
        edited=row.edited_ms,
        quote=None if row.quote is None else quote_document(row.quote, row),
        mentions=[address.spell(identity) for identity in row.mentions],
        poll=None if row.poll is None else poll_document(row.poll, now_ms),
        muted=muted,
        media=[file_document(attachment) for attachment in row.media],
        imported_time=row.imported_ms,
    )


def file_document(attachment: Attachment) -> FileDocument:
    return FileDocument(
        hash=attachment.file.hex(),
        name=attachment.name,
        type=attachment.type,
        size=attachment.size,
        alt=attachment.alt,
        thumb=None if attachment.thumb is None else attachment.thumb.hex(),
    )


def quote_document(quote: Quote, row: Row) -> QuoteDocument:
    return QuoteDocument(
        id=quote.of.id.hex(),
        version=quote.words.id.hex(),
        author=address.spell(quote.of.identity),
        text=row.quoted_text,
        cw=row.quoted_warning,
        deleted=row.is_of_deleted and row.quoted_text is None,
    )


def poll_document(poll: Tally, now_ms: int) -> PollDocument:
    return PollDocument(
        options=[OptionDocument(text=text, votes=votes) for text, votes in zip(poll.options, poll.votes, strict=True)],
        closes=poll.closes_ms,
        closed=now_ms > poll.closes_ms,
        voters=poll.voters,
        own=poll.own,
    )
