"""Whole calls between real phones on 127.0.0.1, and what of them was heard."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from softphone.audio.stream import SAMPLE_RATE
from softphone.call import Call
from softphone.call_events import CallState
from softphone.phone import Phone, PhoneLine
from softphone.signaling import ListenConfig
from tests.support.stream import speech
from tests.support.tcp_relay import TcpRelay

Pcm = NDArray[np.float32]

LOOPBACK = "127.0.0.1"
PATIENCE = 15.0
"""Seconds after which something that should happen soon counts as not happening."""

_SEGMENT = SAMPLE_RATE // 4
_ACTIVE_RMS = 0.01


MakePhone = Callable[..., Phone]


def line_of(phone: Phone, **settings: Any) -> PhoneLine:
    """A line of the phone on a free port of 127.0.0.1, to be entered."""
    return phone.listen(ListenConfig(**{"port": 0, **settings}))


def address_of(line: PhoneLine, secret: str = "") -> str:
    """What to call."""
    target = f"{LOOPBACK}:{line.listener.addresses[0][1]}"
    return f"{target}#{secret}" if secret else target


def relay_to(line: PhoneLine) -> TcpRelay:
    """A line to the listener that can break, to be entered."""
    return TcpRelay(line.listener.addresses[0][1])


async def connect(caller: Phone, callee_line: PhoneLine, target: str = "") -> tuple[Call, Call]:
    """Call, answer, and wait until both talk."""

    async def answer() -> Call:
        async for ring in callee_line:
            return await ring.answer()
        raise AssertionError("the line was closed")

    async with asyncio.timeout(PATIENCE):
        calls = await asyncio.gather(caller.call(target or address_of(callee_line)), answer())
    await until(lambda: all(call.state is not CallState.CONNECTING for call in calls))
    assert [call.state for call in calls] == [CallState.TALKING] * 2, [call.end for call in calls]
    return calls


async def until(condition: Callable[[], object], patience: float = PATIENCE) -> None:
    """Wait for something that will happen soon; fail the test when it doesn't."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.02)


def write_speech(path: Path, start: float, seconds: float) -> Pcm:
    """A part of the shipped sample as a file; returns the samples."""
    first = round(start * SAMPLE_RATE)
    pcm = speech()[first : first + round(seconds * SAMPLE_RATE)]
    soundfile.write(path, pcm, SAMPLE_RATE, subtype="PCM_16")
    return pcm


def read_audio(path: Path) -> Pcm:
    pcm, rate = soundfile.read(path, dtype="float32")
    assert rate == SAMPLE_RATE
    return np.asarray(pcm, np.float32)


def heard_share(sent: Pcm, heard: Pcm, *, likeness: float = 0.85) -> float:
    """Share of the quarters of a second with speech in `sent` that are found in `heard`, 0..1.

    Each is looked for by itself, since time may be stretched in between; `likeness` is the
    normalised correlation it takes.
    """
    active = [
        segment
        for start in range(0, sent.size - _SEGMENT + 1, _SEGMENT)
        if rms(segment := sent[start : start + _SEGMENT]) > _ACTIVE_RMS
    ]
    assert active, "nobody spoke"
    return sum(best_correlation(segment, heard) > likeness for segment in active) / len(active)


def best_correlation(segment: Pcm, heard: Pcm) -> float:
    """Largest normalised correlation of `segment` with any place of `heard`."""
    if heard.size < segment.size:
        return 0.0
    size = 1 << int(np.ceil(np.log2(heard.size + segment.size)))
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(segment, size))
    products = np.fft.irfft(spectrum, size)[: heard.size - segment.size + 1]
    energy = np.concatenate(([0.0], np.cumsum(np.square(heard, dtype=np.float64))))
    local = energy[segment.size :] - energy[: energy.size - segment.size]
    norm = np.sqrt(np.maximum(local, 1e-6) * float(np.dot(segment, segment)))
    return float(np.max(products / norm))


def rms(pcm: Pcm) -> float:
    return float(np.sqrt(np.mean(np.square(pcm, dtype=np.float64)))) if pcm.size else 0.0
