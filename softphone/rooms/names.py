"""Display names that cannot be taken for each other.

The rules follow the ideas of Unicode Technical Standard 39 (security mechanisms): one
script per word where scripts have look-alikes, and a skeleton by which names are
compared. The table of look-alikes is a small one of Latin, Greek and Cyrillic letters
and of what ASCII itself offers, not the whole of the standard.
"""

import re
import unicodedata
from collections.abc import Container
from typing import Final

from softphone.errors import RemoteProtocolError
from softphone.signaling.text import MAX_NAME, clean_text

__all__ = ["GUEST", "BadNameError", "clean_name", "skeleton", "unique_name"]

GUEST: Final = "Guest"
"""Who gives no name."""

_MAX_MARKS: Final = 2
"""Combining marks in a row; stacks of them paint over the lines around."""

_INVISIBLE: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and signs without ink, in categories that are otherwise harmless."""

_VARIATION_SELECTORS: Final = frozenset(
    map(chr, [*range(0x180B, 0x180E), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)])
)

_CONFUSABLE_SCRIPTS: Final = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC"})
"""Scripts with letters that look like those of another in this list."""

_ASCII_TWINS: Final = (("rn", "m"), ("vv", "w"), ("cl", "d"))

# What looks the same once upper and lower case are folded; each line: look-alikes, what they look like.
_LOOKALIKES: Final = {
    ord(letter): latin
    for letters, latin in (
        ("аαɑ", "a"),
        ("вβ", "b"),
        ("сϲ", "c"),
        ("ԁ", "d"),
        ("еєε", "e"),
        ("ԍ", "g"),
        ("нһη", "h"),
        ("1|!ıіιіɩӏ", "l"),
        ("i", "l"),
        ("ј", "j"),
        ("кκ", "k"),
        ("мμ", "m"),
        ("пոռν", "n"),
        ("0оοσօᴏ", "o"),
        ("рρ", "p"),
        ("ԛ", "q"),
        ("гᴦ", "r"),
        ("5ѕ", "s"),
        ("тτ", "t"),
        ("υսц", "u"),
        ("ѵ", "v"),
        ("ԝшω", "w"),
        ("хχ", "x"),
        ("уγү", "y"),
        ("ᴢζ", "z"),
        ("з", "3"),
    )
    for letter in letters
}


class BadNameError(RemoteProtocolError):
    """A name that could be taken for another one."""

    code = "bad-name"


def clean_name(asked: str) -> str:
    """The name as it may be shown: NFKC, nothing invisible, at most `MAX_NAME` characters, never empty.

    Raises `BadNameError` when a word mixes scripts that have look-alikes.
    """
    visible = "".join(character for character in asked if character not in _INVISIBLE)
    # Twice: compatibility forms can unfold into what has to be cleaned.
    name = clean_text(_trim_marks(unicodedata.normalize("NFKC", clean_text(visible, MAX_NAME))), MAX_NAME)
    for word in name.split():
        scripts = {_script(letter) for letter in word if letter.isalpha()} & _CONFUSABLE_SCRIPTS
        if len(scripts) > 1:
            raise BadNameError("a word of this name mixes letters of several scripts that look alike")
    return name or GUEST


def skeleton(name: str) -> str:
    """What `name` looks like: two names with the same skeleton may be taken for each other."""
    # Folding turns letters into those of the table, and may set accents free.
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    text = "".join(each for each in folded if not _is_ornament(each)).translate(_LOOKALIKES)
    for twin, letter in _ASCII_TWINS:
        text = text.replace(twin, letter)
    return re.sub(r"[\s._'`´-]+", "", text)


def unique_name(name: str, taken: Container[str]) -> str:
    """`name`, or with a number behind it when its skeleton is in `taken`."""
    candidate, number = name, 1
    while skeleton(candidate) in taken:
        number += 1
        suffix = f" ({number})"
        candidate = name[: MAX_NAME - len(suffix)].rstrip() + suffix
    return candidate


def _script(letter: str) -> str:
    """The script of a letter, by the first word of its Unicode name."""
    return unicodedata.name(letter, "").partition(" ")[0]


def _is_ornament(character: str) -> bool:
    """Accents, enclosing marks and variation selectors."""
    return bool(
        unicodedata.combining(character)
        or unicodedata.category(character) == "Me"
        or character in _VARIATION_SELECTORS
    )


def _trim_marks(text: str) -> str:
    kept, run = [], 0
    for character in text:
        run = run + 1 if unicodedata.category(character) in ("Mn", "Me") else 0
        if run <= _MAX_MARKS:
            kept.append(character)
    return "".join(kept)
