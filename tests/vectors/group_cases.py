"""Texts, the groups that they name, and the ids of these."""

from __future__ import annotations

from vectors.parts import Case, accept
from vectors.readers import read_group_case

TEXTS = {
    "one group": "!birds",
    "in a sentence, twice, in other capitals": "Heard of !Birds and !bees? !BIRDS are back.",
    "behind a line's end, a tab, a no-break space": "look\n!birds\t!bees\u00a0!wax",
    "at a text's end": "who is in !birds",
    "a word's end": "wow! birds",
    "an inequality": "a!=b and a !=b",
    "two signs": "!!birds !! ! birds",
    "behind a word, a bracket, a quotation mark, a comma": 'oh!birds (!done) "!birds" a,!birds',
    "behind other signs": "#!birds @!birds /!birds &!birds",
    "a full-width sign": "\uff01birds",
    "numbers and lines": "!1 !2026 !_ !__7",
    "a number and a letter": "!2026plans !a1 !_x",
    "what ends a word": "!birds' !bird-watchers !birds.",
    "capitals that fold to two letters": "!Straße !STRASSE",
    "composed and decomposed": "!café !cafe\u0301",
    "other scripts": "!हिन्दी !蜜蜂 !пчёлы",
    "a joiner within": "!می\u200cخواهم !میخواهم",
    "a joiner between a letter and its mark": "!caf\u00e9 !cafe\u200d\u0301 !\u30ab\u200c\u3099",
    "a joiner behind the sign, and one behind the word": "!\u200dwax !birds\u200d",
    "64 characters and a joiner": "!" + "x" * 64 + "\u200d",
    "over 64 characters, with a joiner as the 65th": "!" + "x" * 64 + "\u200dzzz !" + "y" * 64 + "\u200d\u200cz",
    "four groups": "!a !b !c !d",
    "five groups, of which four count": "!a !b !c !d !e",
    "64 characters": "!" + "x" * 64,
    "65 characters": "!" + "x" * 65,
    "65 characters once normal": "!" + "x" * 63 + "ß",
    "a tag of the same word": "#birds",
}


def groups() -> list[Case]:
    return [accept(name, text, read_group_case(text)) for name, text in TEXTS.items()]
