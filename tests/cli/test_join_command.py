"""``softphone join`` as people use it: real server, real processes, keys on a terminal."""

import re
from pathlib import Path

import pytest

from softphone.cli.in_room import room_status_line
from softphone.cli.main import main
from softphone.conference import ConferenceStatistics, ParticipantStatistics
from softphone.conference.pair import PairState
from softphone.rooms.values import ParticipantInfo
from tests.calls.call_processes import LOCAL, QUIET_AUDIO, Command, read_json

LINK = r"(http://127\.0\.0\.1:\d+/r/test)"
DIGITS = r"Compare with \w+ by voice: (\d{4} \d{4})\."


def join(link: str, name: str, *options: str) -> Command:
    return Command("join", link, "--name", name, *LOCAL, *QUIET_AUDIO, "--quiet", *options, terminal=True)


def test_a_meeting_of_two_on_the_keyboard(tmp_path: Path) -> None:
    numbers = tmp_path / "alice.json"
    with Command("room", "serve", "--port", "0", "--room", "test") as server:
        link = server.wait_for(LINK)[1]
        with join(link, "Alice", "--stats-json", str(numbers)) as alice:
            alice.wait_for("You are in the room as Alice, as a moderator")
            with join(link, "Bob") as bob:
                alice.wait_for("Bob is here")
                digits = alice.wait_for(DIGITS)[1]
                assert bob.wait_for(DIGITS)[1] == digits
                bob.press("thello /\x7f\x7f, Alice\n")
                alice.wait_for("<Bob> hello, Alice")
                bob.press("h")
                alice.wait_for("Bob raises a hand")
                bob.press("tnever said\x1bm")
                alice.wait_for("Bob is muted")
                bob.press("ml")
                alice.wait_for("Bob is not muted any more")
                bob.wait_for("Only moderators")
                alice.press("w")
                alice.wait_for(r"1 +Bob: hand raised, connected")
                alice.press("1--\x1b1+\x1bs")
                alice.wait_for("Bob at 80 %")
                alice.wait_for("Bob at 64 %")
                alice.wait_for("Bob at 80 %")
                alice.wait_for(r"1 +Bob: loss 0 %")
                alice.press("1m")
                bob.wait_for("Alice turned your microphone off")
                alice.press("l")
                bob.wait_for("The room is locked")
                alice.press("1x")
                alice.wait_for("Bob was removed")
                assert bob.finish() == 3
                assert "a moderator removed you" in bob.errors
            alice.press("q")
            assert alice.finish() == 0, alice.errors
            assert "You left the room" in alice.output
        server.interrupt()
        assert server.finish() == 0
    values = read_json(numbers)
    assert values["end"] == {"reason": "left", "message": ""}
    assert values["room"] == "test"


def run(*arguments: str) -> int:
    try:
        return main(arguments)
    except SystemExit as stopped:
        return int(stopped.code or 0)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["standup"], 1, "no link to a room"),
        (
            ["http://127.0.0.1:9/r/x", "--input", "null", "--output", "null"],
            3,
            "does a room server run there",
        ),
        (["https://h/r/x", "--fingerprint", "AB"], 1, "fingerprint"),
        (["https://h/r/x", "--fingerprint", "ab" * 32, "--insecure"], 1, "choose one"),
        (["https://h/r/x", "--bitrate", "12000"], 1, "at least 24000"),
        (["https://h/r/x", "--policy", "nonsense"], 1, "there is no playout policy 'nonsense'"),
        ([], 2, "LINK"),
    ],
)
def test_mistakes_are_explained_in_one_line(
    arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("join", *arguments) == code
    errors = capsys.readouterr().err
    assert message in errors
    assert "Traceback" not in errors


def test_the_help_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("join", "--help") == 0
    text = capsys.readouterr().out
    for word in (
        "--input",
        "--record",
        "--max-delay",
        "--turn",
        "--fingerprint",
        "--insecure",
        "moderators also",
    ):
        assert word in text


def test_the_status_line_shows_who_is_loud() -> None:
    def one(name: str, **values: object) -> ParticipantStatistics:
        info = {key: values.pop(key) for key in ("muted", "hand") if key in values}
        person = ParticipantInfo(id="01" + "a" * 24, name=name, **info)  # type: ignore[arg-type]
        return ParticipantStatistics(person, **{"state": PairState.CONNECTED, **values})  # type: ignore[arg-type]

    line = room_status_line(
        ConferenceStatistics(
            duration=65.0,
            level=-15.0,
            participants=(
                one("Alice", level=-40.0, speaking=True, hand=1),
                one("Bob", muted=True),
                one("A very long name indeed", state=PairState.NEGOTIATING),
                one("Dave", fraction_lost=0.2),
            ),
        )
    )
    assert line == (
        "01:05 | you █ | 1 *Alice* ▄ ✋ | 2 Bob muted | 3 A very long nam… (connecting) | 4 Dave   20 % loss"
    )
    assert re.match(
        r"00:01 \| MUTED \| no room server",
        room_status_line(ConferenceStatistics(duration=1.0, muted=True, signaling_lost=True)),
    )
