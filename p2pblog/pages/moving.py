"""What came of taking data out and bringing it in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pblog.pages.values import counted, sized, try_line
from p2pblog.terminal import Page, clean_line, line

if TYPE_CHECKING:
    from p2pblog.control.documents import (
        BroughtDocument,
        ExportDocument,
        FollowedDocument,
        ImportDocument,
        SkippedDocument,
    )

SKIPPED_SHOWN_MAX = 20
"""Rows of a list that a page names one by one; `--json` has all of them."""


def export_page(document: ExportDocument) -> Page:
    keys = "with your secret keys: keep it safe" if document["secrets"] else "without your secret keys"
    file = clean_line(document["file"])
    held = counted(document["entries"], "entry", "entries")
    if document["files"]:
        held += f", {counted(document['files'], 'file')}"
    page = [line(f"Wrote {file}: {held}, {sized(document['bytes'])}, {keys}.")]
    if document["missing_files"]:
        page.append(
            line(f"Left out {counted(document['missing_files'], 'file')}: not all of it is here, or no room is left.")
        )
    if document["missing_follows"]:
        left = counted(document["missing_follows"], "person", "people")
        page.append(line(f"Left out {left} whom you follow in private: --secrets takes them along."))
    if document["missing_entries"]:
        page.append(line(f"{counted(document['missing_entries'], 'entry', 'entries')} of yours could not be read."))
    page += [line(f"Not all could be read: {clean_line(fault)}.") for fault in document["faults"]]
    return page


def import_page(document: ImportDocument, command: str) -> Page:
    page = [line(f"Looked at {counted(document['entries'], 'entry', 'entries')}; {document['new']:,} were not here.")]
    if document["refused"]:
        left = counted(document["refused"], "entry", "entries")
        page.append(line(f"Left out {left}: their log goes on otherwise here, or is disputed."))
    if document["files"]:
        page.append(line(f"Took back {counted(document['files'], 'file')}."))
    if document["followed"]:
        page.append(line(f"Followed {counted(document['followed'], 'person', 'people')}."))
    page += _refused_rows(document["skipped"], "follows.csv, line")
    if document["restored"]:
        page.append(line("This home is yours again, as a new device: ", document["address"]))
        page.append(line("Follows, lists, mutes, blocks, read marks and settings are each device's own from now on."))
        page.append(try_line(f"{command} run"))
    return page


def brought_page(document: BroughtDocument) -> Page:
    page = [line(f"Imported {counted(document['imported'], 'notice')}.")]
    if document["already"]:
        page.append(line(f"{document['already']:,} were imported before."))
    if document["skipped"]:
        page.append(line(f"Left aside {document['skipped']:,}: boosts, polls, and what was not for everybody."))
    return page


def list_page(document: FollowedDocument) -> Page:
    page = [line(f"Followed {counted(document['followed'], 'person', 'people')}.")]
    if document["already"]:
        page.append(line(f"{document['already']:,} you follow already."))
    return page + _refused_rows(document["skipped"], "Line")


def _refused_rows(skipped: list[SkippedDocument], where: str) -> Page:
    page = [line(f"{where} {each['line']}: {clean_line(each['reason'])}") for each in skipped[:SKIPPED_SHOWN_MAX]]
    if len(skipped) > SKIPPED_SHOWN_MAX:
        page.append(line(f"… and {len(skipped) - SKIPPED_SHOWN_MAX:,} more rows that were refused."))
    return page
