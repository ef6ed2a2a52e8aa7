"""Writes p2pblog/core/confusables.py from Unicode's own list: `python -m make_confusables confusables.txt`."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import defaultdict
from pathlib import Path
from textwrap import wrap

TARGET = Path(__file__).parents[2] / "p2pblog" / "core" / "confusables.py"
HEAD = '''"""Characters that look like others: Unicode's confusables.txt, version {version}, as far as names need it.

{notice}
Written by tests/core/make_confusables.py. What compatibility decomposition says already, and ASCII, is left out.
"""

from __future__ import annotations

TABLE = """\\
{table}
"""
"""Groups that end in commas: a prototype and what looks like it, as hexadecimal code points; those of a prototype of
several are joined by +."""


def prototypes() -> dict[int, str]:
    """Code point -> what it looks like, to be used with str.translate (UTS #39, 4)."""
    found: dict[int, str] = {{}}
    for group in TABLE.split(","):
        target, *sources = group.split()
        text = "".join(chr(int(each, 16)) for each in target.split("+"))
        found.update((int(each, 16), text) for each in sources)
    return found
'''


def mappings(text: str) -> dict[str, str]:
    """Character -> prototype, of the lines `0430 ; 0061 ; MA # …`."""
    found = {}
    for row in re.finditer(r"^([0-9A-F]+) *;\s*([0-9A-F ]+?)\s*;\s*MA\b", text, re.MULTILINE):
        found[chr(int(row[1], 16))] = "".join(chr(int(each, 16)) for each in row[2].split())
    return found


def render(text: str) -> str:
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for source, target in sorted(mappings(text).items()):
        plain = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", source))
        if plain == source and not source.isascii():
            groups["+".join(f"{ord(each):x}" for each in target)].append(f"{ord(source):x}")
    words = ", ".join(" ".join((target, *sources)) for target, sources in groups.items())
    version = re.search(r"^# Version: (\S+)", text, re.MULTILINE)
    notice = re.search(r"^# (© .*)$", text, re.MULTILINE)
    assert version is not None and notice is not None
    said = f"{notice[1]} Used under the Unicode License v3 (LICENSE-UNICODE)."
    return HEAD.format(version=version[1], notice=said, table="\n".join(wrap(words, 118)))


if __name__ == "__main__":
    TARGET.write_text(render(Path(sys.argv[1]).read_text(encoding="utf-8-sig")), encoding="utf-8")
