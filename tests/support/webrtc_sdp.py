"""Session descriptions of others, as seen on the wire, written anew for the tests."""

FINGERPRINT = ":".join(["AB"] * 32)

TRANSPORT = f"""\
a=ice-ufrag:abcd
a=ice-pwd:aaaabbbbccccddddeeeeff
a=fingerprint:sha-256 {FINGERPRINT}
a=setup:actpass
"""

AUDIO = f"""\
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=candidate:1 1 udp 2113937151 127.0.0.1 50000 typ host generation 0 network-cost 999
{TRANSPORT}a=ice-options:trickle
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level vad=on
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=sendrecv
a=msid:- track
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
a=rtpmap:126 telephone-event/8000
a=ssrc:1234567 cname:someone
a=ssrc:1234567 msid:- track
"""

VIDEO = f"""\
m=video 9 UDP/TLS/RTP/SAVPF 96 97
c=IN IP4 0.0.0.0
{TRANSPORT}a=mid:1
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=sendrecv
a=rtcp-mux
a=rtpmap:96 VP8/90000
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
"""

DATA = f"""\
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
{TRANSPORT}a=mid:2
a=sctp-port:5000
"""

REJECTED_VIDEO = """\
m=video 0 UDP/TLS/RTP/SAVPF 120
c=IN IP4 0.0.0.0
a=inactive
"""


def session(*sections: str, bundle: str = "0") -> str:
    """Put sections under a session header, with the line ends of the wire."""
    head = "v=0\no=- 4611 2 IN IP4 127.0.0.1\ns=-\nt=0 0\n"
    if bundle:
        head += f"a=group:BUNDLE {bundle}\n"
    return (head + "a=msid-semantic: WMS\n" + "".join(sections)).replace("\n", "\r\n")


def browser_offer(*, audio: str = AUDIO) -> str:
    """What a browser offers for an audio call."""
    return session(audio)
