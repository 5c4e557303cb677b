"""The whole sending side, decoded again with the real decoder."""

import math
from itertools import pairwise

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from softphone.errors import ConfigError
from softphone.opus import Decoder, DredState, Encoder, capabilities, packet_samples
from softphone.rtp.packet import RtpPayload
from softphone.rtp.red import unpack_red
from softphone.sending import Means, NetworkReport, RedundancyPlan, SendingConfig, SendingPipeline
from softphone.sending.control import EncoderControl
from softphone.sending.inspection import dred_bytes
from softphone.sending.level import audio_level
from tests.support.stream import speech

needs_dred = pytest.mark.skipif(not capabilities().dred, reason="libopus without DRED")

Pcm = NDArray[np.float32]


def push_all(pipeline: SendingPipeline, audio: Pcm, begin: float = 0.0, block: int = 960) -> list[RtpPayload]:
    sent: list[RtpPayload] = []
    for index in range(0, audio.size - block + 1, block):
        sent += pipeline.push(audio[index : index + block], begin + index / 48_000)
    return sent


def snr_db(reference: Pcm, decoded: Pcm, lag: int) -> float:
    """Signal-to-noise ratio of what was decoded, `lag` samples later than what was sent."""
    count = min(reference.size, decoded.size - lag)
    noise = decoded[lag : lag + count] - reference[:count]
    return float(10 * np.log10(np.mean(reference[:count] ** 2) / np.mean(noise**2)))


@pytest.mark.parametrize("frame_ms", [10, 20, 40, 60])
def test_round_trip(voice: Pcm, frame_ms: int) -> None:
    pipeline = SendingPipeline(SendingConfig(bitrate=64_000, frame_ms=frame_ms, mode="none"))
    sent = push_all(pipeline, voice)
    samples = frame_ms * 48
    assert [payload.timestamp for payload in sent] == [i * samples for i in range(len(sent))]
    assert [payload.marker for payload in sent] == [True] + [False] * (len(sent) - 1)
    assert {packet_samples(payload.payload) for payload in sent} == {samples}
    decoder = Decoder()
    decoded = np.concatenate([decoder.decode(payload.payload) for payload in sent])
    assert voice.size - samples < decoded.size <= voice.size
    assert snr_db(voice, decoded, Encoder().lookahead) > 5


def test_rounding_to_16_bits_is_not_sent_as_sound() -> None:
    wideband = soxr.resample(soxr.resample(speech()[: 10 * 48_000], 48_000, 16_000), 16_000, 48_000)
    rounded = np.round(wideband * 32_767).astype(np.int16)
    pipeline = SendingPipeline(SendingConfig(bitrate=24_000, mode="none"))
    encoder = Encoder()
    encoder.bitrate, encoder.complexity, encoder.constrained_vbr = 24_000, 9, True
    sent = push_all(pipeline, rounded.astype(np.float32) / 32_768)
    for index, payload in enumerate(sent):
        assert payload.payload == encoder.encode(rounded[960 * index : 960 * (index + 1)])


def test_frame_length_can_change_during_a_call(voice: Pcm) -> None:
    config = SendingConfig(mode="none")
    pipeline = SendingPipeline(config)
    sent: list[RtpPayload] = []
    lengths = [20, 60, 10, 40, 20]
    for index in range(100):
        pipeline.reconfigure(SendingConfig(mode="none", frame_ms=lengths[index // 20]))
        sent += pipeline.push(voice[index * 960 : (index + 1) * 960], index * 0.02)
    expected = 0
    for payload in sent:
        assert payload.timestamp == expected
        expected += packet_samples(payload.payload)
    assert {packet_samples(payload.payload) // 48 for payload in sent} == set(lengths)
    assert expected == 100 * 960
    assert pipeline.statistics.seconds == pytest.approx(2.0)


def test_blocks_of_any_size_give_the_same_packets(voice: Pcm) -> None:
    whole = push_all(SendingPipeline(SendingConfig()), voice)
    pieces = push_all(SendingPipeline(SendingConfig()), voice, block=480)
    assert [payload.payload for payload in pieces] == [payload.payload for payload in whole]


@pytest.mark.parametrize("shape", [(0,), (959,), (960, 1)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError):
        SendingPipeline(SendingConfig()).push(np.zeros(shape, np.float32), 0.0)


def test_pushed_audio_may_be_overwritten_afterwards(voice: Pcm) -> None:
    config = SendingConfig(frame_ms=60, mode="none")
    block = np.empty(960, np.float32)
    pipeline = SendingPipeline(config)
    sent: list[RtpPayload] = []
    for index in range(30):
        block[:] = voice[index * 960 : (index + 1) * 960]
        sent += pipeline.push(block, index * 0.02)
    assert sent == push_all(SendingPipeline(config), voice[: 30 * 960])


def test_mute_sends_silence_and_keeps_time(voice: Pcm) -> None:
    pipeline = SendingPipeline(SendingConfig(mode="none"))
    sent = push_all(pipeline, voice[:48_000])
    pipeline.muted = True
    sent += push_all(pipeline, voice[48_000:96_000], 1.0)
    pipeline.muted = False
    sent += push_all(pipeline, voice[96_000:144_000], 2.0)
    assert [payload.timestamp for payload in sent] == [i * 960 for i in range(150)]
    decoder = Decoder()
    decoded = np.concatenate([decoder.decode(payload.payload) for payload in sent])
    speech, silence = decoded[:48_000], decoded[52_000:96_000]
    assert np.sqrt(np.mean(silence**2)) < 1e-3 * np.sqrt(np.mean(speech**2))
    assert np.sqrt(np.mean(decoded[100_000:] ** 2)) > 0.3 * np.sqrt(np.mean(speech**2))
    assert {payload.audio_level for payload in sent[51:100]} == {127}
    assert pipeline.statistics.muted_frames == 50


def test_mute_begins_and_ends_without_a_click() -> None:
    tone = (0.5 * np.sin(2 * np.pi * 213 * np.arange(48_000) / 48_000)).astype(np.float32)
    heard: list[Pcm] = []

    class Listening(Encoder):
        def encode(self, pcm: Pcm) -> bytes:  # type: ignore[override]
            heard.append(pcm.copy())
            return super().encode(pcm)

    pipeline = SendingPipeline(SendingConfig(mode="none"), encoder=Listening())
    for index in range(20):
        pipeline.muted = 5 <= index < 10
        pipeline.push(tone[index * 960 : (index + 1) * 960], index * 0.02)
    encoded = np.concatenate(heard)
    assert np.max(np.abs(np.diff(encoded))) < 1.2 * np.max(np.abs(np.diff(tone)))
    assert not encoded[6 * 960 : 10 * 960].any()


def test_dtx_sends_little_in_silence_and_marks_the_next_word(voice: Pcm) -> None:
    pause = 1e-5 * np.random.default_rng(3).standard_normal(96_000)
    audio = np.concatenate([voice[:48_000], pause, voice[48_000:96_000]]).astype(np.float32)
    pipeline = SendingPipeline(SendingConfig(dtx=True))
    sent = push_all(pipeline, audio)
    in_pause = [payload for payload in sent if 72_000 <= payload.timestamp < 144_000]
    assert len(in_pause) < 20
    statistics = pipeline.statistics
    assert (
        statistics.packets_suppressed
        == 200 - len(sent)
        == statistics.frames_encoded - statistics.packets_sent
    )
    for before, after in pairwise(sent):
        assert after.marker is (after.timestamp - before.timestamp > 960)
    # Each stretch of silence is announced once, and then nothing is sent.
    announced = [len(payload.payload) <= 2 for payload in sent]
    assert any(announced)
    assert not any(before and after for before, after in pairwise(announced))
    # Without DTX nothing is left out.
    assert len(push_all(SendingPipeline(SendingConfig()), audio)) == 200


def test_lost_capture_moves_the_timestamp(voice: Pcm) -> None:
    pipeline = SendingPipeline(SendingConfig(mode="none"))
    sent = push_all(pipeline, voice[:48_000])
    sent += push_all(pipeline, voice[48_000:96_000], begin=3.0)
    assert sent[49].timestamp == 49 * 960
    assert (sent[50].timestamp, sent[50].marker) == (3 * 48_000, True)
    assert pipeline.statistics.gaps == 1


def test_jittery_time_stamps_move_nothing(voice: Pcm) -> None:
    rng = np.random.default_rng(5)
    pipeline = SendingPipeline(SendingConfig(mode="none"))
    sent: list[RtpPayload] = []
    for index in range(100):
        sent += pipeline.push(
            voice[index * 960 : (index + 1) * 960], index * 0.02 + float(rng.uniform(-0.1, 0.2))
        )
    assert [payload.timestamp for payload in sent] == [i * 960 for i in range(100)]


@needs_dred
def test_reports_steer_the_encoder(voice: Pcm) -> None:
    pipeline = SendingPipeline(SendingConfig(bitrate=48_000))
    state = DredState()
    reach: dict[float, int] = {}
    audio = np.tile(voice, 8)
    for index in range(audio.size // 960):
        now = index * 0.02
        if index % 50 == 0 and index:
            lossy = now >= 12
            pipeline.on_report(NetworkReport(now, 0.1 if lossy else 0.0, 4.0 if lossy else None))
        for payload in pipeline.push(audio[index * 960 : (index + 1) * 960], now):
            red = payload.payload_type == 63
            packet = unpack_red(payload.payload)[-1].payload if red else payload.payload
            reach[now] = state.parse(packet, 48_000)
    assert [record.plan.means for record in pipeline.plan_history] == [
        Means.LBRR | Means.DRED,
        Means.NONE,
        Means.DRED | Means.RED,
    ]
    assert min(reach[now] for now in reach if 2 < now < 6) > 0
    assert max(reach[now] for now in reach if 9 < now < 12) == 0
    assert min(reach[now] for now in reach if 13 < now < 24) > 0
    assert pipeline.plan is not None
    assert pipeline.plan.means == Means.DRED | Means.RED


@needs_dred
def test_after_a_burst_each_packet_brings_a_copy_of_a_lost_one(voice: Pcm) -> None:
    pipeline = SendingPipeline(SendingConfig(bitrate=48_000))
    for second in range(1, 6):
        pipeline.on_report(NetworkReport(float(second), 0.2, 3.0))
    sent = push_all(pipeline, np.tile(voice, 2), begin=5.0)
    assert pipeline.plan is not None
    assert pipeline.plan.red_distance == 4
    whole = {payload.timestamp: payload for payload in sent}
    burst = [sent[100 + k].timestamp for k in range(4)]
    for timestamp in burst:
        copy, primary = unpack_red(whole[timestamp + 4 * 960].payload)
        assert copy.timestamp_offset == 4 * 960
        lost = unpack_red(whole[timestamp].payload)[-1].payload
        assert len(copy.payload) == len(lost) - dred_bytes(lost) < len(primary.payload)
        # The same speech: only what DRED takes is missing.
        np.testing.assert_array_equal(Decoder().decode(copy.payload), Decoder().decode(lost))
    statistics = pipeline.statistics
    assert 0.8 * 48_000 < statistics.total_bps < 1.02 * 48_000
    assert statistics.media_bytes + statistics.redundancy_bytes == statistics.payload_bytes


@needs_dred
@pytest.mark.parametrize("mode", ["none", "lbrr", "dred", "both"])
@pytest.mark.parametrize("bitrate", [16_000, 24_000, 32_000, 48_000, 64_000])
def test_the_rate_stays_on_target(voice: Pcm, mode: str, bitrate: int) -> None:
    pipeline = SendingPipeline(SendingConfig(bitrate=bitrate, mode=mode))
    push_all(pipeline, np.tile(voice, 2))
    statistics = pipeline.statistics
    assert 0.75 * bitrate < statistics.total_bps < 1.07 * bitrate
    assert 0 < statistics.media_bps <= statistics.total_bps
    if mode == "none":
        assert statistics.media_bps == statistics.total_bps
    if mode == "dred" and bitrate >= 24_000:
        assert pipeline.plan is not None
        assert 8 * statistics.dred_bytes / statistics.seconds == pytest.approx(
            pipeline.plan.dred.dred_bps, rel=0.35
        )


def test_red_round_trip(voice: Pcm) -> None:
    config = SendingConfig(bitrate=64_000, peer_dred_ms=0, peer_red=True)
    pipeline = SendingPipeline(config)
    for second in range(1, 4):
        pipeline.on_report(NetworkReport(float(second), 0.2, 4.0))
    sent = push_all(pipeline, voice, begin=3.0)
    red = [payload for payload in sent if payload.payload_type == 63]
    assert len(red) > 100
    primaries = {p.timestamp: unpack_red(p.payload)[-1].payload for p in red}
    for payload in red:
        for block in unpack_red(payload.payload)[:-1]:
            original = primaries.get(payload.timestamp - block.timestamp_offset)
            assert original is None or original == block.payload
    # With two copies, one packet in three that comes through has it all.
    decoder = Decoder()
    have: dict[int, bytes] = {}
    for payload in red[2::3]:
        for block in unpack_red(payload.payload):
            have[payload.timestamp - block.timestamp_offset] = block.payload
    times = sorted(have)
    assert times == list(range(times[0], times[-1] + 960, 960))
    decoded = np.concatenate([decoder.decode(have[time]) for time in times])
    assert snr_db(voice[times[0] :], decoded, Encoder().lookahead) > 5
    statistics = pipeline.statistics
    assert statistics.red_bytes > 0
    assert statistics.total_bps < 1.07 * 64_000
    assert statistics.media_bytes + statistics.redundancy_bytes == statistics.payload_bytes


def test_audio_level_is_sent(voice: Pcm) -> None:
    pipeline = SendingPipeline(SendingConfig())
    (loud,) = pipeline.push(np.full(960, 1.0, np.float32), 0.0)
    (quiet,) = pipeline.push(np.full(960, 0.01, np.float32), 0.02)
    (silent,) = pipeline.push(np.zeros(960, np.float32), 0.04)
    assert (loud.audio_level, quiet.audio_level, silent.audio_level) == (0, 40, 127)


@pytest.mark.parametrize(
    ("pcm", "level"),
    [
        (np.sin(np.arange(4800) * 2 * math.pi / 48), 3),
        (np.full(480, 1e-7), 127),
        (np.full(480, 2.0), 0),
        (np.full(480, np.nan), 127),
        (np.zeros(0), 127),
    ],
)
def test_audio_level(pcm: NDArray[np.float64], level: int) -> None:
    assert audio_level(pcm.astype(np.float32)) == level


def test_only_what_changed_is_set() -> None:
    encoder = Encoder()
    control = EncoderControl(encoder)
    plan = RedundancyPlan(32_000, 20, True, 10, 0)
    assert control.apply(plan) == ("bitrate", "inband_fec", "packet_loss_perc", "dred_duration_ms")
    assert (encoder.bitrate, encoder.inband_fec, encoder.packet_loss_perc) == (32_000, True, 10)
    assert control.apply(plan) == ()
    assert control.apply(RedundancyPlan(32_000, 60, True, 20, 0)) == ("packet_loss_perc",)
    assert encoder.packet_loss_perc == 20


def test_other_encoders_are_refused() -> None:
    with pytest.raises(ConfigError):
        SendingPipeline(SendingConfig(), encoder=Encoder(48_000, 2))
    with pytest.raises(ConfigError):
        SendingPipeline(SendingConfig(), encoder=Encoder(16_000, 1))


@pytest.mark.parametrize(
    "bad",
    [
        {"bitrate": 5_000},
        {"bitrate": 600_000},
        {"frame_ms": 30},
        {"complexity": 11},
        {"peer_dred_ms": -1},
        {"opus_payload_type": 128},
        {"red_payload_type": -1},
    ],
)
def test_settings_out_of_range(bad: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        SendingConfig(**bad)  # type: ignore[arg-type]
