"""Figures of a call out of its trace."""

import numpy as np
import pytest
from live_calls import LOOPBACK

from softphone.call_meter import CallMeter, _distribution
from softphone.call_statistics import CallStatistics, DelayStatistics
from softphone.cli.talking import status_line
from softphone.opus import Encoder
from softphone.playout import Action, PlayoutConfig, PlayoutEngine, Source, TraceRecord
from softphone.rtp.packet import RtpPacket
from softphone.sending import RedundancyPlan
from softphone.webrtc import IceConfig, Peer, PeerConfig
from tests.support.stream import speech


def record(source: Source, delay_ms: float = 0.0, samples: int = 960) -> TraceRecord:
    return TraceRecord(0.0, 0, None, source, Action.PLAY, samples, samples, delay_ms, 80.0, -30.0)


@pytest.fixture
async def meter() -> CallMeter:
    return CallMeter(Peer(PeerConfig(ice=IceConfig(addresses=(LOOPBACK,)))))


async def test_the_distribution_of_delays(meter: CallMeter) -> None:
    assert _distribution(meter._delays) == DelayStatistics()
    for delay in range(100):
        meter.on_trace(record(Source.REGULAR, float(delay)))
    meter.on_trace(record(Source.PLC, 900.0))
    delays = _distribution(meter._delays)
    assert delays.mean == pytest.approx(0.050, abs=0.001)
    assert delays.p50 == pytest.approx(0.050, abs=0.001)
    assert delays.p95 == pytest.approx(0.095, abs=0.001)
    assert delays.maximum == pytest.approx(0.100, abs=0.001)
    later = delays.plus(0.1)
    assert later.p50 == pytest.approx(delays.p50 + 0.1)
    assert DelayStatistics().plus(0.1) == DelayStatistics()
    meter.on_trace(record(Source.DRED, 1e9))
    meter.on_trace(record(Source.DRED, -5.0))
    assert _distribution(meter._delays).maximum == pytest.approx(3.0, abs=0.01)


@pytest.mark.parametrize(
    "lengths",
    [(20, 20), (60, 60), (10, 10), (20, 60), (60, 20), (20, 40)],
    ids=lambda pair: f"{pair[0]}-{pair[1]}",
)
async def test_the_delay_contains_the_length_of_the_packets_that_came(
    meter: CallMeter, lengths: tuple[int, int]
) -> None:
    encoder, pcm = Encoder(), speech()[: 16 * 48_000]
    records: list[TraceRecord] = []
    engine = PlayoutEngine(PlayoutConfig(policy="fixed", max_delay=0.3), on_trace=records.append)
    packets: list[tuple[float, RtpPacket]] = []
    position = 0
    while position + 2880 <= pcm.size:
        samples = 48 * lengths[position >= pcm.size // 2]
        payload = encoder.encode(pcm[position : position + samples])
        sent = (position + samples) / 48_000
        packets.append((sent + 0.03, RtpPacket(111, len(packets), position, 1, payload)))
        position += samples
    for tick in range(position // 480):
        now = tick / 100
        while packets and packets[0][0] <= now + 1e-9:
            engine.insert(packets[0][1], packets.pop(0)[0])
        engine.pull(now, 480)
    for one in records:
        meter.on_trace(one)
    truth = [one.time - one.timestamp / 48_000 for one in records if not one.source.is_concealment]
    # What neither the meter nor anybody who only receives can know is the way itself.
    measured = _distribution(meter._framed_delays)
    assert measured.mean == pytest.approx(np.mean(truth) - 0.03, abs=0.002)


@pytest.mark.parametrize(
    ("steps", "count", "samples"),
    [
        ("r", 0, 0),
        ("rpppppppr", 0, 0),
        ("rppppppppr", 1, 8 * 960),
        ("rppppppppcccr", 1, 11 * 960),
        ("rccccccccccccr", 0, 0),
        ("rpccccccccr", 1, 9 * 960),
        ("rppppppppdppppppppr", 2, 16 * 960),
    ],
)
async def test_gaps_of_150_ms_are_interruptions_but_pauses_are_not(
    meter: CallMeter, steps: str, count: int, samples: int
) -> None:
    sources = {"r": Source.REGULAR, "p": Source.PLC, "c": Source.CNG, "d": Source.DRED}
    for step in steps:
        meter.on_trace(record(sources[step]))
    assert (meter._interruptions, meter._interrupted_samples) == (count, samples)


def test_the_repaired_share() -> None:
    assert CallStatistics(frames={Source.REGULAR: 9}).repaired_share is None
    frames = {Source.LBRR: 2, Source.DRED: 1, Source.RED: 0, Source.PLC: 1, Source.CNG: 5}
    assert CallStatistics(frames=frames).repaired_share == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("statistics", "line"),
    [
        (CallStatistics(duration=5.9), "00:05 | loss 0 %"),
        (
            CallStatistics(
                duration=3725.0,
                delay=0.1404,
                fraction_lost=0.204,
                frames={Source.DRED: 9, Source.PLC: 1},
                plan=RedundancyPlan(48_000, 20, True, 20, 400),
                silent_for=4.0,
                muted=True,
            ),
            "62:05 | delay 140 ms | loss 20 % | repaired 90 % | sending LBRR+DRED "
            "| nothing heard for 4 s | MUTED",
        ),
        (
            CallStatistics(duration=60.0, plan=RedundancyPlan(48_000, 20)),
            "01:00 | loss 0 % | sending no redundancy",
        ),
    ],
)
def test_the_status_line(statistics: CallStatistics, line: str) -> None:
    assert status_line(statistics) == line
