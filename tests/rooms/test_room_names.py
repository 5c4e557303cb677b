"""Names that can't be taken for each other."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softphone.rooms.names import GUEST, BadNameError, clean_name, skeleton, unique_name
from softphone.signaling.text import MAX_NAME


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("Alice", "Alice"),
        ("  Ann \t\n Lee ", "Ann Lee"),
        ("", GUEST),
        ("\u200b\u2066\u3164", GUEST),
        ("Ａｌｉｃｅ", "Alice"),  # full width
        ("𝓐𝓵𝓲𝓬𝓮", "Alice"),  # mathematical
        ("evil\u202egpj", "evilgpj"),
        ("a\u0300\u0301\u0302\u0303\u0304\u0305b", "à\u0301\u0302b"),
        ("Zoë Müller-Łukasz", "Zoë Müller-Łukasz"),
        ("Анна", "Анна"),
        ("Анна Smith", "Анна Smith"),  # one script per word
        ("李 明", "李 明"),
        ("Bob😀", "Bob😀"),
        ("<b>Bob</b>", "<b>Bob</b>"),  # text, and shown as such
        ("x" * 100, "x" * 64),
        ("ﷺ" * 64, clean_name("ﷺ" * 64)),  # unfolds to 18 characters each
    ],
)
def test_what_is_shown(asked: str, shown: str) -> None:
    assert clean_name(asked) == shown
    assert len(shown) <= MAX_NAME


@pytest.mark.parametrize("name", ["Аlice", "Bоb", "Αlex", "pаypal Bob", "Ꭺlice"])
def test_words_of_mixed_scripts_are_refused(name: str) -> None:
    with pytest.raises(BadNameError):
        clean_name(name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Alice", "alice"),
        ("Alice", "ALICE"),
        ("Alice", "A1ice"),
        ("Alice", "AIice"),  # capital i
        ("Alice", "Álíce"),
        ("Alice", "A lice"),
        ("Alice", "A-li.ce"),
        ("Bob", "B0b"),
        ("Marn", "Mam"),
        ("Сосо", "Coco"),  # all Cyrillic
        ("Ρορ", "Pop"),  # all Greek
        ("Alice\ufe0f", "Alice"),
        ("Straße", "STRASSE"),
    ],
)
def test_look_alikes(one: str, other: str) -> None:
    assert skeleton(one) == skeleton(other)


@pytest.mark.parametrize(
    ("one", "other"), [("Alice", "Alicia"), ("Bob", "Rob"), ("Ann", "Anna"), ("李", "王"), ("Bob", "Bob (2)")]
)
def test_different_names_stay_different(one: str, other: str) -> None:
    assert skeleton(one) != skeleton(other)


def test_suffixes() -> None:
    taken: set[str] = set()
    given_names = []
    for asked in ("Bob", "bob", "B0b", "Bob (2)", "x" * 64, "x" * 64):
        name = unique_name(asked, taken)
        taken.add(skeleton(name))
        given_names.append(name)
    assert given_names == ["Bob", "bob (2)", "B0b (3)", "Bob (2) (2)", "x" * 64, "x" * 60 + " (2)"]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(max_size=80), max_size=8))
def test_any_names(asked: list[str]) -> None:
    taken: set[str] = set()
    for each in asked:
        try:
            name = clean_name(each)
        except BadNameError:
            continue
        assert clean_name(name) == name
        name = unique_name(name, taken)
        assert 1 <= len(name) <= MAX_NAME
        assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in name)
        assert skeleton(name) not in taken
        taken.add(skeleton(name))
