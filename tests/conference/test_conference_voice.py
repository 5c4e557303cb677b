"""One participant's audio in virtual time: heard while there is something to hear, asleep otherwise."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from softphone.audio.null import NullSink
from softphone.audio.stream import Render
from softphone.conference.loudspeaker import Loudspeaker
from softphone.conference.voice import Voice
from softphone.playout import PlayoutConfig, PlayoutEngine, Source
from softphone.recording import Recorder
from softphone.rtp.packet import RtpPacket
from softphone.rtp.reports import LossReporter
from softphone.sending import SendingConfig, SendingPipeline
from tests.support.stream import speech

FRAME = 960
Pcm = NDArray[np.float32]


@dataclass
class Talk:
    """A sender, a path of 30 ms and a voice; a step is 20 ms."""

    dtx: bool = True
    with_levels: bool = True
    keeps_own_time: bool = False
    step: int = 0
    packets: int = 0
    heard: list[Pcm] = field(default_factory=list)
    rendered: int = 0

    def __post_init__(self) -> None:
        self.pipeline = SendingPipeline(SendingConfig(dtx=self.dtx, mode="none", complexity=3))
        self.voice = Voice(
            PlayoutConfig(policy="fixed", max_delay=0.16, decoder_complexity=5),
            keeps_own_time=self.keeps_own_time,
        )
        self.voice.reporter = LossReporter(interval=0.5)
        self.sequence = 0

    def run(self, seconds: float, frame: Callable[[int], Pcm], *, lose: bool = False) -> Pcm:
        """Let time pass; returns what was rendered, silence as zeros."""
        first = len(self.heard)
        for number in range(round(seconds * 50)):
            now = self.step * 0.02
            self.step += 1
            for payload in self.pipeline.push(frame(number), now):
                self.sequence += 1
                self.packets += 1
                level = payload.audio_level if self.with_levels else None
                packet = RtpPacket(
                    111, self.sequence & 0xFFFF, payload.timestamp, 7, payload.payload, payload.marker, level
                )
                if not lose:
                    self.voice.receive(packet, now + 0.03)
            pcm = self.voice.render(FRAME, now + 0.03)
            self.rendered += pcm is not None
            self.heard.append(np.zeros(FRAME, np.float32) if pcm is None else pcm.copy())
        return np.concatenate(self.heard[first:])


def speaking(number: int) -> Pcm:
    return speech()[number * FRAME : (number + 1) * FRAME]


def silent(number: int) -> Pcm:
    return np.zeros(FRAME, np.float32)


def rms(pcm: Pcm) -> float:
    return float(np.sqrt(np.mean(np.square(pcm, dtype=np.float64))))


@pytest.mark.parametrize("keeps_own_time", [False, True])
def test_speech_is_heard(keeps_own_time: bool) -> None:
    talk = Talk(keeps_own_time=keeps_own_time)
    assert rms(talk.run(3.0, speaking)) == pytest.approx(rms(speech()[: 3 * 48_000]), rel=0.3)
    assert not talk.voice.asleep
    assert talk.voice.meter.level(3.0) > -40.0
    delay = talk.voice.mouth_to_ear
    assert delay is not None
    assert 0.02 < delay < 0.2
    assert talk.voice.statistics.frames(Source.REGULAR) > 110


@pytest.mark.parametrize(
    ("dtx", "keeps_own_time"),
    [(True, False), (False, False), (True, True)],
    ids=["dtx", "silence by levels", "drifting clock"],
)
def test_a_silent_voice_sleeps_and_wakes_with_the_first_word(dtx: bool, keeps_own_time: bool) -> None:
    talk = Talk(dtx, keeps_own_time=keeps_own_time)
    talk.run(2.0, speaking)
    talk.run(2.0, silent)
    assert talk.voice.asleep
    before, decoded = talk.rendered, talk.voice.statistics.frames(Source.REGULAR)
    talk.run(6.0, silent)
    assert talk.rendered == before, "nothing is rendered in its sleep"
    assert talk.voice.statistics.frames(Source.REGULAR) == decoded, "and nothing decoded"
    heard = talk.run(3.0, speaking)
    assert not talk.voice.asleep
    assert rms(heard) == pytest.approx(rms(speech()[: 3 * 48_000]), rel=0.3)
    assert talk.voice.mouth_to_ear is not None
    assert talk.voice.mouth_to_ear < 0.2, "the time asleep is no delay"
    assert talk.voice.statistics.frames(Source.PLC) <= 3
    assert talk.voice.statistics.frames(Source.REGULAR) > decoded + 100


def test_without_levels_nobody_is_taken_for_silent() -> None:
    talk = Talk(dtx=False, with_levels=False)
    talk.run(2.0, silent)
    assert not talk.voice.asleep
    assert rms(talk.run(1.0, speaking)) > 0.02


def test_background_noise_is_not_cut_off() -> None:
    noise = np.random.default_rng(1)
    talk = Talk()
    heard = talk.run(4.0, lambda number: noise.normal(0.0, 0.003, FRAME).astype(np.float32))
    assert not talk.voice.asleep
    assert rms(heard[48_000:]) > 0.001


def test_the_muted_are_not_decoded_whatever_they_send() -> None:
    talk = Talk(dtx=False)
    talk.run(1.0, speaking)
    talk.voice.muted = True
    talk.run(1.0, speaking)
    assert talk.voice.asleep
    decoded = talk.voice.statistics.frames(Source.REGULAR)
    assert rms(talk.run(5.0, speaking)) == 0.0
    assert talk.voice.statistics.frames(Source.REGULAR) == decoded
    assert talk.voice.meter.level(talk.step * 0.02) < -100.0
    talk.voice.muted = False
    assert rms(talk.run(2.0, speaking)) > 0.02


def test_an_outage_is_no_silence() -> None:
    talk = Talk()
    talk.run(2.0, speaking)
    talk.run(3.0, speaking, lose=True)
    assert not talk.voice.asleep
    assert rms(talk.run(2.0, speaking)) > 0.02


def test_the_reporter_hears_what_was_concealed() -> None:
    talk = Talk(dtx=False)
    assert talk.voice.reporter is not None
    talk.voice.reporter.poll(0.0)
    for number in range(100):
        talk.run(0.02, lambda _, n=number: speaking(n), lose=number % 5 == 4)  # type: ignore[misc]
    talk.voice.reporter.on_packet(1, 0, 1.9, 100)
    report = talk.voice.reporter.poll(2.0)
    assert report is not None
    assert report.unrepaired_fraction > 0.02


class StillSink(NullSink):
    """Asks for audio when it is told to."""

    def start(self, render: Render) -> None:
        self.render = render

    def stop(self) -> None:
        pass


@pytest.mark.parametrize(("speakers", "mended"), [(1, True), (3, True), (4, False)])
async def test_in_the_babble_of_many_nobody_is_mended(
    speakers: int, mended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    pull = PlayoutEngine.pull
    monkeypatch.setattr(
        PlayoutEngine, "pull", lambda self, *needed: seen.append(self.enhances) or pull(self, *needed)
    )
    sink = StillSink()
    loudspeaker = Loudspeaker(sink, Recorder())
    for _ in range(speakers):
        loudspeaker.add(Voice(PlayoutConfig(policy="fixed", max_delay=0.16)))
    await loudspeaker.start()
    sink.render(FRAME, 1.0)
    await loudspeaker.stop()
    assert seen == [mended] * speakers
