import pytest

from softphone.webrtc.capabilities import DRED_VERSION, Capabilities
from softphone.webrtc.local_description import LocalTransport, StreamIdentity, write_answer, write_offer
from softphone.webrtc.negotiation import LocalAudio, NegotiatedAudio, negotiate
from softphone.webrtc.remote_description import parse_remote_description
from softphone.webrtc.sdp import SessionText, parse_session
from tests.support.webrtc_sdp import AUDIO, DATA, FINGERPRINT, REJECTED_VIDEO, VIDEO, browser_offer, session

IDENTITY = StreamIdentity(session=7, version=1, ssrc=42, cname="us", stream="s", track="t")
TRANSPORT = LocalTransport(
    ice_ufrag="wxyz",
    ice_pwd="1234567890123456789012",
    candidates=["1 1 udp 1 127.0.0.1 40000 typ host"],
    fingerprints=[("sha-256", FINGERPRINT)],
    setup="active",
)


def agree(
    opus: str = "minptime=10;useinbandfec=1",
    *,
    audio: str = AUDIO,
    local: LocalAudio | None = None,
    peer: Capabilities | None = None,
) -> NegotiatedAudio:
    text = audio.replace("minptime=10;useinbandfec=1", opus)
    return negotiate(
        local or LocalAudio(), parse_remote_description(browser_offer(audio=text), "offer"), peer
    )


def answer(text: str, local: LocalAudio | None = None) -> SessionText:
    remote = parse_remote_description(text, "offer")
    local = local or LocalAudio()
    return parse_session(write_answer(local, negotiate(local, remote), remote, IDENTITY, TRANSPORT))


def test_a_browser() -> None:
    agreed = agree()
    assert (agreed.opus_pt, agreed.red_pt, agreed.event_pt) == (111, 63, 110)
    assert agreed.receive_payload_types == {111: "opus", 63: "red", 110: "telephone-event"}
    assert not agreed.red_preferred
    assert agreed.peer_fec
    assert agreed.peer_dred_ms == 0
    assert agreed.max_average_bitrate is None
    assert agreed.ptime == 20
    assert agreed.sends
    assert agreed.receives


@pytest.mark.parametrize(
    ("opus", "field", "expected"),
    [
        ("ext32-dred-duration=500", "peer_dred_ms", 500),
        ("EXT32-DRED-Duration = 500 ", "peer_dred_ms", 500),
        ("ext32-dred-duration=99999", "peer_dred_ms", 1040),
        ("ext32-dred-duration=-5", "peer_dred_ms", 0),
        ("ext32-dred-duration=x", "peer_dred_ms", 0),
        ("sprop-ext32-dred-duration=320", "peer_sends_dred_ms", 320),
        ("maxaveragebitrate=20000", "max_average_bitrate", 20_000),
        ("maxaveragebitrate=1", "max_average_bitrate", 6_000),
        ("maxaveragebitrate=9999999", "max_average_bitrate", 510_000),
        ("useinbandfec=0", "peer_fec", False),
        ("minptime=10", "peer_fec", False),
        ("stereo=1", "stereo", True),
        ("cbr=1", "cbr", True),
        ("usedtx=1", "dtx", True),
        ("maxplaybackrate=16000", "max_playback_rate", 16_000),
    ],
)
def test_format_parameters(opus: str, field: str, expected: object) -> None:
    assert getattr(agree(opus), field) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("10", 10),
        ("20", 20),
        ("30", 20),
        ("60", 60),
        ("120", 60),
        ("3", 10),
        ("0", 20),
        ("-1", 20),
        ("x", 20),
    ],
)
def test_ptime(line: str, expected: int) -> None:
    assert agree(audio=AUDIO + f"a=ptime:{line}\n").ptime == expected


@pytest.mark.parametrize(
    ("lines", "ptime", "max_ptime"),
    [
        ("", 20, 60),
        ("a=maxptime:20\n", 20, 20),
        ("a=maxptime:30\n", 20, 20),
        ("a=maxptime:40\n", 20, 40),
        ("a=maxptime:60\n", 20, 60),
        ("a=maxptime:120\n", 20, 60),
        ("a=maxptime:10\n", 10, 10),
        ("a=maxptime:3\n", 10, 10),
        ("a=maxptime:40\na=maxptime:20\n", 20, 40),
        ("a=ptime:60\na=maxptime:40\n", 40, 40),
        ("a=ptime:10\na=maxptime:20\n", 10, 20),
        ("a=maxptime:\n", 20, 60),
        ("a=maxptime\n", 20, 60),
        ("a=maxptime:0\n", 20, 60),
        ("a=maxptime:-20\n", 20, 60),
        ("a=maxptime:20.5\n", 20, 60),
        ("a=maxptime:2e1\n", 20, 60),
        ("a=maxptime:\u0662\u0660\n", 20, 60),
        ("a=maxptime:99999999999999999999\n", 20, 60),
    ],
)
def test_the_longest_packet(lines: str, ptime: int, max_ptime: int) -> None:
    agreed = agree(audio=AUDIO + lines)
    assert (agreed.ptime, agreed.max_ptime) == (ptime, max_ptime)


@pytest.mark.parametrize(("value", "expected"), [("20", 20), ("40", 40), ("0", 10), ("-1", 60), ("x", 60)])
def test_the_longest_packet_among_the_format_parameters(value: str, expected: int) -> None:
    assert agree(f"maxptime={value}").max_ptime == expected
    assert agree(f"maxptime={value}", audio=AUDIO + "a=maxptime:20\n").max_ptime == 20


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        (None, 500),
        (Capabilities(), 0),
        (Capabilities(dred_version=DRED_VERSION, dred_ms=1000), 1000),
        (Capabilities(dred_version=DRED_VERSION + 1, dred_ms=1000), 0),
    ],
)
def test_capabilities_beat_format_parameters(peer: Capabilities | None, expected: int) -> None:
    assert agree("ext32-dred-duration=500", peer=peer).peer_dred_ms == expected


def test_dred_is_used_though_a_server_dropped_the_parameters() -> None:
    peer = Capabilities(dred_version=DRED_VERSION, dred_ms=1000, inband_fec=True, loss_reports=True)
    agreed = agree("useinbandfec=1", peer=peer)
    assert agreed.peer_dred_ms == 1000
    assert agreed.peer_loss_reports


@pytest.mark.parametrize(
    ("replace", "by", "red_pt"),
    [
        ("a=fmtp:63 111/111\n", "a=fmtp:63 111/111/111\n", 63),
        ("a=fmtp:63 111/111\n", "", 63),
        ("a=fmtp:63 111/111\n", "a=fmtp:63 0/0\n", None),
        ("a=rtpmap:63 red/48000/2\n", "a=rtpmap:63 red/8000\n", None),
        ("a=rtpmap:63 red/48000/2\n", "", None),
    ],
)
def test_red_must_carry_our_opus(replace: str, by: str, red_pt: int | None) -> None:
    assert agree(audio=AUDIO.replace(replace, by)).red_pt == red_pt


def test_what_we_do_not_want_is_not_agreed() -> None:
    agreed = agree(local=LocalAudio(red=False, telephone_event=False))
    assert agreed.red_pt is None
    assert agreed.event_pt is None
    assert agreed.receive_payload_types == {111: "opus"}


@pytest.mark.parametrize(
    ("theirs", "ours", "expected"),
    [
        ("sendrecv", "sendrecv", "sendrecv"),
        ("sendonly", "sendrecv", "recvonly"),
        ("recvonly", "sendrecv", "sendonly"),
        ("inactive", "sendrecv", "inactive"),
        ("sendonly", "sendonly", "inactive"),
    ],
)
def test_direction(theirs: str, ours: str, expected: str) -> None:
    agreed = agree(audio=AUDIO.replace("a=sendrecv", f"a={theirs}"), local=LocalAudio(direction=ours))
    assert agreed.direction == expected
    assert agreed.sends is (expected in ("sendonly", "sendrecv"))
    assert agreed.receives is (expected in ("recvonly", "sendrecv"))


def test_our_offer_says_everything() -> None:
    text = write_offer(LocalAudio(), IDENTITY, TRANSPORT, mid="0")
    (section,) = parse_session(text).media
    assert section.formats == ("111", "63", "110")
    (opus, red, event) = section.values("fmtp")
    assert opus == (
        "111 minptime=10;useinbandfec=1;stereo=0;sprop-stereo=0;maxaveragebitrate=128000;usedtx=0;"
        "ext32-dred-duration=1000;sprop-ext32-dred-duration=1000"
    )
    assert red == "63 111/111"
    assert event == "110 0-15"
    assert "110 telephone-event/48000" in section.values("rtpmap")
    assert section.value("ptime") == "20"
    # The other side understands us as we understand it.
    agreed = negotiate(LocalAudio(), parse_remote_description(text, "offer"))
    assert (agreed.opus_pt, agreed.red_pt, agreed.event_pt) == (111, 63, 110)
    assert agreed.peer_dred_ms == agreed.peer_sends_dred_ms == 1000
    assert agreed.max_average_bitrate == 128_000


def test_without_dred_nothing_is_said_about_it() -> None:
    assert "dred" not in write_offer(LocalAudio(dred_ms=0), IDENTITY, TRANSPORT, mid="0")


def test_red_can_be_preferred() -> None:
    text = write_offer(LocalAudio(prefer_red=True), IDENTITY, TRANSPORT, mid="0")
    assert parse_session(text).media[0].formats == ("63", "111", "110")
    assert negotiate(LocalAudio(), parse_remote_description(text, "offer")).red_preferred


def test_the_answer_mirrors_payload_types_and_extensions() -> None:
    audio = AUDIO.replace("111", "100").replace(" 63", " 101").replace(":63", ":101")
    (section,) = answer(browser_offer(audio=audio)).media
    assert section.formats == ("100", "101", "110")
    assert list(section.values("extmap")) == [
        "1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
        "2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
        "4 urn:ietf:params:rtp-hdrext:sdes:mid",
    ]
    assert section.value("setup") == "active"


def test_unwanted_sections_are_answered_in_place() -> None:
    text = answer(session(REJECTED_VIDEO, AUDIO, VIDEO, DATA, bundle="0 1 2"))
    rejected, audio, video, data = text.media
    assert (rejected.kind, rejected.port) == ("video", 0)
    assert (audio.kind, audio.port, audio.direction) == ("audio", 9, "sendrecv")
    assert (video.kind, video.port, video.direction) == ("video", 9, "inactive")
    assert video.value("ice-ufrag") == audio.value("ice-ufrag")
    assert video.formats == ("96",)
    assert (data.kind, data.port) == ("application", 0)
    assert text.session.value("group") == "BUNDLE 0 1"


def test_video_with_a_transport_of_its_own_is_rejected() -> None:
    text = answer(session(AUDIO, VIDEO, bundle=""))
    assert text.media[1].port == 0
    assert text.session.value("group") is None


def test_a_second_audio_section_is_rejected() -> None:
    text = answer(session(AUDIO, AUDIO.replace("a=mid:0", "a=mid:1"), bundle="0 1"))
    assert [section.port for section in text.media] == [9, 0]


def test_a_peer_without_tags_gets_none() -> None:
    (section,) = answer(session(AUDIO.replace("a=mid:0\n", ""), bundle="")).media
    assert section.value("mid") is None
