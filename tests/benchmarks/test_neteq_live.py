"""Short live calls of the comparison with NetEq: real sockets, real receivers."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import pytest

from benchmarks.neteq.delay import delay_track
from benchmarks.neteq.live.chromium import chromium_path, open_browser
from benchmarks.neteq.live.realtime import real_time
from benchmarks.neteq.live.receivers import BrowserReceiver, ProcessReceiver
from benchmarks.neteq.live.session import LiveCall, LiveResult, hold_calls
from benchmarks.neteq.offline import play
from benchmarks.neteq.reference import Reference, load_reference
from benchmarks.neteq.schedules import Schedule, generate
from benchmarks.neteq.streams import Stream, StreamSpec, encode

ATTEMPTS = 4


@pytest.fixture(scope="module")
def reference() -> Reference:
    pcm = load_reference(None, segments=1).pcm
    return Reference(pcm[: 3 * 48_000])


@pytest.fixture(scope="module")
def schedule(reference: Reference) -> Schedule:
    return generate("clean", 1, reference.packets)


@pytest.fixture(scope="module")
def stream(reference: Reference, schedule: Schedule) -> Stream:
    return encode(StreamSpec("fec=1,loss=20,rate=32000"), reference, schedule)


def delays(reference: Reference, schedule: Schedule, result: LiveResult) -> np.ndarray:
    """Delays in ms after the first second, in which a receiver may still settle."""
    assert result.release.packets == reference.packets
    assert result.release.missing == 0
    track = delay_track(reference, schedule, result.captured.recording).within(1.0, 10.0)
    assert track.begins.size > 0.9 * track.sought.size
    return 1000 * track.delays


def undisturbed(hold: Callable[[], Coroutine[Any, Any, list[LiveResult]]]) -> list[LiveResult]:
    """Hold the calls again while the machine stands still in them: then delays are those of the machine."""
    with real_time():
        for _ in range(ATTEMPTS):
            results = asyncio.run(hold())
            if not any(result.stalls for result in results):
                return results
    pytest.skip(f"the machine stood still in each of {ATTEMPTS} calls")


def test_softphone_live_is_as_in_virtual_time(
    reference: Reference, schedule: Schedule, stream: Stream
) -> None:
    async def hold() -> list[LiveResult]:
        receivers = [ProcessReceiver("softphone", "--policy", "histogram"), ProcessReceiver("aiortc")]
        return await hold_calls(reference, [LiveCall(stream, schedule, receiver) for receiver in receivers])

    softphone, aiortc = undisturbed(hold)
    simulated = play(stream, schedule, reference, policy="histogram")
    expected = 1000 * float(np.median(delay_track(reference, schedule, simulated.recording).delays))
    assert float(np.median(delays(reference, schedule, softphone))) == pytest.approx(expected, abs=20)
    assert 60 < float(np.median(delays(reference, schedule, aiortc))) < 250
    assert softphone.captured.statistics["packets_late"] == 0


def test_chromium_plays_what_it_is_sent(reference: Reference, schedule: Schedule, stream: Stream) -> None:
    pytest.importorskip("playwright", reason="driving a browser needs Playwright")
    if chromium_path() is None:
        pytest.skip("there is no Chromium")

    async def hold() -> list[LiveResult]:
        async with open_browser() as browser:
            return await hold_calls(reference, [LiveCall(stream, schedule, BrowserReceiver(browser, "call"))])

    (result,) = undisturbed(hold)
    # 20 ms of framing, 6.5 ms of codec, 20 ms and more of NetEq.
    assert 35 < float(np.median(delays(reference, schedule, result))) < 110
    assert result.captured.statistics["packetsLost"] == 0
