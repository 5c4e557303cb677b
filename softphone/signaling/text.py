"""Text from strangers, made safe to show on a terminal or a page."""

import unicodedata

__all__ = ["MAX_NAME", "MAX_SENTENCE", "clean_text"]

MAX_NAME = 64
"""Characters of a display name."""

MAX_SENTENCE = 200
"""Characters of a reason or an error message."""

_DROPPED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
"""Control, format (bidirectional overrides, zero-width characters), surrogate, private, unassigned."""

_SPACES = frozenset({"Zs", "Zl", "Zp"})


def clean_text(text: str, limit: int) -> str:
    """Return `text` in NFC without control, format and unassigned characters.

    Every run of white space becomes one space; the result has at most `limit`
    characters and no space at its ends. It may be empty.
    """
    # Cut first: normalising grows a string at most threefold, so the work stays bounded.
    kept = []
    for character in unicodedata.normalize("NFC", text[: limit * 4]):
        category = unicodedata.category(character)
        if category in _SPACES or character in "\t\r\n":
            kept.append(" ")
        elif category not in _DROPPED:
            kept.append(character)
    return " ".join("".join(kept).split())[:limit].rstrip()
