"""What was found in a database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2pblog.pages.values import counted, try_line
from p2pblog.terminal import Page, clean_line, line

if TYPE_CHECKING:
    from p2pblog.control.documents import CheckDocument


def check_page(document: CheckDocument, command: str) -> Page:
    held = counted(document["entries"], "entry", "entries")
    if not document["damaged"]:
        return [line(f"Your database is whole: {held}, each as it was signed.")]
    page = [line(f"Damaged: {clean_line(fault)}.") for fault in document["faults"]]
    if document["lost"]:
        lost = counted(document["lost"], "entry", "entries")
        page.append(line(f"{lost} can't be read or changed, {document['lost_own']:,} of these your own."))
        page.append(line("Peers who have them give them again, once they are asked."))
    if document["kept_as"] is None:
        return [*page, line(f"{held} can be read."), try_line(f"{command} check --mend")]
    page.append(line(f"Made anew of what can be read: {held}."))
    page.append(
        line(f"The damaged file is kept as {clean_line(document['kept_as'])}: delete it when you miss nothing.")
    )
    page.append(line("Your node goes on as a new device."))
    return [*page, try_line(f"{command} run")]
