import numpy as np
import pytest
from numpy.typing import NDArray

from softphone.errors import ConfigError
from softphone.opus import Application, BadArgumentError, Bandwidth, Encoder, Signal, has_lbrr, packet_samples


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("bitrate", [6_000, 48_000, 128_000]),
        ("vbr", [True, False]),
        ("constrained_vbr", [True, False]),
        ("complexity", [0, 5, 10]),
        ("inband_fec", [True, False]),
        ("packet_loss_perc", [0, 30, 100]),
        ("dred_duration_ms", [0, 100, 1040]),
        ("dtx", [True, False]),
        ("max_bandwidth", list(Bandwidth)),
        ("signal", list(Signal)),
        ("lsb_depth", [8, 16, 24]),
    ],
)
def test_property_keeps_what_is_set(name: str, values: list[object]) -> None:
    encoder = Encoder()
    for value in values:
        setattr(encoder, name, value)
        assert getattr(encoder, name) == value
        assert type(getattr(encoder, name)) is type(value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bitrate", 0),
        ("bitrate", 2_000_000),
        ("complexity", -1),
        ("complexity", 11),
        ("packet_loss_perc", 101),
        ("packet_loss_perc", -1),
        ("dred_duration_ms", -10),
        ("dred_duration_ms", 1050),
        ("max_bandwidth", "ultraband"),
        ("signal", "noise"),
        ("lsb_depth", 7),
        ("lsb_depth", 25),
    ],
)
def test_property_out_of_range_is_a_local_error(name: str, value: object) -> None:
    encoder = Encoder()
    before = getattr(encoder, name)
    with pytest.raises(BadArgumentError) as caught:
        setattr(encoder, name, value)
    assert isinstance(caught.value, ConfigError)
    assert getattr(encoder, name) == before


def test_dred_duration_rounds_down_to_10_ms() -> None:
    encoder = Encoder()
    encoder.dred_duration_ms = 109
    assert encoder.dred_duration_ms == 100


@pytest.mark.parametrize("frame_ms", [10, 20, 40, 60])
@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 48_000])
@pytest.mark.parametrize("application", list(Application))
def test_packet_lasts_as_long_as_its_input(frame_ms: int, sample_rate: int, application: Application) -> None:
    encoder = Encoder(sample_rate, application=application)
    samples = sample_rate * frame_ms // 1000
    for dtype in (np.float32, np.int16):
        packet = encoder.encode(np.zeros(samples, dtype))
        assert packet_samples(packet, sample_rate) == samples


@pytest.mark.parametrize(
    "pcm",
    [
        np.zeros(960),
        np.zeros(960, np.int32),
        np.zeros(959, np.float32),
        np.zeros(0, np.float32),
        np.zeros(5760, np.float32),
        np.zeros((960, 2), np.float32),
        np.zeros((2, 480), np.float32),
        np.zeros((960, 1, 1), np.float32),
        np.float32(0.0).reshape(()),
    ],
    ids=lambda pcm: f"{pcm.dtype}{pcm.shape}",
)
def test_wrong_pcm_is_refused(pcm: NDArray[np.float32]) -> None:
    with pytest.raises(BadArgumentError):
        Encoder().encode(pcm)


def test_int16_and_float32_give_the_same_stream(speech: NDArray[np.float32]) -> None:
    exact = np.round(speech * 32768).astype(np.int16)
    one, other = Encoder(), Encoder()
    for at in range(0, 960 * 20, 960):
        as_float = exact[at : at + 960].astype(np.float32) / 32768
        assert one.encode(exact[at : at + 960]) == other.encode(as_float)


def test_strided_and_column_input_is_accepted(speech: NDArray[np.float32]) -> None:
    strided = np.repeat(speech[:960], 2)[::2]
    assert Encoder().encode(strided) == Encoder().encode(speech[:960])
    assert Encoder().encode(speech[:960, None]) == Encoder().encode(speech[:960])


def test_stereo() -> None:
    packet = Encoder(channels=2).encode(np.zeros((960, 2), np.int16))
    assert packet_samples(packet) == 960


def test_constant_bitrate_makes_equal_packets(speech: NDArray[np.float32]) -> None:
    encoder = Encoder()
    encoder.vbr = False
    encoder.bitrate = 24_000
    sizes = {len(encoder.encode(speech[at : at + 960])) for at in range(0, 960 * 50, 960)}
    assert sizes == {60}


def test_dtx_sends_next_to_nothing_in_silence() -> None:
    encoder = Encoder()
    encoder.dtx = True
    sizes = [len(encoder.encode(np.zeros(960, np.float32))) for _ in range(50)]
    assert min(sizes) <= 2
    assert encoder.in_dtx


def test_lbrr_needs_expected_loss(encode_speech, lbrr_packets: list[bytes]) -> None:  # type: ignore[no-untyped-def]
    assert sum(map(has_lbrr, lbrr_packets)) > len(lbrr_packets) // 2
    without = encode_speech(bitrate=32_000, packet_loss_perc=0, inband_fec=True)
    assert not any(map(has_lbrr, without))


def test_max_bandwidth_is_obeyed(speech: NDArray[np.float32]) -> None:
    from softphone.opus import parse_toc

    encoder = Encoder()
    encoder.bitrate = 64_000
    encoder.max_bandwidth = "narrowband"
    packets = [encoder.encode(speech[at : at + 960]) for at in range(0, 960 * 20, 960)]
    assert {parse_toc(packet).bandwidth for packet in packets[1:]} == {Bandwidth.NARROWBAND}


def test_reset_starts_the_stream_anew(speech: NDArray[np.float32]) -> None:
    encoder = Encoder()
    first = [encoder.encode(speech[at : at + 960]) for at in range(0, 960 * 10, 960)]
    encoder.reset()
    assert [encoder.encode(speech[at : at + 960]) for at in range(0, 960 * 10, 960)] == first


def test_lookahead_of_voip_is_6_5_ms() -> None:
    assert Encoder().lookahead == 312


@pytest.mark.parametrize("junk", [np.nan, np.inf, -np.inf, 1e30, 50.0])
def test_junk_samples_do_not_break_the_stream(speech: NDArray[np.float32], junk: float) -> None:
    from softphone.opus import Decoder

    encoder, decoder = Encoder(), Decoder()
    spoilt = speech[: 960 * 30].copy()
    spoilt[960 * 5 : 960 * 6 : 7] = junk
    heard = [decoder.decode(encoder.encode(frame)) for frame in np.split(spoilt, 30)]
    assert np.isfinite(np.concatenate(heard)).all()
    assert np.sqrt(np.mean(np.concatenate(heard[15:]) ** 2)) > 0.01


@pytest.mark.parametrize(("sample_rate", "channels"), [(44_100, 1), (0, 1), (48_000, 0), (48_000, 3)])
def test_impossible_format_is_refused(sample_rate: int, channels: int) -> None:
    with pytest.raises(BadArgumentError):
        Encoder(sample_rate, channels)
