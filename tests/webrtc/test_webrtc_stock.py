"""Calls with stock aiortc, which knows neither DRED nor RED and encodes stereo at 96 kbit/s."""

import asyncio
import fractions
from collections.abc import AsyncIterator, Callable

import aioice.ice
import numpy as np
import pytest
from aiortc import (
    AudioStreamTrack,
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from av import AudioFrame

from softphone.opus import Decoder, Encoder
from softphone.rtp import RtpPacket, RtpPayload
from softphone.webrtc import Peer
from tests.support.webrtc_calls import until

MakePeer = Callable[..., Peer]
TONE = 440.0


def tone(samples: int, start: int) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * TONE * (start + np.arange(samples)) / 48_000).astype(np.float32)


def pitch(pcm: np.ndarray) -> float:
    """Strongest frequency in Hz."""
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(pcm.size)))
    return float(np.argmax(spectrum) * 48_000 / pcm.size)


class ToneTrack(AudioStreamTrack):
    """A stock audio track with a tone."""

    position = 0

    async def recv(self) -> AudioFrame:
        await super().recv()  # paces
        pcm = (tone(960, self.position) * 32767).astype(np.int16)
        frame = AudioFrame.from_ndarray(pcm.reshape(1, -1), layout="mono")
        frame.sample_rate, frame.pts = 48_000, self.position
        frame.time_base = fractions.Fraction(1, 48_000)
        self.position += 960
        return frame


@pytest.fixture
async def stock(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RTCPeerConnection]:
    """Stock aiortc on 127.0.0.1 only, which it would leave out by itself."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTrack(ToneTrack())
    yield connection
    await connection.close()


async def talk(peer: Peer, seconds: float) -> None:
    """Send a tone as a softphone would: mono Opus with DRED and LBRR in it."""
    assert peer.negotiated is not None
    encoder = Encoder()
    encoder.bitrate, encoder.packet_loss_perc, encoder.inband_fec = 48_000, 20, True
    encoder.dred_duration_ms = 500
    for k in range(round(seconds * 50)):
        packet = encoder.encode(tone(960, 960 * k))
        peer.sender.send(RtpPayload(peer.negotiated.opus_pt, 960 * k, packet, audio_level=13))
        await asyncio.sleep(0.02)


async def listen(track: MediaStreamTrack, heard: list[np.ndarray]) -> None:
    """Keep the left channel of what stock aiortc plays."""
    while True:
        frame = await track.recv()
        heard.append(frame.to_ndarray().reshape(-1)[::2].astype(np.float32) / 32768)


async def check_audio_both_ways(peer: Peer, stock: RTCPeerConnection, tracks: list[MediaStreamTrack]) -> None:
    packets: list[RtpPacket] = []
    peer.receiver.on_packet = lambda packet, arrival: packets.append(packet)
    heard: list[np.ndarray] = []
    await peer.wait_connected(10)
    await until(lambda: peer.sender.started and bool(tracks))
    listener = asyncio.create_task(listen(tracks[0], heard))
    await talk(peer, 1.5)
    await until(lambda: len(packets) > 50 and len(heard) > 50)
    listener.cancel()

    decoder = Decoder()
    ours = np.concatenate([decoder.decode(packet.payload) for packet in packets])
    theirs = np.concatenate(heard)
    for pcm in (ours[-24_000:], theirs[-24_000:]):
        assert pitch(pcm) == pytest.approx(TONE, abs=4)
        assert np.sqrt(np.mean(pcm**2)) > 0.1


async def test_stock_answers(make_peer: MakePeer, stock: RTCPeerConnection) -> None:
    tracks: list[MediaStreamTrack] = []
    stock.on("track", tracks.append)
    peer = make_peer()
    await stock.setRemoteDescription(RTCSessionDescription(await peer.create_offer(), "offer"))
    await stock.setLocalDescription(await stock.createAnswer())
    agreed = await peer.accept_answer(stock.localDescription.sdp)
    assert (agreed.opus_pt, agreed.red_pt, agreed.peer_dred_ms, agreed.peer_fec) == (111, None, 0, False)
    await check_audio_both_ways(peer, stock, tracks)
    # Its receiver reports reach us.
    await until(lambda: peer.sender.remote_inbound is not None)


async def test_stock_offers(make_peer: MakePeer, stock: RTCPeerConnection) -> None:
    tracks: list[MediaStreamTrack] = []
    stock.on("track", tracks.append)
    peer = make_peer()
    await stock.setLocalDescription(await stock.createOffer())
    answer = await peer.accept_offer(stock.localDescription.sdp)
    assert peer.negotiated is not None
    assert peer.negotiated.opus_pt == 96
    assert peer.negotiated.red_pt is None
    await stock.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    await check_audio_both_ways(peer, stock, tracks)
    await peer.close()
    await until(lambda: stock.connectionState == "closed")


async def test_stock_offers_video_too(make_peer: MakePeer, stock: RTCPeerConnection) -> None:
    tracks: list[MediaStreamTrack] = []
    stock.on("track", tracks.append)
    stock.addTransceiver("video")
    stock.createDataChannel("chat")
    peer = make_peer()
    await stock.setLocalDescription(await stock.createOffer())
    answer = await peer.accept_offer(stock.localDescription.sdp)
    assert "a=inactive" in answer
    assert answer.count("m=") == 3
