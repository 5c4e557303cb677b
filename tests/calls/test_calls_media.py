"""The media of a call: what was agreed and measured reaches the sending side."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest
from live_calls import LOOPBACK

from softphone.audio.null import VirtualSink, VirtualSource
from softphone.media import MediaConfig, MediaSession
from softphone.sending import NetworkReport, SendingConfig
from softphone.webrtc import IceConfig, LocalAudio, NegotiatedAudio, Peer, PeerConfig
from softphone.webrtc.negotiation import negotiate
from softphone.webrtc.remote_description import parse_remote_description
from tests.support.webrtc_calls import connect
from tests.support.webrtc_sdp import AUDIO, browser_offer


def negotiated(lines: str) -> NegotiatedAudio:
    """What we agree on with a browser whose audio section ends with `lines`."""
    text = browser_offer(audio=AUDIO + lines)
    return negotiate(LocalAudio(), parse_remote_description(text, "offer"))


@pytest.mark.parametrize(
    ("lines", "wishes", "frame_ms", "max_frame_ms"),
    [
        ("", SendingConfig(), 20, 60),
        ("a=maxptime:20\n", SendingConfig(), 20, 20),
        ("a=maxptime:40\n", SendingConfig(), 20, 40),
        ("a=maxptime:3\n", SendingConfig(), 10, 10),
        ("a=maxptime:1000\n", SendingConfig(), 20, 60),
        ("a=maxptime:60\n", SendingConfig(max_frame_ms=20), 20, 20),
        ("a=maxptime:20\n", SendingConfig(frame_ms=60), 20, 20),
        ("a=ptime:40\n", SendingConfig(), 40, 60),
        ("a=ptime:60\na=maxptime:40\n", SendingConfig(), 40, 40),
        ("a=maxptime:nonsense\n", SendingConfig(), 20, 60),
    ],
)
def test_no_packet_is_longer_than_the_peer_takes(
    lines: str, wishes: SendingConfig, frame_ms: int, max_frame_ms: int
) -> None:
    agreed = MediaConfig(wishes).agreed(negotiated(lines)).sending
    assert (agreed.frame_ms, agreed.max_frame_ms) == (frame_ms, max_frame_ms)


@pytest.fixture
async def pair() -> AsyncIterator[tuple[Peer, Peer]]:
    peers = [Peer(PeerConfig(ice=IceConfig(addresses=(LOOPBACK,)))) for _ in range(2)]
    await connect(*peers)
    yield peers[0], peers[1]
    await asyncio.gather(*(peer.close() for peer in peers))


@pytest.mark.parametrize(("round_trip", "backs_off"), [(0.002, False), (0.4, True)])
async def test_a_queue_that_was_there_before_the_first_report_is_noticed(
    pair: tuple[Peer, Peer], round_trip: float, backs_off: bool
) -> None:
    # Reports of a browser: only the round trip that ICE measured before tells that 0.4 s is long.
    media = MediaSession(pair[0], VirtualSource(np.zeros(0, np.float32)), VirtualSink())
    await media.start()
    try:
        assert pair[0].sender.on_report is not None
        for second in range(2):
            pair[0].sender.on_report(
                NetworkReport(at=float(second), fraction_lost=0.1, round_trip=round_trip)
            )
        media.pipeline.push(np.zeros(960, np.float32), 1.0)
        assert (media.pipeline.statistics.backoffs > 0) is backs_off
    finally:
        await media.stop()
