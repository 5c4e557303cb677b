"""The same speech under the payload types of each peer."""

import pytest

from softphone.conference.microphone import readdressed
from softphone.rtp.packet import RtpPayload
from softphone.rtp.red import RedBlock, pack_red, unpack_red
from softphone.sending import SendingConfig

CONFIG = SendingConfig()
PLAIN = RtpPayload(111, 4800, b"\xfcspeech", True, 30)
COPIES = RtpPayload(63, 4800, pack_red(111, b"now", [RedBlock(111, 960, b"before")]), False, 30)


def test_usual_payload_types_cost_nothing() -> None:
    assert readdressed(PLAIN, CONFIG, 111, 63) is PLAIN
    assert readdressed(COPIES, CONFIG, 111, 63) is COPIES


@pytest.mark.parametrize(("opus", "red"), [(96, None), (96, 97), (111, None)])
def test_plain_opus_is_relabelled(opus: int, red: int | None) -> None:
    changed = readdressed(PLAIN, CONFIG, opus, red)
    assert (changed.payload_type, changed.payload) == (opus, PLAIN.payload)
    assert (changed.timestamp, changed.marker, changed.audio_level) == (4800, True, 30)


@pytest.mark.parametrize(("opus", "red"), [(111, 99), (96, 99)])
def test_copies_are_relabelled_inside_too(opus: int, red: int) -> None:
    changed = readdressed(COPIES, CONFIG, opus, red)
    assert changed.payload_type == red
    assert unpack_red(changed.payload) == [RedBlock(opus, 960, b"before"), RedBlock(opus, 0, b"now")]


@pytest.mark.parametrize("opus", [111, 96])
def test_who_takes_no_copies_gets_none(opus: int) -> None:
    changed = readdressed(COPIES, CONFIG, opus, None)
    assert (changed.payload_type, changed.payload) == (opus, b"now")
