import pytest
from aioice import Candidate
from hypothesis import given, settings
from hypothesis import strategies as st

from softphone.errors import RemoteProtocolError
from softphone.webrtc.negotiation import LocalAudio, negotiate
from softphone.webrtc.remote_description import clean_candidate, parse_remote_description
from tests.support.webrtc_sdp import AUDIO, DATA, REJECTED_VIDEO, TRANSPORT, VIDEO, browser_offer, session


def test_a_browsers_offer() -> None:
    remote = parse_remote_description(browser_offer(), "offer")
    assert [c.payload_type for c in remote.audio.codecs] == [111, 63, 9, 0, 8, 13, 110, 126]
    assert remote.audio.mid == "0"
    assert remote.audio.ssrcs == (1234567,)
    assert remote.audio.extensions["urn:ietf:params:rtp-hdrext:ssrc-audio-level"] == 1
    assert remote.transport.candidates == ("1 1 udp 2113937151 127.0.0.1 50000 typ host",)
    assert not remote.transport.candidates_complete
    assert remote.transport.setup == "actpass"


@pytest.mark.parametrize(
    "text",
    [
        browser_offer(),
        session(REJECTED_VIDEO, AUDIO),
        session(AUDIO, VIDEO, DATA, bundle="0 1 2"),
        session(VIDEO, AUDIO, bundle="1 0"),
        browser_offer(audio=AUDIO.replace("a=mid:0\n", "")),
        session(AUDIO, AUDIO.replace("a=mid:0", "a=mid:1")),
        browser_offer().replace("\r\n", "\n"),
        browser_offer(audio=AUDIO.replace("a=sendrecv\n", "")),
        browser_offer(audio=AUDIO + "a=ssrc:99999999999 cname:x\na=extmap:99 urn:x\na=rtpmap:x y\na=fmtp:\n"),
    ],
)
def test_usable_offers(text: str) -> None:
    remote = parse_remote_description(text, "offer")
    assert remote.transport.ice_ufrag == "abcd"
    assert len(remote.transport.fingerprints) == 1
    assert any(codec.name == "opus" for codec in remote.audio.codecs)


def test_transport_may_stand_at_the_session_level() -> None:
    bare = AUDIO.replace(TRANSPORT, "")
    text = browser_offer(audio=bare).replace("t=0 0\r\n", "t=0 0\r\n" + TRANSPORT.replace("\n", "\r\n"))
    assert parse_remote_description(text, "offer").transport.ice_ufrag == "abcd"


def test_a_bundled_section_may_leave_its_transport_to_the_first() -> None:
    bare = AUDIO.replace(TRANSPORT, "").replace("m=audio 9", "m=audio 0") + "a=bundle-only\n"
    remote = parse_remote_description(session(VIDEO, bare, bundle="1 0"), "offer")
    assert remote.transport.ice_ufrag == "abcd"
    assert remote.audio.index == 1


HOSTILE = {
    "empty": "",
    "not SDP": "hello",
    "no media": session(),
    "only video": session(VIDEO, bundle="1"),
    "audio rejected": browser_offer().replace("m=audio 9", "m=audio 0"),
    "no Opus": browser_offer().replace("opus/48000/2", "speex/16000"),
    "Opus at another clock": browser_offer().replace("opus/48000/2", "opus/16000/2"),
    "plain RTP": browser_offer().replace("UDP/TLS/RTP/SAVPF", "RTP/AVP"),
    "no RTCP multiplexing": browser_offer().replace("a=rtcp-mux\r\n", ""),
    "no ICE": browser_offer().replace("a=ice-ufrag:abcd\r\n", ""),
    "ICE password too short": browser_offer().replace("aaaabbbbccccddddeeeeff", "short"),
    "ICE user with a colon": browser_offer().replace("abcd", "ab:cd"),
    "no fingerprint": browser_offer().replace("a=fingerprint:sha-256", "a=fingerprint:sha-1"),
    "fingerprint cut short": browser_offer().replace(":AB:AB\r\n", "\r\n"),
    "fingerprint not hexadecimal": browser_offer().replace("AB:AB", "XY:AB"),
    "impossible DTLS role": browser_offer().replace("a=setup:actpass", "a=setup:holdconn"),
    "NUL": browser_offer().replace("s=-", "s=\x00"),
    "too long": browser_offer() + "a=x\r\n" * 20_000,
    "too many lines": browser_offer() + "a=\r\n" * 2_500,
    "endless line": browser_offer() + "a=" + "x" * 5_000 + "\r\n",
    "too many sections": session(*[AUDIO] * 17),
    "media line cut short": browser_offer().replace("m=audio 9 UDP/TLS/RTP/SAVPF", "m=audio"),
    "port beyond range": browser_offer().replace("m=audio 9", "m=audio 99999"),
    "payload type of RTCP": browser_offer().replace("111", "72"),
    "mid with a space": browser_offer().replace("a=mid:0", "a=mid:0 0"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_offers_are_refused(name: str) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_remote_description(HOSTILE[name], "offer")


def test_an_answer_must_choose_its_dtls_role() -> None:
    with pytest.raises(RemoteProtocolError):
        parse_remote_description(browser_offer(), "answer")
    text = browser_offer().replace("a=setup:actpass", "a=setup:passive")
    assert parse_remote_description(text, "answer").transport.setup == "passive"


def test_something_that_is_not_text_is_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        parse_remote_description(None, "offer")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("candidate", "usable"),
    [
        ("1 1 udp 2113937151 192.0.2.7 50000 typ host", True),
        ("1 1 UDP 2113937151 192.0.2.7 50000 typ srflx raddr 10.0.0.1 rport 5", True),
        ("a/b+c 1 udp 1 2001:db8::1 1 typ relay", True),
        ("1 1 udp 1 0a1b2c3d-0000-4000-8000-000000000000.local 50000 typ host", True),
        ("1 1 udp 1 192.0.2.7 50000 typ prflx", True),
        ("1 1 tcp 1 192.0.2.7 9 typ host tcptype active", False),
        ("1 2 udp 1 192.0.2.7 50000 typ host", False),
        ("1 1 udp 1 192.0.2.7 0 typ host", False),
        ("1 1 udp 1 192.0.2.7 65536 typ host", False),
        ("1 1 udp 1 host.example.com 50000 typ host", False),
        ("1 1 udp 1 224.0.0.251 5353 typ host", False),
        ("1 1 udp 1 0.0.0.0 5353 typ host", False),
        ("1 1 udp 1 255.255.255.255 5353 typ host", False),
        ("1 1 udp 1 fe80::1%eth0 5353 typ host", False),
        ("1 1 udp -1 192.0.2.7 50000 typ host", False),
        ("1 1 udp 1 192.0.2.7 50000 typ wormhole", False),
        ("1 1 udp 1 192.0.2.7 50000", False),
        ("", False),
    ],
)
def test_candidates(candidate: str, usable: bool) -> None:
    assert (clean_candidate(candidate) is not None) is usable


def test_a_flood_of_candidates_is_cut() -> None:
    line = "a=candidate:{} 1 udp 1 192.0.2.7 {} typ host\n"
    names = "a=candidate:{} 1 udp 1 host{}.local 5 typ host\n"
    flood = "".join(names.format(k, k) for k in range(50)) + "".join(line.format(k, k + 1) for k in range(99))
    transport = parse_remote_description(browser_offer(audio=AUDIO + flood), "offer").transport
    assert len(transport.candidates) == 32
    assert sum(".local" in candidate for candidate in transport.candidates) == 4


def mutate(text: str, cuts: list[tuple[int, int, str]]) -> str:
    for start, length, insert in cuts:
        position = start % (len(text) + 1)
        text = text[:position] + insert + text[position + length :]
    return text


mutations = st.lists(
    st.tuples(
        st.integers(0, 100_000),
        st.integers(0, 40),
        st.sampled_from(
            ["", " ", "\r\n", "a=", "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n", ":", "/", "=", ";", "0", "٣"]
        )
        | st.text(max_size=8),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=1500, deadline=None)
@given(
    base=st.sampled_from([browser_offer(), session(AUDIO, VIDEO, DATA, REJECTED_VIDEO, bundle="0 1 2")]),
    cuts=mutations,
)
def test_mutated_descriptions_are_used_or_refused(base: str, cuts: list[tuple[int, int, str]]) -> None:
    try:
        remote = parse_remote_description(mutate(base, cuts), "offer")
    except RemoteProtocolError:
        return
    agreed = negotiate(LocalAudio(), remote)
    assert agreed.opus_pt in agreed.receive_payload_types
    # And aioice, who gets the cleaned candidates, finds nothing to trip over.
    for candidate in remote.transport.candidates:
        assert Candidate.from_sdp(candidate).component == 1
    assert remote.transport.ice_pwd
    assert remote.transport.fingerprints
