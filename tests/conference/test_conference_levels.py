"""Levels without decoding, and who is the active speaker."""

import pytest

from softphone.conference.levels import SILENCE, ActiveSpeaker, LevelMeter


def test_a_meter_rises_at_once_and_sinks_slowly() -> None:
    meter = LevelMeter()
    assert meter.level(0.0) == SILENCE
    meter.update(-30.0, 1.0)
    assert meter.level(1.0) == -30.0
    meter.update(-80.0, 1.1)
    assert meter.level(1.1) == pytest.approx(-34.0)
    meter.update(-20.0, 1.12)
    assert meter.level(1.12) == -20.0
    assert meter.level(1.7) == SILENCE, "no packets: silent"


def feed(speaker: ActiveSpeaker, *rows: tuple[float, dict[str, float]]) -> list[str | None]:
    """Rows of (seconds, levels), each held ten times a second until the next row."""
    said, end = [], 0.0
    for (begin, levels), (end, _) in zip(rows, [*rows[1:], (rows[-1][0] + 0.1, {})], strict=True):
        steps = max(1, round((end - begin) * 10))
        for step in range(steps):
            chosen = speaker.update(levels, begin + step / 10)
        said.append(chosen)
    return said


def test_the_first_to_speak_is_it_and_silence_changes_nothing() -> None:
    speaker = ActiveSpeaker()
    assert feed(
        speaker,
        (0.0, {"a": -90.0, "b": -70.0}),
        (1.0, {"a": -30.0, "b": -70.0}),
        (2.0, {"a": -90.0, "b": -90.0}),
    ) == [None, "a", "a"]


def test_another_must_be_clearly_louder_for_a_while() -> None:
    speaker = ActiveSpeaker()
    assert feed(
        speaker,
        (0.0, {"a": -30.0, "b": -90.0}),
        (1.0, {"a": -30.0, "b": -27.0}),  # not much louder
        (2.0, {"a": -30.0, "b": -10.0}),  # a cough
        (2.2, {"a": -30.0, "b": -90.0}),
        (3.0, {"a": -40.0, "b": -20.0}),
        (4.0, {"a": -90.0, "b": -45.0}),
    ) == ["a", "a", "a", "a", "b", "b"]


def test_who_follows_a_pause_need_not_shout() -> None:
    assert feed(
        ActiveSpeaker(), (0.0, {"a": -25.0, "b": -90.0}), (1.0, {"a": -60.0, "b": -48.0}), (2.0, {})
    ) == ["a", "b", None]
