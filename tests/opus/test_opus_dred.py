import threading
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from softphone.opus import BadArgumentError, Decoder, DredRangeError, DredState, Encoder, InvalidPacketError

Pcm = NDArray[np.float32]
FRAME = 960


def after(packets: list[bytes], complexity: int = 5, sample_rate: int = 48_000) -> Decoder:
    decoder = Decoder(sample_rate, complexity=complexity)
    for packet in packets:
        decoder.decode(packet)
    return decoder


def parsed(packet: bytes, sample_rate: int = 48_000) -> DredState:
    state = DredState(sample_rate)
    state.parse(packet, sample_rate)
    return state


def spectral_distance(one: Pcm, other: Pcm) -> float:
    """Log-spectral distance in dB below 8 kHz over 20 ms windows."""
    spectra = [
        np.abs(np.fft.rfft(pcm.reshape(-1, FRAME) * np.hanning(FRAME)))[:, 2:160] ** 2 + 1e-6
        for pcm in (one, other)
    ]
    return float(np.mean(np.sqrt(np.mean((10 * np.log10(spectra[0] / spectra[1])) ** 2, axis=1))))


def bursts(packets: list[bytes], length: int) -> Iterator[int]:
    """Indices of first lost packets, such that DRED of the packet after the burst covers it all."""
    for first in range(25, len(packets) - length, 9):
        if parsed(packets[first + length]).covers(length * FRAME, length * FRAME):
            yield first


def test_dred_repairs_a_burst_better_than_deep_plc(dred_packets: list[bytes]) -> None:
    length = 5
    decoder = Decoder()
    whole = np.concatenate([decoder.decode(packet) for packet in dred_packets])
    dred, plc = [], []
    for first in bursts(dred_packets, length):
        truth = whole[first * FRAME : (first + length) * FRAME]
        if np.std(truth) < 0.02:
            continue
        state = parsed(dred_packets[first + length])
        repaired = after(dred_packets[:first]).decode_dred(state, length * FRAME, length * FRAME)
        concealed = after(dred_packets[:first]).conceal(length * FRAME)
        dred.append(spectral_distance(repaired, truth))
        plc.append(spectral_distance(concealed, truth))
    assert len(dred) > 5
    assert np.mean(dred) < 0.8 * np.mean(plc)


def test_reach_grows_with_the_budget(encode_speech) -> None:  # type: ignore[no-untyped-def]
    reaches = []
    for duration in (0, 100, 400, 1000):
        packets = encode_speech(bitrate=64_000, packet_loss_perc=20, dred_duration_ms=duration)
        reaches.append(parsed(packets[60]).reach)
    assert reaches[0] == 0
    assert reaches == sorted(reaches)
    assert reaches[-1] > 0.3 * 48_000


def test_no_dred_without_expected_loss(encode_speech) -> None:  # type: ignore[no-untyped-def]
    packets = encode_speech(bitrate=64_000, packet_loss_perc=0, dred_duration_ms=1000)
    assert all(parsed(packet).reach == 0 for packet in packets)


@pytest.mark.parametrize("wanted_ms", [1, 20, 40, 100, 200])
def test_parse_brings_at_least_what_was_asked_for(dred_packets: list[bytes], wanted_ms: int) -> None:
    state = DredState()
    everything = state.parse(dred_packets[60], 48_000)
    reach = state.parse(dred_packets[60], 48 * wanted_ms)
    assert min(48 * wanted_ms, everything) <= reach <= everything
    assert state.covers(min(48 * wanted_ms, everything), 48)


def test_the_oldest_frame_in_reach_is_data_and_not_concealment(dred_packets: list[bytes]) -> None:
    state = parsed(dred_packets[60])
    oldest = state.reach // FRAME
    lost = 60 - oldest
    from_dred = after(dred_packets[:lost]).decode_dred(state, oldest * FRAME, FRAME)
    concealed = after(dred_packets[:lost]).conceal(FRAME)
    assert not np.array_equal(from_dred, concealed)
    decoder = after(dred_packets[:lost])
    truth = decoder.decode(dred_packets[lost])
    assert spectral_distance(from_dred, truth) < 12


def test_processing_happens_on_demand(dred_packets: list[bytes]) -> None:
    deferred, explicit = parsed(dred_packets[50]), parsed(dred_packets[50])
    explicit.process()
    explicit.process()
    results = [
        after(dred_packets[:45]).decode_dred(state, 5 * FRAME, FRAME) for state in (deferred, explicit)
    ]
    np.testing.assert_array_equal(*results)
    assert not np.array_equal(results[0], after(dred_packets[:45]).conceal(FRAME))


@pytest.mark.parametrize(
    ("offset", "samples"),
    [
        (0, FRAME),
        (-FRAME, FRAME),
        (-100_000, FRAME),
        (FRAME, 2 * FRAME),
        (10**9, FRAME),
        (2**40, FRAME),
    ],
)
def test_what_dred_does_not_hold_is_an_error(dred_packets: list[bytes], offset: int, samples: int) -> None:
    state = parsed(dred_packets[50])
    assert not state.covers(offset, samples)
    with pytest.raises(DredRangeError):
        after(dred_packets[:45]).decode_dred(state, offset, samples)


def test_just_beyond_reach_is_an_error(dred_packets: list[bytes]) -> None:
    state = parsed(dred_packets[50])
    decoder = after(dred_packets[:20])
    assert len(decoder.decode_dred(state, state.reach, FRAME)) == FRAME
    with pytest.raises(DredRangeError):
        decoder.decode_dred(state, state.reach + 1, FRAME)


def test_packet_without_dred_is_an_error(lbrr_packets: list[bytes]) -> None:
    state = parsed(lbrr_packets[50])
    assert (state.reach, state.end) == (0, 0)
    with pytest.raises(DredRangeError):
        state.process()
    with pytest.raises(DredRangeError):
        after(lbrr_packets[:49]).decode_dred(state, FRAME, FRAME)
    with pytest.raises(DredRangeError):
        Decoder().decode_dred(DredState(), FRAME, FRAME)


@pytest.mark.parametrize("samples", [1, 120, 240, 479, 600, 700, 960])
def test_odd_lengths_are_cut_from_whole_10_ms_pieces(dred_packets: list[bytes], samples: int) -> None:
    state = parsed(dred_packets[50])
    whole = after(dred_packets[:45]).decode_dred(state, 5 * FRAME, -(-samples // 480) * 480)
    part = after(dred_packets[:45]).decode_dred(state, 5 * FRAME, samples)
    assert part.shape == (samples,)
    np.testing.assert_array_equal(part, whole[:samples])


@pytest.mark.parametrize("samples", [0, -480, 48_480])
def test_impossible_lengths_are_refused(dred_packets: list[bytes], samples: int) -> None:
    with pytest.raises(BadArgumentError):
        after(dred_packets[:45]).decode_dred(parsed(dred_packets[50]), 5 * FRAME, samples)


def test_sample_rates_must_agree(dred_packets: list[bytes]) -> None:
    with pytest.raises(BadArgumentError):
        Decoder(16_000).decode_dred(parsed(dred_packets[50]), FRAME, 320)


@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 24_000, 48_000])
def test_reach_is_the_same_time_at_every_rate(dred_packets: list[bytes], sample_rate: int) -> None:
    state = parsed(dred_packets[50], sample_rate)
    assert state.reach / sample_rate == parsed(dred_packets[50]).reach / 48_000
    pcm = after(dred_packets[:45], sample_rate=sample_rate).decode_dred(
        state, sample_rate // 10, sample_rate // 50
    )
    assert pcm.shape == (sample_rate // 50,)


def test_a_state_is_reusable(dred_packets: list[bytes], lbrr_packets: list[bytes]) -> None:
    state = DredState()
    for packet in (dred_packets[40], lbrr_packets[50], dred_packets[60]):
        state.parse(packet, 48_000)
    fresh = parsed(dred_packets[60])
    assert state.reach == fresh.reach
    pcm = [after(dred_packets[:58]).decode_dred(each, 2 * FRAME, 2 * FRAME) for each in (state, fresh)]
    np.testing.assert_array_equal(*pcm)


def test_a_bad_packet_empties_the_state(dred_packets: list[bytes]) -> None:
    state = parsed(dred_packets[50])
    with pytest.raises(InvalidPacketError):
        state.parse(b"", 960)
    assert state.reach == 0
    assert not state.covers(FRAME, FRAME)


def test_silence_at_the_end_is_told(speech: Pcm) -> None:
    encoder = Encoder()
    encoder.bitrate, encoder.packet_loss_perc, encoder.dred_duration_ms = 64_000, 20, 1000
    loud_then_quiet = np.concatenate([speech[: FRAME * 60], np.zeros(FRAME * 15, np.float32)])
    packets = [encoder.encode(frame) for frame in np.split(loud_then_quiet, 75)]
    state = parsed(packets[-1])
    assert 0 < state.end < state.reach
    assert not state.covers(state.end, FRAME)
    assert state.covers(state.end + FRAME, FRAME)


@pytest.mark.parametrize("complexity", [0, 4])
def test_dred_does_not_change_later_concealment(dred_packets: list[bytes], complexity: int) -> None:
    """libopus would go on with its neural concealment, at 35 times the cost."""
    with_dred, without = after(dred_packets[:45], complexity), after(dred_packets[:45], complexity)
    with_dred.decode_dred(parsed(dred_packets[50]), 5 * FRAME, 5 * FRAME)
    without.conceal(5 * FRAME)
    for packet in dred_packets[50:110]:
        with_dred.decode(packet)
        without.decode(packet)
    for _ in range(3):
        one, other = with_dred.conceal(FRAME), without.conceal(FRAME)
        np.testing.assert_allclose(one, other, atol=0.02)


def test_dred_at_low_complexity_still_repairs(dred_packets: list[bytes]) -> None:
    state = parsed(dred_packets[50])
    deep = after(dred_packets[:45], 5).decode_dred(state, 5 * FRAME, 5 * FRAME)
    plain = after(dred_packets[:45], 0).decode_dred(state, 5 * FRAME, 5 * FRAME)
    assert spectral_distance(plain, deep) < 3


def test_one_state_serves_decoders_in_threads(dred_packets: list[bytes]) -> None:
    state = parsed(dred_packets[50])
    expected = after(dred_packets[:45]).decode_dred(parsed(dred_packets[50]), 5 * FRAME, 4 * FRAME)
    results: list[Pcm] = []

    def use() -> None:
        results.append(after(dred_packets[:45]).decode_dred(state, 5 * FRAME, 4 * FRAME))

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for result in results:
        np.testing.assert_array_equal(result, expected)
