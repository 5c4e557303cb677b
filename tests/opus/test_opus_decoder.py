import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from softphone.opus import (
    BadArgumentError,
    Decoder,
    Encoder,
    InvalidPacketError,
    MissingLbrrError,
    has_lbrr,
    parse_toc,
)

Pcm = NDArray[np.float32]


def correlation(one: Pcm, other: Pcm) -> float:
    return float(np.dot(one, other) / (np.linalg.norm(one) * np.linalg.norm(other) + 1e-12))


def decode_all(packets: list[bytes], **options: int) -> Pcm:
    decoder = Decoder(**options)
    return np.concatenate([decoder.decode(packet) for packet in packets])


def test_round_trip_keeps_the_waveform(speech: Pcm) -> None:
    encoder, decoder = Encoder(), Decoder()
    encoder.bitrate = 128_000
    heard = np.concatenate([decoder.decode(encoder.encode(f)) for f in np.split(speech, len(speech) // 960)])
    assert heard.dtype == np.float32
    lag = encoder.lookahead
    assert correlation(heard[lag:], speech[:-lag]) > 0.9


@pytest.mark.parametrize("sample_rate", [8_000, 12_000, 16_000, 24_000, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_shape_and_rate(encode_speech, sample_rate: int, channels: int) -> None:  # type: ignore[no-untyped-def]
    decoder = Decoder(sample_rate, channels)
    pcm = decoder.decode(encode_speech(bitrate=32_000)[5])
    samples = sample_rate // 50
    assert pcm.shape == ((samples,) if channels == 1 else (samples, 2))
    assert decoder.last_packet_duration == samples
    assert decoder.conceal(samples).shape == pcm.shape


def test_frame_length_may_change_with_every_packet(speech: Pcm) -> None:
    encoder, decoder = Encoder(), Decoder()
    encoder.bitrate = 64_000
    at, heard = 0, []
    for frame_ms in (20, 60, 10, 40, 10, 20, 60, 60, 20) * 5:
        heard.append(decoder.decode(encoder.encode(speech[at : at + 48 * frame_ms])))
        assert len(heard[-1]) == 48 * frame_ms
        at += 48 * frame_ms
    lag = encoder.lookahead
    assert correlation(np.concatenate(heard)[lag:], speech[: at - lag]) > 0.9


def test_output_is_clipped() -> None:
    rng = np.random.default_rng(1)
    square = np.sign(np.sin(2 * np.pi * 220 * np.arange(960 * 50) / 48_000)) + rng.normal(0, 0.3, 960 * 50)
    encoder, decoder = Encoder(), Decoder()
    encoder.bitrate = 24_000
    heard = np.concatenate(
        [decoder.decode(encoder.encode(f.astype(np.float32))) for f in np.split(square, 50)]
    )
    assert np.abs(heard).max() <= 1.0
    assert np.abs(heard).max() > 0.9


@pytest.mark.parametrize("samples", [120, 240, 480, 960, 2880, 48_000])
@pytest.mark.parametrize("complexity", [0, 5, 7, 10])
def test_concealment_goes_on_and_fades(encode_speech, samples: int, complexity: int) -> None:  # type: ignore[no-untyped-def]
    decoder = Decoder(complexity=complexity)
    for packet in encode_speech(bitrate=32_000)[:10]:
        last = decoder.decode(packet)
    pcm = decoder.conceal(samples)
    assert pcm.shape == (samples,)
    assert np.isfinite(pcm).all()
    assert abs(pcm[0] - last[-1]) < 0.2
    if samples == 48_000:
        assert np.abs(pcm[-4800:]).max() < np.abs(pcm[:4800]).max()


@pytest.mark.parametrize("samples", [0, -960, 1, 119, 961, 48_120])
def test_impossible_gaps_are_refused(lbrr_packets: list[bytes], samples: int) -> None:
    with pytest.raises(BadArgumentError):
        Decoder().conceal(samples)
    with pytest.raises(BadArgumentError):
        Decoder().decode_fec(next(p for p in lbrr_packets if has_lbrr(p)), samples)


def test_fec_repairs_the_lost_frame_better_than_concealment(lbrr_packets: list[bytes]) -> None:
    whole = np.split(decode_all(lbrr_packets), len(lbrr_packets))
    gains = []
    for lost in range(20, len(lbrr_packets) - 1, 4):
        if not has_lbrr(lbrr_packets[lost + 1]) or np.std(whole[lost]) < 0.02:
            continue
        repaired, concealed = Decoder(), Decoder()
        for packet in lbrr_packets[:lost]:
            repaired.decode(packet)
            concealed.decode(packet)
        fixed = repaired.decode_fec(lbrr_packets[lost + 1], 960)
        assert fixed.shape == (960,)
        gains.append(correlation(fixed, whole[lost]) - correlation(concealed.conceal(960), whole[lost]))
    assert len(gains) > 10
    assert np.mean(gains) > 0.05


def test_fec_for_a_longer_gap_repairs_its_end(lbrr_packets: list[bytes]) -> None:
    lost = next(i for i in range(40, 100) if has_lbrr(lbrr_packets[i + 2]))
    one, other = Decoder(), Decoder()
    for packet in lbrr_packets[:lost]:
        one.decode(packet)
        other.decode(packet)
    at_once = one.decode_fec(lbrr_packets[lost + 2], 1920)
    in_steps = [other.conceal(960), other.decode_fec(lbrr_packets[lost + 2], 960)]
    np.testing.assert_array_equal(at_once, np.concatenate(in_steps))


def test_fec_that_is_not_there_is_an_error(dred_packets: list[bytes]) -> None:
    decoder = Decoder()
    with pytest.raises(MissingLbrrError):
        decoder.decode_fec(dred_packets[30], 960)


def test_fec_needs_room_for_a_whole_frame(lbrr_packets: list[bytes]) -> None:
    packet = next(p for p in lbrr_packets if has_lbrr(p))
    assert parse_toc(packet).frame_ms == 20
    with pytest.raises(BadArgumentError):
        Decoder().decode_fec(packet, 480)


@pytest.mark.parametrize("packet", [b"", b"\x0b", bytes([1 << 3 | 2, 9, 1])])
def test_bad_packet_leaves_the_decoder_as_it_was(lbrr_packets: list[bytes], packet: bytes) -> None:
    clean = decode_all(lbrr_packets[:6])
    decoder = Decoder()
    heard = [decoder.decode(p) for p in lbrr_packets[:5]]
    with pytest.raises(InvalidPacketError):
        decoder.decode(packet)
    with pytest.raises(InvalidPacketError):
        decoder.decode_fec(packet, 960)
    heard.append(decoder.decode(lbrr_packets[5]))
    np.testing.assert_array_equal(np.concatenate(heard), clean)


def test_reset_starts_the_stream_anew(lbrr_packets: list[bytes]) -> None:
    decoder = Decoder(complexity=7)
    first = [decoder.decode(packet) for packet in lbrr_packets[:10]]
    decoder.conceal(960)
    decoder.reset()
    assert decoder.complexity == 7
    again = [decoder.decode(packet) for packet in lbrr_packets[:10]]
    np.testing.assert_array_equal(np.concatenate(first), np.concatenate(again))


@pytest.mark.parametrize("complexity", [-1, 11])
def test_complexity_out_of_range(complexity: int) -> None:
    with pytest.raises(BadArgumentError):
        Decoder(complexity=complexity)


def test_decoders_in_threads_do_not_disturb_each_other(lbrr_packets: list[bytes]) -> None:
    expected = decode_all(lbrr_packets[:100])
    results: list[Pcm] = []
    threads = [
        threading.Thread(target=lambda: results.append(decode_all(lbrr_packets[:100]))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for result in results:
        np.testing.assert_array_equal(result, expected)


def test_one_decoder_shared_by_threads_survives(lbrr_packets: list[bytes]) -> None:
    decoder = Decoder()
    outputs: list[Pcm] = []

    def use() -> None:
        for packet in lbrr_packets[:60]:
            outputs.append(decoder.decode(packet))
            outputs.append(decoder.conceal(480))

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outputs) == 4 * 2 * 60
    assert all(np.isfinite(pcm).all() for pcm in outputs)


@pytest.mark.parametrize("complexity", [0, 5, 7])
def test_rewinding_undoes_concealment(lbrr_packets: list[bytes], complexity: int) -> None:
    plain, guessing = Decoder(complexity=complexity), Decoder(complexity=complexity)
    for packet in lbrr_packets[:10]:
        plain.decode(packet)
        guessing.decode(packet)
    for gap in (480, 2880):
        guessing.mark()
        guessing.conceal(gap)
        guessing.rewind()
    guessing.decode_fec(lbrr_packets[10], 960)
    guessing.rewind()
    for packet in lbrr_packets[10:20]:
        assert np.array_equal(guessing.decode(packet), plain.decode(packet))


def test_rewinding_keeps_settings_and_needs_a_mark() -> None:
    decoder = Decoder(complexity=5)
    with pytest.raises(BadArgumentError, match="marked"):
        decoder.rewind()
    decoder.mark()
    decoder.complexity = 7
    decoder.rewind()
    assert decoder.complexity == 7
